package lift

import (
	"math"
	"sort"
)

// Balance holds what the decisions of one table say about the randomisation, beside
// what the estimator sees of it. It is counted when the inputs are frozen.
type Balance struct {
	// Strata compares the baseline's share with its probability by surface and
	// calendar month (UTC); Actions the actions with their logged propensities;
	// Deciles the baseline's share by decile of its probability. nil where there is
	// nothing to compare.
	Strata  *ChiSquare `json:"strata,omitempty"`
	Actions *ChiSquare `json:"actions,omitempty"`
	Deciles *ChiSquare `json:"deciles,omitempty"`
	// Decisions counts baseline decisions with per-decision randomisation, where the
	// units' own counts depend on how many decisions they came to make; nil otherwise.
	Decisions *DecisionCount `json:"decisions,omitempty"`
	// MeanProbability is the mean over the units of the baseline's probability.
	MeanProbability Hex `json:"mean_probability"`
}

// ChiSquare is one goodness-of-fit statistic.
type ChiSquare struct {
	Statistic Hex `json:"statistic"`
	// Degrees of freedom.
	Degrees int `json:"degrees"`
	// Worst names the cell that is furthest off, WorstZ by how many standard deviations.
	Worst  string `json:"worst"`
	WorstZ Hex    `json:"worst_z"`
}

// DecisionCount compares the number of baseline decisions with its expectation.
type DecisionCount struct {
	Decisions int `json:"decisions"`
	Observed  int `json:"observed"`
	Expected  Hex `json:"expected"`
	Z         Hex `json:"z"`
}

// leastExpected is the smallest expected count of a cell; smaller cells are pooled.
const leastExpected = 5

// draw is one randomisation: whether the baseline came, with which probability.
type draw struct {
	held bool
	p    float64
}

// cell sums draws: n, how many were on the baseline, sum p and sum p(1-p).
type cell struct {
	n, held int
	p, pq   float64
}

func (c *cell) add(d draw) {
	c.n++
	if d.held {
		c.held++
	}
	c.p += d.p
	c.pq += float64(d.p * (1 - d.p))
}

func (c *cell) merge(o *cell) {
	c.n, c.held = c.n+o.n, c.held+o.held
	c.p, c.pq = c.p+o.p, c.pq+o.pq
}

// large reports whether both sides are expected often enough for the approximation.
func (c *cell) large() bool { return c.p >= leastExpected && float64(c.n)-c.p >= leastExpected }

// z is how far the count is off, in standard deviations.
func (c *cell) z() float64 { return (float64(c.held) - c.p) / math.Sqrt(c.pq) }

// balancer collects the draws of one table, in canonical order of the units.
type balancer struct {
	perDecision bool
	strata      map[string]*cell
	all         cell
	probs       []draw
	observed    map[string]int
	expected    map[string]float64
	units       int
	unitProb    float64
}

func newBalancer(perDecision bool) *balancer {
	return &balancer{perDecision: perDecision, strata: map[string]*cell{}, observed: map[string]int{}, expected: map[string]float64{}}
}

// decide takes one draw and the decision that shows it.
func (b *balancer) decide(e *Exposure, d draw) {
	name := e.At.UTC().Format("2006-01")
	if e.Surface != "" {
		name = e.Surface + " " + name
	}
	if b.strata[name] == nil {
		b.strata[name] = &cell{}
	}
	b.strata[name].add(d)
	if b.perDecision {
		b.all.add(d)
		b.probs = append(b.probs, d)
	}
	if len(e.Actions) == 0 {
		return
	}
	b.observed[e.Action]++
	for i, a := range e.Actions {
		b.expected[a] += e.Propensity[i]
	}
}

// unit takes the probability of one row of the table.
func (b *balancer) unit(p float64) {
	b.units++
	b.unitProb += p
}

// balance computes the statistics.
func (b *balancer) balance() Balance {
	out := Balance{Strata: chiSquareOf(pooledCells(b.strata)), Actions: b.actions()}
	if b.units > 0 {
		out.MeanProbability = Hex(b.unitProb / float64(b.units))
	}
	if b.perDecision {
		out.Deciles = chiSquareOf(deciles(b.probs))
		if b.all.pq > 0 {
			out.Decisions = &DecisionCount{Decisions: b.all.n, Observed: b.all.held, Expected: Hex(b.all.p), Z: Hex(b.all.z())}
		}
	}
	return out
}

// named is a cell with what it stands for.
type named struct {
	name string
	cell
}

// pooledCells puts the strata that are too small into one; what is still too small
// then is left out.
func pooledCells(strata map[string]*cell) []named {
	names := make([]string, 0, len(strata))
	for name := range strata {
		names = append(names, name)
	}
	sort.Strings(names)
	rest := named{name: "the small strata together"}
	var out []named
	for _, name := range names {
		if c := strata[name]; c.large() {
			out = append(out, named{name, *c})
		} else {
			rest.merge(c)
		}
	}
	if rest.large() {
		out = append(out, rest)
	}
	return out
}

// deciles cuts the draws by the baseline's probability into ten parts of about the
// same size; equal probabilities stay together, and a part grows until it is large
// enough. One part says nothing that the whole does not.
func deciles(draws []draw) []named {
	sort.SliceStable(draws, func(i, j int) bool { return draws[i].p < draws[j].p })
	var out []named
	var c cell
	from := 0
	for i := range draws {
		c.add(draws[i])
		last := i == len(draws)-1
		if !last && (draws[i].p == draws[i+1].p || 10*c.n < len(draws) || !c.large()) {
			continue
		}
		name := "p " + number(draws[from].p) + " to " + number(draws[i].p)
		if c.large() || len(out) == 0 {
			out = append(out, named{name, c})
		} else {
			out[len(out)-1].merge(&c)
		}
		c, from = cell{}, i+1
	}
	if len(out) < 2 {
		return nil
	}
	return out
}

// chiSquareOf sums the squared deviations of independent cells. It is nil without
// a cell in which both sides are possible.
func chiSquareOf(cells []named) *ChiSquare {
	out := ChiSquare{}
	for i := range cells {
		if !(cells[i].pq > 0) {
			continue
		}
		z := cells[i].z()
		out.Statistic += Hex(float64(z * z))
		out.Degrees++
		if out.Degrees == 1 || math.Abs(z) > math.Abs(float64(out.WorstZ)) {
			out.Worst, out.WorstZ = cells[i].name, Hex(z)
		}
	}
	if out.Degrees == 0 {
		return nil
	}
	return &out
}

// actions is Pearson's statistic of the actions against their expected numbers, the
// sums of the propensities. Where propensities differ between decisions the true
// covariance is smaller than Pearson's, so that the test errs to the quiet side.
func (b *balancer) actions() *ChiSquare {
	names := make([]string, 0, len(b.expected))
	for name := range b.expected {
		names = append(names, name)
	}
	sort.Strings(names)
	type count struct {
		name     string
		observed int
		expected float64
	}
	rest := count{name: "the rare actions together"}
	var cells []count
	for _, name := range names {
		c := count{name, b.observed[name], b.expected[name]}
		if c.expected >= leastExpected {
			cells = append(cells, c)
			continue
		}
		rest.observed, rest.expected = rest.observed+c.observed, rest.expected+c.expected
	}
	switch {
	case rest.expected >= leastExpected:
		cells = append(cells, rest)
	case len(cells) > 0: // too few for a cell of their own
		least := &cells[0]
		for i := range cells {
			if cells[i].expected < least.expected {
				least = &cells[i]
			}
		}
		least.observed, least.expected = least.observed+rest.observed, least.expected+rest.expected
	}
	if len(cells) < 2 {
		return nil
	}
	out := ChiSquare{Degrees: len(cells) - 1}
	for i, c := range cells {
		off := float64(c.observed) - c.expected
		z := off / math.Sqrt(c.expected)
		out.Statistic += Hex(float64(z * z))
		if i == 0 || math.Abs(z) > math.Abs(float64(out.WorstZ)) {
			out.Worst, out.WorstZ = c.name, Hex(z)
		}
	}
	return &out
}

// chiSquareLimit is the critical value of a chi-square with k degrees of freedom
// whose tail is that of the one-sided normal z, by Wilson and Hilferty (1931):
// k (1 - 2/(9k) + z sqrt(2/(9k)))^3. It needs no logarithm, so that every machine
// gets the same bits; at p = 0.001 it is 3 % above the exact value for k = 1,
// 2 % for k = 2 and less beyond: never stricter than promised.
func chiSquareLimit(k int, z float64) float64 {
	n := float64(k)
	v := 2 / float64(9*n)
	root := 1 - v + float64(z*math.Sqrt(v))
	return float64(n * float64(float64(root*root)*root))
}
