package postgres_test

import (
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/recon"
)

func amountOf(t *testing.T, text string) *decimal.Decimal {
	t.Helper()
	d, err := reconcile.ParseMajor("from", text, "")
	require.NoError(t, err)
	return &d
}

// TestBreaksByAmount: bounds are in major units of each break's own currency, so that 10
// means ten yen and ten dollars; the largest first, page by page.
func TestBreaksByAmount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.reconciler(&stripeSide{}, compareTime)
	w.pays("f1", "in_usd", 999, "usd", january)
	w.pays("f2", "in_yen", 10, "jpy", january)
	w.pays("f3", "in_dinar", 10_000, "kwd", january)
	w.pays("f4", "in_more", 5_000, "usd", january)
	_, err := r.Reconcile(t.Context(), machine, "acme", "2026-01", func(string) {})
	require.NoError(t, err)
	subjects := func(f reconcile.BreaksFilter) []string {
		f.Scope, f.Type, f.Limit = access.Everything(), string(recon.MissingInStripe), 1
		var out []string
		for {
			page, err := r.Breaks(t.Context(), f)
			require.NoError(t, err)
			for _, b := range page.Items {
				out = append(out, b.Subject)
			}
			if f.Cursor = page.NextCursor; f.Cursor == "" {
				return out
			}
		}
	}
	require.ElementsMatch(t, []string{"in_yen", "in_dinar", "in_more"}, subjects(reconcile.BreaksFilter{Min: amountOf(t, "10")}))
	require.ElementsMatch(t, []string{"in_usd", "in_yen", "in_dinar"}, subjects(reconcile.BreaksFilter{Max: amountOf(t, "10.00")}))
	require.Equal(t, []string{"in_more", "in_usd"}, subjects(reconcile.BreaksFilter{Currency: "usd", Sort: "amount"}))
	require.Equal(t, []string{"in_dinar", "in_more", "in_usd", "in_yen"}, subjects(reconcile.BreaksFilter{Sort: "amount"}))
	require.Len(t, subjects(reconcile.BreaksFilter{Blocking: true}), 4)
	_, err = r.Breaks(t.Context(), reconcile.BreaksFilter{Scope: access.Everything(), Sort: "amount", Cursor: "many~x"})
	require.Equal(t, fault.Invalid, fault.KindOf(err))
	for _, f := range []reconcile.BreaksFilter{{Sort: "colour"}, {Currency: "xxx"}} {
		_, err = r.Breaks(t.Context(), f)
		require.Equal(t, fault.Invalid, fault.KindOf(err))
	}
	page, err := r.Breaks(t.Context(), reconcile.BreaksFilter{Scope: access.Everything(), Search: "in_usd"})
	require.NoError(t, err)
	_, err = r.Note(t.Context(), access.Operator("nina"), page.Items[0].ID, "seen", "https://files.example.com/1")
	require.NoError(t, err)
	b, err := r.Break(t.Context(), page.Items[0].ID)
	require.NoError(t, err)
	require.Equal(t, 1, b.Notes)
}

// TestTheDatabaseRefusesUntimelyCloses: whoever writes past the use case.
func TestTheDatabaseRefusesUntimelyCloses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.reconciler(&stripeSide{}, compareTime)
	insert := func(action, reason string, run any) error {
		_, err := w.sql.Exec(t.Context(), `INSERT INTO month_closes (account_id, environment, period, action, run_id, actor, person, reason, at) VALUES ('acme', 'live', '2026-01', $1, $2, 'user:nina', 'nina', $3, now())`, action, run, reason)
		return err
	}
	out, err := r.Reconcile(t.Context(), machine, "acme", "2026-01", func(string) {})
	require.NoError(t, err)
	require.ErrorContains(t, insert("closed", "", out.ID), "is not over")
	require.Equal(t, "cycle_not_over", fault.CodeOf(r.Close(t.Context(), access.Operator("nina"), "acme", "2026-01")))
	require.Equal(t, "account_not_found", fault.CodeOf(r.Close(t.Context(), access.Operator("nina"), "nobody", "2026-01")))
	require.Equal(t, "month_open", fault.CodeOf(r.ReopenMonth(t.Context(), access.Operator("nina"), "acme", "2026-01", "x")))
	viewer := access.Principal{ID: "user:v", Roles: access.Roles{access.Viewer}, Scope: access.Everything()}
	require.Equal(t, access.CodePermission, fault.CodeOf(r.Close(t.Context(), viewer, "acme", "2026-01")))
	require.ErrorContains(t, insert("reopened", "x", nil), "already")
	require.Error(t, insert("closed", "", nil), "a close rests on a comparison")

	w.pays("f1", "in_ghost", 900, "usd", january)
	out, err = r.Reconcile(t.Context(), machine, "acme", "2026-01", func(string) {})
	require.NoError(t, err)
	require.ErrorContains(t, insert("closed", "", out.ID), "breaks keep")
}
