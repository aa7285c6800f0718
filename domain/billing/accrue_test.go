package billing_test

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/lift"
)

func minor(t require.TestingT, text string) int64 {
	d, err := decimal.NewFromString(text)
	require.NoError(t, err, text)
	return d.Shift(2).IntPart()
}

// at is an estimate whose floors are the point and the bound.
func at(t require.TestingT, plan lift.SealedPlan, id string, point, bound int64, look lift.Look) lift.Readout {
	z, err := decimal.NewFromString(plan.Plan().ErrorBudget.Z(look, id == lift.SnapshotPooled))
	require.NoError(t, err)
	return readoutAt(t, plan, estimate(id, float64(point)+0.5, float64(point-bound)/z.InexactFloat64()), look)
}

// TestAccrualsByHand recomputes the table of docs/accruals.md.
func TestAccrualsByHand(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../docs/accruals.md")
	require.NoError(t, err)
	_, table, ok := strings.Cut(string(raw), "| example |")
	require.True(t, ok)
	examples := 0
	for _, line := range strings.Split(table, "\n")[2:] {
		if !strings.HasPrefix(line, "|") {
			break
		}
		examples++
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		plan := sealed(t, 4)
		in := billing.BillInput{Period: month(t, "2026-01"), Snapshots: 4, HighWater: map[string]int64{}}
		in.Contract = contract(t, func(x *billing.Terms) {
			x.PortfolioCap = ptr(false)
			switch name, value, _ := strings.Cut(cells[1], " "); name {
			case "platform":
				x.PlatformFeeMinor = minor(t, value)
			case "floor":
				x.FloorMinor = minor(t, value)
			case "cap":
				x.Caps = &billing.Caps{MonthMinor: minor(t, value)}
			case "proven":
				x.Basis = lift.BasisProven
			default:
				require.Empty(t, name)
			}
		})
		in.Readouts = append(in.Readouts, at(t, plan, lift.SnapshotPooled, 1e7, 1e6, lift.LookMonth))
		for _, s := range strings.Split(cells[2], ";") {
			f := strings.Fields(s)
			in.Readouts = append(in.Readouts, at(t, plan, f[0], minor(t, f[1]), minor(t, f[2]), lift.LookMonth))
			in.HighWater[f[0]] = minor(t, f[3])
		}
		a, err := billing.Accrue(in)
		require.NoError(t, err)
		text := func(v int64) string { return decimal.New(v, -2).StringFixed(2) }
		got := []string{text(a.Low.TotalMinor()), text(a.Expected.TotalMinor()), text(a.HighMinor)}
		require.Equal(t, got, cells[3:], "%s: the page says another amount", cells[0])
		p, err := billing.Bill(in)
		require.NoError(t, err)
		require.Equal(t, p.Total.Minor(), a.Expected.TotalMinor())
	}
	require.Equal(t, 9, examples)
}

// TestAccrualsHold: over random contracts low ≤ expected ≤ high, expected is what Bill
// comes to, and whatever the lift turns out to be within its interval, and whichever check
// passes or fails then, the invoice is not above high.
func TestAccrualsHold(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		tl := newTeller(t, func(x *billing.Terms) {
			drawTerms(t, x)
			x.PortfolioCap = ptr(rapid.Bool().Draw(t, "portfolio"))
		})
		counted := map[string]int64{}
		for n := 1; n <= rapid.IntRange(0, 11).Draw(t, "months before"); n++ {
			tl.price(t, drawMonth(t, tl, counted, n))
		}
		m := month(t, tl.contract.Terms.FirstPeriod).Add(tl.month)
		look, _, _ := lift.LookOf(m.Add(-tl.month), m)
		plan := sealedIn(t, tl.contract.Terms.Currency, 8)
		in := billing.BillInput{Contract: tl.contract, Period: m, Snapshots: 8, HighWater: tl.marks, Context: billing.Context{Past: tl.past, ClosesYear: tl.month == 11, Outcomes: counted}}
		real := in
		for _, id := range []string{lift.SnapshotPooled, "a", "b", "c"} {
			point, width := rapid.Int64Range(-1e6, 9e6).Draw(t, "point "+id), rapid.Int64Range(2, 3e6).Draw(t, "width "+id)
			in.Readouts = append(in.Readouts, at(t, plan, id, point, point-width, look))
			then := rapid.Int64Range(point-width, point+width-2).Draw(t, "then "+id)
			real.Readouts = append(real.Readouts, at(t, plan, id, then, then-rapid.Int64Range(0, 3e6).Draw(t, "then width"), look))
		}
		a, err := billing.Accrue(in)
		require.NoError(t, err)
		now, err := billing.Bill(in)
		require.NoError(t, err)
		require.Equal(t, now.Total.Minor(), a.Expected.TotalMinor())
		require.LessOrEqual(t, a.Low.TotalMinor(), a.Expected.TotalMinor())
		require.LessOrEqual(t, a.Expected.TotalMinor(), a.HighMinor)
		require.GreaterOrEqual(t, a.Low.TotalMinor(), int64(0))
		for _, l := range a.Lines {
			require.True(t, l.LowMinor <= l.ExpectedMinor && l.ExpectedMinor <= l.HighMinor, "%+v", l)
			if !l.Passed {
				require.Zero(t, l.ExpectedMinor, "withheld")
			}
		}
		final, err := billing.Bill(real)
		require.NoError(t, err)
		require.LessOrEqual(t, final.Total.Minor(), a.HighMinor, "realised %v", final.Lines)
	})
}

// TestAnAccrualPermitsNothing: no value that a price, a plan or a permission is made of can
// be reached from an accrual.
func TestAnAccrualPermitsNothing(t *testing.T) {
	t.Parallel()
	var walk func(x reflect.Type)
	seen := map[reflect.Type]bool{}
	walk = func(x reflect.Type) {
		if seen[x] {
			return
		}
		seen[x] = true
		switch x.Kind() {
		case reflect.Struct:
			for i := range x.NumField() {
				require.True(t, x.Field(i).IsExported(), "%s.%s is hidden", x, x.Field(i).Name)
				walk(x.Field(i).Type)
			}
		case reflect.Slice:
			walk(x.Elem())
		default:
			require.Contains(t, []reflect.Kind{reflect.Int64, reflect.String, reflect.Bool}, x.Kind(), fmt.Sprint(x))
		}
	}
	walk(reflect.TypeFor[billing.Accrual]())
	require.False(t, seen[reflect.TypeFor[billing.Line]()] || seen[reflect.TypeFor[lift.Billable]()])
}
