package billing

import (
	"fmt"
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/money"
)

// outcomes prices what was counted since the count of the contract year before, so that
// an outcome that becomes known late is priced once, in the month that knows it.
func (p *pricer) outcomes() error {
	for _, o := range p.t.Outcomes {
		n := p.Context.Outcomes[o.Kind] - p.time.outcomes(o.Kind)
		if n <= 0 {
			continue
		}
		if n > maxMinor {
			return overflow("outcomes "+o.Kind, n)
		}
		price, err := decimal.NewFromString(o.PriceMinor)
		if err != nil {
			return fault.Wrap(err, fault.Internal, "terms_unreadable", "the terms of contract %s were not normalised", p.Contract.ID)
		}
		minor, err := p.round(decimal.NewFromInt(max(0, n-o.Included)).Mul(price).Mul(p.factor), one)
		if err != nil {
			return err
		}
		formula, inputs := "(counted − included) × price", fmt.Sprintf("max(0, %d − %d) × %s", n, o.Included, o.PriceMinor)
		if !p.factor.Equal(one) {
			formula, inputs = formula+" × "+string(p.phase.Kind), inputs+" × "+p.factor.String()
		}
		p.steps.add(string(LineOutcome), "", "round "+string(p.t.Rounding)+stepNote(p.t)+"("+formula+")", inputs, minorText(minor))
		// A free outcome is a line as well: it was counted, and is not counted again.
		text := fmt.Sprintf("%d outcomes %s counted, %d included, at %s minor units each; counted, not measured against the holdout", n, strings.ReplaceAll(o.Kind, "_", " "), o.Included, o.PriceMinor)
		if err := p.add(Line{Key: "fee:" + string(LineOutcome) + ":" + o.Kind, Kind: LineOutcome, AmountMinor: minor, Text: text, Outcome: o.Kind, Quantity: n}); err != nil {
			return err
		}
	}
	return nil
}

// trueUps adds what is due of earlier months. In a shadow month they wait.
func (p *pricer) trueUps() error {
	if p.phase.Kind == PhaseShadow {
		return nil
	}
	due := slices.Clone(p.Context.Adjustments)
	slices.SortFunc(due, func(a, b Adjustment) int {
		if d := a.Origin.Sub(b.Origin); d != 0 {
			return d
		}
		return strings.Compare(a.ID, b.ID)
	})
	seen := map[string]bool{}
	for _, a := range due {
		if seen[a.ID] {
			return fault.New(fault.Invalid, "adjustment_repeated", "true-up %s appears twice", a.ID)
		}
		seen[a.ID] = true
		if step := p.t.Currency.Step(); a.AmountMinor%step != 0 {
			return fault.New(fault.Invalid, "amount_step", "true-up %s of %d minor units cannot be charged in %s", a.ID, a.AmountMinor, p.t.Currency.Code())
		}
		minor, formula := a.AmountMinor, "due"
		why, err := p.notNetted(a)
		if err != nil {
			return err
		}
		if why != "" {
			minor, formula = 0, why
		}
		what := strings.ReplaceAll(string(a.Reason), "_", " ")
		if a.SnapshotID != "" {
			what += ", " + a.SnapshotID
		}
		p.steps.add(string(LineAdjustment), a.SnapshotID, formula, fmt.Sprintf("%s of %s: %d", a.ID, a.Origin, a.AmountMinor), minorText(minor))
		text := fmt.Sprintf("True-up of %s (%s)", a.Origin.Name(), what)
		if why != "" {
			text += ": " + why
		}
		if err := p.add(Line{Key: "fee:" + string(LineAdjustment) + ":" + a.ID, Kind: LineAdjustment, AmountMinor: minor, Text: text, SnapshotID: a.SnapshotID, Origin: a.Origin.String()}); err != nil {
			return err
		}
	}
	return nil
}

// notNetted says why a refund or chargeback is not trued up under the terms, empty when it is.
func (p *pricer) notNetted(a Adjustment) (string, error) {
	n := p.t.Netting
	if n == nil || (a.Reason != AdjustRefund && a.Reason != AdjustDispute) {
		return "", nil
	}
	if n.Mode == NetAgreedRate {
		return "covered by the agreed rate of " + n.Rate, nil
	}
	zone, err := p.Contract.Zone()
	if err != nil {
		return "", err
	}
	if n.LookbackDays > 0 && !a.At.Before(a.Origin.In(zone).End.AddDate(0, 0, n.LookbackDays)) {
		return fmt.Sprintf("later than %d days after its month", n.LookbackDays), nil
	}
	return "", nil
}

// settlementCredit gives back the fees on base that the settlement of the year did not
// confirm, at the average share that the year's base was billed at.
func (p *pricer) settlementCredit() error {
	if p.Settled.CreditMinor <= 0 || p.phase.Kind == PhaseShadow {
		return nil
	}
	base := p.time.base(PerYear)
	for _, r := range p.rows {
		base += r.DeltaMinor
	}
	if base > maxMinor || p.Settled.CreditMinor > maxMinor {
		return overflow("base", base)
	}
	sum := func(kinds ...LineKind) decimal.Decimal {
		return decimal.NewFromInt(p.time.sum(PerYear, kinds...) + p.charges(kinds...))
	}
	lifts := sum(LineLift, LineTiers)
	fees := lifts.Add(sum(LineOutcome))
	if base <= 0 || !fees.IsPositive() {
		return nil
	}
	// What the agreed rate took off already is not given back a second time, and what a
	// cap cut off was never paid.
	due := decimal.NewFromInt(min(p.Settled.CreditMinor, base)).Sub(decimal.NewFromInt(base).Mul(one.Sub(p.kept)))
	paid := fees.Add(sum(LineCap, LineCapExcess))
	if !due.IsPositive() || !paid.IsPositive() {
		return nil
	}
	minor, err := p.round(due.Mul(lifts).Mul(paid).Neg(), decimal.NewFromInt(base).Mul(fees))
	if err != nil {
		return err
	}
	return p.fee(LineSettlementCredit, minor, fmt.Sprintf("Credit: %s of the lift that was billed in the contract year was not confirmed by its settlement", p.money(due.IntPart())),
		"−round "+string(p.t.Rounding)+stepNote(p.t)+"(unconfirmed base × fees on lift ÷ billed base × part that the caps left), in the payer's favour",
		fmt.Sprintf("%s × %s ÷ %d × %s ÷ %s", due.String(), lifts.String(), base, paid.String(), fees.String()))
}

// caps limits the performance fees. What a month's cap cuts off is waived or, where the
// terms carry it, fills the room that later months of the contract year leave.
func (p *pricer) caps() error {
	c := p.t.Caps
	if c == nil {
		return nil
	}
	fees := p.charges(performance...)
	room, names, inputs := p.room()
	least := strings.Join(inputs, ", ")
	if len(inputs) > 1 {
		least = "min(" + least + ")"
	}
	if fees > room {
		return p.fee(LineCap, room-fees, "Fees above the agreed cap ("+strings.Join(names, ", ")+")",
			"−max(0, fees − room of the caps: "+strings.Join(names, ", ")+")", fmt.Sprintf("%d − (%s)", fees, least))
	}
	p.steps.add(string(LineCap), "", "−max(0, fees − room of the caps: "+strings.Join(names, ", ")+")", fmt.Sprintf("%d − (%s)", fees, least), "0")
	open := -p.time.sum(PerYear, LineCap, LineCapExcess)
	if c.Excess != ExcessCarried || p.phase.Kind == PhaseShadow || open <= 0 || room == fees {
		return nil
	}
	return p.fee(LineCapExcess, min(open, room-fees), "Fees of earlier months of the contract year that were above the monthly cap",
		"min(cut off before and not billed yet, room − fees)", fmt.Sprintf("min(%d, %d − %d)", open, room, fees))
}

// room is what the caps leave for the month's performance fees, with the names of the caps
// and how each of them was reckoned.
func (p *pricer) room() (room int64, names, inputs []string) {
	room = maxMinor
	c := p.t.Caps
	if c == nil {
		return room, nil, nil
	}
	limit := func(name string, most, billed int64) {
		if most > 0 {
			room = min(room, max(0, most-billed))
			names, inputs = append(names, name), append(inputs, fmt.Sprintf("%d − %d", most, billed))
		}
	}
	limit("month", c.MonthMinor, 0)
	limit("year", c.YearMinor, p.time.sum(PerYear, performance...))
	limit("contract", c.TotalMinor, p.time.ever(performance...))
	return room, names, inputs
}

// own are the month's own performance fees after the caps. A cap cuts true-ups of other
// months first.
func (p *pricer) own() int64 {
	others := max(0, p.charges(LineAdjustment, LineSettlementCredit))
	cut := max(0, -p.charges(LineCap)-others)
	return max(0, p.charges(LineLift, LineTiers, LineOutcome, LineCapExcess)-cut)
}

// fixedFees adds floor and platform fee: due without any lift, and named as what they are.
func (p *pricer) fixedFees() error {
	if p.Context.Settlement || p.phase.WaiveFixed {
		return nil
	}
	if p.t.FloorMinor > 0 {
		own := p.own()
		top := max(0, p.t.FloorMinor-own)
		if err := p.fee(LineFloor, top, fmt.Sprintf("Agreed floor of %s a month: the difference to the fees of %s", p.money(p.t.FloorMinor), p.money(own)),
			"max(0, floor − the month's own performance fees)", fmt.Sprintf("%d − %d", p.t.FloorMinor, own)); err != nil {
			return err
		}
	}
	if p.t.PlatformFeeMinor == 0 {
		return nil
	}
	return p.fee(LinePlatformFee, p.t.PlatformFeeMinor, "Platform fee, "+p.Period.Name(), "as agreed", minorText(p.t.PlatformFeeMinor))
}

// minimum tops the window up to the commitment when it ends. A month's commitment, like
// its floor, is about the month's own fees: a credit for another month stays a credit.
func (p *pricer) minimum() error {
	m := p.t.Minimum
	if m == nil {
		return nil
	}
	due := p.time.ends(m.Every) && !p.Context.Settlement
	if m.Every == PerYear {
		due = p.Context.ClosesYear
	}
	if !due || (m.Every == PerMonth && p.phase.WaiveFixed) {
		return nil
	}
	var kinds []LineKind
	var own int64
	for _, c := range m.Counts {
		switch {
		case c == CountsPerformance && m.Every == PerMonth:
			own = p.own()
		case c == CountsPerformance:
			kinds = append(kinds, performance...)
		case c == CountsFloor:
			kinds = append(kinds, LineFloor)
		default:
			kinds = append(kinds, LinePlatformFee)
		}
	}
	var before int64
	if m.Every != PerMonth {
		before = p.time.sum(m.Every, kinds...)
	}
	now := own + p.charges(kinds...)
	top := max(0, m.AmountMinor-before-now)
	return p.fee(LineMinimum, top, fmt.Sprintf("Minimum commitment of %s a %s: the difference to the fees of %s", p.money(m.AmountMinor), m.Every, p.money(before+now)),
		fmt.Sprintf("max(0, commitment of the %s − fees that count: %s)", m.Every, list(m.Counts)), fmt.Sprintf("%d − (%d + %d)", m.AmountMinor, before, now))
}

// holdback keeps a share of the performance fees; the invoice that releases the year
// keeps nothing.
func (p *pricer) holdback() error {
	h := p.t.Holdback
	if h == nil || (h.ReleaseAfterMonths == 0 && p.Context.ClosesYear) {
		return nil
	}
	share, ok := fraction(h.Share)
	if !ok {
		return fault.New(fault.Internal, "terms_unreadable", "the terms of contract %s were not normalised", p.Contract.ID)
	}
	fees := max(0, p.charges(performance...))
	minor, err := p.round(decimal.NewFromInt(fees).Mul(share), one)
	if err != nil {
		return err
	}
	when := "at the close of the contract year"
	if h.ReleaseAfterMonths > 0 {
		when = "with the invoice of " + p.Period.Add(h.ReleaseAfterMonths).Name()
	}
	return p.fee(LineHoldback, -minor, "Holdback of "+h.Share+" of the performance fees, due "+when, "−round "+string(p.t.Rounding)+stepNote(p.t)+"(performance fees × holdback)", fmt.Sprintf("%d × %s", fees, h.Share))
}

// release adds the holdbacks that are due: those of long enough ago, all of them at the
// close of the year, or where the terms hold nothing back any more.
func (p *pricer) release() error {
	if p.phase.Kind == PhaseShadow {
		return nil
	}
	var held, released int64
	last := ""
	for _, c := range p.time.charged() {
		released += c.Lines[LineHoldbackRelease]
		if h := -c.Lines[LineHoldback]; h > 0 && p.mature(c) {
			held, last = held+h, c.Period.String()
		}
	}
	if held <= released {
		return nil
	}
	p.steps.add(string(LineHoldbackRelease), "", "held back up to "+last+" − released before", fmt.Sprintf("%d − %d", held, released), minorText(held-released))
	return p.add(Line{Key: "fee:" + string(LineHoldbackRelease), Kind: LineHoldbackRelease, AmountMinor: held - released, Origin: last,
		Text: "Release of the holdback up to " + last})
}

// mature reports whether the holdback of an earlier cycle is due by now.
func (p *pricer) mature(c Past) bool {
	h := p.t.Holdback
	switch {
	case h == nil:
		return true
	case h.ReleaseAfterMonths == 0:
		return p.Context.ClosesYear
	default:
		return p.Period.Sub(c.Period) >= h.ReleaseAfterMonths
	}
}

// carryIn brings in what the cycles before handed on. In a shadow month it waits.
func (p *pricer) carryIn() error {
	if p.phase.Kind == PhaseShadow {
		return nil
	}
	open := -p.time.ever(LineCarryIn, LineCarryOut)
	if open == 0 {
		return nil
	}
	origin := ""
	for _, c := range p.time.charged() {
		if c.Lines[LineCarryOut] != 0 {
			origin = c.Period.String()
		}
	}
	text := "Carried forward from " + origin + ": fees below Stripe's minimum charge"
	if open < 0 {
		text = "Credit carried forward from " + origin
	}
	p.steps.add(string(LineCarryIn), "", "balance handed on by "+origin, minorText(open), minorText(open))
	return p.add(Line{Key: "fee:" + string(LineCarryIn), Kind: LineCarryIn, AmountMinor: open, Text: text, Origin: origin})
}

// close settles the month's balance: a shadow month is taken off again, a negative or
// too small total is handed on.
func (p *pricer) close() error {
	p.gross = p.total()
	amount, err := money.New(p.gross, p.t.Currency)
	if err != nil {
		return err
	}
	switch {
	case p.phase.Kind == PhaseShadow:
		p.held = HeldShadow
		if p.closed {
			p.held = HeldNotLive
		}
		return p.fee(LineShadow, -p.gross, "Shadow month: priced and shown, not invoiced", "−what the month would have cost", minorText(p.gross))
	case p.gross < 0:
		p.held = HeldCredit
		return p.fee(LineCarryOut, -p.gross, "Credit that this month's fees do not use up, carried to the next month", "−(total below 0)", minorText(p.gross))
	case p.gross > 0 && BelowMinimumCharge(amount):
		p.belowMinimum, p.held = true, HeldBelowMinimum
		return p.fee(LineCarryOut, -p.gross, "Below Stripe's minimum charge, carried to the next month", fmt.Sprintf("−(total below the minimum charge of %d)", minimumOf(p.t.Currency)), minorText(p.gross))
	}
	if p.deferring > 0 && p.gross == 0 {
		p.held = HeldBelowMinimum
	}
	return nil
}
