//go:build cases

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSharedGoldenByCommand writes the golden units as a table and reads the command's answer.
func TestSharedGoldenByCommand(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("LIFTBILL_CASES")
	require.NotEmpty(t, dir, "set LIFTBILL_CASES to the directory of the shared cases")
	raw, err := os.ReadFile(filepath.Join(dir, "ope", "aipw_hajek_ridge_golden.json"))
	require.NoError(t, err)
	var g struct {
		ESS      float64 `json:"ESS"`
		SE       float64 `json:"SE_dec"`
		T        string  `json:"T"`
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
		} `json:"units"`
	}
	require.NoError(t, json.Unmarshal(raw, &g))
	var b strings.Builder
	b.WriteString("unit_id,holdout,y_minor,x_1,x_2\n")
	for _, u := range g.Units {
		held := "0"
		if u.Holdout {
			held = "1"
		}
		fmt.Fprintf(&b, "%s,%s,%d,%v,%v\n", u.ID, held, u.Y, float64(u.X[1])/1e3, float64(u.X[2])/1e3)
	}
	out, err := execute(t, b.String(), "readout", "compute", "--json", "--units", "-", "--holdout-probability", "0.25")
	require.NoError(t, err)
	var r computed
	require.NoError(t, json.Unmarshal([]byte(out), &r))
	hex := func(s string) float64 {
		f, err := strconv.ParseFloat(s, 64)
		require.NoError(t, err)
		return f
	}
	for _, pair := range [][2]float64{{hex(g.T), r.T}, {hex(g.Vcr), r.VCR}, {hex(g.Vb), r.VB}, {hex(g.V0), r.V0}, {g.SE, r.SE}, {g.ESS, r.ESS},
		{g.CalZ, r.CalibrationZ}, {float64(g.Observed) - hex(g.T), r.Counterfactual}, {hex(g.T) - 1.6448536269514722*g.SE, r.LCB95}} {
		require.InEpsilon(t, pair[0], pair[1], 1e-12)
	}
	require.Equal(t, g.Observed, r.Observed)
}

// TestSharedEvaluationByCommand runs a shared log through the command; every number
// of every case is compared in adapters/tabular.
func TestSharedEvaluationByCommand(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("LIFTBILL_CASES")
	require.NotEmpty(t, dir, "set LIFTBILL_CASES to the directory of the shared cases")
	type document struct {
		Policy, Baseline struct {
			Estimators map[string]struct {
				Value float64 `json:"value"`
				SE    float64 `json:"se_ddof1"`
			} `json:"estimators"`
			Weights struct {
				ESS float64 `json:"ess_units"`
			} `json:"weights"`
		}
		Lift map[string]struct {
			Total float64 `json:"total"`
			CR1   float64 `json:"cluster_se_cr1"`
			IID   float64 `json:"total_se_units_iid"`
		}
	}
	var want, got document
	base := filepath.Join(dir, "ope", "s04_revenue_a3_clusters")
	raw, err := os.ReadFile(base + ".json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &want))
	var params struct {
		Params map[string]float64 `json:"params"`
	}
	require.NoError(t, json.Unmarshal(raw, &params))
	out, err := execute(t, "", "ope", "evaluate", "--json", "--clip", fmt.Sprint(params.Params["clip_lambda"]),
		"--switch", fmt.Sprint(params.Params["switch_dr_lambda"]), "--dros", fmt.Sprint(params.Params["dros_lambda"]), base+".csv.gz")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal([]byte(out), &got))
	for name, w := range want.Policy.Estimators {
		g := got.Policy.Estimators[name]
		require.InEpsilon(t, w.Value, g.Value, 1e-9, name)
		require.InEpsilon(t, w.SE, g.SE, 1e-9, name)
		require.InEpsilon(t, want.Lift[name].Total, got.Lift[name].Total, 1e-9, name)
		require.InEpsilon(t, want.Lift[name].CR1, got.Lift[name].CR1, 1e-9, name)
		require.InEpsilon(t, want.Lift[name].IID, got.Lift[name].IID, 1e-9, name)
	}
	require.InEpsilon(t, want.Baseline.Weights.ESS, got.Baseline.Weights.ESS, 1e-9)
}
