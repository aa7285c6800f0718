package validation_test

import (
	"fmt"
	"math"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/internal/validation"
)

// requireRisksAreThose holds the risks that contracts print against simulated years:
// each within four Monte-Carlo errors.
func requireRisksAreThose(t *testing.T, years []validation.Years) {
	t.Helper()
	compared := 0
	for _, y := range years {
		risk, err := lift.KnownRisk(y.Rule)
		require.NoError(t, err)
		null, over, billed := risk.NullFresh, risk.OverFresh, risk.BilledFresh
		if y.Sticky {
			null, over, billed = risk.NullSticky, risk.OverSticky, risk.BilledSticky
		}
		near := func(want float64, got int) {
			compared++
			p := want / 100
			require.InDelta(t, p, float64(got)/float64(y.Runs), 0.001+4*math.Sqrt(max(p*(1-p), 0.01)/float64(y.Runs)), "%+v", y)
		}
		switch y.Lift {
		case 0:
			near(null, y.Ever)
		case lift.RiskLift:
			near(over, y.Over)
			// The spread of what a year bills is at most that of its estimate, 38 % of this lift.
			require.InDelta(t, billed/100, y.Mean/(12*y.Lift), 0.01+4*0.5/math.Sqrt(float64(y.Runs)), "%+v", y)
		}
	}
	require.Equal(t, 4*len(lift.Rules()), compared)
}

// TestPageShowsTheRisksThatContractsPrint: the page and the contracts say the same.
func TestPageShowsTheRisksThatContractsPrint(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/validation.md")
	require.NoError(t, err)
	for _, rule := range lift.Rules() {
		r, err := lift.KnownRisk(rule)
		require.NoError(t, err)
		for _, row := range []string{
			fmt.Sprintf("| %s, %s | sticky | %.1f %% | %.0f %% | %.0f %% |", rule.Basis, rule.Settlement, r.NullSticky, r.OverSticky, r.BilledSticky),
			fmt.Sprintf("| %s, %s | independent | %.1f %% | %.0f %% | %.0f %% |", rule.Basis, rule.Settlement, r.NullFresh, r.OverFresh, r.BilledFresh),
		} {
			require.Contains(t, string(page), row)
		}
	}
}
