package simulator_test

import (
	"io"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/liftbill/liftbill/adapters/decisionlog"
	"github.com/liftbill/liftbill/adapters/simulator"
	"github.com/liftbill/liftbill/domain/decision"
	"github.com/liftbill/liftbill/domain/lift"
)

func draw(t testing.TB, spec simulator.Spec) *simulator.Business {
	t.Helper()
	b, err := simulator.New(spec, simulator.Client{})
	require.NoError(t, err)
	return b
}

func log(t testing.TB, b *simulator.Business) string {
	t.Helper()
	raw, err := io.ReadAll(b.Decisions(b.Spec().Months[0]))
	require.NoError(t, err)
	return string(raw)
}

func TestTheSeedDecidesEverything(t *testing.T) {
	t.Parallel()
	m := month(t, "2026-01")
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Int64().Draw(rt, "seed")
		one, same := draw(t, simulator.DefaultSpec("a", seed, m).Scale(0.02)), draw(t, simulator.DefaultSpec("a", seed, m).Scale(0.02))
		require.Equal(rt, log(t, one), log(t, same))
		require.Equal(rt, one.Truth(m), same.Truth(m))
		require.NotEqual(rt, log(t, one), log(t, draw(t, simulator.DefaultSpec("a", seed+1, m).Scale(0.02))))
	})
}

func TestNothingDependsOnLabels(t *testing.T) {
	t.Parallel()
	m := month(t, "2026-01")
	spec := simulator.DefaultSpec("a", 4, m).Scale(0.1)
	renamed := simulator.DefaultSpec("somebody else", 4, m).Scale(0.1)
	for i := range renamed.Snapshots {
		renamed.Snapshots[i].ID, renamed.Snapshots[i].Name = "x"+renamed.Snapshots[i].ID, "another name"
	}
	a, b := draw(t, spec), draw(t, renamed)
	require.Equal(t, a.NetMinor(m), b.NetMinor(m))
	truths := b.Truth(m)
	for i, want := range a.Truth(m) {
		truths[i].SnapshotID, truths[i].Name = want.SnapshotID, want.Name
		require.Equal(t, want, truths[i])
	}
	rows := b.Rows(m)
	for i, want := range a.Rows(m) {
		rows[i].SnapshotID = want.SnapshotID
		require.Equal(t, want, rows[i])
	}
}

// Every line is read back by the real reader, is valid, and tells the truth about
// its arm and its probabilities.
func TestTheLogIsWhatTheProductReads(t *testing.T) {
	t.Parallel()
	ms := []string{"2026-01", "2026-02"}
	spec := simulator.DefaultSpec("a", 8, month(t, ms[0]), month(t, ms[1])).Scale(0.1)
	spec.HoldoutProbability = "0.3"
	b := draw(t, spec)
	h, err := lift.ParseProbability(spec.HoldoutProbability)
	require.NoError(t, err)

	ids, snapshotOf, next := map[string]bool{}, map[string]string{}, map[string]int64{}
	actions, twice := map[string]int{}, map[string]int{}
	for _, m := range spec.Months {
		rows, want := 0, b.Rows(m)
		for row := range decisionlog.Parse(b.Decisions(m)) {
			require.NoError(t, row.Err)
			d := row.Decision
			require.NoError(t, d.Validate())
			require.Equal(t, want[rows], d)
			require.True(t, m.In(spec.Zone).Contains(d.At))
			require.False(t, ids[d.ID])
			ids[d.ID] = true
			checkArm(t, spec.Salt, h, d)

			stream := d.SDKVersion + "|" + d.Surface
			next[stream]++
			require.Equal(t, next[stream], *d.SequenceNumber)
			if s, seen := snapshotOf[d.UnitID]; seen {
				require.Equal(t, s, d.SnapshotID)
			}
			snapshotOf[d.UnitID] = d.SnapshotID
			twice[d.UnitID]++
			actions[d.Action]++
			for _, f := range simulator.Features() {
				require.Contains(t, d.Features, f)
				require.Equal(t, decision.Quantise(d.Features[f]), d.Features[f])
			}
			rows++
		}
		require.Len(t, want, rows)
	}
	require.Len(t, next, 2)
	require.Len(t, actions, 3)
	require.Len(t, snapshotOf, 2*(360+215+215))
	again := 0
	for _, n := range twice {
		again += n - 1
	}
	require.InDelta(t, 0.1, float64(again)/float64(len(twice)), 0.03)
}

func checkArm(t *testing.T, salt []byte, h lift.Probability, d decision.Decision) {
	t.Helper()
	require.Equal(t, lift.SaltCommitment(salt), d.SaltCommitment)
	require.Equal(t, string(lift.ArmOf(salt, d.UnitID, h)), string(d.Arm))
	require.Equal(t, simulator.Baseline, d.BaselineAction)
	require.Equal(t, simulator.Baseline, d.EligibleActions[0])
	require.InDelta(t, h.Float(), d.Propensity[0], 1e-15)
	if d.Arm == decision.Holdout {
		require.Equal(t, simulator.Baseline, d.Action)
		require.InDelta(t, h.Float(), d.ArmProbability, 1e-15)
		return
	}
	require.NotEqual(t, simulator.Baseline, d.Action)
	require.InDelta(t, 1-h.Float(), d.ArmProbability, 1e-15)
}

// Features know nothing of the arm.
func TestFeaturesAreBlindToTheArm(t *testing.T) {
	t.Parallel()
	m := month(t, "2026-01")
	b := draw(t, simulator.DefaultSpec("a", 6, m))
	sum, n := map[string]float64{}, map[decision.Arm]float64{}
	for _, d := range b.Rows(m) {
		n[d.Arm]++
		for name, v := range d.Features {
			sum[name+"|"+string(d.Arm)] += v
		}
	}
	for _, name := range simulator.Features() {
		policy, holdout := sum[name+"|policy"]/n[decision.Policy], sum[name+"|holdout"]/n[decision.Holdout]
		require.InEpsilon(t, holdout, policy, 0.05, name)
	}
}
