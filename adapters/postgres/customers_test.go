package postgres_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/customers"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/projection"
)

const aDay = 24 * time.Hour

// noon is a moment on a whole second, as Stripe's times are.
var noon = time.Date(2026, 2, 5, 12, 0, 0, 0, time.UTC)

func (w *world) customers() *customers.Service {
	return &customers.Service{Reader: w.db.NewCustomerReader(), Clock: clock.Fixed(noon.Add(365 * aDay))}
}

// price is a monthly price of a product.
func monthly(id string, amount int) obj {
	return obj{"id": id, "object": "price", "product": "prod_" + id, "unit_amount": amount, "currency": "usd", "recurring": obj{"interval": "month", "interval_count": 1}}
}

// subscribe is a subscription of a customer that began some days before noon.
func subscribe(customer, status string, daysAgo int, fields obj) obj {
	began := noon.Add(-time.Duration(daysAgo) * aDay).Unix()
	out := obj{"id": "sub_" + customer, "object": "subscription", "customer": "cus_" + customer, "status": status, "currency": "usd", "created": began, "start_date": began,
		"items": obj{"data": []obj{{"id": "si_" + customer, "quantity": 1, "price": monthly("basic", 2000)}}}}
	for k, v := range fields {
		out[k] = v
	}
	return out
}

// tell delivers an event of a time relative to noon.
func (w *world) tell(kind string, at time.Duration, object, previous obj) {
	w.t.Helper()
	n := one[int](w, "SELECT count(*) FROM event_processing")
	w.deliver(id("evt_%d", n), kind, noon.Add(at), object, previous)
}

const (
	subCreated = "customer.subscription.created"
	subUpdated = "customer.subscription.updated"
	subDeleted = "customer.subscription.deleted"
)

// segments lists who is where, in the order of the IDs.
func (w *world) segments(asOf time.Time) map[customers.Segment]string {
	w.t.Helper()
	out := map[customers.Segment]string{}
	counts, err := w.customers().Counts(w.ctx, "acme", asOf)
	require.NoError(w.t, err)
	for _, c := range counts.Segments {
		page, err := w.customers().Customers(w.ctx, "acme", customers.Filter{Segment: c.Segment, AsOf: asOf})
		require.NoError(w.t, err)
		var names []string
		for _, item := range page.Items {
			names = append(names, strings.TrimPrefix(item.ID, "cus_"))
		}
		require.Len(w.t, names, c.Customers, "the count and the list of %s agree", c.Segment)
		if len(names) > 0 {
			out[c.Segment] = strings.Join(names, " ")
		}
	}
	return out
}

// TestSegments: each by its rule, at its edges, now and at earlier moments.
func TestSegments(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	trial := func(end time.Duration) obj {
		return obj{"trial_start": noon.Add(-10 * aDay).Unix(), "trial_end": noon.Add(end).Unix()}
	}
	w.tell(subCreated, -10*aDay, subscribe("t_edge", "trialing", 10, trial(7*aDay)), nil)
	w.tell(subCreated, -10*aDay, subscribe("t_soon", "trialing", 10, trial(7*aDay-time.Second)), nil)
	w.tell(subCreated, -10*aDay, subscribe("t_last", "trialing", 10, trial(0)), nil)
	// It has become paying: its trial's end is history.
	w.tell(subCreated, -10*aDay, subscribe("t_paid", "trialing", 10, trial(-aDay)), nil)
	w.tell(subUpdated, -aDay, subscribe("t_paid", "active", 10, trial(-aDay)), obj{"status": "trialing"})
	// Past due for two days, then saved.
	w.tell(subCreated, -40*aDay, subscribe("f_saved", "active", 40, nil), nil)
	w.tell(subUpdated, -4*aDay, subscribe("f_saved", "past_due", 40, nil), obj{"status": "active"})
	w.tell(subUpdated, -2*aDay, subscribe("f_saved", "active", 40, nil), obj{"status": "past_due"})
	// One invoice was tried and is open, one was paid at the first attempt, one at the second, one is ours.
	bill := func(customer, id, status string, attempts int, moves obj) obj {
		return obj{"id": id, "object": "invoice", "customer": "cus_" + customer, "status": status, "attempt_count": attempts, "total": 100, "currency": "usd",
			"created": noon.Add(-3 * aDay).Unix(), "status_transitions": moves, "metadata": obj{}}
	}
	final := obj{"finalized_at": noon.Add(-3 * aDay).Unix()}
	w.tell("invoice.payment_failed", -3*aDay, bill("f_open", "in_1", "open", 1, final), nil)
	w.tell("invoice.paid", -3*aDay, bill("f_fine", "in_2", "paid", 1, obj{"finalized_at": noon.Add(-3 * aDay).Unix(), "paid_at": noon.Add(-2 * aDay).Unix()}), nil)
	w.tell("invoice.paid", -2*aDay, bill("f_late", "in_4", "paid", 2, obj{"finalized_at": noon.Add(-3 * aDay).Unix(), "paid_at": noon.Add(-2 * aDay).Unix()}), nil)
	own := bill("f_ours", "in_3", "open", 1, final)
	own["metadata"] = obj{"lb_key": "lb:1"}
	w.tell("invoice.payment_failed", -3*aDay, own, nil)
	// A payer that left; a trial that left; one that came back.
	gone := func(customer string, ago int, f obj) obj {
		end := noon.Add(-time.Duration(ago) * aDay).Unix()
		out := subscribe(customer, "canceled", 90, f)
		out["ended_at"] = end
		return out
	}
	w.tell(subCreated, -90*aDay, subscribe("c_left", "active", 90, nil), nil)
	w.tell(subDeleted, -20*aDay, gone("c_left", 20, nil), nil)
	w.tell(subCreated, -90*aDay, subscribe("c_trial", "trialing", 90, obj{"trial_start": noon.Add(-90 * aDay).Unix(), "trial_end": noon.Add(-80 * aDay).Unix()}), nil)
	w.tell(subDeleted, -85*aDay, gone("c_trial", 85, obj{"trial_start": noon.Add(-90 * aDay).Unix(), "trial_end": noon.Add(-80 * aDay).Unix()}), nil)
	w.tell(subCreated, -90*aDay, subscribe("c_back", "active", 90, nil), nil)
	w.tell(subDeleted, -60*aDay, gone("c_back", 60, nil), nil)
	w.tell(subCreated, -5*aDay, subscribe("c_back", "active", 5, obj{"id": "sub_again"}), nil)
	// Down by price, just within and just beyond 30 days.
	cheap := obj{"items": obj{"data": []obj{{"id": "si_1", "quantity": 1, "price": monthly("mini", 500)}}}}
	was := obj{"items": obj{"data": []obj{{"id": "si_1", "quantity": 1, "price": monthly("basic", 2000)}}}}
	w.tell(subUpdated, -30*aDay+time.Second, subscribe("d_in", "active", 90, cheap), was)
	w.tell(subUpdated, -30*aDay, subscribe("d_out", "active", 90, cheap), was)
	w.drain()

	require.Equal(t, map[customers.Segment]string{
		customers.TrialExpiring: "t_soon t_last", customers.FailedPayment: "f_open", customers.Churned: "c_left", customers.Downgraded: "d_in",
	}, w.segments(noon))
	require.Equal(t, map[customers.Segment]string{
		customers.TrialExpiring: "t_paid t_last", customers.FailedPayment: "f_saved f_open f_late", customers.Churned: "c_left", customers.Downgraded: "d_out d_in",
	}, w.segments(noon.Add(-3*aDay)), "three days before")
	require.Equal(t, map[customers.Segment]string{customers.Churned: "c_back"}, w.segments(noon.Add(-50*aDay)))
	require.Empty(t, w.segments(noon.Add(-200*aDay)))

	counts, err := w.customers().Counts(w.ctx, "acme", noon)
	require.NoError(t, err)
	require.Equal(t, one[int](w, "SELECT count(*) FROM stripe_customers"), counts.Customers)
	require.Equal(t, []customers.PlanCount{{PriceID: "basic", ProductID: "prod_basic", Customers: 6}, {PriceID: "mini", ProductID: "prod_mini", Customers: 2}}, counts.Plans)
	// The statuses may be late; what comes later changes the past as well.
	w.tell(subUpdated, -4*aDay, subscribe("t_soon", "past_due", 10, trial(7*aDay-time.Second)), obj{"status": "trialing"})
	w.drain()
	require.Equal(t, "t_last", w.segments(noon)[customers.TrialExpiring])
}

// TestCustomerList: pages without gaps, and every filter.
func TestCustomerList(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 7 {
		c := w.customer(id("cus_%d", i), id("u-%d", i%3), noon.Add(-time.Duration(i)*aDay))
		c["currency"], c["address"] = []string{"usd", "eur"}[i%2], obj{"country": []string{"DE", "US"}[i%2]}
		if i == 5 {
			delete(c, "metadata")
		}
		w.tell("customer.created", -time.Duration(i)*aDay, c, nil)
	}
	w.tell("customer.deleted", 0, w.customer("cus_6", "u-0", noon.Add(-6*aDay)), nil)
	w.tell(subCreated, -aDay, subscribe("named", "active", 1, nil), nil)
	w.tell(subCreated, -aDay, subscribe("0", "past_due", 1, obj{"items": obj{"data": []obj{{"id": "si", "quantity": 2, "price": monthly("pro", 5000)}}}}), nil)
	w.drain()
	list := func(f customers.Filter) string {
		t.Helper()
		var out []string
		for pages := 0; ; pages++ {
			require.Less(t, pages, 9)
			f.Limit = 3
			page, err := w.customers().Customers(w.ctx, "acme", f)
			require.NoError(t, err)
			for _, c := range page.Items {
				out = append(out, strings.TrimPrefix(c.ID, "cus_"))
			}
			if f.Cursor = page.NextCursor; f.Cursor == "" {
				return strings.Join(out, " ")
			}
		}
	}
	require.Equal(t, "0 1 2 3 4 5 6 named", list(customers.Filter{}), "newest first; one that was never shown itself is last")
	for _, c := range []struct {
		want string
		f    customers.Filter
	}{
		{"1 3 5", customers.Filter{Currency: "EUR"}}, {"0 2 4", customers.Filter{Country: "de"}}, {"1 3 5", customers.Filter{Currency: "eur", Country: "US"}},
		{"5 named", customers.Filter{Mapped: "no"}}, {"0 1 2 3 4 6", customers.Filter{Mapped: "yes"}},
		{"0 3 6", customers.Filter{Search: "u-0"}}, {"2", customers.Filter{Search: "cus_2"}}, {"named", customers.Filter{Search: "sub_named"}}, {"", customers.Filter{Search: "cus_"}},
		{"0", customers.Filter{Status: "past_due"}}, {"0", customers.Filter{Plan: "prod_pro"}}, {"0", customers.Filter{Plan: "pro"}}, {"named", customers.Filter{Plan: "basic"}},
		{"", customers.Filter{Plan: "pro", AsOf: noon.Add(-2 * aDay)}},
	} {
		require.Equal(t, c.want, list(c.f), "%+v", c.f)
	}
	all, err := w.customers().Customers(w.ctx, "acme", customers.Filter{})
	require.NoError(t, err)
	require.NotNil(t, all.Items[6].DeletedAt)
	require.False(t, all.Items[7].Seen)
	require.Nil(t, all.Items[7].CreatedAt)
	require.Equal(t, []string{"pro"}, all.Items[0].PriceIDs)
	require.Equal(t, "past_due", all.Items[0].Status)
	_, err = w.customers().Customers(w.ctx, "acme", customers.Filter{Cursor: "yesterday~x"})
	require.Equal(t, "cursor_malformed", fault.CodeOf(err))
	_, err = w.customers().Customers(w.ctx, "nobody", customers.Filter{})
	require.True(t, fault.Is(err, fault.NotFound))
	trial, err := w.customers().Customers(w.ctx, "trial", customers.Filter{})
	require.NoError(t, err)
	require.Empty(t, trial.Items, "another account's customers are not shown")
}

// TestConversionsAreSettledByMoney: of the subscriptions of one customer, one paid and was
// left, one never paid, one came after both and waits for its money.
func TestConversionsAreSettledByMoney(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	pays := func(sub string, days int) {
		in := w.invoice("in_"+sub, "cus_a", 2000, noon.Add(-time.Duration(days)*aDay))
		in["subscription"] = sub
		w.tell("invoice.paid", -time.Duration(days)*aDay, in, nil)
	}
	ends := func(sub string, began, days int) {
		at := noon.Add(-time.Duration(days) * aDay).Unix()
		w.tell(subDeleted, -time.Duration(days)*aDay, subscribe("a", "canceled", began, obj{"id": sub, "ended_at": at, "canceled_at": at}), nil)
	}
	for sub, began := range map[string]int{"sub_left": 90, "sub_never": 45, "sub_back": 10} {
		w.tell(subCreated, -time.Duration(began)*aDay, subscribe("a", "active", began, obj{"id": sub}), nil)
	}
	pays("sub_left", 89)
	ends("sub_left", 90, 50)
	ends("sub_never", 45, 30)
	w.drain()
	states := func(asOf time.Time) map[string]string {
		d, err := w.customers().Customer(w.ctx, "acme", "cus_a", asOf)
		require.NoError(t, err)
		out := map[string]string{}
		for _, s := range d.Subscriptions {
			if c := s.Conversion; c != nil {
				out[s.ID] = fmt.Sprintf("%s %v %d", c.State, c.Resubscribed, c.GapDays)
			}
		}
		return out
	}
	require.Equal(t, map[string]string{"sub_left": "confirmed false 0", "sub_never": "failed true 5", "sub_back": "unconfirmed true 40"}, states(noon))
	pays("sub_back", 9)
	w.drain()
	require.Equal(t, "confirmed true 40", states(noon)["sub_back"])
	require.Equal(t, "unconfirmed true 40", states(noon.Add(-9*aDay - time.Hour))["sub_back"], "before the money came")
	require.Equal(t, map[string]string{"sub_left": "confirmed false 0"}, states(noon.Add(-60*aDay)))
}

// TestCustomerDetail: what one customer has, is worth and has paid, per currency.
func TestCustomerDetail(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.customer("cus_a", "u-a", noon.Add(-100*aDay))
	c["currency"], c["balance"], c["default_source"], c["cash_balance"] = "usd", -500, "card_1", obj{"available": obj{"usd": 1000}}
	w.tell("customer.created", -100*aDay, c, nil)
	w.tell("product.created", -100*aDay, obj{"id": "prod_basic", "object": "product", "name": "Basic", "active": true, "created": 1}, nil)
	yearly := obj{"id": "yearly", "product": obj{"id": "prod_y", "name": "Yearly"}, "unit_amount": 100000, "currency": "eur", "recurring": obj{"interval": "year", "interval_count": 1}}
	w.tell(subCreated, -90*aDay, subscribe("a", "active", 90, obj{"discount": obj{"id": "di_1", "coupon": obj{"id": "co", "percent_off": 25, "duration": "forever"}}}), nil)
	w.tell(subCreated, -80*aDay, subscribe("a", "active", 80, obj{"id": "sub_y", "currency": "eur", "items": obj{"data": []obj{{"id": "si", "quantity": 1, "price": yearly}}}}), nil)
	w.tell(subCreated, -70*aDay, subscribe("a", "active", 70, obj{"id": "sub_tiers", "items": obj{"data": []obj{{"id": "si", "quantity": 1, "price": obj{"id": "tiers", "nickname": "By use", "billing_scheme": "tiered", "currency": "usd", "recurring": obj{"interval": "month"}}}}}}), nil)
	w.tell(subCreated, -60*aDay, subscribe("a", "trialing", 60, obj{"id": "sub_t", "trial_start": noon.Add(-60 * aDay).Unix(), "trial_end": noon.Add(-46 * aDay).Unix()}), nil)
	ended := subscribe("a", "canceled", 60, obj{"id": "sub_t", "trial_start": noon.Add(-60 * aDay).Unix(), "trial_end": noon.Add(-46 * aDay).Unix(), "ended_at": noon.Add(-50 * aDay).Unix()})
	w.tell(subDeleted, -50*aDay, ended, nil)
	for i := range 12 {
		in := w.invoice(id("in_%02d", i), "cus_a", 2000, noon.Add(-time.Duration(80-i)*aDay))
		in["created"], in["number"] = noon.Add(-time.Duration(80-i)*aDay).Unix(), id("A-%d", i)
		w.tell("invoice.paid", -time.Duration(80-i)*aDay, in, nil)
	}
	w.tell("charge.succeeded", -70*aDay, obj{"id": "ch_in_10", "object": "charge", "customer": "cus_a", "status": "succeeded", "amount": 2000, "amount_refunded": 0, "currency": "usd",
		"created": noon.Add(-70 * aDay).Unix(), "description": "Subscription update"}, nil)
	w.tell("charge.dispute.created", -60*aDay, obj{"id": "dp_1", "object": "dispute", "charge": "ch_in_10", "status": "needs_response", "amount": 2000, "currency": "usd", "reason": "fraudulent",
		"created": noon.Add(-60 * aDay).Unix()}, nil)
	w.drain()
	require.NoError(t, w.exec("INSERT INTO charge_owners VALUES ('acme', 'ch_in_10', 'cus_a', 'in_10', false)"))

	d, err := w.customers().Customer(w.ctx, "acme", "cus_a", noon)
	require.NoError(t, err)
	require.Equal(t, "u-a", d.UserID)
	require.EqualValues(t, -500, *d.BalanceMinor)
	require.Equal(t, map[string]int64{"usd": 1000}, d.CashBalance)
	require.Equal(t, "card", d.PaymentMethod)
	require.Equal(t, []string{"eur 8333.333333333333 8333.333333333333 100000 unknown 0", "usd 2000 1500 24000 unknown 1"}, worths(d.Worth))
	require.Equal(t, []customers.Revenue{{Currency: "usd", ConfirmedMinor: 24000, ReturnedMinor: -2000, Facts: 13}}, d.Revenue)
	var lines []string
	for _, s := range d.Subscriptions {
		line := s.ID + " " + s.Status + " " + strings.Join(s.ProductNames, "+") + " mrr " + s.MRR
		for _, i := range s.Intervals {
			line += fmt.Sprintf(" %s@%d", i.Status, int(noon.Sub(time.Unix(i.From, 0))/aDay))
		}
		lines = append(lines, line)
	}
	require.Equal(t, []string{
		"sub_t canceled Basic mrr 0 trialing@60 canceled@50", "sub_tiers active By use mrr  active@70",
		"sub_y active Yearly mrr 8333.333333333333 active@80", "sub_a active Basic mrr 2000 active@90",
	}, lines)
	then, err := w.customers().Customer(w.ctx, "acme", "cus_a", noon.Add(-65*aDay))
	require.NoError(t, err)
	require.Equal(t, " canceled", then.Subscriptions[0].StatusAt+" "+then.Subscriptions[0].Status, "it had not begun")
	require.Equal(t, []customers.Revenue{{Currency: "usd", ConfirmedMinor: 24000, Facts: 12}}, then.Revenue, "nothing was disputed yet")
	then, err = w.customers().Customer(w.ctx, "acme", "cus_a", noon.Add(-55*aDay))
	require.NoError(t, err)
	require.Equal(t, "trialing", then.Subscriptions[0].StatusAt)

	require.Len(t, d.Invoices, 10)
	require.Equal(t, "in_11", d.Invoices[0].ID)
	require.Equal(t, "in_10", d.Charges[0].InvoiceID, "found by the invoice that names the charge")
	require.Equal(t, "dp_1", d.Disputes[0].ID)
	page, err := w.customers().Invoices(w.ctx, "acme", "cus_a", customers.ListFilter{Limit: 8})
	require.NoError(t, err)
	rest, err := w.customers().Invoices(w.ctx, "acme", "cus_a", customers.ListFilter{Limit: 8, Cursor: page.NextCursor})
	require.NoError(t, err)
	require.Equal(t, "in_03 A-3 ", rest.Items[0].ID+" "+rest.Items[0].Number+" "+rest.NextCursor)
	require.Len(t, rest.Items, 4)
	_, err = w.customers().Charges(w.ctx, "acme", "cus_x", customers.ListFilter{})
	require.Equal(t, "customer_not_found", fault.CodeOf(err))
	_, err = w.customers().Customer(w.ctx, "acme", "cus_x", noon)
	require.Equal(t, "customer_not_found", fault.CodeOf(err))
	_, err = w.customers().Customer(w.ctx, "trial", "cus_a", noon)
	require.Equal(t, "customer_not_found", fault.CodeOf(err), "of another account")
}

func worths(all []customers.Worth) []string {
	var out []string
	for _, w := range all {
		out = append(out, fmt.Sprintf("%s %s %s %s unknown %d", w.Currency, w.MRR, w.NetMRR, w.ARR(), w.Unknown))
	}
	return out
}

// TestTimelineInSQLAndInGo: the status at any moment is the same for the filters, which
// ask PostgreSQL, and for the customer itself, which asks the domain.
func TestTimelineInSQLAndInGo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l := newLives(t, 14, 2)
	w.receive(l.events())
	w.drain()
	rows, err := w.sql.Query(w.ctx, `SELECT id, timeline::text, array(SELECT coalesce(CASE WHEN since <= at THEN stands ELSE stripe_status_at(timeline, at) END, '') FROM generate_series($1::bigint, $2, 25200) AS at ORDER BY at),
		array(SELECT stripe_paying_until(timeline, at) FROM generate_series($1::bigint, $2, 25200) AS at ORDER BY at) FROM stripe_subscriptions`,
		opened.Add(-aDay).Unix(), opened.Add(70*aDay).Unix())
	require.NoError(t, err)
	compared := 0
	for rows.Next() {
		var sub, timeline string
		var statuses []string
		var paying []bool
		require.NoError(t, rows.Scan(&sub, &timeline, &statuses, &paying))
		var entries []projection.Entry
		require.NoError(t, json.Unmarshal([]byte(timeline), &entries))
		intervals, paid := projection.Intervals(entries), false
		for i, status := range statuses {
			at := opened.Add(-aDay).Unix() + int64(i)*25200
			got, _ := projection.StatusAt(intervals, at)
			require.Equal(t, status, got.Status, "%s at %d: %s", sub, at, timeline)
			paid = paid || got.Status == "active" || got.Status == "past_due"
			if paid {
				require.True(t, paying[i])
			}
			compared++
		}
	}
	require.NoError(t, rows.Err())
	require.Greater(t, compared, 2000)
}

// TestACustomerThatOnlyFactsName: its page shows what is known of it, from wherever a reward event
// or a mapping links to it; a typo is still not found.
func TestACustomerThatOnlyFactsName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deliver("evt_1", "invoice.paid", noon.Add(-aDay), w.invoice("in_1", "cus_told", 1200, noon.Add(-aDay)), nil)
	w.deliver("evt_2", "customer.created", noon.Add(-aDay), w.customer("cus_told", "u-told", noon.Add(-aDay)), nil)
	w.drain()
	for _, projections := range []string{"stripe_customers", "stripe_invoices"} {
		require.NoError(t, w.exec("DELETE FROM "+projections))
	}
	require.NoError(t, w.exec(`INSERT INTO charge_owners (connection_id, charge_id, customer_id, invoice_id, own_invoice) VALUES ('acme', 'ch_1', 'cus_charged', 'in_2', false)`))
	_, ok := w.link("cus_said", "u-said", noon.Add(-aDay))
	require.True(t, ok)
	for id, user := range map[string]string{"cus_told": "u-told", "cus_charged": "", "cus_said": "u-said"} {
		got, err := w.customers().Customer(w.ctx, "acme", id, time.Time{})
		require.NoError(t, err, id)
		require.Equal(t, customers.Summary{ID: id, UserID: user}, got.Summary)
		invoices, err := w.customers().Invoices(w.ctx, "acme", id, customers.ListFilter{})
		require.NoError(t, err)
		require.Empty(t, invoices.Items)
	}
	got, err := w.customers().Customer(w.ctx, "acme", "cus_told", time.Time{})
	require.NoError(t, err)
	require.Equal(t, []customers.Revenue{{Currency: "usd", ConfirmedMinor: 1200, Facts: 1}}, got.Revenue)
	for _, account := range []string{"acme", "trial"} {
		_, err := w.customers().Customer(w.ctx, account, map[string]string{"acme": "cus_typo", "trial": "cus_told"}[account], time.Time{})
		require.Equal(t, "customer_not_found", fault.CodeOf(err))
	}
}
