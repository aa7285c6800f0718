package postgres_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
)

const livesKey = "sk_live_lives"

// lives is a business on stripefake, whose events and objects are Stripe's.
type lives struct {
	t     testing.TB
	srv   *stripefake.Server
	known map[string]bool
	past  []lived
}

// newLives opens an account in which the given number of customers lives through as
// many months, each with another fate.
func newLives(t testing.TB, customers, months int) *lives {
	t.Helper()
	l := &lives{t: t, known: map[string]bool{}, srv: stripefake.Start(t, stripefake.Options{Seed: 3, Start: opened, RequestLogLimit: 1, Accounts: []stripefake.AccountSpec{{
		ID: "acct_acme", Name: "Acme", Keys: []stripefake.KeySpec{{Mode: stripefake.Live, Secret: livesKey}},
	}}})}
	var prices []string
	for i, amount := range []int{2000, 5000, 9000} {
		product := l.post("/v1/products", "name", fmt.Sprintf("Plan %d", i))
		prices = append(prices, l.post("/v1/prices", "product", product, "currency", "usd", "unit_amount", fmt.Sprint(amount), "recurring[interval]", "month"))
	}
	l.post("/v1/products", "name", "Add-on")
	for i := range customers {
		l.begin(i, prices)
		if i%3 == 0 {
			l.advance(time.Hour)
		}
	}
	for range months {
		l.advance(15*24*time.Hour + 7*time.Hour)
		l.advance(15 * 24 * time.Hour)
	}
	return l
}

// begin starts the life of the i-th customer and bends it.
func (l *lives) begin(i int, prices []string) {
	card := []string{"pm_card_visa", "pm_card_visa", "pm_card_visa", "pm_card_chargeCustomerFail", "pm_card_createDispute"}[i%5]
	cus := l.post("/v1/customers", "email", fmt.Sprintf("person%d@example.test", i), "name", "Some Person", "phone", "+49 30 1234567",
		"address[city]", "Berlin", "address[line1]", "Some Street 1", "address[postal_code]", "10115", "address[country]", "DE",
		"metadata[user_id]", fmt.Sprintf("u-%d", i), "payment_method", card, "invoice_settings[default_payment_method]", card)
	price := prices[i%len(prices)]
	args := []string{"customer", cus, "items[0][price]", price, "payment_behavior", "allow_incomplete"}
	if i%2 == 0 {
		args = append(args, "trial_period_days", fmt.Sprint(5+i%20), "trial_settings[end_behavior][missing_payment_method]", "cancel")
	}
	sub := l.post("/v1/subscriptions", args...)
	switch i % 7 {
	case 1:
		l.post("/v1/subscriptions/"+sub, "metadata[note]", "x")
		l.post("/v1/customers/"+cus, "metadata[user_id]", fmt.Sprintf("u-%d-moved", i))
	case 2:
		item := l.item(sub)
		l.post("/v1/subscriptions/"+sub, "items[0][id]", item, "items[0][price]", prices[(i+1)%len(prices)])
		l.post("/v1/subscriptions/"+sub, "items[0][id]", item, "items[0][quantity]", "3")
	case 3:
		l.advance(2 * time.Hour)
		l.post("/v1/subscriptions/"+sub, "cancel_at_period_end", "true")
	case 4:
		l.call(http.MethodDelete, "/v1/subscriptions/"+sub)
	case 5:
		l.post("/v1/subscriptions/"+sub, "pause_collection[behavior]", "void")
	case 6:
		if i%4 == 2 {
			l.call(http.MethodDelete, "/v1/customers/"+cus)
		}
	}
}

func (l *lives) item(sub string) string {
	var o struct {
		Items struct {
			Data []struct {
				ID string `json:"id"`
			} `json:"data"`
		} `json:"items"`
	}
	require.NoError(l.t, json.Unmarshal(l.call(http.MethodGet, "/v1/subscriptions/"+sub), &o))
	return o.Items.Data[0].ID
}

// post sends a form of key and value pairs and returns the ID of what it made.
func (l *lives) post(path string, pairs ...string) string {
	l.t.Helper()
	var o struct {
		ID string `json:"id"`
	}
	require.NoError(l.t, json.Unmarshal(l.call(http.MethodPost, path, pairs...), &o))
	return o.ID
}

func (l *lives) call(method, path string, pairs ...string) []byte {
	l.t.Helper()
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	req, err := http.NewRequest(method, l.srv.URL+path, strings.NewReader(form.Encode()))
	require.NoError(l.t, err)
	req.Header.Set("Authorization", "Bearer "+livesKey)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := l.srv.Client.Do(req)
	require.NoError(l.t, err)
	defer res.Body.Close() //nolint:errcheck // a test
	body, err := io.ReadAll(res.Body)
	require.NoError(l.t, err)
	require.Equal(l.t, http.StatusOK, res.StatusCode, "%s %s: %s", method, path, body)
	return body
}

func (l *lives) advance(d time.Duration) {
	l.t.Helper()
	require.NoError(l.t, l.srv.Advance(d))
	l.collect()
}

// lived is one event of the business.
type lived struct {
	id, kind string
	at       time.Time
	body     []byte
}

// collect takes the events before Stripe forgets them, which is after 30 days.
func (l *lives) collect() {
	l.t.Helper()
	for _, raw := range l.objects("events") {
		var e struct {
			ID      string `json:"id"`
			Type    string `json:"type"`
			Created int64  `json:"created"`
		}
		require.NoError(l.t, json.Unmarshal(raw, &e))
		if !l.known[e.ID] {
			l.known[e.ID] = true
			l.past = append(l.past, lived{e.ID, e.Type, time.Unix(e.Created, 0).UTC(), raw})
		}
	}
}

// events are all events in the order in which they happened.
func (l *lives) events() []lived {
	l.collect()
	return l.past
}

// objects are the present objects of one kind, in Stripe's JSON.
func (l *lives) objects(kind string) []json.RawMessage {
	l.t.Helper()
	state, err := l.srv.State("acct_acme", "live")
	require.NoError(l.t, err)
	return state[kind]
}
