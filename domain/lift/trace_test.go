package lift_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
)

// TestTraceByHand: u sees s1 on day 10, s2 on day 40 and s1 again on day 50.
func TestTraceByHand(t *testing.T) {
	t.Parallel()
	p := plan(t)
	exposures := []lift.Exposure{
		exposure("u", "s1", lift.ArmPolicy, 50), exposure("u", "s1", lift.ArmPolicy, 10), exposure("u", "s2", lift.ArmPolicy, 40),
		{UnitID: "u", At: at(400), NextYear: true},
	}
	for i, name := range []string{"d3", "d1", "d2"} {
		exposures[i].DecisionID = name
	}
	window := time.Duration(p.AttributionDays) * 24 * time.Hour
	for name, tc := range map[string]struct {
		day           float64
		unit          string
		place         lift.Attribution
		latest, first int
		until         time.Time
	}{
		"before":    {9, "u", lift.Attribution{Bucket: lift.BucketBeforeExposure}, -1, -1, time.Time{}},
		"first":     {10, "u", lift.Attribution{SnapshotID: "s1"}, 0, 0, at(10).Add(window)},
		"second":    {45, "u", lift.Attribution{SnapshotID: "s2"}, 1, 1, at(40).Add(window)},
		"again":     {60, "u", lift.Attribution{SnapshotID: "s1"}, 2, 0, at(10).Add(window)},
		"too late":  {101, "u", lift.Attribution{Bucket: lift.BucketOutOfWindow}, 2, 0, at(10).Add(window)},
		"next year": {400, "u", lift.Attribution{Bucket: lift.BucketNextYear}, -1, -1, time.Time{}},
		"stranger":  {60, "x", lift.Attribution{Bucket: lift.BucketNoDecision}, -1, -1, time.Time{}},
		"nobody":    {60, "", lift.Attribution{Bucket: lift.BucketUnmapped}, -1, -1, time.Time{}},
	} {
		got, err := lift.Trace(p, exposures, nil, []lift.Revenue{{Key: name, UnitID: tc.unit, At: at(tc.day)}})
		require.NoError(t, err)
		tc.place.Key = name
		require.Equal(t, tc.place, got[0].Attribution, name)
		require.Equal(t, []int{tc.latest, tc.first}, []int{got[0].Latest, got[0].First}, name)
		require.Equal(t, tc.until, got[0].Until, name)
		var order []string
		for _, d := range got[0].Decisions {
			order = append(order, d.DecisionID)
		}
		if tc.unit == "u" {
			require.Equal(t, []string{"d1", "d2", "d3"}, order, "by time, whatever the order of the log")
			require.Equal(t, at(400), got[0].NextYearFrom)
		} else {
			require.Empty(t, order)
			require.Zero(t, got[0].NextYearFrom)
		}
	}
	exposures[0].Arm = "both"
	_, err := lift.Trace(p, exposures, nil, nil)
	require.Equal(t, "arm_unknown", fault.CodeOf(err))
}

// TestTraceIsTheJoin: over random logs, of units that are users and of units that are
// accounts, every event is traced to where Join put it, and from the decisions of the tied
// units alone.
func TestTraceIsTheJoin(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		p := plan(rt)
		p.Unit = rapid.SampledFrom([]string{lift.UnitUser, lift.UnitAccount}).Draw(rt, "unit")
		var exposures []lift.Exposure
		for range rapid.IntRange(0, 20).Draw(rt, "exposures") {
			e := exposure(fmt.Sprintf("u%d", rapid.IntRange(0, 5).Draw(rt, "unit")), fmt.Sprintf("s%d", rapid.IntRange(0, 2).Draw(rt, "snapshot")),
				lift.ArmPolicy, float64(rapid.IntRange(0, 50).Draw(rt, "day")))
			e.UserID = "of-" + e.UnitID
			e.NextYear = rapid.IntRange(0, 9).Draw(rt, "next") == 0
			exposures = append(exposures, e)
		}
		var links []lift.Link
		for i := range 6 {
			links = append(links, lift.Link{CustomerID: fmt.Sprintf("c%d", rapid.IntRange(0, 3).Draw(rt, "customer")), UserID: fmt.Sprintf("of-u%d", i),
				From: at(float64(rapid.IntRange(0, 50).Draw(rt, "from")))})
		}
		var revenue []lift.Revenue
		for i := range rapid.IntRange(1, 20).Draw(rt, "events") {
			revenue = append(revenue, lift.Revenue{Key: fmt.Sprint(i), UnitID: rapid.SampledFrom([]string{"", "u0", "u1", "u2", "u3", "stranger"}).Draw(rt, "of"),
				AmountMinor: 1, At: at(float64(rapid.IntRange(0, 200).Draw(rt, "on")))})
		}
		j, err := lift.Join(p, exposures, revenue, links)
		require.NoError(rt, err)
		all, err := lift.Trace(p, exposures, links, revenue)
		require.NoError(rt, err)
		for i, r := range revenue {
			require.Equal(rt, j.Attributions[i], all[i].Attribution)
			require.Equal(rt, j.UnitOf(r.UnitID), all[i].UnitID)
			near, known := tied(r.UnitID, exposures, links)
			alone, err := lift.Trace(p, near, known, revenue[i:i+1])
			require.NoError(rt, err)
			require.Empty(rt, cmp.Diff(all[i], alone[0]))
			if t := alone[0]; t.SnapshotID != "" {
				require.False(rt, t.Decisions[t.Latest].At.After(r.At))
				require.Equal(rt, t.SnapshotID, t.Decisions[t.Latest].SnapshotID)
				require.Equal(rt, t.SnapshotID, t.Decisions[t.First].SnapshotID)
				require.False(rt, r.At.After(t.Until))
			}
		}
	})
}

// tied are the decisions of the units that are tied to one by links, and those links.
func tied(unit string, exposures []lift.Exposure, links []lift.Link) (near []lift.Exposure, known []lift.Link) {
	users, customers := map[string]bool{"of-" + unit: true}, map[string]bool{}
	for grown := true; grown; {
		grown = false
		for _, l := range links {
			if users[l.UserID] != customers[l.CustomerID] {
				users[l.UserID], customers[l.CustomerID], grown = true, true, true
			}
		}
	}
	for _, e := range exposures {
		if users[e.UserID] {
			near = append(near, e)
		}
	}
	for _, l := range links {
		if users[l.UserID] {
			known = append(known, l)
		}
	}
	return near, known
}
