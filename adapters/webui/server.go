// Package webui serves the pages that finance reads: the cycles of a month, the
// tie-out of one cycle, the readout behind a line, and the rows behind a number; and
// the pages of access: sign-in, one's own account, users and tokens, the audit log.
//
// Pages are rendered on the server from the same use cases as the JSON API, load
// nothing from another host and need no JavaScript; one small script of our own adds the
// keyboard. Filters live in the URL. The
// package owns wording, layout and drawing; it computes no money, except for the
// sums of what a page shows.
package webui

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	app "github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/access"
)

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed static/style.css
var styleSheet []byte

//go:embed static/keys.js
var keyScript []byte

// Reconcile answers the pages' questions; *reconcile.Service is it.
type Reconcile interface {
	Cycles(ctx context.Context, f reconcile.CyclesFilter) (reconcile.Page[reconcile.CycleSummary], error)
	Periods(ctx context.Context, scope access.Scope) ([]string, error)
	TieOut(ctx context.Context, cycleID string) (reconcile.TieOut, error)
	Explain(ctx context.Context, cycleID, line string) (reconcile.Explanation, error)
	Readout(ctx context.Context, caseID string) (reconcile.Readout, error)
	RewardEvents(ctx context.Context, f reconcile.RewardEventsFilter) (reconcile.Page[reconcile.RewardEvent], error)
	RewardEvent(ctx context.Context, accountID, id string) (reconcile.RewardEventDetail, error)
	Zone(ctx context.Context, accountID string) (*time.Location, error)
	Accounts(ctx context.Context, scope access.Scope) ([]reconcile.Overview, error)
	AccountList(ctx context.Context, f reconcile.AccountsFilter) (reconcile.Page[reconcile.Overview], error)
	AccountHealth(ctx context.Context, accountIDs []string, now time.Time) (map[string]reconcile.AccountHealth, error)
	Overview(ctx context.Context, scope access.Scope, now time.Time) (reconcile.Board, error)
	Invoices(ctx context.Context, f reconcile.InvoicesFilter) (reconcile.Page[reconcile.InvoiceRow], error)
	Invoice(ctx context.Context, cycleID string) (reconcile.InvoiceDetail, error)
	InvoiceLines(ctx context.Context, cycleIDs []string) (map[string][]reconcile.InvoiceLine, error)
	Trend(ctx context.Context, r reconcile.Readout) ([]reconcile.TrendPoint, error)
	Weights(ctx context.Context, r reconcile.Readout) ([]reconcile.WeightCount, error)
	Snapshots(ctx context.Context, f reconcile.SnapshotsFilter) (reconcile.Page[reconcile.Snapshot], error)
	Gaps(ctx context.Context, accountID, month string) ([]reconcile.Gap, error)
	Adjustments(ctx context.Context, f reconcile.AdjustmentsFilter) (reconcile.Page[reconcile.Adjustment], error)
	SnapshotDetail(ctx context.Context, accountID, id string) (reconcile.SnapshotDetail, error)
}

// Services are the use cases behind the pages. All fields are required.
type Services struct {
	Reconcile Reconcile
	Access    Access
	Audit     Audit
	Operate   Operate
	Customers Customers
	Replays   Replays
	Deciding  Deciding
	Previews  Previews
	Notices   Notices
	Breaks    Breaks
	Mapping   Mapping
	Accruals  Accruals
	// Corrections propose and approve what is done about a wrong invoice.
	Corrections Corrections
	Agreements  Agreements
	WhatIf      WhatIf
	Shipping    Shipping
	Sources     Sources
	GoLive      GoLive
	Keys        Keys
	// Replaying has months derived again.
	Replaying Replaying
	// TrueUps looks at contracts that have ended.
	TrueUps TrueUps
}

// Options of the pages. The zero value works.
type Options struct {
	// TemporalUI is the base address of the Temporal web console; empty shows no links to it.
	TemporalUI string
	// TemporalNamespace of the workflows; empty is "default".
	TemporalNamespace string
	// TLS: browsers reach the pages over TLS, so that cookies may demand it.
	TLS bool
	// PagesURL is where browsers reach the pages; sign-in links begin with it.
	PagesURL string
	// JournalAccounts are the names of the journals' accounts in the vendor's chart of accounts;
	// a name without an entry stays as it is.
	JournalAccounts map[string]string
	// Provider is the name of the OpenID provider; empty hides its button.
	Provider string
}

// Server serves the pages.
type Server struct {
	reconcile  Reconcile
	access     Access
	audit      Audit
	operate    Operate
	customer   Customers
	replays    Replays
	deciding   Deciding
	previews   Previews
	notices    Notices
	breaks     Breaks
	mapping    Mapping
	accrued    Accruals
	shipping   Shipping
	correct    Corrections
	agreements Agreements
	simulate   WhatIf
	sources    Sources
	golive     GoLive
	keys       Keys
	replaying  Replaying
	trueups    TrueUps
	options    Options
	clock      clock.Clock
	log        *slog.Logger
	pages      map[string]*template.Template
	styleURL   string
	scriptURL  string
}

// policy lets a page load its own style and its own script, and nothing else.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// check names the first use case that is missing, also where an interface holds a nil
// pointer: a page would notice when it is asked for.
func (s Services) check() error {
	v := reflect.ValueOf(s)
	for i := range v.NumField() {
		f := v.Field(i)
		if f.IsNil() || f.Elem().Kind() == reflect.Pointer && f.Elem().IsNil() {
			return fmt.Errorf("the pages lack a use case: Services.%s is nil", v.Type().Field(i).Name)
		}
	}
	return nil
}

// New parses the pages. An error is a mistake of the program: a use case that is missing, or
// a template.
func New(services Services, options Options, clk clock.Clock, logger *slog.Logger) (*Server, error) {
	if err := services.check(); err != nil {
		return nil, err
	}
	if clk == nil || logger == nil {
		return nil, errors.New("the pages lack their clock or their log")
	}
	options.TemporalUI = strings.TrimRight(options.TemporalUI, "/")
	if options.TemporalNamespace == "" {
		options.TemporalNamespace = "default"
	}
	s := &Server{
		reconcile: services.Reconcile, access: services.Access, audit: services.Audit,
		operate: services.Operate, customer: services.Customers, replays: services.Replays, deciding: services.Deciding, notices: services.Notices, previews: services.Previews, accrued: services.Accruals, shipping: services.Shipping, breaks: services.Breaks, mapping: services.Mapping, correct: services.Corrections, agreements: services.Agreements, simulate: services.WhatIf, sources: services.Sources, golive: services.GoLive, keys: services.Keys, replaying: services.Replaying, trueups: services.TrueUps, options: options, clock: clk, log: logger,
		pages: map[string]*template.Template{}, styleURL: versioned("/static/style.css", styleSheet), scriptURL: versioned("/static/keys.js", keyScript),
	}
	for _, name := range []string{"overview", "list", "invoice", "customer", "snapshot", "cycles", "cycle", "accountmonth", "line", "readout", "accounts", "events", "event", "error", "signin", "signinlink", "you", "access", "audit", "break", "compare", "coverage", "corrections", "whatif", "connection"} {
		t, err := template.New("layout.html").Funcs(functions).ParseFS(templateFiles, "templates/layout.html", "templates/parts.html", "templates/month.html", "templates/"+name+".html")
		if err != nil {
			return nil, fmt.Errorf("parse page %s: %w", name, err)
		}
		s.pages[name] = t
	}
	return s, nil
}

// Register mounts the pages on root, and gives browsers an error page for every
// address that is not the API's.
func (s *Server) Register(root *echo.Echo) {
	e := exporting{root}
	others := e.HTTPErrorHandler
	e.HTTPErrorHandler = func(err error, c echo.Context) {
		if strings.HasPrefix(c.Request().URL.Path, "/v1/") || !strings.Contains(c.Request().Header.Get(echo.HeaderAccept), "text/html") {
			others(err, c)
			return
		}
		s.errorPage(err, c)
	}
	e.GET("/", s.overview)
	e.GET("/find", s.find)
	e.GET("/cycles", s.cycles)
	e.GET("/cycles.:format", s.cyclesExport)
	e.GET("/cycles/:id", s.cycle)
	e.POST("/cycles/:id/decide", s.decide)
	e.POST("/cycles/:id/preview", s.previewCycle)
	e.GET("/cycles/:id/export.:format", s.cycleExport)
	e.GET("/cycles/:id/journal.:format", s.journalExport)
	e.GET("/cycles/:id/lines/:line", s.line)
	e.GET("/cycles/:id/lines/:line/export.:format", s.lineExport)
	e.GET("/readouts/:case", s.readout)
	e.GET("/readouts/:case/export.:format", s.readoutExport)
	e.POST("/readouts/:case/recompute", s.recompute)
	e.GET("/invoices", s.invoices)
	e.GET("/invoices.:format", s.invoicesExport)
	e.GET("/invoice-lines.:format", s.invoiceLinesExport)
	e.GET("/invoices/:id", s.invoice)
	e.GET("/invoices/:id/export.:format", s.invoiceExport)
	e.GET("/accounts", s.accounts)
	e.GET("/accounts.:format", s.accountsExport)
	e.GET("/accounts/:id/events", s.events)
	e.GET("/accounts/:id/events.:format", s.rewardsExport)
	e.GET("/accounts/:id/events/:event", s.event)
	e.POST("/accounts/:id/events/:event/:step", s.eventStep)
	e.GET("/accounts/:id/customers", s.customers)
	e.GET("/accounts/:id/customers.:format", s.customersExport)
	e.GET("/accounts/:id/customers/:customer", s.customerPage)
	e.GET("/connections", s.connections)
	e.GET("/connections.:format", s.connectionsExport)
	e.GET("/connections/:id", s.connectionPage)
	e.GET("/connections/:id/doctor.:format", s.doctorExport)
	e.GET("/events", s.eventLog)
	e.GET("/events.:format", s.eventLogExport)
	e.GET("/accruals", s.accruals)
	e.POST("/accounts/:id/accruals", s.computeAccrual)
	e.GET("/accruals.:format", s.accrualsExport)
	e.GET("/accruals/journal.:format", s.accrualJournal)
	e.GET("/snapshots", s.snapshots)
	e.GET("/snapshots.:format", s.snapshotsExport)
	e.POST("/accounts/:id/snapshots", s.shipSnapshot)
	e.GET("/accounts/:id/snapshots/:snapshot", s.snapshotPage)
	e.POST("/accounts/:id/snapshots/:snapshot/retire", s.retireSnapshot)
	e.GET("/audit.:format", s.auditExport)
	e.GET("/replays", s.replayPage)
	e.GET("/replays.:format", s.replayExport)
	s.registerBreaks(e)
	s.registerCoverage(e)
	s.registerAdjustments(e)
	s.registerContracts(e)
	s.registerAccess(root)
	e.GET("/static/style.css", asset("text/css; charset=utf-8", styleSheet))
	e.GET("/static/keys.js", asset("text/javascript; charset=utf-8", keyScript))
}

// ExportPrefix is where programs fetch the files of the pages, with a token.
const ExportPrefix = "/v1/exports"

// exporting mounts every file a second time, for programs. It is the same file: the same
// rows, control totals and digest.
type exporting struct{ *echo.Echo }

// GET mounts a page or a file.
func (x exporting) GET(path string, h echo.HandlerFunc, m ...echo.MiddlewareFunc) *echo.Route {
	if strings.HasSuffix(path, ".:format") {
		x.Echo.GET(ExportPrefix+path, h, m...)
	}
	return x.Echo.GET(path, h, m...)
}

// versioned is an address that holds the digest of its file, so that the file behind it
// never changes.
func versioned(path string, file []byte) string {
	sum := sha256.Sum256(file)
	return path + "?v=" + hex.EncodeToString(sum[:6])
}

func asset(kind string, file []byte) echo.HandlerFunc {
	return func(c echo.Context) error {
		c.Response().Header().Set(echo.HeaderCacheControl, "public, max-age=31536000, immutable")
		return c.Blob(http.StatusOK, kind, file)
	}
}

// frame is what every page shows around its content.
type frame struct {
	Title       string
	Active      string // the entry of the navigation
	Environment string // "live", "test", or "" when the page shows both
	Shadow      bool   // of a shadow month, whatever the environment
	AsOf        string
	StyleURL    string
	ScriptURL   string
	TemporalUI  string
	// Who is signed in; empty on the pages before the sign-in.
	Who  string
	CSRF string
	// May lists what the navigation may show.
	May  may
	Page any
	// sent is a form that was refused, at the address sentTo.
	sent   url.Values
	sentTo string
}

// Kept is what somebody typed into the form of an action that was refused, so that it need not
// be typed again; empty for every other form. An action is the end of an address.
func (f frame) Kept(action, name string) string {
	if f.sent == nil || !strings.HasSuffix(f.sentTo, action) {
		return ""
	}
	return f.sent.Get(name)
}

// may says which entries of the navigation lead somewhere.
type may struct{ Audit, Access, Export bool }

func scopeOf(c echo.Context) access.Scope { return app.From(c.Request().Context()).Scope }

func (s *Server) render(c echo.Context, status int, page string, f frame) error {
	f.AsOf = stamp(s.clock.Now())
	if caller := app.From(c.Request().Context()); caller.Kind == access.User {
		f.Who, f.CSRF = caller.Name, caller.CSRF()
		f.May = may{Audit: caller.Can(access.ReadAudit), Access: caller.Can(access.ManageAccess), Export: caller.Can(access.Export)}
	}
	if c.Request().Method == http.MethodPost && status >= http.StatusBadRequest {
		f.sent, f.sentTo = posted(c), c.Request().URL.Path
	}
	f.StyleURL, f.ScriptURL, f.TemporalUI = s.styleURL, s.scriptURL, s.options.TemporalUI
	var out bytes.Buffer
	if err := s.pages[page].Execute(&out, f); err != nil {
		return fmt.Errorf("render page %s: %w", page, err)
	}
	h := c.Response().Header()
	h.Set(echo.HeaderContentSecurityPolicy, policy)
	h.Set(echo.HeaderCacheControl, "no-store")
	return c.HTMLBlob(status, out.Bytes())
}

// workflowURL lists the runs of a workflow in the Temporal web console, the newest first: a
// bill may have several, and the console has no page for a workflow without a run.
func (s *Server) workflowURL(id string) string {
	if s.options.TemporalUI == "" || id == "" {
		return ""
	}
	return s.asked(`WorkflowId = "` + id + `"`)
}
