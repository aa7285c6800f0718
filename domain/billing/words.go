package billing

import (
	"fmt"
	"strings"

	"github.com/liftbill/liftbill/domain/lift"
)

// Words says the terms of the price in plain sentences, one for each term that is
// agreed on, in the order of operations.
func (t Terms) Words() []string {
	amount := func(minor int64) string { return amountText(minor, t.Currency) }
	basis := "measured incremental revenue, in months in which its lower bound is above zero"
	if t.Basis == lift.BasisProven {
		basis = "proven incremental revenue, its lower bound"
	}
	out := []string{"Share " + t.Share + " of the " + basis}
	switch t.Settlement {
	case lift.SettleProvenThenPoint:
		out = append(out, "At the settlement of the year the measured lift of every snapshot whose lower bound is above zero")
	case lift.SettlePointTwoWay:
		out = append(out, "At the settlement of the year the measured lift, up or down, whatever its bound says")
	case lift.SettleProvenLift: // the default says nothing more
	}
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if t.Capped() {
		add("The base of all snapshots together is at most the pooled lower bound")
	}
	if n := t.Netting; n != nil && n.Mode == NetAgreedRate {
		add("An agreed rate of %s for later refunds and chargebacks is taken off every base", n.Rate)
	} else if n != nil {
		add("Refunds and chargebacks are netted up to %d days after their month", n.LookbackDays)
	}
	if u := t.TrueUp; u != nil {
		how := "down only"
		if u.Direction == TrueUpBoth {
			how = "up and down"
		}
		add("A settled contract year is trued up %s, for %d months after its run-off", how, u.LimitMonths)
	}
	t.tierWords(add, amount)
	for _, o := range t.Outcomes {
		add("%s minor units per %s, counted and not measured; %d a month included", o.PriceMinor, strings.ReplaceAll(o.Kind, "_", " "), o.Included)
	}
	t.capWords(add, amount)
	if t.FloorMinor > 0 {
		add("Performance fees of at least %s a month", amount(t.FloorMinor))
	}
	if t.PlatformFeeMinor > 0 {
		add("Platform fee of %s a month", amount(t.PlatformFeeMinor))
	}
	if m := t.Minimum; m != nil {
		add("Minimum commitment of %s a %s, toward which count: %s", amount(m.AmountMinor), m.Every, strings.ReplaceAll(list(m.Counts), "_", " "))
	}
	if h := t.Holdback; h != nil && h.ReleaseAfterMonths == 0 {
		add("Holdback of %s of the performance fees until the close of the contract year", h.Share)
	} else if h != nil {
		add("Holdback of %s of the performance fees for %d months", h.Share, h.ReleaseAfterMonths)
	}
	t.phaseWords(add)
	add("Every line is rounded once, mode %s", strings.ReplaceAll(string(t.Rounding), "_", " "))
	if t.DisputeDays > 0 {
		add("A line can be disputed within %d days of the invoice", t.DisputeDays)
	}
	t.approvalWords(add, amount)
	return out
}

func (t Terms) tierWords(add func(string, ...any), amount func(int64) string) {
	if t.Tiers == nil {
		return
	}
	what := "of the part of the base of a contract %s that is above %s"
	if t.Tiers.Mode == Whole {
		what = "of the whole base of a contract %s once it reaches %s"
	}
	for _, tier := range t.Tiers.Above {
		add("Share %s "+what, tier.Share, t.Tiers.Reset, amount(tier.FromMinor))
	}
}

func (t Terms) capWords(add func(string, ...any), amount func(int64) string) {
	c := t.Caps
	if c == nil {
		return
	}
	for _, v := range []struct {
		minor int64
		what  string
	}{{c.MonthMinor, "a month"}, {c.YearMinor, "a contract year"}, {c.TotalMinor, "over the whole contract"}} {
		if v.minor > 0 {
			add("Performance fees of at most %s %s", amount(v.minor), v.what)
		}
	}
	if c.Excess == ExcessCarried {
		add("What a month's cap cuts off fills the room of later months of the contract year")
	}
}

func (t Terms) phaseWords(add func(string, ...any)) {
	from := 1
	for _, p := range t.Phases {
		months := fmt.Sprintf("Months %d to %d", from, from+p.Months-1)
		if p.Months == 1 {
			months = fmt.Sprintf("Month %d", from)
		}
		what := map[PhaseKind]string{
			PhaseShadow: "shadow, priced and shown, never invoiced", PhaseFree: "free, fixed fees only",
			PhaseRamp: "ramp, " + p.Factor + " of the performance fees",
		}[p.Kind]
		if p.WaiveFixed {
			what += ", without platform fee, floor and monthly minimum"
		}
		add("%s: %s", months, what)
		from += p.Months
	}
}
