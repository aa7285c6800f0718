package evaluate

import (
	"encoding/json"
	"math"
	"strconv"
)

// Number is a float64, or undefined where a formula divides zero by zero.
// Undefined is null in JSON.
type Number struct {
	value   float64
	defined bool
}

// number takes a result of the formulas: IEEE 754 lets a NaN or an infinity travel
// through them, and here it becomes "undefined".
func number(x float64) Number {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return Number{}
	}
	return Number{value: x, defined: true}
}

// Float returns the value and whether it is defined; an undefined one is 0.
func (n Number) Float() (value float64, defined bool) { return n.value, n.defined }

// String is the shortest text that reads back as the same float64, or "undefined".
func (n Number) String() string {
	if !n.defined {
		return "undefined"
	}
	return strconv.FormatFloat(n.value, 'g', -1, 64)
}

// MarshalJSON writes the number, or null.
func (n Number) MarshalJSON() ([]byte, error) {
	if !n.defined {
		return []byte("null"), nil
	}
	return json.Marshal(n.value)
}

// sum adds with Neumaier's compensation, which loses next to nothing, in the order
// in which it is fed.
type sum struct{ total, lost float64 }

func (s *sum) add(x float64) {
	t := s.total + x
	if math.Abs(s.total) >= math.Abs(x) {
		s.lost += (s.total - t) + x
	} else {
		s.lost += (x - t) + s.total
	}
	s.total = t
}

func (s *sum) value() float64 { return s.total + s.lost }

func mean(xs []float64) float64 {
	var s sum
	for _, x := range xs {
		s.add(x)
	}
	return s.value() / float64(len(xs))
}

// centred subtracts the mean.
func centred(xs []float64) []float64 {
	m := mean(xs)
	out := make([]float64, len(xs))
	for i, x := range xs {
		out[i] = x - m
	}
	return out
}

// squares is the sum of squares.
func squares(xs []float64) float64 {
	var s sum
	for _, x := range xs {
		s.add(float64(x * x))
	}
	return s.value()
}
