package accountbill_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/httpapi"
	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/period"
	"github.com/liftbill/liftbill/internal/pipelinetest"
	"github.com/liftbill/liftbill/workflows/wire"
)

func runPeriod(t *testing.T, d *pipelinetest.Deployment, c *pipelinetest.Company, m period.Month) wire.BillStep {
	t.Helper()
	env := registered(d)
	env.RegisterDelayedCallback(func() { d.Approve(t, billing.CycleID(c.ID, m)) }, time.Minute)
	env.ExecuteWorkflow(wire.WorkflowAccountBill, wire.BillInput{Environment: c.Environment, AccountID: c.ID, Period: m.String()})
	require.True(t, env.IsWorkflowCompleted())
	require.NoError(t, env.GetWorkflowError(), m)
	var out wire.BillStep
	require.NoError(t, env.GetWorkflowResult(&out))
	return out
}

// TestYearEnd takes a contract year through the pipeline: its last month makes no look and
// bills nothing, its settlement bills by one invoice of its own what the year earned up to
// the end of the run-off, and what users pay after a decision of the next year is not in it.
func TestYearEnd(t *testing.T) {
	t.Parallel()
	d, c := pipelinetest.YearEnd(t)
	last, err := period.Parse(pipelinetest.Month)
	require.NoError(t, err)
	for m := last.Add(1 - lift.PeriodsPerYear); !last.Before(m); m = m.Add(1) {
		step := runPeriod(t, d, c, m)
		require.Equal(t, billing.Withheld, step.State, m)
	}
	require.Empty(t, outcomeInvoices(t, d, c))
	var month httpapi.TieOut
	d.Get(t, "/v1/cycles/"+c.CycleID(), &month)
	require.Positive(t, lineOf(t, month, pipelinetest.Positive).Measured.Minor)
	require.Equal(t, string(lift.CodeNoLook), lineOf(t, month, pipelinetest.Positive).HeadlineCode)

	step := runPeriod(t, d, c, last.Settlement())
	require.Equal(t, billing.Invoiced, step.State, step.Reason)
	invoices := outcomeInvoices(t, d, c)
	require.Len(t, invoices, 1)
	require.Equal(t, last.Settlement().String(), invoices[0].Metadata["lb_cycle"])
	require.Equal(t, step.TotalMinor, invoices[0].Total)
	var settled httpapi.TieOut
	d.Get(t, "/v1/cycles/"+billing.CycleID(c.ID, last.Settlement()), &settled)
	require.Zero(t, settled.Cycle.Difference.Minor)
	runOff := last.In(time.UTC).End
	require.Equal(t, []time.Time{runOff, runOff.AddDate(0, 0, pipelinetest.RunOffDays)}, []time.Time{settled.Cycle.PeriodStart.UTC(), settled.Cycle.PeriodEnd.UTC()})
	require.Greater(t, settled.PaidRevenue.Minor, month.PaidRevenue.Minor, "payments of the run-off are part of the year")
	buckets := map[string]int64{}
	for _, b := range settled.Buckets {
		buckets[b.Bucket] += b.Amount.Minor
	}
	require.Positive(t, buckets[string(lift.BucketNextYear)], buckets)

	d.Fake.ResetRequests()
	require.Equal(t, billing.Invoiced, runPeriod(t, d, c, last.Settlement()).State)
	require.Len(t, outcomeInvoices(t, d, c), 1)
	require.Empty(t, d.Fake.Requests(stripefake.RequestFilter{Method: "write"}), "a second run writes nothing")
}

func lineOf(t *testing.T, tie httpapi.TieOut, snapshotID string) httpapi.Line {
	t.Helper()
	for _, l := range tie.Lines {
		if l.SnapshotID == snapshotID {
			return l
		}
	}
	require.Fail(t, "no line of "+snapshotID)
	return httpapi.Line{}
}
