package postgres_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/domain/billing"
)

// The first outcome invoice of an account waits for a person, however the account went
// live and whatever the contract's terms say; time does not approve it, and no rule can
// begin it. When it has cleared, the terms release the next one, until it is voided.
func TestFirstInvoiceNeedsAPerson(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.Equal(t, "override", one[string](w, "SELECT basis FROM live_writing WHERE account_id = 'acme'"))
	cy := w.proposed("acme", "2026-01", 100_000)
	require.Equal(t, billing.AwaitingApproval, cy.State, "the contract's approval is automatic")
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
	require.Equal(t, billing.Writing, w.proposed("acme", "2026-02", 200_000).State, "one has cleared")
	require.Equal(t, "policy:contract", one[string](w, "SELECT actor_id FROM cycle_decisions WHERE cycle_id = 'acme.2026-02'"))
}

// What was stored with an invoice does not help: the database counts for itself.
func TestNoRuleBeginsAFirstInvoice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cy := w.proposed("acme", "2026-01", 100_000)
	require.NoError(t, w.exec("UPDATE invoices SET requires_person = false WHERE cycle_id = $1", cy.ID))
	hash := one[string](w, "SELECT plan_hash FROM invoices WHERE cycle_id = $1", cy.ID)
	w.refused("23001", `WITH d AS (
			INSERT INTO cycle_decisions (id, cycle_id, number, environment, plan_hash, total_minor, action, actor_kind, actor_id, actor_name, person, reason, at)
			VALUES ('acme.2026-01/1', 'acme.2026-01', 1, 'live', $1, 20000, 'approve', 'system', 'policy:contract', 'policy:contract', '', '', now()))
		INSERT INTO writeback_intents (id, cycle_id, environment, livemode, account_id, issuer_connection, customer, currency, period, part, plan_hash, total_minor, state, created_at, updated_at)
		VALUES ('x', 'acme.2026-01', 'live', true, 'acme', 'acme', 'cus_payer_acme', 'usd', '2026-01', '1/1', $1, 20000, 'planned', now(), now())`, hash)
	late := &invoicing.Decisions{Work: w.db.Deciding(), Clock: clock.Fixed(now.AddDate(1, 0, 0))}
	st, err := late.Review(w.ctx, cy.ID)
	require.NoError(t, err)
	require.Equal(t, billing.Expired, st.State)
}
