package ope

import "math"

// Model is the outcome model of one fold, fitted on the units outside it:
// q(x) = Intercept + sum_j Coef[j] (x_j - Centre[j]) with Result.Centre.
type Model struct {
	// Fold is the fold that the model predicts.
	Fold int
	// Trained is the number of units outside the fold.
	Trained int
	// Intercept is the level at the centre, in minor units.
	Intercept float64
	// Coef are minor units per unit of feature; 0 where the feature does not
	// vary in the training set.
	Coef []float64
}

// fit solves (G + lambda n diag(0,var)) beta = g for the units of every fold but
// one. Variances divide by n. Features without variance are left out.
func fit(folds []gram, skip, d int, lambda float64) (Model, error) {
	train := newGram(d)
	for k := range folds {
		if k != skip {
			train.merge(&folds[k])
		}
	}
	m := Model{Fold: skip, Trained: train.n, Coef: make([]float64, d)}
	if train.n < 2 {
		return m, refuse(RefusedFold, "only %d units are outside fold %d, at least 2 are needed to fit it", train.n, skip)
	}
	n := float64(train.n)
	var active []int
	for j := range d {
		// Equality of the extremes is exact where a difference of sums is not.
		if train.lo[j] < train.hi[j] && variance(&train, j, d, n) > 0 {
			active = append(active, j)
		}
	}
	size := len(active) + 1
	a, rhs := make([]float64, size*size), make([]float64, size)
	a[0], rhs[0] = n, train.sum[d]
	for r, j := range active {
		a[(r+1)*size] = train.sum[j]
		rhs[r+1] = train.sq[at(j, d, d)]
		for c, l := range active[:r+1] {
			a[(r+1)*size+c+1] = train.sq[at(l, j, d)]
		}
		a[(r+1)*size+r+1] += float64(float64(lambda*n) * variance(&train, j, d, n))
	}
	if !cholesky(a, size) {
		return m, refuse(RefusedSingular, "the features of the units outside fold %d are collinear", skip)
	}
	solve(a, rhs, size)
	m.Intercept = rhs[0]
	for r, j := range active {
		m.Coef[j] = rhs[r+1]
	}
	return m, nil
}

// variance is the mean squared deviation of feature j (divided by n).
func variance(g *gram, j, d int, n float64) float64 {
	mean := g.sum[j] / n
	return g.sq[at(j, j, d)]/n - float64(mean*mean)
}

// at is the position of row i, column j (i <= j) in an upper triangle of size d+1.
func at(i, j, d int) int { return i*(d+1) - i*(i-1)/2 + j - i }

// cholesky replaces the lower triangle of a symmetric matrix by its factor; it
// reports false when a pivot is not positive.
func cholesky(a []float64, n int) bool {
	for j := range n {
		pivot := a[j*n+j]
		for k := range j {
			pivot -= float64(a[j*n+k] * a[j*n+k])
		}
		if !(pivot > 0) || math.IsInf(pivot, 0) { // the negation also catches NaN
			return false
		}
		root := math.Sqrt(pivot)
		a[j*n+j] = root
		for i := j + 1; i < n; i++ {
			v := a[i*n+j]
			for k := range j {
				v -= float64(a[i*n+k] * a[j*n+k])
			}
			a[i*n+j] = v / root
		}
	}
	return true
}

// solve solves L L' x = b in place for a factor from cholesky.
func solve(l, b []float64, n int) {
	for i := range n {
		v := b[i]
		for k := range i {
			v -= float64(l[i*n+k] * b[k])
		}
		b[i] = v / l[i*n+i]
	}
	for i := n - 1; i >= 0; i-- {
		v := b[i]
		for k := i + 1; k < n; k++ {
			v -= float64(l[k*n+i] * b[k])
		}
		b[i] = v / l[i*n+i]
	}
}
