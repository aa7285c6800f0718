package billing_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

// TestCorrectionsByState: the state of the invoice decides, and what cannot be done says
// what can.
func TestCorrectionsByState(t *testing.T) {
	t.Parallel()
	open := billing.Standing{Status: "open", TotalMinor: 1_000, RemainingMinor: 1_000}
	with := func(change func(s *billing.Standing)) billing.Standing {
		s := open
		change(&s)
		return s
	}
	paid := with(func(s *billing.Standing) { s.Status, s.PaidMinor, s.RemainingMinor = "paid", 1_000, 0 })
	credit := billing.Wish{Line: "a", TooMuchMinor: 400, LineMinor: 600}
	for name, c := range map[string]struct {
		s    billing.Standing
		w    billing.Wish
		kind billing.CorrectionKind
		code string
	}{
		"open":                              {open, credit, billing.CorrectBefore, ""},
		"paid":                              {paid, credit, billing.CorrectAfter, ""},
		"partly paid":                       {with(func(s *billing.Standing) { s.PaidMinor, s.RemainingMinor = 700, 300 }), credit, "", "credit_exceeds_remaining"},
		"uncollectible":                     {with(func(s *billing.Standing) { s.Status = "uncollectible" }), credit, "", "invoice_not_creditable"},
		"void":                              {with(func(s *billing.Standing) { s.Status = "void" }), credit, "", "invoice_not_creditable"},
		"more than the line":                {open, billing.Wish{Line: "a", TooMuchMinor: 601, LineMinor: 600}, "", "credit_exceeds_line"},
		"credited before":                   {open, billing.Wish{Line: "a", TooMuchMinor: 400, LineMinor: 600, LineCreditedMinor: 300}, "", "credit_exceeds_line"},
		"invoice credited":                  {with(func(s *billing.Standing) { s.CreditedMinor = 700 }), credit, "", "credit_exceeds_line"},
		"too little":                        {paid, billing.Wish{Line: "a", TooMuchMinor: -400, LineMinor: 600}, billing.CorrectNext, ""},
		"next cycle":                        {with(func(s *billing.Standing) { s.Status = "uncollectible" }), billing.Wish{Line: "a", TooMuchMinor: 400, LineMinor: 600, NextCycle: true}, billing.CorrectNext, ""},
		"nothing":                           {open, billing.Wish{Line: "a", LineMinor: 600}, "", "correction_empty"},
		"void an open one":                  {open, billing.Wish{Void: true}, billing.CorrectVoid, ""},
		"void a paid one":                   {paid, billing.Wish{Void: true}, "", "invoice_not_voidable"},
		"void a credited one":               {with(func(s *billing.Standing) { s.CreditedMinor = 1 }), billing.Wish{Void: true}, "", "invoice_not_voidable"},
		"void a void one":                   {with(func(s *billing.Standing) { s.Status = "void" }), billing.Wish{Void: true}, billing.CorrectVoid, ""},
		"void a void one that was credited": {with(func(s *billing.Standing) { s.Status, s.CreditedMinor = "void", 1 }), billing.Wish{Void: true}, "", "invoice_voided"},
		"void a partly paid one":            {with(func(s *billing.Standing) { s.PaidMinor = 1 }), billing.Wish{Void: true}, "", "invoice_not_voidable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kind, err := billing.DecideCorrection(c.s, c.w)
			require.Equal(t, c.kind, kind)
			if c.code != "" {
				require.Equal(t, c.code, fault.CodeOf(err))
				return
			}
			require.NoError(t, err)
			require.NotEmpty(t, kind.Effect())
		})
	}
}

// TestCreditsNeverExceedTheBill: whatever is wished one after the other, the credits that
// are decided never sum to more than the line or the invoice.
func TestCreditsNeverExceedTheBill(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		line := rapid.Int64Range(1, 10_000).Draw(rt, "line")
		total := line + rapid.Int64Range(0, 10_000).Draw(rt, "rest")
		s := billing.Standing{Status: rapid.SampledFrom([]string{"open", "paid", "void", "uncollectible"}).Draw(rt, "status"), TotalMinor: total, RemainingMinor: total}
		for _, minor := range rapid.SliceOfN(rapid.Int64Range(-100, 12_000), 1, 20).Draw(rt, "wishes") {
			w := billing.Wish{Line: "a", TooMuchMinor: minor, LineMinor: line, LineCreditedMinor: s.CreditedMinor, NextCycle: rapid.Bool().Draw(rt, "next")}
			if _, err := billing.DecideCorrection(s, w); err == nil && minor > 0 {
				s.CreditedMinor += minor
			}
		}
		require.LessOrEqual(rt, s.CreditedMinor, line)
	})
}

// TestAuthorizeCredit: a credit needs all that an invoice needs, and is never more than its line.
func TestAuthorizeCredit(t *testing.T) {
	t.Parallel()
	plan, err := billing.NewInvoicePlan(planInput(t, 2, nil))
	require.NoError(t, err)
	l := plan.Lines[0]
	order := billing.CreditOrder{ID: billing.CorrectionID(plan.CycleID, 1), InvoiceID: "in_1", Line: l.Line, StripeItem: "ii_1", AmountMinor: l.AmountMinor}
	got, err := billing.AuthorizeCredit(proof(t, "vendor"), account.Live, plan, opened(t, plan), order)
	require.NoError(t, err)
	require.True(t, got.Valid())
	require.Equal(t, order, got.Order())
	require.Equal(t, plan, got.Plan())
	require.False(t, billing.Credit{}.Valid())
	for name, change := range map[string]func(o *billing.CreditOrder){
		"more than the line": func(o *billing.CreditOrder) { o.AmountMinor++ }, "nothing": func(o *billing.CreditOrder) { o.AmountMinor = 0 },
		"negative": func(o *billing.CreditOrder) { o.AmountMinor = -1 }, "no invoice": func(o *billing.CreditOrder) { o.InvoiceID = "" },
		"no item": func(o *billing.CreditOrder) { o.StripeItem = "" }, "no line": func(o *billing.CreditOrder) { o.Line = "other" }, "no ID": func(o *billing.CreditOrder) { o.ID = "x" },
	} {
		o := order
		change(&o)
		got, err := billing.AuthorizeCredit(proof(t, "vendor"), account.Live, plan, opened(t, plan), o)
		require.Error(t, err, name)
		require.False(t, got.Valid(), name)
	}
	_, err = billing.AuthorizeCredit(proof(t, "vendor"), account.Test, plan, opened(t, plan), order)
	require.Equal(t, "test_mode_write", fault.CodeOf(err))
	_, err = billing.AuthorizeCredit(proof(t, "vendor"), account.Live, plan, billing.LiveWriting{}, order)
	require.Equal(t, billing.CodeWritingClosed, fault.CodeOf(err))
}
