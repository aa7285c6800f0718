// Package sourcesync keeps a source account in step without webhooks: it fetches
// events, compares what was received with what Stripe has, and reads history from
// lists.
//
// It brings events and objects into the ledger and decides nothing about them: events
// are classified like those of webhooks, objects under the same natural keys. Every
// step may run twice; what is new is stored, what is known is recognised. Which step is
// due, and how far it got, is in the database, so that whoever drives it may die.
package sourcesync

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/reward"
	"github.com/liftbill/liftbill/domain/source"
)

// Resource is what a backfill reads, in this order.
type Resource string

// The resources. Events and PlanChanges are no lists of Stripe's objects: the first
// moves the horizon back as far as events reach, the last concludes from invoices.
const (
	Events        Resource = "events"
	Customers     Resource = "customers"
	Subscriptions Resource = "subscriptions"
	Invoices      Resource = "invoices"
	Charges       Resource = "charges"
	Refunds       Resource = "refunds"
	Disputes      Resource = "disputes"
	CreditNotes   Resource = "credit_notes"
	PlanChanges   Resource = "plan_changes"
)

// Resources lists them in the order in which they are read: whose money it is comes
// before the money.
func Resources() []Resource {
	return []Resource{Events, Customers, Subscriptions, Invoices, Charges, Refunds, Disputes, CreditNotes, PlanChanges}
}

// EventPage is one page of events, newest first.
type EventPage struct {
	Events [][]byte
	// Others counts the events of types that nobody reads.
	Others int
	// Next continues behind this page; empty at the end.
	Next string
	// Oldest is when the last event of the page was created.
	Oldest time.Time
}

// ObjectPage is one page of a list, newest first.
type ObjectPage struct {
	Objects [][]byte
	Next    string
	// Oldest is when the last object of the page was created.
	Oldest time.Time
}

// Source reads a source account at Stripe. It cannot write.
type Source interface {
	// Events fetches a page of the events created in [from, to) that are of interest.
	Events(ctx context.Context, connectionID string, from, to time.Time, after string) (EventPage, error)
	// Objects fetches a page of the objects of a kind created in [from, to).
	Objects(ctx context.Context, connectionID string, r Resource, from, to time.Time, after string) (ObjectPage, error)
	// Lines lists all lines of an invoice.
	Lines(ctx context.Context, connectionID, invoiceID string) ([][]byte, error)
	// TakeReads is the number of requests that were sent since it was last asked.
	TakeReads(connectionID string) int
}

// Connection is a source with where it stands.
type Connection struct {
	account.Connection
	source.State
	// WebhookSince is when the endpoint was made; zero without one. WebhookTypes are the types
	// that it is sent, "*" for all: those that Stripe named, or, where the key may not ask, those
	// that came lately. Nil is not known.
	WebhookSince time.Time
	WebhookTypes []string
	Horizon      source.Horizon
	// SyncStart divides history from what is rewarded; zero when nobody has asked for history.
	SyncStart time.Time
	// ReadEmail: the connection maps by an address.
	ReadEmail bool
}

// sent reports whether the endpoint should bring events of a type.
func (c Connection) sent(eventType string) bool {
	return c.Webhook && (c.WebhookTypes == nil || slices.Contains(c.WebhookTypes, "*") || slices.Contains(c.WebhookTypes, eventType))
}

// Due is what a source needs now.
type Due struct {
	ConnectionID string
	// Sync: a task of its state is due.
	Sync bool
	// BackfillID is a backfill that should be running.
	BackfillID string
}

// StoredEvent is a fetched event on its way into the inbox.
type StoredEvent struct {
	EventID, Type, ObjectID, APIVersion string
	Created                             time.Time
	Livemode                            bool
	SealedBody                          []byte
	BodySHA256                          [32]byte
	// Quarantine is why the classifier must leave it alone; empty for all others.
	Quarantine string
	// Missed: a webhook, or an earlier fetch, should have brought it.
	Missed bool
}

// EventRef names an event.
type EventRef struct {
	EventID string
	Created time.Time
}

// Origin is how an event came in, other than by its webhook.
type Origin string

// The origins.
const (
	FromPull     Origin = "pull"
	FromBackfill Origin = "backfill"
)

// Run is what one task did, as it is shown.
type Run struct {
	Task    source.Task
	Started time.Time
	Window  source.Window
	// Seen counts the events of interest at Stripe, New those that were not here, Missed
	// those of them that should have been.
	Seen, New, Missed int
	Pages             int
}

// Kind is why a backfill was made.
type Kind string

// The kinds.
const (
	// Requested by a person.
	Requested Kind = "requested"
	// ForGap closes a gap that events no longer tell.
	ForGap Kind = "gap"
)

// BackfillState is where a backfill stands.
type BackfillState string

// The states of a backfill.
const (
	BackfillRunning BackfillState = "running"
	BackfillDone    BackfillState = "done"
	// BackfillFailed waits for a person; asked for again, it goes on where it stopped.
	BackfillFailed BackfillState = "failed"
)

// Backfill is one reading of history.
type Backfill struct {
	ID           string
	ConnectionID string
	Kind         Kind
	State        BackfillState
	// Start is where what is wanted begins; source.Whole is all of it.
	Start time.Time
	// Until is when it was asked for: what comes later is told by events.
	Until    time.Time
	Resource Resource
	Reason   source.Reason
	// DoneAt is zero while it is not finished.
	DoneAt time.Time
	// Epoch counts how often it began again.
	Epoch int
}

// ErrBegunAgain is the answer to whoever writes about a backfill that has begun again, or has
// ended, since it was loaded: nothing was stored.
var ErrBegunAgain = errors.New("the backfill has begun again, or ended, meanwhile")

// Window is a stretch of one resource and how far it was read.
type Window struct {
	Resource Resource
	source.Window
	// After is the last object that was booked; empty before the first page.
	After          string
	Pages, Objects int
	Done           bool
}

// Page is what one page of a list brings into the ledger.
type Page struct {
	Observations []reward.Observation
	Plans        []reward.BilledPlan
	// Window is the window after this page.
	Window Window
}

// Booked counts what a page did.
type Booked struct{ Facts, Duplicates, Beyond int }

// Ledger stores where sources stand. Every method is one transaction. What is given the
// backfill that it writes about answers ErrBegunAgain where that is of another epoch now.
type Ledger interface {
	// Due lists the sources of an environment behind a connection that need something at
	// a time, by ID. It first makes the state of connections that have none.
	Due(ctx context.Context, env account.Environment, after string, at time.Time, limit int) ([]Due, error)
	// Connection returns a source with its state, made when it has none. NotFound for an
	// unknown connection, Invalid for one that is no source.
	Connection(ctx context.Context, connectionID string) (Connection, error)
	// Configure stores what a person decided, with its audit entry.
	Configure(ctx context.Context, connectionID string, s source.Settings, at time.Time, note audit.Entry) error
	// Known tells which of the events are stored.
	Known(ctx context.Context, connectionID string, refs []EventRef) (map[string]bool, error)
	// AppendBatch stores events; with a mark it moves the high-water mark, never back.
	// Events that are there already are left as they are. It returns those that were new.
	AppendBatch(ctx context.Context, c Connection, from Origin, events []StoredEvent, mark time.Time, at time.Time) (int, error)
	// SaveRun stores the state after a run, and what it did; a nil run did nothing.
	SaveRun(ctx context.Context, connectionID string, s source.State, run *Run, at time.Time) error
	// LoseEvents records gaps that follow each other, moves the high-water mark behind them and
	// makes the backfill that closes them. A gap in which webhooks came was delivered, whatever
	// became of their endpoint.
	LoseEvents(ctx context.Context, c Connection, gaps []source.Gap, at time.Time) error

	// Backfill returns a backfill.
	Backfill(ctx context.Context, id string) (Backfill, error)
	// OpenBackfill returns the connection's running or failed backfill, set running; without
	// one it stores the given. One that wants less than the given begins again with what
	// both want. An earlier start moves the start of the rewards back. The audit entry is
	// stored with it.
	OpenBackfill(ctx context.Context, b Backfill, at time.Time, note audit.Entry) (out Backfill, created bool, err error)
	// LastWindow is the newest window of a resource; ok is false before the first.
	LastWindow(ctx context.Context, backfillID string, r Resource) (w Window, ok bool, err error)
	// SavePage books a page of a list and remembers how far its window was read.
	SavePage(ctx context.Context, b Backfill, p Page, at time.Time) (Booked, error)
	// SaveWindow remembers how far a window was read.
	SaveWindow(ctx context.Context, b Backfill, w Window, at time.Time) error
	// Enter moves a backfill to its next resource. Behind the events the horizon moves back
	// to where their windows begin, and what lies before it counts as listed from then on.
	Enter(ctx context.Context, b Backfill, r Resource, at time.Time) error
	// Histories lists the billed plans of whole subscriptions behind the given one.
	Histories(ctx context.Context, connectionID, after string, limit int) ([][]reward.BilledPlan, error)
	// BookChanges books inferred plan changes.
	BookChanges(ctx context.Context, b Backfill, facts []reward.Fact, w Window, at time.Time) (Booked, error)
	// CloseBackfill ends a backfill as done or failed.
	CloseBackfill(ctx context.Context, b Backfill, s BackfillState, why source.Reason, at time.Time) error

	// Budget is the read allowance at a time; AddReads counts what was read.
	Budget(ctx context.Context, connectionID string, at time.Time) (source.Budget, error)
	AddReads(ctx context.Context, connectionID string, reads int, at time.Time) error
	// Health is how a source is doing.
	Health(ctx context.Context, connectionID string, at time.Time) (Health, error)
}

// Health is what a person sees of a source.
type Health struct {
	Connection
	Budget source.Budget
	// LastPull and LastCheck are the newest runs that ended well; nil when there was none.
	LastPull, LastCheck *RunView
	// MissedDay and MissedTotal count events that should have come and did not; Missed
	// are the newest of them.
	MissedDay, MissedTotal int
	Missed                 []MissedEvent
	Gaps                   []source.Gap
	// PendingEvents wait for the classifier, PendingReads for a read, FailedReads for a person.
	PendingEvents, PendingReads, FailedReads int
	Backfill                                 *BackfillView
}

// RunView is a run as it is shown.
type RunView struct {
	Task              source.Task
	At                time.Time
	Seen, New, Missed int
}

// MissedEvent is an event that a check found.
type MissedEvent struct {
	EventID, Type    string
	Created, FoundAt time.Time
}

// BackfillView is a backfill with how far its resources are.
type BackfillView struct {
	Backfill
	Progress []ResourceProgress
}

// ResourceProgress is how far one resource is.
type ResourceProgress struct {
	Resource Resource
	// Until is how far its windows reach.
	Until                          time.Time
	Windows, Pages, Objects, Facts int
}
