package webhookload

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
)

// Account is the Stripe account whose events are played.
const Account = "acct_1WebhookLoad"

const (
	playKey  = "sk_live_webhookload"
	lifeDays = 120
)

// played are the event types that are sent: of those that a registered endpoint
// gets, the ones that both peers take as well, so that all do the same work.
var played = map[string]bool{
	"customer.created": true, "customer.updated": true,
	"customer.subscription.created": true, "customer.subscription.updated": true, "customer.subscription.deleted": true,
	"customer.subscription.trial_will_end": true,
	"invoice.paid":                         true, "invoice.payment_succeeded": true, "invoice.payment_failed": true,
	"invoice.finalized": true, "invoice.updated": true,
	"charge.refunded": true, "refund.created": true,
}

// stage is a Stripe stand-in with one account, whose clock the script moves.
type stage struct {
	fake   *stripefake.Server
	seen   map[string]bool
	events [][]byte
	err    error
}

// post calls the stand-in's API and returns the object; after an error it does nothing.
func (s *stage) post(path string, form ...string) map[string]any {
	values := url.Values{}
	for i := 0; i+1 < len(form); i += 2 {
		values.Set(form[i], form[i+1])
	}
	return s.call(http.MethodPost, path, strings.NewReader(values.Encode()))
}

func (s *stage) call(method, path string, body io.Reader) map[string]any {
	if s.err != nil {
		return nil
	}
	req, err := http.NewRequest(method, "http://stripe.invalid"+path, body) //nolint:noctx // it is served in this process
	if err != nil {
		s.err = err
		return nil
	}
	req.Header.Set("Authorization", "Bearer "+playKey)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	var w answer
	s.fake.ServeHTTP(&w, req)
	var out map[string]any
	if err := json.Unmarshal(w.body.Bytes(), &out); err != nil || w.status >= 300 {
		s.err = fmt.Errorf("the Stripe stand-in answered %s %s with %d: %s", method, path, w.status, w.body.Bytes())
	}
	return out
}

// advance lets time pass and keeps the events of that time, which Stripe forgets after
// thirty days.
func (s *stage) advance(days int) {
	for ; days > 0 && s.err == nil; days -= 10 {
		if s.err = s.fake.Advance(time.Duration(min(days, 10)) * 24 * time.Hour); s.err == nil {
			s.err = s.collect()
		}
	}
}

// answer is a response that stays in memory.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header {
	if a.header == nil {
		a.header = http.Header{}
	}
	return a.header
}

func (a *answer) WriteHeader(status int) { a.status = status }

func (a *answer) Write(b []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	return a.body.Write(b)
}

// idOf is the ID of an object that the API answered.
func idOf(o map[string]any) string {
	id, _ := o["id"].(string)
	return id
}

// record lets one customer live through trial, conversion, upgrade, three renewals, a
// refund, a failed payment and the end, and returns the events in order, oldest first,
// written as Stripe writes the bodies of its deliveries.
func record(end time.Time) ([][]byte, error) {
	fake := stripefake.New(stripefake.Options{Start: end.AddDate(0, 0, -lifeDays), HoldWebhooks: true, Seed: 7, Accounts: []stripefake.AccountSpec{{
		ID: Account, Name: "Webhook Load", Keys: []stripefake.KeySpec{{Mode: stripefake.Live, Secret: playKey}},
	}}})
	defer fake.Close()
	s := &stage{fake: fake, seen: map[string]bool{}}
	s.play()
	return s.events, s.err
}

func (s *stage) play() {
	product := s.post("/v1/products", "name", "Team workspace", "description", "Seats of the team workspace, billed monthly")
	price := func(amount int) string {
		return idOf(s.post("/v1/prices", "product", idOf(product), "currency", "usd", "unit_amount", strconv.Itoa(amount),
			"recurring[interval]", "month", "nickname", fmt.Sprintf("Team %d", amount)))
	}
	small, large := price(2900), price(7900)
	customer := idOf(s.post("/v1/customers", "email", "billing@customer.test", "name", "Customer Incorporated", "phone", "+15551234567",
		"description", "Signed up through the website", "address[line1]", "510 Townsend St", "address[city]", "San Francisco",
		"address[country]", "US", "address[postal_code]", "94103", "metadata[plan_hint]", "team", "metadata[source]", "self-serve"))
	s.post("/v1/customers/"+customer, "metadata[user_id]", "user_AAAAAAAAAAAA")
	method := idOf(s.post("/v1/payment_methods/pm_card_visa/attach", "customer", customer))
	s.post("/v1/customers/"+customer, "invoice_settings[default_payment_method]", method)
	sub := s.post("/v1/subscriptions", "customer", customer, "items[0][price]", small, "items[0][quantity]", "3", "trial_period_days", "14",
		"metadata[workspace]", "user_AAAAAAAAAAAA")
	s.advance(25)
	items, _ := sub["items"].(map[string]any)
	data, _ := items["data"].([]any)
	if len(data) == 1 {
		item, _ := data[0].(map[string]any)
		s.post("/v1/subscriptions/"+idOf(sub), "items[0][id]", idOf(item), "items[0][price]", large, "proration_behavior", "none")
	}
	s.advance(65)
	if charges := s.call(http.MethodGet, "/v1/charges?limit=1&customer="+customer, http.NoBody); charges != nil {
		list, _ := charges["data"].([]any)
		if len(list) == 1 {
			newest, _ := list[0].(map[string]any)
			s.post("/v1/refunds", "charge", idOf(newest), "amount", "700")
		}
	}
	bad := idOf(s.post("/v1/payment_methods/pm_card_chargeDeclined/attach", "customer", customer))
	s.post("/v1/customers/"+customer, "invoice_settings[default_payment_method]", bad)
	s.advance(29)
	s.call(http.MethodDelete, "/v1/subscriptions/"+idOf(sub), http.NoBody)
	s.advance(1)
}

// collect keeps the events that are new, in the order in which they happened.
func (s *stage) collect() error {
	state, err := s.fake.State(Account, stripefake.Live)
	if err != nil {
		return err
	}
	for _, raw := range state["events"] {
		var head struct {
			ID   string `json:"id"`
			Type string `json:"type"`
		}
		if err := json.Unmarshal(raw, &head); err != nil {
			return fmt.Errorf("an event of the Stripe stand-in: %w", err)
		}
		if !played[head.Type] || s.seen[head.ID] {
			continue
		}
		s.seen[head.ID] = true
		var body bytes.Buffer
		if err := json.Indent(&body, raw, "", "  "); err != nil { // as Stripe sends it
			return fmt.Errorf("an event of the Stripe stand-in: %w", err)
		}
		s.events = append(s.events, body.Bytes())
	}
	return nil
}
