package lift

import (
	"fmt"

	"github.com/liftbill/liftbill/domain/fault"
)

// Risk is what is known of a rule's overbilling before anything was measured: figures
// of simulated contract years, printed with the contract. They hold for one billable
// snapshot and normal errors; docs/validation.md says how they came about.
type Risk struct {
	Rule Rule
	// NullSticky and NullFresh are the shares of contract years without any effect in
	// which something was ever billed: where the same subscribers pay again, and where
	// every month has new ones. Percent.
	NullSticky, NullFresh float64
	// OverSticky and OverFresh are the shares of contract years with a true lift of
	// two standard errors a month in which the total billed was ever above the true
	// lift so far. Percent.
	OverSticky, OverFresh float64
	// BilledSticky and BilledFresh are the parts of that true lift which the year bills
	// on average. Percent.
	BilledSticky, BilledFresh float64
}

// RiskLift is the true lift of a month, in its standard errors, that OverSticky and
// the others are given for.
const RiskLift = 2

// knownRisks are the figures of `liftbill simulate` with seed 1 and scale 1; a test
// holds them against its page and against a simulation of its own.
var knownRisks = []Risk{
	{Rule{BasisMeasured, SettleProvenLift}, 3, 3.4, 55, 81, 89, 100},
	{Rule{BasisMeasured, SettlePointTwoWay}, 50.1, 49, 55, 81, 101, 100},
	{Rule{BasisProven, SettleProvenLift}, 3, 3.4, 3, 4, 33, 72},
	{Rule{BasisProven, SettleProvenThenPoint}, 3, 3.4, 51, 50, 89, 100},
	{Rule{BasisProven, SettlePointTwoWay}, 50.1, 49, 51, 50, 101, 100},
}

// KnownRisk is the risk of a rule. It is refused for a rule that does not exist.
func KnownRisk(r Rule) (Risk, error) {
	r, err := r.Normalise()
	if err != nil {
		return Risk{}, err
	}
	for _, k := range knownRisks {
		if k.Rule == r {
			return k, nil
		}
	}
	return Risk{}, fault.New(fault.Internal, "risk_unknown", "nothing was simulated for %s with %s", r.Basis, r.Settlement)
}

// String is the risk in plain words, to be printed with the contract.
func (r Risk) String() string {
	return fmt.Sprintf("Known overbilling risk (simulated contract years, %s, %s): a policy without any effect is billed in %.1f %% of years "+
		"(%.1f %% with new subscribers every month). With a true lift of %d standard errors a month the total was at some time above the true lift in %.0f %% of years (%.0f %%), "+
		"and %.0f %% (%.0f %%) of the true lift was billed.",
		r.Rule.Basis, r.Rule.Settlement, r.NullSticky, r.NullFresh, RiskLift, r.OverSticky, r.OverFresh, r.BilledSticky, r.BilledFresh)
}
