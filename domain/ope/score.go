package ope

import "math"

// levels are the sums of the first scoring pass, of one bucket or of all.
type levels struct {
	w, wr, w2, r, c, p, pq float64
	maxW2, minP            float64
	held, payers           int
}

func (a *levels) merge(b *levels) {
	a.w, a.wr, a.w2, a.r = a.w+b.w, a.wr+b.wr, a.w2+b.w2, a.r+b.r
	a.c, a.p, a.pq = a.c+b.c, a.p+b.p, a.pq+b.pq
	a.maxW2, a.minP = math.Max(a.maxW2, b.maxW2), math.Min(a.minP, b.minP)
	a.held, a.payers = a.held+b.held, a.payers+b.payers
}

// spread are the sums of the second scoring pass.
type spread struct {
	psi, vb, v0 float64
	top         int
	topPsi      float64
}

// score fills in everything behind the models and returns the canonical position
// of the unit with the largest score (the first one among equals).
func (t *Table) score(res *Result, workers int) (top int) {
	resid := make([]float64, t.N())
	lv := t.levels(res, resid, workers)
	n := float64(t.N())
	res.W, res.Holdout, res.HoldoutPayers, res.MinP = lv.w, lv.held, lv.payers, lv.minP
	res.R = lv.wr / lv.w
	res.ESS = float64(lv.w*lv.w) / lv.w2
	res.WeightDominance = lv.maxW2 / lv.w2
	res.CalibrationZ = (lv.w - n) / math.Sqrt(lv.c)
	res.SRMZ = (float64(lv.held) - lv.p) / math.Sqrt(lv.pq)

	scale, mean := n/lv.w, lv.r/n
	psi := make([]float64, t.N())
	sp := t.spread(res.R, scale, mean, resid, psi, workers)
	res.T, res.VB, res.V0 = sp.psi, sp.vb, sp.v0
	res.TopUnit, res.TopPsi = t.ids[sp.top], sp.topPsi

	meanPsi := sp.psi / n
	var parts [Buckets]float64
	t.eachBucket(workers, func(b, from, to int) {
		s := 0.0
		for _, v := range psi[from:to] {
			dev := v - meanPsi
			s += float64(dev * dev)
		}
		parts[b] = s
	})
	total := 0.0
	for _, s := range parts {
		total += s
	}
	res.VCR = float64(n/(n-1)) * total
	res.V = math.Max(res.VCR, math.Max(res.VB, res.V0))
	res.SE = math.Sqrt(res.V)
	res.Counterfactual = float64(res.Observed) - res.T
	return sp.top
}

// levels computes residuals and the weighted sums over them.
func (t *Table) levels(res *Result, resid []float64, workers int) levels {
	var parts [Buckets]levels
	t.eachBucket(workers, func(b, from, to int) {
		lv := levels{minP: math.Inf(1)}
		for i := from; i < to; i++ {
			m := &res.Models[t.fold[i]]
			q := m.Intercept
			for j, v := range t.x[i*t.d : (i+1)*t.d] {
				q += float64(m.Coef[j] * (v - res.Centre[j]))
			}
			r, p := t.y[i]-q, t.p[i]
			resid[i] = r
			lv.r += r
			lv.p += p
			lv.pq += float64(p * (1 - p))
			lv.c += 1/p - 1
			lv.minP = math.Min(lv.minP, p)
			if !t.holdout[i] {
				continue
			}
			w := 1 / p
			w2 := float64(w * w)
			lv.held++
			lv.w += w
			lv.wr += float64(w * r)
			lv.w2 += w2
			lv.maxW2 = math.Max(lv.maxW2, w2)
			if t.y[i] != 0 {
				lv.payers++
			}
		}
		parts[b] = lv
	})
	total := levels{minP: math.Inf(1)}
	for b := range parts {
		if t.start[b] < t.start[b+1] {
			total.merge(&parts[b])
		}
	}
	return total
}

// spread computes the scores and the two variances that need no mean score.
func (t *Table) spread(level, scale, mean float64, resid, psi []float64, workers int) spread {
	var parts [Buckets]spread
	t.eachBucket(workers, func(b, from, to int) {
		s := spread{top: -1}
		for i := from; i < to; i++ {
			dev, p := resid[i]-level, t.p[i]
			v := dev
			if t.holdout[i] {
				w := float64((1 / p) * scale)
				v = float64((1 - w) * dev)
				s.vb += float64(float64(w*(w-1)) * float64(dev*dev))
			}
			psi[i] = v
			s.psi += v
			off := resid[i] - mean
			s.v0 += float64((1/p - 1) * float64(off*off))
			if s.top < 0 || v > s.topPsi {
				s.top, s.topPsi = i, v
			}
		}
		parts[b] = s
	})
	total := spread{top: -1}
	for b := range parts {
		if t.start[b] == t.start[b+1] {
			continue
		}
		s := &parts[b]
		total.psi, total.vb, total.v0 = total.psi+s.psi, total.vb+s.vb, total.v0+s.v0
		if total.top < 0 || s.topPsi > total.topPsi {
			total.top, total.topPsi = s.top, s.topPsi
		}
	}
	return total
}
