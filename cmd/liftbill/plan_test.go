package main

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/lift"
)

func TestPlanPowerCommand(t *testing.T) {
	t.Parallel()
	args := []string{"plan", "power", "--units-per-month", "5000", "--sd-minor", "2500", "--lift-minor", "100", "--holdout", "0.2", "--snapshots", "1"}
	out, err := execute(t, "", args...)
	require.NoError(t, err)
	require.Contains(t, out, "A lift of 100 minor units per treated unit is proven with 80 % probability after 11 months with a holdout of 20.0 %")
	out, err = execute(t, "", append(args, "--json")...)
	require.NoError(t, err)
	var p lift.PowerPlan
	require.NoError(t, json.Unmarshal([]byte(out), &p))
	require.Equal(t, 11, p.MonthsNeeded)
	require.Len(t, p.Rows, 12)

	out, err = execute(t, "", "plan", "power", "--units-per-month", "5000", "--sd-minor", "2500", "--lift-minor", "1", "--holdout", "0.2")
	require.NoError(t, err)
	require.Contains(t, out, "is not proven")
	require.Contains(t, out, "no holdout up to 50 % is enough")

	_, err = execute(t, "", "plan", "power", "--units-per-month", "5000", "--sd-minor", "2500", "--lift-minor", "1")
	require.ErrorContains(t, err, "holdout")
	require.Equal(t, exitUsage, exitCode(err))
}
