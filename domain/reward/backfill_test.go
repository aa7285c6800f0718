package reward_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/reward"
)

func seen(t *testing.T, o obj) reward.Classification {
	t.Helper()
	c, err := reward.ClassifyObject(must(o), at(t0+60*day), reward.Config{})
	require.NoError(t, err)
	return c
}

// TestBackfillAgreesWithEvents: an object read today gives, key by key, what its
// events gave; nothing that only an event can tell is made up.
func TestBackfillAgreesWithEvents(t *testing.T) {
	t.Parallel()
	ended := trialSub("canceled", obj{"ended_at": t0 + 50*day})
	for name, c := range map[string]struct {
		object obj
		events [][]byte
	}{
		"invoice":         {invoiceObj(nil), [][]byte{event("invoice.paid", invoiceObj(nil), nil)}},
		"refund":          {refundObj("succeeded", nil), [][]byte{event("refund.updated", refundObj("succeeded", nil), nil)}},
		"dispute":         {disputeObj("won"), [][]byte{event("charge.dispute.created", disputeObj("needs_response"), nil), event("charge.dispute.closed", disputeObj("won"), nil)}},
		"customer":        {customerObj(obj{"user_id": "u"}), [][]byte{event("customer.created", customerObj(obj{"user_id": "u"}), nil)}},
		"trialing":        {trialSub("trialing", obj{"trial_end": t0 + 90*day}), [][]byte{event("customer.subscription.created", trialSub("trialing", obj{"trial_end": t0 + 90*day}), nil)}},
		"converted trial": {trialSub("active", nil), [][]byte{event("customer.subscription.created", trialSub("trialing", nil), nil), event("customer.subscription.updated", trialSub("active", nil), obj{"status": "trialing"})}},
		"paying":          {sub("active", nil), [][]byte{event("customer.subscription.created", sub("active", nil), nil)}},
		"churned":         {ended, [][]byte{event("customer.subscription.created", trialSub("trialing", nil), nil), event("customer.subscription.updated", trialSub("paused", nil), obj{"status": "trialing"}), event("customer.subscription.deleted", ended, nil)}},
		"trial cancelled": {trialSub("canceled", obj{"ended_at": t0 + day}), [][]byte{event("customer.subscription.created", trialSub("trialing", nil), nil), event("customer.subscription.deleted", trialSub("canceled", obj{"ended_at": t0 + day}), nil)}},
		"trial ran out":   {trialSub("canceled", obj{"ended_at": trialE}), [][]byte{event("customer.subscription.created", trialSub("trialing", nil), nil), event("customer.subscription.deleted", trialSub("canceled", obj{"ended_at": trialE}), nil)}},
		"cancel at date":  {sub("active", obj{"cancel_at": t0 + 80*day, "canceled_at": t0}), [][]byte{event("customer.subscription.created", sub("active", nil), nil), event("customer.subscription.updated", sub("active", obj{"cancel_at": t0 + 80*day, "canceled_at": t0}), obj{"cancel_at": nil})}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			live := map[string]reward.Fact{}
			for _, e := range c.events {
				for _, f := range classify(t, e).Facts {
					if f.Kind != reward.Pause {
						live[f.Key] = f
					}
				}
			}
			// Recurring revenue around a past change is not on the object any more.
			skip := cmpopts.IgnoreFields(reward.Fact{}, "MRRBefore", "MRRAfter", "Flags.Inferred")
			require.Empty(t, cmp.Diff(live, byKey(seen(t, c.object).Facts), skip))
		})
	}
}

// TestBackfillMarksWhatItInfers: what only the present state shows, or has no moment of
// its own, is inferred, and takes effect when its object was created.
func TestBackfillMarksWhatItInfers(t *testing.T) {
	t.Parallel()
	inferred := func(o obj, kind reward.Kind) bool { t.Helper(); return fact(t, seen(t, o), kind).Flags.Inferred }
	require.True(t, inferred(sub("active", nil), reward.Conversion))
	require.True(t, inferred(sub("active", obj{"items": items(item(price("price_0", 0), 1))}), reward.FreeStart))
	require.True(t, inferred(sub("active", obj{"cancel_at_period_end": true, "canceled_at": t0 + day}), reward.CancelScheduled))
	require.True(t, inferred(customerObj(obj{"user_id": "u"}), reward.CustomerMapping))
	require.True(t, inferred(obj{"id": "cus_1", "object": "customer", "deleted": true}, reward.CustomerDeleted))
	for kind, o := range map[reward.Kind]obj{
		reward.TrialStart: trialSub("active", nil), reward.TrialExpired: trialSub("active", nil), reward.Churn: sub("canceled", obj{"ended_at": t0 + day}),
		reward.RevenueConfirmation: invoiceObj(nil), reward.Refund: refundObj("succeeded", nil), reward.Dispute: disputeObj("needs_response"),
		reward.InvoiceVoided:        invoiceObj(obj{"status": "void", "status_transitions": obj{"voided_at": t0 + day}}),
		reward.InvoiceUncollectible: invoiceObj(obj{"status": "uncollectible", "status_transitions": obj{"marked_uncollectible_at": t0 + day}}),
	} {
		require.False(t, inferred(o, kind), kind)
	}

	// The moment at which a refund failed or a dispute ended is on no object.
	failed := seen(t, refundObj("failed", obj{"balance_transaction": "txn_1"}))
	undone := failed.Facts[1]
	require.True(t, undone.Flags.Undo)
	require.True(t, undone.Flags.Inferred)
	require.Equal(t, failed.Facts[0].EffectiveAt, undone.EffectiveAt)
	require.True(t, inferred(refundObj("failed", obj{"balance_transaction": nil}), reward.RefundFailed))
	require.True(t, inferred(disputeObj("lost"), reward.DisputeLost))
	won := disputeObj("won")
	won["balance_transactions"] = []any{}
	require.True(t, inferred(won, reward.DisputeWon))
}

// TestTrialsSeenLater: what a trial was is told from its dates, not from what came of it.
func TestTrialsSeenLater(t *testing.T) {
	t.Parallel()
	active := seen(t, trialSub("active", obj{"cancel_at": t0 + 200*day, "canceled_at": t0 + day}))
	require.Equal(t, []string{"trial_start", "trial_expired", "conversion", "trial_cancel_scheduled"}, kinds(active))
	begin := fact(t, active, reward.TrialStart)
	require.Equal(t, []string{"0", "0"}, []string{begin.MRRBefore, begin.MRRAfter})
	require.Empty(t, fact(t, active, reward.TrialExpired).MRRAfter, "nobody knows what it brought that day")
	require.Equal(t, []string{"activation_failed"}, kinds(seen(t, trialSub("incomplete_expired", obj{"ended_at": t0 + day}))), "a trial that never began")
	require.Empty(t, kinds(seen(t, trialSub("incomplete", nil))))
	require.NotContains(t, kinds(seen(t, sub("active", obj{"cancel_at_period_end": true}))), "cancel_scheduled", "without a time it would have a key of its own")
	free := trialSub("active", obj{"items": items(item(price("price_0", 0), 1))})
	require.NotContains(t, kinds(seen(t, free)), "free_start", "events say that of subscriptions without a trial only")
}

// TestWhoseChargeItWas: only a charge that came with its invoice tells whether it is ours.
func TestWhoseChargeItWas(t *testing.T) {
	t.Parallel()
	charge := func(invoice any) reward.Classification {
		return seen(t, obj{"id": "ch_1", "object": "charge", "customer": "cus_1", "invoice": invoice, "created": t0})
	}
	require.Equal(t, &reward.Owner{Charge: "ch_1", Customer: "cus_1"}, charge(nil).Owner)
	require.Equal(t, &reward.Owner{Charge: "ch_1", Customer: "cus_1", Invoice: "in_1"}, charge(obj{"id": "in_1", "metadata": obj{}}).Owner)
	require.True(t, charge(obj{"id": "in_1", "metadata": obj{"lb_key": "lb:1"}}).Owner.OwnInvoice)
	unknown := charge("in_1")
	require.Nil(t, unknown.Owner)
	require.Equal(t, []reward.Read{{Object: "charge", ID: "ch_1", Reason: "owner"}}, unknown.NeedsRead)
	require.Empty(t, charge(nil).Facts)
}

// TestObserve keeps the object beside what it proves.
func TestObserve(t *testing.T) {
	t.Parallel()
	raw := must(invoiceObj(nil))
	o, err := reward.Observe(raw, at(t0), reward.Config{})
	require.NoError(t, err)
	require.Equal(t, raw, o.Raw)
	require.Equal(t, at(t0), o.SeenAt)
	require.Equal(t, "in_1", o.Envelope.ObjectID)
	_, err = reward.Observe([]byte("[]"), at(t0), reward.Config{})
	require.Equal(t, "object_not_an_object", fault.CodeOf(err))
}

func TestBackfillLeavesTheRestAlone(t *testing.T) {
	t.Parallel()
	require.Equal(t, "type_without_reward", seen(t, obj{"id": "prod_1", "object": "product"}).Ignored)
	require.Equal(t, "object_incomplete", seen(t, obj{"object": "invoice"}).Anomaly)
	require.Equal(t, "own_invoice", seen(t, invoiceObj(obj{"metadata": obj{"lb_key": "lb:1"}})).Ignored)
	require.Equal(t, []string{"customer_deleted"}, kinds(seen(t, obj{"id": "cus_1", "object": "customer", "deleted": true})))
	_, err := reward.ClassifyObject([]byte("x"), at(t0), reward.Config{})
	require.True(t, fault.Is(err, fault.Invalid))
}
