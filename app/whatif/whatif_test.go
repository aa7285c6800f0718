package whatif_test

import (
	"context"
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/whatif"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/ope"
	"github.com/liftbill/liftbill/domain/period"
)

var opened = time.Date(2025, 12, 20, 0, 0, 0, 0, time.UTC)

func ptr[T any](v T) *T { return &v }

// ledger is a contract whose months measured the given lifts, year to date.
type ledger struct {
	months []whatif.Month
	err    error
}

func (l *ledger) Months(context.Context, string) ([]whatif.Month, error) { return l.months, l.err }

func readout(t *testing.T, plan lift.SealedPlan, m period.Month, snapshot string, point float64) lift.Readout {
	t.Helper()
	in := m.In(time.UTC)
	r, err := lift.NewReadout(lift.ReadoutInput{
		AccountID: "acme", ContractID: "acme-1", Period: m, Plan: plan, Inputs: lift.Inputs{Units: 9, SumMinor: 9_000_000},
		Estimate: lift.Estimate{SnapshotID: snapshot, Units: 9, SumMinor: 9_000_000, Result: ope.Result{
			Units: 20_000, Holdout: 4_000, HoldoutPayers: 900, Observed: 9_000_000, Counterfactual: 9_000_000 - point, T: point, VCR: 1, V: 1, SE: 1,
			W: 20_000, R: 1, ESS: 4_000, WeightDominance: 1.0 / 4_000, MinP: 0.2, WithoutTop: &ope.Reduced{T: point, SE: 1},
		}},
		Evidence: lift.Evidence{Environment: account.Live, Look: lift.LookMonth, PeriodStart: in.Start, PeriodEnd: in.End, PlanDue: ptr(opened.AddDate(0, 0, 12)),
			DecisionsWithPlan: ptr(9), DecisionsOtherPlan: ptr(0), Decisions: ptr(9), DecisionsWithoutPropensity: ptr(0), UnitsWithoutPropensity: ptr(0), ArmMismatches: ptr(0),
			CrossoverUnits: ptr(0), SourceWatermark: ptr(in.End.AddDate(0, 0, 4)), DecisionGaps: ptr(0), Books: []lift.Books{{Currency: "usd"}},
			UnmappedMinor: ptr(int64(0)), NetMinor: ptr(int64(9_000_000))},
	})
	require.NoError(t, err)
	return r
}

// months prices a year's first months under the terms, as their cycles did.
func months(t *testing.T, change func(*billing.Terms), ytd ...float64) *ledger {
	t.Helper()
	terms := billing.DefaultTerms()
	terms.FirstPeriod = "2026-01"
	change(&terms)
	contract, err := billing.NewContract("acme-1", "acme", account.Live, 1, terms, opened)
	require.NoError(t, err)
	first, err := period.Parse("2026-01")
	require.NoError(t, err)
	p, err := lift.DefaultPlan(lift.PlanTerms{Version: 1, First: first, Currency: "usd", Unit: "user", Baseline: "b", HoldoutProbability: "0.2",
		SaltCommitment: lift.SaltCommitment([]byte("0123456789abcdef"))})
	require.NoError(t, err)
	plan, err := p.Seal(opened)
	require.NoError(t, err)
	out := &ledger{}
	marks, past := map[string]int64{}, []billing.Past{}
	for i, point := range ytd {
		m := first.Add(i)
		month := whatif.Month{CycleID: "acme." + m.String(), Period: m, State: billing.Invoiced, Contract: contract, YearStart: first, Snapshots: 4,
			Readouts: []lift.Readout{readout(t, plan, m, "a", point), readout(t, plan, m, lift.SnapshotPooled, 1e8)}, Outcomes: map[string]int64{"upgrade": int64(10 * (i + 1))}}
		priced, err := billing.Bill(billing.BillInput{Contract: contract, Period: m, Snapshots: 4, Readouts: month.Readouts, HighWater: marks, Context: billing.Context{Past: past}})
		require.NoError(t, err)
		month.TotalMinor, marks["a"] = priced.Total.Minor(), priced.Rows[0].HighWaterAfter
		past = append(past, billing.PastOf(m, false, priced))
		out.months = append(out.months, month)
	}
	return out
}

func price(t *testing.T, l *ledger, n int, changes string) whatif.Answer {
	t.Helper()
	a, err := (&whatif.Service{Ledger: l}).Price(context.Background(), "acme", n, []byte(changes))
	require.NoError(t, err)
	return a
}

func amounts(a whatif.Answer) (old, other []int64) {
	for _, m := range a.Months {
		old, other = append(old, m.OldMinor), append(other, m.NewMinor)
	}
	return old, other
}

// Under their own terms the months come to what they came to: the question is priced by
// the very function that priced them.
func TestNothingChangedComesToTheSame(t *testing.T) {
	t.Parallel()
	l := months(t, func(x *billing.Terms) {
		x.PlatformFeeMinor, x.Holdback, x.Caps = 1_000, &billing.Holdback{Share: "0.1", ReleaseAfterMonths: 1}, &billing.Caps{MonthMinor: 30_000, Excess: billing.ExcessCarried}
		x.Tiers = &billing.Tiers{Above: []billing.Tier{{FromMinor: 200_000, Share: "0.1"}}}
	}, 100_000, 300_000, 250_000, 700_000)
	a := price(t, l, 12, `{}`)
	old, other := amounts(a)
	require.Equal(t, old, other)
	require.Zero(t, a.DifferenceMinor)
	require.Equal(t, l.months[0].Contract.Hash, a.Hash)
	require.Equal(t, []int{12, 4}, []int{a.Asked, len(a.Months)})
	require.Positive(t, a.HeldBackMinor)
}

// A month that was a shadow one because the account was not live stays one: what it would
// have cost stands beside it, in no total, and its lift is consumed.
func TestShadowMonthsAreInNoTotal(t *testing.T) {
	t.Parallel()
	l := months(t, func(*billing.Terms) {}, 100_000, 150_000)
	l.months[0].WritingClosed, l.months[0].ShadowMinor, l.months[0].TotalMinor = true, 20_000, 0
	a := price(t, l, 12, `{"share":"0.10"}`)
	old, other := amounts(a)
	require.Equal(t, [][]int64{{0, 10_000}, {0, 5_000}}, [][]int64{old, other})
	first := a.Months[0]
	require.Equal(t, []any{true, true, billing.PhaseShadow, int64(20_000), int64(10_000)}, []any{first.Shadow, first.WritingClosed, first.Phase, first.OldShadowMinor, first.NewShadowMinor})
	require.False(t, a.Months[1].Shadow)
	require.Equal(t, []int64{10_000, 5_000, -5_000, 1}, []int64{a.OldMinor, a.NewMinor, a.DifferenceMinor, int64(a.ShadowMonths)})
}

// The other terms hold from the first month on, and the last n months are compared.
func TestOtherTerms(t *testing.T) {
	t.Parallel()
	l := months(t, func(*billing.Terms) {}, 100_000, 150_000, 120_000, 300_000) // 20,000 10,000 0 30,000
	a := price(t, l, 2, `{"share":"0.10","platform_fee_minor":500}`)
	old, other := amounts(a)
	require.Equal(t, []int64{0, 30_000}, old)
	require.Equal(t, []int64{500, 15_500}, other)
	require.Equal(t, []int64{30_000, 16_000, -14_000}, []int64{a.OldMinor, a.NewMinor, a.DifferenceMinor})
	require.Equal(t, "fee:platform_fee", a.Months[1].Lines[1].Line)
	require.Contains(t, a.Terms, "Platform fee of 5.00 USD a month")

	// A shadow month before the compared ones has consumed its lift: 50,000 and 150,000 × 0.20.
	_, other = amounts(price(t, l, 3, `{"phases":[{"kind":"shadow","months":1}]}`))
	require.Equal(t, []int64{10_000, 0, 30_000}, other)
	_, other = amounts(price(t, l, 4, `{"phases":[{"kind":"shadow","months":2}]}`))
	require.Equal(t, []int64{0, 0, 0, 30_000}, other)
	// A changed basis brings its own default of the portfolio cap; null takes a term away.
	a = price(t, l, 4, `{"basis":"proven","po_number":null}`)
	require.Contains(t, a.Terms, "The base of all snapshots together is at most the pooled lower bound")
	_, other = amounts(a)
	require.Equal(t, []int64{19_999, 10_000, 0, 30_000}, other, "the bound lies 3.29 below: 99,996 × 0.20, then rises of 50,000 and 150,000")
	// Outcomes are there for terms that never priced them.
	_, other = amounts(price(t, l, 4, `{"outcomes":[{"kind":"upgrade","price_minor":"100"}]}`))
	require.Equal(t, []int64{21_000, 11_000, 1_000, 31_000}, other)
	a = price(t, l, 4, `{"holdback":{"share":"0.5","release_after_months":2},"platform_fee_minor":10}`)
	require.Equal(t, int64(15_000), a.HeldBackMinor)
	a = price(t, months(t, func(*billing.Terms) {}, 0), 1, `{"platform_fee_minor":10}`)
	require.Equal(t, int64(10), a.BalanceMinor, "too little to charge waits")
}

func TestQuestionsThatCannotBeAnswered(t *testing.T) {
	t.Parallel()
	l := months(t, func(*billing.Terms) {}, 100_000)
	for changes, want := range map[string]string{
		`[]`: "terms_malformed", `null`: "terms_malformed", `{"share":"0.1"} {}`: "terms_malformed", ``: "terms_malformed",
		`{"currency":"eur"}`: "term_fixed", `{"first_period":"2026-02"}`: "term_fixed", `{"time_zone":null}`: "term_fixed",
		`{"shares":"0.1"}`: "term_unknown", `{"caps":{"weekly":1}}`: "term_unknown", `{"share":0.1}`: "json_type", `{"share":null}`: "share_range",
		`{"caps":{"month_minor":-1}}`: "amount_range",
	} {
		_, err := (&whatif.Service{Ledger: l}).Price(context.Background(), "acme", 1, []byte(changes))
		require.Equal(t, want, fault.CodeOf(err), changes)
		require.True(t, fault.Is(err, fault.Invalid), changes)
	}
	for _, n := range []int{0, -1, 121} {
		_, err := (&whatif.Service{Ledger: l}).Price(context.Background(), "acme", n, []byte(`{}`))
		require.Equal(t, "months_range", fault.CodeOf(err))
	}
	_, err := (&whatif.Service{Ledger: &ledger{}}).Price(context.Background(), "acme", 1, []byte(`{}`))
	require.Equal(t, "nothing_priced", fault.CodeOf(err))
	down := fault.New(fault.Unavailable, "database_unavailable", "x")
	_, err = (&whatif.Service{Ledger: &ledger{err: down}}).Price(context.Background(), "acme", 1, []byte(`{}`))
	require.ErrorIs(t, err, down)
}

// The service holds one port, the port reads, and an answer holds nothing that could be
// authorised. That the package imports nothing but the domain is a rule of the linter.
func TestCannotReachAWriter(t *testing.T) {
	t.Parallel()
	service := reflect.TypeFor[whatif.Service]()
	require.Equal(t, 1, service.NumField())
	port := service.Field(0).Type
	require.Equal(t, reflect.TypeFor[whatif.Ledger](), port)
	require.Equal(t, 1, port.NumMethod())
	require.Equal(t, "Months", port.Method(0).Name)
	for _, forbidden := range []reflect.Type{reflect.TypeFor[billing.InvoicePlan](), reflect.TypeFor[billing.WriteBack](), reflect.TypeFor[billing.Intent](), reflect.TypeFor[account.LiveProof]()} {
		for _, from := range []reflect.Type{service, reflect.TypeFor[whatif.Answer](), reflect.TypeFor[whatif.Month]()} {
			require.False(t, reaches(from, forbidden, map[reflect.Type]bool{}), "%s reaches %s", from, forbidden)
		}
	}
	require.True(t, reaches(reflect.TypeFor[struct{ X []billing.Intent }](), reflect.TypeFor[billing.InvoicePlan](), map[reflect.Type]bool{}), "the search does find what is there")
	raw, err := json.Marshal(price(t, months(t, func(*billing.Terms) {}, 100_000), 1, `{}`))
	require.NoError(t, err)
	require.NotContains(t, string(raw), "lb:", "no key of an invoice")
}

// reaches searches the fields of a type.
func reaches(from, to reflect.Type, seen map[reflect.Type]bool) bool {
	if from == to {
		return true
	}
	if seen[from] {
		return false
	}
	seen[from] = true
	switch from.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map, reflect.Chan:
		return reaches(from.Elem(), to, seen)
	case reflect.Struct:
		for i := range from.NumField() {
			if reaches(from.Field(i).Type, to, seen) {
				return true
			}
		}
	default:
	}
	return false
}
