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

func TestBackfillMarksWhatItInfers(t *testing.T) {
	t.Parallel()
	require.True(t, fact(t, seen(t, sub("active", nil)), "conversion").Flags.Inferred)
	require.False(t, fact(t, seen(t, invoiceObj(nil)), "revenue_confirmation").Flags.Inferred)
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
