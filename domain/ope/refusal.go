package ope

import (
	"fmt"
	"math"
	"strconv"
)

// Refusal says why an input cannot be estimated. It is the only error type of
// the package; a refused input is never a panic and never a NaN.
type Refusal struct {
	// Code is stable snake_case.
	Code string
	// Row is the zero-based index in the input, -1 where no single row is at fault.
	Row int
	// UnitID is the unit at fault, empty where no single unit is.
	UnitID string
	// Column is the field at fault: "unit_id", "y_minor", "probability" or "x_1"…
	Column string
	// Reason is one plain sentence.
	Reason string
}

// Error is one line with the row, the column and the reason.
func (r *Refusal) Error() string {
	if r.Row >= 0 {
		return fmt.Sprintf("row %d (unit %q), column %s: %s", r.Row, r.UnitID, r.Column, r.Reason)
	}
	return r.Reason
}

// refuse makes a refusal that concerns the whole input.
func refuse(code, format string, args ...any) *Refusal {
	return &Refusal{Code: code, Row: -1, Reason: fmt.Sprintf(format, args...)}
}

// inWords is a number as a refusal names it. A refusal stands in the readout that finance
// reads, so what is no number is named in words there, as it is nowhere shown as one.
func inWords(v float64) string {
	switch {
	case math.IsNaN(v):
		return "not-a-number"
	case math.IsInf(v, 1):
		return "infinity"
	case math.IsInf(v, -1):
		return "minus infinity"
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

// The codes of refusals.
const (
	RefusedEmpty      = "no_units"
	RefusedFeatures   = "feature_count"
	RefusedUnitID     = "unit_id_malformed"
	RefusedDuplicate  = "unit_id_duplicate"
	RefusedOutcome    = "outcome_out_of_range"
	RefusedFeature    = "feature_out_of_range"
	RefusedOverlap    = "probability_out_of_range"
	RefusedArm        = "arm_too_small"
	RefusedFold       = "fold_too_small"
	RefusedOptions    = "options_out_of_range"
	RefusedSingular   = "features_collinear"
	RefusedNotFinite  = "result_not_finite"
	RefusedSumTooWide = "outcome_sum_overflow"
	RefusedPrecision  = "precision_lost"
	RefusedOrder      = "order_violated"
	RefusedMoments    = "moments_malformed"
)
