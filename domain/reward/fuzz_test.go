package reward_test

import (
	"testing"

	"github.com/liftbill/liftbill/domain/reward"
)

// FuzzClassify looks for panics and for answers that are not well-formed.
func FuzzClassify(f *testing.F) {
	for _, s := range shapes() {
		now, before := s.cancel()
		f.Add(event("customer.subscription.updated", s.sub(5000, now), with(s.was(2000), before)))
		f.Add(event("customer.subscription.updated", s.sub(2000, nil), s.renewal))
		f.Add(event("invoice.paid", s.invoice(true), nil))
	}
	f.Add(event("customer.subscription.deleted", trialSub("canceled", nil), nil))
	f.Add(event("customer.subscription.paused", trialSub("paused", nil), nil))
	f.Add(event("charge.refunded", obj{"id": "ch_1", "currency": "usd", "amount_refunded": 5}, obj{"amount_refunded": 1}))
	f.Add(event("refund.failed", refundObj("failed", nil), nil))
	f.Add(event("charge.dispute.closed", disputeObj("won"), nil))
	f.Add(event("customer.updated", customerObj(obj{"user_id": "u"}), obj{"metadata": obj{"user_id": nil}}))
	f.Add([]byte(`{"id":"e","type":"invoice.paid","data":{"object":{"id":"in","currency":"usd","status":"paid","amount_paid":1e30,"total":1e-30}}}`))
	f.Add([]byte(`{"id":"e","type":"customer.subscription.updated","data":{"object":{"id":"s","status":"active","items":[1,null,{"quantity":1e999999999}]}}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := reward.Classify(raw, reward.Config{})
		if err != nil {
			return
		}
		wellFormed(t, c)
		if len(c.Envelope.Data) > 0 {
			if _, err := reward.ClassifyObject(c.Envelope.Data, at(t0), reward.Config{}); err != nil {
				t.Fatal(err)
			}
			if _, err := reward.MRROf(c.Envelope.Data); err != nil {
				t.Fatal(err)
			}
		}
	})
}
