package reconcile

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/money"
)

// CheckedStep is a stored step with what its inputs come to when they are read again.
type CheckedStep struct {
	Step
	billing.Recomputed
	// Unreadable says why it cannot be recomputed; empty when it can.
	Unreadable string
}

// Fails reports whether the stored result is not what the step's own figures come to.
func (s CheckedStep) Fails() bool { return s.Unreadable != "" || s.Arithmetic && !s.Holds }

// Sign is what a figure does to the one above it.
type Sign string

// The signs. A figure without one starts a chain or is said beside it.
const (
	SignNone   Sign = ""
	SignMinus  Sign = "−"
	SignPlus   Sign = "+"
	SignTimes  Sign = "×"
	SignEquals Sign = "="
)

// Figure is one row of an explanation.
type Figure struct {
	Sign  Sign
	Label string
	Note  string
	// Minor is an amount in minor units of the cycle's currency; nil when Text or Exact says
	// it, or when there is none.
	Minor *int64
	// Exact is an amount below the minor unit, in minor units as a decimal.
	Exact string
	// Text is a number that is no amount.
	Text string
	// Step is the stored step behind the figure, nil for a sum that the page itself draws.
	Step *CheckedStep
	// Problem says what does not add up; empty when everything does.
	Problem string
	// About is where its rows are: "events", "buckets", "readout" or "".
	About string
}

// Part is a chain of figures that adds up.
type Part struct {
	Title   string
	Figures []Figure
}

// Explanation is why one line of a cycle has its amount.
type Explanation struct {
	TieOut
	// Key is the line's: a snapshot's ID, or "fee:…".
	Key, Title string
	// Line is that of a snapshot, Charge any other; one of them is set.
	Line   *Line
	Charge *Charge
	// Readout is the measurement behind a snapshot's line.
	Readout     *Readout
	Parts       []Part
	AmountMinor int64
	BilledMinor int64
	LineStripe  *int64
	// Problems lists what does not agree; an empty one is the answer that everybody wants.
	Problems []string
	// Recomputed counts the stored steps that were worked out again, OfSteps all of the line.
	Recomputed, OfSteps int
}

// Explain shows the whole arithmetic of one line. Every step is recomputed from its own
// stored words, and every sum is compared with the figures that stand elsewhere.
func (s *Service) Explain(ctx context.Context, cycleID, key string) (Explanation, error) {
	t, err := s.Reader.TieOut(ctx, cycleID)
	if err != nil {
		return Explanation{}, err
	}
	for i := range t.Lines {
		if t.Lines[i].SnapshotID == key {
			r, err := s.Reader.Readout(ctx, t.Lines[i].CaseID)
			if err != nil {
				return Explanation{}, err
			}
			return explainLift(t, &t.Lines[i], &r), nil
		}
	}
	for i := range t.Charges {
		if t.Charges[i].Line == key {
			return explainCharge(t, &t.Charges[i]), nil
		}
	}
	return Explanation{}, fault.New(fault.NotFound, "line_not_found", "cycle %s has no line %q", cycleID, key).Fix("Open it from the lines of the cycle")
}

// explainer collects the parts.
type explainer struct {
	Explanation
	steps []CheckedStep
}

func newExplainer(t TieOut, key string) *explainer {
	return &explainer{Explanation: Explanation{TieOut: t, Key: key}}
}

// take checks the steps of the line, in order.
func (e *explainer) take(of func(Step) bool) {
	for _, s := range e.Steps {
		if !of(s) {
			continue
		}
		c := CheckedStep{Step: s}
		again, err := billing.Step{Number: s.Number, Name: s.Name, SnapshotID: s.SnapshotID, Formula: s.Formula, Inputs: s.Inputs, Result: s.Result}.Recompute()
		if c.Recomputed = again; err != nil {
			c.Unreadable = err.Error()
		}
		e.OfSteps++
		if again.Arithmetic {
			e.Explanation.Recomputed++
		}
		if c.Fails() {
			e.problem("Step %d, %s: the stored result is %s, its own figures come to %s", s.Number, strings.ReplaceAll(s.Name, "_", " "), s.Result, again.Result)
		}
		e.steps = append(e.steps, c)
	}
}

func (e *explainer) problem(format string, args ...any) string {
	p := fmt.Sprintf(format, args...)
	e.Problems = append(e.Problems, p)
	return p
}

// step finds the line's step of a name; nil when the cycle did not come to it.
func (e *explainer) step(name string) *CheckedStep {
	for i := range e.steps {
		if e.steps[i].Name == name {
			return &e.steps[i]
		}
	}
	return nil
}

func (e *explainer) part(title string, figures ...Figure) {
	if len(figures) > 0 {
		e.Parts = append(e.Parts, Part{title, figures})
	}
}

// agree compares a figure with the result of its step.
func (e *explainer) agree(f Figure) Figure {
	if f.Step == nil || f.Minor == nil {
		return f
	}
	if n, err := strconv.ParseInt(f.Step.Result(), 10, 64); err == nil && n != *f.Minor {
		f.Problem = e.problem("%s: the line says %s, step %d says %s", f.Label, e.money(*f.Minor), f.Step.Number, e.money(n))
	}
	return f
}

// Result is the stored result.
func (s CheckedStep) Result() string { return s.Step.Result }

func minor(v int64) *int64 { return &v }

// money is an amount of the cycle as people read it.
func (e *explainer) money(minor int64) string {
	a, err := money.New(minor, money.Currency(e.Currency))
	if err != nil {
		return strconv.FormatInt(minor, 10) + " minor units"
	}
	return a.String()
}

func counted(n int) string { return money.Group(strconv.Itoa(n)) }

func eventsText(n int) string {
	if n == 1 {
		return "1 event"
	}
	return counted(n) + " events"
}

// explainLift goes from the paid revenue to the cents of a snapshot's line.
func explainLift(t TieOut, l *Line, r *Readout) Explanation {
	e := newExplainer(t, l.SnapshotID)
	e.Title, e.Line, e.Readout = l.SnapshotName, l, r
	e.AmountMinor, e.BilledMinor, e.LineStripe = l.FeeMinor, l.BilledMinor, l.StripeMinor
	e.take(func(s Step) bool {
		shared := s.Name == "portfolio_cap" || s.Name == "tier" || s.Name == "tiers" || s.Name == "defer"
		return s.SnapshotID == l.SnapshotID && s.Name != string(billing.LineAdjustment) || shared
	})
	e.part("From the paid revenue to the users of this snapshot", e.revenue()...)
	e.part("From observed revenue to the lift that is proven", e.measurement()...)
	e.part("From the lift to the base of this period", e.base()...)
	e.part("From the base to the fee", e.fee()...)
	e.part("From the fee to the invoice", e.invoice()...)
	return e.Explanation
}

// explainCharge shows the steps of a line that nobody measured.
func explainCharge(t TieOut, c *Charge) Explanation {
	e := newExplainer(t, c.Line)
	e.Title, e.Charge = c.Description, c
	e.AmountMinor, e.BilledMinor, e.LineStripe = c.AmountMinor, c.BilledMinor, c.StripeMinor
	e.take(func(s Step) bool { return s.Name == c.Kind && s.SnapshotID == c.SnapshotID })
	figures := []Figure{}
	for i := range e.steps {
		s := &e.steps[i]
		f := Figure{Sign: SignEquals, Label: c.Description, Note: s.Formula, Step: s}
		if n, err := strconv.ParseInt(s.Result(), 10, 64); err == nil {
			f.Minor = minor(n)
		}
		figures = append(figures, f)
	}
	if len(e.steps) == 1 {
		figures[0].Minor = minor(c.AmountMinor)
		figures[0] = e.agree(figures[0])
	}
	e.part("How it comes about", figures...)
	e.part("From the amount to the invoice", e.invoice()...)
	return e.Explanation
}

// invoice is what the reductions leave, and what stands at Stripe.
func (e *explainer) invoice() []Figure {
	out := []Figure{{Label: "Amount of the line", Minor: minor(e.AmountMinor)}}
	if e.AmountMinor < 0 {
		out = append(out, Figure{Label: "Reduces other lines", Note: "split over them in proportion, by largest remainder; an invoice has no negative line"})
	}
	if cut := max(0, e.AmountMinor) - e.BilledMinor; cut != 0 {
		var names []string
		for _, c := range e.Charges {
			if c.AmountMinor < 0 {
				names = append(names, strings.ReplaceAll(c.Kind, "_", " ")+" "+e.money(c.AmountMinor))
			}
		}
		note := "its part, in proportion, by largest remainder"
		if len(names) > 0 {
			note += ", of: " + strings.Join(names, ", ")
		}
		out = append(out, Figure{Sign: SignMinus, Label: "Reductions", Note: note, Minor: minor(cut)})
	}
	out = append(out, Figure{Sign: SignEquals, Label: "On the invoice", Minor: minor(e.BilledMinor)})
	if e.LineStripe == nil {
		return append(out, Figure{Label: "At Stripe", Note: "nothing stands there for this line"})
	}
	at := Figure{Label: "At Stripe", Note: "the line of the finalized invoice", Minor: e.LineStripe}
	if *e.LineStripe != e.BilledMinor {
		at.Problem = e.problem("Stripe has %s on this line, the invoice plan %s", e.money(*e.LineStripe), e.money(e.BilledMinor))
	}
	return append(out, at)
}
