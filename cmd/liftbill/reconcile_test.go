package main

import (
	"encoding/base64"
	"encoding/json"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/adapters/system"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/period"
	"github.com/liftbill/liftbill/internal/pipelinetest"
)

// TestReconcileCommands: a month is compared, its breaks are listed and settled, and the
// exit code says whether it ties out and can be closed. (It sets the environment, so that
// it runs alone.)
func TestReconcileCommands(t *testing.T) {
	d, companies := pipelinetest.LiveMonth(t)
	for _, c := range companies {
		require.NoError(t, d.DrainAll(t.Context(), c.ID+"-stripe"))
	}
	_, err := d.SQL.Exec(t.Context(), `UPDATE reward_events SET amount_minor = amount_minor - 7 WHERE (tableoid, ctid) = (SELECT tableoid, ctid FROM reward_events
		WHERE connection_id = 'acme-stripe' AND kind = 'revenue_confirmation' AND effective_at >= '2026-10-02' AND effective_at < '2026-10-31' ORDER BY fact_key LIMIT 1)`)
	require.NoError(t, err)
	clockFile := filepath.Join(t.TempDir(), "clock.json")
	require.NoError(t, system.WriteClockFile(clockFile, d.Clock.Now(), false))
	key := make([]byte, system.KeyBytes)
	for i := range key {
		key[i] = 7
	}
	for k, v := range map[string]string{
		"DATABASE_URL": d.Address, "LIFTBILL_ENCRYPTION_KEY": base64.StdEncoding.EncodeToString(key), "LIFTBILL_STRIPE_API_BASE": d.Fake.URL, "LIFTBILL_STRIPE_RATE": "-1",
		"LIFTBILL_CLOCK_FILE": clockFile, "LIFTBILL_LOG_LEVEL": "error",
	} {
		t.Setenv(k, v)
	}
	month := []string{"--account", "acme", "--period", pipelinetest.Month, "--json"}
	command := func(args ...string) (string, error) { return execute(t, "", append([]string{"reconcile"}, args...)...) }
	out, err := command(append([]string{"run"}, month...)...)
	require.Equal(t, exitFailed, exitCode(err))
	var v reconcileView
	require.NoError(t, json.Unmarshal([]byte(out), &v))
	require.False(t, v.Ties)
	require.Equal(t, 1, v.Blocking)
	require.Equal(t, int64(-7), v.Lines[0].Remaining)
	require.Empty(t, d.Fake.Requests(stripefake.RequestFilter{Account: "acct_acme", Method: "write", Path: "/v1/invoices"}), "nothing was written")

	out, err = command("breaks", "--account", "acme", "--type", "amount_differs", "--json")
	require.NoError(t, err)
	var list struct{ Items []breakLine }
	require.NoError(t, json.Unmarshal([]byte(out), &list))
	require.Len(t, list.Items, 1)
	require.Equal(t, int64(7), list.Items[0].AtStake)
	_, err = command("resolve", list.Items[0].ID, "--reason", "nothing", "--text", "x")
	require.ErrorContains(t, err, "reason")
	out, err = command("resolve", list.Items[0].ID, "--reason", "explained", "--text", "planted by a test")
	require.NoError(t, err)
	require.Equal(t, list.Items[0].ID+" is resolved\n", out)
	out, err = command(append([]string{"status"}, month[:4]...)...)
	require.NoError(t, err, "what is left keeps nobody from closing")
	require.Contains(t, out, "customer without a user")
	monthCommands(t, d)
	_, err = command("run", "--account", "acme", "--period", "2031-01")
	require.ErrorContains(t, err, "has not begun")
	accrualCommands(t)
	require.NoError(t, system.WriteClockFile(clockFile, d.Clock.Now().Add(time.Hour), false))
	_, err = command("run", "--account", "nobody", "--period", "2026-10")
	require.ErrorContains(t, err, "nobody")
}

// monthCommands: a month is looked at, closed once, and not opened again by who closed it.
func monthCommands(t *testing.T, d *pipelinetest.Deployment) {
	t.Helper()
	month := func(verb string, more ...string) (monthView, error) {
		out, err := execute(t, "", append([]string{"month", verb, "--account", "acme", "--period", pipelinetest.Month, "--json"}, more...)...)
		var v monthView
		if out != "" {
			require.NoError(t, json.Unmarshal([]byte(out), &v))
		}
		return v, err
	}
	v, err := month("status")
	require.Equal(t, exitFailed, exitCode(err))
	require.Equal(t, []string{"open", "cycle_not_over"}, []string{v.State, v.Obstacle})
	_, err = month("close")
	require.Equal(t, "cycle_not_over", fault.CodeOf(err))
	require.Equal(t, exitFailed, exitCode(err))
	out, err := execute(t, "", "month", "status", "--account", "acme", "--period", pipelinetest.Month)
	require.ErrorIs(t, err, errMonthOpen)
	require.Contains(t, out, "cannot be closed: the cycle of 2026-10 is not begun")

	p, err := period.Parse(pipelinetest.Month)
	require.NoError(t, err)
	cycle, err := d.Measure().Open(t.Context(), "acme", p, "wf")
	require.NoError(t, err)
	_, err = d.SQL.Exec(t.Context(), `UPDATE cycles SET state = 'withheld', updated_at = '2026-11-01' WHERE id = $1`, cycle.CycleID)
	require.NoError(t, err)
	v, err = month("close")
	require.NoError(t, err)
	require.Equal(t, "closed", v.State)
	require.Equal(t, operator().ID, v.History[0].Actor)
	_, err = month("status")
	require.NoError(t, err, "it is closed")
	_, err = month("reopen", "--reason", "a late letter")
	require.Equal(t, "four_eyes", fault.CodeOf(err))
}

// accrualCommands: one is computed and listed, as a document and as text.
func accrualCommands(t *testing.T) {
	t.Helper()
	out, err := execute(t, "", "accrual", "compute", "--account", "borealis", "--period", pipelinetest.Month, "--json")
	require.NoError(t, err)
	var one accrualView
	require.NoError(t, json.Unmarshal([]byte(out), &one))
	require.Equal(t, "borealis."+pipelinetest.Month, one.Cycle)
	require.True(t, one.LowMinor == one.ExpectedMinor && one.ExpectedMinor <= one.HighMinor, "basis proven: %+v", one)
	require.Len(t, one.Lines, 3)
	out, err = execute(t, "", "accrual", "list", "--months", "open", "--json")
	require.NoError(t, err)
	var all []accrualView
	require.NoError(t, json.Unmarshal([]byte(out), &all))
	require.Equal(t, []accrualView{one}, all)
	out, err = execute(t, "", "accrual", "list", "--account", "borealis")
	require.NoError(t, err)
	require.Contains(t, out, "month over")
	_, err = execute(t, "", "accrual", "list", "--months", "maybe")
	require.ErrorContains(t, err, "which months")
}
