package billing_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/lift"
)

// story is a contract computed by hand: its terms and what some of its months come to.
type story struct {
	name   string
	terms  func(*billing.Terms)
	months []chapter
}

// chapter is one month of a story. Amounts are minor units.
type chapter struct {
	// n counts months of the contract from 1; 0 is the month after the chapter before.
	// settlement is the 13th invoice of the year of that month.
	n          int
	settlement bool
	// open is a twelfth month whose settlement is still to come.
	open bool
	// ytd is the measured lift, contract year to date: "a=100000 b=50000?". With the
	// question mark the guardrail withholds it; without, the bound is a fraction below.
	ytd string
	// pooled is the pooled lift, if it is not far above everything.
	pooled   int64
	outcomes map[string]int64
	adjust   []billing.Adjustment

	lines  string // "a=20000 cap=-5000"
	total  int64
	billed string // what stands on the invoice, where it is not the lines
	held   billing.HeldReason
}

// teller prices a story's months in order, as the cycles of a year would.
type teller struct {
	contract billing.Contract
	marks    map[string]int64
	past     []billing.Past
	year     int
	month    int
}

func newTeller(t require.TestingT, terms func(*billing.Terms)) *teller {
	return &teller{contract: contract(t, terms), marks: map[string]int64{}}
}

func (tl *teller) price(t require.TestingT, c chapter) billing.Priced {
	switch {
	case c.n > 0:
		tl.month = c.n
	case !c.settlement:
		tl.month++
	}
	if year := (tl.month - 1) / 12; year != tl.year {
		tl.year, tl.marks = year, map[string]int64{}
	}
	first := month(t, tl.contract.Terms.FirstPeriod)
	m := first.Add(tl.month - 1)
	look, _, _ := lift.LookOf(first, m)
	if c.settlement {
		look = lift.LookSettlement
	}
	plan := sealedIn(t, tl.contract.Terms.Currency, 8)
	pooled := float64(c.pooled)
	if c.pooled == 0 {
		pooled = 1e9
	}
	readouts := []lift.Readout{readoutAt(t, plan, estimate(lift.SnapshotPooled, pooled, 0.1), look)}
	for _, part := range strings.Fields(c.ytd) {
		id, text, _ := strings.Cut(part, "=")
		se := 0.1
		if strings.HasSuffix(text, "?") {
			text, se = strings.TrimSuffix(text, "?"), 1e8
		}
		point, err := strconv.ParseInt(text, 10, 64)
		require.NoError(t, err)
		readouts = append(readouts, readoutAt(t, plan, estimate(id, float64(point), se), look))
	}
	p, err := billing.Bill(billing.BillInput{
		Contract: tl.contract, Period: m, Snapshots: 8, Readouts: readouts, HighWater: tl.marks,
		Context: billing.Context{Settlement: c.settlement, ClosesYear: c.settlement || (tl.month%12 == 0 && !c.open), Past: tl.past, Outcomes: c.outcomes, Adjustments: c.adjust},
	})
	require.NoError(t, err)
	for _, r := range p.Rows {
		tl.marks[r.SnapshotID] = r.HighWaterAfter
	}
	tl.past = append(tl.past, billing.PastOf(m, c.settlement, p))
	sound(t, tl.contract, p)
	tl.plan(t, p, readouts)
	return p
}

// plan checks that what would be sent is the total and calls nothing a lift that is none.
func (tl *teller) plan(t require.TestingT, p billing.Priced, readouts []lift.Readout) {
	in := billing.PlanInput{Account: account.Account{ID: "acme", Environment: account.Live, IssuerConnection: "vendor", PayerCustomer: "cus_1"},
		Contract: tl.contract, Period: month(t, "2026-01"), Priced: p, Readouts: map[string]lift.Readout{}}
	for _, r := range readouts {
		in.Readouts[r.SnapshotID] = r
	}
	plan, err := billing.NewInvoicePlan(in)
	require.NoError(t, err)
	require.Equal(t, p.Total.Minor(), plan.TotalMinor())
	if p.Total.IsPositive() {
		require.NoError(t, plan.Validate())
	}
	for _, l := range plan.Lines {
		require.Equal(t, l.Kind == "", l.Metadata["lb_readout"] != "" && l.Metadata["lb_snapshot"] != "", l.Description)
		require.LessOrEqual(t, len(l.Description), 5000)
		if l.Kind != "" {
			require.NotContains(t, l.Description, "measured incremental")
		}
	}
}

// sound holds for every price: sums, signs, steps of the currency, permissions.
func sound(t require.TestingT, c billing.Contract, p billing.Priced) {
	var sum, billed, fees int64
	step := c.Terms.Currency.Step()
	seen := map[string]bool{}
	for _, l := range p.Lines {
		sum += l.AmountMinor
		billed += l.BilledMinor
		require.False(t, seen[l.Key], "line %s stands twice", l.Key)
		seen[l.Key] = true
		require.GreaterOrEqual(t, l.BilledMinor, int64(0))
		require.LessOrEqual(t, l.BilledMinor, max(0, l.AmountMinor))
		require.Zero(t, l.AmountMinor%step, l.Key)
		require.Zero(t, l.BilledMinor%step, l.Key)
		require.NotEmpty(t, l.Text)
		require.Equal(t, l.Kind == billing.LineLift, !l.Permit().IsZero(), "%s: only a lift has a permission", l.Key)
		require.Contains(t, billing.LineKinds(), l.Kind)
		if l.Kind == billing.LineLift {
			require.Equal(t, l.SnapshotID, l.Permit().SnapshotID())
			fees += l.AmountMinor
		}
	}
	require.Equal(t, p.Total.Minor(), sum, "the lines sum to the total")
	require.Equal(t, p.Total.Minor(), billed, "and so does what is billed of them")
	require.GreaterOrEqual(t, p.Total.Minor(), int64(0))
	require.False(t, p.Total.IsPositive() && billing.BelowMinimumCharge(p.Total))
	require.False(t, p.Held != "" && p.Total.IsPositive(), "what is held is not invoiced")
	for _, r := range p.Rows {
		fees -= r.Fee
		if !r.Passed {
			require.Zero(t, r.Fee+r.DeltaMinor, "withheld")
		}
		require.Equal(t, r.HighWaterBefore+r.DeltaMinor+r.WaivedMinor, r.HighWaterAfter)
	}
	require.Zero(t, fees, "rows and lift lines tell the same")
	for i, s := range p.Steps {
		require.Equal(t, i+1, s.Number)
		recompute(t, c.Terms, s)
	}
	require.Equal(t, "total", p.Steps[len(p.Steps)-1].Name)
}

// told writes a price as a story expects it.
func told(p billing.Priced) (lines, billed string) {
	var all, net []string
	for _, l := range p.Lines {
		name := strings.TrimPrefix(l.Key, "fee:")
		all = append(all, fmt.Sprintf("%s=%d", name, l.AmountMinor))
		if l.BilledMinor > 0 {
			net = append(net, fmt.Sprintf("%s=%d", name, l.BilledMinor))
		}
	}
	return strings.Join(all, " "), strings.Join(net, " ")
}

// tell prices a story and compares every month with the hand's result.
func tell(t require.TestingT, s story) {
	tl := newTeller(t, s.terms)
	for i, c := range s.months {
		p := tl.price(t, c)
		lines, billed := told(p)
		where := fmt.Sprintf("%s, month %d (chapter %d)", s.name, tl.month, i+1)
		require.Equal(t, c.lines, lines, where)
		require.Equal(t, c.total, p.Total.Minor(), where)
		require.Equal(t, c.held, p.Held, where)
		switch {
		case c.billed != "":
			require.Equal(t, c.billed, billed, where)
		case c.total > 0:
			require.Equal(t, positive(c.lines), billed, "%s: nothing was to be taken off", where)
		default:
			require.Empty(t, billed, where)
		}
	}
}

// positive are the lines of a text that are above zero.
func positive(lines string) string {
	return strings.Join(slices.DeleteFunc(strings.Fields(lines), func(s string) bool {
		return strings.HasSuffix(s, "=0") || strings.Contains(s, "=-")
	}), " ")
}

// recompute does with a step's inputs what a person with a pocket calculator would do.
func recompute(t require.TestingT, terms billing.Terms, s billing.Step) {
	again, err := s.Recompute()
	require.NoError(t, err)
	require.True(t, again.Holds || !again.Arithmetic, "%s: %s: %s is %s, not %s", s.Name, s.Formula, s.Inputs, again.Result, s.Result)
	switch s.Name {
	case "measure", "bound", "guardrail", "waive", "defer", "adjustment":
		return // words, or floats that are rounded before they are shown
	case "base":
		return // the split of the pooled bound is domain/lift's and tested there
	case "tier":
		if strings.Contains(s.Inputs, "≥") {
			return
		}
	}
	if s.Inputs == "nothing billable" {
		require.Equal(t, "0", s.Result)
		return
	}
	v := calculate(t, s.Inputs)
	switch s.Name {
	case "fee", "per_outcome", "tier_adjustment":
		v = roundHere(v, terms)
	case "settlement_credit":
		v = roundHere(v.Neg(v), terms)
	case "holdback":
		v = roundHere(v, terms)
		v.Neg(v)
	case "floor", "minimum_top_up", "cap":
		if v.Sign() < 0 {
			v.SetInt64(0)
		}
		if s.Name == "cap" {
			v.Neg(v)
		}
	case "shadow", "carry_out":
		v.Neg(v)
	default: // tier, tiers, cap_excess, platform_fee, holdback_release, carry_in, total: as they stand
	}
	require.Zero(t, v.Cmp(calculate(t, s.Result)), "%s: %s: %s is not %s", s.Name, s.Formula, s.Inputs, s.Result)
}
