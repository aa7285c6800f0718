package ope_test

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/liftbill/liftbill/domain/ope"
)

// world is a synthetic population: a share of payers with log-normal revenue, d
// features of which the first explains revenue, and a constant lift for treated payers.
type world struct {
	n, d   int
	h      float64
	payers float64
	lift   float64
	seed   uint64
}

func (w world) units() []ope.Unit {
	rng := rand.New(rand.NewPCG(w.seed, 0x9e3779b97f4a7c15))
	units := make([]ope.Unit, w.n)
	for i := range units {
		u := ope.Unit{ID: fmt.Sprintf("user-%d-%d", w.seed, i), P: w.h, Holdout: rng.Float64() < w.h, X: make([]float64, w.d)}
		for j := range u.X {
			u.X[j] = rng.NormFloat64() * float64(j+1)
		}
		if rng.Float64() < w.payers {
			y := 3000 * math.Exp(0.9*rng.NormFloat64())
			if w.d > 0 {
				y += 500 * u.X[0]
			}
			if !u.Holdout {
				y += w.lift
			}
			u.Y = int64(y)
		}
		units[i] = u
	}
	return units
}

// truth is the lift that the world really has, in minor units.
func (w world) truth(units []ope.Unit) float64 {
	n := 0
	for _, u := range units {
		if !u.Holdout && u.Y != 0 {
			n++
		}
	}
	return w.lift * float64(n)
}
