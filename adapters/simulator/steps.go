package simulator

import (
	"context"
	"net/url"
	"strconv"

	"github.com/liftbill/liftbill/domain/fault"
)

// String names the act for progress and errors.
func (k actKind) String() string {
	return [...]string{
		"subscribe", "map the customer", "replace the card", "change the plan", "cancel at the period's end", "cancel",
		"refund", "dispute", "lose the dispute",
	}[k]
}

// perform carries out one act through the API. Its idempotency key is made of the
// customer, the act and its time.
func (b *Business) perform(ctx context.Context, l *life, a act) error {
	if a.kind != actStart && l.subscription == "" {
		if err := b.recall(ctx, l); err != nil {
			return err
		}
	}
	key := l.id + ":" + strconv.Itoa(int(a.kind)) + ":" + strconv.FormatInt(a.at.Unix(), 10)
	subscription := "/v1/subscriptions/" + l.subscription
	switch a.kind {
	case actStart:
		return b.begin(ctx, l)
	case actMap:
		return b.stripe.change(ctx, key, "/v1/customers/"+l.customer, url.Values{"metadata[user_id]": {l.userID}}, nil)
	case actNewCard:
		return b.newCard(ctx, l, key)
	case actPlan:
		return b.stripe.change(ctx, key, subscription, url.Values{
			"items[0][id]": {l.item}, "items[0][price]": {b.prices[a.plan]}, "proration_behavior": {"none"},
		}, nil)
	case actCancelAtEnd:
		return b.stripe.change(ctx, key, subscription, url.Values{"cancel_at_period_end": {"true"}}, nil)
	case actCancelNow:
		return b.stripe.remove(ctx, subscription)
	case actRefund:
		return b.refund(ctx, l, key, a.amount)
	case actDispute:
		return b.openDispute(ctx, l)
	case actDisputeLost:
		return b.loseDispute(ctx, l)
	}
	return fault.New(fault.Internal, "simulation_act", "there is no act %d", a.kind)
}

// begin makes the customer and the subscription.
func (b *Business) begin(ctx context.Context, l *life) error {
	if len(b.prices) == 0 {
		return fault.New(fault.Conflict, "simulation_order", "there are no prices yet").Fix("Call SetUp first")
	}
	email := l.id + "@example.com"
	form := url.Values{"email": {email}, "payment_method": {l.card}, "invoice_settings[default_payment_method]": {l.card}}
	if l.userID != "" && !l.mappedLate() {
		form.Set("metadata[user_id]", l.userID)
	}
	var customer, sub created
	if err := b.stripe.create(ctx, startKey(l), "/v1/customers", form, "/v1/customers?email="+url.QueryEscape(email), &customer); err != nil {
		return err
	}
	form = url.Values{"customer": {customer.ID}, "items[0][price]": {b.prices[l.plan]}}
	if l.trial {
		form.Set("trial_period_days", strconv.Itoa(trialDays))
	}
	if err := b.stripe.create(ctx, l.id+":subscription", "/v1/subscriptions", form, "/v1/subscriptions?status=all&customer="+customer.ID, &sub); err != nil {
		return err
	}
	if len(sub.Items.Data) == 0 {
		return fault.New(fault.Unavailable, "simulation_stripe", "subscription %s came without items", sub.ID)
	}
	l.customer, l.subscription, l.item = customer.ID, sub.ID, sub.Items.Data[0].ID
	return nil
}

// startKey names the request that makes the customer.
func startKey(l *life) string { return l.id + ":customer" }

// recall finds what an earlier Business of the same Spec has made.
func (b *Business) recall(ctx context.Context, l *life) error {
	var customers, subs struct {
		Data []created `json:"data"`
	}
	if err := b.stripe.get(ctx, "/v1/customers?email="+url.QueryEscape(l.id+"@example.com"), &customers); err != nil {
		return err
	}
	if len(customers.Data) == 1 {
		if err := b.stripe.get(ctx, "/v1/subscriptions?status=all&customer="+customers.Data[0].ID, &subs); err != nil {
			return err
		}
	}
	if len(subs.Data) != 1 || len(subs.Data[0].Items.Data) == 0 {
		return fault.New(fault.Conflict, "simulation_order", "the customer was never created").Fix("Run the months in their order, without a gap")
	}
	l.customer, l.subscription, l.item = customers.Data[0].ID, subs.Data[0].ID, subs.Data[0].Items.Data[0].ID
	return nil
}

func (l *life) mappedLate() bool {
	for _, a := range l.acts {
		if a.kind == actMap {
			return true
		}
	}
	return false
}

func (b *Business) newCard(ctx context.Context, l *life, key string) error {
	var card created
	if err := b.stripe.change(ctx, key+":attach", "/v1/payment_methods/"+cardGood+"/attach", url.Values{"customer": {l.customer}}, &card); err != nil {
		return err
	}
	return b.stripe.change(ctx, key, "/v1/customers/"+l.customer, url.Values{"invoice_settings[default_payment_method]": {card.ID}}, nil)
}

// lastCharge is the customer's newest charge.
func (b *Business) lastCharge(ctx context.Context, l *life) (string, error) {
	var page struct {
		Data []created `json:"data"`
	}
	if err := b.stripe.get(ctx, "/v1/charges?limit=1&customer="+l.customer, &page); err != nil {
		return "", err
	}
	if len(page.Data) == 0 {
		return "", fault.New(fault.Conflict, "simulation_order", "customer %s was never charged", l.customer)
	}
	return page.Data[0].ID, nil
}

func (b *Business) refund(ctx context.Context, l *life, key string, amount int64) error {
	charge, err := b.lastCharge(ctx, l)
	if err != nil {
		return err
	}
	form := url.Values{"charge": {charge}, "amount": {strconv.FormatInt(amount, 10)}, "reason": {"requested_by_customer"}}
	return b.stripe.create(ctx, key, "/v1/refunds", form, "/v1/refunds?charge="+charge, new(created))
}

func (b *Business) openDispute(ctx context.Context, l *life) error {
	charge, err := b.lastCharge(ctx, l)
	if err != nil {
		return err
	}
	in := map[string]any{"account": b.stripe.StripeAccount, "mode": b.stripe.Mode, "charge": charge}
	return b.stripe.control(ctx, "/_fake/disputes", in, nil)
}

func (b *Business) loseDispute(ctx context.Context, l *life) error {
	charge, err := b.lastCharge(ctx, l)
	if err != nil {
		return err
	}
	var found struct {
		Data []created `json:"data"`
	}
	if err := b.stripe.get(ctx, "/v1/disputes?charge="+charge, &found); err != nil {
		return err
	}
	for _, d := range found.Data {
		in := map[string]any{"account": b.stripe.StripeAccount, "mode": b.stripe.Mode, "id": d.ID, "outcome": "lost"}
		if err := b.stripe.control(ctx, "/_fake/disputes/close", in, nil); err != nil {
			return err
		}
	}
	return nil
}
