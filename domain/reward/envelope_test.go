package reward_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/reward"
)

func TestParseEnvelope(t *testing.T) {
	t.Parallel()
	t.Run("keeps the payload byte for byte", func(t *testing.T) {
		t.Parallel()
		raw := `{"id":"evt_1","type":"invoice.paid","object":"event","created":1704067200,"livemode":true,"account":"acct_1",
			"api_version":"2023-10-16","request":{"id":"req_1","idempotency_key":"k"},
			"data":{"object":{"id" : "in_1","object":"invoice","customer":{"id":"cus_1"},"amount":1.50},"previous_attributes":{ "a":null }}}`
		e, err := reward.ParseEnvelope([]byte(raw))
		require.NoError(t, err)
		require.Equal(t, `{"id" : "in_1","object":"invoice","customer":{"id":"cus_1"},"amount":1.50}`, string(e.Data))
		require.Equal(t, `{ "a":null }`, string(e.Previous))
		require.Equal(t, []string{"evt_1", "in_1", "invoice", "cus_1", "acct_1", "req_1", "k"}, []string{e.ID, e.ObjectID, e.ObjectType, e.Customer, e.Account, e.RequestID, e.IdempotencyKey})
		require.True(t, e.Livemode)
		require.Equal(t, at(t0), e.Created)
	})
	t.Run("request of any shape", func(t *testing.T) {
		t.Parallel()
		for _, request := range []string{`"req_1"`, `{"id":"req_1"}`} {
			e, err := reward.ParseEnvelope([]byte(`{"id":"evt_1","type":"x","request":` + request + `}`))
			require.NoError(t, err)
			require.Equal(t, "req_1", e.RequestID)
		}
		for _, request := range []string{`null`, `7`, `[]`, `{"id":null}`, `true`} {
			_, err := reward.ParseEnvelope([]byte(`{"id":"evt_1","type":"x","request":` + request + `}`))
			require.NoError(t, err)
		}
	})
	t.Run("thin events are understood and ignored", func(t *testing.T) {
		t.Parallel()
		c := classify(t, []byte(`{"id":"evt_1","object":"v2.core.event","type":"v1.billing.meter.no_meter_found","created":"2026-01-02T03:04:05.678Z","related_object":{"id":"mtr_1","type":"billing.meter"}}`))
		require.Equal(t, "thin_event", c.Ignored)
		require.True(t, c.Envelope.Thin)
		require.Equal(t, 2026, c.Envelope.Created.Year())
		require.Equal(t, "mtr_1", c.Envelope.ObjectID)
	})
	t.Run("NUL never reaches an id", func(t *testing.T) {
		t.Parallel()
		e, err := reward.ParseEnvelope([]byte(`{"id":"evt\u0000_1","type":"x"}`))
		require.NoError(t, err)
		require.Equal(t, "evt_1", e.ID)
	})
	for raw, code := range map[string]string{
		"": "event_not_json", "{": "event_not_json", "hello": "event_not_json", `{"id":"a","type":"b"}x`: "event_not_json",
		`{"id":"a","type":"b"}{}`: "event_not_json", "[]": "event_not_an_object", "null": "event_not_an_object", `"x"`: "event_not_an_object",
		"{}": "event_malformed", `{"id":"evt_1"}`: "event_malformed", `{"type":"x"}`: "event_malformed",
		strings.Repeat("[", 20000): "event_not_json",
	} {
		_, err := reward.Classify([]byte(raw), reward.Config{})
		require.Equal(t, code, fault.CodeOf(err), "%.40s", raw)
		require.True(t, fault.Is(err, fault.Invalid))
	}
}

func TestBrokenPayloadsAreKeptForAReading(t *testing.T) {
	t.Parallel()
	require.Equal(t, "object_missing", classify(t, event("invoice.paid", nil, nil)).Anomaly)
	require.Equal(t, "object_incomplete", classify(t, event("invoice.paid", obj{"object": "invoice"}, nil)).Anomaly)
	require.Equal(t, "type_without_reward", classify(t, event("product.updated", obj{"id": "prod_1"}, nil)).Ignored)
	odd := classify(t, event("invoice.paid", invoiceObj(obj{"currency": "zzz"}), nil))
	require.Equal(t, "currency_unknown", odd.Anomaly)
	require.Empty(t, odd.Facts)
	require.Equal(t, []reward.Read{{Object: "invoice", ID: "in_1", Reason: "currency_unknown"}}, odd.NeedsRead)
	for _, amount := range []any{nil, "x", 1.5, -3} {
		got := classify(t, event("refund.created", refundObj("succeeded", obj{"amount": amount}), nil))
		require.Equal(t, "amount_missing", got.Anomaly)
		require.Empty(t, got.Facts)
	}
	timeless := classify(t, []byte(`{"id":"evt_1","type":"customer.deleted","data":{"object":{"id":"cus_1","object":"customer"}}}`))
	require.Equal(t, "time_missing", timeless.Anomaly)
	require.Empty(t, timeless.Facts)
	foreign := classify(t, []byte(`{"id":"cus_1","object":"customer","type":"customer.created"}`))
	require.Equal(t, "not_an_event", foreign.Ignored)
}

func TestKinds(t *testing.T) {
	t.Parallel()
	require.True(t, reward.RevenueConfirmation.IsReward())
	require.False(t, reward.CancelScheduled.IsReward())
	require.False(t, reward.Kind("made_up").IsReward())
	require.Equal(t, "trial_will_end", reward.TrialWillEnd.String())
}
