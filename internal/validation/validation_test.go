package validation_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/internal/validation"
)

// short has a fiftieth of the runs; its bounds follow from that.
var short = validation.Options{Seed: 7, Scale: 0.02, Workers: 2}

// TestShortValidation runs every study with fewer runs and the wider bounds that
// follow. Its controls show that it can fail: what they do must not pass for right.
func TestShortValidation(t *testing.T) {
	t.Parallel()
	rep, err := validation.Run(t.Context(), short)
	require.NoError(t, err)
	for _, c := range rep.Checks {
		t.Logf("%-60s %d runs: %.4f", c.Name, c.Runs, c.Observed)
		require.True(t, c.Passed, "%+v", c)
	}
	requireRisksAreThose(t, rep.Years)
}

// TestWorkersReachNoResult: the schedule of the goroutines decides nothing.
func TestWorkersReachNoResult(t *testing.T) {
	t.Parallel()
	alone := short
	alone.Workers = 1
	for _, run := range []func(o validation.Options) (any, error){
		func(o validation.Options) (any, error) {
			return validation.Cell{World: validation.WorldSub, Units: 1000, Holdout: 0.3, Lift: 0.2, Runs: 50}.Run(t.Context(), o, 3)
		},
		func(o validation.Options) (any, error) {
			return validation.Exploration{Probability: 0.5, Decisions: 2, Units: 500, Runs: 50}.Run(t.Context(), o, 4)
		},
	} {
		many, err := run(short)
		require.NoError(t, err)
		one, err := run(alone)
		require.NoError(t, err)
		require.Equal(t, one, many)
	}
}

func TestBinomialBounds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		runs int
		a    float64
		most int
	}{{2000, .05, 131}, {2000, .028, 80}, {2000, .002, 11}, {500, .05, 41}} {
		require.Equal(t, c.most, validation.BinomialMost(c.runs, c.a))
	}
	require.Equal(t, 0, validation.BinomialLeast(10, 0.01))
}

// TestBoundsCatchTheTextbookVariance: the very bound that the billed variance
// keeps is broken by the cluster-robust variance alone, so the test can fail.
func TestBoundsCatchTheTextbookVariance(t *testing.T) {
	t.Parallel()
	const at5 = 3
	cell, err := validation.Cell{World: validation.WorldNew, Units: 2000, Holdout: 0.1, Runs: 800}.
		Run(t.Context(), validation.Options{Seed: 11, Scale: 1, Workers: 2}, 1)
	require.NoError(t, err)
	most := validation.BinomialMost(cell.Runs, 0.05)
	require.LessOrEqual(t, cell.Over[at5], most)
	require.Greater(t, cell.OverCR[at5], most)
}

func TestPageAndFigures(t *testing.T) {
	t.Parallel()
	high := 0.06
	rep := validation.Report{Seed: 3, Scale: 1, Checks: []validation.Check{
		{Name: "kept", Runs: 100, Observed: 0.05, High: &high, Rate: true, Passed: true},
		{Name: "broken", Runs: 100, Observed: 0.5, High: &high, Rate: true}},
		Cells: []validation.Cell{{World: validation.WorldNew, Units: 2000, Holdout: 0.1, Runs: 100}}}
	page := validation.Markdown(rep, "img")
	require.Contains(t, page, "| kept | 100 | 5.00 % ± 2.18 | ≤ 6.00 % | yes |")
	require.Contains(t, page, "| broken | 100 | 50.00 % ± 5.00 | ≤ 6.00 % | **NO** |")
	for name, svg := range validation.Figures(rep) {
		require.Contains(t, page, "img/"+name)
		require.Regexp(t, `(?s)^<svg .*</svg>\n$`, svg)
		require.NotContains(t, svg, "NaN")
	}
}
