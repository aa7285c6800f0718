package webui

import (
	"fmt"

	"github.com/liftbill/liftbill/app/reconcile"
)

// Bar is one row of a waterfall: where it begins and how wide it is on a scale of
// 1,000.
type Bar struct {
	Label, Note, URL string
	Minor            int64
	Kind             string // "total", "minus" or "plus"
	X, Width, ZeroAt string
}

// Waterfall is one chain of amounts that adds up, drawn on one scale.
type Waterfall struct {
	Caption string
	Bars    []Bar
}

// step is a row before it is drawn. A total states the level; others change it.
type step struct {
	label, note, url string
	minor            int64
	total            bool
}

// draw lays the rows out. Levels below zero move the zero line to the right.
func draw(caption string, steps []step) Waterfall {
	var low, high, level int64
	for _, s := range steps {
		level = next(level, s)
		low, high = min(low, level), max(high, level)
	}
	span := float64(high) - float64(low)
	if span == 0 {
		span = 1
	}
	at := func(v int64) float64 { return (float64(v) - float64(low)) / span * 1000 }
	w := Waterfall{Caption: caption}
	level = 0
	for _, s := range steps {
		from, to := level, next(level, s)
		if s.total {
			from = 0
		}
		b := Bar{Label: s.label, Note: s.note, URL: s.url, Minor: s.minor, Kind: "plus", ZeroAt: coordinate(at(0))}
		switch {
		case s.total:
			b.Kind = "total"
		case s.minor < 0:
			b.Kind = "minus"
		}
		x, end := at(min(from, to)), at(max(from, to))
		// Something that is not nothing stays visible on any scale.
		b.X, b.Width = coordinate(min(x, 997)), coordinate(end-x)
		if s.minor != 0 && end-x < 3 {
			b.Width = "3"
		}
		w.Bars = append(w.Bars, b)
		level = to
	}
	return w
}

func next(level int64, s step) int64 {
	if s.total {
		return s.minor
	}
	return level + s.minor
}

func coordinate(v float64) string { return fmt.Sprintf("%.2f", v) }

// bucketNames say in plain words where revenue went that no snapshot got.
var bucketNames = map[string]string{
	"own_invoice":     "Our own outcome invoices",
	"unmapped":        "Customers without a user",
	"no_decision":     "Users without a decision",
	"before_exposure": "Paid before the first exposure",
	"next_year":       "Paid after a decision of the next contract year",
	"out_of_window":   "Paid after the attribution window",
	"no_subscription": "Without a subscription, outside the plan",
	"other_currency":  "In another currency than the contract's, out of scope",
}

func bucketName(b string) string {
	if name, ok := bucketNames[b]; ok {
		return name
	}
	return words(b)
}

// sums are the amounts of a tie-out that its waterfalls and checks share.
type sums struct {
	buckets, attributed                            int64
	observed, measured, withheld, highWater, other int64
	base, fee, billed, deferred, waived            int64
	charges, chargesBilled                         int64 // the lines that are no lift
	stripe, chargesStripe                          int64
	stripeKnown                                    bool
	withheldLines, billedLines, chargeLines        int
}

func sumsOf(t reconcile.TieOut) sums {
	var s sums
	for _, b := range t.Buckets {
		if !b.Paid(t.Currency) {
			continue
		}
		s.buckets += b.AmountMinor
		if b.Bucket == "snapshot" {
			s.attributed += b.AmountMinor
		}
	}
	for _, l := range t.Lines {
		s.observed += l.ObservedMinor
		s.measured += l.MeasuredMinor
		s.base += l.BaseMinor
		s.fee += l.FeeMinor
		s.billed += l.BilledMinor
		s.deferred += l.DeferredMinor
		s.waived += l.WaivedMinor
		if l.BaseMinor > 0 || l.FeeMinor > 0 {
			s.highWater += l.HighWaterFrom
			if l.FeeMinor > 0 {
				s.billedLines++
			}
		} else {
			s.withheldLines++
			s.withheld += l.MeasuredMinor
		}
		if l.StripeMinor != nil {
			s.stripe += *l.StripeMinor
			s.stripeKnown = true
		}
	}
	for _, c := range t.Charges {
		s.charges += c.AmountMinor
		s.chargesBilled += c.BilledMinor
		if c.BilledMinor > 0 {
			s.chargeLines++
		}
		if c.StripeMinor != nil {
			s.chargesStripe += *c.StripeMinor
			s.stripeKnown = true
		}
	}
	s.other = s.measured - s.withheld - s.highWater - s.base
	return s
}

// revenueWaterfall goes from what Stripe collected to what the policy added.
func revenueWaterfall(t reconcile.TieOut, s sums) Waterfall {
	steps := []step{{label: "Paid revenue at Stripe", note: "contract year to date, net of refunds", minor: t.PaidRevenueMinor, total: true, url: eventsURL(t.AccountID, "", "")}}
	for _, b := range t.Buckets {
		if b.Bucket != "snapshot" && b.AmountMinor != 0 && b.Paid(t.Currency) {
			steps = append(steps, step{label: bucketName(b.Bucket), note: plural(b.Events, "event"), minor: -b.AmountMinor, url: bucketURL(t.AccountID, b.Bucket)})
		}
	}
	if gap := s.buckets - t.PaidRevenueMinor; gap != 0 {
		steps = append(steps, step{label: "Unexplained", note: "the buckets do not sum to paid revenue", minor: gap})
	}
	steps = append(steps, step{label: "Observed in scope", note: "revenue of the exposed users", minor: s.attributed, total: true, url: "#buckets"})
	if gap := s.observed - s.attributed; gap != 0 {
		steps = append(steps, step{label: "Capped or not yet in a readout", note: "the readouts observe another amount than the buckets", minor: gap, url: "#lines"})
	}
	return draw("Revenue", append(steps,
		step{label: "Expected without the policy", note: "counterfactual, from the holdout", minor: s.measured - s.observed, url: "#lines"},
		step{label: "Measured lift", note: "what the policies added", minor: s.measured, total: true, url: "#lines"},
	))
}

// invoiceWaterfall goes from the measured lift to the amount of the invoice, on a
// scale of its own, because the share would vanish beside the revenue.
func invoiceWaterfall(t reconcile.TieOut, s sums) Waterfall {
	steps := []step{{label: "Measured lift", note: "year to date, every snapshot", minor: s.measured, total: true, url: "#lines"}}
	if s.withheldLines > 0 {
		steps = append(steps, step{label: "Withheld", note: plural(s.withheldLines, "snapshot") + " held back, measured " + amount(s.withheld, t.Currency).Digits, minor: -s.withheld, url: "#withheld"})
	}
	if s.highWater != 0 {
		steps = append(steps, step{label: "Billed before", note: "high-water mark of the contract year", minor: -s.highWater, url: "#lines"})
	}
	if s.other != 0 {
		steps = append(steps, step{label: "Deferred", note: "measured, and not billed on this basis yet", minor: -s.other, url: "#lines"})
	}
	steps = append(steps,
		step{label: "Base of this cycle", note: "what the share is taken of", minor: s.base, total: true, url: "#steps"},
		step{label: "Stays with the customer", note: "share of the fee: " + t.Share, minor: s.fee - s.base, url: "#steps"},
	)
	if len(t.Charges) == 0 {
		return draw("Invoice", append(steps, step{label: "Invoice", note: plural(s.billedLines, "line"), minor: s.fee, total: true, url: "#lines"}))
	}
	steps = append(steps, step{label: "Fees on lift", note: plural(s.billedLines, "line"), minor: s.fee, total: true, url: "#lines"})
	for _, c := range t.Charges {
		if c.AmountMinor != 0 {
			steps = append(steps, step{label: chargeName(c.Kind), note: c.Origin, minor: c.AmountMinor, url: "#charges"})
		}
	}
	return draw("Invoice", append(steps, step{label: "Invoice", note: "the sum of all lines", minor: s.fee + s.charges, total: true, url: "#charges"}))
}

// chargeNames say in plain words what a line is that nobody measured.
var chargeNames = map[string]string{ //nolint:gosec // G101 takes a credit for a credential
	"tier_adjustment": "Earlier base at the tier that was reached", "per_outcome": "Counted outcomes", "adjustment": "True-up of an earlier month",
	"settlement_credit": "Credit of the year's settlement", "cap_excess": "Above the cap of earlier months", "cap": "Above the cap", "floor": "Floor",
	"platform_fee": "Platform fee", "minimum_top_up": "Minimum commitment", "holdback": "Holdback", "holdback_release": "Released holdback",
	"carry_in": "Carried forward", "carry_out": "Carried to the next month", "shadow": "Shadow month, not invoiced",
}

func chargeName(kind string) string {
	if name, ok := chargeNames[kind]; ok {
		return name
	}
	return words(kind)
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return count(n) + " " + noun + "s"
}

func eventsURL(account, kind, mapped string) string {
	return query("/accounts/"+account+"/events", "kind", kind, "mapped", mapped)
}

// bucketURL leads to the events behind a bucket as closely as the list can select.
func bucketURL(account, bucket string) string {
	if bucket == "unmapped" {
		return eventsURL(account, "", "no")
	}
	return eventsURL(account, "revenue_confirmation", "")
}
