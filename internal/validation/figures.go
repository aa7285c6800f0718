package validation

import (
	"fmt"
	"strings"

	"github.com/liftbill/liftbill/domain/lift"
)

// Figures are the SVG files of the page by name.
func Figures(r Report) map[string]string {
	return map[string]string{"calibration.svg": calibration(r.Cells[0]), "overbilling.svg": overbilling(r.Cells), "power.svg": power(r.Power), "years.svg": years(r.Years)}
}

func calibration(c Cell) string {
	f := newFigure(720, 405, "The billed bound keeps what it promises, the textbook's does not",
		fmt.Sprintf("Runs without lift that were overbilled, by nominal error (%s, %d units, holdout %g, %d runs)", c.World, c.Units, c.Holdout, c.Runs))
	p := f.axes(60, 110, 630, 240, 10.5, 20, 5, "")
	for _, v := range []float64{0, 2, 4, 6, 8, 10} {
		p.tick(v, 0, fmt.Sprintf("%.0f", v))
	}
	p.label("nominal error rate, %")
	p.path([]float64{0, 10}, []float64{0, 10}, neutral, `stroke-width="1.5" stroke-dasharray="4 3"`)
	xs, max3, cr := []float64{0}, []float64{0}, []float64{0}
	for i, a := range alphas {
		xs, max3, cr = append(xs, 100*a), append(max3, c.rate(c.Over[i])), append(cr, c.rate(c.OverCR[i]))
	}
	p.path(xs[1:], cr[1:], textbook, `stroke-width="2.5"`)
	p.path(xs[1:], max3[1:], billed, `stroke-width="2.5"`)
	for i, a := range alphas {
		p.share(100*a, c.OverCR[i], c.Runs, textbook)
		p.share(100*a, c.Over[i], c.Runs, billed)
	}
	x := f.key(60, 82, lineMark, billed, "largest of three variances (billed)")
	x = f.key(x, 82, lineMark, textbook, "cluster-robust alone (textbook)")
	f.key(x, 82, dashMark, neutral, "as promised")
	return f.done()
}

// overbilling draws a panel per world: groups of size, holdout shares within.
func overbilling(cells []Cell) string {
	f := newFigure(1000, 390, "A small holdout and skewed revenue break the textbook's 5 %",
		"Runs without lift that were overbilled at a nominal 5 %, by holdout share and number of units; bars are the Monte-Carlo uncertainty")
	x := f.key(60, 82, dotMark, billed, "largest of three variances (billed)")
	x = f.key(x, 82, dotMark, textbook, "cluster-robust alone (textbook)")
	f.key(x, 82, dashMark, neutral, "5 % promised")
	sizes, shares := sizesOf(cells), []float64{0.1, 0.3, 0.5}
	for w, world := range []World{WorldNew, WorldHeavy, WorldSub} {
		slots := float64(len(sizes) * (len(shares) + 1))
		p := f.axes(60+float64(w)*318, 130, 276, 210, slots, 22, 5, worldNames[world])
		p.path([]float64{0, slots}, []float64{5, 5}, neutral, `stroke-width="1.5" stroke-dasharray="4 3"`)
		for n, size := range sizes {
			at := float64(n * (len(shares) + 1))
			for s, share := range shares {
				c, ok := cellOf(cells, world, size, share)
				if !ok {
					continue
				}
				v := at + float64(s) + 1
				p.share(v+0.17, c.OverCR[at5], c.Runs, textbook)
				p.share(v-0.17, c.Over[at5], c.Runs, billed)
				p.tick(v, 0, strings.TrimPrefix(fmt.Sprintf("%g", share), "0"))
			}
			p.tick(at+2, 1, fmt.Sprintf("n = %d,000", size/1000))
		}
		if w == 0 {
			f.text(p.left-12, p.top+p.height+16, "end", neutral, "h =")
		}
	}
	return f.done()
}

var worldNames = map[World]string{
	WorldNew: "new: trial users, 3.3 % pay", WorldHeavy: "heavy: the same, infinite skewness", WorldSub: "sub: subscribers and free users",
}

// sizesOf lists the sizes of the cells, ascending.
func sizesOf(cells []Cell) []int {
	var out []int
	for _, size := range []int{2000, 10_000, 50_000} {
		for _, c := range cells {
			if c.Units == size {
				out = append(out, size)
				break
			}
		}
	}
	return out
}

func cellOf(cells []Cell, w World, units int, h float64) (Cell, bool) {
	for _, c := range cells {
		if c.World == w && c.Units == units && c.Holdout == h {
			return c, true
		}
	}
	return Cell{}, false
}

// expectedPower is the planner's chance of proof at the settlement for a lift in standard errors.
func expectedPower(snr float64) float64 {
	// With one unit and a holdout of one half the total is Lift/2 and its error is SD.
	return lift.Power{Units: 1, SD: 1, Lift: 2 * snr, Holdout: 0.5, Z: upperZ(0.028)}.Chance()
}

func power(cells []Cell) string {
	f := newFigure(720, 405, "Skewed revenue needs more than the planner's formula says",
		"Chance that a lift is proven at the settlement (2.8 %), by true lift in standard errors of the estimate")
	p := f.axes(60, 110, 630, 240, 6, 100, 20, "")
	var xs, ys []float64
	for i := range 61 {
		x := float64(i) / 10
		xs, ys = append(xs, x), append(ys, 100*expectedPower(x))
	}
	for i := range 7 {
		p.tick(float64(i), 0, fmt.Sprint(i))
	}
	p.label("true lift, standard errors")
	p.path(xs, ys, neutral, `stroke-width="2.5"`)
	for _, c := range cells {
		p.share(min(c.SNR, 6), c.Found, c.Runs, billed)
	}
	x := f.key(60, 82, lineMark, neutral, "planner (normal errors)")
	f.key(x, 82, dotMark, billed, "simulated (new, 5,000 units, holdout 0.3)")
	return f.done()
}

// The lines of the years: a colour per basis, a stroke per settlement, so that lines
// which run on top of each other can both be seen.
var (
	basisColours     = map[lift.Basis]string{lift.BasisMeasured: "#2f6fb2", lift.BasisProven: billed}
	settlementMarks  = map[lift.Settlement]mark{lift.SettleProvenLift: lineMark, lift.SettleProvenThenPoint: dashMark, lift.SettlePointTwoWay: dotsMark}
	settlementStroke = map[lift.Settlement]string{
		lift.SettleProvenLift: `stroke-width="2.5"`, lift.SettleProvenThenPoint: `stroke-width="2.5" stroke-dasharray="8 5"`, lift.SettlePointTwoWay: `stroke-width="2.5" stroke-dasharray="2 4"`,
	}
)

// years draws both sides of the bargain: how often too much, and how much of what is there.
func years(all []Years) string {
	f := newFigure(980, 425, "Only the proven bound is rarely too high, and it leaves lift unbilled",
		"Contract years of a constant true lift, in standard errors (SE) of one month's estimate; sticky subscribers, one snapshot, default schedule")
	top := yearLifts[len(yearLifts)-1]
	left := f.axes(60, 150, 400, 220, top, 100, 20, "years in which the total was ever above the true lift")
	right := f.axes(550, 150, 400, 220, top, 140, 20, "part of the true lift that the year bills")
	left.path([]float64{0, top}, []float64{5, 5}, neutral, `stroke-width="1.5" stroke-dasharray="4 3"`)
	right.path([]float64{0, top}, []float64{100, 100}, neutral, `stroke-width="1.5" stroke-dasharray="4 3"`)
	for _, p := range []*panel{left, right} {
		for _, v := range yearLifts {
			p.tick(v, 0, fmt.Sprintf("%g", v))
		}
		p.label("true lift of a month, SE")
	}
	x, y := 60.0, 82.0
	for _, rule := range lift.Rules() {
		colour, stroke := basisColours[rule.Basis], settlementStroke[rule.Settlement]
		var xs, over, part []float64
		for _, gain := range yearLifts {
			v := yearOf(all, rule, true, gain)
			xs, over = append(xs, gain), append(over, v.rate(v.Over))
			if gain > 0 {
				part = append(part, 100*v.captured())
			}
		}
		left.path(xs, over, colour, stroke)
		right.path(xs[1:], part, colour, stroke)
		for _, gain := range yearLifts {
			v := yearOf(all, rule, true, gain)
			left.share(gain, v.Over, v.Runs, colour)
		}
		if x > 700 {
			x, y = 60, y+22
		}
		x = f.key(x, y, settlementMarks[rule.Settlement], colour, fmt.Sprintf("%s, %s", rule.Basis, rule.Settlement))
	}
	return f.done()
}
