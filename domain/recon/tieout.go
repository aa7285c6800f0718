package recon

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/liftbill/liftbill/domain/fault"
)

// Age is how long a break has been there, in the steps in which it is shown.
type Age string

// The steps: up to 1 day, 3, 7, 30, and beyond.
const (
	Days1    Age = "0-1"
	Days3    Age = "2-3"
	Days7    Age = "4-7"
	Days30   Age = "8-30"
	DaysMore Age = ">30"
)

// Ages lists the steps.
func Ages() []Age { return []Age{Days1, Days3, Days7, Days30, DaysMore} }

const day = 24 * time.Hour

// AgeOf is the step of a break that was first seen at a time. Begun days count: what was
// seen 25 hours ago is in its second day.
func AgeOf(firstSeen, at time.Time) Age {
	from, _ := slices.BinarySearchFunc([]time.Duration{day, 3 * day, 7 * day, 30 * day}, at.Sub(firstSeen), cmp.Compare[time.Duration])
	return Ages()[from]
}

// Bounds are the first-seen times of an age at a time, newest first, as a half-open
// interval [from, to); from is zero for the last step.
func (a Age) Bounds(at time.Time) (from, to time.Time, err error) {
	i := slices.Index(Ages(), a)
	if i < 0 {
		return from, to, fault.InvalidField("age", "filter_unknown", "%q is not an age", string(a)).Fix("Use 0-1, 2-3, 4-7, 8-30 or >30")
	}
	steps := []time.Duration{-day, day, 3 * day, 7 * day, 30 * day}
	to = at.Add(-steps[i])
	if i+1 < len(steps) {
		from = at.Add(-steps[i+1])
	}
	return from, to, nil
}

// Tolerance is what an account's term allows to differ between us and Stripe. Between
// parts of our own ledger, and on invoices, nothing may differ.
type Tolerance struct {
	// LineMinor is allowed per object, BatchMinor per currency for all that is tolerated together.
	LineMinor, BatchMinor int64
	// CutOff is how far apart the times of one payment may be.
	CutOff time.Duration
}

// maxCutOff bounds what may be called a cut-off difference.
const maxCutOff = 72 * time.Hour

// Check refuses what is no tolerance.
func (t Tolerance) Check() error {
	switch {
	case t.LineMinor < 0:
		return fault.InvalidField("per_object_minor", "tolerance_range", "a tolerance is not negative")
	case t.BatchMinor < t.LineMinor:
		return fault.InvalidField("per_period_minor", "tolerance_range", "what is tolerated in a period is at least what is tolerated of one object")
	case t.CutOff < 0 || t.CutOff > maxCutOff:
		return fault.InvalidField("cut_off_minutes", "tolerance_range", "a cut-off is between 0 and %d minutes", int(maxCutOff/time.Minute))
	}
	return nil
}

// Apply says by which term a finding is tolerated; what is not in the answer is not.
// When those that are small enough are too much together, none of them is.
func (t Tolerance) Apply(all []Finding) map[int]string {
	out := map[int]string{}
	batch := map[string]int64{}
	small := map[int]string{}
	for i, f := range all {
		if f.Line == Invoice || f.Line == NoLine || f.Rule().Internal {
			continue
		}
		switch {
		case f.Type == Timing && t.CutOff > 0 && f.Apart <= t.CutOff:
			out[i] = fmt.Sprintf("times within %s of each other are a cut-off difference", t.CutOff)
		case (f.Type == AmountDiffers || f.Type == TaxDiffers) && f.AmountMinor > 0 && f.AmountMinor <= t.LineMinor:
			small[i] = fmt.Sprintf("differences up to %d minor units are tolerated, %d in a period", t.LineMinor, t.BatchMinor)
			batch[f.Currency] += f.AmountMinor
		}
	}
	for i, term := range small {
		if batch[all[i].Currency] <= t.BatchMinor {
			out[i] = term
		}
	}
	return out
}

// Sum is one side of a line in a currency.
type Sum struct {
	Line     Line
	Currency string
	// LeftMinor is ours, RightMinor is Stripe's.
	LeftMinor, RightMinor int64
	// Objects counts those of each side.
	LeftObjects, RightObjects int64
}

// TieOutLine is a line with what explains its difference.
type TieOutLine struct {
	Sum
	DifferenceMinor int64
	// ExplainedMinor is what resolved breaks explain, OpenMinor what breaks that still have
	// to be dealt with do.
	ExplainedMinor, OpenMinor int64
	// RemainingMinor is the difference without what was explained: 0 when the line ties out.
	RemainingMinor int64
	// UnfoundMinor is what no break accounts for; it is 0, or the run itself is wrong.
	UnfoundMinor int64
}

// TieOut is a period's lines in all currencies.
type TieOut struct{ Lines []TieOutLine }

// Ties reports whether nothing remains on any line.
func (t TieOut) Ties() bool {
	return !slices.ContainsFunc(t.Lines, func(l TieOutLine) bool { return l.RemainingMinor != 0 || l.UnfoundMinor != 0 })
}

// NewTieOut sets the sums of both sides beside the breaks that are there.
func NewTieOut(sums []Sum, breaks []Break) TieOut {
	type key struct {
		line     Line
		currency string
	}
	lines := map[key]*TieOutLine{}
	at := func(l Line, currency string) *TieOutLine {
		k := key{l, currency}
		if lines[k] == nil {
			lines[k] = &TieOutLine{Sum: Sum{Line: l, Currency: currency}}
		}
		return lines[k]
	}
	for _, s := range sums {
		l := at(s.Line, s.Currency)
		l.LeftMinor, l.RightMinor = l.LeftMinor+s.LeftMinor, l.RightMinor+s.RightMinor
		l.LeftObjects, l.RightObjects = l.LeftObjects+s.LeftObjects, l.RightObjects+s.RightObjects
	}
	for _, b := range breaks {
		if b.Line == NoLine || (!b.State.Pending() && !b.State.Settled()) {
			continue
		}
		currencies := []string{b.Left.Currency, b.Right.Currency}
		slices.Sort(currencies)
		for _, c := range slices.Compact(currencies) {
			if d := b.Difference(c); d != 0 {
				l := at(b.Line, c)
				if b.State.Settled() {
					l.ExplainedMinor += d
				} else {
					l.OpenMinor += d
				}
			}
		}
	}
	keys := slices.SortedFunc(maps.Keys(lines), func(a, b key) int {
		return cmp.Or(slices.Index(Lines(), a.line)-slices.Index(Lines(), b.line), cmp.Compare(a.currency, b.currency))
	})
	var out TieOut
	for _, k := range keys {
		l := lines[k]
		l.DifferenceMinor = l.LeftMinor - l.RightMinor
		l.RemainingMinor = l.DifferenceMinor - l.ExplainedMinor
		l.UnfoundMinor = l.RemainingMinor - l.OpenMinor
		out.Lines = append(out.Lines, *l)
	}
	return out
}

// Field is one field of an object as both sides have it.
type Field struct {
	Name         string
	Ours, Theirs string
	Equal        bool
}

// Compare sets the fields of both sides beside each other, by name. A side that does not
// have a field says nothing about it.
func Compare(ours, theirs map[string]string) []Field {
	names := maps.Clone(ours)
	if names == nil {
		names = map[string]string{}
	}
	maps.Copy(names, theirs)
	out := make([]Field, 0, len(names))
	for _, n := range slices.Sorted(maps.Keys(names)) {
		out = append(out, Field{Name: n, Ours: ours[n], Theirs: theirs[n], Equal: ours[n] == theirs[n]})
	}
	return out
}

// IntentSums are the two sides of the invoice line: what the plan says once the ledger
// holds the invoice as finalized, and all invoices of ours that count.
func IntentSums(in Intent, issued []Issued) []Sum {
	ours := Sum{Line: Invoice, Currency: in.Currency}
	if in.Written {
		ours.LeftMinor, ours.LeftObjects = in.TotalMinor, 1
	}
	out := []Sum{ours}
	for _, i := range issued {
		if i.counts() && (i.Key == in.Key || i.ID == in.InvoiceID) {
			out = append(out, Sum{Line: Invoice, Currency: i.Currency, RightMinor: i.NetMinor, RightObjects: 1})
		}
	}
	return out
}
