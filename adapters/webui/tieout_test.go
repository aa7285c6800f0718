package webui_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/reconcile"
)

func TestTieOut(t *testing.T) {
	t.Parallel()
	p := open(t, newEcho(fixture()), "/cycles/acme.2026-10")
	require.Less(t, strings.Index(p.text, "Difference 0.00 USD"), strings.Index(p.text, "Engine total 4,120.50 USD"), "the difference stands first")
	require.Contains(t, p.text, "Stripe total 4,120.50 USD")
	require.Contains(t, p.links, "https://invoice.stripe.com/i/acct_x/test")
	require.Contains(t, p.links, "https://pay.stripe.com/invoice/x/pdf")

	total := p.row(t, "Total USD")
	require.Equal(t, []string{"10,800", "98,994.00 USD", "19,710.60 USD", "–", "0.00 USD", "20,602.50 USD", "312.10 USD", "4,120.50 USD", "4,120.50 USD", "0.00 USD"}, total[2:])
	require.Equal(t, "–", p.row(t, "Copy test 2")[10], "a withheld line has no Stripe side")
	require.Contains(t, p.text, "NEGATIVE_LIFT The policy earned 1,204.00 USD less")
	require.Equal(t, "108,124.00 USD", p.row(t, "Sum of the buckets")[3])
	require.Equal(t, "✓ equal", p.row(t, "read from Stripe's lists")[2])
	require.Contains(t, p.row(t, "finalize"), "req_9XhDyQh3yYc1aC")
	require.Contains(t, p.links, "/accounts/acme/events?mapped=no", "a bucket leads to its rows")

	// Another currency stands in a table of its own, with sums and checks of its own.
	require.Contains(t, p.text, "Out of scope: the contract measures and bills USD only.")
	require.Equal(t, []string{"3", "", "777.00 EUR"}, p.row(t, "In another currency than the contract's")[1:])
	require.Contains(t, p.links, "/accounts/acme/events?currency=eur&joined=other_currency")
	require.Equal(t, []string{"3", "", "777.00 EUR"}, p.row(t, "Sum of the buckets in EUR")[1:], "our own invoices are nobody's revenue")
	require.Equal(t, []string{"", "✓ equal", "777.00 EUR"}, p.row(t, "Paid revenue in our ledger in EUR")[1:])
	require.Equal(t, []string{"", "✕ -1.00 EUR", "778.00 EUR"}, p.row(t, "Stripe's own lists in EUR")[1:])
	require.NotContains(t, strings.Split(strings.Split(p.text, "Where the paid revenue went")[1], "Sum of the buckets")[0], "EUR", "no row of the contract's table is of another currency")
	before, _, _ := strings.Cut(p.text, "Revenue in other currencies")
	require.NotContains(t, before, "EUR", "nor a waterfall or a total")
}

func TestTieOutOfATestAccount(t *testing.T) {
	t.Parallel()
	p := open(t, newEcho(fixture()), "/cycles/sandbox.2026-10")
	require.Contains(t, p.text, "Computed and shown, nothing written")
	require.Contains(t, p.text, "Engine total 4,120.50 USD", "a test account sees its amount")
	require.Contains(t, p.text, "Stripe total –")
	require.Contains(t, p.text, "a test account never causes a write")
}

// Lines that nobody measured stand apart, and all lines together are the invoice.
func TestTieOutWithOtherFees(t *testing.T) {
	t.Parallel()
	p := open(t, newEcho(fixture()), "/cycles/fees.2026-10")
	require.Contains(t, p.text, "Engine total 3,300.00 USD")
	require.NotContains(t, p.text, "The lines sum to another amount")
	require.Contains(t, p.text, "as agreed, not measured")
	lift := p.row(t, "Trial nudge, version 7")
	require.Equal(t, []string{"4,120.50 USD", "2,500.00 USD", "2,500.00 USD", "0.00 USD"}, lift[len(lift)-4:])
	require.Equal(t, []string{"-1,320.50 USD", "0.00 USD", "–", "–"}, p.row(t, "Fees above the agreed cap")[3:])
	fee := p.row(t, "Platform fee, October 2026")
	require.Equal(t, []string{"800.00 USD", "800.00 USD", "800.00 USD", "0.00 USD"}, fee[3:])
	require.Equal(t, []string{"3,300.00 USD", "3,300.00 USD", "3,300.00 USD", "0.00 USD"}, p.row(t, "With the fees on lift")[3:])
	// The chain of amounts ends at the invoice.
	require.Equal(t, "4,120.50 USD", p.row(t, "Fees on lift")[2])
	require.Equal(t, "3,300.00 USD", p.row(t, "the sum of all lines")[2])
	require.Contains(t, p.text, "Platform fee of 800.00 USD a month")
}

func TestTieOutOfAShadowMonth(t *testing.T) {
	t.Parallel()
	p := open(t, newEcho(fixture()), "/cycles/shade.2026-10")
	require.Contains(t, p.text, "Shadow month. Priced and shown as it would be invoiced; nothing is written")
	require.Contains(t, p.text, "A shadow month is priced and shown, never invoiced.")
	require.Contains(t, p.text, "Engine total 0.00 USD")
	require.NotContains(t, p.text, "The lines sum to another amount")
	require.Contains(t, p.row(t, "Trial nudge, version 7")[1], "shadow")
	require.Contains(t, p.text, "312.10 USD of it are waived")
	require.Equal(t, "0.00 USD", p.row(t, "the sum of all lines")[2])
}

// A lift that an allowance or a free month covers was measured and is not withheld.
func TestTieOutOfAFreeLift(t *testing.T) {
	t.Parallel()
	l := fixture()
	free := l.tieOuts["acme.2026-10"]
	free.Lines = append([]reconcile.Line{}, free.Lines...)
	free.Lines[0].Billed, free.Lines[0].FeeMinor, free.Lines[0].BilledMinor, free.Lines[0].StripeMinor = false, 0, 0, nil
	free.EngineMinor, free.StripeMinor, free.DifferenceMinor = 0, nil, nil
	l.tieOuts["acme.2026-10"] = free
	p := open(t, newEcho(l), "/cycles/acme.2026-10")
	require.Contains(t, p.row(t, "Trial nudge, version 7")[1], "free")
	require.Contains(t, p.row(t, "Copy test 2")[1], "withheld")
	require.Contains(t, p.text, "2 withheld")
	require.Equal(t, "20,602.50 USD", p.row(t, "what the share is taken of")[2])
}

func TestTieOutThatBreaks(t *testing.T) {
	t.Parallel()
	l := fixture()
	broken := l.tieOuts["acme.2026-10"]
	broken.DifferenceMinor, broken.StripeMinor = ptr[int64](100), ptr[int64](411_950)
	broken.EngineMinor, broken.PaidRevenueMinor, broken.StripeNetMinor = 400_000, 10_812_500, ptr[int64](10_812_000)
	l.tieOuts["acme.2026-10"] = broken
	p := open(t, newEcho(l), "/cycles/acme.2026-10")
	require.Contains(t, p.text, "Difference 1.00 USD")
	require.Contains(t, p.text, "Engine and Stripe disagree")
	require.Contains(t, p.text, "the gap is 120.50 USD", "lines that do not sum are shown")
	require.Equal(t, "✕ -1.00 USD", p.row(t, "Paid revenue in our ledger")[2])
	require.Equal(t, "✕ 5.00 USD", p.row(t, "read from Stripe's lists")[2])
	require.Equal(t, "-1.00 USD", p.row(t, "Unexplained")[2])
}
