package billing

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/money"
)

// allocate says what of every line stands on the invoice, where nothing is negative:
// each reduction is split over the lines that it reduces in proportion to what is left
// of them, by largest remainder. Caps, holdbacks and true-ups reduce performance fees
// first; credits reduce everything. The billed parts sum to the total.
func (p *pricer) allocate() error {
	if p.total() == 0 {
		return nil
	}
	left := make([]int64, len(p.lines))
	for i, l := range p.lines {
		left[i] = max(0, l.AmountMinor)
	}
	for _, l := range p.lines {
		if l.AmountMinor >= 0 {
			continue
		}
		rest, err := p.reduce(left, -l.AmountMinor, l.Kind.isPerformance() || l.Kind == LineHoldback)
		if err == nil && rest > 0 {
			rest, err = p.reduce(left, rest, false)
		}
		if err != nil {
			return err
		}
		if rest != 0 {
			return fault.New(fault.Internal, "reductions_exceed", "the reductions exceed the fees by %d", rest)
		}
	}
	billed := map[string]int64{}
	for i := range p.lines {
		p.lines[i].BilledMinor = left[i]
		if p.lines[i].Kind == LineLift {
			billed[p.lines[i].SnapshotID] = left[i]
		}
	}
	for i := range p.rows {
		p.rows[i].Billed = billed[p.rows[i].SnapshotID]
	}
	return nil
}

// reduce takes an amount off what is left of the lines, of the performance fees only
// where asked, and returns what it could not take off. All amounts are multiples of
// the currency's step, and so are the parts.
func (p *pricer) reduce(left []int64, minor int64, performanceOnly bool) (int64, error) {
	step := p.t.Currency.Step()
	weights := make([]int64, len(left))
	var sum int64
	for i, l := range p.lines {
		if !performanceOnly || l.Kind.isPerformance() {
			weights[i] = left[i] / step
			sum += left[i]
		}
	}
	taken := min(minor, sum)
	parts, err := money.Allocate(taken/step, weights)
	if err != nil {
		return 0, err
	}
	for i, part := range parts {
		left[i] -= part * step
	}
	return minor - taken, nil
}

type stepper struct{ rows []Step }

func (s *stepper) add(name, snapshot, formula, inputs, result string) {
	s.rows = append(s.rows, Step{Number: len(s.rows) + 1, Name: name, SnapshotID: snapshot, Formula: formula, Inputs: inputs, Result: result})
}

// settle writes how a snapshot came to its base.
func (s *stepper) settle(t Terms, row lift.SettleRow, r lift.Readout) {
	if r.Estimate.Refused() {
		s.add("measure", row.SnapshotID, "no estimate", r.Estimate.Refusal, "withheld")
		return
	}
	res := r.Estimate.Result
	s.add("measure", row.SnapshotID, "measured = observed − counterfactual, rounded down",
		fmt.Sprintf("%d − %s", r.Estimate.SumMinor, decimalText(float64(r.Estimate.SumMinor)-res.T)), minorText(row.PointMinor))
	s.add("bound", row.SnapshotID, "bound = measured − z × standard error, rounded down",
		fmt.Sprintf("%s − %s × %s", decimalText(res.T), r.Verdict.Z, decimalText(res.SE)), minorText(row.BoundMinor))
	if !r.Verdict.Passed {
		s.add("guardrail", row.SnapshotID, "every check passes", string(r.Verdict.Headline), "withheld")
		return
	}
	s.add("guardrail", row.SnapshotID, "every check passes", fmt.Sprintf("%d checks", len(r.Verdict.Checks)), "passed")
	figure := "bound"
	if t.Rule().BillsPoint(r.Verdict.Look) {
		figure = "measured"
	}
	s.add("base", row.SnapshotID, "max(0, "+figure+" − billed before)"+capNote(t),
		fmt.Sprintf("%d − %d", row.TargetMinor, row.HighWaterBefore), minorText(row.DeltaMinor))
}

// cap shows what a portfolio cap allows of what the snapshots alone would bill.
func (s *stepper) cap(settled lift.SettleResult) {
	if settled.CapMinor == nil {
		return
	}
	s.add("portfolio_cap", "", "min(sum of the rises, max(0, lift of all snapshots together − billed before))",
		fmt.Sprintf("min(%d, max(0, %d − %d))", settled.RisesMinor, *settled.CapMinor, settled.TotalBefore), minorText(settled.BaseMinor))
}

func capNote(t Terms) string {
	if t.Capped() {
		return ", at most its part of the pooled bound"
	}
	return ""
}

// total writes the sum of the lines, which a calculator can follow.
func (s *stepper) total(lines []Line, total int64) {
	var b strings.Builder
	for _, l := range lines {
		switch {
		case l.AmountMinor == 0:
		case b.Len() == 0:
			b.WriteString(minorText(l.AmountMinor))
		case l.AmountMinor < 0:
			b.WriteString(" − " + minorText(-l.AmountMinor))
		default:
			b.WriteString(" + " + minorText(l.AmountMinor))
		}
	}
	if b.Len() == 0 {
		b.WriteString("nothing billable")
	}
	s.add("total", "", "sum of the lines", b.String(), minorText(total))
}

func minorText(minor int64) string { return strconv.FormatInt(minor, 10) }

// decimalText shows an estimate with six digits behind the point, for reading only.
func decimalText(v float64) string { return strconv.FormatFloat(v, 'f', 6, 64) }
