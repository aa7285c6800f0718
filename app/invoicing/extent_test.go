package invoicing_test

import (
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/money"
	"github.com/liftbill/liftbill/internal/pipelinetest"
)

// TestCurrencyTable bills the same fee in currencies of every kind: what Stripe has in
// the end is the hand-written number of its own minor units, never one times or over a
// hundred.
func TestCurrencyTable(t *testing.T) {
	t.Parallel()
	l := pipelinetest.NewLedger(t)
	for currency, want := range map[money.Currency]int64{ // 123,456.789 in each
		"usd": 12_345_678, "eur": 12_345_678, "gbp": 12_345_678, "huf": 12_345_678, "twd": 12_345_678,
		"jpy": 123_456, "krw": 123_456, "vnd": 123_456, "clp": 123_456,
		"isk": 12_345_600, "ugx": 12_345_600, // two decimal places of which both are zero
	} {
		t.Run(string(currency), func(t *testing.T) {
			t.Parallel()
			places, ok := currency.Exponent()
			require.True(t, ok)
			fee, err := money.FromDecimal(decimal.RequireFromString("123456.789").Shift(places), currency, money.Down)
			require.NoError(t, err)
			require.Equal(t, want, fee.Minor())
			b := pipelinetest.NewBill(t, l, func(b *pipelinetest.Bill) {
				b.Plan.Key.Currency = string(currency)
				b.Plan.Lines = b.Plan.Lines[:1]
				b.Plan.Lines[0].AmountMinor = fee.Minor()
				b.Seal()
			})
			_, err = b.Drive(t, nil)
			require.NoError(t, err)
			b.RequireBilled(t)
			require.Equal(t, want, *b.Books(t).StripeTotal)
		})
	}
	for _, refused := range []money.Currency{"kwd", "bhd", "jod", "omr", "tnd"} {
		terms := billing.DefaultTerms()
		terms.FirstPeriod, terms.Currency = "2026-10", refused
		_, err := terms.Normalise()
		require.Equal(t, "currency_not_enabled", fault.CodeOf(err), refused)
	}
}

// TestLineLimits: 1 and 200 lines are billed, none and 201 are refused before anything is
// sent. Beyond a page of 100 the three lists of items take one more request each, where
// they are not empty.
func TestLineLimits(t *testing.T) {
	t.Parallel()
	l := pipelinetest.NewLedger(t)
	for lines, requests := range map[int]int{1: 13, 200: 200 + 12 + 2} {
		b := pipelinetest.NewBill(t, l, pipelinetest.Lines(lines))
		_, err := b.Drive(t, nil)
		require.NoError(t, err)
		b.RequireBilled(t)
		require.Len(t, b.Requests(), requests)
	}
	for _, lines := range []int{0, 201} {
		b := pipelinetest.NewBill(t, l, pipelinetest.Lines(1))
		pipelinetest.Lines(lines)(b)
		require.Equal(t, "lines_count", fault.CodeOf(b.Plan.Validate()))
		_, err := billing.Authorize(b.Proof(t), "live", b.Plan, opened(t, b.Plan.AccountID))
		require.Equal(t, "lines_count", fault.CodeOf(err))
		require.Empty(t, b.Requests())
	}
}

// opened is the permission of an account whose live writing is open.
func opened(t *testing.T, accountID string) billing.LiveWriting {
	t.Helper()
	w, err := billing.Switch{AccountID: accountID, Open: true}.Permit()
	require.NoError(t, err)
	return w
}
