package reward_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/reward"
)

// Defects of other integrations that classification alone prevents, numbered as in
// the project's list of known bugs.

func TestBug05AmountsAreMinorUnitsInEveryCurrency(t *testing.T) {
	t.Parallel()
	for _, currency := range []string{"jpy", "krw", "isk", "ugx", "huf", "usd", "kwd", "EUR"} {
		c := classify(t, event("invoice.paid", invoiceObj(obj{"currency": currency, "amount_paid": 980, "total": 980, "total_excluding_tax": 980}), nil))
		require.Equal(t, ptr(980), c.Facts[0].Amount, currency)
		m, err := reward.MRROf(must(sub("active", obj{"currency": currency, "items": items(item(with(price("p", 980), obj{"currency": currency}), 1))})))
		require.NoError(t, err)
		require.Equal(t, "980", m.Contract.String(), currency)
	}
}

func TestBug15TwoEventObjectsForOneChange(t *testing.T) {
	t.Parallel()
	for kind, o := range map[string]obj{"invoice.paid": invoiceObj(nil), "refund.updated": refundObj("succeeded", nil), "charge.dispute.created": disputeObj("needs_response"), "customer.subscription.created": trialSub("trialing", nil)} {
		var e obj
		require.NoError(t, unmarshal(event(kind, o, nil), &e))
		again := with(e, obj{"id": "evt_2", "created": t0 + 41*day})
		require.NotContains(t, keys(classify(t, must(e)))[0], "evt_1")
		require.Equal(t, classify(t, must(e)).Facts, classify(t, must(again)).Facts)
	}
}

func TestBug16And18VersionsAreInTheShapeMatrix(t *testing.T) {
	t.Parallel()
	require.Len(t, shapes(), 7, "2015 to the latest; TestEveryVersionTellsTheSameFacts compares them")
}

func TestBug17RequestAsString(t *testing.T) {
	t.Parallel()
	var e obj
	require.NoError(t, unmarshal(event("invoice.paid", invoiceObj(nil), nil), &e))
	c := classify(t, must(with(e, obj{"request": "iar_1", "api_version": "2015-04-07"})))
	require.Equal(t, []string{"revenue_confirmation"}, kinds(c))
	require.Equal(t, "iar_1", c.Envelope.RequestID)
}

func TestBug19CancelByDateOnlyIsSeen(t *testing.T) {
	t.Parallel()
	byDate := updated(t, sub("active", obj{"cancel_at": t0 + 31*day, "canceled_at": t0}), obj{"cancel_at": nil})
	byFlag := updated(t, sub("active", obj{"cancel_at_period_end": true, "canceled_at": t0}), obj{"cancel_at_period_end": false})
	require.Equal(t, byFlag.Facts, byDate.Facts)
	require.Equal(t, []string{"cancel_scheduled"}, kinds(byDate))
}

func TestBug20TheFreeInvoiceOfATrialIsNoPayment(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"invoice.paid", "invoice.payment_succeeded"} {
		c := classify(t, event(kind, invoiceObj(obj{"amount_due": 0, "amount_paid": 0, "total": 0, "total_excluding_tax": 0, "charge": nil}), nil))
		require.Empty(t, c.Facts)
		require.Empty(t, c.NeedsRead)
		require.Equal(t, "no_cash", c.Ignored)
	}
}

func TestBug21EitherPaymentEventSuffices(t *testing.T) {
	t.Parallel()
	a := classify(t, event("invoice.paid", invoiceObj(nil), nil))
	b := classify(t, event("invoice.payment_succeeded", invoiceObj(nil), nil))
	require.Equal(t, []string{"revenue_confirmation:in_1"}, keys(a))
	require.Equal(t, a.Facts, b.Facts)
}

func TestBug22InvoiceWithoutSubscription(t *testing.T) {
	t.Parallel()
	for _, fields := range []obj{{"subscription": nil}, {"subscription": nil, "parent": nil}, {"subscription": nil, "parent": obj{"type": "quote_details", "subscription_details": nil}}} {
		c := classify(t, event("invoice.paid", invoiceObj(fields), nil))
		require.Equal(t, ptr(2000), c.Facts[0].Amount)
		require.Empty(t, c.Facts[0].Subscription)
	}
}

func TestBug31RevenueComesFromTheInvoice(t *testing.T) {
	t.Parallel()
	lines := obj{"object": "list", "data": []obj{{"id": "il_1", "amount": 1234, "price": price("price_a", 2000), "plan": planOf(2000), "quantity": 1}}}
	c := classify(t, event("invoice.paid", invoiceObj(obj{"amount_paid": 1234, "total": 1234, "total_excluding_tax": 1234, "lines": lines}), nil))
	require.Equal(t, ptr(1234), c.Facts[0].Amount, "whatever the plan says today")
}

func TestBug32RefundsThatSettleOrFailLater(t *testing.T) {
	t.Parallel()
	created := classify(t, event("refund.created", refundObj("pending", obj{"balance_transaction": nil}), nil))
	settled := classify(t, event("refund.updated", refundObj("succeeded", nil), obj{"status": "pending"}))
	failed := classify(t, event("refund.failed", refundObj("failed", nil), obj{"status": "succeeded"}))
	require.Empty(t, created.Facts)
	require.Equal(t, int64(-700), sum(booked(created, settled)))
	require.Equal(t, int64(0), sum(booked(created, settled, failed)))
	require.Equal(t, int64(0), sum(booked(failed, settled, created)), "in any order")
	require.Equal(t, int64(0), sum(booked(failed)), "even alone")
}

func TestBug33DisputesInAnyOrderWithALateWin(t *testing.T) {
	t.Parallel()
	created := classify(t, event("charge.dispute.created", disputeObj("needs_response"), nil))
	lost := classify(t, event("charge.dispute.closed", disputeObj("lost"), nil))
	won := classify(t, event("charge.dispute.updated", disputeObj("won"), nil))
	require.Equal(t, int64(-2000), sum(booked(lost, created)))
	require.Equal(t, int64(-2000), sum(booked(lost)), "created may be lost on the way")
	permute([]reward.Classification{created, lost, won}, func(order []reward.Classification) {
		require.Equal(t, int64(0), sum(booked(order...)))
	})
}

func TestBug35ARenewalIsNoPlanChange(t *testing.T) {
	t.Parallel()
	got := updated(t, subBasil(2000, obj{"items": items(basilItem(2000, t0+31*day)), "latest_invoice": "in_2"}),
		obj{"items": obj{"data": []obj{basilItem(2000, t0)}}, "latest_invoice": "in_1"})
	require.Empty(t, got.Facts)
	require.Equal(t, "no_reward_change", got.Ignored)
}
