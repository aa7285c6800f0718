package webui

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/period"
)

// Trend draws the lift of a contract year, period by period. Places along the axis are
// percentages of the width and heights are pixels, so that text keeps its size.
type Trend struct {
	Points  []TrendMark
	Ticks   []TrendTick
	Zero    string
	Height  int
	Base    string // where the labels of the periods stand
	Summary string
}

// TrendMark is one period: an interval, its point, the bound, and the high-water mark as a
// step from the left edge of the period to its right one.
type TrendMark struct {
	reconcile.TrendPoint
	X, Left, Right               string
	Point, Low, High, BoundAt    string
	Mark, MarkBefore             string
	Label, Name                  string
	LiftText, BoundText, LowText *Amount
	HighText, MarkText           *Amount
	State                        StateView
	Rises, Known, HasMark        bool
}

// TrendTick is one mark of the axis of amounts.
type TrendTick struct{ Y, TextY, Label string }

// Measures of the drawing.
const (
	trendTop    = 10.0
	trendHeight = 200.0
	trendLeft   = 9.0 // percent, for the amounts
)

// trendOf draws the periods that have an estimate; nothing below two of them.
func trendOf(points []reconcile.TrendPoint, currency string) *Trend {
	low, high, n := 0.0, 0.0, 0
	for _, p := range points {
		high = math.Max(high, float64(p.MarkMinor))
		if finite(p) {
			n++
			low, high = min(low, p.IntervalLow, p.Bound), max(high, p.IntervalHigh, p.Bound)
		}
	}
	if n < 2 || low == high {
		return nil
	}
	y := func(v float64) string {
		return fmt.Sprintf("%.1f", trendTop+(high-v)/(high-low)*trendHeight)
	}
	t := &Trend{Zero: y(0), Height: int(trendTop + trendHeight + 30), Base: fmt.Sprintf("%.0f", trendTop+trendHeight+22)}
	step := niceStep((high - low) / 4)
	for i := math.Ceil(low / step); i*step <= high; i++ {
		at := trendTop + (high-i*step)/(high-low)*trendHeight
		t.Ticks = append(t.Ticks, TrendTick{Y: fmt.Sprintf("%.1f", at), TextY: fmt.Sprintf("%.1f", at+4), Label: compact(i*step, currency)})
	}
	width := (100 - trendLeft) / float64(len(points))
	percentAt := func(v float64) string { return fmt.Sprintf("%.2f%%", v) }
	before := int64(0)
	for i, p := range points {
		left := trendLeft + float64(i)*width
		m := TrendMark{
			TrendPoint: p, Known: finite(p), Left: percentAt(left), Right: percentAt(left + width), X: percentAt(left + width/2), Name: month(p.Period), Label: shortMonth(p.Period), State: stateOf(p.Verdict),
			Mark: y(float64(p.MarkMinor)), MarkBefore: y(float64(before)), Rises: p.MarkMinor > before, HasMark: p.MarkMinor > 0 || before > 0, MarkText: amountOf(&p.MarkMinor, currency),
		}
		if m.Known {
			m.Point, m.Low, m.High, m.BoundAt = y(p.Lift), y(p.IntervalLow), y(p.IntervalHigh), y(p.Bound)
			m.LiftText, m.BoundText, m.LowText, m.HighText = estimate(p.Lift, currency), estimate(p.Bound, currency), estimate(p.IntervalLow, currency), estimate(p.IntervalHigh, currency)
		}
		before = p.MarkMinor
		t.Points = append(t.Points, m)
	}
	last := points[len(points)-1]
	t.Summary = fmt.Sprintf("The measured lift of the contract year over %d periods, from %s to %s; the last one is %s, and %s of it are billed.",
		len(points), t.Points[0].Name, month(last.Period), spoken(last.Lift, currency), spoken(float64(last.MarkMinor), currency))
	return t
}

func finite(p reconcile.TrendPoint) bool {
	for _, v := range []float64{p.Lift, p.IntervalLow, p.IntervalHigh, p.Bound} {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return false
		}
	}
	return true
}

// shortMonth is "Oct" for "2026-10" and "Year" for a settlement.
func shortMonth(s string) string {
	m, err := period.Parse(s)
	switch {
	case err != nil:
		return s
	case m.IsSettlement():
		return "Year"
	}
	return m.Name()[:3]
}

// armWeights is the distribution of the weights of one arm.
type armWeights struct {
	Arm   string
	Units int64
	Bins  []weightBin
	Of    string // what is counted
}

type weightBin struct {
	Label, Share, Width string
	Units               int64
}

// maxBins is how many bars an arm has; more distinct weights share bars of equal width.
const maxBins = 10

// weightsOf draws the weights of each arm, the holdout first.
func weightsOf(all []reconcile.WeightCount) []armWeights {
	var out []armWeights
	for _, holdout := range []bool{true, false} {
		arm := armWeights{Arm: "Policy", Of: "users"}
		if holdout {
			arm.Arm = "Holdout"
		}
		rows := slices.DeleteFunc(slices.Clone(all), func(w reconcile.WeightCount) bool { return w.Holdout != holdout })
		if len(rows) == 0 {
			continue
		}
		bins := binned(rows)
		var most int64
		for _, b := range bins {
			arm.Units, most = arm.Units+b.Units, max(most, b.Units)
		}
		for _, b := range bins {
			b.Share, b.Width = percent(b.Units, arm.Units), coordinate(math.Max(2, float64(b.Units)/float64(most)*1000))
			arm.Bins = append(arm.Bins, b)
		}
		out = append(out, arm)
	}
	return out
}

func binned(rows []reconcile.WeightCount) []weightBin {
	text := func(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
	if len(rows) <= maxBins {
		var out []weightBin
		for _, r := range rows {
			out = append(out, weightBin{Label: text(r.Weight), Units: r.Units})
		}
		return out
	}
	low, high := rows[0].Weight, rows[len(rows)-1].Weight
	size := (high - low) / maxBins
	out := make([]weightBin, maxBins)
	for i := range out {
		out[i].Label = fmt.Sprintf("%.2f to %.2f", low+float64(i)*size, low+float64(i+1)*size)
	}
	for _, r := range rows {
		out[min(maxBins-1, int((r.Weight-low)/size))].Units += r.Units
	}
	return slices.DeleteFunc(out, func(b weightBin) bool { return b.Units == 0 })
}
