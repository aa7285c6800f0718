package lift_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
)

func at(days float64) time.Time { return yearOpen.Add(time.Duration(days * 24 * float64(time.Hour))) }

func exposure(unit, snapshot string, arm lift.Arm, days float64) lift.Exposure {
	return lift.Exposure{UnitID: unit, SnapshotID: snapshot, Arm: arm, At: at(days), Features: []float64{days, 1}, PropensityOK: true}
}

// TestJoinByHand: unit u sees s1 on day 10, s2 on day 40 and s1 again on day 50.
func TestJoinByHand(t *testing.T) {
	t.Parallel()
	exposures := []lift.Exposure{
		exposure("u", "s1", lift.ArmPolicy, 10), exposure("u", "s2", lift.ArmPolicy, 40), exposure("u", "s1", lift.ArmPolicy, 50),
		exposure("v", "s2", lift.ArmHoldout, 5), exposure("v", "s2", lift.ArmPolicy, 6),
	}
	broken := exposure("w", "s1", lift.ArmPolicy, 1)
	broken.PropensityOK = false
	exposures = append(exposures, broken)
	event := func(key, unit string, minor int64, days float64) lift.Revenue {
		return lift.Revenue{Key: key, UnitID: unit, AmountMinor: minor, At: at(days)}
	}
	own := event("own", "u", 7, 20)
	own.OwnInvoice = true
	revenue := []lift.Revenue{
		event("early", "u", 1, 9), event("at", "u", 10, 10), event("late-s1", "u", 100, 39), event("s2", "u", 1000, 45),
		event("refund", "u", -300, 60), event("last", "u", 4, 100), event("out", "u", 5, 100.01), own,
		event("nobody", "", 20, 20), event("stranger", "x", 30, 20), event("v", "v", 50, 7),
	}
	j, err := lift.Join(plan(t), exposures, revenue, nil)
	require.NoError(t, err)
	where := map[string]string{}
	for _, a := range j.Attributions {
		where[a.Key] = a.SnapshotID + string(a.Bucket)
	}
	require.Empty(t, cmp.Diff(map[string]string{"early": "before_exposure", "at": "s1", "late-s1": "s1", "s2": "s2", "refund": "s1",
		"last": "s1", "out": "out_of_window", "own": "own_invoice", "nobody": "unmapped", "stranger": "no_decision", "v": "s2"}, where))
	require.Equal(t, lift.Tally{Events: 11, SumMinor: 927}, j.Input)
	require.Equal(t, lift.Tally{Events: 6, SumMinor: 864}, j.Attributed)
	require.Equal(t, 1, j.MissingPropensity)
	require.Equal(t, []string{"v"}, j.Crossover)
	ev := j.Fill(lift.Evidence{}, j.Tables[1])
	require.Equal(t, []int{6, 1, 0, 1}, []int{*ev.Decisions, *ev.DecisionsWithoutPropensity, *ev.UnitsWithoutPropensity, *ev.CrossoverUnits})
	require.Equal(t, []int64{20, 920}, []int64{*ev.UnmappedMinor, *ev.NetMinor})
	require.Zero(t, *j.Fill(lift.Evidence{}, j.Tables[0]).CrossoverUnits)
	require.Len(t, j.Tables, 2)
	sums := map[string]int64{}
	for _, tab := range append(j.Tables, j.Pooled) {
		for _, r := range tab.Rows {
			sums[tab.SnapshotID+"/"+r.UnitID+"/"+string(r.Arm)] = r.YMinor
		}
	}
	require.Empty(t, cmp.Diff(map[string]int64{"s1/u/policy": -186, "s2/u/policy": 1000, "s2/v/holdout": 50,
		"pooled/u/policy": 814, "pooled/v/holdout": 50}, sums))
	for _, r := range j.Pooled.Rows {
		if r.UnitID == "u" {
			require.Equal(t, []float64{10, 1}, r.Features, "features are frozen at the first exposure")
			require.InDelta(t, 0.2, r.BaselineProb, 0)
		}
	}
}

// TestEveryCentHasOnePlace: over random logs the sums agree and neither the
// order of the input nor the arms move an event.
func TestEveryCentHasOnePlace(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		p := plan(rt)
		var exposures []lift.Exposure
		for range rapid.IntRange(0, 30).Draw(rt, "exposures") {
			arm := rapid.SampledFrom([]lift.Arm{lift.ArmPolicy, lift.ArmHoldout}).Draw(rt, "arm")
			exposures = append(exposures, exposure(fmt.Sprintf("u%d", rapid.IntRange(0, 5).Draw(rt, "unit")),
				fmt.Sprintf("s%d", rapid.IntRange(0, 2).Draw(rt, "snapshot")), arm, float64(rapid.IntRange(0, 50).Draw(rt, "day"))))
		}
		var revenue []lift.Revenue
		for i := range rapid.IntRange(0, 30).Draw(rt, "events") {
			unit := rapid.SampledFrom([]string{"", "u0", "u1", "u2", "u3", "stranger"}).Draw(rt, "of")
			revenue = append(revenue, lift.Revenue{Key: fmt.Sprint(i), UnitID: unit, AmountMinor: rapid.Int64Range(-1e6, 1e6).Draw(rt, "minor"),
				At: at(float64(rapid.IntRange(0, 200).Draw(rt, "on"))), OwnInvoice: rapid.IntRange(0, 9).Draw(rt, "own") == 0})
		}
		j, err := lift.Join(p, exposures, revenue, nil)
		require.NoError(rt, err)
		sum := j.Attributed.SumMinor
		for _, b := range lift.Buckets() {
			sum += j.Bucket(b).SumMinor
		}
		require.Equal(rt, j.Input.SumMinor, sum)
		require.Equal(rt, j.Attributed.SumMinor, j.Pooled.SumMinor())

		rng := rand.New(rand.NewPCG(1, rapid.Uint64().Draw(rt, "shuffle")))
		rng.Shuffle(len(exposures), func(a, b int) { exposures[a], exposures[b] = exposures[b], exposures[a] })
		again, err := lift.Join(p, exposures, revenue, nil)
		require.NoError(rt, err)
		require.Empty(rt, cmp.Diff(j.Tables, again.Tables))
		require.Equal(rt, j.Pooled.Digest(), again.Pooled.Digest())
		for i := range exposures {
			exposures[i].Arm = lift.ArmPolicy
		}
		blind, err := lift.Join(p, exposures, revenue, nil)
		require.NoError(rt, err)
		require.Empty(rt, cmp.Diff(j.Attributions, blind.Attributions))
	})
}

func TestJoinRefuses(t *testing.T) {
	t.Parallel()
	ok := exposure("u", "s", lift.ArmPolicy, 1)
	for code, change := range map[string]func(e *lift.Exposure){
		"exposure_unit":     func(e *lift.Exposure) { e.UnitID = "" },
		"exposure_snapshot": func(e *lift.Exposure) { e.SnapshotID = lift.SnapshotPooled },
		"arm_unknown":       func(e *lift.Exposure) { e.Arm = "both" },
		"exposure_time":     func(e *lift.Exposure) { e.At = time.Time{} },
		"exposure_features": func(e *lift.Exposure) { e.Features = nil },
	} {
		e := ok
		change(&e)
		_, err := lift.Join(plan(t), []lift.Exposure{e}, nil, nil)
		require.Equal(t, code, fault.CodeOf(err))
	}
	twice := []lift.Revenue{{Key: "k", At: at(1)}, {Key: "k", At: at(2)}}
	_, err := lift.Join(plan(t), nil, twice, nil)
	require.Equal(t, "revenue_key_repeated", fault.CodeOf(err))
	huge := []lift.Revenue{{Key: "a", AmountMinor: 1 << 62, At: at(1)}, {Key: "b", AmountMinor: 1 << 62, At: at(1)}}
	_, err = lift.Join(plan(t), nil, huge, nil)
	require.Equal(t, "amount_overflow", fault.CodeOf(err))
}

func TestDigestSeesEveryField(t *testing.T) {
	t.Parallel()
	base := func() []lift.UnitRow {
		return []lift.UnitRow{{UnitID: "a", Arm: lift.ArmPolicy, BaselineProb: 0.2, YMinor: 5, Features: []float64{1, 2}},
			{UnitID: "b", Arm: lift.ArmHoldout, BaselineProb: 0.2, YMinor: 6, Features: []float64{3, 4}}}
	}
	digest := func(rows []lift.UnitRow) string {
		tab, err := lift.NewUnitTable("s", []string{"x", "y"}, rows)
		require.NoError(t, err)
		return tab.Digest()
	}
	want := digest(base())
	rows := base()
	rows[0], rows[1] = rows[1], rows[0]
	require.Equal(t, want, digest(rows))
	for _, change := range []func(r *lift.UnitRow){
		func(r *lift.UnitRow) { r.UnitID = "c" }, func(r *lift.UnitRow) { r.Arm = lift.ArmHoldout }, func(r *lift.UnitRow) { r.YMinor++ },
		func(r *lift.UnitRow) { r.BaselineProb = 0.3 }, func(r *lift.UnitRow) { r.Features = []float64{1, 2.0000000000000004} },
	} {
		rows := base()
		change(&rows[0])
		require.NotEqual(t, want, digest(rows))
	}
	_, err := lift.NewUnitTable("s", nil, []lift.UnitRow{{UnitID: "a"}, {UnitID: "a"}})
	require.Error(t, err)
}

// TestYearsDoNotShareACent: what a settlement attributes in its run-off and what the
// following year attributes never overlap, and every cent of the settlement has its place.
func TestYearsDoNotShareACent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		const yearEnd = 60.0
		units := rapid.SampledFrom([]string{"u", "v", "w"})
		var all, following []lift.Exposure
		for range rapid.IntRange(1, 12).Draw(rt, "decisions") {
			u, days := units.Draw(rt, "unit"), rapid.Float64Range(0, 120).Draw(rt, "at")
			e := exposure(u, rapid.SampledFrom([]string{"s1", "s2"}).Draw(rt, "snapshot"), lift.ArmPolicy, days)
			if days >= yearEnd {
				following = append(following, e)
				e.NextYear = true
			}
			all = append(all, e)
		}
		var revenue []lift.Revenue
		for i := range rapid.IntRange(1, 20).Draw(rt, "events") {
			revenue = append(revenue, lift.Revenue{Key: fmt.Sprint(i), UnitID: units.Draw(rt, "payer"), AmountMinor: 100, At: at(rapid.Float64Range(0, 150).Draw(rt, "paid"))})
		}
		settled, err := lift.Join(plan(t), all, revenue, nil)
		require.NoError(rt, err)
		next, err := lift.Join(plan(t), following, revenue, nil)
		require.NoError(rt, err)
		for i, a := range settled.Attributions {
			b := next.Attributions[i]
			require.False(rt, a.SnapshotID != "" && b.SnapshotID != "", "%s is on %s and on %s of the next year", a.Key, a.SnapshotID, b.SnapshotID)
			if b.SnapshotID != "" {
				require.Equal(rt, lift.BucketNextYear, a.Bucket)
			}
		}
		for _, r := range settled.Pooled.Rows {
			require.True(rt, r.FirstExposure.Before(at(yearEnd)), "the run-off exposes nobody")
		}
		require.Equal(rt, len(all)-len(following), settled.Exposures)
	})
}
