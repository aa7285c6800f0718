package sourcesync_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
)

// dice draws the turns of a life: rapid's, or those of a seed.
type dice interface {
	// Pick returns a number below n.
	Pick(n int, what string) int
}

// company is a Stripe account whose customers do random things, as an outsider sees
// them: through Stripe's API and the world's own events.
type company struct {
	t       require.TestingT
	fake    *stripefake.Server
	account string
	secret  string
	dice    dice

	prices    []string
	customers []string
	subs      []string
	disputes  []string
	seen      map[string]bool
	// events are all that ever happened, in order.
	events []json.RawMessage
}

func found(t require.TestingT, fake *stripefake.Server, account string, d dice) *company {
	made := fake.MustAccount(stripefake.AccountSpec{ID: account, Keys: []stripefake.KeySpec{{Mode: stripefake.Live}}, DunningEnd: []string{"cancel", "unpaid", "past_due"}[d.Pick(3, "dunning")]})
	c := &company{t: t, fake: fake, account: account, secret: made.Keys[0].Secret, dice: d, seen: map[string]bool{}}
	for _, amount := range []int{0, 1000, 2500} {
		c.price(amount, "month")
	}
	c.price(24000, "year")
	return c
}

func (c *company) price(amount int, interval string) {
	p, _ := c.call(http.MethodPost, "/v1/prices", url.Values{"currency": {"usd"}, "unit_amount": {strconv.Itoa(amount)},
		"recurring[interval]": {interval}, "product_data[name]": {"Plan"}})
	c.prices = append(c.prices, p["id"].(string))
}

// call sends a request; what the state of an object does not allow is refused, and
// that is part of a life.
func (c *company) call(method, path string, form url.Values) (map[string]any, bool) {
	target, body := path, form.Encode()
	if method != http.MethodPost {
		target, body = path+"?"+body, ""
	}
	req := httptest.NewRequest(method, target, strings.NewReader(body))
	req.Header.Set("Authorization", "Bearer "+c.secret)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res := httptest.NewRecorder()
	c.fake.ServeHTTP(res, req)
	var out map[string]any
	require.NoError(c.t, json.Unmarshal(res.Body.Bytes(), &out))
	require.Less(c.t, res.Code, 500, res.Body.String())
	return out, res.Code < 300
}

func (c *company) advance(d time.Duration) { require.NoError(c.t, c.fake.Advance(d)) }

func (c *company) now() time.Time { return c.fake.Clock.Now().UTC() }

// turn lets something happen.
func (c *company) turn() {
	acts := []func(){c.join, c.join, c.changePlan, c.cancel, c.refund, c.dispute, c.closeDispute, c.remap, c.creditNote, c.endInvoice, c.pauseCollection,
		func() { c.advance(time.Hour) }, func() { c.advance(26 * time.Hour) }, func() { c.advance(4 * 24 * time.Hour) }, func() { c.advance(8 * 24 * time.Hour) }}
	acts[c.dice.Pick(len(acts), "act")]()
	c.collect()
}

// collect remembers the events that are new; Stripe forgets them.
func (c *company) collect() {
	for {
		page := url.Values{"limit": {"100"}}
		if n := len(c.events); n > 0 {
			page.Set("ending_before", idOf(c.events[n-1]))
		}
		fresh, ok := c.list("events", page)
		if !ok || len(c.events) == 0 {
			fresh = c.state()["events"] // the last one that was seen is forgotten
		}
		for _, raw := range fresh {
			if id := idOf(raw); !c.seen[id] {
				c.seen[id] = true
				c.events = append(c.events, raw)
			}
		}
		if !ok || len(fresh) < 100 {
			return
		}
	}
}

// list is one page, oldest first.
func (c *company) list(kind string, form url.Values) ([]json.RawMessage, bool) {
	req := httptest.NewRequest(http.MethodGet, "/v1/"+kind+"?"+form.Encode(), nil)
	req.Header.Set("Authorization", "Bearer "+c.secret)
	res := httptest.NewRecorder()
	c.fake.ServeHTTP(res, req)
	var page struct {
		Data []json.RawMessage `json:"data"`
	}
	require.NoError(c.t, json.Unmarshal(res.Body.Bytes(), &page))
	slices.Reverse(page.Data)
	return page.Data, res.Code == http.StatusOK
}

func (c *company) state() map[string][]json.RawMessage {
	all, err := c.fake.State(c.account, stripefake.Live)
	require.NoError(c.t, err)
	return all
}

func idOf(raw json.RawMessage) string {
	var o struct {
		ID string `json:"id"`
	}
	if json.Unmarshal(raw, &o) != nil {
		return ""
	}
	return o.ID
}

func (c *company) any(list []string, what string) string {
	if len(list) == 0 {
		return "none_yet"
	}
	return list[c.dice.Pick(len(list), what)]
}

// join makes a customer with a subscription.
func (c *company) join() {
	card := []string{"pm_card_visa", "pm_card_visa", "pm_card_chargeDeclined", "pm_card_refundFail", "pm_card_pendingRefund"}[c.dice.Pick(5, "card")]
	form := url.Values{"payment_method": {card}, "invoice_settings[default_payment_method]": {card}}
	if c.dice.Pick(3, "mapped") > 0 {
		form.Set("metadata[user_id]", fmt.Sprintf("user-%d", len(c.customers)))
	}
	cus, ok := c.call(http.MethodPost, "/v1/customers", form)
	if !ok {
		return
	}
	c.customers = append(c.customers, cus["id"].(string))
	sub := url.Values{"customer": {cus["id"].(string)}, "items[0][price]": {c.any(c.prices, "price")}, "items[0][quantity]": {strconv.Itoa(1 + c.dice.Pick(2, "quantity"))}}
	switch c.dice.Pick(3, "trial") {
	case 0:
		sub.Set("trial_period_days", "7")
	case 1:
		sub.Set("trial_period_days", "3")
		sub.Set("trial_settings[end_behavior][missing_payment_method]", []string{"cancel", "pause", "create_invoice"}[c.dice.Pick(3, "trial end")])
	}
	if s, ok := c.call(http.MethodPost, "/v1/subscriptions", sub); ok {
		c.subs = append(c.subs, s["id"].(string))
	}
}

func (c *company) changePlan() {
	c.change(c.any(c.subs, "subscription"), c.any(c.prices, "price"), []string{"none", "create_prorations"}[c.dice.Pick(2, "proration")])
}

// upgrade changes the plan of a live subscription.
func (c *company) upgrade(sub string, price int) {
	require.True(c.t, c.change(sub, c.prices[price], "none"))
}

func (c *company) change(sub, price, proration string) bool {
	s, ok := c.call(http.MethodGet, "/v1/subscriptions/"+sub, nil)
	if !ok {
		return false
	}
	item := s["items"].(map[string]any)["data"].([]any)[0].(map[string]any)["id"].(string)
	_, ok = c.call(http.MethodPost, "/v1/subscriptions/"+sub, url.Values{"items[0][id]": {item}, "items[0][price]": {price}, "proration_behavior": {proration}})
	return ok
}

func (c *company) cancel() {
	path := "/v1/subscriptions/" + c.any(c.subs, "subscription")
	switch c.dice.Pick(4, "how") {
	case 0:
		c.call(http.MethodDelete, path, nil)
	case 1:
		c.call(http.MethodPost, path, url.Values{"cancel_at_period_end": {"false"}})
	case 2:
		c.call(http.MethodPost, path, url.Values{"cancel_at": {strconv.FormatInt(c.now().Add(5*24*time.Hour).Unix(), 10)}})
	default:
		c.call(http.MethodPost, path, url.Values{"cancel_at_period_end": {"true"}})
	}
}

func (c *company) ids(kind string) []string {
	var out []string
	page, ok := c.list(kind, url.Values{"limit": {"100"}})
	require.True(c.t, ok)
	for _, raw := range page {
		out = append(out, idOf(raw))
	}
	return out
}

func (c *company) refund() {
	form := url.Values{"charge": {c.any(c.ids("charges"), "charge")}}
	if c.dice.Pick(2, "part") == 0 {
		form.Set("amount", "300")
	}
	c.call(http.MethodPost, "/v1/refunds", form)
}

func (c *company) dispute() {
	id, err := c.fake.OpenDispute(stripefake.DisputeSpec{Account: c.account, Mode: stripefake.Live, Charge: c.any(c.ids("charges"), "charge"), Amount: 400,
		Status: []string{"", "warning_needs_response", "lost"}[c.dice.Pick(3, "dispute")]})
	if err == nil {
		c.disputes = append(c.disputes, id)
	}
}

func (c *company) closeDispute() {
	_ = c.fake.CloseDispute(c.account, stripefake.Live, c.any(c.disputes, "dispute"), []string{"won", "lost"}[c.dice.Pick(2, "outcome")]) // it may be over already
}

func (c *company) remap() {
	path := "/v1/customers/" + c.any(c.customers, "customer")
	if c.dice.Pick(6, "delete") == 0 {
		c.call(http.MethodDelete, path, nil)
		return
	}
	c.call(http.MethodPost, path, url.Values{"metadata[user_id]": {[]string{"", "someone", "another"}[c.dice.Pick(3, "user")]}})
}

func (c *company) creditNote() {
	c.call(http.MethodPost, "/v1/credit_notes", url.Values{"invoice": {c.any(c.ids("invoices"), "invoice")}, "amount": {"200"}, "out_of_band_amount": {"200"}})
}

func (c *company) endInvoice() {
	path := "/v1/invoices/" + c.any(c.ids("invoices"), "invoice")
	c.call(http.MethodPost, path+[]string{"/void", "/mark_uncollectible", "/pay"}[c.dice.Pick(3, "end")], nil)
}

func (c *company) pauseCollection() {
	path := "/v1/subscriptions/" + c.any(c.subs, "subscription")
	if c.dice.Pick(2, "resume") == 0 {
		c.call(http.MethodPost, path, url.Values{"pause_collection": {""}})
		return
	}
	c.call(http.MethodPost, path, url.Values{"pause_collection[behavior]": {"void"}})
}
