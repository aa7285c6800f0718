//go:build cases

package ope_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/ope"
)

// TestSharedGolden compares with the reference implementation's vector. The
// directory of the shared cases comes from LIFTBILL_CASES.
func TestSharedGolden(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("LIFTBILL_CASES")
	require.NotEmpty(t, dir, "set LIFTBILL_CASES to the directory of the shared cases")
	raw, err := os.ReadFile(filepath.Join(dir, "ope", "aipw_hajek_ridge_golden.json"))
	require.NoError(t, err)
	var g struct {
		ESS      float64 `json:"ESS"`
		SE       float64 `json:"SE_dec"`
		T        string  `json:"T"`
		TDec     float64 `json:"T_dec"`
		V0       string  `json:"V0"`
		Vb       string  `json:"Vb"`
		Vcr      string  `json:"Vcr"`
		CalZ     float64 `json:"calZ"`
		Observed int64   `json:"observed"`
		Units    []struct {
			ID      string  `json:"id"`
			Y       int64   `json:"y_minor"`
			X       []int64 `json:"x_1e3"`
			Holdout bool    `json:"holdout"`
			Fold    int     `json:"fold"`
		} `json:"units"`
	}
	require.NoError(t, json.Unmarshal(raw, &g))
	require.NotEmpty(t, g.Units)
	units := make([]ope.Unit, 0, len(g.Units))
	for _, u := range g.Units {
		require.Equal(t, u.Fold, ope.FoldOf(u.ID, 5), u.ID)
		x := []float64{float64(u.X[1]) / 1e3, float64(u.X[2]) / 1e3}
		units = append(units, ope.Unit{ID: u.ID, Holdout: u.Holdout, P: 0.25, Y: u.Y, X: x})
	}
	r, err := ope.Estimate(units, 2, 5, ope.Options{Lambda: 1e-3})
	require.NoError(t, err)
	hex := func(s string) float64 {
		f, err := strconv.ParseFloat(s, 64)
		require.NoError(t, err)
		return f
	}
	for name, v := range map[string]float64{"T": r.T, "V_cr": r.VCR, "V_b": r.VB, "V_0": r.V0, "SE": r.SE, "R": r.R, "ESS": r.ESS} {
		t.Logf("bits of golden %s: %x", name, v) // what scripts/arm64.sh compares
	}
	const tolerance = 1e-12
	require.InEpsilon(t, hex(g.T), r.T, tolerance)
	require.InEpsilon(t, g.TDec, r.T, tolerance)
	require.InEpsilon(t, hex(g.Vcr), r.VCR, tolerance)
	require.InEpsilon(t, hex(g.Vb), r.VB, tolerance)
	require.InEpsilon(t, hex(g.V0), r.V0, tolerance)
	require.InEpsilon(t, g.SE, r.SE, tolerance)
	require.InEpsilon(t, g.ESS, r.ESS, tolerance)
	require.InEpsilon(t, g.CalZ, r.CalibrationZ, tolerance)
	require.Equal(t, g.Observed, r.Observed)
}
