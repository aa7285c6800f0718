package validation

import (
	"math"

	"github.com/liftbill/liftbill/domain/ope"
)

// gram sums z z' over z = (1, x - centre, y), weighted.
type gram []float64

func (g gram) add(z []float64, weight float64) {
	for i, a := range z {
		for j, b := range z {
			g[i*len(z)+j] += weight * a * b
		}
	}
}

// form is a' G a.
func (g gram) form(a []float64) float64 {
	s := 0.0
	for i := range a {
		for j := range a {
			s += a[i] * g[i*len(a)+j] * a[j]
		}
	}
	return s
}

// first is the sum of weight times a'z: the row of the constant.
func (g gram) first(a []float64) float64 {
	s := 0.0
	for j := range a {
		s += g[j] * a[j]
	}
	return s
}

// onePass computes estimate and variances again from three Gram matrices per fold
// (weights 1, w and w^2) and the fitted models, without a second look at a unit.
// It shares no code with the estimator. p is the one probability of the baseline.
func onePass(units []ope.Unit, r ope.Result, p float64) [4]float64 {
	d := len(r.Centre)
	size := (d + 2) * (d + 2)
	sums := make([][3]gram, len(r.Models))
	for k := range sums {
		sums[k] = [3]gram{make(gram, size), make(gram, size), make(gram, size)}
	}
	z := make([]float64, d+2)
	var w0, w1, w2 float64
	for i := range units {
		u := &units[i]
		z[0], z[d+1] = 1, float64(u.Y)
		for j, x := range u.X {
			z[j+1] = x - r.Centre[j]
		}
		s := sums[ope.FoldOf(u.ID, len(r.Models))]
		s[0].add(z, 1)
		w0++
		if u.Holdout {
			s[1].add(z, 1/p)
			s[2].add(z, 1/(p*p))
			w1, w2 = w1+1/p, w2+1/(p*p)
		}
	}
	var r1, r2 [3]float64 // sums of w^k r and w^k r^2
	for k, m := range r.Models {
		a := append(append([]float64{-m.Intercept}, negated(m.Coef)...), 1)
		for e := range 3 {
			r1[e] += sums[k][e].first(a)
			r2[e] += sums[k][e].form(a)
		}
	}
	level, scale := r1[1]/w1, w0/w1
	dev := func(e int, w float64) float64 { return r2[e] - 2*level*r1[e] + level*level*w }
	d0, d1, d2 := dev(0, w0), dev(1, w1), dev(2, w2)
	t := (r1[0] - w0*level) - scale*(r1[1]-w1*level)
	vcr := w0 / (w0 - 1) * (d0 - 2*scale*d1 + scale*scale*d2 - t*t/w0)
	return [4]float64{t, vcr, scale*scale*d2 - scale*d1, (1/p - 1) * (r2[0] - r1[0]*r1[0]/w0)}
}

func negated(v []float64) []float64 {
	out := make([]float64, len(v))
	for i := range v {
		out[i] = -v[i]
	}
	return out
}

// arithmetic holds the estimator's sums against onePass, and its bits against other
// numbers of workers and another order of the units: the largest relative difference,
// and how many of the runs gave other bits.
func (g *generator) arithmetic(o Options, study uint64, runs int) (off float64, other int, err error) {
	const h = 0.2
	for i := range runs {
		rng := stream(o.Seed, study, i)
		units, _ := g.units([]World{WorldNew, WorldHeavy, WorldSub}[i%3], len(g.ids), h, 0.1, rng)
		r, err := ope.Estimate(units, len(units[0].X), folds, ope.Options{Lambda: lambda})
		if err != nil {
			return 0, 0, err
		}
		for k, v := range onePass(units, r, h) {
			want := [4]float64{r.T, r.VCR, r.VB, r.V0}[k]
			off = max(off, math.Abs(v-want)/math.Abs(want))
		}
		rng.Shuffle(len(units), func(a, b int) { units[a], units[b] = units[b], units[a] })
		for _, workers := range []int{1, 7, 64} {
			again, err := ope.Estimate(units, len(units[0].X), folds, ope.Options{Lambda: lambda, Workers: workers})
			if err != nil {
				return 0, 0, err
			}
			other += count(again.T != r.T || again.VCR != r.VCR || again.VB != r.VB || again.V0 != r.V0)
		}
	}
	return off, other, nil
}
