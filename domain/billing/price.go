package billing

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/money"
)

// Line is one settled snapshot with its fee. Amounts are minor units of the
// contract's currency; the fee is zero where nothing is billed.
type Line struct {
	lift.SettleRow
	Passed bool
	Fee    int64
}

// Step is one stored row of the arithmetic, in words and numbers, so that a
// person can recompute it with a pocket calculator.
type Step struct {
	Number     int
	Name       string
	SnapshotID string
	Formula    string
	Inputs     string
	Result     string
}

// Priced is what a cycle comes to.
type Priced struct {
	Lines []Line
	Steps []Step
	Total money.Amount
}

// Price turns settled bases into fees: fee = round(base × share), each line
// rounded by the contract's mode, so that the lines sum to the total.
func Price(c Contract, settled lift.SettleResult, readouts []lift.Readout) (Priced, error) {
	share, err := parseShare(c.Terms.Share)
	if err != nil {
		return Priced{}, err
	}
	verdicts := make(map[string]lift.Readout, len(readouts))
	for _, r := range readouts {
		verdicts[r.SnapshotID] = r
	}
	out := Priced{Total: money.Zero(c.Terms.Currency)}
	steps := stepper{}
	billed := 0
	for _, row := range settled.Rows {
		r, ok := verdicts[row.SnapshotID]
		if !ok {
			return Priced{}, fault.New(fault.Internal, "readout_missing", "snapshot %s was settled without a readout", row.SnapshotID)
		}
		if row.DeltaMinor < 0 || (row.DeltaMinor > 0 && !r.Verdict.Passed) {
			return Priced{}, fault.New(fault.Internal, "base_not_permitted", "snapshot %s has the base %d with the verdict %s", row.SnapshotID, row.DeltaMinor, r.Verdict.Headline)
		}
		steps.settle(c.Terms, row, r)
		fee, err := money.FromDecimal(decimal.NewFromInt(row.DeltaMinor).Mul(share), c.Terms.Currency, c.Terms.Rounding)
		if err != nil {
			return Priced{}, err
		}
		if row.DeltaMinor > 0 {
			billed++
			steps.add("fee", row.SnapshotID, "round "+string(c.Terms.Rounding)+stepNote(c.Terms)+"(base × share)",
				fmt.Sprintf("%d × %s", row.DeltaMinor, c.Terms.Share), strconv.FormatInt(fee.Minor(), 10))
		}
		if out.Total, err = out.Total.Add(fee); err != nil {
			return Priced{}, err
		}
		out.Lines = append(out.Lines, Line{SettleRow: row, Passed: r.Verdict.Passed, Fee: fee.Minor()})
	}
	if billed > MaxBillableSnapshots {
		return Priced{}, fault.New(fault.Invalid, "lines_count", "%d lines exceed the limit of %d of one invoice", billed, MaxBillableSnapshots)
	}
	steps.cap(settled)
	steps.total(out)
	out.Steps = steps.rows
	return out, nil
}

type stepper struct{ rows []Step }

func (s *stepper) add(name, snapshot, formula, inputs, result string) {
	s.rows = append(s.rows, Step{Number: len(s.rows) + 1, Name: name, SnapshotID: snapshot, Formula: formula, Inputs: inputs, Result: result})
}

func (s *stepper) settle(t Terms, row lift.SettleRow, r lift.Readout) {
	if r.Estimate.Refused() {
		s.add("measure", row.SnapshotID, "no estimate", r.Estimate.Refusal, "withheld")
		return
	}
	res := r.Estimate.Result
	s.add("measure", row.SnapshotID, "measured = observed − counterfactual, rounded down",
		fmt.Sprintf("%d − %s", r.Estimate.SumMinor, decimalText(float64(r.Estimate.SumMinor)-res.T)), strconv.FormatInt(row.PointMinor, 10))
	s.add("bound", row.SnapshotID, "bound = measured − z × standard error, rounded down",
		fmt.Sprintf("%s − %s × %s", decimalText(res.T), r.Verdict.Z, decimalText(res.SE)), strconv.FormatInt(row.BoundMinor, 10))
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
		fmt.Sprintf("%d − %d", row.TargetMinor, row.HighWaterBefore), strconv.FormatInt(row.DeltaMinor, 10))
}

// cap shows what a portfolio cap allows of what the snapshots alone would bill.
func (s *stepper) cap(settled lift.SettleResult) {
	if settled.CapMinor == nil {
		return
	}
	s.add("portfolio_cap", "", "min(sum of the rises, max(0, lift of all snapshots together − billed before))",
		fmt.Sprintf("min(%d, max(0, %d − %d))", settled.RisesMinor, *settled.CapMinor, settled.TotalBefore), strconv.FormatInt(settled.BaseMinor, 10))
}

// stepNote names the step where the currency has a larger one than a minor unit.
func stepNote(t Terms) string {
	if step := t.Currency.Step(); step > 1 {
		return " to " + strconv.FormatInt(step, 10)
	}
	return ""
}

func capNote(t Terms) string {
	if t.Capped() {
		return ", at most its part of the pooled bound"
	}
	return ""
}

func (s *stepper) total(p Priced) {
	var parts []string
	for _, l := range p.Lines {
		if l.Fee > 0 {
			parts = append(parts, strconv.FormatInt(l.Fee, 10))
		}
	}
	if len(parts) == 0 {
		parts = []string{"nothing billable"}
	}
	s.add("total", "", "sum of the fees", strings.Join(parts, " + "), strconv.FormatInt(p.Total.Minor(), 10))
}

// decimalText shows an estimate with six digits behind the point, for reading only.
func decimalText(v float64) string { return strconv.FormatFloat(v, 'f', 6, 64) }
