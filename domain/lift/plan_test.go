package lift_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
)

func TestDefaultErrorBudget(t *testing.T) {
	t.Parallel()
	b, err := lift.DefaultErrorBudget(4)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(lift.ErrorBudget{Snapshots: 4, AlphaYear: "0.05", AlphaLine: "0.0005", ZLine: "3.290527",
		AlphaPooled: "0.002", ZPooled: "2.878162", AlphaLineSettlement: "0.007", ZLineSettlement: "2.457263",
		AlphaPooledSettlement: "0.028", ZPooledSettlement: "1.911036"}, b))
	for m := 1; m <= lift.MaxSnapshots; m++ {
		b, err := lift.DefaultErrorBudget(m)
		require.NoError(t, err)
		require.NoError(t, b.Validate(), "m = %d", m)
	}
	for _, m := range []int{-1, 0, lift.MaxSnapshots + 1} {
		_, err := lift.DefaultErrorBudget(m)
		require.Error(t, err)
	}
}

func TestPlanIsRefusedByField(t *testing.T) {
	t.Parallel()
	for code, change := range map[string]func(p *lift.Plan){
		"plan_version":           func(p *lift.Plan) { p.Version = 0 },
		"period_malformed":       func(p *lift.Plan) { p.FirstPeriod = "2026-13" },
		"currency_unknown":       func(p *lift.Plan) { p.Currency = "USD" },
		"plan_unit":              func(p *lift.Plan) { p.Unit = "session" },
		"plan_baseline":          func(p *lift.Plan) { p.Baseline = "" },
		"probability_malformed":  func(p *lift.Plan) { p.HoldoutProbability = "1e-1" },
		"plan_salt":              func(p *lift.Plan) { p.SaltCommitment = "ABC" },
		"plan_cap":               func(p *lift.Plan) { p.Reward.CapMinor = ptr(int64(0)) },
		"plan_window":            func(p *lift.Plan) { p.AttributionDays = 0 },
		"plan_estimator":         func(p *lift.Plan) { p.EstimatorID = "ipw/1" },
		"plan_folds":             func(p *lift.Plan) { p.Folds = 1 },
		"decimal_malformed":      func(p *lift.Plan) { p.Lambda = "-1" },
		"plan_features":          func(p *lift.Plan) { p.Features = []string{"a", "a"} },
		"error_budget_z":         func(p *lift.Plan) { p.ErrorBudget.ZLine = "3.2" },
		"error_budget_overspent": func(p *lift.Plan) { p.ErrorBudget.Snapshots = 5 },
		"threshold_negative":     func(p *lift.Plan) { p.Thresholds.MinUnits = -1 },
	} {
		p := plan(t)
		change(&p)
		require.Equal(t, code, fault.CodeOf(p.Validate()))
		_, err := p.Seal(sealedAt)
		require.Equal(t, code, fault.CodeOf(err))
	}
}

func TestSealedPlanComesBackOnlyUnchanged(t *testing.T) {
	t.Parallel()
	s := sealed(t)
	back, err := lift.RestoreSealed(s.JSON(), s.Hash(), s.At())
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(s.Plan(), back.Plan()))
	require.Equal(t, s.Hash(), back.Hash())

	tampered := bytes.Replace(s.JSON(), []byte(`"3.290527"`), []byte(`"3.290526"`), 1)
	_, err = lift.RestoreSealed(tampered, s.Hash(), s.At())
	require.Equal(t, "plan_hash_mismatch", fault.CodeOf(err))
	spaced := append([]byte(" "), s.JSON()...)
	_, err = lift.RestoreSealed(spaced, lift.Digest256(spaced), s.At())
	require.Equal(t, "plan_hash_mismatch", fault.CodeOf(err))
	extra := bytes.Replace(s.JSON(), []byte(`{"attribution_days"`), []byte(`{"aaa":1,"attribution_days"`), 1)
	_, err = lift.RestoreSealed(extra, lift.Digest256(extra), s.At())
	require.Error(t, err)

	p := s.Plan()
	p.Features[0] = "changed"
	require.Equal(t, lift.FeaturePreRevenue, s.Plan().Features[0], "a sealed plan does not share memory")
}

func TestLooksOfTheYear(t *testing.T) {
	t.Parallel()
	first := month(t, "2026-03")
	for i := range 30 {
		look, year, m := lift.LookOf(first, first.Add(i))
		require.Equal(t, i/12, year)
		require.Equal(t, i%12+1, m)
		require.Equal(t, m == 12, look == lift.LookNone)
		settled, _, _ := lift.LookOf(first, first.Add(i).Settlement())
		require.Equal(t, m == 12, settled == lift.LookSettlement, "only the year's end is settled")
		require.Equal(t, m != 12, settled == lift.LookNone)
	}
	look, _, m := lift.LookOf(first, month(t, "2026-02"))
	require.Equal(t, lift.LookNone, look)
	require.Zero(t, m)
}

// TestSaltIsRevealedAtTheCloseOfTheYear: from the last month of the plan's year on.
func TestSaltIsRevealedAtTheCloseOfTheYear(t *testing.T) {
	t.Parallel()
	first := month(t, "2026-03")
	for i := range 14 {
		require.Equal(t, i >= 11, lift.SaltRevealed(first, first.Add(i)), i)
	}
}

func TestArmIsExactAtTheThreshold(t *testing.T) {
	t.Parallel()
	h, err := lift.ParseProbability("0.2")
	require.NoError(t, err)
	held := 0
	const n = 20_000
	for i := range n {
		if lift.ArmOf(salt, string(rune('a'+i%26))+string(rune(i)), h) == lift.ArmHoldout {
			held++
		}
	}
	require.InDelta(t, 0.2*n, held, 250) // 4.4 standard deviations
	// SHA-256("s|u1") begins with 37243317dcfb6c3f: a share of 0.215396… of 2^64.
	for text, want := range map[string]lift.Arm{"0.215393": lift.ArmPolicy, "0.2154": lift.ArmHoldout} {
		near, err := lift.ParseProbability(text)
		require.NoError(t, err)
		require.Equal(t, want, lift.ArmOf([]byte("s"), "u1", near), text)
	}
	for _, bad := range []string{"", "0", "1", "-0.1", "1.1", "x", "0.1234567890123", "1e-3", "NaN", "+0.1"} {
		_, err := lift.ParseProbability(bad)
		require.Error(t, err, bad)
	}
}

// TestArmsAreNested: raising h only moves units from the policy into the holdout.
func TestArmsAreNested(t *testing.T) {
	t.Parallel()
	small, err := lift.ParseProbability("0.1")
	require.NoError(t, err)
	large, err := lift.ParseProbability("0.100000000001")
	require.NoError(t, err)
	rapid.Check(t, func(rt *rapid.T) {
		id := rapid.String().Draw(rt, "id")
		if lift.ArmOf(salt, id, small) == lift.ArmHoldout {
			require.Equal(rt, lift.ArmHoldout, lift.ArmOf(salt, id, large))
		}
	})
}

func TestCanonicalJSON(t *testing.T) {
	t.Parallel()
	got, err := lift.Canonical(map[string]any{"b": "<&>", "a": []any{int64(9007199254740993), true, nil}, "c": lift.Hex(0.1)})
	require.NoError(t, err)
	require.Equal(t, `{"a":[9007199254740993,true,null],"b":"<&>","c":"0x1.999999999999ap-04"}`, string(got))
}

// oldPlan is a text that was sealed before plans had a randomisation, a settlement and
// a limit of the chi-squares.
const oldPlan = `{"attribution_days":90,"baseline":"show the old paywall","currency":"usd","error_budget":{"alpha_line":"0.0005","alpha_line_settlement":"0.007","alpha_pooled":"0.002","alpha_pooled_settlement":"0.028","alpha_year":"0.05","snapshots":4,"z_line":"3.290527","z_line_settlement":"2.457263","z_pooled":"2.878162","z_pooled_settlement":"1.911036"},"estimator_id":"aipw-hajek-ridge/1","features":["pre_revenue","tenure"],"first_period":"2026-01","folds":5,"holdout_probability":"0.2","lambda":"0.001","reward":{"subscription_only":false},"salt_commitment":"99277c7a662cb96251575948c243142619f3fc88d8ae0bafadbc1c1967e62de5","thresholds":{"calibration_z":"3.29","crossover_share":"0.01","max_holdout":"0.5","max_weight_dominance":"0.01","min_baseline_payers":100,"min_ess":"1000","min_ess_ratio":"0.05","min_units":1000,"placebo_z":"3.290527","propensity_floor":"0.02","propensity_missing_share":"0.001","source_lag_hours":72,"srm_z":"3.290527","unmapped_share":"0.02"},"unit":"user","version":1}`

// TestOldPlansKeepTheirHash: what was sealed by an earlier version parses, hashes alike
// and means what it meant.
func TestOldPlansKeepTheirHash(t *testing.T) {
	t.Parallel()
	const hash = "708a51e243890c702e5379abc24f45a259199abc060739879580883edae737f3"
	s, err := lift.RestoreSealed([]byte(oldPlan), hash, sealedAt)
	require.NoError(t, err)
	require.Equal(t, oldPlan, string(s.JSON()))
	require.False(t, s.Plan().PerDecision())
	v := lift.Judge(healthy("a", 1e6, 1e5), evidence(lift.LookMonth), s)
	require.True(t, v.Passed, v.Sentence)
}
