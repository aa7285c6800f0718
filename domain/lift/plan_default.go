package lift

import (
	"math"
	"strconv"

	"github.com/shopspring/decimal"

	"github.com/liftbill/liftbill/domain/money"
	"github.com/liftbill/liftbill/domain/ope"
	"github.com/liftbill/liftbill/domain/period"
)

// Defaults of a plan.
const (
	DefaultAttributionDays = 90
	DefaultFolds           = 5
	DefaultLambda          = "0.001"
	DefaultSnapshots       = 4
	// MaxSnapshots is the largest number of billable snapshots of a contract.
	MaxSnapshots = 200
)

// The default error schedule: 11 x 0.2 % + 2.8 % = 5 % per contract year.
const (
	alphaYear       = "0.05"
	alphaMonth      = "0.002"
	alphaSettlement = "0.028"
	alphaPlaces     = 12
	monthlyLooks    = PeriodsPerYear - 1
)

// PlanTerms are the choices that have no default.
type PlanTerms struct {
	Version            int
	First              period.Month
	Currency           money.Currency
	Unit               string
	Baseline           string
	Randomisation      Randomisation
	HoldoutProbability string
	SaltCommitment     string
	Features           []string
	// Snapshots is m; 0 is DefaultSnapshots.
	Snapshots int
}

// DefaultPlan fills every other field with its default and validates the plan.
func DefaultPlan(t PlanTerms) (Plan, error) {
	if t.Snapshots == 0 {
		t.Snapshots = DefaultSnapshots
	}
	budget, err := DefaultErrorBudget(t.Snapshots)
	if err != nil {
		return Plan{}, err
	}
	p := Plan{
		Version: t.Version, FirstPeriod: t.First.String(), Currency: t.Currency, Unit: t.Unit, Baseline: t.Baseline,
		Randomisation: t.Randomisation, HoldoutProbability: t.HoldoutProbability, SaltCommitment: t.SaltCommitment,
		AttributionDays: DefaultAttributionDays, Features: append([]string{}, t.Features...),
		EstimatorID: ope.EstimatorID, Folds: DefaultFolds, Lambda: DefaultLambda,
		ErrorBudget: budget, Thresholds: DefaultThresholds(),
	}
	return p, p.Validate()
}

// DefaultErrorBudget splits the default schedule over m snapshots. For m = 4 the
// z are 3.290527, 2.878162, 2.457263 and 1.911036.
func DefaultErrorBudget(m int) (ErrorBudget, error) {
	if err := checkSnapshots(m); err != nil {
		return ErrorBudget{}, err
	}
	per := decimal.NewFromInt(int64(m))
	month, settle := decimal.RequireFromString(alphaMonth), decimal.RequireFromString(alphaSettlement)
	line := month.DivRound(per, alphaPlaces+2).Truncate(alphaPlaces)
	lineSettle := settle.DivRound(per, alphaPlaces+2).Truncate(alphaPlaces)
	return ErrorBudget{
		Snapshots: m, AlphaYear: alphaYear,
		AlphaLine: line.String(), ZLine: quantile(line),
		AlphaPooled: alphaMonth, ZPooled: quantile(month),
		AlphaLineSettlement: lineSettle.String(), ZLineSettlement: quantile(lineSettle),
		AlphaPooledSettlement: alphaSettlement, ZPooledSettlement: quantile(settle),
	}, nil
}

// quantile is the upper normal quantile of alpha to six places. It runs when a
// plan is written; from then on the plan's text counts.
func quantile(alpha decimal.Decimal) string {
	z := float64(math.Sqrt2 * math.Erfcinv(2*alpha.InexactFloat64()))
	return strconv.FormatFloat(z, 'f', 6, 64)
}

// DefaultThresholds are the guardrail's defaults.
func DefaultThresholds() Thresholds {
	return Thresholds{
		PropensityMissingShare: "0.001", PropensityFloor: "0.02", CrossoverShare: "0.01",
		SRMZ: "3.290527", CalibrationZ: "3.29", PlaceboZ: "3.290527", ChiSquareZ: "3.090232",
		SourceLagHours: 72, UnmappedShare: "0.02",
		MinUnits: 1000, MinBaselinePayers: 100, MinESS: "1000", MinESSRatio: "0.05",
		MaxWeightDominance: "0.01", MaxHoldout: "0.5",
	}
}
