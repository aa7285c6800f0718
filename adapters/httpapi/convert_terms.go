package httpapi

import (
	"cmp"

	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/money"
	"github.com/liftbill/liftbill/domain/ope"
)

// termsOf puts the default in the place of every term that was left out.
func termsOf(in ContractCreate) billing.Terms {
	t := pricingOf(billing.DefaultTerms(), in)
	t.Share = cmp.Or(in.Share, t.Share)
	t.Basis = cmp.Or(lift.Basis(in.Basis), t.Basis)
	t.Settlement = lift.Settlement(in.Settlement)
	t.Currency = cmp.Or(money.Currency(in.Currency), t.Currency)
	t.TimeZone = cmp.Or(in.TimeZone, t.TimeZone)
	t.Rounding = cmp.Or(money.Rounding(in.Rounding), t.Rounding)
	t.PortfolioCap, t.CaseIDsInMetadata = in.PortfolioCap, in.CaseIdsInMetadata
	t.FirstPeriod, t.PONumber = in.FirstPeriod, in.PoNumber
	if in.CloseLagDays != nil {
		t.CloseLagDays = *in.CloseLagDays
	}
	if in.CollectionMethod != "" {
		t.CollectionMethod = billing.CollectionMethod(in.CollectionMethod)
	}
	if t.CollectionMethod == billing.ChargeAutomatically {
		t.DaysUntilDue = 0
	}
	if in.DaysUntilDue != nil {
		t.DaysUntilDue = *in.DaysUntilDue
	}
	return t
}

// planOf writes every default out, so that the sealed text says everything. The
// salt's commitment is added by the use case, which alone sees the salt.
func planOf(in PlanCreate) (lift.Plan, error) {
	budget, err := lift.DefaultErrorBudget(cmp.Or(in.Snapshots, lift.DefaultSnapshots))
	if err != nil {
		return lift.Plan{}, err
	}
	currency, err := money.ParseCurrency(cmp.Or(in.Currency, string(billing.DefaultTerms().Currency)))
	if err != nil {
		return lift.Plan{}, err
	}
	return lift.Plan{
		Version: cmp.Or(in.Version, 1), FirstPeriod: in.FirstPeriod, Currency: currency,
		Unit: in.Unit, Randomisation: cmp.Or(lift.Randomisation(in.Randomisation), lift.RandomisedHoldout),
		Baseline: in.Baseline, HoldoutProbability: in.HoldoutProbability, Settlement: lift.Settlement(in.Settlement),
		Reward:          lift.Reward{SubscriptionOnly: in.SubscriptionOnly, CapMinor: in.CapMinor},
		AttributionDays: cmp.Or(in.AttributionDays, lift.DefaultAttributionDays), Features: append([]string{}, in.Features...),
		EstimatorID: ope.EstimatorID, Folds: cmp.Or(in.Folds, lift.DefaultFolds), Lambda: cmp.Or(in.Lambda, lift.DefaultLambda),
		ErrorBudget: budget, Thresholds: thresholdsOf(in.Thresholds),
	}, nil
}

func thresholdsOf(in Thresholds) lift.Thresholds {
	d := lift.DefaultThresholds()
	return lift.Thresholds{
		PropensityMissingShare: cmp.Or(in.PropensityMissingShare, d.PropensityMissingShare),
		PropensityFloor:        cmp.Or(in.PropensityFloor, d.PropensityFloor),
		CrossoverShare:         cmp.Or(in.CrossoverShare, d.CrossoverShare),
		SRMZ:                   cmp.Or(in.SrmZ, d.SRMZ),
		CalibrationZ:           cmp.Or(in.CalibrationZ, d.CalibrationZ),
		PlaceboZ:               cmp.Or(in.PlaceboZ, d.PlaceboZ),
		ChiSquareZ:             cmp.Or(in.ChiSquareZ, d.ChiSquareZ),
		SourceLagHours:         cmp.Or(in.SourceLagHours, d.SourceLagHours),
		UnmappedShare:          cmp.Or(in.UnmappedShare, d.UnmappedShare),
		MinUnits:               cmp.Or(in.MinUnits, d.MinUnits),
		MinBaselinePayers:      cmp.Or(in.MinBaselinePayers, d.MinBaselinePayers),
		MinESS:                 cmp.Or(in.MinEss, d.MinESS),
		MinESSRatio:            cmp.Or(in.MinEssRatio, d.MinESSRatio),
		MaxWeightDominance:     cmp.Or(in.MaxWeightDominance, d.MaxWeightDominance),
		MaxHoldout:             cmp.Or(in.MaxHoldout, d.MaxHoldout),
	}
}
