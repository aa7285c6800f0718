package simulator

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/period"
)

// ownPrefix marks the metadata of the outcome invoices that the product under
// demonstration writes; they are nobody's revenue.
const ownPrefix = "lb_"

// books are the customers' net revenue by month.
type books map[period.Month]map[string]int64

func (b books) book(m period.Month, customer string, amount int64) {
	if b[m] == nil {
		b[m] = map[string]int64{}
	}
	b[m][customer] += amount
}

// Verify compares the model's ledger with what the stand-in booked until now: paid
// invoices less refunds and disputes, customer by customer and month by month. The
// error names the first difference.
func (b *Business) Verify(ctx context.Context) error {
	var clock struct {
		Now time.Time `json:"now"`
	}
	if err := b.stripe.control(ctx, "/_fake/clock", nil, &clock); err != nil {
		return err
	}
	// Beyond the last month the ledger does not follow the business.
	end := b.spec.Months[len(b.spec.Months)-1].In(b.spec.zone()).End
	counts := func(at time.Time) bool { return at.Before(end) && !at.After(clock.Now) }
	model, names := books{}, map[string]string{}
	for _, l := range b.lives {
		name := cmp.Or(l.customer, "of "+l.id+", who was never created")
		names[name] = l.id
		for _, e := range l.ledger {
			if counts(e.at) {
				model.book(period.Of(e.at, b.spec.zone()), name, e.amount)
			}
		}
	}
	real, err := b.stripeBooks(ctx, counts)
	if err != nil {
		return err
	}
	for m := period.Of(b.spec.Start(), b.spec.zone()); !period.Of(end, b.spec.zone()).Before(m); m = m.Add(1) {
		if err := compare(m, model[m], real[m], names); err != nil {
			return err
		}
	}
	return nil
}

func compare(m period.Month, model, real map[string]int64, names map[string]string) error {
	customers := map[string]bool{}
	for c := range model {
		customers[c] = true
	}
	for c := range real {
		customers[c] = true
	}
	for _, c := range slices.Sorted(maps.Keys(customers)) {
		if model[c] != real[c] {
			return fault.New(fault.Conflict, "simulation_differs", "%s: customer %s (%s) brought %d minor units, the model says %d",
				m, c, cmp.Or(names[c], "unknown to the model"), real[c], model[c])
		}
	}
	return nil
}

// stripeBooks reads the stand-in's objects. Refunds and disputes know only their
// charge; the invoice of the charge knows the customer.
func (b *Business) stripeBooks(ctx context.Context, counts func(time.Time) bool) (books, error) {
	var invoices []struct {
		Customer    string            `json:"customer"`
		Charge      string            `json:"charge"`
		AmountPaid  int64             `json:"amount_paid"`
		Status      string            `json:"status"`
		Metadata    map[string]string `json:"metadata"`
		Transitions struct {
			PaidAt int64 `json:"paid_at"`
		} `json:"status_transitions"`
	}
	if err := b.state(ctx, "invoices", &invoices); err != nil {
		return nil, err
	}
	out, payer := books{}, map[string]string{}
	for _, in := range invoices {
		own := slices.ContainsFunc(slices.Collect(maps.Keys(in.Metadata)), func(k string) bool { return strings.HasPrefix(k, ownPrefix) })
		paid := time.Unix(in.Transitions.PaidAt, 0)
		if own || in.Status != "paid" {
			continue
		}
		payer[in.Charge] = in.Customer
		if counts(paid) && in.AmountPaid != 0 {
			out.book(period.Of(paid, b.spec.zone()), in.Customer, in.AmountPaid)
		}
	}
	for _, kind := range []string{"refunds", "disputes"} {
		var moves []struct {
			Charge  string `json:"charge"`
			Amount  int64  `json:"amount"`
			Created int64  `json:"created"`
			Status  string `json:"status"`
		}
		if err := b.state(ctx, kind, &moves); err != nil {
			return nil, err
		}
		for _, mv := range moves {
			at := time.Unix(mv.Created, 0)
			if counts(at) && payer[mv.Charge] != "" && mv.Status != "failed" && mv.Status != "won" {
				out.book(period.Of(at, b.spec.zone()), payer[mv.Charge], -mv.Amount)
			}
		}
	}
	return out, nil
}

// state reads all objects of one kind.
func (b *Business) state(ctx context.Context, kind string, out any) error {
	query := url.Values{"account": {b.stripe.StripeAccount}, "mode": {b.stripe.Mode}, "kind": {kind}}
	var wrapped map[string]json.RawMessage
	if err := b.stripe.control(ctx, "/_fake/state?"+query.Encode(), nil, &wrapped); err != nil {
		return err
	}
	return json.Unmarshal(wrapped[kind], out)
}
