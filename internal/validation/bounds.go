package validation

import "math"

// chance is the probability of the bounds: a true rate exceeds its bound once in a thousand runs.
const chance = 0.999

// BinomialMost is the 99.9 % quantile of Binom(runs, a): the largest count that
// "at most a" allows.
func BinomialMost(runs int, a float64) int { return binomialQuantile(runs, a, chance) }

// BinomialLeast is the 0.1 % quantile of Binom(runs, a).
func BinomialLeast(runs int, a float64) int { return binomialQuantile(runs, a, 1-chance) }

// binomialQuantile is the smallest k with P(X <= k) >= p. The terms are added as
// logarithms of factorials, which cannot underflow where they matter.
func binomialQuantile(n int, a, p float64) int {
	logFact := func(k int) float64 { v, _ := math.Lgamma(float64(k + 1)); return v }
	total := 0.0
	for k := range n {
		total += math.Exp(logFact(n) - logFact(k) - logFact(n-k) + float64(k)*math.Log(a) + float64(n-k)*math.Log1p(-a))
		if total >= p {
			return k
		}
	}
	return n
}

// upperZ is the z that a one-sided error of alpha leaves.
func upperZ(alpha float64) float64 { return math.Sqrt2 * math.Erfcinv(2*alpha) }

// moments are the mean and the standard deviation of a sample.
func moments(v []float64) (mean, sd float64) {
	n := float64(len(v))
	for _, x := range v {
		mean += x / n
	}
	for _, x := range v {
		sd += (x - mean) * (x - mean) / (n - 1)
	}
	return mean, math.Sqrt(sd)
}
