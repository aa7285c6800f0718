package figures_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/figures"
)

var now = time.Date(2026, 10, 5, 6, 0, 0, 0, time.UTC)

// ledger keeps what it was asked.
type ledger struct {
	kept      []figures.Kept
	refreshed []string
	few       int64
	since     time.Time
	broken    string
}

func (l *ledger) Kept(context.Context) ([]figures.Kept, error) { return l.kept, nil }

func (l *ledger) Refresh(_ context.Context, connectionID string, few int64, _ time.Time) error {
	if connectionID == l.broken {
		return errors.New("the database is away")
	}
	l.refreshed, l.few = append(l.refreshed, connectionID), few
	return nil
}

func (l *ledger) RefreshPayments(_ context.Context, since time.Time, _ int64, _ time.Time) error {
	l.since = since
	return nil
}

func TestOnlyWhatIsDueIsSummed(t *testing.T) {
	t.Parallel()
	at := func(ago time.Duration) *time.Time { v := now.Add(-ago); return &v }
	l := &ledger{broken: "broken", kept: []figures.Kept{
		{ConnectionID: "never"}, {ConnectionID: "broken"},
		{ConnectionID: "large", AsOf: at(30 * time.Minute), Facts: 1_500_000}, {ConnectionID: "old", AsOf: at(35 * time.Minute), Facts: 1_500_000},
		{ConnectionID: "changed", AsOf: at(5 * time.Minute), Facts: 1_500_000, ChangedAt: at(4 * time.Minute)},
		{ConnectionID: "summed since", AsOf: at(5 * time.Minute), Facts: 10, ChangedAt: at(6 * time.Minute)},
		{ConnectionID: "small", AsOf: at(11 * time.Minute), Facts: 10},
	}}
	done, err := (&figures.Service{Ledger: l, Clock: clock.Fixed(now)}).Refresh(t.Context())
	require.ErrorContains(t, err, "away", "one failure is told")
	require.Equal(t, []string{"never", "old", "changed", "small"}, l.refreshed, "and stops no other")
	require.Equal(t, 4, done)
	require.EqualValues(t, figures.Few, l.few)
	require.Equal(t, now.Add(-figures.PaymentsFor), l.since)
}

// Figures are computed again after a while that grows with the facts, and never later because
// somebody has changed something.
func TestTheWaitGrowsWithTheFacts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Int64Range(0, 1e8).Draw(t, "facts"), rapid.Int64Range(0, 1e8).Draw(t, "more")
		asOf := now
		k, more := figures.Kept{AsOf: &asOf, Facts: a}, figures.Kept{AsOf: &asOf, Facts: a + b}
		require.False(t, more.Due().Before(k.Due()))
		require.True(t, k.Due().After(asOf))
		changed := asOf.Add(time.Duration(rapid.Int64Range(-100, 100).Draw(t, "changed")) * time.Second)
		soon := k
		soon.ChangedAt = &changed
		require.False(t, soon.Due().After(k.Due()))
		require.Equal(t, changed.Before(asOf), soon.Due().Equal(k.Due()))
	})
}
