package reconcile_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
)

func TestJournalBalances(t *testing.T) {
	t.Parallel()
	tie := month().tie
	tie.Environment, tie.EngineMinor, tie.TimeZone, tie.PeriodEnd = account.Live, 90_000, "Europe/Berlin", time.Date(2026, 10, 31, 23, 0, 0, 0, time.UTC)
	tie.Charges = append(tie.Charges, reconcile.Charge{Line: "fee:platform_fee", Kind: "platform_fee", AmountMinor: 50_000, BilledMinor: 50_000})
	entries, err := reconcile.Journal(tie)
	require.NoError(t, err)
	var debit, credit int64
	for _, e := range entries {
		require.NotEqual(t, e.DebitMinor > 0, e.CreditMinor > 0, "one side each")
		require.Equal(t, "2026-10-31", e.Date.Format(time.DateOnly), "the last day of the month where the contract is")
		debit, credit = debit+e.DebitMinor, credit+e.CreditMinor
	}
	require.Equal(t, []int64{90_000, 90_000}, []int64{debit, credit})
	require.Equal(t, []string{reconcile.AccountUnbilled, reconcile.AccountPerformance, reconcile.AccountFixed}, []string{entries[0].Account, entries[1].Account, entries[2].Account})
	tie.StripeMinor, tie.InvoiceNumber = ptr[int64](90_000), "A-1"
	entries, err = reconcile.Journal(tie)
	require.NoError(t, err)
	require.Equal(t, []string{reconcile.AccountReceivable, "A-1"}, []string{entries[0].Account, entries[0].Reference})

	for name, change := range map[string]func(*reconcile.TieOut){
		"test": func(t *reconcile.TieOut) { t.Environment = account.Test }, "shadow": func(t *reconcile.TieOut) { t.Phase = "shadow" }, "nothing": func(t *reconcile.TieOut) { t.EngineMinor = 0 },
	} {
		other := tie
		change(&other)
		_, err := reconcile.Journal(other)
		require.Equal(t, "nothing_to_book", fault.CodeOf(err), name)
	}
	tie.EngineMinor++
	_, err = reconcile.Journal(tie)
	require.Equal(t, "journal_unbalanced", fault.CodeOf(err))
}
