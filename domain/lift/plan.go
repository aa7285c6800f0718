package lift

import (
	"github.com/liftbill/liftbill/domain/money"
	"github.com/liftbill/liftbill/domain/period"
)

// PeriodsPerYear is the length of a contract year in periods.
const PeriodsPerYear = 12

// The units of a plan.
const (
	UnitUser = "user"
	// UnitAccount merges the units that share a Stripe customer at their first exposure.
	UnitAccount = "account"
)

// Randomisation is how units come to the baseline.
type Randomisation string

// The designs.
const (
	// RandomisedHoldout: a unit is in the holdout or not, by its hash, for good.
	RandomisedHoldout Randomisation = "holdout"
	// RandomisedPerDecision: every decision draws its action anew; a unit weighs by
	// the product over its decisions (design: exploration without a holdout).
	RandomisedPerDecision Randomisation = "per_decision"
)

// Plan is a measurement plan: everything about the measurement that must be
// fixed before the period starts. Numbers that are not integers are decimal
// strings, so that the sealed text is what the estimator reads.
//
// A field that came after the first plans were sealed is left out of the text
// when it is empty, and empty means what the plans before it meant: an older text
// keeps its hash, and is never held to a limit that it did not promise.
type Plan struct {
	// Version counts the plans of one contract, from 1.
	Version int `json:"version"`
	// FirstPeriod is the first month of the contract year, "2026-01".
	FirstPeriod string `json:"first_period"`
	// Currency is the one currency of the contract.
	Currency money.Currency `json:"currency"`
	// Unit is what was randomised: "user" or "account".
	Unit string `json:"unit"`
	// Randomisation says how the baseline was given; empty is RandomisedHoldout.
	Randomisation Randomisation `json:"randomisation,omitempty"`
	// Baseline describes the action or policy that the holdout gets.
	Baseline string `json:"baseline"`
	// HoldoutProbability is h, a decimal such as "0.1"; empty with RandomisedPerDecision.
	HoldoutProbability string `json:"holdout_probability"`
	// SaltCommitment is the hex SHA-256 of the salt of the arms; empty with RandomisedPerDecision.
	SaltCommitment string `json:"salt_commitment"`
	// Reward says which revenue counts.
	Reward Reward `json:"reward"`
	// AttributionDays is W: revenue counts until W days after first exposure.
	AttributionDays int `json:"attribution_days"`
	// Features are the names of the pre-exposure features in column order.
	Features []string `json:"features"`
	// EstimatorID names the arithmetic.
	EstimatorID string `json:"estimator_id"`
	// Folds is K of the cross-fitting.
	Folds int `json:"folds"`
	// Lambda is the ridge penalty, a decimal.
	Lambda string `json:"lambda"`
	// ErrorBudget fixes the z of every look.
	ErrorBudget ErrorBudget `json:"error_budget"`
	// Settlement is the contract's; empty is SettleProvenLift.
	Settlement Settlement `json:"settlement,omitempty"`
	// Thresholds are those of the guardrail.
	Thresholds Thresholds `json:"thresholds"`
}

// Reward is the reward definition.
type Reward struct {
	// SubscriptionOnly leaves out paid invoices without a subscription.
	SubscriptionOnly bool `json:"subscription_only"`
	// CapMinor caps the year-to-date revenue of a unit, in minor units; nil is no cap.
	CapMinor *int64 `json:"cap_minor,omitempty"`
}

// ErrorBudget is the error that each look may spend and the z that it implies.
// Both are text in the plan: nobody computes a quantile on the money path.
type ErrorBudget struct {
	// Snapshots is m, the number of snapshots of the year that may be billed.
	Snapshots int `json:"snapshots"`
	// AlphaYear is what the whole year may spend.
	AlphaYear string `json:"alpha_year"`
	// AlphaLine and ZLine hold for a snapshot in months 1-11.
	AlphaLine string `json:"alpha_line"`
	ZLine     string `json:"z_line"`
	// AlphaPooled and ZPooled hold for the pooled readout in months 1-11.
	AlphaPooled string `json:"alpha_pooled"`
	ZPooled     string `json:"z_pooled"`
	// The settlement of the year has its own.
	AlphaLineSettlement   string `json:"alpha_line_settlement"`
	ZLineSettlement       string `json:"z_line_settlement"`
	AlphaPooledSettlement string `json:"alpha_pooled_settlement"`
	ZPooledSettlement     string `json:"z_pooled_settlement"`
}

// Thresholds are the limits of the guardrail, decimals as text.
type Thresholds struct {
	// PropensityMissingShare is the largest share of decisions without a full propensity vector.
	PropensityMissingShare string `json:"propensity_missing_share"`
	// PropensityFloor is the smallest probability of the baseline.
	PropensityFloor string `json:"propensity_floor"`
	// CrossoverShare is the largest share of units seen in both arms.
	CrossoverShare string `json:"crossover_share"`
	// SRMZ, CalibrationZ and PlaceboZ are limits of |z|; 3.290527 is p = 0.001.
	SRMZ         string `json:"srm_z"`
	CalibrationZ string `json:"calibration_z"`
	PlaceboZ     string `json:"placebo_z"`
	// ChiSquareZ limits the chi-squares by stratum, action and decile: the one-sided
	// z of their tail, 3.090232 for p = 0.001. Empty in older plans: shown, not failing.
	ChiSquareZ string `json:"chi_square_z,omitempty"`
	// SourceLagHours is how long after the period's end every source must have been read.
	SourceLagHours int `json:"source_lag_hours"`
	// UnmappedShare is the largest share of net revenue without a unit.
	UnmappedShare string `json:"unmapped_share"`
	// MinUnits is the smallest arm, MinBaselinePayers the fewest holdout units with revenue.
	MinUnits          int `json:"min_units"`
	MinBaselinePayers int `json:"min_baseline_payers"`
	// MinESS and MinESSRatio limit the effective sample size of the holdout.
	MinESS      string `json:"min_ess"`
	MinESSRatio string `json:"min_ess_ratio"`
	// MaxWeightDominance is the largest max w^2 / sum w^2.
	MaxWeightDominance string `json:"max_weight_dominance"`
	// MaxHoldout is the largest holdout probability.
	MaxHoldout string `json:"max_holdout"`
}

// Look is a scheduled use of the error budget.
type Look string

// The looks of a contract year.
const (
	// LookMonth is one of the looks of months 1-11.
	LookMonth Look = "month"
	// LookNone is month 12: shown, not tested, because the settlement follows.
	LookNone Look = "none"
	// LookSettlement is the settlement after the attribution window of the year.
	LookSettlement Look = "settlement"
)

// LookOf is the look of a month of the contract: year counts from 0, month from 1.
// A month before the first period has no look, and neither has a settlement that does
// not follow month 12.
func LookOf(first, m period.Month) (look Look, year, month int) {
	n := m.Sub(first)
	if n < 0 {
		return LookNone, 0, 0
	}
	year, month = n/PeriodsPerYear, n%PeriodsPerYear+1
	switch {
	case m.IsSettlement() && month == PeriodsPerYear:
		return LookSettlement, year, month
	case m.IsSettlement() || month == PeriodsPerYear:
		return LookNone, year, month
	}
	return LookMonth, year, month
}

// Z is the z of a look as the plan writes it, for the pooled readout or for a
// snapshot. Month 12 shows the z of the other months and bills nothing.
func (b ErrorBudget) Z(look Look, pooled bool) string {
	switch {
	case look == LookSettlement && pooled:
		return b.ZPooledSettlement
	case look == LookSettlement:
		return b.ZLineSettlement
	case pooled:
		return b.ZPooled
	default:
		return b.ZLine
	}
}

// First is the first month of the contract year.
func (p Plan) First() (period.Month, error) { return period.ParseMonth(p.FirstPeriod) }

// PerDecision reports whether every decision draws its action anew.
func (p Plan) PerDecision() bool { return p.Randomisation == RandomisedPerDecision }

// Holdout is the exact holdout probability.
func (p Plan) Holdout() (Probability, error) { return ParseProbability(p.HoldoutProbability) }

// FeaturePreRevenue is the name of the feature that holds the revenue of a unit
// before its first exposure; the placebo check runs on it. Features whose name
// begins with it (such as pre_revenue_payer) are derived from it and are left
// out of the placebo's model.
const FeaturePreRevenue = "pre_revenue"
