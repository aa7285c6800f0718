package projection_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/projection"
	"github.com/liftbill/liftbill/domain/reward"
)

// FuzzObserve: no payload panics, whatever it holds; a state joined with itself is itself,
// and its timeline has no holes.
func FuzzObserve(f *testing.F) {
	for _, object := range []obj{sub("active", obj{"trial_start": t0, "trial_end": t0 + day}), invoice("open", nil), charge(nil), dispute("won"), customer(nil),
		{"object": "product", "id": "prod_1", "name": "A"}, {"object": "cash_balance", "customer": "cus_1", "available": obj{"usd": 1}}} {
		f.Add(marshal(f, object), []byte(`{"status":"trialing","items":{"data":[]},"metadata":{"a":null}}`), "customer.subscription.updated", int64(t0))
	}
	f.Fuzz(func(t *testing.T, object, previous []byte, kind string, at int64) {
		body := `{"id":"evt_1","object":"event","type":` + string(marshal(t, kind)) + `,"created":` + string(marshal(t, at)) + `,"data":{"object":` + string(object) + `,"previous_attributes":` + string(previous) + `}}`
		var all []projection.Observation
		if c, err := reward.Classify([]byte(body), reward.Config{}); err == nil {
			all = append(all, projection.Observe(c))
		}
		if c, err := reward.ClassifyObject(object, time.Unix(at%(1<<33), 0), reward.Config{}); err == nil {
			all = append(all, projection.Observe(c))
		}
		once := bytes(t, fold(all...))
		require.Equal(t, once, bytes(t, fold(append(all, all...)...)))
		for _, o := range fold(all...).Subscriptions {
			intervals := projection.Intervals(projection.Timeline(o))
			for i := range intervals[min(1, len(intervals)):] {
				require.Equal(t, intervals[i].Until, intervals[i+1].From)
				require.Less(t, intervals[i].From, intervals[i].Until)
			}
		}
		require.NotContains(t, once, "\x00")
	})
}

// TestIdentifiersThatCannotBeStripes are no objects: an index could not hold them, and one
// such payload would keep every other one waiting.
func TestIdentifiersThatCannotBeStripes(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 256)
	for _, o := range []projection.Observation{
		event(t, "customer.subscription.created", t0, sub("active", obj{"id": long}), nil), event(t, "invoice.paid", t0, invoice("paid", obj{"id": long, "charge": "ch_1"}), nil),
		event(t, "charge.succeeded", t0, charge(obj{"id": long}), nil), event(t, "customer.updated", t0, customer(obj{"id": long, "cash_balance": obj{"available": obj{}}}), nil),
		event(t, "cash_balance.funds_available", t0, obj{"object": "cash_balance", "customer": long, "available": obj{"usd": 1}}, nil),
	} {
		require.Equal(t, bytes(t, projection.NewSet()), bytes(t, fold(o)))
	}
	s := fold(event(t, "customer.subscription.created", t0, sub("active", obj{"customer": long}), nil))
	require.Empty(t, s.Referred)
	require.Len(t, s.Subscriptions, 1)
}
