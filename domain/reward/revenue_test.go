package reward_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/reward"
)

func TestConfirmedRevenue(t *testing.T) {
	t.Parallel()
	subOnly, withOOB := reward.Config{SubscriptionOnly: true}, reward.Config{IncludeOutOfBand: true}
	none := reward.Config{}
	const paid, oob = "revenue_confirmation", "revenue_out_of_band"
	for _, c := range []struct {
		name    string
		cfg     reward.Config
		fields  obj
		kind    string
		amount  int64
		ignored string
		read    string
	}{
		{"cash", none, nil, paid, 2000, "", ""},
		{"tax is no revenue", none, obj{"amount_paid": 2400, "total": 2400}, paid, 2000, "", ""},
		{"credit balance applied", none, obj{"amount_paid": 1200, "total": 2400}, paid, 1000, "", ""},
		{"tax by list", none, obj{"amount_paid": 2400, "total": 2400, "total_excluding_tax": nil, "total_tax_amounts": []obj{{"amount": 300}, {"amount": 100}}}, paid, 2000, "", ""},
		{"proration", none, obj{"billing_reason": "subscription_update"}, paid, 2000, "", ""},
		{"nothing paid", none, obj{"amount_paid": 0, "total": 0}, "", 0, "no_cash", ""},
		{"negative total", none, obj{"amount_paid": 0, "total": -500}, "", 0, "no_cash", ""},
		{"still open", none, obj{"status": "open"}, "", 0, "invoice_not_paid", ""},
		{"our own invoice", none, obj{"metadata": obj{"lb_key": "lb:1"}}, "", 0, "own_invoice", ""},
		{"without a subscription", none, obj{"subscription": nil}, paid, 2000, "", ""},
		{"subscriptions only", subOnly, obj{"subscription": nil}, "", 0, "invoice_without_subscription", ""},
		{"out of band by flag", none, obj{"paid_out_of_band": true, "amount_paid": 0}, oob, 2000, "", ""},
		{"out of band since basil", none, obj{"amount_paid_off_stripe": 2000}, oob, 2000, "", ""},
		{"out of band among the payments", none, obj{"payments": items(
			obj{"amount_paid": nil, "status": "open", "payment": obj{"type": "payment_intent"}},
			obj{"amount_paid": 2000, "status": "paid", "payment": obj{"type": "payment_record", "payment_record": "pr_1"}},
		)}, oob, 2000, "", ""},
		{"collected, as the payments say", none, obj{"payments": items(obj{"amount_paid": 2000, "status": "paid", "payment": obj{"type": "payment_intent"}})}, paid, 2000, "", ""},
		{"a currency of once", none, obj{"currency": "hrk"}, paid, 2000, "", ""},
		{"out of band wanted", withOOB, obj{"paid_out_of_band": true, "amount_paid": 0}, paid, 2000, "", ""},
		{"amount missing", none, obj{"amount_paid": nil, "charge": nil}, "", 0, "no_cash", "amount_missing"},
		{"shape unknown", none, obj{"status": nil}, "", 0, "no_reward_change", "shape_unknown"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := reward.Classify(event("invoice.paid", invoiceObj(c.fields), nil), c.cfg)
			require.NoError(t, err)
			require.Equal(t, c.ignored, got.Ignored)
			if c.read != "" {
				require.Equal(t, []reward.Read{{Object: "invoice", ID: "in_1", Reason: c.read}}, got.NeedsRead)
			}
			if c.kind == "" {
				require.Empty(t, got.Facts)
				return
			}
			require.Len(t, got.Facts, 1)
			f := got.Facts[0]
			require.Equal(t, c.kind, string(f.Kind))
			require.Equal(t, ptr(c.amount), f.Amount)
			require.Equal(t, at(t0+3600), f.EffectiveAt, "when it was paid, not when it was told")
			require.Equal(t, f.Kind.IsReward(), len(got.Signals) == 1)
		})
	}
}

// TestSignalsShowStripesFigures: a refund of all that was paid shows as much as its payment,
// though only the part without tax was revenue.
func TestSignalsShowStripesFigures(t *testing.T) {
	t.Parallel()
	paid := classify(t, event("invoice.paid", invoiceObj(obj{"amount_paid": 2400, "amount_due": 2400, "total": 2400}), nil))
	require.Equal(t, ptr(2000), paid.Facts[0].Amount)
	require.Equal(t, ptr(2400), paid.Signals[0].Amount)
	back := classify(t, event("charge.refunded", obj{"id": "ch_1", "object": "charge", "currency": "usd", "amount_refunded": 2400}, nil))
	require.Equal(t, paid.Signals[0].Amount, back.Signals[0].Amount)
}

func TestInvoiceStatesAndParts(t *testing.T) {
	t.Parallel()
	t.Run("partly out of band", func(t *testing.T) {
		t.Parallel()
		got := classify(t, event("invoice.paid", invoiceObj(obj{"amount_paid_off_stripe": 500}), nil))
		require.Equal(t, []string{"revenue_confirmation:in_1", "revenue_out_of_band:in_1"}, keys(got))
		require.Equal(t, ptr(1500), got.Facts[0].Amount)
	})
	t.Run("a partial payment waits for its invoice", func(t *testing.T) {
		t.Parallel()
		got := classify(t, event("invoice_payment.paid", obj{"id": "inpay_1", "object": "invoice_payment", "invoice": "in_1"}, nil))
		require.Empty(t, got.Facts)
		require.Equal(t, "in_1", got.NeedsRead[0].ID)
	})
	t.Run("states of an invoice move no money", func(t *testing.T) {
		t.Parallel()
		for _, kind := range []string{"invoice.voided", "invoice.marked_uncollectible", "invoice.payment_action_required"} {
			got := classify(t, event(kind, invoiceObj(obj{"status": "void"}), nil))
			require.Len(t, got.Facts, 1)
			require.False(t, got.Facts[0].IsReward)
			require.Nil(t, got.Facts[0].Amount)
			require.Empty(t, got.Signals)
		}
	})
}

func refundObj(status string, fields obj) obj {
	return with(obj{"id": "re_1", "object": "refund", "charge": "ch_1", "amount": 700, "currency": "usd", "status": status, "created": t0 + day, "balance_transaction": "txn_1"}, fields)
}

func TestRefunds(t *testing.T) {
	t.Parallel()
	t.Run("a refunded charge shows the delta and books nothing", func(t *testing.T) {
		t.Parallel()
		got := classify(t, event("charge.refunded", obj{"id": "ch_1", "object": "charge", "currency": "usd", "amount_refunded": 900}, obj{"amount_refunded": 200}))
		require.Empty(t, got.Facts)
		require.Equal(t, []reward.Signal{{Kind: reward.Refund, Amount: ptr(700), Currency: "usd"}}, got.Signals)
		require.Equal(t, []reward.Read{{Object: "charge", ID: "ch_1", Reason: "refunds"}}, got.NeedsRead)
	})
	for _, c := range []struct {
		name   string
		fields obj
		status string
		prev   obj
		keys   []string
		sum    int64
	}{
		{"pending", nil, "pending", nil, []string{}, 0},
		{"requires action", nil, "requires_action", nil, []string{}, 0},
		{"succeeded", nil, "succeeded", nil, []string{"refund:re_1"}, -700},
		{"failed after money moved", nil, "failed", nil, []string{"refund:re_1", "refund:re_1:undone"}, 0},
		{"failed after it had succeeded", obj{"balance_transaction": nil}, "failed", obj{"status": "succeeded"}, []string{"refund:re_1", "refund:re_1:undone"}, 0},
		{"canceled before money moved", obj{"balance_transaction": nil}, "canceled", obj{"status": "pending"}, []string{"refund_failed:re_1"}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := classify(t, event("refund.updated", refundObj(c.status, c.fields), c.prev))
			require.Equal(t, c.keys, keys(got))
			require.Equal(t, c.sum, sum(got.Facts))
			require.Empty(t, got.Signals, "the charge's event has shown it")
		})
	}
	t.Run("a refund of a customer's cash balance is nobody's revenue", func(t *testing.T) {
		t.Parallel()
		for _, nobodys := range []obj{{"charge": nil, "payment_intent": nil}, {"charge": nil}} {
			got := classify(t, event("refund.created", refundObj("succeeded", nobodys), nil))
			require.Empty(t, got.Facts)
			require.Equal(t, "no_money_effect", got.Ignored)
		}
		unnamed := refundObj("succeeded", nil)
		delete(unnamed, "charge")
		require.Empty(t, classify(t, event("refund.created", unnamed, nil)).Facts)
		for _, known := range []obj{{"charge": nil, "payment_intent": "pi_1"}, {"payment_intent": nil}} {
			require.Len(t, classify(t, event("refund.created", refundObj("succeeded", known), nil)).Facts, 1)
		}
	})
	t.Run("a refund's fact asks for the invoice behind its charge", func(t *testing.T) {
		t.Parallel()
		got := classify(t, event("refund.created", refundObj("succeeded", nil), nil))
		require.Equal(t, []reward.Read{{Object: "charge", ID: "ch_1", Reason: "invoice_of_refund"}}, got.NeedsRead)
		require.Equal(t, at(t0+day), got.Facts[0].EffectiveAt)
	})
}

func sum(facts []reward.Fact) int64 {
	var total int64
	for _, f := range facts {
		if f.Amount != nil {
			total += *f.Amount
		}
	}
	return total
}

func disputeObj(status string) obj {
	moved := []obj{{"amount": -2000, "created": t0 + 60}}
	if status == "won" {
		moved = append(moved, obj{"amount": 2000, "created": t0 + 9*day})
	}
	return obj{
		"id": "dp_1", "object": "dispute", "charge": "ch_1", "amount": 2000, "currency": "usd", "status": status, "created": t0, "balance_transactions": moved,
	}
}

func TestDisputes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		event, status string
		facts         []string
		signals       []string
		sum           int64
	}{
		{"created", "needs_response", []string{"dispute"}, []string{"dispute"}, -2000},
		{"created", "warning_needs_response", []string{}, []string{}, 0},
		{"created", "lost", []string{"dispute", "dispute_lost"}, []string{"dispute"}, -2000},
		{"created", "prevented", []string{}, []string{}, 0},
		{"funds_withdrawn", "needs_response", []string{"dispute"}, []string{"dispute"}, -2000},
		{"updated", "under_review", []string{"dispute"}, []string{}, -2000},
		{"closed", "lost", []string{"dispute", "dispute_lost"}, []string{"dispute_lost"}, -2000},
		{"closed", "won", []string{"dispute", "dispute_won"}, []string{"dispute_won"}, 0},
		{"closed", "warning_closed", []string{}, []string{}, 0},
		{"funds_reinstated", "won", []string{"dispute", "dispute_won"}, []string{}, 0},
		{"closed", "charge_refunded", []string{"dispute", "dispute_won"}, []string{}, 0},
	} {
		t.Run(c.event+" "+c.status, func(t *testing.T) {
			t.Parallel()
			got := classify(t, event("charge.dispute."+c.event, disputeObj(c.status), nil))
			require.Equal(t, c.facts, kinds(got))
			require.Equal(t, c.signals, signals(got))
			require.Equal(t, c.sum, sum(got.Facts))
		})
	}
	won := classify(t, event("charge.dispute.closed", disputeObj("won"), nil))
	require.Equal(t, at(t0+60), fact(t, won, "dispute").EffectiveAt)
	require.Equal(t, at(t0+9*day), fact(t, won, "dispute_won").EffectiveAt)
	odd := classify(t, event("charge.dispute.updated", disputeObj("pondering"), nil))
	require.Equal(t, "status_unknown", odd.Anomaly)
}

// movedDispute is a dispute whose balance shows the moves, a day apart.
func movedDispute(status string, moves ...int) obj {
	list := []obj{}
	for k, a := range moves {
		list = append(list, obj{"amount": a, "created": t0 + 60 + k*day})
	}
	return with(disputeObj(status), obj{"balance_transactions": list})
}

// TestADisputeIsDecidedByItsStatus: an open dispute is held though its money is back,
// because it may be lost after all and what is booked stays. Every order of what is told of
// it ends the same.
func TestADisputeIsDecidedByItsStatus(t *testing.T) {
	t.Parallel()
	for _, moves := range [][]int{{-2000, 2000}, {2000, -2000}, {}, {-2000, 500}, {-2000}} {
		raw := movedDispute("under_review", moves...)
		told := classify(t, event("charge.dispute.funds_reinstated", raw, nil))
		require.Equal(t, []string{"dispute:dp_1"}, keys(told), moves)
		require.Empty(t, told.Signals)
		read, err := reward.ClassifyObject(must(raw), at(t0+9*day), reward.Config{})
		require.NoError(t, err)
		require.Equal(t, keys(told), keys(read), "whoever reads the dispute sees the same")
	}
	opened := [][]byte{
		event("charge.dispute.funds_withdrawn", movedDispute("needs_response", -2000), nil),
		event("charge.dispute.funds_reinstated", movedDispute("under_review", -2000, 2000), nil),
	}
	lost := event("charge.dispute.closed", movedDispute("lost", -2000, 2000, -2000), nil)
	won := event("charge.dispute.updated", movedDispute("won", -2000, 2000), nil)
	for name, c := range map[string]struct {
		last [][]byte
		keys []string
		sum  int64
	}{
		"still open":             {nil, []string{"dispute:dp_1"}, -2000},
		"won":                    {[][]byte{won}, []string{"dispute:dp_1", "dispute_won:dp_1"}, 0},
		"lost after all":         {[][]byte{lost}, []string{"dispute:dp_1", "dispute_lost:dp_1"}, -2000},
		"lost, and won at last":  {[][]byte{lost, won}, []string{"dispute:dp_1", "dispute_lost:dp_1", "dispute_won:dp_1"}, 0},
		"told of its end by two": {[][]byte{lost, lost}, []string{"dispute:dp_1", "dispute_lost:dp_1"}, -2000},
	} {
		var all []reward.Classification
		for _, e := range append(slices.Clone(opened), c.last...) {
			all = append(all, classify(t, e))
		}
		want := byKey(booked(all...))
		require.ElementsMatch(t, c.keys, slices.Collect(maps.Keys(want)), name)
		permute(all, func(order []reward.Classification) {
			facts := booked(order...)
			require.Equal(t, c.sum, sum(facts), name)
			require.Empty(t, cmp.Diff(want, byKey(facts)), name)
		})
	}
}

func TestCreditNotes(t *testing.T) {
	t.Parallel()
	note := func(fields obj) obj {
		return with(obj{"id": "cn_1", "object": "credit_note", "invoice": "in_1", "customer": "cus_1", "currency": "usd", "status": "issued", "amount": 900, "created": t0}, fields)
	}
	for _, c := range []struct {
		name   string
		event  string
		fields obj
		keys   []string
		sum    int64
	}{
		{"before payment", "created", nil, []string{}, 0},
		{"refund part is the refund's", "created", obj{"refund": "re_1"}, []string{}, 0},
		{"balance credit", "created", obj{"credit_amount": 900}, []string{}, 0},
		{"given back elsewhere", "created", obj{"out_of_band_amount": 400}, []string{"refund:cn_1"}, -400},
		{"our own correction", "created", obj{"out_of_band_amount": 400, "metadata": obj{"lb_adj": "1"}}, []string{}, 0},
		{"voided", "voided", obj{"out_of_band_amount": 400, "status": "void", "voided_at": t0 + day}, []string{"refund:cn_1", "refund:cn_1:undone"}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := classify(t, event("credit_note."+c.event, note(c.fields), nil))
			require.Equal(t, c.keys, keys(got))
			require.Equal(t, c.sum, sum(got.Facts))
		})
	}
}
