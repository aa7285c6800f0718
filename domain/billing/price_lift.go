package billing

import (
	"fmt"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
)

// MaxBillableSnapshots bounds the lift lines of one invoice, so that one invoice per
// payer and period always suffices (Stripe takes 250 items).
const MaxBillableSnapshots = 200

// settledRows takes over what was settled, checks every permission, and applies what a
// phase or a deferral does to a row. What a shadow or free month does not bill is waived.
func (p *pricer) settledRows() error {
	for _, row := range p.Settled.Rows {
		r, ok := p.readouts[row.SnapshotID]
		if !ok {
			return fault.New(fault.Internal, "readout_missing", "snapshot %s was settled without a readout", row.SnapshotID)
		}
		if row.DeltaMinor > maxMinor {
			return overflow("base of "+row.SnapshotID, row.DeltaMinor)
		}
		if err := p.permitted(row, r); err != nil {
			return err
		}
		p.steps.settle(p.t, row, r)
		if p.phase.Kind == PhaseShadow || p.phase.Kind == PhaseFree {
			if row.DeferredMinor > 0 {
				p.steps.add("waive", row.SnapshotID, "a "+string(p.phase.Kind)+" month's lift is not billed later", minorText(row.DeferredMinor), "0")
			}
			row.WaivedMinor, row.DeferredMinor = row.WaivedMinor+row.DeferredMinor, 0
		}
		if p.deferring > 0 {
			row.DeferredMinor += row.DeltaMinor
			row.DeltaMinor, row.HighWaterAfter = 0, row.HighWaterBefore
		}
		row.HighWaterAfter = row.HighWaterBefore + row.DeltaMinor + row.WaivedMinor
		p.rows = append(p.rows, Row{SettleRow: row, Passed: r.Verdict.Passed})
	}
	p.steps.cap(p.Settled)
	if p.deferring > 0 {
		p.steps.add("defer", "", fmt.Sprintf("total below Stripe's minimum charge of %d: the lift is billed later", minimumOf(p.t.Currency)), minorText(p.deferring), "0")
	}
	return nil
}

// permitted refuses a base that the guardrail did not permit: without the readout's own
// lift.Billable, or above its figure.
func (p *pricer) permitted(row lift.SettleRow, r lift.Readout) error {
	refuse := func(why string) error {
		return fault.New(fault.Internal, "base_not_permitted", "snapshot %s has the base %d with the verdict %s: %s", row.SnapshotID, row.DeltaMinor, r.Verdict.Headline, why)
	}
	b, ok := r.Billable()
	figure := b.BoundMinor()
	if p.t.Rule().BillsPoint(b.Look()) {
		figure = b.PointMinor()
	}
	switch {
	case row.DeltaMinor == 0:
		return nil
	case row.DeltaMinor < 0:
		return refuse("a base is never negative")
	case !ok || !r.Verdict.Passed || b.SnapshotID() != row.SnapshotID || b.CaseID() != r.CaseID:
		return refuse("there is no permission")
	case b.Currency() != p.t.Currency:
		return refuse("the permission is in " + b.Currency().Code())
	case row.HighWaterBefore+row.DeltaMinor > figure:
		return refuse("the permission ends at " + minorText(figure))
	}
	return nil
}

// liftFees makes one line per billed base, at the share or by the tiers.
func (p *pricer) liftFees() error {
	var sum int64
	n := 0
	for _, r := range p.rows {
		if r.DeltaMinor > 0 {
			n++
		}
		if sum += r.DeltaMinor; sum > maxMinor {
			return overflow("base", sum)
		}
	}
	switch {
	case n > MaxBillableSnapshots:
		return fault.New(fault.Invalid, "lines_count", "%d lines exceed the limit of %d of one invoice", n, MaxBillableSnapshots)
	case sum == 0:
		return nil
	case p.t.Tiers == nil:
		return p.eachRow(one, p.share, "base × share", p.t.Share, "share "+p.t.Share)
	case p.t.Tiers.Mode == Whole:
		return p.wholeTiers(sum)
	default:
		return p.marginalTiers(sum)
	}
}

// eachRow makes the lines: base × multiplier ÷ divisor, with the netting and the ramp.
// formula and factor are for the step, words are for the line.
func (p *pricer) eachRow(divisor, multiplier decimal.Decimal, formula, factor, words string) error {
	if p.kept.LessThan(one) {
		formula, factor, words = formula+" × (1 − agreed rate)", factor+" × "+p.kept.String(), words+" × "+p.kept.String()+" after the agreed rate"
	}
	if !p.factor.Equal(one) {
		formula, factor, words = formula+" × "+string(p.phase.Kind), factor+" × "+p.factor.String(), words+" × "+string(p.phase.Kind)+" "+p.factor.String()
	}
	mode := "round " + string(p.t.Rounding) + stepNote(p.t)
	for i := range p.rows {
		r := &p.rows[i]
		if r.DeltaMinor == 0 {
			continue
		}
		minor, err := p.round(decimal.NewFromInt(r.DeltaMinor).Mul(multiplier).Mul(p.kept).Mul(p.factor), divisor)
		if err != nil {
			return err
		}
		r.Fee = minor
		p.steps.add("fee", r.SnapshotID, mode+"("+formula+")", fmt.Sprintf("%d × %s", r.DeltaMinor, factor), minorText(minor))
		if minor == 0 {
			continue
		}
		permit, _ := p.readouts[r.SnapshotID].Billable() // settledRows has checked it
		err = p.add(Line{Key: r.SnapshotID, Kind: LineLift, AmountMinor: minor, SnapshotID: r.SnapshotID, permit: permit,
			Text: p.money(r.DeltaMinor) + " × " + words})
		if err != nil {
			return err
		}
	}
	return nil
}

// bracket is one tier with the base from which it holds; the first one is Terms.Share.
type bracket struct {
	from  int64
	share decimal.Decimal
	text  string
}

func (p *pricer) brackets() ([]bracket, error) {
	out := []bracket{{share: p.share, text: p.t.Share}}
	for _, t := range p.t.Tiers.Above {
		share, ok := fraction(t.Share)
		if !ok {
			return nil, fault.New(fault.Internal, "terms_unreadable", "the terms of contract %s were not normalised", p.Contract.ID)
		}
		out = append(out, bracket{t.FromMinor, share, t.Share})
	}
	return out, nil
}

// marginalTiers takes each part of the window's base at its own share and gives every
// line its proportion of the sum.
func (p *pricer) marginalTiers(sum int64) error {
	all, err := p.brackets()
	if err != nil {
		return err
	}
	before := p.time.base(p.t.Tiers.Reset)
	after := before + sum
	total := decimal.Zero
	var parts []string
	for i, b := range all {
		to := after
		if i+1 < len(all) {
			to = min(after, all[i+1].from)
		}
		part := to - max(before, b.from)
		if part <= 0 {
			continue
		}
		fee := decimal.NewFromInt(part).Mul(b.share)
		total = total.Add(fee)
		parts = append(parts, fee.String())
		p.steps.add("tier", "", fmt.Sprintf("base of the %s from %d to %d, without what was before × share", p.t.Tiers.Reset, b.from, to),
			fmt.Sprintf("(%d − %d) × %s", to, max(before, b.from), b.text), fee.String())
	}
	p.steps.add("tiers", "", "sum of the tiers", strings.Join(parts, " + "), total.String())
	return p.eachRow(decimal.NewFromInt(sum), total, "base × tiers ÷ all bases", total.String()+" ÷ "+minorText(sum), "tiered share "+total.String()+" ÷ "+minorText(sum))
}

// wholeTiers takes the window's base at the share that it reaches. Base that the window
// billed before at another share is priced anew in a line of its own.
func (p *pricer) wholeTiers(sum int64) error {
	all, err := p.brackets()
	if err != nil {
		return err
	}
	before := p.time.base(p.t.Tiers.Reset)
	old, now := reached(all, before), reached(all, before+sum)
	p.steps.add("tier", "", "share of the tier that the base of the "+string(p.t.Tiers.Reset)+" reaches", fmt.Sprintf("%d + %d ≥ %d", before, sum, now.from), now.text)
	if err := p.eachRow(one, now.share, "base × share", now.text, "share "+now.text); err != nil {
		return err
	}
	if before == 0 || now.share.Equal(old.share) || p.phase.Kind == PhaseFree { // a free month's base reaches no tier: no later month counts it
		return nil
	}
	minor, err := p.round(decimal.NewFromInt(before).Mul(now.share.Sub(old.share)).Mul(p.kept), one)
	if err != nil {
		return err
	}
	inputs := fmt.Sprintf("%d × (%s − %s)", before, now.text, old.text)
	if p.kept.LessThan(one) {
		inputs += " × " + p.kept.String()
	}
	return p.fee(LineTiers, minor,
		fmt.Sprintf("Share %s instead of %s for the %s billed earlier in the contract %s, because the tier from %s was reached", now.text, old.text, p.money(before), p.t.Tiers.Reset, p.money(now.from)),
		"round "+string(p.t.Rounding)+stepNote(p.t)+"(base billed before × change of the share)", inputs)
}

// reached is the tier of a base: the last one that begins at or below it.
func reached(all []bracket, base int64) bracket {
	out := all[0]
	for _, b := range all[1:] {
		if base >= b.from {
			out = b
		}
	}
	return out
}

// stepNote names the step where the currency has a larger one than a minor unit.
func stepNote(t Terms) string {
	if step := t.Currency.Step(); step > 1 {
		return " to " + minorText(step)
	}
	return ""
}
