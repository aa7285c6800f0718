package trueups_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/trueups"
)

// endings are a ledger in which so many contracts have ended.
type endings struct {
	trueups.Ledger
	n int
}

func (e endings) Ended(_ context.Context, _ trueups.EndedFilter, _ time.Time, limit int) (out []trueups.Ended, err error) {
	for i := range min(e.n, limit) {
		out = append(out, trueups.Ended{AccountID: strconv.Itoa(i)})
	}
	return out, nil
}

// TestEndedSaysThatThereAreMore: only the first few are named, and that they are not all.
func TestEndedSaysThatThereAreMore(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]trueups.EndedPage{0: {}, 20: {Items: make([]trueups.Ended, 20)}, 21: {Items: make([]trueups.Ended, 20), More: true}} {
		s := trueups.Service{Ledger: endings{n: n}, Clock: clock.Fixed(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC))}
		page, err := s.Ended(t.Context(), trueups.EndedFilter{})
		require.NoError(t, err)
		require.Len(t, page.Items, len(want.Items))
		require.Equal(t, want.More, page.More)
	}
}
