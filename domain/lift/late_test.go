package lift_test

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
)

// TestLateEventsByHand: unit u sees s1 on day 10 and s2 on day 40 and is decided about again
// on day 400; v sees s2 on day 5 and is not.
func TestLateEventsByHand(t *testing.T) {
	t.Parallel()
	exposures := []lift.Exposure{
		exposure("u", "s1", lift.ArmPolicy, 10), exposure("u", "s2", lift.ArmPolicy, 40), exposure("v", "s2", lift.ArmHoldout, 5),
	}
	runOff := exposure("w", "s1", lift.ArmPolicy, 380)
	runOff.NextYear = true
	exposures = append(exposures, exposure("w", "s1", lift.ArmPolicy, 340), runOff)
	later := []lift.Exposure{exposure("u", "s9", lift.ArmPolicy, 400), exposure("w", "s1", lift.ArmPolicy, 380)}
	late := func(key, unit string, paid, happened float64) lift.Late {
		return lift.Late{Key: key, UnitID: unit, AmountMinor: -5, PaidAt: at(paid), At: at(happened)}
	}
	own := late("own", "u", 20, 390)
	own.OwnInvoice = true
	want := map[string]string{
		"s1": "s1", "s2": "s2", "far": "s2", "again": "next_year", "exactly": "next_year", "of v": "s2", "before": "before_exposure",
		"out": "out_of_window", "nobody": "no_decision", "unmapped": "unmapped", "own": "own_invoice", "run-off": "s1", "run-off, later": "next_year",
	}
	events := []lift.Late{
		late("s1", "u", 20, 395), late("s2", "u", 45, 395), late("far", "v", 6, 900), late("again", "u", 20, 401), late("exactly", "u", 20, 400),
		late("of v", "v", 90, 420), late("before", "v", 4, 420), late("out", "v", 96, 420), late("nobody", "x", 20, 420), late("unmapped", "", 20, 420), own,
		late("run-off", "w", 341, 379), late("run-off, later", "w", 341, 381),
	}
	p := plan(t)
	p.AttributionDays = 90
	got, err := lift.PlaceLate(p, exposures, later, nil, events)
	require.NoError(t, err)
	for _, g := range got {
		require.Equal(t, want[g.Key], g.SnapshotID+string(g.Bucket), g.Key)
	}
	require.Len(t, got, len(want))
	alone, err := lift.PlaceLate(p, exposures, nil, nil, events)
	require.NoError(t, err)
	for _, g := range alone {
		if want[g.Key] == "next_year" {
			require.Equal(t, "s1", g.SnapshotID, "%s: no later year measures it", g.Key)
		}
	}
	_, err = lift.PlaceLate(p, exposures, nil, nil, append(events, own))
	require.Equal(t, "revenue_key_repeated", fault.CodeOf(err))
}

// TestARemeasuredTableIsTheTableThatChanged: after any changes in any order, the estimate and
// the digest are those of a table with that revenue from the beginning.
func TestARemeasuredTableIsTheTableThatChanged(t *testing.T) {
	t.Parallel()
	p := sealed(t).Plan()
	capMinor := int64(2500)
	for _, limit := range []*int64{nil, &capMinor} {
		p.Reward.CapMinor = limit
		table := population(t, 1500, 4)
		l, err := table.Layout(p)
		require.NoError(t, err)
		again, err := lift.NewRemeasured(table.SnapshotID, p, l, table.Stream(), table.Digest())
		require.NoError(t, err)
		plain, err := lift.Measure(table, p, 1)
		require.NoError(t, err)
		got, digest, err := again.Measure()
		require.NoError(t, err)
		require.Equal(t, table.Digest(), digest)
		require.Empty(t, cmp.Diff(plain, got))

		rng, changed := rand.New(rand.NewPCG(6, 6)), population(t, 1500, 4)
		for range 4 {
			by := map[string]int64{}
			for range 30 {
				i := rng.IntN(len(changed.Rows))
				minor := int64(rng.IntN(4000)) - 2000
				by[changed.Rows[i].UnitID] += minor
				changed.Rows[i].YMinor += minor
			}
			require.NoError(t, again.Change(by))
		}
		want, err := lift.Measure(changed, p, 1)
		require.NoError(t, err)
		got, digest, err = again.Measure()
		require.NoError(t, err)
		require.Equal(t, changed.Digest(), digest)
		require.NotEqual(t, table.Digest(), digest)
		want.Result.Centre, got.Result.Centre = nil, nil
		require.InDelta(t, want.Result.T, got.Result.T, 1e-6*max(1, want.Result.T))
		point, ok, err := again.PointMinor()
		require.NoError(t, err)
		require.True(t, ok)
		floor, _, err := lift.FloorMinor(got.Result.T)
		require.NoError(t, err)
		require.Equal(t, floor, point)
	}
}

func TestARemeasuredTableRefuses(t *testing.T) {
	t.Parallel()
	p, table := sealed(t).Plan(), population(t, 300, 5)
	l, err := table.Layout(p)
	require.NoError(t, err)
	_, err = lift.NewRemeasured(table.SnapshotID, p, l, table.Stream(), "another digest")
	require.Equal(t, "unit_table_changed", fault.CodeOf(err))
	again, err := lift.NewRemeasured(table.SnapshotID, p, l, table.Stream(), table.Digest())
	require.NoError(t, err)
	require.Equal(t, "unit_missing", fault.CodeOf(again.Change(map[string]int64{"nobody": 1})))
	first := table.Rows[0].UnitID
	require.True(t, lift.IsRefusal(again.Change(map[string]int64{first: 1 << 62})), "revenue beyond what is estimated")
}
