package billing

import (
	"github.com/shopspring/decimal"

	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/money"
	"github.com/liftbill/liftbill/domain/period"
)

// Priced is what a cycle comes to.
type Priced struct {
	// Phase is that of the month; PhaseFull after the last phase.
	Phase PhaseKind
	// Rows are the settled snapshots, ascending by ID.
	Rows []Row
	// Lines are the ledger of the cycle in the order of operations; their amounts sum to
	// Total, and so do their billed parts.
	Lines []Line
	Steps []Step
	// Total is what is invoiced; never negative and never below Stripe's minimum charge.
	Total money.Amount
	// Held is why a price was not invoiced in full, empty when it was.
	Held HeldReason
}

// HeldReason is why a priced month does not go onto an invoice as it is.
type HeldReason string

// The reasons, as a cycle stores them.
const (
	// HeldShadow: a shadow month is shown only.
	HeldShadow HeldReason = "shadow_phase"
	// HeldNotLive: the account's live writing is closed, so that the month is a shadow one.
	HeldNotLive HeldReason = "shadow_not_live"
	// HeldBelowMinimum: Stripe would not charge the amount; it waits for a later month.
	HeldBelowMinimum HeldReason = "below_minimum_charge"
	// HeldCredit: reductions exceed the month's fees; the rest is a credit of the next month.
	HeldCredit HeldReason = "credit_carried"
)

// PriceInput is what a month's price is a function of.
type PriceInput struct {
	Contract Contract
	Period   period.Month
	Settled  lift.SettleResult
	// Readouts are those of the settled snapshots, with their permissions; others are ignored.
	Readouts []lift.Readout
	Context  Context
}

// Price turns settled bases into the lines of an invoice by the order of operations of
// docs/contracts.md. Each line is rounded once, when it is made; afterwards only whole
// minor units move. A base above zero needs the readout's own lift.Billable.
func Price(in PriceInput) (Priced, error) {
	p, err := newPricer(in)
	if err != nil {
		return Priced{}, err
	}
	out, err := p.run()
	if err != nil || !p.belowMinimum || p.charges(LineLift, LineTiers) <= 0 || in.Context.Settlement {
		return out, err
	}
	// Too little to charge: the lift goes back into the marks, where a later look finds
	// it again, and only fees that no look can find are carried as money.
	again, err := newPricer(in)
	if err != nil {
		return Priced{}, err
	}
	again.deferring = p.gross
	return again.run()
}

// pricer prices one month.
type pricer struct {
	PriceInput
	t     Terms
	time  timeline
	phase Phase
	// closed: it is a shadow month only because the account is not live.
	closed bool

	share, factor decimal.Decimal
	kept          decimal.Decimal // 1 − the agreed rate of refunds

	readouts map[string]lift.Readout
	rows     []Row
	lines    []Line
	steps    stepper

	// deferring is the total of the first attempt when it was too little to charge.
	deferring    int64
	gross        int64 // the total before shadow and minimum charge
	belowMinimum bool
	held         HeldReason
}

func newPricer(in PriceInput) (*pricer, error) {
	t := in.Contract.Terms
	first, err := in.Contract.first(in.Period)
	if err != nil {
		return nil, err
	}
	if err := in.Context.check(in.Period); err != nil {
		return nil, err
	}
	p := &pricer{PriceInput: in, t: t, time: timeline{first: first, month: in.Period, past: in.Context.Past}, factor: one, kept: one, readouts: map[string]lift.Readout{}}
	if p.share, err = t.parseShare(); err != nil {
		return nil, err
	}
	p.phase = t.phaseAt(in.Period.Sub(first))
	if in.Context.WritingClosed && p.phase.Kind != PhaseShadow {
		p.phase, p.closed = Phase{Kind: PhaseShadow}, true
	}
	switch p.phase.Kind {
	case PhaseRamp:
		p.factor, err = decimal.NewFromString(p.phase.Factor)
	case PhaseFree:
		p.factor = decimal.Zero
	case PhaseFull, PhaseShadow: // shadow shows what the month would have cost
	}
	if err == nil && t.Netting != nil && t.Netting.Mode == NetAgreedRate {
		var rate decimal.Decimal
		rate, err = decimal.NewFromString(t.Netting.Rate)
		p.kept = one.Sub(rate)
	}
	if err != nil {
		return nil, fault.Wrap(err, fault.Internal, "terms_unreadable", "the terms of contract %s were not normalised", in.Contract.ID)
	}
	for _, r := range in.Readouts {
		p.readouts[r.SnapshotID] = r
	}
	return p, nil
}

// phaseAt is the phase of a month that is n months after the first period.
func (t Terms) phaseAt(n int) Phase {
	for _, p := range t.Phases {
		if n < p.Months {
			return p
		}
		n -= p.Months
	}
	return Phase{Kind: PhaseFull}
}

// run is the order of operations.
func (p *pricer) run() (Priced, error) {
	for _, op := range []func() error{
		p.settledRows, p.liftFees, p.outcomes, p.trueUps, p.settlementCredit, p.caps, p.fixedFees, p.minimum, p.holdback, p.release, p.carryIn,
		p.close, p.allocate,
	} {
		if err := op(); err != nil {
			return Priced{}, err
		}
	}
	total, err := money.New(p.total(), p.t.Currency)
	if err != nil {
		return Priced{}, err
	}
	p.steps.total(p.lines, total.Minor())
	return Priced{Phase: p.phase.Kind, Rows: p.rows, Lines: p.lines, Steps: p.steps.rows, Total: total, Held: p.held}, nil
}

// add appends a line. Its amount is bounded, so that no sum of a cycle can overflow.
func (p *pricer) add(l Line) error {
	if l.AmountMinor > maxMinor || l.AmountMinor < -maxMinor {
		return overflow(string(l.Kind), l.AmountMinor)
	}
	p.lines = append(p.lines, l)
	return nil
}

// fee appends a line that is no lift, with the step that made it.
func (p *pricer) fee(kind LineKind, minor int64, text, formula, inputs string) error {
	p.steps.add(string(kind), "", formula, inputs, minorText(minor))
	if minor == 0 {
		return nil
	}
	return p.add(Line{Key: "fee:" + string(kind), Kind: kind, AmountMinor: minor, Text: text})
}

// charges sums the lines of some kinds so far.
func (p *pricer) charges(kinds ...LineKind) int64 {
	var sum int64
	for _, l := range p.lines {
		for _, k := range kinds {
			if l.Kind == k {
				sum += l.AmountMinor
			}
		}
	}
	return sum
}

func (p *pricer) total() int64 { return p.charges(LineKinds()...) }

// round rounds a line's amount once, as the terms say. Rounding down leaves the
// fraction with the payer, also where the amount is a reduction.
func (p *pricer) round(numerator, denominator decimal.Decimal) (int64, error) {
	a, err := money.FromQuotient(numerator, denominator, p.t.Currency, p.t.Rounding)
	if err != nil {
		return 0, err
	}
	minor := a.Minor()
	if p.t.Rounding == money.Down && numerator.IsNegative() && !decimal.NewFromInt(minor).Mul(denominator).Equal(numerator) {
		minor -= p.t.Currency.Step()
	}
	if minor > maxMinor || minor < -maxMinor {
		return 0, overflow("line", minor)
	}
	return minor, nil
}

func (p *pricer) money(minor int64) string { return amountText(minor, p.t.Currency) }

// amountText is an amount as people read it.
func amountText(minor int64, c money.Currency) string {
	a, err := money.New(minor, c)
	if err != nil {
		return minorText(minor)
	}
	return a.String()
}
