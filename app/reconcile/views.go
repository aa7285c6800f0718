// Package reconcile is what finance sees: the cycles of a month, the tie-out of
// one cycle, the readout behind a line, and the rows behind every number.
//
// Service only reads: amounts are minor units with their currency; the pages and the
// JSON API show the same values. Reconciler compares the ledger with Stripe and keeps
// the breaks.
package reconcile

import (
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/lift"
)

// CycleSummary is one row of the close board.
type CycleSummary struct {
	ID          string
	AccountID   string
	AccountName string
	Environment account.Environment
	Period      string // YYYY-MM
	PeriodStart time.Time
	PeriodEnd   time.Time // exclusive
	TimeZone    string
	Basis       string
	State       billing.CycleState
	Reason      string // why it is blocked, withheld or in need of a person
	NextAction  string
	Currency    string
	// LiftMinor is the measured incremental revenue of the billed lines.
	LiftMinor int64
	// WithheldLines counts snapshots whose lift was not billed, WithheldMinor is what of it was
	// deferred or waived.
	WithheldLines int
	WithheldMinor int64
	Lines         int
	// ContractID and ContractVersion are those of the terms that it was priced by.
	ContractID      string
	ContractVersion int
	// Revision is how often the cycle was computed, from 1.
	Revision int
	// TrueUpMinor is the sum of its lines that true up earlier months; LaterMinor what was
	// found to be due of this month since it was invoiced.
	TrueUpMinor, LaterMinor int64
	EngineMinor             int64
	// StripeMinor is the total of the finalized invoice as Stripe returned it; nil when none was written.
	StripeMinor     *int64
	DifferenceMinor *int64
	StripeInvoiceID string
	InvoiceNumber   string
	// Payment is what has become of the invoice; nil before it is finalized.
	Payment    *billing.Payment
	WorkflowID string
	UpdatedAt  time.Time
	// OpenBreaks are the month's pending breaks, BlockingBreaks those of them that keep it
	// from being closed; BreaksMinor is what is at stake in the contract's currency.
	OpenBreaks, BlockingBreaks int
	BreaksMinor                int64
	// Approver is who released the invoice; empty before.
	Approver string
	// ClosedBy and ClosedAt say who closed the month; empty while it is open.
	ClosedBy string
	ClosedAt *time.Time
	// InvoiceHash is the digest of the proposed invoice, which an approval names.
	InvoiceHash string
	// Shadow: it was priced and is never invoiced, whatever its environment.
	Shadow bool
}

// The modes of a cycle: what becomes of what it comes to.
const (
	ModeLive   = "live"
	ModeTest   = "test"
	ModeShadow = "shadow"
)

// Modes are what the close board can be filtered by.
func Modes() []string { return []string{ModeLive, ModeTest, ModeShadow} }

// Mode is what becomes of the cycle's amount: it is invoiced, nothing is ever written in its
// environment, or it is priced and shown only. A test account's shadow month is of test mode.
func (c CycleSummary) Mode() string {
	switch {
	case c.Environment == account.Test:
		return ModeTest
	case c.Shadow:
		return ModeShadow
	}
	return ModeLive
}

// CyclesFilter selects cycles. Empty fields select all; an empty scope selects nothing.
type CyclesFilter struct {
	Scope       access.Scope
	Period      string
	State       string
	AccountID   string
	Environment string
	// Mode is "" or one of Modes.
	Mode string
	// Breaks is "", "open" for months with pending breaks, or "blocking".
	Breaks string
	// Currency is the contract's; Min and Max bound the engine's total in its major units,
	// both inclusive, nil is open.
	Currency string
	Min, Max *decimal.Decimal
	Sort     string // one of the list's orders; "" is its own
	Cursor   string
	Limit    int
}

// Line is one policy snapshot of a cycle, billed or withheld.
type Line struct {
	SnapshotID    string
	SnapshotName  string
	CaseID        string
	Billed        bool
	Verdict       string // "passed" or "withheld"
	HeadlineCode  string // first failing guardrail check
	Explanation   string // one sentence in plain words with the numbers
	Units         int64
	HoldoutUnits  int64
	ObservedMinor int64 // year-to-date revenue of the exposed units
	MeasuredMinor int64 // year-to-date point estimate, floored
	BoundMinor    int64 // year-to-date lower bound at the scheduled error, floored
	// IntervalLow and IntervalHigh hold the measured lift with 95 %, in minor units; ESS is the
	// effective sample that it rests on.
	IntervalLow, IntervalHigh, ESS float64
	HighWaterFrom                  int64 // billed base of the contract year before this cycle
	HighWaterTo                    int64 // and after it
	BaseMinor                      int64 // billed base of this cycle
	DeferredMinor                  int64 // measured and not billed, kept for later periods of the year
	WaivedMinor                    int64 // measured and never billed
	FeeMinor                       int64 // the line of the ledger
	BilledMinor                    int64 // what of it stands on the invoice after the reductions
	StripeLineID                   string
	StripeMinor                    *int64
}

// Charge is a line of the ledger that is no lift: a fee, a reduction or a balance.
type Charge struct {
	Line        string
	Kind        string // a billing.LineKind
	Description string
	// AmountMinor is signed; the amounts of all lines and charges sum to the engine total.
	AmountMinor int64
	// BilledMinor is what of it stands on the invoice after the reductions.
	BilledMinor  int64
	SnapshotID   string
	Quantity     int64
	Origin       string // the month that it stems from
	StripeLineID string
	StripeMinor  *int64
}

// Step is one stored row of the arithmetic, in order.
type Step struct {
	Number     int
	Name       string
	SnapshotID string
	Formula    string
	Inputs     string
	Result     string
}

// TieOut is everything behind one cycle's total.
type TieOut struct {
	CycleSummary
	ContractHash string
	Share        string
	// Terms are the contract's terms of the price in plain words.
	Terms []string
	// Phase is "full", "ramp", "free" or "shadow"; empty before the cycle was priced.
	Phase       string
	PlanID      string
	PlanHash    string
	Watermark   time.Time
	InputDigest string
	// PaidRevenueMinor is the net paid revenue of the contract year to date in the contract's
	// currency; the buckets that are Paid sum to it. All of them are of that currency.
	PaidRevenueMinor int64
	Buckets          []BucketSum
	// Others is the revenue in other currencies, out of scope and part of no sum of the contract's.
	Others []OtherRevenue
	// StripeNetMinor is the same sum as re-read from Stripe's lists at collection; nil when it was not read.
	StripeNetMinor *int64
	Lines          []Line
	Charges        []Charge
	Steps          []Step
	PooledCaseID   string
	HostedURL      string
	PDFURL         string
	StripeStatus   string
	FinalizedAt    *time.Time
	CaseIDs        []string
	Attempts       []Attempt
	Warnings       []Warning
	// Tied is what the cycle was compared in after it had ended, at TiedAt; nil before.
	Tied   *billing.TieOut
	TiedAt time.Time
	// RequiresPerson: it may not be approved by a rule.
	RequiresPerson bool
	Decisions      []Decision
	// WaitingUntil is when the contract's terms decide; nil when nothing waits.
	WaitingUntil *time.Time
	Reminders    int
	// Revisions are when and why the cycle was computed, oldest first.
	Revisions []Revision
	// AtStripe is how far its invoice has come there.
	AtStripe AtStripe
}

// EveryBucket lists the buckets of all currencies.
func (t TieOut) EveryBucket() []BucketSum {
	out := slices.Clone(t.Buckets)
	for _, o := range t.Others {
		out = append(out, o.Buckets...)
	}
	return out
}

// AtStripe is how far a cycle's invoice has come at Stripe, as the ledger knows, and whether
// another cycle rests on it.
type AtStripe struct {
	// Begun: an invoice is being carried out. Final: it was finalized. Leftover: something of
	// one that was taken back may still be there.
	Begun, Final, Leftover bool
	// Later: a later cycle of the account was measured.
	Later bool
}

// Facts are what decides about what a person can do, with what Temporal says of the run.
func (t TieOut) Facts(run billing.RunState) billing.CycleFacts {
	return billing.CycleFacts{
		State: t.State, Reason: t.Reason, Run: run, Priced: t.InvoiceHash != "", Begun: t.AtStripe.Begun, Final: t.AtStripe.Final,
		Leftover: t.AtStripe.Leftover, Later: t.AtStripe.Later, Voided: t.StripeStatus == "void",
	}
}

// Decision is what was decided about the invoice before it was written, oldest first.
type Decision struct {
	ID          string
	Action      string
	InvoiceHash string
	AmountMinor int64
	Actor       string
	Reason      string
	At          time.Time
}

// Warning is something that whoever reads a cycle's figures should know.
type Warning struct {
	Code    string
	Message string
	Count   int64
}

// The codes of warnings.
const (
	// WarnMoved: customers went from one user to another within the period.
	WarnMoved = "mapping_changed"
	// WarnLate: statements about the period came after it was frozen.
	WarnLate = "mapping_after_freeze"
	// WarnConflict: statements about customers with revenue contradict each other.
	WarnConflict = "mapping_conflict"
	// WarnSourcePaused: the source connection does not run.
	WarnSourcePaused = "source_paused"
)

// Attempt is one call of the write-back, with Stripe's request ID.
type Attempt struct {
	At        time.Time
	Operation string
	Outcome   string
	RequestID string
}

// Overview is one account with what it is wired to.
type Overview struct {
	ID               string
	Name             string
	Environment      account.Environment
	SourceConnection string
	IssuerConnection string
	PayerCustomer    string
	ContractID       string
	// Basis and Settlement are the contract's rule; empty without one.
	Basis      lift.Basis
	Settlement lift.Settlement
	PlanID     string
	Snapshots  int
	// HasDecisions and HasEvents: there is at least one. How many there are is counted for
	// one account only, because counting reads each.
	HasDecisions, HasEvents bool
	PendingEvents           int64
	DeadEvents              int64
	LastEventAt             *time.Time
	// Figures are what it comes to; only in lists of accounts.
	Figures AccountFigures
}

// AccountDetail is one account with the numbers of its rows.
type AccountDetail struct {
	Overview
	Decisions, StripeEvents int64
}

// AccountsFilter selects accounts; empty fields select all, an empty scope nothing.
type AccountsFilter struct {
	Scope       access.Scope
	Environment string
	// ID selects one account, Search those whose ID, name or payer begins with it.
	ID, Search string
	// Incomplete selects those that lack something that a billed month needs.
	Incomplete bool
	Sort       string // "" is by ID, "id_desc" that turned round
	// Now is from where the newest event is looked for; it changes no answer.
	Now    time.Time
	Cursor string
	Limit  int
}

// AccountSorts are the orders of the list of accounts.
func AccountSorts() []string { return []string{"id_desc"} }

// Rule is what the contract bills.
func (o Overview) Rule() lift.Rule { return lift.Rule{Basis: o.Basis, Settlement: o.Settlement} }

// Page is one page of a list: the cursor is empty on the last one.
type Page[T any] struct {
	Items      []T
	NextCursor string
}
