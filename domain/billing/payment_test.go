package billing_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/liftbill/liftbill/domain/billing"
)

// TestStatusOrder: whatever order statuses are told in, the same one is left of each that
// a life can have.
func TestStatusOrder(t *testing.T) {
	t.Parallel()
	lives := [][]string{{"open", "paid"}, {"open", "uncollectible", "paid"}, {"open", "uncollectible", "void"}, {"draft", "open", "void"}}
	rapid.Check(t, func(rt *rapid.T) {
		life := rapid.SampledFrom(lives).Draw(rt, "life")
		told := rapid.Permutation(life).Draw(rt, "told")
		got := ""
		for _, s := range told {
			got = billing.LaterStatus(got, s)
		}
		require.Equal(rt, life[len(life)-1], got)
	})
}
