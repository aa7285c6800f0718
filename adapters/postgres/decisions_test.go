package postgres_test

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/decisions"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/decision"
	"github.com/liftbill/liftbill/domain/lift"
)

type ctxType = context.Context

func (w *world) appendDecisions(a account.Account, rows []decision.Decision) (n int, err error) {
	err = w.db.Decisions().Do(w.ctx, func(ctx context.Context, st decisions.Stores) error {
		n, err = st.Log.Append(ctx, a, rows, now)
		return err
	})
	return n, err
}

// A decision is stored once, the first row of its ID, in whatever batch a copy comes.
func TestDecisionsAreStoredOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, copied := row("u1", "user-1", day(2)), row("u1", "somebody-else", day(3))
	n, err := w.decisionsOf("acme", []decision.Decision{first, row("u2", "user-2", day(2)), copied})
	require.NoError(t, err)
	require.Equal(t, 2, n)
	n, err = w.decisionsOf("acme", []decision.Decision{copied, first})
	require.NoError(t, err)
	require.Zero(t, n)
	require.Equal(t, "user-1", one[string](w, "SELECT user_id FROM decisions WHERE unit_id = 'u1'"))
	n, err = w.decisionsOf("trial", []decision.Decision{first})
	require.NoError(t, err)
	require.Equal(t, 1, n, "IDs belong to an account")
	require.Equal(t, "test", one[string](w, "SELECT environment FROM decisions WHERE account_id = 'trial'"))
	require.NoError(t, w.db.Decisions().Do(w.ctx, func(ctx context.Context, st decisions.Stores) error {
		ids, err := st.Reader.SnapshotIDs(ctx, "acme")
		require.Equal(t, map[string]bool{"s-a": true, "s-b": true, "s-c": true}, ids)
		return err
	}))
}

// What comes back is what was logged, features frozen to 2^-20 in the plan's order.
func TestExposuresRoundTrip(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := row("u1", "user-1", day(3).Add(123456789))
	a.Features = map[string]float64{"seats": 7, "unused": 1, "tenure": 1.0 / 3}
	a.Surface, a.PlanHash, a.SaltCommitment = "web", strings.Repeat("0f", 32), "salt"
	b := row("u2", "user-2", day(2))
	b.Arm, b.ArmProbability, b.Features = decision.Holdout, 0.2, map[string]float64{"tenure": math.MaxFloat64}
	early, late := row("u3", "user-3", day(1).AddDate(0, -1, 0)), row("u4", "user-4", day(1).AddDate(0, 1, 0))
	n, err := w.decisionsOf("acme", []decision.Decision{a, b, early, late})
	require.NoError(t, err)
	require.Equal(t, 4, n)
	cy := w.open("acme", "2026-01")
	got, err := w.db.NewCycles().Exposures(w.ctx, cy, now)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff([]lift.Exposure{
		logged(lift.Exposure{UnitID: "u2", UserID: "user-2", Arm: lift.ArmHoldout, At: day(2), Features: []float64{math.MaxFloat64, 0}}),
		logged(lift.Exposure{UnitID: "u1", UserID: "user-1", Arm: lift.ArmPolicy, At: day(3).Add(123456000), Features: []float64{decision.Quantise(1.0 / 3), 7},
			Surface: "web", PlanHash: a.PlanHash, SaltCommitment: "salt"}),
	}, got))
	got, err = w.db.NewCycles().Exposures(w.ctx, cy, now.Add(-time.Microsecond))
	require.NoError(t, err)
	require.Empty(t, got, "recorded after the watermark")
}

// logged fills in what row() logs for every decision.
func logged(e lift.Exposure) lift.Exposure {
	e.SnapshotID, e.PropensityOK = "s-a", true
	e.Actions, e.Propensity, e.Action, e.Baseline = []string{"a", "b"}, []float64{0.75, 0.25}, "a", "a"
	return e
}

// TestIncompleteDecisions: a decision that was refused for its propensities is missing
// until it comes whole; what was refused for another reason, or came after the
// watermark, or belongs to another year is not counted.
func TestIncompleteDecisions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cy, cycles := w.open("acme", "2026-01"), w.db.NewCycles()
	refused := []decisions.Refusal{
		{DecisionID: "d-u1", UnitID: "u1", At: day(3), Field: "propensity", Code: "propensity_sum"},
		{DecisionID: "d-u2", UnitID: "u2", At: day(4), Field: "baseline_action", Code: "action_not_eligible"},
		{DecisionID: "d-u2b", UnitID: "u2", Field: "propensity", Code: "field_missing"},
		{DecisionID: "d-u3", UnitID: "u3", At: day(4), Field: "features.x", Code: "number_range"},
		{DecisionID: "d-u4", UnitID: "u4", At: day(4).AddDate(-1, 0, 0), Field: "propensity", Code: "propensity_sum"},
		{DecisionID: "d-u1", UnitID: "other", At: day(3), Field: "propensity", Code: "again"},
	}
	store := func(rows []decisions.Refusal, at time.Time) {
		require.NoError(t, w.db.Decisions().Do(w.ctx, func(ctx context.Context, st decisions.Stores) error {
			return st.Log.Refuse(ctx, account.Account{ID: "acme", Environment: account.Live}, rows, at)
		}))
	}
	store(refused, now)
	store(refused[:1], now) // told twice
	store([]decisions.Refusal{{DecisionID: "late", UnitID: "u9", At: day(5), Field: "propensity", Code: "propensity_sum"}}, now.Add(time.Second))
	n, units, err := cycles.Incomplete(w.ctx, cy, now)
	require.NoError(t, err)
	require.Equal(t, 3, n)
	require.Equal(t, []string{"u1", "u2"}, units)
	_, err = w.decisionsOf("acme", []decision.Decision{row("u1", "user-1", day(3))})
	require.NoError(t, err)
	n, units, err = cycles.Incomplete(w.ctx, cy, now)
	require.NoError(t, err)
	require.Equal(t, 2, n)
	require.Equal(t, []string{"u2"}, units)
}

// TestLinksAreThoseOfTheSource: each customer with each of its users, from when on.
func TestLinksAreThoseOfTheSource(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deliver("evt_1", "customer.created", day(1), w.customer("cus_a", "user-a", day(1)), nil)
	w.deliver("evt_2", "customer.updated", day(10), w.customer("cus_a", "user-b", day(1)), obj{"metadata": obj{"user_id": "user-a"}})
	w.deliver("evt_3", "customer.updated", day(12), w.customer("cus_a", "", day(1)), obj{"metadata": obj{"user_id": "user-b"}})
	w.drain()
	got, err := w.db.NewCycles().Links(w.ctx, w.open("acme", "2026-01"))
	require.NoError(t, err)
	require.Empty(t, cmp.Diff([]lift.Link{{CustomerID: "cus_a", UserID: "user-a", From: day(1)}, {CustomerID: "cus_a", UserID: "user-b", From: day(10)}}, got))
}

func TestDecisionGaps(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cy, cycles := w.open("acme", "2026-01"), w.db.NewCycles()
	w.decide("u0", "user-0")
	_, ok, err := cycles.DecisionGaps(w.ctx, cy, now)
	require.NoError(t, err)
	require.False(t, ok, "nothing is numbered")
	var rows []decision.Decision
	for i, n := range []int64{1, 2, 5, 6, 6} {
		d := row(id("n%d", i), "user", day(2))
		d.SequenceNumber, d.SDKVersion = ptr(n), "go/1"
		rows = append(rows, d)
	}
	other := row("m", "user", day(2))
	other.SequenceNumber, other.SDKVersion = ptr(int64(900)), "js/1"
	_, err = w.decisionsOf("acme", append(rows, other))
	require.NoError(t, err)
	gaps, ok, err := cycles.DecisionGaps(w.ctx, cy, now)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, 2, gaps, "3 and 4 are missing; another stream has its own numbers")
}
