package simulator

import (
	"context"
	"net/url"
	"strconv"
	"time"
)

// SetUp creates products and prices, and orders the webhook disturbances where a
// control address is known. It may run again.
func (b *Business) SetUp(ctx context.Context) error {
	b.prices = make([]string, len(b.spec.Prices))
	for i, amount := range b.spec.Prices {
		name := "Plan " + strconv.Itoa(i+1)
		var product, price created
		if err := b.stripe.ensure(ctx, "setup:product:"+strconv.Itoa(i), "/v1/products", url.Values{"name": {name}}, "/v1/products?limit=100", &product); err != nil {
			return err
		}
		form := url.Values{
			"product": {product.ID}, "currency": {string(b.spec.Currency)}, "unit_amount": {strconv.FormatInt(amount, 10)},
			"recurring[interval]": {"month"}, "nickname": {name},
		}
		key := "setup:price:" + string(b.spec.Currency) + ":" + strconv.FormatInt(amount, 10)
		if err := b.stripe.ensure(ctx, key, "/v1/prices", form, "/v1/prices?limit=100&product="+product.ID, &price); err != nil {
			return err
		}
		b.prices[i] = price.ID
	}
	return b.disturb(ctx)
}

// disturb tells the stand-in to deliver webhooks less than perfectly.
func (b *Business) disturb(ctx context.Context) error {
	w := b.spec.Webhooks
	var known struct {
		Rules []struct {
			Kind    string `json:"kind"`
			Account string `json:"account"`
			Mode    string `json:"mode"`
		} `json:"rules"`
	}
	if w == (Disturbance{}) {
		return nil
	}
	if err := b.stripe.control(ctx, "/_fake/faults", nil, &known); err != nil {
		return err
	}
	ordered := map[string]bool{}
	for _, r := range known.Rules {
		ordered[r.Kind] = ordered[r.Kind] || (r.Account == b.stripe.StripeAccount && r.Mode == b.stripe.Mode)
	}
	for _, f := range []struct {
		kind        string
		probability float64
		delay       time.Duration
	}{
		{"webhook_duplicate", w.Duplicate, 0}, {"webhook_reorder", w.Reorder, 0}, {"webhook_late", w.Late, w.LateBy}, {"webhook_lost", w.Lost, 0},
	} {
		if f.probability <= 0 || ordered[f.kind] {
			continue
		}
		rule := map[string]any{
			"kind": f.kind, "account": b.stripe.StripeAccount, "mode": b.stripe.Mode, "count": -1,
			"probability": f.probability, "delay": f.delay.String(),
		}
		if err := b.stripe.control(ctx, "/_fake/faults", rule, nil); err != nil {
			return err
		}
	}
	return nil
}
