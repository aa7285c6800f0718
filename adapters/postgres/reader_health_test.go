package postgres_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/reconcile"
)

// TestAccountHealthOfNothing: an account without a month has a row of zeros, one that is not
// there has none.
func TestAccountHealthOfNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got, err := w.db.NewReader().AccountHealth(w.ctx, []string{"acme", "nobody"}, now)
	require.NoError(t, err)
	require.Equal(t, []reconcile.AccountHealth{{AccountID: "acme", Trend: []reconcile.HealthMonth{}, Unpaid: []reconcile.Ageing{}}}, got)
}

// TestAccountHealthOfMonths: what is mapped, withheld and open, the lift by month without the
// pooled readout, and what is unpaid by the days since it was due.
func TestAccountHealthOfMonths(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cy := w.propose("acme", "2026-01", 100_000.7)
	in := w.finish(cy.ID)
	health := func(at time.Time) reconcile.AccountHealth {
		got, err := w.db.NewReader().AccountHealth(w.ctx, []string{"acme"}, at)
		require.NoError(t, err)
		require.Len(t, got, 1)
		return got[0]
	}
	tie, err := w.db.NewReader().TieOut(w.ctx, cy.ID)
	require.NoError(t, err)
	h := health(now)
	require.Equal(t, []string{"2026-01", "usd"}, []string{h.Period, h.Currency})
	require.Equal(t, tie.PaidRevenueMinor, h.PaidMinor)
	for _, b := range tie.Buckets {
		if b.Bucket == "unmapped" {
			require.Equal(t, b.AmountMinor, h.UnmappedMinor)
		}
	}
	require.Len(t, h.Trend, 1)
	require.Equal(t, "2026-01", h.Trend[0].Period)
	require.Positive(t, h.Trend[0].ESS)
	require.Zero(t, h.Withheld)
	require.Equal(t, []reconcile.Ageing{{Currency: "usd", Minor: [4]int64{20_000, 0, 0, 0}}}, h.Unpaid, "without a due date it is not late")

	due := now.AddDate(0, 0, -10)
	require.NoError(t, w.exec(`INSERT INTO stripe_invoices (connection_id, id, customer_id, status, due_at, amount_remaining_minor, currency, subscription_id, charge_id, number, billing_reason, collection_method,
			out_of_band_minor, attempts, paid, own, undecided, said_rank, said_at, said_later, replaced, read_at, knows, same, simple)
		SELECT issuer_connection, invoice_id, customer, 'open', $1, 15000, currency, '', '', '', '', '', 0, 0, false, true, false, 0, 0, false, 0, 0, 0, 0, true FROM writeback_intents WHERE invoice_id = $2`, due, in.InvoiceID))
	for days, bucket := range map[int]int{0: 0, 30: 0, 31: 1, 60: 1, 61: 2, 90: 2, 91: 3, 400: 3} {
		var want [4]int64
		want[bucket] = 15_000
		require.Equal(t, []reconcile.Ageing{{Currency: "usd", Minor: want}}, health(due.AddDate(0, 0, days)).Unpaid, "%d days", days)
	}
	require.NoError(t, w.exec(`UPDATE stripe_invoices SET status = 'paid', amount_remaining_minor = 0`))
	require.Empty(t, health(now).Unpaid, "paid is not open")

	held := w.propose("acme", "2026-02", 100_000.7)
	require.NoError(t, w.exec(`UPDATE cycles SET state = 'withheld', reason = 'shadow_phase' WHERE id = $1`, held.ID))
	require.Zero(t, health(now).Withheld, "a shadow month is not withheld")
	require.NoError(t, w.exec(`UPDATE cycles SET reason = 'no snapshot passed' WHERE id = $1`, held.ID))
	h = health(now)
	require.EqualValues(t, 1, h.Withheld)
	require.Equal(t, []string{"2026-01", "2026-02"}, []string{h.Trend[0].Period, h.Trend[1].Period}, "the oldest first")

	require.Zero(t, h.OpenBreaks)
	require.NoError(t, w.exec(`INSERT INTO recon_breaks (id, account_id, environment, period, type, subject, severity, line, left_source, left_id, left_currency, left_counted, right_source, right_id, right_currency,
			right_counted, amount_minor, currency, customer_id, detail, target_connection, target_object, target_id, state, owner, reason, first_seen, last_seen, fingerprint, requested_by, requested_person, forced_by, forced_person, updated_at)
		SELECT lpad(n::text, 26, '0'), 'acme', 'live', '2026-01', 'amount_differs', 's' || n, 'error', 'revenue', '', '', '', 0, '', '', '', 0, 5, 'usd', '', '', '', '', '', CASE n WHEN 1 THEN 'open' WHEN 2 THEN 'waiting' ELSE 'gone' END, '', '', $1, $1, '', '', '', '', '', $1
		FROM generate_series(1, 3) n`, now))
	require.EqualValues(t, 2, health(now).OpenBreaks, "what went away is not open")
}
