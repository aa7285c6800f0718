package evaluate

import (
	"fmt"
	"math"
	"strings"
)

// Limits of the input. They keep every square of a score inside the float64 range.
const (
	// MaxActions is the largest number of actions.
	MaxActions = 4096
	// MaxReward is the largest absolute reward or predicted reward (2^53).
	MaxReward = 1 << 53
	// MinPropensity is the smallest logging probability.
	MinPropensity = 1e-30
	// SumTolerance is how far probabilities may sum from 1.
	SumTolerance = 1e-6
	maxParam     = 1e18
	maxUnitID    = 512
)

// Decision is one row of the log.
type Decision struct {
	// UnitID is the experimental unit, the cluster of cluster-robust errors.
	UnitID string
	// Action is the index of the action that was shown.
	Action int
	// Reward is what was observed.
	Reward float64
	// Propensity is the probability, in (0,1], with which the logging policy chose Action.
	Propensity float64
	// Policy and Baseline are the two distributions over the actions.
	Policy, Baseline []float64
	// Predicted is the predicted reward of every action.
	Predicted []float64
}

// Log is a validated decision log. It keeps a few numbers per row, however many actions there are.
type Log struct {
	actions  int
	units    map[string]int32
	unit     []int32
	reward   []float64
	residual []float64 // reward - predicted reward of the action
	policy   side
	baseline side
}

// side is what one of the two distributions makes of the rows.
type side struct {
	weight []float64 // dist[action] / propensity
	direct []float64 // D, the predicted reward under dist
}

// NewLog is an empty log over a number of actions.
func NewLog(actions int) (*Log, error) {
	if actions < 1 || actions > MaxActions {
		return nil, &Refusal{Code: RefusedActions, Row: -1, Reason: fmt.Sprintf("%d actions, not between 1 and %d", actions, MaxActions)}
	}
	return &Log{actions: actions, units: map[string]int32{}}, nil
}

// Rows is the number of decisions.
func (l *Log) Rows() int { return len(l.unit) }

// Units is the number of distinct units.
func (l *Log) Units() int { return len(l.units) }

// Add validates a decision and appends it; a refused decision changes nothing.
// It keeps none of the slices.
func (l *Log) Add(d Decision) error {
	if err := l.check(&d); err != nil {
		return err
	}
	u, ok := l.units[d.UnitID]
	if !ok {
		u = int32(len(l.units)) //nolint:gosec // memory ends before 2^31 units
		// A clone: the string may be a piece of a much longer line.
		l.units[strings.Clone(d.UnitID)] = u
	}
	l.unit = append(l.unit, u)
	l.reward = append(l.reward, d.Reward)
	l.residual = append(l.residual, d.Reward-d.Predicted[d.Action])
	l.policy.add(d.Policy, &d)
	l.baseline.add(d.Baseline, &d)
	return nil
}

func (s *side) add(dist []float64, d *Decision) {
	var value, mass float64
	for k, p := range dist {
		value += float64(p * d.Predicted[k])
		mass += p
	}
	s.weight = append(s.weight, dist[d.Action]/d.Propensity)
	s.direct = append(s.direct, value/mass)
}

// check refuses a decision that would make a result undefined or wrong.
func (l *Log) check(d *Decision) error {
	bad := func(code, column, format string, args ...any) error {
		return &Refusal{Code: code, Row: len(l.unit), Column: column, Reason: fmt.Sprintf(format, args...)}
	}
	if d.UnitID == "" || len(d.UnitID) > maxUnitID || strings.IndexByte(d.UnitID, 0) >= 0 {
		return bad(RefusedUnitID, "unit_id", "a unit id has 1 to %d bytes and no NUL", maxUnitID)
	}
	for _, c := range []struct {
		name string
		got  []float64
	}{{"pi", d.Policy}, {"base", d.Baseline}, {"q", d.Predicted}} {
		if len(c.got) != l.actions {
			return bad(RefusedActions, c.name+"_0", "%d values where the log has %d actions", len(c.got), l.actions)
		}
	}
	switch { // the negations also catch NaN
	case d.Action < 0 || d.Action >= l.actions:
		return bad(RefusedAction, "action", "%d is not an action between 0 and %d", d.Action, l.actions-1)
	case !(math.Abs(d.Reward) <= MaxReward):
		return bad(RefusedReward, "reward", "%v is not a finite number within ±2^53", d.Reward)
	case !(d.Propensity > 0 && d.Propensity <= 1):
		return bad(RefusedPropensity, "pscore", "%v is not a probability above 0 and at most 1", d.Propensity)
	case d.Propensity < MinPropensity:
		return bad(RefusedPropensity, "pscore", "%v is below %v, too small to divide by", d.Propensity, float64(MinPropensity))
	}
	for k, q := range d.Predicted {
		if !(math.Abs(q) <= MaxReward) {
			return bad(RefusedPrediction, fmt.Sprintf("q_%d", k), "%v is not a finite number within ±2^53", q)
		}
	}
	if err := checkDistribution(d.Policy, "pi", bad); err != nil {
		return err
	}
	return checkDistribution(d.Baseline, "base", bad)
}

func checkDistribution(dist []float64, name string, bad func(code, column, format string, args ...any) error) error {
	mass := 0.0
	for k, p := range dist {
		if !(p >= 0 && p <= 1+SumTolerance) {
			return bad(RefusedProbability, fmt.Sprintf("%s_%d", name, k), "%v is not a probability between 0 and 1", p)
		}
		mass += p
	}
	if math.Abs(mass-1) > SumTolerance {
		return bad(RefusedSum, name+"_0", "%s_0 to %s_%d sum to %v, not to 1", name, name, len(dist)-1, mass)
	}
	return nil
}
