// Package decision holds the rows of the decision log: what a policy (or the
// holdout's baseline) chose for a unit, with which probability, and when.
//
// A row that cannot support an honest lift estimate is refused with the field
// that is wrong; nothing is repaired silently.
package decision

import (
	"maps"
	"math"
	"regexp"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
)

// Arm is the persistent assignment of a unit.
type Arm string

// The two arms.
const (
	Policy  Arm = "policy"
	Holdout Arm = "holdout"
)

// Limits of one row, so that no single row can exhaust a reader.
const (
	MaxActions  = 1000
	MaxFeatures = 32
	maxText     = 200
)

// Decision is one logged decision. Propensity[i] is the logging policy's
// probability of EligibleActions[i]; ArmProbability is the probability with
// which the unit was put in its arm.
type Decision struct {
	ID              string
	UnitID          string
	UserID          string
	SnapshotID      string
	At              time.Time
	Arm             Arm
	ArmProbability  float64
	Action          string
	BaselineAction  string
	EligibleActions []string
	Propensity      []float64
	Features        map[string]float64
	SaltCommitment  string
	// PlanHash is that of the sealed plan that the decision was made under; empty
	// where the log does not say.
	PlanHash       string
	Surface        string
	SDKVersion     string
	SequenceNumber *int64
}

// Validate refuses a row that breaks a rule of the log, naming the field.
func (d *Decision) Validate() error {
	for _, f := range []struct{ name, value string }{
		{"decision_id", d.ID}, {"unit_id", d.UnitID}, {"user_id", d.UserID}, {"action", d.Action}, {"baseline_action", d.BaselineAction},
	} {
		if err := checkText(f.name, f.value, 1); err != nil {
			return err
		}
	}
	for _, f := range []struct{ name, value string }{
		{"arm_salt_commitment", d.SaltCommitment}, {"surface", d.Surface}, {"sdk_version", d.SDKVersion},
	} {
		if err := checkText(f.name, f.value, 0); err != nil {
			return err
		}
	}
	if d.PlanHash != "" && !planHash.MatchString(d.PlanHash) {
		return fault.InvalidField("plan_hash", "hash_malformed", "the hash of the plan is not 64 lower-case hexadecimal digits").
			Fix("Log the hash that sealing the plan answered, or leave the field out")
	}
	if err := account.CheckID("snapshot_id", d.SnapshotID); err != nil {
		return err
	}
	if d.At.IsZero() || d.At.Year() < 2000 || d.At.Year() > 2200 {
		return fault.InvalidField("ts", "time_malformed", "a time between 2000 and 2200 is required").Fix("Write RFC 3339, for example 2026-10-01T09:30:00Z")
	}
	if d.Arm != Policy && d.Arm != Holdout {
		return fault.InvalidField("arm", "arm_unknown", "%q is not an arm", string(d.Arm)).Fix("Use policy or holdout")
	}
	if !(d.ArmProbability > 0 && d.ArmProbability < 1) {
		return fault.InvalidField("arm_prob", "probability_range", "the probability of the arm must lie between 0 and 1, both excluded")
	}
	if err := d.checkPropensity(); err != nil {
		return err
	}
	return d.checkFeatures()
}

// Storable reports whether an identifier of a row could be stored as it is.
func Storable(id string) bool { return checkText("", id, 1) == nil }

var planHash = regexp.MustCompile(`^[0-9a-f]{64}$`)

// checkText refuses what could not be stored and read back as it is: one such row
// would otherwise stop the good rows beside it.
func checkText(field, value string, least int) error {
	if len(value) < least || len(value) > maxText {
		return fault.InvalidField(field, "text_length", "a text of %d to %d bytes is required", least, maxText)
	}
	if !utf8.ValidString(value) {
		return fault.InvalidField(field, "text_malformed", "the text is not UTF-8").Fix("Write the log in UTF-8")
	}
	for _, r := range value {
		if r < ' ' || r == 0x7f {
			return fault.InvalidField(field, "text_malformed", "the text holds a control character").Fix("Log identifiers without control characters")
		}
	}
	return nil
}

// propensityTolerance is the contract of the log: a full vector sums to 1 within it.
const propensityTolerance = 1e-9

func (d *Decision) checkPropensity() error {
	if n := len(d.EligibleActions); n == 0 || n > MaxActions {
		return fault.InvalidField("eligible_actions", "actions_count", "1 to %d eligible actions are required", MaxActions)
	}
	if len(d.Propensity) != len(d.EligibleActions) {
		return fault.InvalidField("propensity", "propensity_length", "%d probabilities for %d eligible actions", len(d.Propensity), len(d.EligibleActions)).
			Fix("Log the full vector under the logging policy, one number for each eligible action")
	}
	sum, chosen, seen := 0.0, math.NaN(), map[string]bool{}
	for i, p := range d.Propensity {
		if err := checkText("eligible_actions", d.EligibleActions[i], 1); err != nil {
			return err
		}
		if !(p >= 0 && p <= 1) {
			return fault.InvalidField("propensity", "probability_range", "probability %d is outside [0, 1]", i+1)
		}
		if seen[d.EligibleActions[i]] {
			return fault.InvalidField("eligible_actions", "action_repeated", "action %q is listed twice", d.EligibleActions[i])
		}
		seen[d.EligibleActions[i]] = true
		sum += p
		if d.EligibleActions[i] == d.Action {
			chosen = p
		}
	}
	if math.Abs(sum-1) > propensityTolerance {
		return fault.InvalidField("propensity", "propensity_sum", "the probabilities sum to %.12g, not to 1", sum)
	}
	if math.IsNaN(chosen) {
		return fault.InvalidField("action", "action_not_eligible", "action %q is not among the eligible actions", d.Action)
	}
	if chosen == 0 {
		return fault.InvalidField("propensity", "propensity_zero", "the chosen action %q has probability 0", d.Action)
	}
	if !seen[d.BaselineAction] {
		return fault.InvalidField("baseline_action", "action_not_eligible", "baseline action %q is not among the eligible actions", d.BaselineAction)
	}
	return nil
}

func (d *Decision) checkFeatures() error {
	if len(d.Features) > MaxFeatures {
		return fault.InvalidField("features", "features_count", "at most %d features are stored", MaxFeatures)
	}
	// In the order of the names, so that a row with two faults always names the same one.
	for _, name := range slices.Sorted(maps.Keys(d.Features)) {
		if err := checkText("features", name, 1); err != nil {
			return err
		}
		if v := d.Features[name]; math.IsNaN(v) || math.IsInf(v, 0) {
			return fault.InvalidField("features."+name, "number_range", "the value is not a finite number")
		}
	}
	return nil
}

// Quantise rounds a feature to multiples of 2^-20, the resolution at which
// features are frozen, so that every replay sees the same bits. Zero has no sign.
func Quantise(v float64) float64 {
	const scale = 1 << 20
	if math.Abs(v) >= 1<<53/scale {
		return v // a multiple already; scaling a large one would overflow
	}
	q := math.RoundToEven(v*scale) / scale
	if q == 0 {
		return 0
	}
	return q
}
