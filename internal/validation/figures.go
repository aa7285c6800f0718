package validation

import (
	"fmt"
	"html"
	"strings"

	"github.com/liftbill/liftbill/domain/lift"
)

// plot is a figure under construction; x and y are scaled to maxX and maxY.
type plot struct {
	strings.Builder
	maxX, maxY float64
}

// The drawing area inside a figure of 640 x 400.
const (
	left, top, width, height = 60.0, 48.0, 620.0, 292.0
	billed, textbook         = "#0b6e4f", "#c8553d"
	neutral                  = "#667085"
)

func newPlot(title, xLabel, yLabel string, maxX, maxY float64) *plot {
	p := &plot{maxX: maxX, maxY: maxY}
	fmt.Fprint(p, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 860 410" width="860" height="410" role="img" font-family="sans-serif" font-size="12">`+
		`<rect width="860" height="410" fill="#ffffff"/>`+"\n")
	p.text(left, 22, "start", "#101828", title)
	p.text(left+width/2, 400, "middle", neutral, xLabel)
	p.text(left, top-6, "start", neutral, yLabel)
	for i := range 6 {
		v := maxY * float64(i) / 5
		fmt.Fprintf(p, `<line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f" stroke="#e4e7ec"/>`+"\n", left, left+width, p.y(v), p.y(v))
		p.text(left-6, p.y(v)+4, "end", neutral, fmt.Sprintf("%.3g", v))
	}
	return p
}

func (p *plot) x(v float64) float64 { return left + width*v/p.maxX }
func (p *plot) y(v float64) float64 { return top + height - height*min(v, p.maxY)/p.maxY }

func (p *plot) text(x, y float64, anchor, colour, s string) {
	fmt.Fprintf(p, `<text x="%.1f" y="%.1f" text-anchor="%s" fill="%s">%s</text>`+"\n", x, y, anchor, colour, html.EscapeString(s))
}

func (p *plot) ticks(n int, format string) {
	for i := range n + 1 {
		v := p.maxX * float64(i) / float64(n)
		p.text(p.x(v), top+height+18, "middle", neutral, fmt.Sprintf(format, v))
	}
}

// line joins points; dash is a stroke-dasharray, empty for a solid line.
func (p *plot) line(xs, ys []float64, colour, dash string) {
	var pts []string
	for i := range xs {
		pts = append(pts, fmt.Sprintf("%.1f,%.1f", p.x(xs[i]), p.y(ys[i])))
	}
	fmt.Fprintf(p, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2" stroke-dasharray="%s"/>`+"\n", strings.Join(pts, " "), colour, dash)
}

func (p *plot) dot(x, y float64, colour string) {
	fmt.Fprintf(p, `<circle cx="%.1f" cy="%.1f" r="4" fill="%s"/>`+"\n", p.x(x), p.y(y), colour)
}

// key writes one entry of the legend on the right.
func (p *plot) key(row int, colour, s string) {
	y := top + 14 + 20*float64(row)
	fmt.Fprintf(p, `<circle cx="%.1f" cy="%.1f" r="4" fill="%s"/>`+"\n", left+width+16, y-4, colour)
	p.text(left+width+26, y, "start", "#101828", s)
}

func (p *plot) done() string { return p.String() + "</svg>\n" }

// Figures are the SVG files of the page by name.
func Figures(r Report) map[string]string {
	return map[string]string{"calibration.svg": calibration(r.Cells[0]), "overbilling.svg": overbilling(r.Cells), "power.svg": power(r.Power)}
}

func calibration(c Cell) string {
	p := newPlot(fmt.Sprintf("Overbilling at nominal error rates (%s, %d units, h = %g, no lift)", c.World, c.Units, c.Holdout),
		"nominal error rate, %", "observed, %", 10, 20)
	p.ticks(5, "%.0f")
	p.line([]float64{0, 10}, []float64{0, 10}, neutral, "4 4")
	var xs, max3, cr []float64
	for i, a := range alphas {
		xs, max3, cr = append(xs, 100*a), append(max3, c.rate(c.Over[i])), append(cr, c.rate(c.OverCR[i]))
	}
	p.line(xs, cr, textbook, "")
	p.line(xs, max3, billed, "")
	for i := range xs {
		p.dot(xs[i], cr[i], textbook)
		p.dot(xs[i], max3[i], billed)
	}
	p.key(0, billed, "largest variance")
	p.key(1, textbook, "cluster-robust")
	p.key(2, neutral, "as promised")
	return p.done()
}

func overbilling(cells []Cell) string {
	p := newPlot("Overbilling at a nominal 5 %, without lift", "world, units, holdout share", "observed, %", float64(len(cells)), 20)
	p.line([]float64{0, float64(len(cells))}, []float64{5, 5}, neutral, "4 4")
	for i, c := range cells {
		for j, bar := range []struct {
			v      float64
			colour string
		}{{c.rate(c.Over[at5]), billed}, {c.rate(c.OverCR[at5]), textbook}} {
			fmt.Fprintf(p, `<rect x="%.1f" y="%.1f" width="11" height="%.1f" fill="%s"/>`+"\n",
				p.x(float64(i))+3+12*float64(j), p.y(bar.v), top+height-p.y(bar.v), bar.colour)
		}
		x := p.x(float64(i) + 0.5)
		p.text(x, top+height+13, "middle", neutral, string(c.World))
		p.text(x, top+height+25, "middle", neutral, fmt.Sprintf("%dk", c.Units/1000))
		p.text(x, top+height+37, "middle", neutral, fmt.Sprintf("%g", c.Holdout))
	}
	p.key(0, billed, "largest variance")
	p.key(1, textbook, "cluster-robust")
	p.key(2, neutral, "as promised")
	return p.done()
}

// expectedPower is the planner's chance of proof at the settlement for a lift in standard errors.
func expectedPower(snr float64) float64 {
	// With one unit and a holdout of one half the total is Lift/2 and its error is SD.
	return lift.Power{Units: 1, SD: 1, Lift: 2 * snr, Holdout: 0.5, Z: upperZ(0.028)}.Chance()
}

func power(cells []Cell) string {
	p := newPlot("Chance that a lift is proven at the settlement", "true lift, standard errors", "probability, %", 6, 100)
	p.ticks(6, "%.0f")
	var xs, ys []float64
	for i := range 61 {
		x := float64(i) / 10
		xs, ys = append(xs, x), append(ys, 100*expectedPower(x))
	}
	p.line(xs, ys, neutral, "")
	for _, c := range cells {
		p.dot(min(c.SNR, 6), c.rate(c.Found), billed)
	}
	p.key(0, neutral, "planner")
	p.key(1, billed, "simulated (new)")
	return p.done()
}
