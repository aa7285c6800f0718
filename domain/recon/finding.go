package recon

import (
	"crypto/sha256"
	"encoding/base32"
	"strconv"
	"strings"
	"time"

	"github.com/liftbill/liftbill/domain/period"
)

// Line is a line of the tie-out: one sum that both sides must agree on.
type Line string

// The lines, in the order in which they are shown.
const (
	Revenue  Line = "revenue"
	Refunds  Line = "refunds"
	Disputes Line = "disputes"
	Invoice  Line = "invoice"
	// NoLine is a break that changes no sum.
	NoLine Line = ""
)

// Lines lists the lines of a tie-out.
func Lines() []Line { return []Line{Revenue, Refunds, Disputes, Invoice} }

// Side is what one side says.
type Side struct {
	// Source says where it stands: "ledger", "plan", "stripe", …
	Source string
	ID     string
	// AmountMinor is nil when the side has nothing.
	AmountMinor *int64
	Currency    string
	// CountedMinor is what of the amount is in the period's sum of the line.
	CountedMinor int64
}

// Target is the object that a repair works on.
type Target struct{ ConnectionID, Object, ID string }

// Finding is a difference that a run has found. Ours is on the left.
type Finding struct {
	Type Type
	// Subject names what differs within an account's period; with the type it is the
	// break's natural key, so that a second run finds the same break.
	Subject string
	Line    Line
	Left    Side
	Right   Side
	// AmountMinor is the money at stake, never negative, in Currency.
	AmountMinor int64
	Currency    string
	CustomerID  string
	Detail      string
	// Apart is how far the two sides' times are from each other, for Timing.
	Apart  time.Duration
	Target Target
}

// Rule is the rule of the finding's type.
func (f Finding) Rule() Rule { return byType[f.Type] }

// ID derives the break's identifier from its natural key: 26 characters, like a case ID.
func (f Finding) ID(accountID, period string) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{"break", accountID, period, string(f.Type), f.Subject}, "\x1f")))
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:16]))
}

// Fingerprint changes when what a person looked at has changed: the amounts and what
// each side says. A resolved break whose fingerprint changes is open again.
func (f Finding) Fingerprint() string {
	text := func(s Side) string {
		amount := "-"
		if s.AmountMinor != nil {
			amount = strconv.FormatInt(*s.AmountMinor, 10)
		}
		return strings.Join([]string{s.Source, s.ID, amount, s.Currency, strconv.FormatInt(s.CountedMinor, 10)}, "\x1f")
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{text(f.Left), text(f.Right), strconv.FormatInt(f.AmountMinor, 10), f.Currency}, "\x1e")))
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:10]))
}

// Difference is what the finding contributes to the difference of its line in a
// currency: left − right.
func (f Finding) Difference(currency string) int64 {
	var d int64
	if f.Left.Currency == currency {
		d += f.Left.CountedMinor
	}
	if f.Right.Currency == currency {
		d -= f.Right.CountedMinor
	}
	return d
}

// Kind is what sort of object a pair is about.
type Kind string

// The kinds, as Stripe names the objects.
const (
	Payment      Kind = "invoice"
	Refund       Kind = "refund"
	Dispute      Kind = "dispute"
	Subscription Kind = "subscription"
)

// Booked is what the ledger holds of one object.
type Booked struct {
	Facts int
	// AmountMinor sums all its money facts, CountedMinor those within the period.
	AmountMinor  int64
	CountedMinor int64
	Currency     string
	CustomerID   string
	ChargeID     string
	// At is the time of the first fact.
	At time.Time
	// UndoneAt is the time of the last fact that gives money back; zero without one.
	UndoneAt time.Time
	// Status is set for subscriptions.
	Status string
}

// Object is what Stripe shows of one object.
type Object struct {
	Kind Kind
	ID   string
	// Status is Stripe's.
	Status string
	// NetMinor is the money that moved, without tax: cash of a paid invoice, the amount of
	// a refund or a dispute that took money.
	NetMinor int64
	// CashMinor is the same with tax, OutOfBandMinor what never passed through Stripe.
	CashMinor      int64
	OutOfBandMinor int64
	// TaxMinor is the invoice's; Balanced is false when the invoice's own figures do not sum.
	TaxMinor   int64
	Balanced   bool
	Currency   string
	CustomerID string
	ChargeID   string
	// At is when the money moved; UndoneAt when it came back: zero when it did not, or when
	// Stripe does not say.
	At       time.Time
	UndoneAt time.Time
	// TakenBack: the money came back, or never left.
	TakenBack bool
	// Own is an outcome invoice of ours, or money of one.
	Own      bool
	Livemode bool
}

// Pair is one object as both sides have it; nil is a side without it.
type Pair struct {
	Kind   Kind
	ID     string
	Ours   *Booked
	Theirs *Object
}

// Window is what a run looks at.
type Window struct {
	Period period.Interval
	// Live is the environment's mode.
	Live bool
	// ConnectionID is the source.
	ConnectionID string
}

func ptr(v int64) *int64 { return &v }

func abs(v int64) int64 {
	if v < 0 {
		return -v
	}
	return v
}
