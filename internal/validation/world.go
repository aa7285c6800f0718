package validation

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/liftbill/liftbill/domain/ope"
)

// World names a way in which revenue arises. They are invented, and meant to be nasty.
type World string

// The worlds.
const (
	// WorldNew are trial users: 3.3 % pay, log-normal with sigma 0.9.
	WorldNew World = "new"
	// WorldHeavy is the same with Pareto(2.5) revenue, whose skewness is infinite.
	WorldHeavy World = "heavy"
	// WorldSub is 20 % subscribers on four plans with revenue before the period, and 80 % free users.
	WorldSub World = "sub"
)

// payShare is the share of trial users that pay.
const payShare = 0.033

// generator draws units. Its identifiers are made once, in the estimator's order,
// because sorting and naming would cost more than everything else.
type generator struct{ ids []string }

func newGenerator(n int) *generator {
	g := &generator{ids: make([]string, n)}
	for i := range g.ids {
		g.ids[i] = fmt.Sprintf("unit-%07d", i)
	}
	slices.SortFunc(g.ids, func(a, b string) int { return int(ope.BucketOf(a)) - int(ope.BucketOf(b)) })
	return g
}

// stream is the random stream of one replicate of one study.
func stream(seed, study uint64, replicate int) *rand.Rand {
	return rand.New(rand.NewPCG(seed^(study*0x9e3779b97f4a7c15), uint64(replicate))) //nolint:gosec // a simulation is to be repeated; replicates count from 0
}

// units draws n units with holdout share h. lift is the extra revenue of a
// treated payer as a share of its own; truth is what the treated gained in all.
func (g *generator) units(w World, n int, h, lift float64, rng *rand.Rand) (units []ope.Unit, truth float64) {
	units = make([]ope.Unit, n)
	for i := range units {
		u := ope.Unit{ID: g.ids[i], P: h, Holdout: rng.Float64() < h}
		var y float64
		y, u.X = w.draw(rng)
		u.Y = int64(y)
		if !u.Holdout && lift != 0 {
			gain := int64(y * lift)
			u.Y += gain
			truth += float64(gain)
		}
		units[i] = u
	}
	return units, truth
}

// draw is the revenue of one unit in minor units, and its features.
func (w World) draw(rng *rand.Rand) (y float64, x []float64) {
	if w == WorldSub {
		if rng.Float64() < 0.2 {
			pre := planPrice(rng)
			if rng.Float64() < 0.85 {
				y = pre
			}
			return y, []float64{pre, 1}
		}
		return trial(rng, 0), []float64{0, 0}
	}
	x = []float64{2*rng.Float64() - 1, rng.NormFloat64()}
	if w == WorldHeavy {
		if rng.Float64() < payShare*(1+0.3*x[0]) {
			y = 2000 * math.Pow(1-rng.Float64(), -1/2.5)
		}
		return y, x
	}
	return trial(rng, 0.3*x[0]), x
}

// trial is the revenue of a trial user whose chance to pay differs from the mean by a share.
func trial(rng *rand.Rand, tilt float64) float64 {
	if rng.Float64() < payShare*(1+tilt) {
		return 3000 * math.Exp(0.9*rng.NormFloat64())
	}
	return 0
}

// planPrice draws one of four monthly prices, the expensive ones rarely.
func planPrice(rng *rand.Rand) float64 {
	switch v := rng.Float64(); {
	case v < 0.5:
		return 900
	case v < 0.8:
		return 2900
	case v < 0.95:
		return 9900
	default:
		return 49900
	}
}
