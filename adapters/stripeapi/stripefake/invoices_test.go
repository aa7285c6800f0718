package stripefake_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76"
)

func (f *fixture) finalize(id string) *stripe.Invoice {
	f.t.Helper()
	in, err := f.api.Invoices.FinalizeInvoice(id, &stripe.InvoiceFinalizeInvoiceParams{AutoAdvance: stripe.Bool(false)})
	require.NoError(f.t, err)
	return in
}

func TestWriteBackSequence(t *testing.T) {
	t.Parallel()
	f := setup(t)
	cu := f.customer("")
	in := f.draft(cu, 1000, 2500)
	draft := f.invoice(in.ID)
	require.Equal(t, stripe.InvoiceStatusDraft, draft.Status)
	require.Empty(t, draft.Number)
	require.Equal(t, int64(3500), draft.Subtotal)
	require.Equal(t, []int64{1000, 2500}, []int64{draft.Lines.Data[0].Amount, draft.Lines.Data[1].Amount}, "in order of creation")

	done := f.finalize(in.ID)
	require.Equal(t, stripe.InvoiceStatusOpen, done.Status)
	require.Equal(t, done.Customer.ID, cu.ID)
	require.Regexp(t, `^[A-Z0-9]{8}-0001$`, done.Number)
	require.NotEmpty(t, done.HostedInvoiceURL)
	require.NotEmpty(t, done.InvoicePDF)
	require.Equal(t, start.Add(30*day).Unix(), done.DueDate)
	require.False(t, done.AutoAdvance)

	_, err := f.api.Invoices.FinalizeInvoice(in.ID, &stripe.InvoiceFinalizeInvoiceParams{})
	se := stripeError(t, err)
	require.Equal(t, 400, se.HTTPStatusCode)
	require.Contains(t, se.Msg, "already finalized")
	_, err = f.api.InvoiceItems.New(&stripe.InvoiceItemParams{Customer: &cu.ID, Invoice: &in.ID, Amount: stripe.Int64(1), Currency: stripe.String("usd")})
	require.Equal(t, stripe.ErrorCode("invoice_not_editable"), stripeError(t, err).Code)
	_, err = f.api.Invoices.Update(in.ID, &stripe.InvoiceParams{DaysUntilDue: stripe.Int64(5)})
	require.Error(t, err)
	after, err := f.api.Invoices.Update(in.ID, &stripe.InvoiceParams{AutoAdvance: stripe.Bool(true), Description: stripe.String("memo")})
	require.NoError(t, err)
	require.True(t, after.AutoAdvance)
	_, err = f.api.Invoices.SendInvoice(in.ID, &stripe.InvoiceSendInvoiceParams{})
	require.NoError(t, err)
	require.Len(t, f.events("invoice.sent"), 1)
	f.advance(100 * day)
	require.Equal(t, stripe.InvoiceStatusOpen, f.invoice(in.ID).Status, "a sent invoice waits to be paid")
	_, err = f.api.Invoices.Pay(in.ID, &stripe.InvoicePayParams{PaidOutOfBand: stripe.Bool(true)})
	require.NoError(t, err)
	paid := f.invoice(in.ID)
	require.True(t, paid.PaidOutOfBand)
	require.Zero(t, paid.AmountPaid)
	_, err = f.api.Invoices.VoidInvoice(in.ID, &stripe.InvoiceVoidInvoiceParams{})
	require.Equal(t, stripe.ErrorCode("status_transition_invalid"), stripeError(t, err).Code)
}

func TestDeletedDraftLeavesItsItemsPending(t *testing.T) {
	t.Parallel()
	f := setup(t)
	cu := f.customer("pm_card_visa")
	in := f.draft(cu, 1000)
	_, err := f.api.Invoices.Del(in.ID, nil)
	require.NoError(t, err)
	_, err = f.api.Invoices.Get(in.ID, nil)
	require.Equal(t, 404, stripeError(t, err).HTTPStatusCode)
	pending := f.api.InvoiceItems.List(&stripe.InvoiceItemListParams{Customer: &cu.ID, Pending: stripe.Bool(true)})
	require.True(t, pending.Next())
	require.Nil(t, pending.InvoiceItem().Invoice)
	s := f.subscribe(cu, f.price(2000, "month"))
	require.Equal(t, int64(3000), f.invoice(s.LatestInvoice.ID).Total, "swept onto the subscription's invoice")
}

func TestPendingItemsBehavior(t *testing.T) {
	t.Parallel()
	f := setup(t)
	cu := f.customer("")
	item := func(currency string) string {
		it, err := f.api.InvoiceItems.New(&stripe.InvoiceItemParams{Customer: &cu.ID, Amount: stripe.Int64(500), Currency: &currency})
		require.NoError(t, err)
		return it.ID
	}
	_, err := f.api.Invoices.New(&stripe.InvoiceParams{Customer: &cu.ID, PendingInvoiceItemsBehavior: stripe.String("include")})
	require.Equal(t, stripe.ErrorCode("invoice_no_customer_line_items"), stripeError(t, err).Code)
	one, euro := item("usd"), item("eur")
	none, err := f.api.Invoices.New(&stripe.InvoiceParams{Customer: &cu.ID})
	require.NoError(t, err)
	require.Empty(t, none.Lines.Data, "exclude is the default of this version")
	in, err := f.api.Invoices.New(&stripe.InvoiceParams{Customer: &cu.ID, Currency: stripe.String("usd"), PendingInvoiceItemsBehavior: stripe.String("include")})
	require.NoError(t, err)
	require.Len(t, in.Lines.Data, 1)
	require.Equal(t, one, in.Lines.Data[0].InvoiceItem.ID)
	_, err = f.api.InvoiceItems.Del(euro, nil)
	require.NoError(t, err)
	_, err = f.api.InvoiceItems.New(&stripe.InvoiceItemParams{Customer: &cu.ID, Invoice: &in.ID, Amount: stripe.Int64(1), Currency: stripe.String("eur")})
	require.Contains(t, stripeError(t, err).Msg, "must match the currency")
}

func TestDiscountsAreInheritedUnlessRefused(t *testing.T) {
	t.Parallel()
	f := setup(t)
	cu := f.customer("")
	f.post("/v1/coupons", "id=fifth&percent_off=20&duration=forever", "")
	f.post("/v1/customers/"+cu.ID, "coupon=fifth", "")
	for form, want := range map[string]float64{
		"":                            800,
		"&discounts=":                 1000,
		"&discounts[0][coupon]=fifth": 800,
	} {
		id := f.post("/v1/invoices", "currency=usd&customer="+cu.ID+form, "").body["id"].(string)
		item := f.post("/v1/invoiceitems", "amount=1000&currency=usd&customer="+cu.ID+"&invoice="+id, "")
		require.Equal(t, 200, item.status)
		require.Equal(t, want, f.get("/v1/invoices/"+id, "").body["total"], form)
		f.post("/v1/invoiceitems/"+item.body["id"].(string), "discountable=false", "")
		require.Equal(t, float64(1000), f.get("/v1/invoices/"+id, "").body["total"], form)
	}
}

func TestZeroAndSmallTotals(t *testing.T) {
	t.Parallel()
	f := setup(t)
	cu := f.customer("")
	balance := func() int64 {
		got, err := f.api.Customers.Get(cu.ID, nil)
		require.NoError(t, err)
		return got.Balance
	}
	zero := f.finalize(f.draft(cu).ID)
	require.Equal(t, stripe.InvoiceStatusPaid, zero.Status)
	require.Nil(t, zero.PaymentIntent)
	small := f.finalize(f.draft(cu, 49).ID)
	require.Equal(t, stripe.InvoiceStatusPaid, small.Status)
	require.Zero(t, small.AmountDue)
	require.Equal(t, int64(49), balance(), "carried as a debit")
	next := f.finalize(f.draft(cu, 100).ID)
	require.Equal(t, []int64{100, 149, 49}, []int64{next.Total, next.AmountDue, next.StartingBalance})
	require.Zero(t, balance())
	_, err := f.api.Invoices.VoidInvoice(next.ID, &stripe.InvoiceVoidInvoiceParams{})
	require.NoError(t, err)
	require.Equal(t, int64(49), balance(), "a voided invoice returns the balance")
	negative := f.finalize(f.draft(cu, -500).ID)
	require.Equal(t, stripe.InvoiceStatusPaid, negative.Status)
	require.Equal(t, int64(-451), balance())
}

func TestInvoiceLimits(t *testing.T) {
	t.Parallel()
	f := setup(t)
	cu := f.customer("")
	in := f.draft(cu)
	item := func(form string) answer {
		return f.post("/v1/invoiceitems", "currency=usd&customer="+cu.ID+"&invoice="+in.ID+"&"+form, "")
	}
	require.Equal(t, "amount_too_large", item("amount=100000000").errorField("code"))
	require.Equal(t, 200, item("amount=99999999").status)
	for _, bad := range []string{
		"amount=1&description=" + long(5001), "amount=1&period[start]=5", "amount=1&period[start]=5&period[end]=4", "amount=1&tax_rates=", "",
		"amount=1&quantity=2", "unit_amount_decimal=0.1234567890123", "amount=1&unknown=1",
	} {
		require.Equal(t, 400, item(bad).status, clipped(bad))
	}
	require.Equal(t, float64(13), item("unit_amount_decimal=12.5&quantity=1").body["amount"], "half away from zero")
	for i := range 248 {
		require.Equal(t, 200, item(fmt.Sprintf("amount=%d", i)).status)
	}
	require.Equal(t, "invoice_too_many_line_items", item("amount=1").errorField("code"))
	seen := 0
	lines := f.api.Invoices.ListLines(&stripe.InvoiceListLinesParams{Invoice: &in.ID, ListParams: stripe.ListParams{Limit: stripe.Int64(100)}})
	for lines.Next() {
		seen++
	}
	require.NoError(t, lines.Err())
	require.Equal(t, 250, seen)
	embedded := f.invoice(in.ID).Lines
	require.Len(t, embedded.Data, 10)
	require.True(t, embedded.HasMore)
	require.Contains(t, f.post("/v1/invoices", "collection_method=send_invoice&customer="+cu.ID, "").errorField("message"), "days_until_due")
	require.Equal(t, 400, f.post("/v1/invoices", "days_until_due=3&customer="+cu.ID, "").status)
}

func TestAutoAdvance(t *testing.T) {
	t.Parallel()
	f := setup(t)
	cu := f.customer("pm_card_visa")
	in, err := f.api.Invoices.New(&stripe.InvoiceParams{Customer: &cu.ID, Currency: stripe.String("usd"), AutoAdvance: stripe.Bool(true)})
	require.NoError(t, err)
	_, err = f.api.InvoiceItems.New(&stripe.InvoiceItemParams{Customer: &cu.ID, Invoice: &in.ID, Amount: stripe.Int64(700), Currency: stripe.String("usd")})
	require.NoError(t, err)
	f.advance(59 * time.Minute)
	require.Equal(t, stripe.InvoiceStatusDraft, f.invoice(in.ID).Status)
	f.advance(time.Minute)
	paid := f.invoice(in.ID)
	require.Equal(t, stripe.InvoiceStatusPaid, paid.Status)
	require.Equal(t, start.Add(time.Hour).Unix(), paid.StatusTransitions.FinalizedAt)
	require.NotNil(t, paid.Charge)

	held := f.finalize(f.draftOf(cu, 800).ID)
	f.advance(10 * day)
	require.Equal(t, stripe.InvoiceStatusOpen, f.invoice(held.ID).Status, "nothing moves without auto_advance")
	_, err = f.api.Invoices.Update(held.ID, &stripe.InvoiceParams{AutoAdvance: stripe.Bool(true)})
	require.NoError(t, err)
	f.advance(time.Hour)
	require.Equal(t, stripe.InvoiceStatusPaid, f.invoice(held.ID).Status)
}

// draftOf is a draft that is charged automatically once released.
func (f *fixture) draftOf(cu *stripe.Customer, amount int64) *stripe.Invoice {
	f.t.Helper()
	in, err := f.api.Invoices.New(&stripe.InvoiceParams{Customer: &cu.ID, Currency: stripe.String("usd"), AutoAdvance: stripe.Bool(false)})
	require.NoError(f.t, err)
	_, err = f.api.InvoiceItems.New(&stripe.InvoiceItemParams{Customer: &cu.ID, Invoice: &in.ID, Amount: &amount, Currency: stripe.String("usd")})
	require.NoError(f.t, err)
	return in
}

func TestDeclinedPayment(t *testing.T) {
	t.Parallel()
	f := setup(t)
	cu := f.customer("pm_card_chargeDeclined")
	in := f.finalize(f.draftOf(cu, 900).ID)
	_, err := f.api.Invoices.Pay(in.ID, &stripe.InvoicePayParams{})
	se := stripeError(t, err)
	require.Equal(t, 402, se.HTTPStatusCode)
	require.Equal(t, stripe.ErrorCodeCardDeclined, se.Code)
	require.Equal(t, []string{"charge.failed", "payment_intent.payment_failed", "invoice.payment_failed"},
		names(f.events("charge.failed", "payment_intent.payment_failed", "invoice.payment_failed")))
	paid, err := f.api.Invoices.Pay(in.ID, &stripe.InvoicePayParams{PaymentMethod: stripe.String("pm_card_visa")})
	require.NoError(t, err)
	require.Equal(t, stripe.InvoiceStatusPaid, paid.Status)
	require.Equal(t, int64(2), paid.AttemptCount)
	none := f.finalize(f.draftOf(f.customer(""), 900).ID)
	_, err = f.api.Invoices.Pay(none.ID, &stripe.InvoicePayParams{})
	require.Equal(t, 400, stripeError(t, err).HTTPStatusCode)
}

func TestAutomaticTaxNeedsALocation(t *testing.T) {
	t.Parallel()
	f := setup(t)
	in := f.draft(f.customer(""), 1000)
	_, err := f.api.Invoices.Update(in.ID, &stripe.InvoiceParams{AutomaticTax: &stripe.InvoiceAutomaticTaxParams{Enabled: stripe.Bool(true)}})
	require.NoError(t, err)
	_, err = f.api.Invoices.FinalizeInvoice(in.ID, &stripe.InvoiceFinalizeInvoiceParams{})
	require.Equal(t, stripe.ErrorCodeCustomerTaxLocationInvalid, stripeError(t, err).Code)
	require.Equal(t, stripe.InvoiceStatusDraft, f.invoice(in.ID).Status)
	require.Len(t, f.events("invoice.finalization_failed"), 1)
}
