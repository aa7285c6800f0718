package postgres_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
)

// byChecklist makes an account one that went live by the checklist.
func (w *world) byChecklist(accountID string) {
	w.t.Helper()
	for _, sql := range []string{
		"SET session_replication_role = replica", "UPDATE live_writing SET basis = 'checklist' WHERE account_id = '" + accountID + "'", "SET session_replication_role = origin",
	} {
		require.NoError(w.t, w.exec(sql))
	}
}

// The first outcome invoice of an account that went live by the checklist waits for a
// person, whatever the contract's terms say; time does not approve it, and no rule can
// begin it. When it has cleared, the terms release the next one.
func TestFirstInvoiceNeedsAPerson(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.byChecklist("acme")
	cy := w.propose("acme", "2026-01", 100_000)
	require.Equal(t, billing.AwaitingApproval, cy.State, "the contract's approval is automatic")
	ada := access.Principal{Kind: access.User, ID: "usr_ada", Name: "Ada", Person: "ada", Roles: access.Roles{access.Approver}, Scope: access.Everything()}
	late := &invoicing.Decisions{Work: w.db.Deciding(), Clock: clock.Fixed(now.AddDate(1, 0, 0))}
	st, err := late.Review(w.ctx, cy.ID)
	require.NoError(t, err)
	require.Equal(t, billing.Expired, st.State)
	hash := one[string](w, "SELECT plan_hash FROM invoices WHERE cycle_id = $1", cy.ID)
	w.refused("23001", `WITH d AS (
			INSERT INTO cycle_decisions (id, cycle_id, number, environment, plan_hash, total_minor, action, actor_kind, actor_id, actor_name, person, reason, at)
			VALUES ('acme.2026-01/9', 'acme.2026-01', 9, 'live', $1, 20000, 'approve', 'system', 'policy:contract', 'policy:contract', '', '', now()))
		INSERT INTO writeback_intents (id, cycle_id, environment, livemode, account_id, issuer_connection, customer, currency, period, part, plan_hash, total_minor, state, created_at, updated_at)
		VALUES ('x', 'acme.2026-01', 'live', true, 'acme', 'acme', 'cus_payer_acme', 'usd', '2026-01', '1/1', $1, 20000, 'planned', now(), now())`, hash)
	desk := &invoicing.Decisions{Work: w.db.Deciding(), Clock: clock.Fixed(now)}
	_, err = desk.Decide(w.ctx, ada, invoicing.Wish{CycleID: cy.ID, Action: billing.ActRelease})
	require.NoError(t, err)
	st, err = desk.Review(w.ctx, cy.ID)
	require.NoError(t, err)
	require.Equal(t, billing.AwaitingApproval, st.State)
	require.Positive(t, st.Wait)
	_, err = desk.Decide(w.ctx, ada, invoicing.Wish{CycleID: cy.ID, Action: billing.ActApprove, PlanHash: hash})
	require.NoError(t, err)
	out, err := w.draft(cy.ID)
	require.NoError(t, err)
	require.Equal(t, billing.Writing, out.State)
	w.finish(cy.ID)
	require.NoError(t, w.exec(`INSERT INTO cycle_tieouts (cycle_id, environment, kind, at, breaks, checks) VALUES ($1, 'live', 'invoice', now(), 0, '[{"what":"total","ours":"1","theirs":"1","equal":true}]')`, cy.ID))
	require.Equal(t, billing.Writing, w.propose("acme", "2026-02", 200_000).State, "one has cleared")

	w.connect("vouched", account.Live)
	w.account("vouched", account.Live)
	require.Equal(t, billing.Writing, w.propose("vouched", "2026-01", 100_000).State, "opened by an override")
}
