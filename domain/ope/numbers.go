package ope

import "math"

// residuals are the sums over r of one kind of cells: n (or the sum of weights), the
// sum of r, and the squares about each cell's own mean. Taking squares about the
// mean of a cell first, and only then about another level, keeps the digits that a
// difference of large squares would lose.
type residuals struct {
	n, r   float64
	within float64
	// cells holds n and the mean of each cell.
	cells []mean
}

type mean struct{ n, r float64 }

// about is the sum of weighted squares of r - level.
func (s residuals) about(level float64) float64 {
	out := s.within
	for _, c := range s.cells {
		dev := c.r - level
		out += float64(c.n * float64(dev*dev))
	}
	return out
}

// add appends one cell, whose residual is v'z - b0 with v over the columns.
func (s *residuals) add(c cell, m int, columns []int, v []float64, b0 float64) {
	n := *c.n
	if n == 0 {
		return
	}
	level := -b0
	for a, i := range columns {
		level += float64(v[a] * (c.sum[i] / n))
	}
	within := 0.0
	for a, i := range columns {
		row := 0.0
		for b, j := range columns {
			centred := c.sq[at(min(i, j), max(i, j), m)] - float64(c.sum[i]*(c.sum[j]/n))
			row += float64(centred * v[b])
		}
		within += float64(v[a] * row)
	}
	s.n += n
	s.r += float64(n * level)
	s.within += math.Max(within, 0) // a square that rounding has put below 0
	s.cells = append(s.cells, mean{n, level})
}

// collect sums a kind of cells over the folds, each under its own model.
func (m *Moments) collect(res *Result, s Spec, kinds ...int) residuals {
	l := m.total.layout
	y := m.column(s.Outcome)
	var out residuals
	for k := range l.Folds {
		model := &res.Models[k]
		columns, v := []int{y}, []float64{1}
		for _, j := range s.Features {
			if model.Coef[j] != 0 {
				columns, v = append(columns, j), append(v, -model.Coef[j])
			}
		}
		for _, kind := range kinds {
			out.add(l.cell(m.total.cells, k, kind), l.width(), columns, v, model.Intercept)
		}
	}
	return out
}

// numbers fills in everything behind the models.
func (m *Moments) numbers(res *Result, s Spec) error {
	t := m.total
	n := float64(t.units)
	treated, held := m.collect(res, s, cellTreated), m.collect(res, s, cellHeld)
	all := m.collect(res, s, cellTreated, cellHeld)
	var sum weightSums
	if p := t.layout.P; p > 0 {
		sum = sharedWeights(p, n, held, all)
	} else {
		sum = m.ownWeights(res, s)
	}
	res.W, res.R = sum.w, sum.wr/sum.w
	res.ESS = float64(sum.w*sum.w) / sum.w2
	res.WeightDominance = sum.maxW2 / sum.w2
	res.CalibrationZ = (sum.w - n) / math.Sqrt(sum.c)
	res.SRMZ = (float64(t.held) - sum.p) / math.Sqrt(sum.pq)

	scale := n / sum.w
	res.T = all.r - float64(n*res.R)
	// sum psi^2 = sum over the treated of (r-R)^2 + sum over the holdout of (1-w~)^2 (r-R)^2
	dw, dw2 := sum.wAbout(res.R), sum.w2About(res.R)
	squares := treated.about(res.R) + math.Max(held.about(res.R)-float64(2*scale*dw)+float64(scale*scale*dw2), 0)
	res.VCR = math.Max(float64(n/(n-1))*(squares-float64(res.T*res.T)/n), 0)
	res.VB = float64(scale*scale*dw2) - float64(scale*dw)
	res.V0 = sum.cAbout(all.r / n)
	res.V = math.Max(res.VCR, math.Max(res.VB, res.V0))
	res.SE = math.Sqrt(res.V)
	res.Counterfactual = float64(res.Observed) - res.T
	return m.checkPrecision(res, s)
}

// weightSums are the sums that carry weights.
type weightSums struct {
	w, wr, w2, c, p, pq, maxW2 float64
	// wAbout, w2About and cAbout are the sums of w, w^2 and c times (r - level)^2.
	wAbout, w2About, cAbout func(level float64) float64
}

// sharedWeights are the sums when every unit has the same probability: the weight is
// a factor of the sums without it.
func sharedWeights(p, n float64, held, all residuals) weightSums {
	w, c := 1/p, 1/p-1
	w2 := float64(w * w)
	times := func(f float64, s residuals) func(float64) float64 {
		return func(level float64) float64 { return float64(f * s.about(level)) }
	}
	return weightSums{
		w: float64(held.n * w), wr: float64(w * held.r), w2: float64(held.n * w2), c: float64(n * c), p: float64(n * p), pq: float64(n * float64(p*(1-p))), maxW2: w2,
		wAbout: times(w, held), w2About: times(w2, held), cAbout: times(c, all),
	}
}

// ownWeights are the sums when units have probabilities of their own.
func (m *Moments) ownWeights(res *Result, s Spec) weightSums {
	w, w2, c := m.collect(res, s, cellHeldW), m.collect(res, s, cellHeldW2), m.collect(res, s, cellAllC)
	t := m.total
	return weightSums{w: w.n, wr: w.r, w2: w2.n, c: c.n, p: t.sumP, pq: t.sumPQ, maxW2: t.maxW2, wAbout: w.about, w2About: w2.about, cAbout: c.about}
}

// lostDigits is the share of the outcome's own squares below which a variance of
// residuals is rounding and no number.
const lostDigits = 1.0 / (1 << 40)

// checkPrecision refuses an estimate whose standard error has drowned in rounding,
// because features explain the outcome to the last digit: a bound from it would be
// the point estimate in disguise.
func (m *Moments) checkPrecision(res *Result, s Spec) error {
	l, y := m.total.layout, m.column(s.Outcome)
	squares, weight := 0.0, 0.0
	for k := range l.Folds {
		for _, kind := range []int{cellTreated, cellHeld} {
			c := l.cell(m.total.cells, k, kind)
			if n := *c.n; n > 0 {
				squares += c.sq[at(y, y, l.width())] - float64(c.sum[y]*(c.sum[y]/n))
				weight += n
			}
		}
	}
	if weight > 0 && res.V < float64(lostDigits*squares) {
		return refuse(RefusedPrecision, "the features explain the outcome to the last digit, so that no standard error can be computed")
	}
	return nil
}
