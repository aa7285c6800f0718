package webui

import (
	"fmt"
	"math"
	"strings"

	"github.com/liftbill/liftbill/app/reconcile"
)

// accountHealth is how an account does, as its row shows it.
type accountHealth struct {
	reconcile.AccountHealth
	// Mapped is the part of the paid revenue that belongs to a user; empty when nothing was paid.
	Mapped, CoverageURL, WithheldURL, BreaksURL, UnpaidURL string
	Spark                                                  *spark
	Ages                                                   []ageRow
}

// ageRow is one currency of what is unpaid: the buckets that hold something.
type ageRow struct{ Buckets []ageBucket }

type ageBucket struct {
	Label  string
	Amount Amount
	Late   bool
}

// spark is a trend so small that it stands in a row: a line in a box of 100 by 24.
type spark struct{ Points, Zero, X, Y, Summary, ESS string }

// sparkOf draws two months or more.
func sparkOf(months []reconcile.HealthMonth, currency string) *spark {
	if len(months) < 2 {
		return nil
	}
	low, high := 0.0, 0.0
	for _, m := range months {
		low, high = math.Min(low, m.Lift), math.Max(high, m.Lift)
	}
	if low == high {
		high = low + 1
	}
	y := func(v float64) string { return fmt.Sprintf("%.1f", 2+(high-v)/(high-low)*20) }
	var points []string
	s := &spark{Zero: y(0)}
	for i, m := range months {
		s.X, s.Y = fmt.Sprintf("%.1f", 3+float64(i)/float64(len(months)-1)*94), y(m.Lift)
		points = append(points, s.X+","+s.Y)
	}
	first, last := months[0], months[len(months)-1]
	s.Points, s.ESS = strings.Join(points, " "), count64(int64(first.ESS))+" → "+count64(int64(last.ESS))
	s.Summary = fmt.Sprintf("Measured lift of the contract year to date, summed over the snapshots, from %s to %s: %s, then %s.",
		month(first.Period), month(last.Period), spoken(first.Lift, currency), spoken(last.Lift, currency))
	return s
}

// ageLabels name the buckets of reconcile.Ageing.
var ageLabels = [4]string{"to 30 days", "31–60 days", "61–90 days", "over 90 days"}

func accountHealthOf(h reconcile.AccountHealth, id string) accountHealth {
	v := accountHealth{
		AccountHealth: h, Spark: sparkOf(h.Trend, h.Currency), CoverageURL: query("/coverage", "account", id), WithheldURL: query("/cycles", "period", everyPeriod, "account", id, "state", "withheld"),
		BreaksURL: query("/breaks", "account", id), UnpaidURL: query("/invoices", "account", id, "status", "open"),
	}
	if h.PaidMinor > 0 {
		v.Mapped = percent(max(0, h.PaidMinor-h.UnmappedMinor), h.PaidMinor)
	}
	for _, u := range h.Unpaid {
		var row ageRow
		for i, minor := range u.Minor {
			if minor > 0 {
				row.Buckets = append(row.Buckets, ageBucket{Label: ageLabels[i], Amount: *amountOf(&minor, u.Currency), Late: i > 0})
			}
		}
		v.Ages = append(v.Ages, row)
	}
	return v
}
