package projection_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/projection"
)

// of is the state of the one subscription and whether its last version is known.
func (c choice) of(t *testing.T, all ...projection.Observation) {
	t.Helper()
	permute(all, func(order []projection.Observation) {
		o := subscription(t, order...)
		now, ok := o.Now()
		require.True(t, ok)
		require.Equal(t, c.undecided, o.Undecided)
		if c.status != "" {
			require.Equal(t, c.status, now.Status)
		}
		if c.cancels != nil {
			require.Equal(t, *c.cancels, now.CancelAtTermEnd)
		}
	})
}

type choice struct {
	status    string
	cancels   *bool
	undecided bool
}

func is[T any](v T) *T { return &v }

// TestPreviousAttributesOrderASecond: two or three changes of one second are put in
// order by what each of them replaced, whichever is delivered first.
func TestPreviousAttributesOrderASecond(t *testing.T) {
	t.Parallel()
	quantity := func(n int) obj {
		return obj{"items": obj{"data": []obj{{"id": "si_1", "price": price("a", 2000), "quantity": n}}}}
	}
	more := event(t, "customer.subscription.updated", t0+5, sub("active", quantity(2)), quantity(1))
	ends := event(t, "customer.subscription.updated", t0+5, sub("active", with(quantity(2), obj{"cancel_at_period_end": true})), obj{"cancel_at_period_end": false})
	late := event(t, "customer.subscription.updated", t0+5, sub("past_due", with(quantity(2), obj{"cancel_at_period_end": true})), obj{"status": "active"})
	choice{status: "active", cancels: is(true)}.of(t, more, ends)
	choice{status: "past_due", cancels: is(true)}.of(t, more, ends, late)
	// The middle one is missing: nobody can tell, and everybody says so.
	choice{undecided: true}.of(t, more, late)
	// A change and its undoing lead in a circle.
	undone := event(t, "customer.subscription.updated", t0+5, sub("active", quantity(1)), quantity(2))
	choice{undecided: true}.of(t, more, undone)
	// What changed nothing that is kept says nothing, and leaves no doubt.
	note := event(t, "customer.subscription.updated", t0+5, sub("active", with(quantity(2), obj{"metadata": obj{"a": "b"}})), obj{"metadata": obj{"a": nil}})
	choice{status: "active"}.of(t, more, note)
}

// TestAReadSettlesAnUndecidedSecond: the answer counts by its time; within the very
// second it cannot settle anything, and before it, it is history.
func TestAReadSettlesAnUndecidedSecond(t *testing.T) {
	t.Parallel()
	a := event(t, "customer.subscription.updated", t0+5, sub("active", nil), obj{"pause_collection": obj{"behavior": "void"}})
	b := event(t, "customer.subscription.updated", t0+5, sub("past_due", nil), obj{"latest_invoice": "in_0"})
	choice{undecided: true}.of(t, a, b)
	now := func(at time.Time, status string) projection.Observation { return read(t, at, sub(status, nil)) }
	choice{status: "past_due"}.of(t, a, b, now(sec(t0+6), "past_due"))
	choice{status: "active"}.of(t, a, b, now(sec(t0+6), "active"))
	choice{undecided: true}.of(t, a, b, now(sec(t0+4), "unpaid"))
	choice{undecided: true, status: "active"}.of(t, a, b, now(sec(t0+5).Add(time.Millisecond), "active"))
	choice{undecided: true, status: "past_due"}.of(t, a, b, now(sec(t0+5).Add(time.Millisecond), "active"), now(sec(t0+5).Add(2*time.Millisecond), "past_due"))
	choice{status: "unpaid"}.of(t, a, b, now(sec(t0+6), "past_due"), now(sec(t0+9), "unpaid"))
	// A later event needs no read.
	choice{status: "unpaid"}.of(t, a, b, event(t, "customer.subscription.updated", t0+7, sub("unpaid", nil), obj{"status": "past_due"}))
}

// TestEventAndReadOfOneSecondAgree: a read that shows what the event showed is no doubt.
func TestEventAndReadOfOneSecondAgree(t *testing.T) {
	t.Parallel()
	e := event(t, "customer.subscription.updated", t0+5, sub("active", nil), obj{"status": "trialing"})
	choice{status: "active"}.of(t, e, read(t, sec(t0+5).Add(time.Millisecond), sub("active", nil)))
	choice{status: "active"}.of(t, e, read(t, sec(t0+5).Add(time.Millisecond), sub("trialing", nil))) // what it replaced
	choice{status: "active", undecided: true}.of(t, e, read(t, sec(t0+5).Add(time.Millisecond), sub("active", obj{"cancel_at_period_end": true})))
}

// TestLivesDoNotGoBack: the ranks of every kind of object, in both orders, with the
// older state claiming the later time.
func TestLivesDoNotGoBack(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ kind, end, before string }{
		"paid after open":              {"invoice", "paid", "open"},
		"void after open":              {"invoice", "void", "open"},
		"paid after uncollectible":     {"invoice", "paid", "uncollectible"},
		"uncollectible after open":     {"invoice", "uncollectible", "open"},
		"open after draft":             {"invoice", "open", "draft"},
		"succeeded after pending":      {"charge", "succeeded", "pending"},
		"failed after pending":         {"charge", "failed", "pending"},
		"a dispute after an inquiry":   {"dispute", "needs_response", "warning_needs_response"},
		"lost after a response":        {"dispute", "lost", "under_review"},
		"a late win":                   {"dispute", "won", "lost"},
		"canceled after active":        {"subscription", "canceled", "active"},
		"expired after incomplete":     {"subscription", "incomplete_expired", "incomplete"},
		"an escalated, closed inquiry": {"dispute", "needs_response", "warning_closed"},
	} {
		make := map[string]func(string) (string, obj){
			"invoice":      func(s string) (string, obj) { return "invoice.updated", invoice(s, nil) },
			"charge":       func(s string) (string, obj) { return "charge.updated", charge(obj{"status": s}) },
			"dispute":      func(s string) (string, obj) { return "charge.dispute.updated", dispute(s) },
			"subscription": func(s string) (string, obj) { return "customer.subscription.updated", sub(s, nil) },
		}[c.kind]
		kind, end := make(c.end)
		_, before := make(c.before)
		a, b := event(t, kind, t0+10, end, nil), event(t, kind, t0+20, before, nil)
		for _, s := range []*projection.Set{fold(a, b), fold(b, a)} {
			require.Equal(t, c.end, status(s), name)
		}
	}
}

// status of the only object of a set.
func status(s *projection.Set) string {
	for _, o := range s.Invoices {
		return o.Versions[0].View.Status
	}
	for _, o := range s.Charges {
		return o.Versions[0].View.Status
	}
	for _, o := range s.Disputes {
		return o.Versions[0].View.Status
	}
	for _, o := range s.Subscriptions {
		return o.Versions[0].View.Status
	}
	return ""
}

// TestDeletedObjectsAreTombstones: they keep what was known of them, and stay deleted
// since the first time that this was known.
func TestDeletedObjectsAreTombstones(t *testing.T) {
	t.Parallel()
	all := []projection.Observation{
		event(t, "customer.created", t0, customer(nil), nil),
		event(t, "customer.deleted", t0+100, customer(obj{"currency": "eur"}), nil),
		event(t, "customer.updated", t0+99, customer(obj{"currency": "chf"}), obj{"currency": "usd"}),
		read(t, sec(t0+200), obj{"id": "cus_1", "object": "customer", "deleted": true}),
		projection.Gone("customer", "cus_1", sec(t0+300)),
	}
	permute(all, func(order []projection.Observation) {
		o := fold(order...).Customers["cus_1"]
		require.EqualValues(t, t0+100, o.DeletedAt)
		now, ok := o.Now()
		require.True(t, ok)
		require.Equal(t, "eur", now.Currency)
	})
	o := fold(all[3]).Customers["cus_1"]
	_, ok := o.Now()
	require.False(t, ok, "only the tombstone is known")
	require.EqualValues(t, t0+200, o.DeletedAt)

	s := fold(event(t, "invoice.deleted", t0+5, invoice("draft", nil), nil), event(t, "invoice.created", t0, invoice("draft", nil), nil))
	require.EqualValues(t, t0+5, s.Invoices["in_1"].DeletedAt)
	require.Empty(t, fold(projection.Gone("charge", "ch_1", sec(t0))).Charges, "a charge is never deleted")
	require.NotNil(t, fold(projection.Gone("invoice", "in_1", sec(t0))).Invoices["in_1"])
	require.NotNil(t, fold(projection.Gone("product", "prod_1", sec(t0))).Products["prod_1"])
}

// TestFieldsThatOnlySomePayloadsState stay known when a newer payload is silent.
func TestFieldsThatOnlySomePayloadsState(t *testing.T) {
	t.Parallel()
	basil := invoice("paid", obj{"number": "B"})
	delete(basil, "charge")
	all := []projection.Observation{
		event(t, "invoice.finalized", t0+1, invoice("open", obj{"charge": "ch_0"}), nil),
		event(t, "invoice.payment_failed", t0+2, invoice("open", obj{"charge": "ch_1"}), nil),
		event(t, "invoice.paid", t0+3, basil, nil),
	}
	permute(all, func(order []projection.Observation) {
		o := fold(order...).Invoices["in_1"]
		now, _ := o.Now()
		require.Equal(t, "B", now.Number)
		require.Equal(t, "ch_1", o.Value(projection.KeyCharge))
	})
	with := invoice("paid", obj{"payments": obj{"data": []obj{
		{"status": "canceled", "is_default": true, "payment": obj{"charge": "ch_8"}}, {"status": "paid", "payment": obj{"charge": "ch_9"}}}}})
	delete(with, "charge")
	require.Equal(t, "ch_9", fold(event(t, "invoice.paid", t0, with, nil)).Invoices["in_1"].Value(projection.KeyCharge))

	cash := event(t, "cash_balance.funds_available", t0+9, obj{"object": "cash_balance", "customer": "cus_1", "available": obj{"usd": 500, "eur": 7, "x": 1}}, nil)
	c := fold(event(t, "customer.created", t0, customer(nil), nil), cash).Customers["cus_1"]
	require.JSONEq(t, `{"eur":7,"usd":500}`, c.Value(projection.KeyCashBalance))
	_, ok := fold(cash).Customers["cus_1"].Now()
	require.False(t, ok)
}
