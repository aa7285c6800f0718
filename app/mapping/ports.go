// Package mapping is the use case of joining Stripe's customers to the vendor's users:
// what a connection maps by, what a person decides, what is unmapped and what it is worth.
//
// Statements of Stripe come in through app/ingest. Nothing here guesses: a suggestion is
// shown, and becomes a link when a person accepts it.
package mapping

import (
	"context"
	"time"

	"github.com/liftbill/liftbill/app/audit"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/mapping"
	"github.com/liftbill/liftbill/domain/period"
)

// Decision is who decided and why; both are kept.
type Decision struct {
	By     access.Principal
	Reason string
}

// Who names the one who decided, as stored rows keep it.
func (d Decision) Who() string { return d.By.Label() }

// Settings are what a connection maps by.
type Settings struct {
	ConnectionID string
	// Environment is the connection's; it is not set, but found.
	Environment account.Environment
	// UserIDKey is the metadata entry that names the user.
	UserIDKey string
	// ByEmail and ByDomain suggest users by the hash of the customer's address or of its
	// domain. Off by default.
	ByEmail, ByDomain bool
	// BySubscription lets a subscription's own metadata override its customer's.
	BySubscription bool
	// LeaveOutSuggested keeps revenue that is joined by e-mail or domain out of readouts.
	LeaveOutSuggested bool
}

// Reread is what other settings have read again.
type Reread struct {
	// Events counts the stored events.
	Events int64
	// Backfill reads the history once more; empty where none was read before.
	Backfill string
}

// Link is a span with the decision behind it.
type Link struct {
	ConnectionID string
	mapping.Span
	// DecidedBy and Reason are empty for links that metadata made.
	DecidedBy  string
	Reason     string
	RecordedAt time.Time
}

// LinksFilter selects links; empty fields select all.
type LinksFilter struct {
	ConnectionID string
	Subject      string
	User         string
	Source       string
	State        string
	Cursor       string
	Limit        int
}

// UserAid is what an integrator tells of one user: hashes only. A user without any is
// forgotten.
type UserAid struct {
	User          string
	Email, Domain *mapping.Hash
}

// Suggestion is a user that the aids of an unmapped customer point at.
type Suggestion struct {
	ID           string
	ConnectionID string
	Customer     string
	User         string
	By           mapping.Source
	// State is open, accepted or rejected.
	State     string
	DecidedBy string
	Reason    string
	DecidedAt *time.Time
	// Facts and Amounts are what the customer's facts are worth.
	Facts   int64
	Amounts []Amount
}

// The states of a suggestion.
const (
	Open     = "open"
	Accepted = "accepted"
	Rejected = "rejected"
)

// SuggestionsFilter selects suggestions.
type SuggestionsFilter struct {
	ConnectionID string
	State        string
	Cursor       string
	Limit        int
}

// Amount is a sum in one currency; amounts of different currencies are never added.
type Amount struct {
	Currency string
	Minor    int64
}

// Unmapped counts facts that no user was found for, by the reason.
type Unmapped struct {
	Reason  string
	Facts   int64
	Amounts []Amount
}

// Reasons why a fact has no user.
const (
	ReasonNeverMapped = "never_mapped" // nothing was ever said of the customer
	ReasonUnlinked    = "unlinked"     // it was said to be nobody's
	ReasonConflict    = "conflict"     // statements contradict each other
	ReasonLeftOut     = "left_out"     // joined by e-mail or domain, which the connection leaves out
	ReasonNoCustomer  = "no_customer"  // the fact names no customer: its charge was not read yet, or has none
)

// UnmappedCustomer is one customer with facts that have no user.
type UnmappedCustomer struct {
	Customer string
	Unmapped
}

// Quarantine is everything that waits for a user.
type Quarantine struct {
	// Facts and Amounts are the sums over Reasons.
	Facts     int64
	Amounts   []Amount
	Reasons   []Unmapped
	Customers []UnmappedCustomer
	// NextCursor continues Customers; empty on the last page.
	NextCursor string
	// AsOf is when all of it was summed; nil is now.
	AsOf *time.Time
}

// Share is how much of something is mapped.
type Share struct{ Mapped, Total int64 }

// Revenue is net confirmed revenue in one currency and how much of it is mapped, in
// minor units.
type Revenue struct {
	Currency      string
	Mapped, Total int64
}

// Coverage is how much of a connection's month is joined to users.
type Coverage struct {
	ConnectionID string
	Period       string
	Interval     period.Interval
	Customers    Share // with a fact in the period
	Facts        Share
	Revenue      []Revenue
	// BySource counts the mapped facts by where their link comes from.
	BySource map[string]int64
	// AsOf is when all of it was summed; nil is now.
	AsOf *time.Time
}

// Page is one page of a list: the cursor is empty on the last one.
type Page[T any] struct {
	Items      []T
	NextCursor string
}

// PeriodFilter selects a connection's month, or all time when the period is empty, and a
// page of what is listed.
type PeriodFilter struct {
	ConnectionID string
	Period       string
	Cursor       string
	Limit        int
}

// Reader reads what is mapped and what is not.
type Reader interface {
	// Settings returns NotFound for an unknown connection.
	Settings(ctx context.Context, connectionID string) (Settings, error)
	Links(ctx context.Context, f LinksFilter) (Page[Link], error)
	Suggestions(ctx context.Context, f SuggestionsFilter) (Page[Suggestion], error)
	Quarantine(ctx context.Context, f PeriodFilter) (Quarantine, error)
	// Coverage needs a period.
	Coverage(ctx context.Context, f PeriodFilter) (Coverage, error)
}

// Asker has objects read at Stripe.
type Asker interface {
	// AskCustomers queues the reading of customers that have facts and of whom nothing was
	// said, where the connection's endpoint was set up by hand and does not deliver customers.
	// Each is asked for once. It returns how many there were, at most limit.
	AskCustomers(ctx context.Context, limit int, at time.Time) (int, error)
}

// Writer stores decisions. All of them are kept with who, when and why.
type Writer interface {
	// LockSettings returns the settings and keeps others from changing them.
	LockSettings(ctx context.Context, connectionID string) (Settings, error)
	// SaveSettings stores settings, forgets the hashes of aids that are off, classifies the
	// stored events of the types again, and has a history that was read before read again where
	// there are such types.
	SaveSettings(ctx context.Context, s Settings, again []string, by Decision, at time.Time) (Reread, error)
	// Decide stores a person's statement and returns the link that it made; false when it
	// was there before.
	Decide(ctx context.Context, connectionID string, s mapping.Statement, by Decision, at time.Time) (Link, bool, error)
	// Retract takes a person's statement back; false when it was taken back before. What
	// metadata said cannot be retracted.
	Retract(ctx context.Context, connectionID, linkID string, by Decision, at time.Time) (bool, error)
	// SaveUsers replaces the aids of the users and returns how many have any now.
	SaveUsers(ctx context.Context, connectionID string, users []UserAid, who string, at time.Time) (int, error)
	// Suggestion finds a suggestion that is open or was decided.
	Suggestion(ctx context.Context, connectionID, id string) (Suggestion, error)
	// SaveDecision stores what a person said to a suggestion.
	SaveDecision(ctx context.Context, s Suggestion, linkID string, by Decision, at time.Time) error
}

// Stores are the stores of one transaction.
type Stores struct {
	Writer Writer
	Audit  audit.Log
}
