package projection_test

import (
	"testing"

	"github.com/liftbill/liftbill/domain/projection"
	"github.com/liftbill/liftbill/domain/reward"
)

// BenchmarkObserve is what an event costs beyond its classification: the observation,
// and its join into a batch that holds the object.
func BenchmarkObserve(b *testing.B) {
	wrap := func(kind string, object, previous obj) reward.Classification {
		data := obj{"object": object}
		if previous != nil {
			data["previous_attributes"] = previous
		}
		c, err := reward.Classify(marshal(b, obj{"id": "evt_1", "object": "event", "type": kind, "created": t0 + 1, "data": data}), reward.Config{})
		if err != nil {
			b.Fatal(err)
		}
		return c
	}
	for name, c := range map[string]reward.Classification{
		"renewal": wrap("customer.subscription.updated", sub("active", nil), obj{"current_period_start": t0 - 31*day}),
		"paid":    wrap("invoice.paid", invoice("paid", nil), nil),
		"charge":  wrap("charge.succeeded", charge(nil), nil),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			s := projection.NewSet()
			for b.Loop() {
				s.Add(projection.Observe(c))
			}
		})
	}
}
