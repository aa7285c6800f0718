package postgres_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/postgres"
	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/app/whatif"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

// Past months under other terms, from what is stored: under their own terms they come to
// what they came to, over two versions of the contract; and all of it works on a database
// that takes no writes.
func TestWhatIfReadsOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.connect("past", account.Live)
	w.accountUnder("past", account.Live, func(x *billing.Terms) {
		x.PlatformFeeMinor, x.Holdback = 5_000, &billing.Holdback{Share: "0.1", ReleaseAfterMonths: 1}
	})
	_, err := w.amend("past", "past-c2", "2026-03", opened, func(x *billing.Terms) { x.Share, x.Holdback = "0.10", nil })
	require.NoError(t, err)
	var want []int64
	for i, point := range []float64{100_000, 150_000, 250_000} {
		cy := w.propose("past", id("2026-%02d", i+1), point)
		want = append(want, one[int64](w, "SELECT total_minor FROM invoices WHERE cycle_id = $1", cy.ID))
		if i < 2 {
			w.finish(cy.ID)
		}
	}
	// 20,000 + 5,000 − 2,000; 10,000 + 5,000 − 1,000 + 2,000; 100,000 × 0.10 + 5,000 + 1,000
	require.Equal(t, []int64{23_000, 16_000, 16_000}, want)

	db, err := postgres.Open(w.ctx, readOnly(w.url), postgres.Options{MaxConns: 2})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	_, err = (&invoicing.Service{Ledger: db.NewInvoicing(), Clock: clock.Fixed(now)}).Draft(w.ctx, "past.2026-03")
	require.Error(t, err, "the database does refuse writes")
	svc := &whatif.Service{Ledger: db.NewWhatIf()}
	ask := func(changes string) (got []int64) {
		a, err := svc.Price(w.ctx, "past", 12, []byte(changes))
		require.NoError(t, err)
		for i, m := range a.Months {
			require.Equal(t, want[i], m.OldMinor)
			got = append(got, m.NewMinor)
		}
		return got
	}
	require.Equal(t, want, ask(`{}`))
	require.Equal(t, []int64{20_000, 10_000, 20_000}, ask(`{"share":"0.20","holdback":null,"platform_fee_minor":0}`))
	_, err = svc.Price(w.ctx, "nobody", 12, []byte(`{}`))
	require.Equal(t, "account_not_found", fault.CodeOf(err))
	_, err = svc.Price(w.ctx, "acme", 12, []byte(`{}`))
	require.Equal(t, "nothing_priced", fault.CodeOf(err))
}

// A month that was priced while live writing was closed is read as what it is.
func TestWhatIfKnowsClosedMonths(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.exec(`UPDATE live_writing SET open = false WHERE account_id = 'acme'`))
	require.Equal(t, billing.Withheld, w.propose("acme", "2026-01", 100_000).State)
	a, err := (&whatif.Service{Ledger: w.db.NewWhatIf()}).Price(w.ctx, "acme", 12, []byte(`{"share":"0.10"}`))
	require.NoError(t, err)
	require.Len(t, a.Months, 1)
	m := a.Months[0]
	require.Equal(t, []any{true, true, int64(0), int64(0), int64(20_000), int64(10_000)}, []any{m.Shadow, m.WritingClosed, m.OldMinor, m.NewMinor, m.OldShadowMinor, m.NewShadowMinor})
	require.Zero(t, a.NewMinor)
}

// readOnly makes every session of a database URL refuse writes.
func readOnly(url string) string {
	sep := "?"
	if strings.Contains(url, "?") {
		sep = "&"
	}
	return url + sep + "default_transaction_read_only=on"
}
