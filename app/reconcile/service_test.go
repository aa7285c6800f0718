package reconcile_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
)

// reader records the filters that reach it.
type reader struct {
	reconcile.Reader
	limits []int
}

func (r *reader) Cycles(_ context.Context, f reconcile.CyclesFilter) (reconcile.Page[reconcile.CycleSummary], error) {
	r.limits = append(r.limits, f.Limit)
	return reconcile.Page[reconcile.CycleSummary]{}, nil
}

func (r *reader) Readouts(_ context.Context, _ string, f reconcile.CyclesFilter) (reconcile.Page[reconcile.Readout], error) {
	r.limits = append(r.limits, f.Limit)
	return reconcile.Page[reconcile.Readout]{}, nil
}

func (r *reader) RewardEvents(_ context.Context, f reconcile.RewardEventsFilter) (reconcile.Page[reconcile.RewardEvent], error) {
	r.limits = append(r.limits, f.Limit)
	return reconcile.Page[reconcile.RewardEvent]{}, nil
}

// Every list checks its period and its limit before it reads.
func TestListsCheckTheirInput(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	r := &reader{}
	svc := &reconcile.Service{Reader: r}
	lists := map[string]func(period string, limit int) error{
		"cycles": func(p string, n int) error {
			_, err := svc.Cycles(ctx, reconcile.CyclesFilter{Period: p, Limit: n})
			return err
		},
		"readouts": func(p string, n int) error {
			_, err := svc.Readouts(ctx, "acme", reconcile.CyclesFilter{Period: p, Limit: n})
			return err
		},
		"reward events": func(p string, n int) error {
			_, err := svc.RewardEvents(ctx, reconcile.RewardEventsFilter{AccountID: "acme", Period: p, Limit: n})
			return err
		},
	}
	for name, list := range lists {
		r.limits = nil
		require.Equal(t, "period_malformed", fault.CodeOf(list("2026-13", 1)), name)
		for _, n := range []int{-1, reconcile.MaxLimit + 1} {
			require.Equal(t, "limit_range", fault.CodeOf(list("", n)), name)
		}
		require.Empty(t, r.limits, "nothing was read")
		require.NoError(t, list("2026-10", 0))
		require.NoError(t, list("", reconcile.MaxLimit))
		require.Equal(t, []int{reconcile.DefaultLimit, reconcile.MaxLimit}, r.limits, name)
	}
}

// A filter that can select nothing is a mistake, and is named.
func TestModeOfCycles(t *testing.T) {
	t.Parallel()
	svc := &reconcile.Service{Reader: &reader{}}
	for _, mode := range append(reconcile.Modes(), "") {
		_, err := svc.Cycles(context.Background(), reconcile.CyclesFilter{Mode: mode})
		require.NoError(t, err)
	}
	_, err := svc.Cycles(context.Background(), reconcile.CyclesFilter{Mode: "sandbox"})
	require.ErrorContains(t, err, `mode: "sandbox" is not a mode`)
	test := reconcile.CycleSummary{Environment: account.Test, Shadow: true}
	require.Equal(t, reconcile.ModeTest, test.Mode(), "nothing of a test account is ever written")
}
