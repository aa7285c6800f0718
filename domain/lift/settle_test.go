package lift_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
)

// line is a judged snapshot: year-to-date point and standard error.
func line(t require.TestingT, look lift.Look, id string, point, se float64, mark int64) lift.SettleLine {
	v := lift.Judge(healthy(id, point, se), evidence(look), sealed(t))
	b, _ := v.Billable()
	return lift.SettleLine{SnapshotID: id, Verdict: v, Billable: b, HighWaterMinor: mark}
}

func pooled(t require.TestingT, look lift.Look, point, se float64) lift.Verdict {
	return lift.Judge(healthy(lift.SnapshotPooled, point, se), evidence(look), sealed(t))
}

func settle(t require.TestingT, in lift.SettleInput) lift.SettleResult {
	if in.Look == "" {
		in.Look = lift.LookMonth
	}
	if in.SnapshotLimit == 0 {
		in.SnapshotLimit = 4
	}
	for _, l := range in.Lines {
		in.TotalHighWaterMinor += l.HighWaterMinor
	}
	res, err := lift.Settle(in)
	require.NoError(t, err)
	return res
}

// TestMonthlyLiftsBillTheirHighWater: lifts of +100, -60 and +80 in three
// months are 100, 40 and 120 year to date; they bill 100, 0 and 20.
func TestMonthlyLiftsBillTheirHighWater(t *testing.T) {
	t.Parallel()
	for _, basis := range []lift.Basis{lift.BasisMeasured, lift.BasisProven} {
		var mark, billed int64
		for i, c := range []struct {
			ytd   float64
			delta int64
		}{{100, 100}, {40, 0}, {120, 20}} {
			res := settle(t, lift.SettleInput{Basis: basis, Pooled: pooled(t, lift.LookMonth, c.ytd, 0),
				Lines: []lift.SettleLine{line(t, lift.LookMonth, "a", c.ytd, 0, mark)}})
			require.Equal(t, c.delta, res.BaseMinor, "%s month %d", basis, i+1)
			mark, billed = res.Rows[0].HighWaterAfter, billed+res.BaseMinor
			require.Equal(t, mark, billed)
			require.Zero(t, res.CreditMinor, "a mark carries a fall until the settlement")
			if i == 1 {
				require.Equal(t, int64(60), res.DriftMinor)
				require.Equal(t, lift.CodeBelowHighWater, res.Rows[0].Reason)
			}
		}
	}
}

// TestPortfolioCapByHand: marks 10 and 0; bounds 50 and 31; pooled bound 60.
// Room is 60 - 10 = 50 over rises 40 and 31: 28.17 and 21.83 give 28 and 22.
func TestPortfolioCapByHand(t *testing.T) {
	t.Parallel()
	lines := []lift.SettleLine{line(t, lift.LookMonth, "b", 31, 0, 0), line(t, lift.LookMonth, "a", 50, 0, 10)}
	res := settle(t, lift.SettleInput{Basis: lift.BasisProven, PortfolioCap: true, Pooled: pooled(t, lift.LookMonth, 60, 0), Lines: lines})
	require.Equal(t, "a", res.Rows[0].SnapshotID)
	require.Equal(t, []int64{28, 22}, []int64{res.Rows[0].DeltaMinor, res.Rows[1].DeltaMinor})
	require.Equal(t, []int64{12, 9}, []int64{res.Rows[0].DeferredMinor, res.Rows[1].DeferredMinor})
	require.Equal(t, lift.CodePortfolioCapped, res.Rows[0].Reason)
	require.Equal(t, int64(60), *res.CapMinor)
	require.Equal(t, int64(60), res.TotalAfter)
	without := settle(t, lift.SettleInput{Basis: lift.BasisProven, Pooled: pooled(t, lift.LookMonth, 60, 0), Lines: lines})
	require.Equal(t, int64(81), without.TotalAfter)
	require.Nil(t, without.CapMinor)
}

func TestSettlementWaivesAndCredits(t *testing.T) {
	t.Parallel()
	look := lift.LookSettlement
	res := settle(t, lift.SettleInput{Basis: lift.BasisMeasured, Look: look, Pooled: pooled(t, look, 500, 0), Lines: []lift.SettleLine{
		line(t, look, "fell", 70, 0, 100), line(t, look, "unproven", 90, 1000, 0)}})
	require.Zero(t, res.BaseMinor)
	require.Equal(t, int64(30), res.CreditMinor)
	require.Equal(t, int64(90), res.WaivedMinor)
	require.Zero(t, res.DeferredMinor)

	unknown := settle(t, lift.SettleInput{Basis: lift.BasisMeasured, Look: look, Pooled: pooled(t, look, 500, 0),
		Lines: []lift.SettleLine{{SnapshotID: "gone", HighWaterMinor: 5}}})
	require.False(t, unknown.DriftKnown)
	require.Zero(t, unknown.CreditMinor)
}

func TestNothingIsBilledWithoutPooledDataOrLook(t *testing.T) {
	t.Parallel()
	bad := evidence(lift.LookMonth)
	bad.Books[0].StripeMinor++
	broken := lift.Judge(healthy(lift.SnapshotPooled, 1e6, 0), bad, sealed(t))
	for _, basis := range []lift.Basis{lift.BasisMeasured, lift.BasisProven} {
		for _, c := range []struct {
			pooled lift.Verdict
			look   lift.Look
			reason lift.Code
		}{
			{broken, lift.LookMonth, lift.CodePooledDataGate},
			{lift.Verdict{}, lift.LookMonth, lift.CodePooledDataGate},
			{pooled(t, lift.LookNone, 1e6, 0), lift.LookNone, lift.CodeNoLook},
		} {
			res := settle(t, lift.SettleInput{Basis: basis, Look: c.look, Pooled: c.pooled, Lines: []lift.SettleLine{line(t, c.look, "a", 100, 0, 0)}})
			require.Zero(t, res.BaseMinor)
			require.Equal(t, int64(100), res.DeferredMinor)
			require.Equal(t, c.reason, res.Rows[0].Reason)
		}
	}
	// A pooled lift that is merely not proven does not stop the measured basis.
	weak := pooled(t, lift.LookMonth, 1, 1e6)
	require.False(t, weak.Passed)
	res := settle(t, lift.SettleInput{Basis: lift.BasisMeasured, Pooled: weak, Lines: []lift.SettleLine{line(t, lift.LookMonth, "a", 100, 0, 0)}})
	require.Equal(t, int64(100), res.BaseMinor)
}

func TestSettleRefusesWrongMarksPermissionsAndTooManySnapshots(t *testing.T) {
	t.Parallel()
	a := line(t, lift.LookMonth, "a", 100, 0, 10)
	in := lift.SettleInput{Basis: lift.BasisMeasured, Look: lift.LookMonth, SnapshotLimit: 4, Pooled: pooled(t, lift.LookMonth, 1e3, 0), Lines: []lift.SettleLine{a}, TotalHighWaterMinor: 10}
	for code, change := range map[string]func(in *lift.SettleInput){
		"settle_marks":      func(in *lift.SettleInput) { in.TotalHighWaterMinor = 11 },
		"settle_mark":       func(in *lift.SettleInput) { in.Lines[0].HighWaterMinor = -1 },
		"settle_snapshot":   func(in *lift.SettleInput) { in.Lines = append(in.Lines, a) },
		"settle_permission": func(in *lift.SettleInput) { in.Lines[0].SnapshotID = "b" },
		"snapshot_limit":    func(in *lift.SettleInput) { in.SnapshotLimit = 0 },
		"basis_unknown":     func(in *lift.SettleInput) { in.Basis = "vibes" },
	} {
		c := in
		c.Lines = append([]lift.SettleLine(nil), in.Lines...)
		change(&c)
		_, err := lift.Settle(c)
		require.Equal(t, code, fault.CodeOf(err))
	}
	c := in
	c.Pooled = pooled(t, lift.LookSettlement, 1e3, 0)
	_, err := lift.Settle(c)
	require.Equal(t, "settle_pooled", fault.CodeOf(err))
	c.Look = lift.LookSettlement
	_, err = lift.Settle(c)
	require.Equal(t, "settle_permission", fault.CodeOf(err), "a permission holds for its look only")
}

// TestSettleYearProperties runs random years and checks the promises at every look.
func TestSettleYearProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 4).Draw(rt, "snapshots")
		rule := rapid.SampledFrom(lift.Rules()).Draw(rt, "rule")
		p := plan(rt)
		p.Settlement = rule.Settlement
		s, err := p.Seal(sealedAt)
		require.NoError(rt, err)
		capped := rapid.Bool().Draw(rt, "cap")
		marks := make([]int64, n)
		var billed int64
		for m := range 12 {
			look := lift.LookMonth
			if m == 11 {
				look = lift.LookSettlement
			}
			in := lift.SettleInput{Basis: rule.Basis, Settlement: rule.Settlement, PortfolioCap: capped, Look: look,
				Pooled: judgedAs(s, look, lift.SnapshotPooled, rapid.Float64Range(-2e6, 4e6).Draw(rt, "pooled"), rapid.Float64Range(0, 1e6).Draw(rt, "pooled_se"))}
			for i := range n {
				id := fmt.Sprintf("s%d", i)
				v := judgedAs(s, look, id, rapid.Float64Range(-1e6, 2e6).Draw(rt, "point"), rapid.Float64Range(0, 5e5).Draw(rt, "se"))
				b, _ := v.Billable()
				in.Lines = append(in.Lines, lift.SettleLine{SnapshotID: id, Verdict: v, Billable: b, HighWaterMinor: marks[i]})
			}
			res := settle(rt, in)
			var sum int64
			for i, r := range res.Rows {
				require.GreaterOrEqual(rt, r.DeltaMinor, int64(0))
				require.Equal(rt, marks[i]+r.DeltaMinor, r.HighWaterAfter)
				require.GreaterOrEqual(rt, r.HighWaterAfter, marks[i])
				if !in.Lines[i].Verdict.Passed {
					require.Zero(rt, r.DeltaMinor, "a failing readout has no amount")
					require.NotEmpty(rt, r.Reason)
				}
				if r.DeltaMinor > 0 {
					require.LessOrEqual(rt, r.HighWaterAfter, r.TargetMinor)
				}
				sum += r.DeltaMinor
				marks[i] = r.HighWaterAfter
			}
			require.Equal(rt, sum, res.BaseMinor)
			billed += sum
			require.Equal(rt, billed, res.TotalAfter)
			if capped && res.BaseMinor > 0 {
				require.LessOrEqual(rt, res.TotalAfter, *res.CapMinor)
			}
			requireCredit(rt, rule, look, in, res)
		}
	})
}

func judgedAs(s lift.SealedPlan, look lift.Look, id string, point, se float64) lift.Verdict {
	return lift.Judge(healthy(id, point, se), evidence(look), s)
}

// requireCredit: nothing is credited before the settlement, never more than was billed,
// and a year never ends above what its billed snapshots measured.
func requireCredit(rt *rapid.T, rule lift.Rule, look lift.Look, in lift.SettleInput, res lift.SettleResult) {
	require.GreaterOrEqual(rt, res.CreditMinor, int64(0))
	require.LessOrEqual(rt, res.CreditMinor, res.TotalAfter)
	if look != lift.LookSettlement {
		require.Zero(rt, res.CreditMinor)
		return
	}
	var measured int64
	for i, r := range res.Rows {
		if r.HighWaterAfter > 0 {
			measured += r.PointMinor
		}
		require.LessOrEqual(rt, r.CreditMinor, r.HighWaterAfter)
		if !in.PortfolioCap && rule.Settlement == lift.SettlePointTwoWay && in.Lines[i].Verdict.Passed {
			require.Equal(rt, max(0, r.PointMinor), r.HighWaterAfter-r.CreditMinor, "a two-way year ends at its estimate")
		}
	}
	require.LessOrEqual(rt, res.TotalAfter-res.CreditMinor, max(0, measured))
}
