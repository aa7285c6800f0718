package invoicing

import (
	"context"

	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
)

// Service is the use case.
type Service struct {
	Ledger  Ledger
	Writers Writers
	Clock   clock.Clock
	// Book, Payers and Setups are for accounts whose payer is to be found, or is to enter
	// a payment method. Setups is nil in a process that may not write to Stripe.
	Book   PayerBook
	Payers Payers
	Setups Setups
	// Pricing is for previews only.
	Pricing Pricing
	// Payments follows what becomes of the invoices.
	Payments Payments
	// Corrections and Credits are for what is wrong with a finalized invoice. Credits is nil in
	// a process that may not write to Stripe.
	Corrections CorrectionBook
	Credits     Credits
}

// Outcome is what a step reports: identifiers, counts and amounts only.
type Outcome struct {
	CycleID    string
	State      billing.CycleState
	Reason     string
	Currency   string
	TotalMinor int64
	Lines      int
	Withheld   int
	PlanHash   string
	InvoiceID  string
	Number     string
	// Redo asks for the draft to be made again: the last one was given up.
	Redo bool
	// Revision counts how often the cycle was computed; 0 where the step does not say.
	Revision int
}

// Reasons with which a cycle ends, besides those of billing.HeldReason; those with which
// it waits are billing.Unmet.
const (
	ReasonNothingBillable = "nothing_billable"
	ReasonTestMode        = "test_mode"
)

// Draft settles and prices a cycle from its stored readouts and stores the
// proposal. A test account's cycle ends here.
func (s *Service) Draft(ctx context.Context, cycleID string) (Outcome, error) {
	j, err := s.Ledger.Judged(ctx, cycleID)
	if err != nil {
		return Outcome{}, err
	}
	if len(j.OpenBefore) > 0 {
		// Marks of an unfinished month are unknown: billing this one first could bill twice.
		return Outcome{}, fault.New(fault.Unavailable, "earlier_cycle_open", "cycle %s waits for %s", cycleID, j.OpenBefore[0]).
			Fix("Finish the earlier cycle first")
	}
	p, err := propose(j)
	if err != nil {
		return Outcome{}, err
	}
	state, reason, err := s.Ledger.SaveProposal(ctx, j, p, s.Clock.Now())
	if err != nil {
		return Outcome{}, err
	}
	out := Outcome{
		CycleID: cycleID, State: state, Reason: reason, Currency: string(j.Contract.Terms.Currency),
		TotalMinor: p.Priced.Total.Minor(), Lines: len(p.Plan.Lines), PlanHash: p.Plan.Hash(), Revision: j.Revision,
	}
	for _, r := range p.Priced.Rows {
		if r.DeltaMinor == 0 {
			out.Withheld++
		}
	}
	return out, nil
}

// propose is the pure part: settle, price, plan, and say what comes next.
func propose(j Judged) (Proposal, error) {
	var p Proposal
	var err error
	p.Closed = j.closed()
	p.Priced, err = billing.Bill(j.BillInput())
	if err != nil {
		return Proposal{}, err
	}
	byID := map[string]lift.Readout{}
	for _, r := range j.Readouts {
		byID[r.SnapshotID] = r
	}
	if p.Plan, err = billing.NewInvoicePlan(billing.PlanInput{
		Account: j.Account, Contract: j.Contract, Period: j.Period, Revision: j.Revision, Interval: j.Interval, Priced: p.Priced, Names: j.Names, Readouts: byID,
	}); err != nil {
		return Proposal{}, err
	}
	if !j.RequiresPerson {
		p.Policy, _ = j.Contract.Terms.Approval.Policy(p.Priced.Total.Minor())
	}
	p.Next, p.Reason = next(j, p)
	if p.Next.Terminal() {
		p.TieOut = tieUnwritten(j, p.Priced)
	}
	return p, nil
}

// BillInput is what the cycle's price is a function of.
func (j Judged) BillInput() billing.BillInput {
	settles := j.Period.IsSettlement()
	return billing.BillInput{
		Contract: j.Contract, Period: j.Period.Add(0), Snapshots: j.Plan.Plan().ErrorBudget.Snapshots, Readouts: j.Readouts, HighWater: j.HighWater,
		Context: billing.Context{Settlement: settles, ClosesYear: settles, Past: j.Past, Outcomes: j.Outcomes, Adjustments: j.Adjustments, WritingClosed: j.closed()},
	}
}

// closed reports whether a live cycle is priced as a shadow one. A price that is stored
// stays what it was, whatever has become of the switch since.
func (j Judged) closed() bool {
	if j.Priced {
		return j.PricedClosed
	}
	return j.Account.Environment == account.Live && !j.Writing.Open
}

// next says where a priced cycle goes; only a complete live set-up goes to writing.
func next(j Judged, p Proposal) (billing.CycleState, string) {
	switch {
	case j.Account.Environment != account.Live:
		return billing.DryRun, ReasonTestMode
	case p.Priced.Held != "":
		return billing.Withheld, string(p.Priced.Held)
	case !p.Priced.Total.IsPositive():
		return billing.Withheld, ReasonNothingBillable
	}
	if reason := j.unmet(p.Priced.Total); reason != "" {
		return billing.Blocked, reason
	}
	// The approval comes last, because it is given to what will be sent, addressee included.
	if p.Policy == "" {
		return billing.AwaitingApproval, ""
	}
	return billing.Writing, ""
}
