package accountbill_test

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"github.com/liftbill/liftbill/adapters/httpapi"
	"github.com/liftbill/liftbill/adapters/simulator"
	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/decision"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/period"
	"github.com/liftbill/liftbill/internal/pipelinetest"
	"github.com/liftbill/liftbill/workflows/wire"
)

// link says whose an unmapped customer is: more than the cycle knew when it was computed.
func (a *approvals) link() {
	a.Helper()
	var customer string
	require.NoError(a, a.d.SQL.QueryRow(a.Context(), `SELECT customer_id FROM reward_events WHERE kind = 'revenue_confirmation' AND amount_minor > 0
		AND customer_id NOT IN (SELECT subject_id FROM mapping_spans WHERE state = 'linked') LIMIT 1`).Scan(&customer))
	a.d.Post(a, "/v1/connections/acme-stripe/links", httpapi.LinkCreate{CustomerID: customer, UserID: "nobody-decided", Reason: "found in the contract"}, nil)
}

// late uploads a decision that the log had forgotten.
func (a *approvals) late() {
	a.Helper()
	m, err := period.Parse(pipelinetest.Month)
	require.NoError(a, err)
	row := a.c.Business.Rows(m)[0]
	spec := a.c.Business.Spec()
	h, err := lift.ParseProbability(spec.HoldoutProbability)
	require.NoError(a, err)
	unit := "late-0"
	for i := 0; string(lift.ArmOf(spec.Salt, unit, h)) != string(row.Arm); i++ {
		unit = "late-" + strconv.Itoa(i)
	}
	row.ID, row.UnitID, row.UserID, row.SequenceNumber = "late", unit, unit, nil
	var up httpapi.DecisionUpload
	a.d.Post(a, "/v1/accounts/acme/decisions", simulator.Log([]decision.Decision{row}), &up)
	require.Equal(a, 1, up.Accepted)
	require.NoError(a, a.d.Fake.Advance(time.Minute))
}

// TestAReturnedMonthIsComputedAgain: a month that an approver sends back is computed again as
// another revision with a line of its own behind which later facts fall, by the run that is
// open or by another one. What it came to before is kept; who has it computed does not
// approve it; and one invoice comes of it.
func TestAReturnedMonthIsComputedAgain(t *testing.T) {
	t.Parallel()
	d, c := pipelinetest.ApprovalMonth(t)
	a := &approvals{T: t, d: d, c: c}
	kim, finance := person("kim", access.Approver), person("fin", access.Finance, access.Approver)
	_, err := a.run(func(*testsuite.TestWorkflowEnvironment) {
		_, err := a.decide(kim, billing.ActReturn, "")
		require.NoError(t, err)
	},
		func(env *testsuite.TestWorkflowEnvironment) { env.CancelWorkflow() })
	require.ErrorContains(t, err, "canceled")
	before := a.tie()
	a.refused("permission_denied", person("v", access.Viewer), billing.ActRecompute, "")
	a.refused("permission_denied", kim, billing.ActRecompute, "")
	a.refused("nothing_changed", finance, billing.ActRecompute, "")
	require.Len(t, a.tie().Revisions, 1, "what would come to the same is no revision")
	a.link()

	s, err := a.decide(finance, billing.ActRecompute, "")
	require.NoError(t, err)
	require.Equal(t, billing.Collecting, s.State)
	require.Equal(t, 2, s.Revision)

	d.Fake.ResetRequests()
	out, err := a.run(func(env *testsuite.TestWorkflowEnvironment) { // the run waits for the approval of the second revision
		require.Equal(t, "awaiting_approval", a.tie().Cycle.State)
		a.refused("four_eyes", finance, billing.ActApprove, a.tie().InvoiceHash)
		a.late()
		s, err := a.decide(finance, billing.ActRecompute, "") // the open run begins anew
		require.NoError(t, err)
		a.update(env, wire.DecideInput{DecisionID: s.DecisionID, PlanHash: s.PlanHash, Revises: true}, "")
	}, func(env *testsuite.TestWorkflowEnvironment) {
		s, err := a.decide(kim, billing.ActApprove, a.tie().InvoiceHash)
		require.NoError(t, err)
		a.update(env, wire.DecideInput{DecisionID: s.DecisionID, PlanHash: s.PlanHash}, "")
	})
	require.NoError(t, err)
	require.Equal(t, billing.Invoiced, out.State)
	after := a.tie()
	require.Equal(t, []int{3, 3}, []int{out.Revision, len(after.Revisions)})
	require.NotEqual(t, before.InvoiceHash, after.InvoiceHash)
	require.True(t, after.Watermark.After(before.Watermark))
	a.requireHistory(before, after)
}

func (a *approvals) requireHistory(before, after httpapi.TieOut) {
	a.Helper()
	for i, l := range before.Lines { // what it was is still there, and chained
		var old, now httpapi.Readout
		a.d.Get(a, "/v1/readouts/"+l.CaseID, &old)
		require.True(a, old.Superseded)
		require.False(a, old.Billed)
		a.d.Get(a, "/v1/readouts/"+after.Lines[i].CaseID, &now)
		require.False(a, now.Superseded)
		require.Len(a, now.Revisions, len(after.Revisions))
		require.Equal(a, 3, now.Revision)
		var between httpapi.Readout
		a.d.Get(a, "/v1/readouts/"+now.PreviousCaseID, &between)
		require.Equal(a, []any{2, l.CaseID}, []any{between.Revision, between.PreviousCaseID}, "a revision is chained to the one before")
	}
	var history httpapi.RevisionList
	a.d.Get(a, "/v1/cycles/"+a.c.CycleID()+"/revisions", &history)
	require.Len(a, history.Items, len(after.Revisions))
	require.Equal(a, "so decided", history.Items[1].Reason)
	require.NotEmpty(a, history.Items[1].Compared.Changes)
	var drafts, finals int
	for _, r := range a.d.Fake.Requests(stripefake.RequestFilter{Method: http.MethodPost}) {
		switch {
		case r.Path == "/v1/invoices":
			drafts++
		case len(r.Path) > 9 && r.Path[len(r.Path)-9:] == "/finalize":
			finals++
		}
	}
	require.Equal(a, []int{1, 1}, []int{drafts, finals}, "one invoice")
}
