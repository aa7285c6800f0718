package reward_test

import (
	"testing"

	"github.com/liftbill/liftbill/domain/reward"
)

// BenchmarkClassify is the cost that every delivered event pays after the answer.
func BenchmarkClassify(b *testing.B) {
	for name, raw := range map[string][]byte{
		"renewal": event("customer.subscription.updated", subBasil(2000, nil), obj{"items": obj{"data": []obj{basilItem(2000, t0-31*day)}}}),
		"paid":    event("invoice.paid", invoiceObj(nil), nil),
		"ignored": event("product.updated", invoiceObj(nil), nil),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := reward.Classify(raw, reward.Config{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
