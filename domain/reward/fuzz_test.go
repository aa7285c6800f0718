package reward_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

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
		agreesWithDecoder(t, raw, c.Envelope)
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

// agreesWithDecoder compares the scanned envelope with a full decoding.
func agreesWithDecoder(t *testing.T, raw []byte, e reward.Envelope) {
	t.Helper()
	var all, part obj
	require.NoError(t, unmarshal(raw, &all))
	if id, ok := all["id"].(string); ok {
		require.Equal(t, strings.ReplaceAll(id, "\x00", ""), e.ID)
	}
	data, _ := all["data"].(obj)
	object, isObject := data["object"].(obj)
	require.Equal(t, isObject && !e.Thin, e.Data != nil)
	if e.Data != nil {
		require.NoError(t, unmarshal(e.Data, &part))
		require.Empty(t, cmp.Diff(object, part))
	}
}

func TestScanAgreesWithDecoder(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{
		`{"id":"e","type":"t","data":{"object":{"a":"}\"{\\","b":[{},"]"],"id":"x"}}}`,
		" \n{ \"id\" : \"e\\u0041\" ,\t\"type\":\"t\", \"data\" : { \"x\":1 , \"object\" : { } } } ",
		`{"id":"e","type":"t","data":{"object":1,"object":{"id":"last"}}}`,
		`{"id":"e","type":"t","data":{"object":{"id":"first"}},"data":[]}`,
		`{"\u0069d":"e","type":"t","data":{"object":null}}`,
		`{"id":"e","type":"t","created":-1e3,"livemode":true,"data":{}}`,
	} {
		e, err := reward.ParseEnvelope([]byte(raw))
		require.NoError(t, err, raw)
		agreesWithDecoder(t, []byte(raw), e)
	}
}
