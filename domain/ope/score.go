package ope

import "iter"

// Scorer computes the score of single units, for a second pass over them.
type Scorer struct {
	layout Layout
	models []Model
	level  float64
	scale  float64
}

// Scorer scores under this result, which must be one of the capped outcome.
func (r *Result) Scorer(l Layout) Scorer {
	return Scorer{layout: l, models: r.Models, level: r.R, scale: float64(r.Units) / r.W}
}

// Psi is (1 - w~)(r - R) of a unit in minor units.
func (s Scorer) Psi(u *Unit, fold int) float64 {
	m := &s.models[fold]
	q := m.Intercept
	for j, v := range u.X {
		q += float64(m.Coef[j] * (v - s.layout.Centre[j]))
	}
	dev := float64(s.layout.capped(u.Y)) - q - s.level
	if !u.Holdout {
		return dev
	}
	return float64((1 - float64((1/u.P)*s.scale)) * dev)
}

// Top is the unit with the largest score of what was looked at.
type Top struct {
	Found  bool
	Bucket int
	UnitID string
	Psi    float64
}

// Look takes the next unit in canonical order; among equals the first one stays.
func (t *Top) Look(bucket int, unitID string, psi float64) {
	if !t.Found || psi > t.Psi {
		*t = Top{Found: true, Bucket: bucket, UnitID: unitID, Psi: psi}
	}
}

// Merge takes the top of later buckets.
func (t *Top) Merge(later Top) {
	if later.Found {
		t.Look(later.Bucket, later.UnitID, later.Psi)
	}
}

// Remove completes the result with the unit that speaks most for the lift and with
// the estimate without it. buckets are the moments of all buckets with that of
// top.Bucket made again without the unit. A rest that is refused leaves none.
func (r *Result) Remove(top Top, s Spec, l Layout, buckets iter.Seq2[int, *Partial]) {
	r.TopUnit, r.TopPsi = top.UnitID, top.Psi
	m, err := Merge(l, buckets)
	if err != nil {
		return
	}
	if rest, err := m.Estimate(s); err == nil {
		r.WithoutTop = &Reduced{T: rest.T, SE: rest.SE}
	}
}
