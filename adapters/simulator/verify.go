package simulator

import (
	"cmp"
	"context"
	"maps"
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
	if err := b.recognise(ctx, clock.Now); err != nil {
		return err
	}
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
	booked, err := b.stripeBooks(ctx, counts)
	if err != nil {
		return err
	}
	for m := period.Of(b.spec.Start(), b.spec.zone()); !period.Of(end, b.spec.zone()).Before(m); m = m.Add(1) {
		if err := compare(m, model[m], booked[m], names); err != nil {
			return err
		}
	}
	return nil
}

// recognise learns the ids of customers that an earlier Business of the same Spec
// has made.
func (b *Business) recognise(ctx context.Context, now time.Time) error {
	missing := map[string]*life{}
	for _, l := range b.lives {
		if l.customer == "" && !l.start.After(now) {
			missing[startKey(l)] = l
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return list(ctx, b.stripe, "/v1/customers?", func(c created) string {
		if l := missing[c.Metadata[requestKey]]; l != nil {
			l.customer = c.ID
		}
		return c.ID
	})
}

func compare(m period.Month, model, booked map[string]int64, names map[string]string) error {
	customers := map[string]bool{}
	for c := range model {
		customers[c] = true
	}
	for c := range booked {
		customers[c] = true
	}
	for _, c := range slices.Sorted(maps.Keys(customers)) {
		if model[c] != booked[c] {
			return fault.New(fault.Conflict, "simulation_differs", "%s: customer %s (%s) brought %d minor units, the model says %d",
				m, c, cmp.Or(names[c], "unknown to the model"), booked[c], model[c])
		}
	}
	return nil
}

// stripeBooks reads the account through Stripe's lists. Refunds and disputes know
// only their charge; the invoice of the charge knows the customer.
func (b *Business) stripeBooks(ctx context.Context, counts func(time.Time) bool) (books, error) {
	type invoice struct {
		ID          string            `json:"id"`
		Customer    string            `json:"customer"`
		Charge      string            `json:"charge"`
		AmountPaid  int64             `json:"amount_paid"`
		Metadata    map[string]string `json:"metadata"`
		Transitions struct {
			PaidAt int64 `json:"paid_at"`
		} `json:"status_transitions"`
	}
	out, payer := books{}, map[string]string{}
	err := list(ctx, b.stripe, "/v1/invoices?status=paid", func(in invoice) string {
		paid := time.Unix(in.Transitions.PaidAt, 0)
		if in.AmountPaid == 0 || own(in.Metadata) {
			return in.ID
		}
		payer[in.Charge] = in.Customer
		if counts(paid) {
			out.book(period.Of(paid, b.spec.zone()), in.Customer, in.AmountPaid)
		}
		return in.ID
	})
	if err != nil {
		return nil, err
	}
	type move struct {
		ID      string `json:"id"`
		Charge  string `json:"charge"`
		Amount  int64  `json:"amount"`
		Created int64  `json:"created"`
		Status  string `json:"status"`
	}
	for _, path := range []string{"/v1/refunds?", "/v1/disputes?"} {
		err := list(ctx, b.stripe, path, func(mv move) string {
			at := time.Unix(mv.Created, 0)
			if counts(at) && payer[mv.Charge] != "" && mv.Status != "failed" && mv.Status != "won" {
				out.book(period.Of(at, b.spec.zone()), payer[mv.Charge], -mv.Amount)
			}
			return mv.ID
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// own says whether an invoice is one of the product under demonstration.
func own(metadata map[string]string) bool {
	for k := range metadata {
		if strings.HasPrefix(k, ownPrefix) {
			return true
		}
	}
	return false
}

// list reads a list of Stripe's to its end. each returns the object's id.
func list[T any](ctx context.Context, c *client, path string, each func(T) (id string)) error {
	for after := ""; ; {
		var page struct {
			Data    []T  `json:"data"`
			HasMore bool `json:"has_more"`
		}
		if err := c.get(ctx, path+"&limit=100"+after, &page); err != nil {
			return err
		}
		for _, o := range page.Data {
			after = "&starting_after=" + each(o)
		}
		if !page.HasMore {
			return nil
		}
	}
}
