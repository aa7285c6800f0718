package webui_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/reconcile"
)

// TestReadoutShowsItsManifest: the lift three ways, every figure that the guardrail looks at,
// where revenue went that is not counted, and what computed it stand on the page and in its file.
func TestReadoutShowsItsManifest(t *testing.T) {
	t.Parallel()
	l := fixture()
	l.weights = []reconcile.WeightCount{
		{Holdout: true, Weight: 2, Units: 90, SumMinor: 81_000, Inverse: 180, WeightedMinor: 162_000}, {Holdout: true, Weight: 2.5, Units: 10, SumMinor: 9_000, Inverse: 25, WeightedMinor: 22_500},
		{Weight: 2, Units: 100, SumMinor: 120_000, Inverse: 200, WeightedMinor: 240_000},
	}
	e := newEcho(l)
	p := open(t, e, "/readouts/"+caseGood)
	last := func(text string) string { row := p.row(t, text); return row[len(row)-1] }
	require.Equal(t, "20,602.50 USD", last("Doubly robust | "))
	require.Equal(t, "20,392.50 USD", last("Direct"), "T + N R: 2,060,250.73 - 6,000 times 3.5")
	require.Equal(t, "300.00 USD", last("IPS"), "210,000 - 200 times 184,500 / 205")
	require.Equal(t, []string{"21,000.00 USD", "-12.00 USD"}, []string{last("Doubly robust, uncapped"), last("Placebo")})
	for name, want := range map[string]string{
		"Sample ratio, z": "-1.96", "Sample ratio, p": "0.05", "Calibration, z": "-0.15", "Weight dominance": "0.000334", "Smallest probability": "0.4", "Holdout payers": "912", "Sum of weights": "5,988.00",
		"Weights: median": "2.00, 2.50, 2.50, 2.50", "Revenue events": "7,001", "Decisions without probabilities": "0", "Coverage": "99.0 %", "Mean probability": "0.499",
	} {
		require.Equal(t, want, last(name), name)
	}
	require.Equal(t, []string{"unmapped", "31", "721.43 USD"}, p.row(t, "unmapped"))
	require.Equal(t, "12.00 USD", last("Policy | 3,006"))
	require.Equal(t, "9.00 USD", last("Holdout | 2,994"))
	for _, want := range []string{"liftbill.manifest/2", "0.0005 alpha, one-sided, at z = 3.290527", "vcs.revision 5a1e9c0", "no random number is drawn; the salt of the arms is secret"} {
		require.Contains(t, p.text, want)
	}
	found := map[string][]string{}
	for _, row := range download(t, e, "/readouts/"+caseGood+"/export.csv").rows {
		found[row[1]] = row[2:5]
	}
	require.Equal(t, []string{"2039250", "20392.50", "2,039,250.73"}, found["lift, Direct"])
	require.Equal(t, "0.05", found["Sample ratio, p"][2])

	again := open(t, e, "/readouts/"+caseAgain)
	require.NotContains(t, again.text, "IPS", "the frozen users had paid something else")
	r := l.readouts[caseGood]
	r.Manifest = "{"
	l.readouts[caseGood] = r
	p = open(t, e, "/readouts/"+caseGood)
	require.Equal(t, 200, p.status)
	require.Contains(t, p.text, "cannot be read by this version")
}
