package projection_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/projection"
)

// TestNothingNamesAPerson: of payloads full of personal data nothing personal is left.
func TestNothingNamesAPerson(t *testing.T) {
	t.Parallel()
	const address = `{"city":"Springfield","country":"US","line1":"742 Evergreen Terrace","line2":"Rear","postal_code":"97475","state":"OR"}`
	const person = `"name":"Homer Simpson","email":"homer@example.test","phone":"+1 555 0100 200","address":` + address + `,"shipping":{"name":"Homer Simpson","address":` + address + `}`
	card := `"payment_method_details":{"type":"card","card":{"last4":"4242","fingerprint":"FP123","exp_year":2030,"brand":"visa"}},"billing_details":{` + person + `}`
	all := fold(
		event(t, "customer.updated", t0, js(t, `{"id":"cus_1","object":"customer","created":1704067200,"description":"Homer Simpson","metadata":{"user_id":"u1","nick":"Homer"},
			"sources":{"data":[{"id":"card_1","object":"card","last4":"4242","fingerprint":"FP123","name":"Homer Simpson"}]},"tax_ids":{"data":[{"value":"DE123456789"}]},`+person+`}`), nil),
		event(t, "charge.succeeded", t0, js(t, `{"id":"ch_1","object":"charge","status":"succeeded","currency":"usd","amount":1,"receipt_email":"homer@example.test",
			"description":"Donuts for homer@example.test, call +1 (555) 010-0200","metadata":{"nick":"Homer"},`+card+`}`), nil),
		event(t, "invoice.paid", t0, js(t, `{"id":"in_1","object":"invoice","status":"paid","currency":"usd","customer_name":"Homer Simpson","customer_email":"homer@example.test",
			"customer_phone":"+1 555 0100 200","customer_address":`+address+`,"description":"Dear Homer","footer":"742 Evergreen Terrace","account_name":"Acme"}`), nil),
		event(t, "charge.dispute.created", t0, js(t, `{"id":"dp_1","object":"dispute","status":"needs_response","charge":"ch_1","evidence":{"customer_name":"Homer Simpson","customer_purchase_ip":"203.0.113.9"}}`), nil),
		event(t, "customer.subscription.updated", t0, js(t, `{"id":"sub_1","object":"subscription","status":"active","description":"For Homer","metadata":{"nick":"Homer"},
			"default_payment_method":{"id":"pm_1","type":"card","card":{"last4":"4242"},"billing_details":{`+person+`}},"cancellation_details":{"comment":"Homer is bored"}}`), nil),
	)
	text := strings.ToLower(bytes(t, all))
	for _, secret := range []string{"homer", "simpson", "springfield", "evergreen", "97475", `"or"`, "555", "4242", "fp123", "203.0", "de123", "bored", "nick"} {
		require.NotContains(t, text, secret)
	}
	require.Contains(t, text, `"country":"us"`)
	require.Contains(t, text, "donuts for [e-mail], call [number]")
}

func TestClean(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"Subscription creation":            "Subscription creation",
		"Payment for Invoice ACME-0001":    "Payment for Invoice ACME-0001",
		"Oct 1, 2026 - Nov 1, 2026":        "Oct 1, 2026 - Nov 1, 2026",
		"for a.b+c@mail.example.test":      "for [e-mail]",
		"<jane@example.test>; x@y":         "<[e-mail]>; [e-mail]",
		"card 4242 4242 4242 4242":         "card [number]",
		"+49 (30) 1234-5678":               "[number]",
		"IBAN DE89 3704 0044 0532 0130 00": "IBAN DE[number]",
		"12345678":                         "12345678",
		"order 123456789":                  "order [number]",
		strings.Repeat("ä", 600):           strings.Repeat("ä", 500),
		"":                                 "",
	} {
		require.Equal(t, want, projection.Clean(in))
		require.Equal(t, want, projection.Clean(want), "clean stays clean")
	}
}

// TestCountryIsACodeOrNothing: people type anything into an address.
func TestCountryIsACodeOrNothing(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"DE": "DE", "de": "DE", "Germany": "", "D1": "", "": ""} {
		o := fold(event(t, "customer.created", t0, customer(obj{"address": obj{"country": in}}), nil)).Customers["cus_1"]
		got, _ := o.Now()
		require.Equal(t, want, got.Country, in)
	}
}
