package reconcile

import (
	"context"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
)

// PaymentWindow is how far back the overview counts the payments of a vendor's customers.
const PaymentWindow = 7 * 24 * time.Hour

// Standing is where the revenue and the invoices of a period stand, for one environment
// and one currency. All amounts are minor units.
type Standing struct {
	Environment account.Environment
	Currency    string
	Cycles      int
	// PaidMinor is the paid revenue of the contract years to date as the period froze it,
	// and the three after it are where it went: to snapshots, to customers without a user,
	// to users without a decision. What is left is in the other buckets.
	PaidMinor, AttributedMinor, UnmappedMinor, UndecidedMinor int64
	// EngineMinor is what the period comes to; Invoices of them stand at Stripe with
	// InvoicedMinor, and Settled of those are paid.
	EngineMinor   int64
	Invoices      int
	InvoicedMinor int64
	Settled       int
	SettledMinor  int64
	// OpenMinor is what remains to be paid of those that are open: what Stripe said last, or the
	// whole of an invoice of which it said nothing since. What is void or given up is not open.
	OpenMinor int64
}

// Payments are the payments of a vendor's customers within PaymentWindow, as their events
// tell them.
type Payments struct {
	Environment account.Environment
	Currency    string
	Paid        int64
	PaidMinor   int64
	// Failed counts attempts that failed, Recovered the invoices that were paid after one.
	Failed, Recovered int64
	// AsOf is when they were summed; nil is now.
	AsOf *time.Time
}

// Board is the overview of a scope.
type Board struct {
	Period    string // the newest one with cycles; empty without any
	Standings []Standing
	Payments  []Payments
	// Waiting are the cycles that go on only when a person acts, oldest first, and Unpaid
	// the finalized invoices that are not settled.
	Waiting []CycleSummary
	Unpaid  []InvoiceRow
	// MoreWaiting and MoreUnpaid: there are more than are listed.
	MoreWaiting, MoreUnpaid bool
}

// waitingLimit bounds what the overview lists.
const waitingLimit = 10

// Overview tells what a person of finance looks at first.
func (s *Service) Overview(ctx context.Context, scope access.Scope, now time.Time) (Board, error) {
	var b Board
	periods, err := s.Reader.Periods(ctx, scope)
	if err != nil {
		return b, err
	}
	if len(periods) > 0 {
		b.Period = periods[0]
		if b.Standings, err = s.Reader.Standings(ctx, scope, b.Period); err != nil {
			return b, err
		}
	}
	if b.Payments, err = s.Reader.Payments(ctx, scope, now.Add(-PaymentWindow)); err != nil {
		return b, err
	}
	for _, state := range []billing.CycleState{billing.NeedsHuman, billing.Blocked, billing.AwaitingApproval, billing.Held, billing.Returned, billing.Expired} {
		page, err := s.Reader.Cycles(ctx, CyclesFilter{Scope: scope, State: string(state), Limit: waitingLimit})
		if err != nil {
			return b, err
		}
		b.Waiting, b.MoreWaiting = append(b.Waiting, page.Items...), b.MoreWaiting || page.NextCursor != ""
	}
	slices.SortStableFunc(b.Waiting, func(x, y CycleSummary) int { return x.UpdatedAt.Compare(y.UpdatedAt) })
	unpaid, err := s.Reader.Invoices(ctx, InvoicesFilter{Scope: scope, Status: "open", Limit: waitingLimit})
	b.Unpaid, b.MoreUnpaid = unpaid.Items, unpaid.NextCursor != ""
	return b, err
}

// InvoiceRow is one invoice that we write at Stripe, or began to.
type InvoiceRow struct {
	CycleID, AccountID, AccountName, Period string
	// State is that of the write-back: planned, pinned, verified, finalized, released or
	// needs_human; StripeStatus is the invoice's own as it was last heard of.
	State, StripeStatus, InvoiceID, Number, Payer, Issuer string
	Currency                                              string
	EngineMinor                                           int64
	StripeMinor, DifferenceMinor                          *int64
	// CreditedMinor is what credit notes of ours took back; nil where there is none.
	CreditedMinor               *int64
	Lines, Attempts             int
	HostedURL, PDFURL, PlanHash string
	// EvidenceDigest is the SHA-256 of the case IDs of the readouts that the invoice bills, as it
	// stands in the invoice's metadata (lb_readouts_sha256).
	EvidenceDigest string
	// CycleState is that of the cycle, and Payment what has become of a finalized invoice.
	CycleState           billing.CycleState
	Payment              *billing.Payment
	FinalizedAt          *time.Time
	CreatedAt, UpdatedAt time.Time
}

// InvoicesFilter selects invoices. Empty fields select all; an empty scope selects nothing.
type InvoicesFilter struct {
	Scope             access.Scope
	Period, AccountID string
	Status            string // Stripe's status: draft, open, paid, void, uncollectible; or "none"
	Search            string // an invoice's ID or number, a payer, or a cycle
	Currency          string // lower case
	// MinMinor and MaxMinor bound the engine's total, both inclusive; nil is open. They are
	// minor units of the currency that each invoice has.
	MinMinor, MaxMinor *int64
	// MinMajor and MaxMajor do so in major units: 1000 is 1,000 yen as well as 1,000.00
	// dollars, whose minor units are not as many.
	MinMajor, MaxMajor *decimal.Decimal
	// DueBefore selects open invoices that were due before it, From and To those that were
	// finalized in [From, To); zero is open.
	DueBefore, From, To time.Time
	// AtStripe leaves out what has no invoice at Stripe yet.
	AtStripe bool
	// Dispute is one of InvoiceDisputes: the payer's bank took a charge of the invoice back, or
	// asks for it.
	Dispute string
	// Metadata is what the invoice carries at Stripe: the case ID of a readout that it bills, or
	// an entry as key=value. PONumber is the buyer's own number, which stands there as well.
	Metadata, PONumber string
	Sort               string // one of InvoiceSorts; "" is the newest period first
	Cursor             string
	Limit              int
}
