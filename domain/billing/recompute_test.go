package billing_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

// Every story and every property of Price recomputes its steps (story_test.go); here are
// the ways in which a step can be wrong, and what cannot be read.
func TestAStepIsRecomputed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		step billing.Step
		want billing.Recomputed
	}{
		"half a cent up":     {billing.Step{Name: "fee", Formula: "round half_up(base × share)", Inputs: "1882298 × 0.25", Result: "470575"}, billing.Recomputed{Arithmetic: true, Exact: "470574.5", Result: "470575", Holds: true}},
		"half a cent, even":  {billing.Step{Name: "fee", Formula: "round half_even(base × share)", Inputs: "1882298 × 0.25", Result: "470574"}, billing.Recomputed{Arithmetic: true, Exact: "470574.5", Result: "470574", Holds: true}},
		"a step of ten":      {billing.Step{Name: "fee", Formula: "round down to 10(base × share)", Inputs: "999 × 0.1", Result: "90"}, billing.Recomputed{Arithmetic: true, Exact: "99.9", Result: "90", Holds: true}},
		"an edited result":   {billing.Step{Name: "fee", Formula: "round down(base × share)", Inputs: "1000 × 0.2", Result: "201"}, billing.Recomputed{Arithmetic: true, Exact: "200", Result: "200"}},
		"an edited word":     {billing.Step{Name: "fee", Formula: "round down(base × share)", Inputs: "1000 × 0.2", Result: "withheld"}, billing.Recomputed{Arithmetic: true, Exact: "200", Result: "200"}},
		"no end":             {billing.Step{Name: "fee", Formula: "round down(base × tiers ÷ all bases)", Inputs: "1000 × 2 ÷ 3", Result: "666"}, billing.Recomputed{Arithmetic: true, Exact: "666.666666…", Result: "666", Holds: true}},
		"a negative lift":    {billing.Step{Name: "measure", Formula: "measured = observed − counterfactual, rounded down", Inputs: "100 − 250.500000", Result: "-151"}, billing.Recomputed{Arithmetic: true, Exact: "-150.5", Result: "-151", Holds: true}},
		"at the edge":        {billing.Step{Name: "bound", Formula: "bound = measured − z × standard error, rounded down", Inputs: "10.000000 − 2 × 1.000000", Result: "7"}, billing.Recomputed{Arithmetic: true, Exact: "8", Result: "8", Holds: true}},
		"off by one":         {billing.Step{Name: "bound", Formula: "bound = measured − z × standard error, rounded down", Inputs: "10.500000 − 2 × 1.000000", Result: "7"}, billing.Recomputed{Arithmetic: true, Exact: "8.5", Result: "8"}},
		"above the mark":     {billing.Step{Name: "base", Formula: "max(0, bound − billed before)", Inputs: "50 − 80", Result: "0"}, billing.Recomputed{Arithmetic: true, Exact: "-30", Result: "0", Holds: true}},
		"a part of the cap":  {billing.Step{Name: "base", Formula: "max(0, bound − billed before), at most its part of the pooled bound", Inputs: "90 − 10", Result: "70"}, billing.Recomputed{Arithmetic: true, Exact: "80", Result: "80", Holds: true}},
		"more than the cap":  {billing.Step{Name: "base", Formula: "max(0, bound − billed before), at most its part of the pooled bound", Inputs: "90 − 10", Result: "81"}, billing.Recomputed{Arithmetic: true, Exact: "80", Result: "80"}},
		"a credit":           {billing.Step{Name: "settlement_credit", Formula: "−round down(a × b), in the payer's favour", Inputs: "3 × 0.5", Result: "-2"}, billing.Recomputed{Arithmetic: true, Exact: "1.5", Result: "-2", Holds: true}},
		"a holdback":         {billing.Step{Name: "holdback", Formula: "−round down(performance fees × holdback)", Inputs: "15 × 0.1", Result: "-1"}, billing.Recomputed{Arithmetic: true, Exact: "1.5", Result: "-1", Holds: true}},
		"a due true-up":      {billing.Step{Name: "adjustment", Formula: "due", Inputs: "adj-1 of 2026-09: -500", Result: "-500"}, billing.Recomputed{Arithmetic: true, Exact: "-500", Result: "-500", Holds: true}},
		"a verdict in words": {billing.Step{Name: "guardrail", Formula: "every check passes", Inputs: "29 checks", Result: "passed"}, billing.Recomputed{}},
		"a comparison":       {billing.Step{Name: "tier", Formula: "share of the tier", Inputs: "0 + 5 ≥ 0", Result: "0.2"}, billing.Recomputed{}},
	} {
		got, err := c.step.Recompute()
		require.NoError(t, err, name)
		require.Equal(t, c.want, got, name)
	}
	for _, inputs := range []string{"", "1 +", "1 2x", "(1", "avg(1, 2)", "1 ÷ 0", "min(1, 2", "1.2.3"} {
		_, err := billing.Step{Name: "fee", Formula: "round down(x)", Inputs: inputs, Result: "1"}.Recompute()
		require.Equal(t, "step_unreadable", fault.CodeOf(err), inputs)
	}
	_, err := billing.Step{Name: "fee", Formula: "round sideways(x)", Inputs: "1", Result: "1"}.Recompute()
	require.Equal(t, "step_unreadable", fault.CodeOf(err))
}

// Whatever stands in a row of the database, reading it ends and does not panic.
func TestAnyStepCanBeRead(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringOfN(rapid.RuneFrom([]rune("0123456789.+−×÷(), minax-")), 0, 60, -1))
		s := billing.Step{Name: text.Draw(t, "name"), Formula: text.Draw(t, "formula"), Inputs: text.Draw(t, "inputs"), Result: text.Draw(t, "result")}
		got, err := s.Recompute()
		if err == nil && !got.Arithmetic {
			require.False(t, got.Holds)
		}
	})
}
