package evaluate

import "math"

// Standard normal quantiles of 0.975 and 0.95.
const (
	z975 = 1.959963984540054
	z95  = 1.6448536269514722
)

// Interval is a normal interval: two-sided 95 % and a one-sided 95 % lower bound.
type Interval struct {
	CI95  [2]Number `json:"ci95"`
	Lower Number    `json:"lower95_one_sided"`
}

func interval(value, se float64) Interval {
	half := float64(z975 * se)
	return Interval{
		CI95:  [2]Number{number(value - half), number(value + half)},
		Lower: number(value - float64(z95*se)),
	}
}

// rowSE is sqrt(sum x^2 / (n d)) for centred x and the divisor d, n-1 or n.
func rowSE(x []float64, divisor float64) float64 {
	return math.Sqrt(squares(x) / divisor / float64(len(x)))
}

// perUnit sums x within every unit, in the order of first appearance.
func (l *Log) perUnit(x []float64) []float64 {
	sums := make([]sum, l.Units())
	for i, u := range l.unit {
		sums[u].add(x[i])
	}
	out := make([]float64, len(sums))
	for g := range sums {
		out[g] = sums[g].value()
	}
	return out
}

// clusterSE are the cluster-robust errors of a mean with centred scores x:
// CR0 = sqrt(sum_g S_g^2)/n and CR1 = CR0 sqrt(G/(G-1)), S_g = sum of x in unit g.
func (l *Log) clusterSE(x []float64) (cr0, cr1 float64) {
	cr0 = math.Sqrt(squares(l.perUnit(x))) / float64(l.Rows())
	return cr0, l.cr1(cr0)
}

// cr1 is undefined for a single unit, even where rounding leaves CR0 above zero.
func (l *Log) cr1(cr0 float64) float64 {
	g := float64(l.Units())
	if g < 2 {
		return math.NaN()
	}
	return cr0 * math.Sqrt(g/(g-1))
}

// upperTail is 1 - Phi(z).
func upperTail(z float64) float64 { return 0.5 * math.Erfc(z/math.Sqrt2) }
