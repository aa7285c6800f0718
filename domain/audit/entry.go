// Package audit is the form of the audit log: what an entry holds, how entries are
// chained by hashes, and how a chain is verified.
//
// It owns the canonical text that is hashed and the removal of secrets from it. It
// stores nothing; app/audit is the port through which use cases append.
package audit

import (
	"encoding/json"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
)

// Action is what was done, as a stable code: noun, dot, verb in the past.
type Action string

// The actions. Whoever adds a changing operation adds its action here.
const (
	ConnectionCreated   Action = "connection.created"
	ConnectionPaused    Action = "connection.paused"
	ConnectionResumed   Action = "connection.resumed"
	ConnectionKey       Action = "connection.key_replaced"
	ConnectionGone      Action = "connection.disconnected"
	ConnectionWriting   Action = "connection.writing_switched"
	KeyChecked          Action = "connection.key_checked"
	EndpointRegistered  Action = "webhook_endpoint.registered"
	EndpointRotated     Action = "webhook_endpoint.secret_rotated"
	EndpointSecret      Action = "webhook_endpoint.secret_entered"
	EndpointChanged     Action = "webhook_endpoint.status_changed"
	EndpointDeleted     Action = "webhook_endpoint.deleted"
	MappingChanged      Action = "connection.mapping_changed"
	LinkStated          Action = "link.stated"
	LinkRetracted       Action = "link.retracted"
	SuggestionAccepted  Action = "suggestion.accepted"
	SuggestionRejected  Action = "suggestion.rejected"
	UserHashesUploaded  Action = "connection.user_hashes_uploaded"
	EventsReprocessed   Action = "connection.events_reprocessed"
	ObjectReread        Action = "connection.object_reread"
	CustomerErased      Action = "connection.customer_bodies_erased"
	BodiesErased        Action = "events.bodies_erased"
	ProjectionsRebuilt  Action = "projections.rebuilt"
	MonthReplayed       Action = "cycle.replayed"
	ReplayAsked         Action = "cycle.replay_asked"
	AccountCreated      Action = "account.created"
	AccountFilled       Action = "account.filled"
	PayerNamed          Action = "account.payer_named"
	PayerSetupLink      Action = "account.payer_setup_link"
	ContractCreated     Action = "contract.created"
	ContractAmended     Action = "contract.amended"
	PlanSealed          Action = "plan.sealed"
	SnapshotShipped     Action = "snapshot.shipped"
	DecisionsUploaded   Action = "decisions.uploaded"
	SyncConfigured      Action = "connection.sync_configured"
	BackfillRequested   Action = "connection.backfill_requested"
	EventsPulled        Action = "connection.events_pulled"
	CycleStarted        Action = "cycle.started"
	CycleResumed        Action = "cycle.resumed"
	BreakAssigned       Action = "break.assigned"
	BreakNoted          Action = "break.noted"
	BreakResolved       Action = "break.resolved"
	BreakForceAsked     Action = "break.force_requested"
	BreakForced         Action = "break.forced"
	BreakForceDeclined  Action = "break.force_declined"
	BreakReopened       Action = "break.reopened"
	MonthReconciled     Action = "account.month_reconciled"
	MonthClosed         Action = "account.month_closed"
	MonthReopened       Action = "account.month_reopened"
	ToleranceStated     Action = "account.tolerance_stated"
	CycleDecided        Action = "cycle.decided"
	CycleRecomputed     Action = "cycle.recomputed"
	SchedulesEnsured    Action = "schedules.ensured"
	SchemaMigrated      Action = "schema.migrated"
	WritingOpened       Action = "account.live_writing_opened"
	WritingClosed       Action = "account.live_writing_closed"
	CorrectionProposed  Action = "correction.proposed"
	CorrectionApproved  Action = "correction.approved"
	CorrectionWithdrawn Action = "correction.withdrawn"
	CorrectionRetried   Action = "correction.retried"
	AccrualComputed     Action = "accrual.computed"
	SnapshotRetired     Action = "snapshot.retired"

	UserCreated     Action = "user.created"
	UserChanged     Action = "user.changed"
	UserSignedOut   Action = "user.signed_out"
	PasswordChanged Action = "user.password_changed"
	LinkCreated     Action = "user.link_created"
	SignedIn        Action = "user.signed_in"
	SignInRefused   Action = "user.sign_in_refused"
	TokenCreated    Action = "token.created"
	TokenRotated    Action = "token.rotated"
	TokenRevoked    Action = "token.revoked"

	// Denied: a known caller asked for something it may not have.
	Denied Action = "request.denied"
	// Exported: somebody was given a file.
	Exported Action = "export.given"
)

// Outcome says whether what was asked for happened.
type Outcome string

// The outcomes.
const (
	Done    Outcome = "done"
	Refused Outcome = "refused"
)

// Facts are a few named values of an object, before or after a change. They hold no
// secrets: what looks like one is replaced before it is stored.
type Facts map[string]string

// Entry is one row of the log.
type Entry struct {
	At      time.Time
	Actor   access.Actor
	Action  Action
	Outcome Outcome
	// Object and ObjectID name what was acted on, for example "contract" and its ID.
	Object   string
	ObjectID string
	// AccountID is empty when no account is concerned; Environment is empty for what
	// belongs to the installation.
	AccountID   string
	Environment account.Environment
	RequestID   string
	// Reason is why, in the actor's words or as a code.
	Reason string
	// Before and After are canonical JSON of Facts, or empty.
	Before string
	After  string
}

// New begins an entry about something that a principal did.
func New(by access.Principal, at time.Time, action Action, object, id string) Entry {
	return Entry{At: at.UTC().Truncate(time.Microsecond), Actor: by.Actor(), Action: action, Outcome: Done, Object: object, ObjectID: id, RequestID: by.RequestID}
}

// In says where it happened.
func (e Entry) In(accountID string, env account.Environment) Entry {
	e.AccountID, e.Environment = accountID, env
	return e
}

// Because gives the reason.
func (e Entry) Because(reason string) Entry { e.Reason = reason; return e }

// Refusal marks what was asked for and did not happen.
func (e Entry) Refusal() Entry { e.Outcome = Refused; return e }

// Changed says what the object was and became; nil leaves a side out.
func (e Entry) Changed(before, after Facts) Entry {
	e.Before, e.After = before.canonical(), after.canonical()
	return e
}

// canonical is JSON with sorted names.
func (f Facts) canonical() string {
	if len(f) == 0 {
		return ""
	}
	var out strings.Builder
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	clean := make(map[string]string, len(f))
	for name, value := range f {
		clean[name] = cut(scrub(value), maxFact)
	}
	if enc.Encode(clean) != nil {
		return "" // a map of texts is always JSON
	}
	return strings.TrimSuffix(out.String(), "\n")
}

// Limits of a row, in bytes.
const (
	maxText  = 500
	maxFact  = 1000
	maxFacts = 8000
)

// secretRE is what Stripe's and our own secrets, and signed tokens, look like.
var secretRE = regexp.MustCompile(`(?i)\b(?:[sr]k_(?:live|test|org)_|whsec_|lb_(?:live|test)_|sk-)[a-z0-9_]{4,}|\beyJ[a-zA-Z0-9_-]{8,}\.[a-zA-Z0-9_.-]+|\$argon2[a-z]{1,2}\$\S+|\b[a-z2-7]{52}\b`)

// emailRE is what an e-mail address looks like; those of people stay in their one table.
var emailRE = regexp.MustCompile(`[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+`)

const (
	scrubbed = "[secret]"
	noEmail  = "[e-mail]"
)

// odd are characters that no table holds, or that programs write in several ways.
var odd = strings.NewReplacer("\x00", "?", "\u2028", " ", "\u2029", " ")

// scrub takes out what looks like a secret or an e-mail address, and odd characters.
func scrub(s string) string {
	s = odd.Replace(strings.ToValidUTF8(s, "?"))
	return emailRE.ReplaceAllString(secretRE.ReplaceAllString(s, scrubbed), noEmail)
}

func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	s = s[:limit]
	for !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s + "…"
}

// Clean is the entry as it is stored: without secrets, within the limits.
func (e Entry) Clean() (Entry, error) {
	e.At = e.At.UTC().Truncate(time.Microsecond)
	for _, text := range []*string{&e.Actor.ID, &e.Actor.Name, &e.Actor.Person, &e.Object, &e.ObjectID, &e.AccountID, &e.RequestID, &e.Reason} {
		*text = cut(scrub(*text), maxText)
	}
	e.Before, e.After = scrub(e.Before), scrub(e.After)
	switch {
	case e.At.IsZero(), e.Action == "", e.Outcome == "", e.Actor.Kind == "":
		return e, fault.New(fault.Internal, "audit_incomplete", "an audit entry needs a time, an actor, an action and an outcome")
	case e.Environment != "" && e.Environment != account.Live && e.Environment != account.Test:
		return e, fault.New(fault.Internal, "audit_environment", "an audit entry names no environment that exists")
	case e.AccountID != "" && e.Environment == "":
		return e, fault.New(fault.Internal, "audit_environment", "an audit entry of an account needs its environment")
	case len(e.Before) > maxFacts, len(e.After) > maxFacts:
		return e, fault.New(fault.Internal, "audit_too_long", "an audit entry holds facts, not objects")
	}
	return e, nil
}
