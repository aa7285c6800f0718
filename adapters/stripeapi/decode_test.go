package stripeapi_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/stripeapi"
	"github.com/liftbill/liftbill/domain/fault"
)

func TestInvoiceIsReadFromTheRawJSON(t *testing.T) {
	t.Parallel()
	const head = `{"id":"in_1","object":"invoice","livemode":true,"status":"open","currency":"usd",`
	read := func(body string) (discounted bool, total int64, err error) {
		w := worldOn(t, http.HandlerFunc(func(res http.ResponseWriter, _ *http.Request) { _, _ = res.Write([]byte(body)) }))
		inv, err := stripeapi.UnprovenWriter(w.client, secretKey(t, liveText), plan("cus_1")).Invoice(t.Context(), "in_1")
		return inv.HasDiscounts, inv.TotalMinor, err
	}
	const sums = `"subtotal":9007199254740993,"total":9007199254740993,"amount_due":0`
	for body, want := range map[string]bool{
		head + sums + `}`: false,
		head + sums + `,"discount":null,"discounts":[],"total_discount_amounts":[]}`: false,
		head + sums + `,"total_discount_amounts":[{"amount":0}]}`:                    false,
		head + sums + `,"total_discount_amounts":[{"amount":5}]}`:                    true,
		head + sums + `,"discount":{"id":"di_1"}}`:                                   true,
		head + sums + `,"discounts":["di_1"]}`:                                       true,
		head + sums + `,"customer":{"id":"cus_1"}}`:                                  false,
	} {
		got, total, err := read(body)
		require.NoError(t, err, body)
		require.Equal(t, want, got, body)
		require.Equal(t, int64(9007199254740993), total, "no float on the way")
	}
	for _, bad := range []string{
		head + `"subtotal":1,"amount_due":1}`,
		head + `"subtotal":1.5,"total":1,"amount_due":1}`,
		head + `"subtotal":1,"total":"1","amount_due":1}`,
		head + sums + `,"customer":7}`,
		`{"id":"cus_1","object":"customer","livemode":true}`,
		`{"object":"list","data":[]}`, // what an empty ID would have asked for
	} {
		_, _, err := read(bad)
		requireFault(t, err, fault.Unavailable, "stripe_bad_answer")
	}
}

func TestUnreadableAnswerToAWriteIsIndeterminate(t *testing.T) {
	t.Parallel()
	w := worldOn(t, http.HandlerFunc(func(res http.ResponseWriter, _ *http.Request) {
		_, _ = res.Write([]byte(`{"id":"in_1","object":"invoice","livemode":true}`))
	}))
	out := stripeapi.UnprovenWriter(w.client, secretKey(t, liveText), plan("cus_1"))
	_, err := out.CreateDraft(t.Context(), 0)
	requireFault(t, err, fault.Indeterminate, "stripe_indeterminate")
	_, err = out.AddItem(t.Context(), "in_1", plan("cus_1").Lines[0])
	requireFault(t, err, fault.Indeterminate, "stripe_indeterminate")
	_, err = stripeapi.NewRegistrar(w.client).Register(t.Context(), secretKey(t, liveText), endpoint("issuer", "https://hooks.example.com"))
	require.Error(t, err)
	for _, bad := range [][2]string{{"", "https://hooks.example.com"}, {"issuer", ""}} {
		_, err = stripeapi.NewRegistrar(w.client).Register(t.Context(), secretKey(t, liveText), endpoint(bad[0], bad[1]))
		requireFault(t, err, fault.Invalid, "endpoint_incomplete")
	}
}
