package evaluate

import "fmt"

// Refusal says why a log cannot be evaluated. It is the only error type of the package.
type Refusal struct {
	// Code is stable snake_case.
	Code string
	// Row is the zero-based row of the log, -1 where no single row is at fault.
	Row int
	// Column is the column at fault: "pscore", "pi_2"; empty where none is.
	Column string
	// Reason is one plain sentence.
	Reason string
}

// Error is one line with the row, the column and the reason.
func (r *Refusal) Error() string {
	switch {
	case r.Row >= 0:
		return fmt.Sprintf("row %d, column %s: %s", r.Row, r.Column, r.Reason)
	case r.Column != "":
		return fmt.Sprintf("%s: %s", r.Column, r.Reason)
	default:
		return r.Reason
	}
}

// The codes of refusals.
const (
	RefusedEmpty       = "no_rows"
	RefusedActions     = "actions_out_of_range"
	RefusedParams      = "parameter_out_of_range"
	RefusedUnitID      = "unit_id_malformed"
	RefusedAction      = "action_out_of_range"
	RefusedReward      = "reward_out_of_range"
	RefusedPropensity  = "propensity_out_of_range"
	RefusedProbability = "probability_out_of_range"
	RefusedSum         = "probabilities_not_one"
	RefusedPrediction  = "prediction_out_of_range"
)
