package ope_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/ope"
)

func TestRefusalsNameRowColumnAndReason(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, code, column string
		row                int
		change             func(u []ope.Unit) []ope.Unit
	}{
		{"no units", ope.RefusedEmpty, "", -1, func([]ope.Unit) []ope.Unit { return nil }},
		{"empty id", ope.RefusedUnitID, "unit_id", 3, func(u []ope.Unit) []ope.Unit { u[3].ID = ""; return u }},
		{"NUL in id", ope.RefusedUnitID, "unit_id", 3, func(u []ope.Unit) []ope.Unit { u[3].ID = "a\x00b"; return u }},
		{"duplicate", ope.RefusedDuplicate, "unit_id", 5, func(u []ope.Unit) []ope.Unit { u[5].ID = u[2].ID; return u }},
		{"NaN feature", ope.RefusedFeature, "x_2", 4, func(u []ope.Unit) []ope.Unit { u[4].X[1] = math.NaN(); return u }},
		{"infinite feature", ope.RefusedFeature, "x_1", 4, func(u []ope.Unit) []ope.Unit { u[4].X[0] = math.Inf(-1); return u }},
		{"missing feature", ope.RefusedFeatures, "x", 6, func(u []ope.Unit) []ope.Unit { u[6].X = u[6].X[:1]; return u }},
		{"probability 0", ope.RefusedOverlap, "probability", 0, func(u []ope.Unit) []ope.Unit { u[0].P = 0; return u }},
		{"probability 1", ope.RefusedOverlap, "probability", 0, func(u []ope.Unit) []ope.Unit { u[0].P = 1; return u }},
		{"probability NaN", ope.RefusedOverlap, "probability", 0, func(u []ope.Unit) []ope.Unit { u[0].P = math.NaN(); return u }},
		{"outcome", ope.RefusedOutcome, "y_minor", 1, func(u []ope.Unit) []ope.Unit { u[1].Y = math.MinInt64; return u }},
		{"one in the holdout", ope.RefusedArm, "", -1, func(u []ope.Unit) []ope.Unit { return arms(u, 1) }},
		{"one with the policy", ope.RefusedArm, "", -1, func(u []ope.Unit) []ope.Unit { return arms(u, len(u)-1) }},
		{"tiny probability", ope.RefusedNotFinite, "", -1, func(u []ope.Unit) []ope.Unit {
			for i := range u {
				u[i].P = 1e-300
			}
			return u
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := ope.Estimate(c.change(world{n: 60, d: 2, h: 0.4, payers: 0.5, seed: 1}.units()), 2, 5, ope.Options{Lambda: lambda})
			var r *ope.Refusal
			require.ErrorAs(t, err, &r)
			require.Equal(t, c.code, r.Code)
			require.Equal(t, c.row, r.Row)
			require.Equal(t, c.column, r.Column)
			require.NotEmpty(t, r.Error())
		})
	}
}

func arms(u []ope.Unit, held int) []ope.Unit {
	for i := range u {
		u[i].Holdout = i < held
	}
	return u
}

// TestWhatIsNoNumberIsNamedInWords: a refusal stands in a readout, where no NaN and no Inf
// is ever shown.
func TestWhatIsNoNumberIsNamedInWords(t *testing.T) {
	t.Parallel()
	for want, v := range map[string]float64{
		"not-a-number is not a finite number within ±1e+15":   math.NaN(),
		"infinity is not a finite number within ±1e+15":       math.Inf(1),
		"minus infinity is not a finite number within ±1e+15": math.Inf(-1),
		"1e+16 is not a finite number within ±1e+15":          1e16,
	} {
		units := world{n: 60, d: 2, h: 0.4, payers: 0.5, seed: 1}.units()
		units[3].X[1] = v
		_, err := ope.Estimate(units, 2, 5, ope.Options{Lambda: lambda})
		var r *ope.Refusal
		require.ErrorAs(t, err, &r)
		require.Equal(t, want, r.Reason)
	}
}

func TestOptionsAndFoldsAreRefused(t *testing.T) {
	t.Parallel()
	units := world{n: 60, d: 2, h: 0.4, payers: 0.5, seed: 1}.units()
	for _, o := range []ope.Options{{Lambda: -1}, {Lambda: math.NaN()}, {Lambda: math.Inf(1)}} {
		_, err := ope.Estimate(units, 2, 5, o)
		require.Error(t, err)
	}
	for _, folds := range []int{-1, 0, 1, ope.MaxFolds + 1} {
		_, err := ope.Estimate(units, 2, folds, ope.Options{})
		require.Error(t, err)
	}
	for i := range units {
		units[i].X[1] = 2 * units[i].X[0]
	}
	_, err := ope.Estimate(units, 2, 5, ope.Options{Lambda: 0})
	if err != nil { // without a penalty collinear features may or may not leave a positive pivot
		var r *ope.Refusal
		require.ErrorAs(t, err, &r)
		require.Equal(t, ope.RefusedSingular, r.Code)
	}
	_, err = ope.Estimate(units, 2, 5, ope.Options{Lambda: lambda})
	require.NoError(t, err)
}
