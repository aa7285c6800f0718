package lift

import (
	"math"

	"github.com/liftbill/liftbill/domain/fault"
)

// edge is the distance from a whole minor unit, in minor units, below which the
// floor may depend on the last bits of the estimate.
const edge = 1e-6

// FloorMinor is the one place where a float64 becomes money: the largest whole
// number of minor units not above x. roundingEdge (reason ROUNDING_EDGE) reports
// that x lies within 1e-6 of a whole number, on either side. NaN, infinities and
// amounts of 2^63 or more are refused.
func FloorMinor(x float64) (minor int64, roundingEdge bool, err error) {
	if math.IsNaN(x) || math.IsInf(x, 0) || x >= 1<<63 || x < -(1<<63) {
		return 0, false, fault.New(fault.Invalid, "amount_not_finite", "%v is not an amount of minor units", x)
	}
	return int64(math.Floor(x)), math.Abs(x-math.RoundToEven(x)) < edge, nil
}
