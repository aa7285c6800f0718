// Package operate is what keeps the ingest of Stripe's events in order: the log of every
// event, what to do about those that went nowhere, classifying again, figures of lag and
// gaps, and how long raw bodies are kept.
//
// It changes no fact. Classifying again puts events back into the queue; the classifier
// books what is new under natural keys.
package operate

import (
	"context"
	"time"

	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/audit"
)

// Event is one stored event as the log shows it: everything but its body.
type Event struct {
	ConnectionID string
	Environment  account.Environment
	EventID      string
	Type         string
	ObjectID     string
	APIVersion   string
	// Source is how it came: webhook, pull, backfill or resend.
	Source      string
	Livemode    bool
	Created     time.Time // at Stripe
	ReceivedAt  time.Time
	ProcessedAt *time.Time
	Attempts    int
	Status      string // pending, processed, ignored, quarantined or dead
	Reason      string
	// BodySHA256 is the digest of the bytes as received, in hexadecimal. It stays when the
	// body is erased.
	BodySHA256 string
	BodyErased bool
}

// EventFact is a fact that an event tells.
type EventFact struct {
	// BookedBy is the event that told it first: this one, a twin, or a read ("read:ch_…").
	BookedBy     string
	Key          string
	Kind         string
	IsReward     bool
	Customer     string
	Subscription string
	Invoice      string
	Charge       string
	AmountMinor  *int64
	Currency     string
	EffectiveAt  time.Time
	RecordedAt   time.Time
}

// EventDetail is one event with the facts that it tells. Of an event whose body was erased
// only those are known that it was the first to tell.
type EventDetail struct {
	Event
	Facts []EventFact
}

// StoredEvent is an event with its body as it is stored.
type StoredEvent struct {
	Event
	SealedBody []byte
	UserIDKey  string
}

// Selection selects events; empty fields select all.
type Selection struct {
	// Scope selects the connections that a caller may see. The zero value selects none; an
	// operator's is access.Everything.
	Scope        access.Scope
	ConnectionID string
	EventID      string
	Type         string
	Status       string
	// Object is the ID of the Stripe object that the event is about.
	Object string
	// Customer selects the events about the customer and about everything that is known
	// to be its: subscriptions, invoices, charges.
	Customer string
	// From and To bound Stripe's own time of the event, half open.
	From, To time.Time
}

// EventsFilter selects a page of events, newest first.
type EventsFilter struct {
	Selection
	// Attention selects dead and quarantined events only.
	Attention bool
	Sort      string // "" is the newest first, SortOldest the oldest
	Cursor    string
	Limit     int
}

// SortOldest lists what Stripe created first before what it created later.
const SortOldest = "created_asc"

// Page is one page of a list: the cursor is empty on the last one.
type Page[T any] struct {
	Items      []T
	NextCursor string
}

// Log reads stored events.
type Log interface {
	Events(ctx context.Context, f EventsFilter) (Page[Event], error)
	// Environment returns NotFound for an unknown connection.
	Environment(ctx context.Context, connectionID string) (account.Environment, error)
	// Event returns NotFound for an unknown event.
	Event(ctx context.Context, connectionID, eventID string) (StoredEvent, error)
	// Facts returns the booked facts among the keys.
	Facts(ctx context.Context, connectionID string, keys []string) ([]EventFact, error)
	// FactsOf returns the facts that an event booked. It reads all facts of the connection.
	FactsOf(ctx context.Context, connectionID, eventID string) ([]EventFact, error)
	// Count counts the selected events that could be classified again, and those that
	// could not because their body was erased or because they were set aside on receipt.
	Count(ctx context.Context, s Selection) (again, not int64, err error)
}

// Queue puts events back.
type Queue interface {
	// Again puts up to limit selected events behind the given number back into the queue,
	// and returns how many, with the number of the last one.
	Again(ctx context.Context, s Selection, after int64, limit int) (n, last int64, err error)
	// LogRequest keeps who had what classified again, and appends the note in the same
	// transaction.
	LogRequest(ctx context.Context, s Selection, events int64, who, reason string, at time.Time, note audit.Entry) error
	// AskRead queues the read of one object, and appends the note in the same transaction.
	AskRead(ctx context.Context, connectionID, object, objectID string, at time.Time, note audit.Entry) error
}

// Health is how the events of one connection flow.
type Health struct {
	ConnectionID string
	Environment  account.Environment
	Paused       bool
	PausedReason string
	// Endpoint is enabled, disabled, missing or unknown; empty without an endpoint.
	Endpoint string
	// LastEvent is Stripe's time of the newest stored event, and when it was received.
	LastEvent    *time.Time
	LastReceived *time.Time
	// OldestPending is since when the oldest event waits for the classifier.
	OldestPending *time.Time
	// Waits is how long that is; nil when nothing waits.
	Waits *time.Duration
	// Waiting are the events by a status that asks for something: pending, quarantined, dead.
	Waiting map[string]int64
	// LastHour are the events that were classified within the last hour, by status.
	LastHour map[string]int64
	// LagP50, LagP95 and LagP99 are the time from receipt to classification of those that were
	// classified for the first time within the last hour; nil when there were none.
	LagP50, LagP95, LagP99 *time.Duration
	// OpenReads are objects that wait to be read at Stripe.
	OpenReads int64
}

// TypeCount is a Stripe event type with what became of it.
type TypeCount struct {
	Type   string
	Events int64
	// Facts counts the booked facts by kind.
	Facts map[string]int64
}

// LagHour is the time from receipt to classification of the events of one connection that
// were classified for the first time within the hour that begins at From.
type LagHour struct {
	From time.Time
	// Events are those the quantiles are taken from: LagHourSample at most.
	Events int64
	// P50 and P99 are nil when there were none.
	P50, P99 *time.Duration
}

// LagHourSample bounds how many events of an hour its lag is taken from.
const LagHourSample = 2000

// Failure counts the events of a type that were set aside.
type Failure struct {
	Type, Status, Reason string
	Events               int64
}

// Figures read lag and gaps.
type Figures interface {
	// Health returns all connections of a scope, or the named one of them.
	Health(ctx context.Context, scope access.Scope, connectionID string, now time.Time) ([]Health, error)
	// Totals counts all stored events of a connection by status.
	Totals(ctx context.Context, connectionID string) (map[string]int64, error)
	// LagHours returns the lag of every hour of an interval, the oldest first.
	LagHours(ctx context.Context, connectionID string, from, until time.Time) ([]LagHour, error)
	// Failures counts what is set aside now, the most first.
	Failures(ctx context.Context, connectionID string) ([]Failure, error)
	// Types counts a connection's events since a time by type.
	Types(ctx context.Context, connectionID string, since time.Time) ([]TypeCount, error)
}
