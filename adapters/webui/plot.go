package webui

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/money"
)

// Plot is an interval on an axis. Positions are percentages of the width, so that
// the drawing fits every screen and its text keeps its size.
type Plot struct {
	Ticks                         []Tick
	Zero, Point, Low, High, Bound string
	Width                         string // from Low to High
	PointAnchor, BoundAnchor      string
	PointText, BoundText          string
	Summary                       string
}

// Tick is one mark of the axis.
type Tick struct{ X, Label, Anchor string }

// plotOf draws the estimate, or nothing when a number of it is missing.
func plotOf(r reconcile.Readout) *Plot {
	low, high := math.Min(0, r.Bound), math.Max(0, r.Bound)
	for _, v := range []float64{r.Lift, r.IntervalLow, r.IntervalHigh, r.Bound} {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil
		}
		low, high = math.Min(low, v), math.Max(high, v)
	}
	if low == high {
		return nil
	}
	margin := (high - low) * 0.06
	low, high = low-margin, high+margin
	share := func(v float64) float64 { return (v - low) / (high - low) * 100 }
	at := func(v float64) string { return fmt.Sprintf("%.2f%%", share(v)) }
	point, bound := estimate(r.Lift, r.Currency), estimate(r.Bound, r.Currency)
	p := &Plot{
		Zero: at(0), Point: at(r.Lift), Low: at(r.IntervalLow), High: at(r.IntervalHigh), Bound: at(r.Bound),
		Width:       fmt.Sprintf("%.2f%%", share(r.IntervalHigh)-share(r.IntervalLow)),
		PointAnchor: anchor(share(r.Lift)), BoundAnchor: anchor(share(r.Bound)),
	}
	if point != nil && bound != nil {
		p.PointText, p.BoundText = point.Digits, bound.Digits
	}
	step := niceStep((high - low) / 4)
	for i := math.Ceil(low / step); i*step <= high; i++ {
		p.Ticks = append(p.Ticks, Tick{X: at(i * step), Label: compact(i*step, r.Currency), Anchor: anchor(share(i * step))})
	}
	p.Summary = fmt.Sprintf("Measured lift %s, 95 percent interval from %s to %s, scheduled lower bound %s.",
		spoken(r.Lift, r.Currency), spoken(r.IntervalLow, r.Currency), spoken(r.IntervalHigh, r.Currency), spoken(r.Bound, r.Currency))
	return p
}

// anchor keeps text at the edges inside the drawing.
func anchor(percent float64) string {
	switch {
	case percent < 12:
		return "start"
	case percent > 88:
		return "end"
	default:
		return "middle"
	}
}

// niceStep rounds up to 1, 2 or 5 times a power of ten.
func niceStep(v float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5} {
		if v <= m*power {
			return m * power
		}
	}
	return 10 * power
}

// compact shows a tick in major units: "-5", "0", "12.5k", "3M".
func compact(minor float64, currency string) string {
	exp, _ := money.Currency(currency).Exponent()
	major := minor / math.Pow10(int(exp))
	suffix := ""
	for _, unit := range []struct {
		size   float64
		suffix string
	}{{1e9, "B"}, {1e6, "M"}, {1e3, "k"}} {
		if math.Abs(major) >= unit.size {
			major, suffix = major/unit.size, unit.suffix
			break
		}
	}
	text := strconv.FormatFloat(major, 'f', 2, 64)
	text = strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
	if text == "-0" {
		text = "0"
	}
	return text + suffix
}

func spoken(v float64, currency string) string {
	a := estimate(v, currency)
	if a == nil {
		return "unknown"
	}
	return a.Digits + " " + a.Currency
}
