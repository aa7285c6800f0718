package reward_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/reward"
)

// What a payload says of its owner beside the facts: the user that happened to be there,
// changes of a subscription's own user, and an address only when it is asked for.
func TestIdentity(t *testing.T) {
	t.Parallel()
	user := func(v any) obj { return obj{"user_id": v} }
	own := func(status string, metadata obj) obj { return sub(status, obj{"metadata": metadata}) }
	paid := obj{"id": "in_1", "object": "invoice", "customer": "cus_1", "status": "paid", "currency": "usd", "amount_paid": 2000, "total": 2000,
		"status_transitions": obj{"paid_at": t0 + 9*day, "finalized_at": t0 + 2*day}}
	for name, c := range map[string]struct {
		typ       string
		now, prev obj
		want      string
	}{
		"a change of a customer is a fact": {"customer.updated", customerObj(user("b")), obj{"metadata": user("a")}, ""},
		"a customer's creation is a fact":  {"customer.created", customerObj(user("a")), nil, ""},
		"a customer that changed otherwise": {"customer.updated", customerObj(user("a")), obj{"email": "x@y.example"},
			"cus_1=a@now"},
		"a customer without a user":     {"customer.updated", customerObj(obj{}), obj{"email": nil}, ""},
		"a deleted customer":            {"customer.deleted", customerObj(user("a")), nil, ""},
		"a subscription's user":         {"customer.subscription.created", own("active", user("s")), nil, "sub_1=s@0"},
		"a subscription changed":        {"customer.subscription.updated", own("active", user("s")), obj{"metadata": user("r")}, "sub_1=s@now was r"},
		"a subscription's user removed": {"customer.subscription.updated", own("active", obj{}), obj{"metadata": user("r")}, "sub_1=@now was r"},
		"a subscription without a user": {"customer.subscription.updated", own("active", obj{}), obj{"quantity": 1}, ""},
		"an invoice, 2023": {"invoice.paid", with(paid, obj{"subscription": "sub_1", "subscription_details": obj{"metadata": user("s")}}), nil,
			"sub_1=s@2"},
		"an invoice, basil": {"invoice.paid", with(paid, obj{"parent": obj{"subscription_details": obj{"subscription": "sub_1", "metadata": user("s")}}}), nil,
			"sub_1=s@2"},
		"an invoice without one": {"invoice.paid", with(paid, obj{"subscription_details": obj{"metadata": user("s")}}), nil, ""},
		"longer than possible":   {"customer.updated", customerObj(user(strings.Repeat("u", 501))), obj{"email": nil}, ""},
	} {
		got := classify(t, event(c.typ, c.now, c.prev))
		var out []string
		for _, o := range got.Identity.Holdings {
			at := fmt.Sprint(o.At.Sub(time.Unix(t0, 0)).Hours() / 24)
			if o.At.Equal(got.Envelope.Created) {
				at = "now"
			}
			line := o.Subject + "=" + o.User + "@" + at
			if o.Changed {
				line += " was " + o.Previous
			}
			out = append(out, line)
		}
		require.Equal(t, c.want, strings.Join(out, " "), name)
	}
}

func TestAddressesAreReadOnRequestOnly(t *testing.T) {
	t.Parallel()
	raw := event("customer.updated", with(customerObj(obj{}), obj{"email": "jo@acme.example"}), obj{"name": "x"})
	require.Empty(t, classify(t, raw).Identity.Email)
	got, err := reward.Classify(raw, reward.Config{ReadEmail: true})
	require.NoError(t, err)
	require.Equal(t, "jo@acme.example", got.Identity.Email)
	shown, err := json.Marshal(got)
	require.NoError(t, err)
	require.NotContains(t, string(shown), "jo@", "it is never shown")
	object, err := json.Marshal(with(customerObj(obj{}), obj{"email": "jo@acme.example"}))
	require.NoError(t, err)
	got, err = reward.ClassifyObject(object, time.Unix(t0, 0), reward.Config{ReadEmail: true})
	require.NoError(t, err)
	require.Equal(t, "jo@acme.example", got.Identity.Email, "also of an object that was read")
}
