package access

import (
	"maps"
	"strings"
)

// This file is the permission table: which role has which permission, and which
// route needs which one where. A route without an entry is refused at run time and
// fails TestEveryRouteHasARule; an entry without a route fails it too.

// Permission is the right to do one kind of thing.
type Permission string

// The permissions.
const (
	// OwnAccess: see oneself, change one's password, sign out.
	OwnAccess Permission = "own.access"
	// ReadLedger: everything that was stored, measured, priced and written.
	ReadLedger Permission = "ledger.read"
	// ReadAudit: the audit log.
	ReadAudit Permission = "audit.read"
	// Export: files for others to work with. Every export is audited.
	Export Permission = "export"
	// UploadDecisions: rows of the decision log.
	UploadDecisions Permission = "decisions.upload"
	// UploadMapping: user hashes.
	UploadMapping Permission = "mapping.upload"
	// DecideMapping: say whose a customer is.
	DecideMapping Permission = "mapping.decide"
	// RunSync: pull and backfill from Stripe, classify stored events again.
	RunSync Permission = "sync.run"
	// RunCycle: start, resume, preview and replay a cycle.
	RunCycle Permission = "cycle.run"
	// DecideCycle: hold, release, return or skip a cycle before it is written. To have it
	// computed again, or to take its draft back, needs RunCycle as well.
	DecideCycle Permission = "cycle.decide"
	// ApproveCycle: approve a cycle, under the four-eyes rule.
	ApproveCycle Permission = "cycle.approve"
	// ResolveBreak: own, note and resolve a difference.
	ResolveBreak Permission = "break.resolve"
	// ForceBreak: be the second person of a forced resolution.
	ForceBreak Permission = "break.force"
	// WriteContract: agree on terms.
	WriteContract Permission = "contract.write"
	// WriteSetup: connections, accounts, webhook endpoints, plans, snapshots.
	WriteSetup Permission = "setup.write"
	// ManageAccess: users and tokens.
	ManageAccess Permission = "access.manage"
)

// AllPermissions lists every permission in the order above.
func AllPermissions() []Permission {
	return []Permission{
		OwnAccess, ReadLedger, ReadAudit, Export, UploadDecisions, UploadMapping, DecideMapping, RunSync, RunCycle, DecideCycle, ApproveCycle,
		ResolveBreak, ForceBreak, WriteContract, WriteSetup, ManageAccess,
	}
}

// granted is what each role may do.
var granted = map[Role][]Permission{
	Viewer:   {OwnAccess, ReadLedger, ReadAudit},
	Finance:  {OwnAccess, ReadLedger, ReadAudit, Export, RunSync, RunCycle, DecideCycle, ResolveBreak, UploadMapping, DecideMapping, WriteContract},
	Approver: {OwnAccess, ReadLedger, ReadAudit, Export, DecideCycle, ApproveCycle, ForceBreak},
	Admin:    {OwnAccess, ReadLedger, ReadAudit, Export, RunSync, UploadMapping, DecideMapping, WriteContract, WriteSetup, ManageAccess},
	Ingest:   {OwnAccess, UploadDecisions, UploadMapping},
}

// What names the sort of object in a route's path, whose place decides.
type What string

// What a rule's target can be. The first three name no object.
const (
	// WholeInstallation: the scope must be the whole installation. It is the zero
	// value, so that a rule that says nothing is the strictest one.
	WholeInstallation What = ""
	// Filtered: the answer holds what lies in the caller's scope.
	Filtered What = "filtered"
	// Checked: the place is in the body; the use case calls Require.
	Checked What = "checked"

	// Objects, found by adapters/postgres (places.go).
	Account    What = "account"
	Connection What = "connection"
	Cycle      What = "cycle"
	Readout    What = "readout"
	Break      What = "break"
)

// Rule is what one route asks of its caller.
type Rule struct {
	// Public routes are answered to everybody.
	Public     bool
	Permission Permission
	// Target says where the permission must hold, and Param which parameter of the
	// path names the object.
	Target What
	Param  string
	// Export: an audit row is written before the answer.
	Export bool
	// Page: a person's browser asks. Pages take a session and no token, and send the
	// caller to the sign-in instead of answering 401.
	Page bool
}

var public = Rule{Public: true}

func need(p Permission, target What) Rule { return Rule{Permission: p, Target: target} }

func (r Rule) named(param string) Rule { r.Param = param; return r }

func (r Rule) exported() Rule { r.Export = true; return r }

func (r Rule) page() Rule { r.Page = true; return r }

// rules has one line per route: method and path as in the API description. Stripe's
// deliveries have none: they are taken before the table is asked, and prove themselves by
// their signature.
var rules = withExports(map[string]Rule{
	// Everybody.
	"GET /healthz":                   public,
	"GET /readyz":                    public,
	"GET /openapi.json":              public,
	"GET /docs/api":                  public,
	"GET /static/style.css":          public,
	"GET /static/keys.js":            public,
	"GET /sign-in":                   public.page(),
	"POST /sign-in":                  public.page(),
	"GET /sign-in/link":              public.page(),
	"POST /sign-in/link":             public.page(),
	"GET /sign-in/provider":          public.page(),
	"GET /sign-in/provider/callback": public.page(),

	// Set-up.
	"GET /v1/connections": need(ReadLedger, Filtered),
	"POST /v1/accounts/{account}/snapshots/{snapshot}/retire": need(WriteSetup, Account).named("account"),
	"POST /v1/connections":                               need(WriteSetup, Checked),
	"POST /v1/connections/{id}/webhook-endpoint":         need(WriteSetup, Connection).named("id"),
	"GET /v1/connections/{id}/webhook-endpoint":          need(ReadLedger, Connection).named("id"),
	"POST /v1/connections/{id}/webhook-endpoint/secret":  need(WriteSetup, Connection).named("id"),
	"POST /v1/connections/{id}/webhook-endpoint/rotate":  need(WriteSetup, Connection).named("id"),
	"POST /v1/connections/{id}/webhook-endpoint/check":   need(WriteSetup, Connection).named("id"),
	"POST /v1/connections/{id}/pause":                    need(WriteSetup, Connection).named("id"),
	"POST /v1/connections/{id}/resume":                   need(WriteSetup, Connection).named("id"),
	"POST /v1/connections/{id}/writing":                  need(WriteSetup, Connection).named("id"),
	"POST /v1/accounts/{account}/payer":                  need(WriteSetup, Account).named("account"),
	"POST /v1/accounts/{account}/payer/setup-link":       need(WriteSetup, Account).named("account"),
	"POST /v1/cycles/{id}/resume":                        need(RunCycle, Cycle).named("id"),
	"POST /v1/accounts/{account}/cycles":                 need(RunCycle, Account).named("account"),
	"GET /v1/accruals":                                   need(ReadLedger, Filtered),
	"POST /v1/accounts/{account}/accruals":               need(RunCycle, Account).named("account"),
	"POST /v1/accounts/{account}/previews":               need(RunCycle, Account).named("account"),
	"POST /v1/cycles/{id}/decisions":                     need(DecideCycle, Cycle).named("id"), // an approval needs more: app/invoicing
	"POST /v1/connections/{id}/key":                      need(WriteSetup, Connection).named("id"),
	"POST /v1/connections/{id}/disconnect":               need(WriteSetup, Connection).named("id"),
	"GET /v1/connections/{id}/key-check":                 need(ReadLedger, Connection).named("id"),
	"POST /v1/connections/{id}/key-check":                need(WriteSetup, Connection).named("id"),
	"GET /v1/connections/{id}/log":                       need(ReadLedger, Connection).named("id"),
	"GET /v1/connections/{id}/sync":                      need(ReadLedger, Connection).named("id"),
	"PATCH /v1/connections/{id}/sync":                    need(WriteSetup, Connection).named("id"),
	"POST /v1/connections/{id}/backfill":                 need(RunSync, Connection).named("id"),
	"GET /v1/accounts":                                   need(ReadLedger, Filtered),
	"POST /v1/accounts":                                  need(WriteSetup, Checked),
	"GET /v1/accounts/{account}":                         need(ReadLedger, Account).named("account"),
	"GET /v1/connections/{id}":                           need(ReadLedger, Connection).named("id"),
	"GET /v1/accounts/{account}/plans":                   need(ReadLedger, Account).named("account"),
	"GET /v1/snapshots":                                  need(ReadLedger, Filtered),
	"GET /v1/accounts/{account}/snapshots/{snapshot}":    need(ReadLedger, Account).named("account"),
	"GET /v1/accounts/{account}/contracts":               need(ReadLedger, Account).named("account"),
	"POST /v1/accounts/{account}/contracts":              need(WriteContract, Account).named("account"),
	"POST /v1/accounts/{account}/contracts/versions":     need(WriteContract, Account).named("account"),
	"GET /v1/accounts/{account}/contracts/effective":     need(ReadLedger, Account).named("account"),
	"POST /v1/accounts/{account}/plans":                  need(WriteSetup, Account).named("account"),
	"POST /v1/accounts/{account}/snapshots":              need(WriteSetup, Account).named("account"),
	"POST /v1/accounts/{account}/decisions":              need(UploadDecisions, Account).named("account"),
	"GET /v1/cycles/{id}/revisions":                      need(ReadLedger, Cycle).named("id"),
	"GET /v1/cycles/{id}/corrections":                    need(ReadLedger, Cycle).named("id"),
	"POST /v1/cycles/{id}/corrections":                   need(RunCycle, Cycle).named("id"),
	"POST /v1/cycles/{id}/corrections/{number}/approve":  need(ApproveCycle, Cycle).named("id"),
	"POST /v1/cycles/{id}/corrections/{number}/withdraw": need(RunCycle, Cycle).named("id"),
	"POST /v1/cycles/{id}/corrections/{number}/retry":    need(RunCycle, Cycle).named("id"),
	"GET /v1/accounts/{account}/go-live":                 need(ReadLedger, Account).named("account"),
	"POST /v1/accounts/{account}/go-live":                need(WriteSetup, Account).named("account"),

	// Customers, and whose they are.
	"GET /v1/accounts/{account}/customers":                      need(ReadLedger, Account).named("account"),
	"GET /v1/accounts/{account}/customers/{customer}":           need(ReadLedger, Account).named("account"),
	"GET /v1/accounts/{account}/customers/{customer}/invoices":  need(ReadLedger, Account).named("account"),
	"GET /v1/accounts/{account}/customers/{customer}/charges":   need(ReadLedger, Account).named("account"),
	"GET /v1/accounts/{account}/customers/{customer}/disputes":  need(ReadLedger, Account).named("account"),
	"GET /v1/accounts/{account}/segments":                       need(ReadLedger, Account).named("account"),
	"GET /v1/connections/{id}/mapping":                          need(ReadLedger, Connection).named("id"),
	"POST /v1/connections/{id}/mapping":                         need(WriteSetup, Connection).named("id"),
	"GET /v1/connections/{id}/links":                            need(ReadLedger, Connection).named("id"),
	"POST /v1/connections/{id}/links":                           need(DecideMapping, Connection).named("id"),
	"POST /v1/connections/{id}/links/{link}/retract":            need(DecideMapping, Connection).named("id"),
	"POST /v1/connections/{id}/user-aids":                       need(UploadMapping, Connection).named("id"),
	"GET /v1/connections/{id}/suggestions":                      need(ReadLedger, Connection).named("id"),
	"POST /v1/connections/{id}/suggestions/{suggestion}/accept": need(DecideMapping, Connection).named("id"),
	"POST /v1/connections/{id}/suggestions/{suggestion}/reject": need(DecideMapping, Connection).named("id"),
	"GET /v1/connections/{id}/quarantine":                       need(ReadLedger, Connection).named("id"),
	"GET /v1/connections/{id}/coverage":                         need(ReadLedger, Connection).named("id"),

	// Events, and how they flow.
	"GET /v1/events": need(ReadLedger, Filtered),
	"GET /v1/connections/{id}/events/{event}":     need(ReadLedger, Connection).named("id"),
	"GET /v1/dead-letters":                        need(ReadLedger, Filtered),
	"POST /v1/connections/{id}/reprocess":         need(RunSync, Connection).named("id"),
	"POST /v1/connections/{id}/reads":             need(RunSync, Connection).named("id"),
	"GET /v1/ingest/health":                       need(ReadLedger, Filtered),
	"GET /v1/connections/{id}/flow":               need(ReadLedger, Connection).named("id"),
	"GET /v1/replays":                             need(ReadLedger, Filtered),
	"POST /v1/accounts/{account}/replays":         need(RunCycle, Account).named("account"),
	"GET /v1/accounts/{account}/replays/{period}": need(ReadLedger, Account).named("account"),
	"GET /v1/notifications":                       need(ReadLedger, Filtered),
	"GET /metrics":                                need(ReadLedger, Filtered),

	// Measurement and billing.
	"GET /v1/accounts/{account}/reward-events":         need(ReadLedger, Account).named("account"),
	"GET /v1/accounts/{account}/reward-events/{event}": need(ReadLedger, Account).named("account"),
	"GET /v1/accounts/{account}/readouts":              need(ReadLedger, Account).named("account"),
	"GET /v1/readouts/{caseID}":                        need(ReadLedger, Readout).named("caseID"),
	"GET /v1/readouts/{caseID}/manifest":               need(ReadLedger, Readout).named("caseID").exported(),
	"GET /v1/cycles":                                   need(ReadLedger, Filtered),
	"GET /v1/cycles/{id}":                              need(ReadLedger, Cycle).named("id"),
	"GET /v1/invoices":                                 need(ReadLedger, Filtered),
	"GET /v1/invoices/{id}":                            need(ReadLedger, Cycle).named("id"),
	"GET /v1/accounts/{account}/true-ups":              need(ReadLedger, Account).named("account"),
	"POST /v1/accounts/{account}/true-ups":             need(RunCycle, Account).named("account"),
	"GET /v1/adjustments":                              need(ReadLedger, Filtered),
	"GET /v1/approvals":                                need(ReadLedger, Filtered),

	// Reconciliation.
	"GET /v1/breaks":                                                  need(ReadLedger, Filtered),
	"GET /v1/breaks.csv":                                              need(ReadLedger, Filtered).exported(),
	"GET /v1/breaks/{break}":                                          need(ReadLedger, Break).named("break"),
	"POST /v1/breaks/{break}/assign":                                  need(ResolveBreak, Break).named("break"),
	"POST /v1/breaks/{break}/notes":                                   need(ResolveBreak, Break).named("break"),
	"POST /v1/breaks/{break}/resolve":                                 need(ResolveBreak, Break).named("break"),
	"POST /v1/breaks/{break}/request-force":                           need(ResolveBreak, Break).named("break"),
	"POST /v1/breaks/{break}/reopen":                                  need(ResolveBreak, Break).named("break"),
	"POST /v1/breaks/{break}/force":                                   need(ForceBreak, Break).named("break"),
	"GET /v1/accounts/{account}/reconciliations/{period}":             need(ReadLedger, Account).named("account"),
	"GET /v1/accounts/{account}/reconciliations/{period}/tie-out.csv": need(ReadLedger, Account).named("account").exported(),
	"POST /v1/accounts/{account}/reconciliations/{period}/run":        need(RunSync, Account).named("account"),
	"GET /v1/accounts/{account}/months/{period}":                      need(ReadLedger, Account).named("account"),
	"POST /v1/accounts/{account}/months/{period}/close":               need(DecideCycle, Account).named("account"),
	"POST /v1/accounts/{account}/months/{period}/reopen":              need(DecideCycle, Account).named("account"), // not by who closed it: domain/recon
	"GET /v1/accounts/{account}/tolerance":                            need(ReadLedger, Account).named("account"),
	"POST /v1/accounts/{account}/tolerance":                           need(WriteContract, Account).named("account"),
	"POST /v1/connections/{id}/compare":                               need(RunSync, Connection).named("id"),

	// Access and audit.
	"GET /v1/me":                  need(OwnAccess, Filtered),
	"GET /v1/tokens":              need(ManageAccess, Filtered),
	"POST /v1/tokens":             need(ManageAccess, Checked),
	"POST /v1/tokens/{id}/rotate": need(ManageAccess, Checked),
	"POST /v1/tokens/{id}/revoke": need(ManageAccess, Checked),
	"GET /v1/users":               need(ManageAccess, WholeInstallation),
	"GET /v1/audit":               need(ReadAudit, Filtered),

	// Pages.
	"GET /":                            need(ReadLedger, Filtered).page(),
	"GET /cycles":                      need(ReadLedger, Filtered).page(),
	"GET /cycles/{id}":                 need(ReadLedger, Cycle).named("id").page(),
	"GET /cycles/{id}/lines/{line}":    need(ReadLedger, Cycle).named("id").page(),
	"GET /cycles.{format}":             need(Export, Filtered).page().exported(),
	"GET /cycles/{id}/export.{format}": need(Export, Cycle).named("id").page().exported(),
	"GET /cycles/{id}/lines/{line}/export.{format}":   need(Export, Cycle).named("id").page().exported(),
	"GET /cycles/{id}/journal.{format}":               need(Export, Cycle).named("id").page().exported(),
	"GET /accruals":                                   need(ReadLedger, Filtered).page(),
	"POST /accounts/{id}/snapshots":                   need(WriteSetup, Account).named("id").page(),
	"GET /accounts/{id}/snapshots/{snapshot}":         need(ReadLedger, Account).named("id").page(),
	"POST /accounts/{id}/snapshots/{snapshot}/retire": need(WriteSetup, Account).named("id").page(),
	"POST /accounts/{id}/accruals":                    need(RunCycle, Account).named("id").page(),
	"GET /accruals.{format}":                          need(Export, Filtered).page().exported(),
	"GET /accruals/journal.{format}":                  need(Export, Filtered).page().exported(),
	"GET /snapshots":                                  need(ReadLedger, Filtered).page(),
	"GET /snapshots.{format}":                         need(Export, Filtered).page().exported(),
	"GET /invoices":                                   need(ReadLedger, Filtered).page(),
	"GET /invoices.{format}":                          need(Export, Filtered).page().exported(),
	"GET /invoices/{id}":                              need(ReadLedger, Cycle).named("id").page(),
	"GET /invoice-lines.{format}":                     need(Export, Filtered).page().exported(),
	"GET /invoices/{id}/export.{format}":              need(Export, Cycle).named("id").page().exported(),
	"GET /accounts/{id}/events.{format}":              need(Export, Account).named("id").page().exported(),
	"GET /accounts/{id}/customers":                    need(ReadLedger, Account).named("id").page(),
	"GET /accounts/{id}/customers.{format}":           need(Export, Account).named("id").page().exported(),
	"GET /accounts/{id}/customers/{customer}":         need(ReadLedger, Account).named("id").page(),
	"GET /connections":                                need(ReadLedger, Filtered).page(),
	"GET /connections.{format}":                       need(Export, Filtered).page().exported(),
	"GET /connections/{id}":                           need(ReadLedger, Connection).named("id").page(),
	"GET /connections/{id}/doctor.{format}":           need(Export, Connection).named("id").page().exported(),
	"GET /events":                                     need(ReadLedger, Filtered).page(),
	"GET /find":                                       need(ReadLedger, Filtered).page(),
	"GET /events.{format}":                            need(Export, Filtered).page().exported(),
	"GET /replays":                                    need(ReadLedger, Filtered).page(),
	"GET /replays.{format}":                           need(Export, Filtered).page().exported(),
	"GET /readouts/{case}/export.{format}":            need(Export, Readout).named("case").page().exported(),
	"GET /readouts/{case}":                            need(ReadLedger, Readout).named("case").page(),
	"POST /readouts/{case}/recompute":                 need(RunCycle, Readout).named("case").page(),
	"GET /accounts":                                   need(ReadLedger, Filtered).page(),
	"GET /accounts.{format}":                          need(Export, Filtered).page().exported(),
	"GET /accounts/{id}/events":                       need(ReadLedger, Account).named("id").page(),
	"GET /accounts/{id}/events/{event}":               need(ReadLedger, Account).named("id").page(),
	"POST /accounts/{id}/events/{event}/{step}":       need(RunSync, Account).named("id").page(),
	"GET /audit":                                      need(ReadAudit, Filtered).page(),
	"GET /audit/verify":                               need(ReadAudit, WholeInstallation).page(),
	"GET /audit.{format}":                             need(Export, Filtered).page().exported(),
	"GET /access":                                     need(ManageAccess, WholeInstallation).page(),
	"GET /breaks":                                     need(ReadLedger, Filtered).page(),
	"GET /breaks.{format}":                            need(Export, Filtered).page().exported(),
	"GET /coverage":                                   need(ReadLedger, Filtered).page(),
	"GET /coverage.{format}":                          need(Export, Filtered).page().exported(),
	"POST /accounts/{id}/suggestions/{suggestion}":    need(DecideMapping, Account).named("id").page(),
	"GET /adjustments":                                need(ReadLedger, Filtered).page(),
	"GET /adjustments.{format}":                       need(Export, Filtered).page().exported(),
	"GET /cycles/{id}/corrections":                    need(ReadLedger, Cycle).named("id").page(),
	"POST /cycles/{id}/corrections":                   need(RunCycle, Cycle).named("id").page(),
	"POST /cycles/{id}/corrections/{number}/approve":  need(ApproveCycle, Cycle).named("id").page(),
	"POST /cycles/{id}/corrections/{number}/withdraw": need(RunCycle, Cycle).named("id").page(),
	"GET /contracts":                                  need(ReadLedger, Filtered).page(),
	"GET /contracts.{format}":                         need(Export, Filtered).page().exported(),
	"GET /accounts/{id}/whatif":                       need(ReadLedger, Account).named("id").page(),
	"GET /accounts/{id}/whatif.{format}":              need(Export, Account).named("id").page().exported(),
	"POST /cycles":                                    need(DecideCycle, Filtered).page(),
	"POST /cycles/{id}/close":                         need(DecideCycle, Cycle).named("id").page(),
	"POST /cycles/{id}/reconcile":                     need(RunSync, Cycle).named("id").page(),
	"GET /accounts/{id}/months/{period}":              need(ReadLedger, Account).named("id").page(),
	"POST /accounts/{id}/months/{period}/reconcile":   need(RunSync, Account).named("id").page(),
	"POST /accounts/{id}/true-ups":                    need(RunCycle, Account).named("id").page(),
	"POST /accounts/{id}/months/{period}/replay":      need(RunCycle, Account).named("id").page(),
	"POST /breaks":                                    need(ResolveBreak, Filtered).page(),
	"GET /breaks/{id}":                                need(ReadLedger, Break).named("id").page(),
	"POST /breaks/{id}/assign":                        need(ResolveBreak, Break).named("id").page(),
	"POST /breaks/{id}/notes":                         need(ResolveBreak, Break).named("id").page(),
	"POST /breaks/{id}/resolve":                       need(ResolveBreak, Break).named("id").page(),
	"POST /breaks/{id}/request-force":                 need(ResolveBreak, Break).named("id").page(),
	"POST /breaks/{id}/force":                         need(ForceBreak, Break).named("id").page(),
	"POST /breaks/{id}/reopen":                        need(ResolveBreak, Break).named("id").page(),
	"GET /connections/{id}/compare":                   need(ReadLedger, Connection).named("id").page(),
	"POST /connections/{id}/compare":                  need(RunSync, Connection).named("id").page(),
	"POST /cycles/{id}/decide":                        need(DecideCycle, Cycle).named("id").page(),
	"POST /cycles/{id}/preview":                       need(RunCycle, Cycle).named("id").page(),
	"POST /access/users":                              need(ManageAccess, WholeInstallation).page(),
	"POST /access/users/{id}":                         need(ManageAccess, WholeInstallation).page(),
	"POST /access/users/{id}/link":                    need(ManageAccess, WholeInstallation).page(),
	"POST /access/users/{id}/sign-out":                need(ManageAccess, WholeInstallation).page(),
	"POST /access/tokens":                             need(ManageAccess, WholeInstallation).page(),
	"POST /access/tokens/{id}/rotate":                 need(ManageAccess, WholeInstallation).page(),
	"POST /access/tokens/{id}/revoke":                 need(ManageAccess, WholeInstallation).page(),
	"GET /you":                                        need(OwnAccess, Filtered).page(),
	"POST /you/password":                              need(OwnAccess, Filtered).page(),
	"POST /you/sign-out-everywhere":                   need(OwnAccess, Filtered).page(),
	"POST /sign-out":                                  need(OwnAccess, Filtered).page(),
})

// withExports adds the files of the pages as programs fetch them: under the same rule, with
// a token.
func withExports(pages map[string]Rule) map[string]Rule {
	out := maps.Clone(pages)
	for route, rule := range pages {
		if path, ok := strings.CutPrefix(route, "GET /"); ok && rule.Page && strings.HasSuffix(path, ".{format}") {
			rule.Page = false
			out["GET /v1/exports/"+path] = rule
		}
	}
	return out
}

// RuleOf finds the rule of a route, named as "GET /v1/accounts/{account}/readouts".
func RuleOf(route string) (Rule, bool) {
	r, ok := rules[route]
	return r, ok
}

// Routes lists every route that has a rule, in no order.
func Routes() []string {
	out := make([]string, 0, len(rules))
	for route := range rules {
		out = append(out, route)
	}
	return out
}
