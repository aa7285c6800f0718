package postgres_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/ingest"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/decision"
	"github.com/liftbill/liftbill/domain/reward"
)

func day(n int) time.Time { return time.Date(2026, 1, n, 10, 0, 0, 0, time.UTC) }

// revenue lists the joined facts of January as "key suffix unit amount own".
func (w *world) revenue() map[string]string {
	w.t.Helper()
	rows, err := w.db.NewCycles().Revenue(w.ctx, w.open("acme", "2026-01"), now.AddDate(1, 0, 0))
	require.NoError(w.t, err)
	out := map[string]string{}
	for _, r := range rows {
		require.NotContains(w.t, out, r.Key)
		out[r.Key] = id("%s %d %v", r.UnitID, r.AmountMinor, r.OwnInvoice)
	}
	return out
}

func (w *world) decide(unit, user string) {
	w.t.Helper()
	n, err := w.decisionsOf("acme", []decision.Decision{row(unit, user, day(2))})
	require.NoError(w.t, err)
	require.Equal(w.t, 1, n)
}

func row(unit, user string, at time.Time) decision.Decision {
	return decision.Decision{ID: "d-" + unit, UnitID: unit, UserID: user, SnapshotID: "s-a", At: at, Arm: decision.Policy, ArmProbability: 0.8,
		Action: "a", BaselineAction: "a", EligibleActions: []string{"a", "b"}, Propensity: []float64{0.75, 0.25}, Features: map[string]float64{"tenure": 1.0 / 3}}
}

// A mapping that comes late joins the revenue before it; a remapped customer keeps
// its earlier revenue with the earlier user, even when only the change was ever told.
func TestRevenueFollowsTheMappingOfItsTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.decide("unit-a", "user-a")
	w.decide("unit-b", "user-b")
	paid := func(n int, customer string) {
		w.deliver(id("evt_%s_%d", customer, n), "invoice.paid", day(n), w.invoice(id("in_%s_%d", customer, n), customer, int64(100*n), day(n)), nil)
	}
	for _, customer := range []string{"late", "moved", "told", "closed", "nobody"} {
		paid(5, customer)
		paid(15, customer)
	}
	w.deliver("evt_late", "customer.updated", day(20), w.customer("late", "user-a", day(1)), obj{"metadata": obj{"user_id": nil}})
	w.deliver("evt_m1", "customer.created", day(1), w.customer("moved", "user-a", day(1)), nil)
	w.deliver("evt_m2", "customer.updated", day(10), w.customer("moved", "user-b", day(1)), obj{"metadata": obj{"user_id": "user-a"}})
	// The later of two changes comes first, and no creation ever does.
	w.deliver("evt_t2", "customer.updated", day(12), w.customer("told", "user-b", day(1)), obj{"metadata": obj{"user_id": "user-x"}})
	w.drain()
	w.deliver("evt_t1", "customer.updated", day(10), w.customer("told", "user-x", day(1)), obj{"metadata": obj{"user_id": "user-a"}})
	w.deliver("evt_c1", "customer.created", day(1), w.customer("closed", "user-a", day(1)), nil)
	w.deliver("evt_c2", "customer.updated", day(10), w.customer("closed", "", day(1)), obj{"metadata": obj{"user_id": "user-a"}})
	w.drain()
	got := w.revenue()
	want := map[string][2]string{
		"late": {"unit-a 500 false", "unit-a 1500 false"}, "moved": {"unit-a 500 false", "unit-b 1500 false"},
		"told": {"unit-a 500 false", "unit-b 1500 false"}, "closed": {"unit-a 500 false", " 1500 false"}, "nobody": {" 500 false", " 1500 false"},
	}
	require.Len(t, got, 10)
	for customer, units := range want {
		for i, n := range []int{5, 15} {
			key := one[string](w, "SELECT fact_key FROM reward_events WHERE invoice_id = $1", id("in_%s_%d", customer, n))
			require.Equal(t, units[i], got[key], "%s on day %d", customer, n)
		}
	}
	w.deliver("evt_u", "invoice.paid", day(6), w.invoice("in_u", "cus_u", 700, day(6)), nil)
	w.deliver("evt_u0", "customer.created", day(1), w.customer("cus_u", "user-without-decisions", day(1)), nil)
	w.drain()
	key := one[string](w, "SELECT fact_key FROM reward_events WHERE invoice_id = 'in_u'")
	require.Equal(t, "user:user-without-decisions 700 false", w.revenue()[key], "a unit that no table has")
}

// A refund finds its customer by the charge; what concerns our own invoices is marked.
func TestRefundsAreJoinedByTheirCharge(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.decide("unit-a", "user-a")
	w.deliver("evt_c", "customer.created", day(1), w.customer("cus_1", "user-a", day(1)), nil)
	w.deliver("evt_i", "invoice.paid", day(5), w.invoice("in_1", "cus_1", 2000, day(5)), nil)
	for _, charge := range []string{"ch_in_1", "ch_own"} {
		w.deliver("evt_"+charge, "charge.refunded", day(8), obj{"id": charge, "object": "charge", "amount": 2000, "amount_refunded": 500, "currency": "usd"},
			obj{"amount_refunded": 0})
	}
	w.drain()
	refund := func(id, charge string) []byte {
		return []byte(`{"id":"` + id + `","object":"refund","amount":500,"charge":"` + charge + `","currency":"usd","status":"succeeded","created":` + "1767862800" + `}`)
	}
	reads, err := w.db.Reads().PendingReads(w.ctx, ingest.ReadFilter{}, 10)
	require.NoError(t, err)
	require.Len(t, reads, 2)
	for _, r := range reads {
		src := &charges{owner: reward.Owner{Charge: r.ObjectID, Customer: "cus_1", Invoice: "in_1"}, refunds: [][]byte{refund("re_"+r.ObjectID, r.ObjectID)}}
		if r.ObjectID == "ch_own" {
			src.owner.Invoice, src.owner.OwnInvoice = "in_ours", true
		}
		c := w.classifier(src)
		c.Reads = only{w.db.Reads(), r}
		_, err := c.ReadPending(w.ctx, "")
		require.NoError(t, err)
	}
	got := map[string]bool{}
	for _, v := range w.revenue() {
		got[v] = true
	}
	require.Equal(t, map[string]bool{"unit-a 2000 false": true, "unit-a -500 false": true, "unit-a -500 true": true}, got)
}

// only hands out one read.
type only struct {
	ingest.ReadQueue
	read ingest.PendingRead
}

func (o only) PendingReads(_ ctxType, f ingest.ReadFilter, _ int) ([]ingest.PendingRead, error) {
	if f.After == o.read {
		return nil, nil
	}
	return []ingest.PendingRead{o.read}, nil
}

func (w *world) decisionsOf(accountID string, rows []decision.Decision) (int, error) {
	a, err := w.db.Account(w.ctx, accountID)
	require.NoError(w.t, err)
	require.NotEqual(w.t, account.Account{}, a)
	return w.appendDecisions(a, rows)
}

// TestARefundGoesBackFromTheFirstPayment: where an invoice has several payments, every statement
// takes the same one, in whichever order they lie in the table.
func TestARefundGoesBackFromTheFirstPayment(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deliver("evt_1", "customer.created", day(1), w.customer("cus_1", "user-a", day(1)), nil)
	w.deliver("evt_2", "customer.updated", day(10), w.customer("cus_1", "user-b", day(1)), obj{"metadata": obj{"user_id": "user-a"}})
	w.drain()
	book := func(key, kind, invoice string, amount int64, at time.Time) {
		require.NoError(t, w.exec(`INSERT INTO reward_events (connection_id, environment, fact_key, kind, is_reward, object_id, customer_id, invoice_id, amount_minor, currency, effective_at, event_id, recorded_at)
			VALUES ('acme', 'live', $1, $2, true, $1, 'cus_1', $3, $4, 'usd', $5, 'evt', $5)`, key, kind, invoice, amount, at))
	}
	for i, order := range [][]int{{5, 15}, {15, 5}} {
		invoice := id("in_%d", i)
		for _, n := range order {
			book(id("paid:%s:%d", invoice, n), "revenue_confirmation", invoice, 1000, day(n))
		}
		book("refund:"+invoice, "refund", invoice, -300, day(20))
	}
	// Without the indexes that happen to put them in order, it is the statement that does.
	require.NoError(t, w.exec("DROP INDEX reward_events_customer; ALTER TABLE reward_events DROP CONSTRAINT reward_events_pkey"))
	got := w.revenue()
	for _, invoice := range []string{"in_0", "in_1"} {
		require.Equal(t, "user:user-a -300 false", got["refund:"+invoice])
		require.Equal(t, "user:user-b 1000 false", got["paid:"+invoice+":15"])
	}
}
