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
	// vary in the training set or is not part of the model.
	Coef []float64
}

// training are the moments of all units outside one fold, both arms.
type training struct {
	cell
	m      int
	varied []bool
}

// outside adds the folds but one, in their order.
func (m *Moments) outside(skip int) training {
	l := m.total.layout
	width, d := l.width(), l.Features
	flat := make([]float64, l.cellSize())
	t := training{cell: cell{n: &flat[0], sum: flat[1 : 1+width], sq: flat[1+width:]}, m: width, varied: make([]bool, d)}
	first, seen := make([]float64, d), false
	for k := range l.Folds {
		if k == skip || !m.total.seen[k] {
			continue
		}
		for _, kind := range []int{cellTreated, cellHeld} {
			from := (k*l.kinds() + kind) * l.cellSize()
			for i, v := range m.total.cells[from : from+l.cellSize()] {
				flat[i] += v
			}
		}
		for j := range d {
			v := m.total.first[k*d+j]
			if !seen {
				first[j] = v
			}
			t.varied[j] = t.varied[j] || m.total.varied[k*d+j] || v != first[j]
		}
		seen = true
	}
	return t
}

// fit solves (G + lambda n diag(0,var)) beta = g for the units of every fold but
// one. Variances divide by n. Features without variance are left out.
func (m *Moments) fit(skip int, s Spec) (Model, error) {
	l := m.total.layout
	t := m.outside(skip)
	out := Model{Fold: skip, Trained: int(*t.n), Coef: make([]float64, l.Features)}
	if out.Trained < 2 {
		return out, refuse(RefusedFold, "only %d units are outside fold %d, at least 2 are needed to fit it", out.Trained, skip)
	}
	y := m.column(s.Outcome)
	var active []int
	for _, j := range s.Features {
		if t.varied[j] && t.variance(j) > 0 {
			active = append(active, j)
		}
	}
	n, size := *t.n, len(active)+1
	a, rhs := make([]float64, size*size), make([]float64, size)
	a[0], rhs[0] = n, t.sum[y]
	for r, j := range active {
		a[(r+1)*size] = t.sum[j]
		rhs[r+1] = t.cross(j, y)
		for c, i := range active[:r+1] {
			a[(r+1)*size+c+1] = t.cross(i, j)
		}
		a[(r+1)*size+r+1] += float64(float64(s.Lambda*n) * t.variance(j))
	}
	if !cholesky(a, size) {
		return out, refuse(RefusedSingular, "the features of the units outside fold %d are collinear", skip)
	}
	solve(a, rhs, size)
	out.Intercept = rhs[0]
	for r, j := range active {
		out.Coef[j] = rhs[r+1]
	}
	return out, nil
}

// cross is the sum of z_i z_j, in either order.
func (t training) cross(i, j int) float64 { return t.sq[at(min(i, j), max(i, j), t.m)] }

// variance is the mean squared deviation of feature j (divided by n).
func (t training) variance(j int) float64 {
	mean := t.sum[j] / *t.n
	return t.cross(j, j) / *t.n - float64(mean*mean)
}

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
