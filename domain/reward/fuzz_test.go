package reward_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/fault"
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
	f.Add([]byte(`{"id":"e","type":"customer.subscription.updated","data":{"object":{"id":"s","status":"active","items":[{"id":"i","plan":{"id":"a","amount":1}},null,{}],
		"discounts":["d",{"coupon":{"amount_off":1,"applies_to":{"products":[1,null,{"id":"p"}]}}}]},"previous_attributes":{"items":{"data":[null,{"plan":1},{"id":"i","price":null}]},"metadata":null}}}`))
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

// texts are JSON and nearly JSON, for the scanner.
var texts = []string{
	"", " ", "{}", "[]", "null", "true", "fals", "nul", "0", "-0", "01", "-", "1.", ".5", "1.5e+3", "1E-2", "1e", "+1", "1e999999999",
	`"a"`, `"\u00e9\ud83c\udf88"`, `"\ud83c"`, `"\x"`, `"\u12"`, `"` + "\x01" + `"`, `"` + "\xff\xc3" + `"`, `"a`, `"\`, `{"a":1}`, `{"a":1,}`, `{,}`, `{"a"}`,
	`{"a":}`, `{a:1}`, `{"a":1 "b":2}`, `{"a":1,"a":{"b":[1,{"c":null}]}}`, `[1,2,]`, `[1 2]`, `[,]`, `[[]]`, `[]]`, `{}{}`, "\ufeff{}", " \t\r\n{ \n} ",
	`{"\u0061":"b","":"","\"":"\\"}`, `{"é":"ü","` + "\xff" + `":1}`, strings.Repeat("[", 60) + strings.Repeat("]", 60), strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40),
}

// FuzzScan holds the scanner to encoding/json: it calls the same texts JSON and decodes
// them to the same values.
func FuzzScan(f *testing.F) {
	for _, s := range texts {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		require.Equal(t, json.Valid(raw), reward.Valid(raw))
		if !reward.Valid(raw) || len(raw) > 4096 { // to the last level is far for what nests deep
			return
		}
		var want any
		require.NoError(t, unmarshal(raw, &want))
		require.Equal(t, want, reward.Decode(raw))
	})
}

// FuzzEnvelope looks for bodies whose envelope says something else than the decoded body.
func FuzzEnvelope(f *testing.F) {
	for _, s := range texts {
		f.Add([]byte(s))
		f.Add([]byte(`{"id":"evt_1","object":"event","type":"t","data":{"object":` + s + `,"previous_attributes":` + s + `},"request":` + s + `,"livemode":` + s + `}`))
	}
	f.Add([]byte(`{"id":"e","type":"t","data":{"object":{"id":"first"}},"data":{"object":{"id":"last","livemode":false,"customer":{"id":"cus"}}},"created":"2026-01-01T00:00:00Z"}`))
	f.Add([]byte(`{"id":7,"type":"t","object":"v2.core.event","related_object":{"id":"x","type":"y"},"account":{"id":"acct_1"}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := reward.ParseEnvelope(raw)
		if err != nil {
			require.True(t, fault.Is(err, fault.Invalid))
			require.Equal(t, !json.Valid(raw), fault.CodeOf(err) == "event_not_json")
			return
		}
		require.True(t, json.Valid(raw))
		require.NotEmpty(t, e.ID)
		require.NotEmpty(t, e.Type)
		agreesWithDecoder(t, raw, e)
		var all obj
		require.NoError(t, unmarshal(raw, &all))
		live, _ := all["livemode"].(bool)
		require.Equal(t, live, e.Livemode)
		if kind, ok := all["type"].(string); ok {
			require.Equal(t, strings.ReplaceAll(kind, "\x00", ""), e.Type)
		}
		data, _ := all["data"].(obj)
		previous, isObject := data["previous_attributes"].(obj)
		require.Equal(t, isObject && !e.Thin, e.Previous != nil)
		if e.Previous != nil {
			var part obj
			require.NoError(t, unmarshal(e.Previous, &part))
			require.Equal(t, previous, part)
		}
		for _, text := range []string{e.ID, e.Type, e.ObjectID, e.APIVersion, e.Account} {
			require.True(t, utf8.ValidString(text) && !strings.Contains(text, "\x00"), "PostgreSQL cannot store %q", text)
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
		require.Equal(t, object, part)
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
