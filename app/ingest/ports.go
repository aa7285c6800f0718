// Package ingest takes Stripe's webhooks in: verified on the raw body, stored
// byte for byte, answered after the commit, and classified into reward events by
// the worker.
//
// The request path knows no business rule; the classifier knows no request. What
// was answered with 200 is in the database.
package ingest

import (
	"context"
	"time"

	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/projection"
	"github.com/liftbill/liftbill/domain/reward"
)

// Endpoint is what the request path needs to know about a webhook endpoint.
type Endpoint struct {
	ID              string
	ConnectionID    string
	Environment     account.Environment
	StripeAccountID string
	// Secrets are the signing secrets that are valid now: current first, then the previous one.
	Secrets []string
	Paused  bool
}

// Endpoints finds endpoints by the opaque ID in their URL.
type Endpoints interface {
	// WebhookEndpoint returns a NotFound error for an unknown ID.
	WebhookEndpoint(ctx context.Context, id string) (Endpoint, error)
}

// Verifier checks Stripe's signature over the raw body.
type Verifier interface {
	// Verify accepts a header that one of the secrets signed within five minutes of
	// now, in either direction. Every refusal is an Invalid error with a code.
	Verify(body []byte, header string, secrets []string, now time.Time) error
}

// StoredEvent is a webhook body on its way into the inbox.
type StoredEvent struct {
	ConnectionID string
	Environment  account.Environment
	EventID      string
	Type         string
	ObjectID     string
	APIVersion   string
	Created      time.Time
	Livemode     bool
	SealedBody   []byte
	BodySHA256   [32]byte
	ReceivedAt   time.Time
	Status       Status
	Reason       string
}

// Status is where an event stands.
type Status string

// The states of a stored event.
const (
	Pending     Status = "pending"     // waits for the classifier
	Processed   Status = "processed"   // its facts are booked
	Ignored     Status = "ignored"     // of no interest, by rule
	Quarantined Status = "quarantined" // contradicts its connection; a person must look
	Dead        Status = "dead"        // cannot be understood; kept for a later version
)

// Inbox appends events. Rows are never updated.
type Inbox interface {
	// Append stores the event; false means that it was there before.
	Append(ctx context.Context, e StoredEvent) (bool, error)
}

// PendingEvent is an event that waits for the classifier.
type PendingEvent struct {
	// Seq is its place in the queue.
	Seq          int64
	ConnectionID string
	EventID      string
	Created      time.Time
	SealedBody   []byte
	UserIDKey    string
	// MapByEmail and MapByDomain: the connection maps by the hash of an address too.
	MapByEmail, MapByDomain bool
}

// Outcome is what classification did with one event.
type Outcome struct {
	Event  PendingEvent
	Status Status
	Reason string
	Facts  []reward.Fact
	Reads  []reward.Read
	// Holdings are whose the objects are, as their metadata happened to say.
	Holdings []reward.Holding
	// Aid is set for customers of connections that map by the hash of an address.
	Aid *CustomerAid
	// Seen is what the event says of its object.
	Seen projection.Observation
}

// Queue hands pending events to one classifier at a time.
type Queue interface {
	// Take locks up to limit pending events, oldest first, until the transaction ends.
	Take(ctx context.Context, limit int) ([]PendingEvent, error)
	// Book appends the facts of the outcomes that are new by natural key, writes the
	// customer links, joins what was seen into the projections, and marks the events.
	Book(ctx context.Context, outcomes []Outcome, at time.Time) (Booked, error)
}

// Booked counts what a batch did.
type Booked struct {
	Events     int
	Facts      int
	Duplicates int
	Links      int
	// Beyond counts facts of a time of which lists have told already (see domain/source).
	Beyond int
}

func (b *Booked) add(more Booked) {
	b.Events += more.Events
	b.Facts += more.Facts
	b.Duplicates += more.Duplicates
	b.Links += more.Links
	b.Beyond += more.Beyond
}

// SourceReader reads a source account. It cannot write.
type SourceReader interface {
	// Object reads one object as Stripe's JSON, in the pinned version; a charge comes with
	// its invoice. NotFound when Stripe does not have it.
	Object(ctx context.Context, connectionID, object, id string) ([]byte, error)
	// RefundsOf lists the refund objects of a charge, each as Stripe's JSON.
	RefundsOf(ctx context.Context, connectionID, chargeID string) ([][]byte, error)
	// TakeReads is the number of requests that were sent since it was last asked.
	TakeReads(connectionID string) int
}

// Stores are the stores of the classifier's transaction.
type Stores struct {
	Queue Queue
}
