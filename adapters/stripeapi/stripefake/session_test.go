package stripefake_test

import (
	"time"

	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76"

	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
)

// session uses every operation of the fake at least once.
func session(f *fixture) {
	h := newHook(f.t)
	we := f.endpoint(h)
	cu := f.customer("pm_card_visa")
	sessionCatalogue(f, cu)
	sub := sessionSubscriptions(f, cu)
	sessionInvoices(f, cu)
	sessionPayments(f, cu)
	sessionCheckout(f, cu)
	sessionErrors(f)
	sessionLists(f, cu, sub)

	_, err := f.api.WebhookEndpoints.Update(we.ID, &stripe.WebhookEndpointParams{Description: stripe.String("hook")})
	require.NoError(f.t, err)
	_, err = f.api.WebhookEndpoints.Get(we.ID, nil)
	require.NoError(f.t, err)
	require.NoError(f.t, f.DeliverPending())
	gone := f.endpoint(h, "invoice.paid")
	_, err = f.api.WebhookEndpoints.Del(gone.ID, nil)
	require.NoError(f.t, err)
}

func sessionCatalogue(f *fixture, cu *stripe.Customer) {
	_, err := f.api.Accounts.Get()
	require.NoError(f.t, err)
	prod, err := f.api.Products.New(&stripe.ProductParams{Name: stripe.String("Seat"), Metadata: map[string]string{"a": "b"}})
	require.NoError(f.t, err)
	_, err = f.api.Products.Update(prod.ID, &stripe.ProductParams{Description: stripe.String("A seat")})
	require.NoError(f.t, err)
	_, err = f.api.Products.Get(prod.ID, nil)
	require.NoError(f.t, err)
	pr, err := f.api.Prices.New(&stripe.PriceParams{Product: &prod.ID, Currency: stripe.String("usd"), UnitAmountDecimal: stripe.Float64(0.5)})
	require.NoError(f.t, err)
	_, err = f.api.Prices.Update(pr.ID, &stripe.PriceParams{Nickname: stripe.String("half")})
	require.NoError(f.t, err)
	_, err = f.api.Prices.Get(pr.ID, nil)
	require.NoError(f.t, err)
	for _, id := range []string{"half", "gone"} {
		_, err = f.api.Coupons.New(&stripe.CouponParams{ID: stripe.String(id), PercentOff: stripe.Float64(50), Duration: stripe.String("repeating"), DurationInMonths: stripe.Int64(3)})
		require.NoError(f.t, err)
	}
	_, err = f.api.Coupons.Get("half", nil)
	require.NoError(f.t, err)
	_, err = f.api.Coupons.Del("gone", nil)
	require.NoError(f.t, err)
	_, err = f.api.Customers.Update(cu.ID, &stripe.CustomerParams{
		Coupon: stripe.String("half"), Address: &stripe.AddressParams{Country: stripe.String("DE"), City: stripe.String("Bonn")},
		Metadata: map[string]string{"user_id": "u1"},
	})
	require.NoError(f.t, err)
	pm, err := f.api.PaymentMethods.Attach("pm_card_mastercard", &stripe.PaymentMethodAttachParams{Customer: &cu.ID})
	require.NoError(f.t, err)
	_, err = f.api.PaymentMethods.Get(pm.ID, nil)
	require.NoError(f.t, err)
	_, err = f.api.PaymentMethods.Detach(pm.ID, nil)
	require.NoError(f.t, err)
}

func sessionSubscriptions(f *fixture, cu *stripe.Customer) *stripe.Subscription {
	month, big, year := f.price(2000, "month"), f.price(5000, "month"), f.price(20000, "year")
	s := f.subscribe(cu, month, func(p *stripe.SubscriptionParams) {
		p.TrialPeriodDays = stripe.Int64(7)
		p.TrialSettings = &stripe.SubscriptionTrialSettingsParams{EndBehavior: &stripe.SubscriptionTrialSettingsEndBehaviorParams{MissingPaymentMethod: stripe.String("pause")}}
	})
	f.advance(8 * day)
	change := func(p *stripe.SubscriptionParams) {
		f.t.Helper()
		_, err := f.api.Subscriptions.Update(s.ID, p)
		require.NoError(f.t, err)
	}
	change(&stripe.SubscriptionParams{Items: []*stripe.SubscriptionItemsParams{{ID: &s.Items.Data[0].ID, Price: &big.ID, Quantity: stripe.Int64(2)}}})
	change(&stripe.SubscriptionParams{Items: []*stripe.SubscriptionItemsParams{{ID: &s.Items.Data[0].ID, Price: &year.ID}}})
	change(&stripe.SubscriptionParams{CancelAtPeriodEnd: stripe.Bool(true)})
	change(&stripe.SubscriptionParams{CancelAtPeriodEnd: stripe.Bool(false), PauseCollection: &stripe.SubscriptionPauseCollectionParams{Behavior: stripe.String("void")}})
	f.advance(day)

	second := f.customer("pm_card_visa")
	_, err := f.api.Customers.Update(second.ID, &stripe.CustomerParams{Coupon: stripe.String("half")})
	require.NoError(f.t, err)
	_, err = f.api.Customers.DeleteDiscount(second.ID, nil)
	require.NoError(f.t, err)
	other := f.subscribe(second, month, func(p *stripe.SubscriptionParams) { p.Coupon = stripe.String("half") })
	_, err = f.api.Subscriptions.DeleteDiscount(other.ID, nil)
	require.NoError(f.t, err)
	_, err = f.api.Customers.Update(second.ID, &stripe.CustomerParams{InvoiceSettings: &stripe.CustomerInvoiceSettingsParams{DefaultPaymentMethod: stripe.String("pm_card_chargeDeclined")}})
	require.NoError(f.t, err)
	f.advance(60 * day)
	_, err = f.api.Customers.Del(second.ID, nil)
	require.NoError(f.t, err)
	_, err = f.api.Customers.Get(second.ID, nil)
	require.NoError(f.t, err)

	nobody := f.customer("")
	paused := f.subscribe(nobody, month, func(p *stripe.SubscriptionParams) {
		p.TrialPeriodDays = stripe.Int64(1)
		p.TrialSettings = &stripe.SubscriptionTrialSettingsParams{EndBehavior: &stripe.SubscriptionTrialSettingsEndBehaviorParams{MissingPaymentMethod: stripe.String("pause")}}
	})
	f.advance(2 * day)
	_, err = f.api.Subscriptions.Resume(paused.ID, &stripe.SubscriptionResumeParams{BillingCycleAnchor: stripe.String("now")})
	require.NoError(f.t, err)
	_, err = f.api.Subscriptions.Cancel(paused.ID, &stripe.SubscriptionCancelParams{CancellationDetails: &stripe.SubscriptionCancelCancellationDetailsParams{Feedback: stripe.String("unused")}})
	require.NoError(f.t, err)
	return s
}

func sessionInvoices(f *fixture, cu *stripe.Customer) {
	in := f.draft(cu, 1000, 2000)
	_, err := f.api.Invoices.Update(in.ID, &stripe.InvoiceParams{
		Description: stripe.String("memo"), Footer: stripe.String("foot"), AutomaticTax: &stripe.InvoiceAutomaticTaxParams{Enabled: stripe.Bool(true)},
		CustomFields: []*stripe.InvoiceCustomFieldParams{{Name: stripe.String("PO"), Value: stripe.String("7")}},
	})
	require.NoError(f.t, err)
	it, err := f.api.InvoiceItems.New(&stripe.InvoiceItemParams{Customer: &cu.ID, Invoice: &in.ID, Currency: stripe.String("usd"), UnitAmountDecimal: stripe.Float64(10.5), Quantity: stripe.Int64(3), Period: &stripe.InvoiceItemPeriodParams{Start: stripe.Int64(1), End: stripe.Int64(2)}})
	require.NoError(f.t, err)
	_, err = f.api.InvoiceItems.Update(it.ID, &stripe.InvoiceItemParams{Description: stripe.String("changed")})
	require.NoError(f.t, err)
	_, err = f.api.InvoiceItems.Get(it.ID, nil)
	require.NoError(f.t, err)
	_, err = f.api.InvoiceItems.Del(it.ID, nil)
	require.NoError(f.t, err)
	_, err = f.api.Invoices.FinalizeInvoice(in.ID, &stripe.InvoiceFinalizeInvoiceParams{AutoAdvance: stripe.Bool(false)})
	require.NoError(f.t, err)
	_, err = f.api.Invoices.SendInvoice(in.ID, &stripe.InvoiceSendInvoiceParams{})
	require.NoError(f.t, err)
	line := f.invoice(in.ID).Lines.Data[0].ID
	cn, err := f.api.CreditNotes.New(&stripe.CreditNoteParams{Invoice: &in.ID, Reason: stripe.String("order_change"), Lines: []*stripe.CreditNoteLineParams{{Type: stripe.String("invoice_line_item"), InvoiceLineItem: &line, Amount: stripe.Int64(100)}}})
	require.NoError(f.t, err)
	_, err = f.api.CreditNotes.Update(cn.ID, &stripe.CreditNoteParams{Memo: stripe.String("sorry")})
	require.NoError(f.t, err)
	_, err = f.api.CreditNotes.VoidCreditNote(cn.ID, nil)
	require.NoError(f.t, err)
	_, err = f.api.CreditNotes.Get(cn.ID, nil)
	require.NoError(f.t, err)
	_, err = f.api.Invoices.Pay(in.ID, &stripe.InvoicePayParams{PaymentMethod: stripe.String("pm_card_visa")})
	require.NoError(f.t, err)
	_, err = f.api.CreditNotes.New(&stripe.CreditNoteParams{Invoice: &in.ID, Amount: stripe.Int64(300), RefundAmount: stripe.Int64(100), CreditAmount: stripe.Int64(100), OutOfBandAmount: stripe.Int64(100)})
	require.NoError(f.t, err)

	bad := f.draft(cu, 5000)
	_, err = f.api.Invoices.FinalizeInvoice(bad.ID, &stripe.InvoiceFinalizeInvoiceParams{})
	require.NoError(f.t, err)
	_, err = f.api.Invoices.MarkUncollectible(bad.ID, &stripe.InvoiceMarkUncollectibleParams{})
	require.NoError(f.t, err)
	_, err = f.api.Invoices.VoidInvoice(bad.ID, &stripe.InvoiceVoidInvoiceParams{})
	require.NoError(f.t, err)
	lost := f.draft(cu, 1)
	_, err = f.api.Invoices.Del(lost.ID, nil)
	require.NoError(f.t, err)
}

func sessionPayments(f *fixture, cu *stripe.Customer) {
	pi, err := f.api.PaymentIntents.New(&stripe.PaymentIntentParams{Amount: stripe.Int64(900), Currency: stripe.String("usd"), Customer: &cu.ID, PaymentMethod: stripe.String("pm_card_pendingRefund")})
	require.NoError(f.t, err)
	pi, err = f.api.PaymentIntents.Confirm(pi.ID, &stripe.PaymentIntentConfirmParams{})
	require.NoError(f.t, err)
	_, err = f.api.PaymentIntents.Get(pi.ID, nil)
	require.NoError(f.t, err)
	re, err := f.api.Refunds.New(&stripe.RefundParams{Charge: &pi.LatestCharge.ID, Amount: stripe.Int64(400), Reason: stripe.String("requested_by_customer")})
	require.NoError(f.t, err)
	_, err = f.api.Refunds.Update(re.ID, &stripe.RefundParams{Metadata: map[string]string{"k": "v"}})
	require.NoError(f.t, err)
	require.NoError(f.t, f.SettleRefund(acct, stripefake.Live, re.ID, "failed", "unknown"))
	_, err = f.api.Refunds.Get(re.ID, nil)
	require.NoError(f.t, err)
	_, err = f.api.Charges.Get(pi.LatestCharge.ID, nil)
	require.NoError(f.t, err)

	dp, err := f.OpenDispute(stripefake.DisputeSpec{Account: acct, Mode: stripefake.Live, Charge: pi.LatestCharge.ID})
	require.NoError(f.t, err)
	_, err = f.api.Disputes.Get(dp, nil)
	require.NoError(f.t, err)
	_, err = f.api.Disputes.Update(dp, &stripe.DisputeParams{Evidence: &stripe.DisputeEvidenceParams{CustomerName: stripe.String("A")}, Submit: stripe.Bool(true)})
	require.NoError(f.t, err)
	_, err = f.api.Disputes.Close(dp, nil)
	require.NoError(f.t, err)
	require.NoError(f.t, f.CloseDispute(acct, stripefake.Live, dp, "won"))
	f.advance(time.Hour)
}

func sessionCheckout(f *fixture, cu *stripe.Customer) {
	for _, token := range []string{"pm_card_visa", ""} {
		cs, err := f.api.CheckoutSessions.New(&stripe.CheckoutSessionParams{
			Mode: stripe.String("setup"), Customer: &cu.ID, Currency: stripe.String("usd"),
			SuccessURL: stripe.String("https://example.com/done"), CancelURL: stripe.String("https://example.com/back"),
			Metadata:        map[string]string{"k": "v"},
			SetupIntentData: &stripe.CheckoutSessionSetupIntentDataParams{Metadata: map[string]string{"k": "v"}},
		})
		require.NoError(f.t, err)
		if token != "" {
			require.NoError(f.t, f.CompleteCheckout(acct, stripefake.Live, cs.ID, token))
		}
		_, err = f.api.CheckoutSessions.Get(cs.ID, nil)
		require.NoError(f.t, err)
		_, err = f.api.SetupIntents.Get(cs.SetupIntent.ID, nil)
		require.NoError(f.t, err)
	}
	f.advance(25 * time.Hour) // the second page expires
}

func sessionErrors(f *fixture) {
	_, err := f.api.Invoices.Get("in_nowhere", nil)
	require.Error(f.t, err)
	_, err = f.api.Invoices.New(&stripe.InvoiceParams{Customer: stripe.String("cus_nowhere")})
	require.Error(f.t, err)
	_, err = f.api.PaymentIntents.New(&stripe.PaymentIntentParams{Amount: stripe.Int64(900), Currency: stripe.String("usd"), PaymentMethod: stripe.String("pm_card_chargeDeclined"), Confirm: stripe.Bool(true)})
	require.Error(f.t, err)
}
