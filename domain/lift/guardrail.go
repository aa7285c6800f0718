package lift

import (
	"time"

	"github.com/liftbill/liftbill/domain/account"
)

// Code is a reason code of the guardrail.
type Code string

// The reason codes in the order in which the first failing one becomes the
// headline. Those up to CodeUnmappedRevenue are data gates, the rest statistical;
// the settlement adds CodePooledDataGate and CodeBelowHighWater. docs/guardrail.md
// describes each.
const (
	CodePlanNotSealed     Code = "PLAN_NOT_SEALED"
	CodePlanHashMismatch  Code = "PLAN_HASH_MISMATCH"
	CodeNotIdentified     Code = "NOT_IDENTIFIED"
	CodePropensityMissing Code = "PROPENSITY_MISSING"
	CodePropensityFloor   Code = "PROPENSITY_FLOOR"
	CodeArmHashMismatch   Code = "ARM_HASH_MISMATCH"
	CodeCrossover         Code = "CROSSOVER"
	CodeSRM               Code = "SRM"
	CodeMiscalibrated     Code = "PROPENSITY_MISCALIBRATED"
	CodePlaceboLift       Code = "PLACEBO_LIFT"
	CodeSourceStale       Code = "SOURCE_STALE"
	CodeDecisionLogGap    Code = "DECISION_LOG_GAP"
	CodeReconMismatch     Code = "RECON_MISMATCH"
	CodeUnmappedRevenue   Code = "UNMAPPED_REVENUE"
	CodeMinUnits          Code = "MIN_UNITS"
	CodeMinBaselinePayers Code = "MIN_BASELINE_PAYERS"
	CodeESSTooSmall       Code = "ESS_TOO_SMALL"
	CodeESSRatioLow       Code = "ESS_RATIO_LOW"
	CodeWeightDominance   Code = "WEIGHT_DOMINANCE"
	CodeHoldoutAboveHalf  Code = "HOLDOUT_ABOVE_HALF"
	CodeConcentration     Code = "CONCENTRATION"
	CodeCapSignConflict   Code = "CAP_SIGN_CONFLICT"
	CodeNegativeLift      Code = "NEGATIVE_LIFT"
	CodeLCBNotPositive    Code = "LCB_NOT_POSITIVE"
	CodePortfolioCapped   Code = "PORTFOLIO_CAPPED"
	CodeNoLook            Code = "NO_LOOK"
	CodePooledDataGate    Code = "POOLED_DATA_GATE"
	CodeBelowHighWater    Code = "BELOW_HIGH_WATER"
	CodeTestMode          Code = "TEST_MODE"
	CodeRoundingEdge      Code = "ROUNDING_EDGE"
)

// Status is the outcome of one check.
type Status string

// The outcomes.
const (
	Passed Status = "passed"
	Failed Status = "failed"
	// NotEvaluated: the data that the check needs is not there; shown, not failing.
	NotEvaluated Status = "not_evaluated"
)

// Check is one evaluated guardrail check.
type Check struct {
	Code      Code   `json:"code"`
	Status    Status `json:"status"`
	Value     string `json:"value"`
	Threshold string `json:"threshold"`
	// Explain is one sentence of plain words with the numbers.
	Explain string `json:"explain"`
	// DataGate marks the checks of the data, as against those of the estimate.
	DataGate bool `json:"data_gate"`
}

// Evidence is what the application knows about the data behind an estimate. A
// nil field is unknown: its check is not evaluated.
type Evidence struct {
	Environment account.Environment `json:"environment"`
	Look        Look                `json:"look"`
	PeriodStart time.Time           `json:"period_start"`
	PeriodEnd   time.Time           `json:"period_end"`
	// PlanDue is when the plan had to be sealed at the latest: the start of the
	// contract year's first period. nil is PeriodStart.
	PlanDue *time.Time `json:"plan_due,omitempty"`
	// DecisionsWithPlan counts the decisions that say under which plan they were made,
	// DecisionsOtherPlan those of them that name another plan than the sealed one.
	DecisionsWithPlan  *int `json:"decisions_with_plan,omitempty"`
	DecisionsOtherPlan *int `json:"decisions_other_plan,omitempty"`
	// Decisions is the number of decisions, DecisionsWithoutPropensity those
	// without a full vector, UnitsWithoutPropensity the units of the table with such a decision.
	Decisions                  *int `json:"decisions,omitempty"`
	DecisionsWithoutPropensity *int `json:"decisions_without_propensity,omitempty"`
	UnitsWithoutPropensity     *int `json:"units_without_propensity,omitempty"`
	// ArmMismatches counts units whose logged arm is not the recomputed one.
	ArmMismatches *int `json:"arm_mismatches,omitempty"`
	// CrossoverUnits counts units seen in both arms.
	CrossoverUnits *int `json:"crossover_units,omitempty"`
	// Balance is the randomisation as the decisions show it.
	Balance *Balance `json:"balance,omitempty"`
	// SourceWatermark is the oldest watermark of all sources.
	SourceWatermark *time.Time `json:"source_watermark,omitempty"`
	// DecisionGaps counts missing sequence numbers.
	DecisionGaps *int `json:"decision_gaps,omitempty"`
	// Books compares net paid revenue, year to date, with Stripe's own lists, one
	// entry per currency that either side has; nil when nobody compared.
	Books []Books `json:"books,omitempty"`
	// UnmappedMinor and NetMinor are year to date.
	UnmappedMinor *int64 `json:"unmapped_minor,omitempty"`
	NetMinor      *int64 `json:"net_minor,omitempty"`
	// Revision counts how often the period was computed, from the second time on; LookSpent:
	// an earlier revision used the period's look on the same snapshot, and its bound was
	// not above zero.
	Revision  int  `json:"revision,omitempty"`
	LookSpent bool `json:"look_spent,omitempty"`
}

// Books is net paid revenue of one currency on both sides, our own invoices aside.
type Books struct {
	Currency string `json:"currency"`
	// OursMinor is matched, unmapped and out of scope together, StripeMinor what
	// Stripe's lists sum to.
	OursMinor   int64 `json:"ours_minor"`
	StripeMinor int64 `json:"stripe_minor"`
}

// Verdict is the outcome of the guardrail for one estimate. Only Judge makes a
// verdict from which a Billable can be taken.
type Verdict struct {
	// Checks holds every check, in the order of the codes.
	Checks []Check
	// Passed is whether nothing failed.
	Passed bool
	// DataGatesPassed is whether no data gate failed.
	DataGatesPassed bool
	// Headline is the first failing code, empty when Passed.
	Headline Code
	// Sentence says in plain words why the line is billed or withheld.
	Sentence string
	// Look and Z are the scheduled look and the plan's z, as text.
	Look Look
	Z    string
	// HasEstimate is whether the next fields mean anything.
	HasEstimate bool
	// LCB is T - z SE in minor units; PointMinor and BoundMinor are the floors
	// of T and LCB.
	LCB                    float64
	PointMinor, BoundMinor int64
	// RoundingEdge reports that one of the floors was within 1e-6 of a step.
	RoundingEdge bool
	// TestMode is shown; it never fails a computation and never lets one be written.
	TestMode bool

	billable *Billable
}

// Check returns the check with a code.
func (v Verdict) Check(code Code) (Check, bool) {
	for _, c := range v.Checks {
		if c.Code == code {
			return c, true
		}
	}
	return Check{}, false
}

// FailedCodes lists the failing codes in order.
func (v Verdict) FailedCodes() []Code {
	var out []Code
	for _, c := range v.Checks {
		if c.Status == Failed {
			out = append(out, c.Code)
		}
	}
	return out
}
