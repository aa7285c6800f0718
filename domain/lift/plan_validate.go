package lift

import (
	"encoding/hex"
	"math"
	"regexp"

	"github.com/shopspring/decimal"

	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/money"
	"github.com/liftbill/liftbill/domain/ope"
)

var featureRE = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)

// Validate refuses a plan that cannot be measured, naming the field.
func (p Plan) Validate() error {
	if p.Version < 1 {
		return fault.InvalidField("version", "plan_version", "the plan's version is %d, it counts from 1", p.Version)
	}
	if _, err := p.First(); err != nil {
		return err
	}
	if c, err := money.ParseCurrency(string(p.Currency)); err != nil {
		return err
	} else if c != p.Currency {
		return fault.InvalidField("currency", "currency_unknown", "%q is not in lower case", string(p.Currency))
	}
	if p.Unit != UnitUser && p.Unit != UnitAccount {
		return fault.InvalidField("unit", "plan_unit", "%q is not a unit", p.Unit).Fix(`Use "user" or "account"`)
	}
	if p.Baseline == "" || len(p.Baseline) > 2000 {
		return fault.InvalidField("baseline", "plan_baseline", "the baseline needs 1 to 2,000 characters")
	}
	if err := p.validateRandomisation(); err != nil {
		return err
	}
	if p.Reward.CapMinor != nil && (*p.Reward.CapMinor <= 0 || *p.Reward.CapMinor > ope.MaxOutcome) {
		return fault.InvalidField("reward.cap_minor", "plan_cap", "the revenue cap must be positive and at most 2^53 minor units")
	}
	if p.AttributionDays < 1 || p.AttributionDays > 366 {
		return fault.InvalidField("attribution_days", "plan_window", "the attribution window is %d days, not 1 to 366", p.AttributionDays)
	}
	if err := p.validateModel(); err != nil {
		return err
	}
	if err := p.ErrorBudget.Validate(); err != nil {
		return err
	}
	if _, err := (Rule{BasisProven, p.Settlement}).Normalise(); err != nil {
		return err // every settlement goes with proven; the contract's basis may allow fewer
	}
	return p.Thresholds.Validate()
}

// validateRandomisation checks that the plan says what its design needs and
// nothing that its design does not have.
func (p Plan) validateRandomisation() error {
	switch p.Randomisation {
	case "", RandomisedHoldout:
		if _, err := p.Holdout(); err != nil {
			return err
		}
		if b, err := hex.DecodeString(p.SaltCommitment); err != nil || len(b) != 32 || hex.EncodeToString(b) != p.SaltCommitment {
			return fault.InvalidField("salt_commitment", "plan_salt", "the commitment is not a lower-case hex SHA-256")
		}
	case RandomisedPerDecision:
		if p.HoldoutProbability != "" {
			return fault.InvalidField("holdout_probability", "plan_randomisation", "a plan without a holdout has no holdout probability").
				Fix("Leave it out: with per_decision the probabilities come from the decision log")
		}
		if p.SaltCommitment != "" {
			return fault.InvalidField("salt_commitment", "plan_randomisation", "a plan without a holdout has no salt of the arms").Fix("Leave the salt out")
		}
	default:
		return fault.InvalidField("randomisation", "plan_randomisation", "%q is not a design", string(p.Randomisation)).Fix("Use holdout or per_decision")
	}
	return nil
}

// validateModel checks what the estimator reads.
func (p Plan) validateModel() error {
	if p.EstimatorID != ope.EstimatorID {
		return fault.InvalidField("estimator_id", "plan_estimator", "%q is not an estimator of this version", p.EstimatorID).Fix("Use %s", ope.EstimatorID)
	}
	if p.Folds < 2 || p.Folds > ope.MaxFolds {
		return fault.InvalidField("folds", "plan_folds", "%d folds, not 2 to %d", p.Folds, ope.MaxFolds)
	}
	if _, err := decimalIn("lambda", p.Lambda, "1000000", false); err != nil {
		return err
	}
	if len(p.Features) > ope.MaxFeatures {
		return fault.InvalidField("features", "plan_features", "%d features, at most %d", len(p.Features), ope.MaxFeatures)
	}
	seen := make(map[string]bool, len(p.Features))
	for _, f := range p.Features {
		if !featureRE.MatchString(f) || seen[f] {
			return fault.InvalidField("features", "plan_features", "feature %q is malformed or repeated", f).
				Fix("Use lower-case letters, digits and underscores, each name once")
		}
		seen[f] = true
	}
	return nil
}

func checkSnapshots(m int) error {
	if m < 1 || m > MaxSnapshots {
		return fault.InvalidField("error_budget.snapshots", "snapshot_limit", "%d snapshots, not 1 to %d", m, MaxSnapshots)
	}
	return nil
}

// Validate checks that the looks spend at most the year's budget and that every
// z is the one that its alpha implies.
func (b ErrorBudget) Validate() error {
	if err := checkSnapshots(b.Snapshots); err != nil {
		return err
	}
	rows := []struct{ field, alpha, z string }{
		{"line", b.AlphaLine, b.ZLine}, {"pooled", b.AlphaPooled, b.ZPooled},
		{"line_settlement", b.AlphaLineSettlement, b.ZLineSettlement}, {"pooled_settlement", b.AlphaPooledSettlement, b.ZPooledSettlement},
	}
	alphas := make([]decimal.Decimal, len(rows))
	for i, r := range rows {
		a, err := decimalIn("error_budget.alpha_"+r.field, r.alpha, "0.5", true)
		if err != nil {
			return err
		}
		z, err := decimalIn("error_budget.z_"+r.field, r.z, "10", true)
		if err != nil {
			return err
		}
		alphas[i] = a
		implied := UpperTail(z.InexactFloat64())
		if math.Abs(implied/a.InexactFloat64()-1) > 1e-4 {
			return fault.InvalidField("error_budget.z_"+r.field, "error_budget_z", "z = %s spends %.6f, not the %s that the plan says", r.z, implied, r.alpha)
		}
	}
	year, err := decimalIn("error_budget.alpha_year", b.AlphaYear, "0.5", true)
	if err != nil {
		return err
	}
	m := decimal.NewFromInt(int64(b.Snapshots))
	spent := alphas[1].Mul(decimal.NewFromInt(monthlyLooks)).Add(alphas[3])
	if spent.GreaterThan(year) {
		return fault.InvalidField("error_budget.alpha_year", "error_budget_overspent", "the looks of the year spend %s of %s", spent, b.AlphaYear)
	}
	if alphas[0].Mul(m).GreaterThan(alphas[1]) || alphas[2].Mul(m).GreaterThan(alphas[3]) {
		return fault.InvalidField("error_budget.alpha_line", "error_budget_overspent", "%d snapshots together spend more than a look may", b.Snapshots)
	}
	return nil
}

// maxSourceLagHours keeps the lag inside a time.Duration: one that overflows would lie
// before the period, and every source would be in time.
const maxSourceLagHours = 1_000_000

// Validate checks that every threshold is a number in its range.
func (t Thresholds) Validate() error {
	rows := []struct{ field, value, hi string }{
		{"propensity_missing_share", t.PropensityMissingShare, "1"}, {"propensity_floor", t.PropensityFloor, "1"},
		{"crossover_share", t.CrossoverShare, "1"}, {"srm_z", t.SRMZ, "100"}, {"calibration_z", t.CalibrationZ, "100"},
		{"placebo_z", t.PlaceboZ, "100"}, {"unmapped_share", t.UnmappedShare, "1"}, {"min_ess", t.MinESS, "1000000000"},
		{"min_ess_ratio", t.MinESSRatio, "1"}, {"max_weight_dominance", t.MaxWeightDominance, "1"}, {"max_holdout", t.MaxHoldout, "1"},
	}
	for _, r := range rows {
		if _, err := decimalIn("thresholds."+r.field, r.value, r.hi, false); err != nil {
			return err
		}
	}
	if t.ChiSquareZ != "" {
		if _, err := decimalIn("thresholds.chi_square_z", t.ChiSquareZ, "100", false); err != nil {
			return err
		}
	}
	for _, r := range []struct {
		field string
		value int
	}{{"source_lag_hours", t.SourceLagHours}, {"min_units", t.MinUnits}, {"min_baseline_payers", t.MinBaselinePayers}} {
		if r.value < 0 {
			return fault.InvalidField("thresholds."+r.field, "threshold_negative", "%d is negative", r.value)
		}
	}
	if t.SourceLagHours > maxSourceLagHours {
		return fault.InvalidField("thresholds.source_lag_hours", "threshold_range", "%d hours are more than %d", t.SourceLagHours, maxSourceLagHours).
			Fix("A period waits this long after its end; 72 hours are the default")
	}
	return nil
}

// decimalIn reads a decimal between 0 and hi; open excludes 0 itself.
func decimalIn(field, s, hi string, open bool) (decimal.Decimal, error) {
	bad := fault.InvalidField(field, "decimal_malformed", "%q is not a decimal between 0 and %s", s, hi)
	if len(s) == 0 || len(s) > 32 {
		return decimal.Zero, bad
	}
	for _, r := range s {
		if (r < '0' || r > '9') && r != '.' {
			return decimal.Zero, bad
		}
	}
	d, err := decimal.NewFromString(s)
	if err != nil || d.IsNegative() || d.GreaterThan(decimal.RequireFromString(hi)) || (open && d.IsZero()) {
		return decimal.Zero, bad
	}
	return d, nil
}
