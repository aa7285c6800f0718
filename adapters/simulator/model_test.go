package simulator

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/period"
)

func months(t testing.TB, names ...string) []period.Month {
	t.Helper()
	var out []period.Month
	for _, n := range names {
		m, err := period.Parse(n)
		require.NoError(t, err)
		out = append(out, m)
	}
	return out
}

func open(t testing.TB, spec Spec) *Business {
	t.Helper()
	b, err := New(spec, Client{})
	require.NoError(t, err)
	return b
}

// The lift must be what a direct comparison of both worlds gives, unit by unit.
func TestTruthIsTheDifferenceOfBothWorlds(t *testing.T) {
	t.Parallel()
	ms := months(t, "2026-01", "2026-02", "2026-03", "2026-04")
	b := open(t, DefaultSpec("a", 3, ms...).Scale(0.2))
	for _, m := range ms {
		end := m.In(time.UTC).End
		for s, got := range b.Truth(m) {
			var observed, counterfactual, policyActual int64
			for _, u := range b.units {
				if u.snapshot != s || !u.cohort.In(time.UTC).Start.Before(end) {
					continue
				}
				sum := int64(0)
				for _, e := range u.payer.ledger {
					if e.at.Before(end) && !e.at.After(u.shown[0].at.Add(90*24*time.Hour)) {
						sum += e.amount
					}
				}
				p0, p1 := b.spec.Snapshots[s].BaselineConversion, b.spec.Snapshots[s].PolicyConversion
				policy := lift.ArmOf(b.spec.Salt, u.id, b.holdout) == lift.ArmPolicy
				if pays := (policy && u.u < p1) || (!policy && u.u < p0); pays {
					observed += sum
					if policy {
						policyActual += sum
					}
				}
				if policy && u.u < p0 {
					counterfactual += sum
				}
			}
			require.Equal(t, observed, got.ObservedMinor, "%s %s", m, got.SnapshotID)
			require.Equal(t, policyActual-counterfactual, got.TrueLiftMinor, "%s %s", m, got.SnapshotID)
		}
	}
}

// What the holdout of another policy brings is what the baseline would have
// brought: a world whose policy does nothing has the same units and lives.
func TestTheBaselineWorldCanBeRun(t *testing.T) {
	t.Parallel()
	spec := DefaultSpec("a", 11, months(t, "2026-01", "2026-02")...).Scale(0.3)
	spec.Dispute = false // its choice looks at both worlds
	idle := spec.Scale(1)
	for i := range idle.Snapshots {
		idle.Snapshots[i].PolicyConversion = idle.Snapshots[i].BaselineConversion
	}
	actual, base := open(t, spec).Truth(spec.Months[1]), open(t, idle).Truth(spec.Months[1])
	for i := range actual {
		require.Equal(t, actual[i].ObservedMinor-base[i].ObservedMinor, actual[i].TrueLiftMinor)
		require.Zero(t, base[i].TrueLiftMinor)
		require.Zero(t, base[i].ExpectedLiftMinor)
	}
}

func TestLiftHasTheSignOfTheEffect(t *testing.T) {
	t.Parallel()
	m := months(t, "2026-01")[0]
	rapid.Check(t, func(rt *rapid.T) {
		spec := DefaultSpec("a", rapid.Int64().Draw(rt, "seed"), m).Scale(0.2)
		got := open(t, spec).Truth(m)
		require.Positive(rt, got[0].TrueLiftMinor)
		require.Positive(rt, got[0].ExpectedLiftMinor)
		require.Zero(rt, got[1].TrueLiftMinor)
		require.Zero(rt, got[1].ExpectedLiftMinor)
		require.LessOrEqual(rt, got[2].TrueLiftMinor, int64(0))
		require.Negative(rt, got[2].ExpectedLiftMinor)
		for i, sn := range spec.Snapshots {
			require.Equal(rt, sn.Units, got[i].PolicyUnits+got[i].HoldoutUnits)
		}
	})
}

// The first month must prove the positive snapshot at the scheduled bound, whatever
// the seed: the plain difference of means stands clear of z = 3.29.
func TestTheFirstMonthProvesThePositiveSnapshot(t *testing.T) {
	t.Parallel()
	m := months(t, "2026-01")[0]
	in := m.In(time.UTC)
	for seed := int64(1); seed <= 12; seed++ {
		b := open(t, DefaultSpec("a", seed, m))
		require.GreaterOrEqual(t, b.Truth(m)[1].HoldoutUnits, 1000)
		payers := map[int]int{}
		var n, sum, squares [2]float64
		for _, u := range b.units {
			y := 0.0
			if u.converts() {
				y = float64(b.worth(u, in))
			}
			if u.arm == lift.ArmHoldout && y != 0 {
				payers[u.snapshot]++
			}
			if u.snapshot == 0 {
				arm := 0
				if u.arm == lift.ArmPolicy {
					arm = 1
				}
				n[arm]++
				sum[arm] += y
				squares[arm] += y * y
			}
		}
		for s := range b.spec.Snapshots {
			require.GreaterOrEqual(t, payers[s], 100, "seed %d snapshot %d", seed, s)
		}
		se := 0.0
		for arm := range n {
			mean := sum[arm] / n[arm]
			se += (squares[arm]/n[arm] - mean*mean) / n[arm]
		}
		z := (sum[1]/n[1] - sum[0]/n[0]) / math.Sqrt(se)
		require.Greater(t, z, 3.6, "seed %d", seed)
	}
}

// Payers pay within the month in which they were exposed.
func TestPayersPayWithinTheMonth(t *testing.T) {
	t.Parallel()
	m := months(t, "2026-02")[0]
	b := open(t, DefaultSpec("a", 5, m).Scale(0.3))
	in := m.In(time.UTC)
	for _, u := range b.units {
		last, first := u.shown[len(u.shown)-1].at, u.payer.ledger[0].at
		require.True(t, last.Before(u.payer.start))
		require.False(t, first.Before(u.payer.start))
		require.True(t, in.Contains(first) && first.Before(in.Start.AddDate(0, 0, 26)), "%s pays at %s", u.id, first)
	}
}

// Nothing a life holds may depend on the horizon: more months only add to it.
func TestMoreMonthsOnlyAdd(t *testing.T) {
	t.Parallel()
	ms := months(t, "2026-01", "2026-02", "2026-03")
	short, long := open(t, DefaultSpec("a", 9, ms[0]).Scale(0.1)), open(t, DefaultSpec("a", 9, ms...).Scale(0.1))
	require.Equal(t, short.Truth(ms[0]), long.Truth(ms[0]))
	require.Equal(t, short.Rows(ms[0]), long.Rows(ms[0]))
	require.Equal(t, short.NetMinor(ms[0]), long.NetMinor(ms[0]))
}

func TestACustomersActsAreInOrder(t *testing.T) {
	t.Parallel()
	b := open(t, DefaultSpec("a", 2, months(t, "2026-01", "2026-02", "2026-03")...).Scale(0.2))
	kinds := map[actKind]int{}
	for _, l := range b.lives {
		require.Equal(t, actStart, l.acts[0].kind)
		for _, a := range l.acts[1:] {
			require.True(t, a.at.After(l.start))
		}
		for _, a := range l.acts {
			kinds[a.kind]++
		}
	}
	for k := actStart; k <= actDisputeLost; k++ {
		require.Positive(t, kinds[k], k.String())
	}
	require.Equal(t, 1, kinds[actDispute])
}

// Those who will pay come more often: features that predict narrow the interval.
func TestVisitsPredictALittle(t *testing.T) {
	t.Parallel()
	b := open(t, DefaultSpec("a", 6, months(t, "2026-01")...))
	var n, sum [2]float64
	for _, u := range b.units {
		group := 0
		if u.underBase {
			group = 1
		}
		n[group]++
		sum[group] += u.visits
	}
	require.Greater(t, sum[1]/n[1], 1.15*sum[0]/n[0])
	require.Less(t, sum[1]/n[1], 2*sum[0]/n[0])
}

func TestSlots(t *testing.T) {
	t.Parallel()
	zones := []string{"UTC", "America/New_York", "Australia/Sydney", "Asia/Kolkata"}
	rapid.Check(t, func(rt *rapid.T) {
		zone, err := time.LoadLocation(rapid.SampledFrom(zones).Draw(rt, "zone"))
		require.NoError(rt, err)
		at := time.Unix(rapid.Int64Range(1.7e9, 1.9e9).Draw(rt, "at"), 0)
		next := slotAfter(at, zone)
		require.True(rt, next.After(at))
		require.LessOrEqual(rt, next.Sub(at), 15*time.Hour)
		require.True(rt, slices.Contains(slots[:], next.In(zone).Hour()))
	})
}

func TestBillingMonths(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 31, 9, 0, 0, 0, time.UTC)
	require.Equal(t, time.Date(2026, 2, 28, 9, 0, 0, 0, time.UTC), addMonths(at, 1))
	require.Equal(t, time.Date(2026, 3, 31, 9, 0, 0, 0, time.UTC), addMonths(at, 2))
	require.Equal(t, time.Date(2027, 1, 31, 9, 0, 0, 0, time.UTC), addMonths(at, 12))
}

func TestWrongSpecsAreRefused(t *testing.T) {
	t.Parallel()
	m := months(t, "2026-02", "2026-01")
	for name, spoil := range map[string]func(*Spec){
		"no months":       func(s *Spec) { s.Months = nil },
		"months backward": func(s *Spec) { s.Months = m },
		"no salt":         func(s *Spec) { s.Salt = nil },
		"no prices":       func(s *Spec) { s.Prices = nil },
		"no window":       func(s *Spec) { s.AttributionDays = 0 },
		"no holdout":      func(s *Spec) { s.HoldoutProbability = "0" },
		"odd currency":    func(s *Spec) { s.Currency = "zzz" },
		"odd id":          func(s *Spec) { s.Snapshots[0].ID = "Über" },
		"same id":         func(s *Spec) { s.Snapshots[0].ID = s.Snapshots[1].ID },
		"pooled":          func(s *Spec) { s.Snapshots[0].ID = lift.SnapshotPooled },
		"impossible":      func(s *Spec) { s.Snapshots[0].PolicyConversion = 1.2 },
	} {
		spec := DefaultSpec("a", 1, m[1]).Scale(0.01)
		spoil(&spec)
		_, err := New(spec, Client{})
		require.Error(t, err, name)
	}
}
