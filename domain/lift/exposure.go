package lift

import (
	"slices"
	"time"

	"github.com/liftbill/liftbill/domain/fault"
)

// Exposure is one eligible decision of a unit, logged in both arms. With a holdout,
// Join needs of every unit the first decision for each snapshot and every decision
// that changes the unit's snapshot; with per-decision randomisation it needs them
// all. Further ones do no harm.
type Exposure struct {
	// DecisionID names the decision for whoever reads a trace; nothing is computed from it.
	DecisionID string
	UnitID     string
	// UserID is whom the decision was about; a unit may have several users.
	UserID     string
	SnapshotID string
	// Arm is the logged arm; with per-decision randomisation it is not read.
	Arm Arm
	// ArmProb is the probability with which the unit gets the baseline, in (0,1).
	// 0 stands for the plan's holdout probability.
	ArmProb float64
	At      time.Time
	// Features are frozen at the unit's first exposure, in the plan's order.
	Features []float64
	// PropensityOK is whether the decision has its full propensity vector. A
	// decision without one exposes nobody; too many of them fail PROPENSITY_MISSING.
	PropensityOK bool
	// Actions are the eligible actions and Propensity their probabilities under the
	// logging policy (the whole of holdout and policy), Action is what was chosen and
	// Baseline what the baseline would have chosen. Needed with per-decision
	// randomisation; with a holdout they feed the balance by action.
	Actions          []string
	Propensity       []float64
	Action, Baseline string
	// Surface is where the decision was made, such as web or mobile.
	Surface string
	// PlanHash and SaltCommitment are those that the decision was logged with; empty
	// where the log does not say.
	PlanHash, SaltCommitment string
	// NextYear: the decision was made after the contract year, while a settlement waits
	// for its last attribution windows. It exposes nobody in the year; what its unit pays
	// from then on is the next year's.
	NextYear bool
}

// onBaseline is the probability of the baseline's action at the decision, and
// whether that action was chosen.
func (e *Exposure) onBaseline() (p float64, chosen bool) {
	if i := slices.Index(e.Actions, e.Baseline); i >= 0 {
		p = e.Propensity[i]
	}
	return p, e.Action == e.Baseline
}

// earlier orders exposures of one unit totally, whatever the order of the input.
func earlier(a, b *Exposure) bool {
	switch {
	case !a.At.Equal(b.At):
		return a.At.Before(b.At)
	case a.SnapshotID != b.SnapshotID:
		return a.SnapshotID < b.SnapshotID
	case a.Arm != b.Arm:
		return a.Arm < b.Arm
	case a.ArmProb != b.ArmProb:
		return a.ArmProb < b.ArmProb
	case a.UnitID != b.UnitID:
		return a.UnitID < b.UnitID
	case a.UserID != b.UserID:
		return a.UserID < b.UserID
	case a.Surface != b.Surface:
		return a.Surface < b.Surface
	case a.Action != b.Action:
		return a.Action < b.Action
	case a.Baseline != b.Baseline:
		return a.Baseline < b.Baseline
	}
	if c := slices.Compare(a.Features, b.Features); c != 0 {
		return c < 0
	}
	if c := slices.Compare(a.Actions, b.Actions); c != 0 {
		return c < 0
	}
	return slices.Compare(a.Propensity, b.Propensity) < 0
}

func checkExposure(plan Plan, e *Exposure, i int) error {
	switch {
	case e.UnitID == "":
		return fault.InvalidField("unit_id", "exposure_unit", "decision %d has no unit", i)
	case e.NextYear:
		return nil
	case e.SnapshotID == "" || e.SnapshotID == SnapshotPooled:
		return fault.InvalidField("snapshot_id", "exposure_snapshot", "decision %d of unit %q has the snapshot %q", i, e.UnitID, e.SnapshotID)
	case e.Arm != ArmPolicy && e.Arm != ArmHoldout && !plan.PerDecision():
		return fault.InvalidField("arm", "arm_unknown", "decision %d of unit %q has the arm %q", i, e.UnitID, string(e.Arm))
	case e.At.IsZero():
		return fault.InvalidField("at", "exposure_time", "decision %d of unit %q has no time", i, e.UnitID)
	case len(e.Features) != len(plan.Features):
		return fault.InvalidField("features", "exposure_features", "decision %d of unit %q has %d features, the plan has %d", i, e.UnitID, len(e.Features), len(plan.Features))
	case len(e.Actions) != len(e.Propensity):
		return fault.InvalidField("propensity", "exposure_propensity", "decision %d of unit %q has %d probabilities for %d actions", i, e.UnitID, len(e.Propensity), len(e.Actions))
	case plan.PerDecision() && e.PropensityOK && !slices.Contains(e.Actions, e.Baseline):
		return fault.InvalidField("baseline_action", "exposure_baseline", "decision %d of unit %q has the baseline %q, which was not eligible", i, e.UnitID, e.Baseline)
	}
	for _, p := range e.Propensity {
		if !(p >= 0 && p <= 1) { // the negation also catches NaN
			return fault.InvalidField("propensity", "exposure_propensity", "decision %d of unit %q has the probability %v", i, e.UnitID, p)
		}
	}
	return nil
}
