package reconcile_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/fault"
)

// book is a ledger with one cycle.
type book struct {
	reconcile.Reader
	tie reconcile.TieOut
	out reconcile.Readout
}

func (b *book) TieOut(context.Context, string) (reconcile.TieOut, error)   { return b.tie, nil }
func (b *book) Readout(context.Context, string) (reconcile.Readout, error) { return b.out, nil }

func ptr[T any](v T) *T { return &v }

// month is 20,618.50 of proven lift above a mark of 100.00 at a share of 2 %: 410.37.
func month() *book {
	b := &book{out: reconcile.Readout{Verdict: "passed", Lift: 2_061_850.5, Counterfactual: 938_149.5, SE: 1_000.25, Bound: 2_058_559.2, Z: "3.290527", Checks: []reconcile.Check{{Status: "passed"}}}}
	b.tie = reconcile.TieOut{
		CycleSummary: reconcile.CycleSummary{ID: "acme.2026-10", Currency: "usd"}, PaidRevenueMinor: 4_000_000, StripeNetMinor: ptr[int64](4_000_000),
		Buckets: []reconcile.BucketSum{
			{Bucket: "snapshot", SnapshotID: "s1", Currency: "usd", AmountMinor: 3_000_000, Events: 30}, {Bucket: "snapshot", SnapshotID: "s2", Currency: "usd", AmountMinor: 900_000, Events: 9},
			{Bucket: "no_decision", Currency: "usd", AmountMinor: 100_000, Events: 1}, {Bucket: "own_invoice", Currency: "usd", AmountMinor: 5}, {Bucket: "other_currency", Currency: "eur", AmountMinor: 7},
		},
		Lines: []reconcile.Line{{SnapshotID: "s1", SnapshotName: "One", CaseID: "case", Verdict: "passed", ObservedMinor: 3_000_000, MeasuredMinor: 2_061_850, BoundMinor: 2_058_559,
			HighWaterFrom: 10_000, HighWaterTo: 2_061_850, BaseMinor: 2_051_850, FeeMinor: 41_037, BilledMinor: 40_000, StripeMinor: ptr[int64](40_000)}},
		Charges: []reconcile.Charge{{Line: "fee:cap", Kind: "cap", Description: "Fees above the agreed cap", AmountMinor: -1_037}},
		Steps: []reconcile.Step{
			{Number: 1, Name: "measure", SnapshotID: "s1", Formula: "measured = observed − counterfactual, rounded down", Inputs: "3000000 − 938149.500000", Result: "2061850"},
			{Number: 2, Name: "bound", SnapshotID: "s1", Formula: "bound = measured − z × standard error, rounded down", Inputs: "2061850.500000 − 3.290527 × 1000.250000", Result: "2058559"},
			{Number: 3, Name: "guardrail", SnapshotID: "s1", Formula: "every check passes", Inputs: "1 checks", Result: "passed"},
			{Number: 4, Name: "base", SnapshotID: "s1", Formula: "max(0, measured − billed before)", Inputs: "2061850 − 10000", Result: "2051850"},
			{Number: 5, Name: "fee", SnapshotID: "s1", Formula: "round half_even(base × share)", Inputs: "2051850 × 0.02", Result: "41037"},
			{Number: 6, Name: "cap", Formula: "−max(0, fees − room of the caps: month)", Inputs: "41037 − (40000 − 0)", Result: "-1037"},
			{Number: 7, Name: "total", Formula: "sum of the lines", Inputs: "41037 − 1037", Result: "40000"},
		},
	}
	return b
}

func explain(t *testing.T, b *book, key string) reconcile.Explanation {
	t.Helper()
	e, err := (&reconcile.Service{Reader: b}).Explain(t.Context(), "acme.2026-10", key)
	require.NoError(t, err)
	return e
}

// add follows a part as a reader does: what stands after an equals sign is what the
// figures above it come to.
func add(t require.TestingT, p reconcile.Part) {
	var level int64
	known := true
	for _, f := range p.Figures {
		switch {
		case f.Minor == nil && f.Exact == "" && f.Text == "":
		case f.Minor == nil:
			known = false // below the minor unit, or a factor: a step says it
		case f.Sign == reconcile.SignEquals:
			if known {
				require.Equal(t, level, *f.Minor, "%s: %s", p.Title, f.Label)
			}
			level, known = *f.Minor, true
		case f.Sign == reconcile.SignMinus:
			level -= *f.Minor
		case f.Sign == reconcile.SignPlus:
			level += *f.Minor
		case level == 0:
			level = *f.Minor
		}
	}
}

func TestALineIsExplained(t *testing.T) {
	t.Parallel()
	e := explain(t, month(), "s1")
	require.Empty(t, e.Problems)
	require.Len(t, e.Parts, 5)
	require.Equal(t, []int{4, 5}, []int{e.Recomputed, e.OfSteps}, "the verdict is no arithmetic; other lines' steps are not this line's")
	for _, p := range e.Parts {
		add(t, p)
	}
	require.Equal(t, int64(41_037), e.AmountMinor)
	require.Equal(t, int64(40_000), e.BilledMinor)

	c := explain(t, month(), "fee:cap")
	require.Empty(t, c.Problems)
	require.Equal(t, int64(-1_037), *c.Parts[0].Figures[0].Minor)
	_, err := (&reconcile.Service{Reader: month()}).Explain(t.Context(), "acme.2026-10", "fee:nothing")
	require.Equal(t, "line_not_found", fault.CodeOf(err))
}

// Whatever figure is changed in the database, the page says that it does not agree.
func TestAChangedFigureIsNoticed(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(b *book){
		"the fee":           func(b *book) { b.tie.Lines[0].FeeMinor++ },
		"the base":          func(b *book) { b.tie.Lines[0].BaseMinor-- },
		"the measured lift": func(b *book) { b.tie.Lines[0].MeasuredMinor += 2 },
		"the bound":         func(b *book) { b.tie.Lines[0].BoundMinor += 2 },
		"the readout":       func(b *book) { b.out.Lift += 5 },
		"Stripe's line":     func(b *book) { b.tie.Lines[0].StripeMinor = ptr[int64](39_999) },
		"Stripe's lists":    func(b *book) { b.tie.StripeNetMinor = ptr[int64](4_000_001) },
		"a bucket":          func(b *book) { b.tie.Buckets[2].AmountMinor++ },
		"a step's result":   func(b *book) { b.tie.Steps[4].Result = "41038" },
		"a step's inputs":   func(b *book) { b.tie.Steps[3].Inputs = "2061850 − 9999" },
		"a step's words":    func(b *book) { b.tie.Steps[4].Inputs = "2051850 times 0.02" },
	} {
		b := month()
		change(b)
		require.NotEmpty(t, explain(t, b, "s1").Problems, name)
	}
}

// A withheld line, one without an estimate and one that is not priced yet have an
// explanation as well, and nothing in it disagrees.
func TestALineWithoutAFee(t *testing.T) {
	t.Parallel()
	b := month()
	b.out.Verdict, b.out.HeadlineCode = "withheld", "LCB_NOT_POSITIVE"
	l := &b.tie.Lines[0]
	l.BaseMinor, l.FeeMinor, l.BilledMinor, l.StripeMinor, l.DeferredMinor = 0, 0, 0, nil, 9
	b.tie.Steps = append(b.tie.Steps[:2:2], reconcile.Step{Number: 3, Name: "guardrail", SnapshotID: "s1", Formula: "every check passes", Inputs: "LCB_NOT_POSITIVE", Result: "withheld"})
	b.tie.Charges = nil
	e := explain(t, b, "s1")
	require.Empty(t, e.Problems)
	require.Empty(t, e.Expect(41_500).Otherwise, "nothing that one could have billed")
	b.tie.Steps = nil
	require.Empty(t, explain(t, b, "s1").Problems)
}

func TestWhyNotAnotherAmount(t *testing.T) {
	t.Parallel()
	e := explain(t, month(), "s1")
	a := e.Expect(41_037)
	require.Equal(t, int64(-1_037), a.GapMinor)
	require.Equal(t, reconcile.Alternative{If: "no cap, holdback or credit had reduced the line", Minor: 41_037}, a.Otherwise[0], "the nearest stands first, and explains it")
	a = e.Expect(41_237)
	require.Equal(t, "the whole measured lift were billed, and not what is above the mark", a.Otherwise[0].If)
	require.Zero(t, a.Otherwise[0].OffMinor)
	require.Equal(t, int64(2_061_826), *a.NeededBaseMinor, "half even: 41,236.52 is 41,237")
	require.Equal(t, int64(2_061_826-2_051_850), *a.MissingBaseMinor)
	require.Nil(t, e.Expect(0).NeededBaseMinor)

	for text, want := range map[string]int64{"415": 41_500, "415.00": 41_500, "1,415.5": 141_550, "412.37 USD": 41_237, "-3": -300, "0": 0} {
		got, err := reconcile.ParseAmount(text, "usd")
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "four", "1.234", "1e9", "99999999999999999999", "1.2.3"} {
		_, err := reconcile.ParseAmount(text, "usd")
		require.Equal(t, "amount_malformed", fault.CodeOf(err), text)
	}
	got, err := reconcile.ParseAmount("415", "jpy")
	require.NoError(t, err)
	require.Equal(t, int64(415), got)
}

// The base that is named is the smallest one that reaches the amount.
func TestTheNeededBaseIsTheSmallest(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := month()
		mode := rapid.SampledFrom([]string{"down", "half_up", "half_even", "down to 100"}).Draw(t, "mode")
		share := rapid.SampledFrom([]string{"0.02", "0.0001", "0.333", "1", "0.2 × 0.97"}).Draw(t, "share")
		b.tie.Steps[4].Formula, b.tie.Steps[4].Inputs = "round "+mode+"(base × share)", "2051850 × "+share
		expected := rapid.Int64Range(1, 1_000_000).Draw(t, "expected")
		e, err := (&reconcile.Service{Reader: b}).Explain(context.Background(), "acme.2026-10", "s1")
		require.NoError(t, err)
		a := e.Expect(expected)
		require.NotNil(t, a.NeededBaseMinor)
		fee := func(base int64) int64 {
			c := month()
			c.tie.Steps = []reconcile.Step{b.tie.Steps[4]}
			c.tie.Lines[0].MeasuredMinor, c.tie.Lines[0].HighWaterFrom, c.tie.Lines[0].BilledMinor = base, 0, -1
			e, err := (&reconcile.Service{Reader: c}).Explain(context.Background(), "acme.2026-10", "s1")
			require.NoError(t, err)
			for _, o := range e.Expect(0).Otherwise {
				if o.If == "the whole measured lift were billed, and not what is above the mark" {
					return o.Minor
				}
			}
			t.Fatal("no such alternative")
			return 0
		}
		require.GreaterOrEqual(t, fee(*a.NeededBaseMinor), expected)
		require.Less(t, fee(*a.NeededBaseMinor-1), expected)
	})
}
