package lift_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
)

// measured builds a population with arms from the salt, joins it and measures it.
func measured(t require.TestingT, p lift.Plan, n int, treat int64) (lift.Joined, lift.Estimate) {
	h, err := p.Holdout()
	require.NoError(t, err)
	rng := rand.New(rand.NewPCG(42, 43))
	exposures, revenue := make([]lift.Exposure, n), make([]lift.Revenue, 0, n)
	for i := range exposures {
		e := lift.Exposure{UnitID: fmt.Sprintf("user-%05d", i), SnapshotID: "snap-a", At: at(rng.Float64() * 20), PropensityOK: true}
		e.Arm = lift.ArmOf(salt, e.UnitID, h)
		pre := float64(rng.IntN(4) * 1000)
		e.Features = []float64{pre, rng.Float64()}
		exposures[i] = e
		if rng.Float64() < 0.4 {
			y := int64(pre) + int64(rng.IntN(2000)) + 500
			if e.Arm == lift.ArmPolicy {
				y += treat
			}
			revenue = append(revenue, lift.Revenue{Key: e.UnitID, UnitID: e.UnitID, AmountMinor: y, At: e.At.Add(time.Hour)})
		}
	}
	require.Zero(t, lift.ArmMismatches(salt, h, exposures))
	j, err := lift.Join(p, exposures, revenue, nil)
	require.NoError(t, err)
	e, err := lift.Measure(j.Tables[0], p, 2)
	require.NoError(t, err)
	return j, e
}

func readout(t require.TestingT, treat int64) (lift.Readout, lift.SealedPlan, lift.ReadoutInput) {
	s := sealed(t)
	j, e := measured(t, s.Plan(), 12_000, treat)
	in := lift.ReadoutInput{AccountID: "acct", ContractID: "ctr", Period: month(t, "2026-01"), Plan: s, Estimate: e,
		Evidence: j.Fill(evidence(lift.LookMonth), j.Tables[0]), Inputs: lift.InputsOf(j, j.Tables[0], at(35))}
	r, err := lift.NewReadout(in)
	require.NoError(t, err)
	return r, s, in
}

func TestReadoutEndToEnd(t *testing.T) {
	t.Parallel()
	r, s, in := readout(t, 900)
	require.True(t, r.Verdict.Passed, r.Verdict.Sentence)
	require.Regexp(t, `^[a-z2-7]{26}$`, r.CaseID)
	b, ok := r.Billable()
	require.True(t, ok)
	require.Equal(t, r.CaseID, b.CaseID())
	require.Less(t, r.Low, r.Estimate.Result.T)
	truth := 900 * 0.4 * float64(r.Estimate.Result.Units-r.Estimate.Result.Holdout)
	require.InDelta(t, truth, r.Estimate.Result.T, 4*r.Estimate.Result.SE)
	c, found := r.Verdict.Check(lift.CodePlaceboLift)
	require.True(t, found)
	require.Equal(t, lift.Passed, c.Status)

	var m lift.Manifest
	require.NoError(t, json.Unmarshal(r.ManifestJSON(), &m))
	require.Equal(t, "liftbill.manifest/2", m.Schema)
	require.Len(t, m.Result.Models, 5)
	require.Len(t, m.Moments, 5)
	require.Regexp(t, "^[0-9a-f]{64}$", m.Moments[0])
	require.Equal(t, []lift.Books{{Currency: "usd", OursMinor: 9_000_000, StripeMinor: 9_000_000}}, m.Evidence.Books)
	require.NotNil(t, m.Evidence.Balance.Strata)

	again, err := lift.NewReadout(in)
	require.NoError(t, err)
	require.Equal(t, r.CaseID, again.CaseID)
	for _, change := range []func(in *lift.ReadoutInput){
		func(in *lift.ReadoutInput) { in.Inputs.PreviousHighWaterMinor = ptr(int64(0)) },
		func(in *lift.ReadoutInput) { in.Inputs.SaltHex = "00" },
		func(in *lift.ReadoutInput) { in.Estimate.Moments = nil },
		func(in *lift.ReadoutInput) { in.Evidence.DecisionsWithPlan = ptr(49_999) },
	} {
		other := in
		change(&other)
		changed, err := lift.NewReadout(other)
		require.NoError(t, err)
		require.NotEqual(t, r.CaseID, changed.CaseID, "everything is in the case ID")
	}
	in.PreviousCaseID = "another"
	chained, err := lift.NewReadout(in)
	require.NoError(t, err)
	require.NotEqual(t, r.CaseID, chained.CaseID)

	back, err := lift.RestoreReadout(r.ManifestJSON(), r.CaseID, s)
	require.NoError(t, err)
	restored, ok := back.Billable()
	require.True(t, ok)
	require.Equal(t, b, restored)
	require.Empty(t, cmp.Diff(r.Verdict.Checks, back.Verdict.Checks))
	require.Equal(t, r.Interval, back.Interval)
}

// TestRecordedCases: the case IDs of two readouts, one with a holdout and one without,
// on every architecture. They change when anything in a manifest does, its wording
// included; then ManifestSchema changes too, and they are recorded anew.
func TestRecordedCases(t *testing.T) {
	t.Parallel()
	r, _, _ := readout(t, 900)
	p := perDecision(t)
	s, err := p.Seal(sealedAt)
	require.NoError(t, err)
	j, err := lift.Join(p, sticky(3000, 4, func(i int, e *lift.Exposure) { e.Features[0] = float64(i % 7) }), nil, nil)
	require.NoError(t, err)
	e, err := lift.Measure(j.Pooled, p, 3)
	require.NoError(t, err)
	drawn, err := lift.NewReadout(lift.ReadoutInput{AccountID: "acct", ContractID: "ctr", Period: month(t, "2026-01"), Plan: s, Estimate: e,
		Evidence: j.Fill(evidence(lift.LookMonth), j.Pooled), Inputs: lift.InputsOf(j, j.Pooled, at(35))})
	require.NoError(t, err)
	for name, c := range map[string]struct{ got, want string }{"holdout": {r.CaseID, "2zw54uwnrcdlfeur4v4v3syx3q"}, "per decision": {drawn.CaseID, "imm3qth5rbhipzoumwuj7fqmmi"}} {
		t.Logf("bits of the case with %s: %s", name, c.got) // what scripts/arm64.sh compares
		require.Equal(t, c.want, c.got, name)
	}
}

func TestWorldWithoutLiftIsWithheld(t *testing.T) {
	t.Parallel()
	r, _, _ := readout(t, 0)
	require.False(t, r.Verdict.Passed)
	_, ok := r.Billable()
	require.False(t, ok)
}

// TestEditedManifestGivesNoPermission: neither a changed verdict nor changed
// evidence survives, even when the case ID is made to fit.
func TestEditedManifestGivesNoPermission(t *testing.T) {
	t.Parallel()
	r, s, _ := readout(t, 0)
	forged := bytes.Replace(r.ManifestJSON(), []byte(`"headline":"`+string(r.Verdict.Headline)+`"`), []byte(`"headline":""`), 1)
	require.NotEqual(t, r.ManifestJSON(), forged)
	_, err := lift.RestoreReadout(forged, r.CaseID, s)
	require.Equal(t, "case_id_mismatch", fault.CodeOf(err))
	_, err = lift.RestoreReadout(forged, lift.CaseIDOf(forged), s)
	require.Equal(t, "verdict_mismatch", fault.CodeOf(err))

	p := s.Plan()
	p.Version = 2
	other, err := p.Seal(sealedAt)
	require.NoError(t, err)
	_, err = lift.RestoreReadout(r.ManifestJSON(), r.CaseID, other)
	require.Equal(t, "plan_hash_mismatch", fault.CodeOf(err))
}

func TestCapMeasuresBoth(t *testing.T) {
	t.Parallel()
	p := plan(t)
	p.Reward.CapMinor = ptr(int64(2_000))
	_, e := measured(t, p, 4_000, 900)
	require.NotNil(t, e.Uncapped)
	require.Less(t, e.Result.Observed, e.Uncapped.Observed)
	require.Equal(t, e.SumMinor, e.Uncapped.Observed)
}

func TestRefusedEstimateIsAReadout(t *testing.T) {
	t.Parallel()
	s := sealed(t)
	table, err := lift.NewUnitTable("empty", s.Plan().Features, nil)
	require.NoError(t, err)
	e, err := lift.Measure(table, s.Plan(), 1)
	require.NoError(t, err)
	require.True(t, e.Refused())
	r, err := lift.NewReadout(lift.ReadoutInput{AccountID: "a", ContractID: "c", Period: month(t, "2026-01"), Plan: s, Estimate: e,
		Evidence: evidence(lift.LookMonth), Inputs: lift.InputsOf(lift.Joined{}, table, at(35))})
	require.NoError(t, err)
	require.Equal(t, lift.CodeNotIdentified, r.Verdict.Headline)
	_, err = lift.RestoreReadout(r.ManifestJSON(), r.CaseID, s)
	require.NoError(t, err)
}

func BenchmarkMeasure(b *testing.B) {
	p := plan(b)
	j, _ := measured(b, p, 10_800, 100)
	for b.Loop() {
		_, _ = lift.Measure(j.Tables[0], p, 1)
	}
}
