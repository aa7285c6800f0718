package validation

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// The colours: what is billed, what the textbook says, what was promised.
const (
	billed, textbook = "#0b6e4f", "#c8553d"
	ink, neutral     = "#101828", "#667085"
	rule, paper      = "#e4e7ec", "#ffffff"
)

// figure is an SVG under construction.
type figure struct{ strings.Builder }

// newFigure begins with a title that says what is to be seen, and a line below it.
func newFigure(width, height int, title, subtitle string) *figure {
	f := &figure{}
	fmt.Fprintf(f, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %[1]d %[2]d" width="%[1]d" height="%[2]d" role="img" font-family="system-ui, sans-serif" font-size="12">`+"\n"+
		`<title>%[3]s</title>`+"\n"+`<rect width="%[1]d" height="%[2]d" fill="%[4]s"/>`+"\n", width, height, html.EscapeString(title), paper)
	fmt.Fprintf(f, `<text x="20" y="28" font-size="16" font-weight="600" fill="%s">%s</text>`+"\n", ink, html.EscapeString(title))
	f.text(20, 48, "start", neutral, subtitle)
	return f
}

func (f *figure) text(x, y float64, anchor, colour, s string) {
	fmt.Fprintf(f, `<text x="%.1f" y="%.1f" text-anchor="%s" fill="%s">%s</text>`+"\n", x, y, anchor, colour, html.EscapeString(s))
}

func (f *figure) line(x1, y1, x2, y2 float64, colour, style string) {
	fmt.Fprintf(f, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s" %s/>`+"\n", x1, y1, x2, y2, colour, style)
}

// label names the axis of x, below the ticks.
func (p *panel) label(s string) {
	p.text(p.left+p.width/2, p.top+p.height+38, "middle", neutral, s)
}

// mark is the sample of a legend entry.
type mark int

const (
	dotMark mark = iota
	lineMark
	dashMark
	dotsMark
)

// key writes one entry of a legend and returns where the next one may begin.
func (f *figure) key(x, y float64, m mark, colour, s string) float64 {
	switch m {
	case dotMark:
		fmt.Fprintf(f, `<circle cx="%.1f" cy="%.1f" r="4" fill="%s"/>`+"\n", x+7, y-4, colour)
	case lineMark:
		f.line(x, y-4, x+16, y-4, colour, `stroke-width="2.5"`)
	case dashMark:
		f.line(x, y-4, x+16, y-4, colour, `stroke-width="2" stroke-dasharray="6 4"`)
	case dotsMark:
		f.line(x, y-4, x+16, y-4, colour, `stroke-width="2.5" stroke-dasharray="2 3"`)
	}
	f.text(x+22, y, "start", ink, s)
	return x + 22 + 6.4*float64(len([]rune(s))) + 22
}

func (f *figure) done() string { return f.String() + "</svg>\n" }

// panel is one pair of axes; x runs from 0 to maxX and y from 0 to maxY.
type panel struct {
	*figure
	left, top, width, height float64
	maxX, maxY               float64
}

// axes draws the grid with steps of y, in percent, and the panel's name above.
func (f *figure) axes(left, top, width, height, maxX, maxY, step float64, name string) *panel {
	p := &panel{f, left, top, width, height, maxX, maxY}
	f.text(left, top-12, "start", ink, name)
	for i := 0; float64(i)*step <= maxY*1.0001; i++ {
		v := float64(i) * step
		colour := rule
		if i == 0 {
			colour = neutral
		}
		f.line(left, p.y(v), left+width, p.y(v), colour, "")
		label := fmt.Sprintf("%g", v)
		if float64(i+1)*step > maxY*1.0001 {
			label += " %"
		}
		f.text(left-6, p.y(v)+4, "end", neutral, label)
	}
	return p
}

func (p *panel) x(v float64) float64 { return p.left + p.width*min(v, p.maxX)/p.maxX }
func (p *panel) y(v float64) float64 { return p.top + p.height - p.height*min(v, p.maxY)/p.maxY }

// tick writes a value below the axis, row 0 right below it.
func (p *panel) tick(v float64, row int, s string) {
	p.text(p.x(v), p.top+p.height+16+14*float64(row), "middle", neutral, s)
}

// path joins points.
func (p *panel) path(xs, ys []float64, colour, style string) {
	pts := make([]string, len(xs))
	for i := range xs {
		pts[i] = fmt.Sprintf("%.1f,%.1f", p.x(xs[i]), p.y(ys[i]))
	}
	fmt.Fprintf(p, `<polyline points="%s" fill="none" stroke="%s" stroke-linejoin="round" %s/>`+"\n", strings.Join(pts, " "), colour, style)
}

// share draws a rate of runs in percent with its 95 % Monte-Carlo interval (Wilson).
func (p *panel) share(x float64, count, runs int, colour string) {
	low, high := wilson(count, runs)
	p.line(p.x(x), p.y(100*low), p.x(x), p.y(100*high), colour, `stroke-width="1.5" stroke-opacity="0.45"`)
	fmt.Fprintf(p, `<circle cx="%.1f" cy="%.1f" r="4" fill="%s" stroke="%s" stroke-width="1"/>`+"\n", p.x(x), p.y(100*float64(count)/float64(runs)), colour, paper)
}

// wilson is Wilson's 95 % score interval of a rate.
func wilson(count, runs int) (low, high float64) {
	const z = displayed
	n, rate := float64(runs), float64(count)/float64(runs)
	mid := (rate + z*z/(2*n)) / (1 + z*z/n)
	half := z / (1 + z*z/n) * math.Sqrt(rate*(1-rate)/n+z*z/(4*n*n))
	return max(0, mid-half), min(1, mid+half)
}
