package evaluate

import "math"

// bernsteinMargin is obp's empirical-Bernstein margin for scores in [0, top] with
// variance v (divisor n) at delta = 0.05.
func bernsteinMargin(top, v, n float64) float64 {
	logTwo := math.Log(2 / 0.05)
	return float64(7*top*logTwo)/(3*(n-1)) + math.Sqrt(float64(2*logTwo*v)/(n-1))
}

// hoeffdingMargin is obp's Hoeffding margin for scores in [0, top] at delta = 0.05.
func hoeffdingMargin(top, n float64) float64 {
	return float64(top * math.Sqrt(math.Log(1/0.05)/(2*n)))
}

// largeDF is where the expansion of the quantile in 1/df is exact to ten digits.
const largeDF = 300

// studentT95 is the 0.95 quantile of Student's t with df degrees of freedom,
// undefined (NaN) without any.
func studentT95(df int) float64 {
	if df < 1 {
		return math.NaN()
	}
	if df > largeDF {
		return tailExpansion(float64(df))
	}
	low, high := 0.0, 7.0 // t with 1 degree of freedom: 6.3138
	for range 64 {
		mid := (low + high) / 2
		if centralT(mid, df) < 0.90 {
			low = mid
		} else {
			high = mid
		}
	}
	return (low + high) / 2
}

// tailExpansion is the Cornish-Fisher expansion, Abramowitz and Stegun 26.7.5.
func tailExpansion(v float64) float64 {
	x := float64(z95)
	x2 := x * x
	g1 := (x2 + 1) * x / 4
	g2 := ((5*x2+16)*x2 + 3) * x / 96
	g3 := (((3*x2+19)*x2+17)*x2 - 15) * x / 384
	return x + (g1+(g2+g3/v)/v)/v
}

// centralT is P(|T| <= t) for a whole number of degrees of freedom, the finite
// series of Abramowitz and Stegun 26.7.3 and 26.7.4.
func centralT(t float64, df int) float64 {
	theta := math.Atan(t / math.Sqrt(float64(df)))
	sin, cos := math.Sincos(theta)
	odd := df%2 == 1
	term, first := 1.0, 2
	if odd {
		term, first = cos, 3
	}
	series := 0.0
	if df > 1 {
		series = term
	}
	for k := first; k <= df-2; k += 2 {
		term = float64(term * cos * cos * float64(k-1) / float64(k))
		series += term
	}
	if odd {
		return 2 / math.Pi * (theta + float64(sin*series))
	}
	return float64(sin * series)
}
