package golive_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/httpapi"
	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/app/golive"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/period"
	"github.com/liftbill/liftbill/internal/pipelinetest"
)

var admin = access.Operator("cli")

// bill measures and proposes the month of a company.
func bill(t *testing.T, d *pipelinetest.Deployment, c *pipelinetest.Company) httpapi.TieOut {
	t.Helper()
	m, err := period.Parse(pipelinetest.Month)
	require.NoError(t, err)
	ms := d.Measure()
	cy, err := ms.Open(t.Context(), c.ID, m, "go-live")
	require.NoError(t, err)
	_, err = ms.Collect(t.Context(), cy.CycleID, func(int, int, string) {})
	require.NoError(t, err)
	_, err = ms.Estimate(t.Context(), cy.CycleID, func(int, int, string) {})
	require.NoError(t, err)
	_, err = d.Invoicing().Draft(t.Context(), cy.CycleID)
	require.NoError(t, err)
	var out httpapi.TieOut
	d.Get(t, "/v1/cycles/"+cy.CycleID, &out)
	return out
}

func refusedBy(t *testing.T, d *pipelinetest.Deployment, rule, sql string, args ...any) {
	t.Helper()
	_, err := d.SQL.Exec(t.Context(), sql, args...)
	require.ErrorContains(t, err, rule)
}

const forged = `INSERT INTO live_writing (account_id, environment, open, basis, reason, checklist, changed_by, changed_at)
	VALUES ('acme', 'live', true, 'checklist', 'forged', (SELECT jsonb_agg(jsonb_build_object('code', n, 'met', true)) FROM generate_series(1, 5) n), 'nobody', now())`

// TestGoLive takes a new live account through its shadow month to the open switch: before,
// nothing is written and nothing opens the switch; it opens when every item holds on real
// data, and it closes again.
func TestGoLive(t *testing.T) {
	t.Parallel()
	d, c := pipelinetest.ShadowMonth(t)
	s := d.GoLive()
	open := golive.Opening{AccountID: c.ID, Reason: "ready"}
	require.NoError(t, d.DrainAll(t.Context(), c.ID+"-stripe"))
	st, err := s.Open(t.Context(), admin, open)
	require.Equal(t, "checklist_unmet", fault.CodeOf(err))
	require.Equal(t, []string{billing.ItemMapped, billing.ItemShadow}, billing.UnmetItems(st.Checklist))
	refusedBy(t, d, "checklist of account acme does not hold", forged)

	d.Fake.ResetRequests()
	out := bill(t, d, c)
	require.Equal(t, []string{"withheld", string(billing.HeldNotLive), "shadow"}, []string{out.Cycle.State, out.Cycle.Reason, out.Phase})
	require.Contains(t, out.Cycle.NextAction, "go-live")
	require.Zero(t, out.Cycle.EngineTotal.Minor)
	require.Positive(t, out.Lines[0].Fee.Minor, "what it would have cost is shown")
	require.Empty(t, d.Fake.Requests(stripefake.RequestFilter{Method: "write"}))
	require.Equal(t, "unwritten", out.TieOut.Kind)
	require.Zero(t, out.TieOut.Breaks)

	_, err = d.SQL.Exec(t.Context(), `UPDATE reward_events SET amount_minor = amount_minor + 1 WHERE kind = 'revenue_confirmation'`)
	require.NoError(t, err)
	st, err = s.Open(t.Context(), admin, open)
	require.Equal(t, "checklist_unmet", fault.CodeOf(err))
	require.Equal(t, []string{billing.ItemInvoice}, billing.UnmetItems(st.Checklist), "a cent more than Stripe says")
	_, err = d.SQL.Exec(t.Context(), `UPDATE reward_events SET amount_minor = amount_minor - 1 WHERE kind = 'revenue_confirmation'`)
	require.NoError(t, err)

	_, err = s.Open(t.Context(), access.Principal{}, open)
	require.Error(t, err, "nobody in particular")
	_, err = d.SQL.Exec(t.Context(), `INSERT INTO cycle_decisions (id, cycle_id, number, environment, plan_hash, total_minor, action, actor_kind, actor_id, actor_name, person, reason, at)
		VALUES ('acme.2026-10/1', 'acme.2026-10', 1, 'live', '', 1, 'approve', 'user', 'forger', 'forger', 'forger', 'forged', now())`)
	require.NoError(t, err)
	refusedBy(t, d, "live writing is closed", `INSERT INTO writeback_intents (id, cycle_id, environment, livemode, account_id, issuer_connection, customer, currency, period, part, plan_hash, total_minor, state, created_at, updated_at)
		VALUES ('x', 'acme.2026-10', 'live', true, 'acme', 'acme-stripe', 'cus_x', 'usd', '2026-10', '1/1', '', 1, 'planned', now(), now())`)
	st, err = s.Open(t.Context(), admin, open)
	require.NoError(t, err)
	require.True(t, st.Switch.Open)
	require.Equal(t, billing.OnChecklist, st.Switch.Basis)

	again, err := d.Invoicing().Draft(t.Context(), c.CycleID())
	require.NoError(t, err)
	require.Equal(t, billing.Withheld, again.State, "a shadow month stays one")
	st, err = s.Close(t.Context(), admin, c.ID, "the payer asked")
	require.NoError(t, err)
	require.False(t, st.Switch.Open)
	var actions []string
	rows, err := d.SQL.Query(t.Context(), `SELECT action FROM audit_log WHERE account_id = 'acme' AND action LIKE 'account.live%' ORDER BY seq`)
	require.NoError(t, err)
	for rows.Next() {
		var a string
		require.NoError(t, rows.Scan(&a))
		actions = append(actions, a)
	}
	require.NoError(t, rows.Err())
	require.Equal(t, []string{"account.live_writing_opened", "account.live_writing_closed"}, actions)
}

// TestOverrideIsAudited: an operator may open the switch without the checklist, with a
// reason that is kept beside what did not hold.
func TestOverrideIsAudited(t *testing.T) {
	t.Parallel()
	l := pipelinetest.NewLedger(t)
	b := pipelinetest.NewBill(t, l)
	s := &golive.Service{Ledger: l.DB.NewGoLive(), Clock: b.Clock}
	id := b.Plan.AccountID
	_, err := s.Close(t.Context(), admin, id, " ")
	require.Equal(t, "reason_missing", fault.CodeOf(err))
	_, err = s.Close(t.Context(), admin, id, "begin again")
	require.NoError(t, err)
	_, err = s.Open(t.Context(), admin, golive.Opening{AccountID: id, Reason: "ready"})
	require.Equal(t, "checklist_unmet", fault.CodeOf(err))
	st, err := s.Open(t.Context(), admin, golive.Opening{AccountID: id, Reason: "agreed with the customer", Override: true})
	require.NoError(t, err)
	require.Equal(t, billing.OnOverride, st.Switch.Basis)
	var reason, after string
	require.NoError(t, l.SQL.QueryRow(t.Context(), `SELECT reason, after FROM audit_log WHERE account_id = $1 AND action = 'account.live_writing_opened'`, id).Scan(&reason, &after))
	require.Equal(t, "agreed with the customer", reason)
	require.Contains(t, after, billing.ItemShadow)

	out, err := b.Drive(t, nil)
	require.NoError(t, err)
	require.Equal(t, billing.Invoiced, out.State)
	b.RequireBilled(t)
}

// TestClosedInTheMiddle: a switch that closes between two steps stops the write-back before
// its next request that changes anything, and goes on when it is open again.
func TestClosedInTheMiddle(t *testing.T) {
	t.Parallel()
	l := pipelinetest.NewLedger(t)
	b := pipelinetest.NewBill(t, l)
	s := &golive.Service{Ledger: l.DB.NewGoLive(), Clock: b.Clock}
	id := b.Plan.AccountID
	_, err := b.NewProcess(t).EnsureDraft(t.Context(), b.Plan.CycleID)
	require.NoError(t, err)
	_, err = b.NewProcess(t).EnsureLines(t.Context(), b.Plan.CycleID)
	require.NoError(t, err)
	_, err = s.Close(t.Context(), admin, id, "wait")
	require.NoError(t, err)
	before := len(b.Requests())
	out, err := b.NewProcess(t).Finalize(t.Context(), b.Plan.CycleID)
	require.NoError(t, err)
	require.Equal(t, []any{billing.Blocked, billing.UnmetWritingClosed}, []any{out.State, out.Reason})
	for _, r := range b.Requests()[before:] {
		require.Equal(t, "GET", r.Method)
	}
	permit, err := billing.Switch{AccountID: id, Open: true}.Permit()
	require.NoError(t, err)
	wb, err := billing.Authorize(b.Proof(t), "live", b.Plan, permit)
	require.NoError(t, err)
	_, err = b.NewProcess(t).Writers.Open(t.Context(), wb)
	require.Equal(t, billing.CodeWritingClosed, fault.CodeOf(err), "authorised when it was open: the adapter asks again")
	_, err = l.SQL.Exec(t.Context(), `UPDATE writeback_intents SET state = 'verified' WHERE account_id = $1`, id)
	require.ErrorContains(t, err, "live writing is closed")

	_, err = s.Open(t.Context(), admin, golive.Opening{AccountID: id, Reason: "go on", Override: true})
	require.NoError(t, err)
	b.Repropose(t)
	_, err = b.Drive(t, nil)
	require.NoError(t, err)
	b.RequireBilled(t)
}
