package invoicing_test

import (
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/internal/campaign"
	"github.com/liftbill/liftbill/internal/pipelinetest"
)

var (
	finance  = access.Principal{Kind: access.User, ID: "usr_fin", Name: "Finn", Person: "finn", Roles: access.Roles{access.Finance}, Scope: access.Everything()}
	approver = access.Principal{Kind: access.User, ID: "usr_app", Name: "Ada", Person: "ada", Roles: access.Roles{access.Approver}, Scope: access.Everything()}
)

// released is a bill whose invoice is with the payer.
func released(t *testing.T, l *pipelinetest.Ledger) (*pipelinetest.Bill, string) {
	t.Helper()
	b := pipelinetest.NewBill(t, l)
	out, err := b.Drive(t, nil)
	require.NoError(t, err)
	b.RequireBilled(t)
	return b, out.InvoiceID
}

func propose(t *testing.T, b *pipelinetest.Bill, minor int64) (invoicing.Correction, error) {
	t.Helper()
	return b.NewProcess(t).ProposeCorrection(t.Context(), finance, invoicing.Wanted{CycleID: b.Plan.CycleID, Reason: "counted twice", Line: "snap-a", TooMuchMinor: minor})
}

func approve(t *testing.T, b *pipelinetest.Bill, id string) invoicing.Correction {
	t.Helper()
	c, err := b.NewProcess(t).ApproveCorrection(t.Context(), approver, id)
	require.NoError(t, err)
	return c
}

// notes are the credit notes of an invoice that count.
func notes(t *testing.T, b *pipelinetest.Bill, invoice string) (sum int64, n int) {
	t.Helper()
	for _, o := range b.Operator(t, http.MethodGet, "/v1/credit_notes?limit=100&invoice="+invoice, nil)["data"].([]any) {
		if o := o.(map[string]any); o["status"] == "issued" {
			sum, n = sum+int64(o["amount"].(float64)), n+1
		}
	}
	return sum, n
}

func pay(t *testing.T, b *pipelinetest.Bill, invoice string) {
	t.Helper()
	b.Operator(t, http.MethodPost, "/v1/invoices/"+invoice+"/pay", url.Values{"paid_out_of_band": {"true"}})
}

func stands(t *testing.T, b *pipelinetest.Bill, id string) invoicing.Correction {
	t.Helper()
	c, err := b.NewProcess(t).Corrections.Correction(t.Context(), id)
	require.NoError(t, err)
	return c
}

// TestCreditNotesByState: an open invoice asks for less, a paid one gives the payer a
// balance, and one that was paid between approval and carrying out is credited as paid.
func TestCreditNotesByState(t *testing.T) {
	t.Parallel()
	l := pipelinetest.NewLedger(t)
	b, in := released(t, l)
	first, err := propose(t, b, 1_000)
	require.NoError(t, err)
	require.Equal(t, billing.CorrectBefore, first.Kind)
	require.NoError(t, b.NewProcess(t).CarryCorrection(t.Context(), first.ID), "not approved: nothing happens")
	_, err = b.NewProcess(t).ApproveCorrection(t.Context(), finance, first.ID)
	require.True(t, fault.Is(err, fault.Forbidden), "finance does not approve")
	both := finance
	both.Roles = access.Roles{access.Finance, access.Approver}
	_, err = b.NewProcess(t).ApproveCorrection(t.Context(), both, first.ID)
	require.Equal(t, "four_eyes", fault.CodeOf(err))
	approve(t, b, first.ID)
	for range 2 { // also when it is carried out again
		n, err := b.NewProcess(t).CarryCorrections(t.Context())
		require.NoError(t, err)
		require.LessOrEqual(t, n, 1)
	}
	require.Equal(t, invoicing.CorrectionDone, stands(t, b, first.ID).State)
	sum, n := notes(t, b, in)
	require.Equal(t, []int64{1_000, 1}, []int64{sum, int64(n)})
	at := b.Operator(t, http.MethodGet, "/v1/invoices/"+in, nil)
	require.EqualValues(t, b.Plan.TotalMinor()-1_000, at["amount_remaining"])

	second, err := propose(t, b, 500)
	require.NoError(t, err)
	require.Equal(t, billing.CorrectBefore, second.Kind)
	approve(t, b, second.ID)
	pay(t, b, in)
	for range 2 {
		_, err = b.NewProcess(t).CarryCorrections(t.Context())
		require.NoError(t, err)
	}
	got := stands(t, b, second.ID)
	require.Equal(t, []any{invoicing.CorrectionDone, billing.CorrectAfter}, []any{got.State, got.Kind}, got.Detail)
	sum, n = notes(t, b, in)
	require.Equal(t, []int64{1_500, 2}, []int64{sum, int64(n)})
	require.EqualValues(t, -500, b.Operator(t, http.MethodGet, "/v1/customers/"+b.Plan.Key.Customer, nil)["balance"])
	for _, r := range b.Requests() {
		require.NotContains(t, r.Path, "/refunds")
	}
}

// TestCreditLimits: fifty people at once never take back more than the line, and the
// database refuses what the use case would let through.
func TestCreditLimits(t *testing.T) {
	t.Parallel()
	l := pipelinetest.NewLedger(t)
	b, in := released(t, l)
	s := b.NewProcess(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var made []string
	for range 50 {
		wg.Go(func() {
			c, err := s.ProposeCorrection(t.Context(), finance, invoicing.Wanted{CycleID: b.Plan.CycleID, Reason: "all at once", Line: "snap-a", TooMuchMinor: 3_000})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				made = append(made, c.ID)
			}
		})
	}
	wg.Wait()
	require.Len(t, made, 4, "4 × 3,000 of 12,345")
	_, err := propose(t, b, 346)
	require.Equal(t, "credit_exceeds_line", fault.CodeOf(err))
	_, err = l.SQL.Exec(t.Context(), `INSERT INTO corrections (id, cycle_id, environment, number, intent_id, invoice_id, kind, line, amount_minor, reason, state, proposed_by, proposed_at)
		SELECT 'x', cycle_id, environment, 99, intent_id, invoice_id, kind, line, 346, 'past the use case', 'proposed', 'x', now() FROM corrections WHERE id = $1`, made[0])
	require.ErrorContains(t, err, "more is taken back than was billed")
	_, err = l.SQL.Exec(t.Context(), `UPDATE corrections SET amount_minor = 1 WHERE id = $1`, made[0])
	require.ErrorContains(t, err, "append-only")
	_, err = s.WithdrawCorrection(t.Context(), finance, made[0], "counted once after all")
	require.NoError(t, err)
	_, err = propose(t, b, 346)
	require.NoError(t, err, "what was withdrawn is free again")
	for _, id := range made[1:] {
		approve(t, b, id)
	}
	_, err = s.CarryCorrections(t.Context())
	require.NoError(t, err)
	sum, n := notes(t, b, in)
	require.Equal(t, []int64{9_000, 3}, []int64{sum, int64(n)})
}

// TestCreditFaults breaks every request of a credit note in every way: in the end there is
// one note over the amount, whatever was lost, and never a second one.
func TestCreditFaults(t *testing.T) {
	t.Parallel()
	l := pipelinetest.NewLedger(t)
	for i := range 5 { // the payer, the notes, the invoice, its lines, the note
		for _, kind := range campaign.Kinds() {
			t.Run(fmt.Sprintf("%d %s", i, kind), func(t *testing.T) {
				t.Parallel()
				b, in := released(t, l)
				c, err := propose(t, b, 700)
				require.NoError(t, err)
				approve(t, b, c.ID)
				require.NoError(t, b.Fake.AddFault(stripefake.FaultRule{Kind: kind, KeyKind: "restricted", Skip: i, Count: times(kind), Delay: 6 * time.Hour}))
				for range 12 {
					_ = b.NewProcess(t).CarryCorrection(t.Context(), c.ID) // whatever it says: a new process tries again
					_, n := notes(t, b, in)
					require.LessOrEqual(t, n, 1)
					got := stands(t, b, c.ID)
					if got.State == invoicing.CorrectionDone {
						break
					}
					if got.State == invoicing.CorrectionHuman {
						if _, err := b.NewProcess(t).RetryCorrection(t.Context(), finance, c.ID, "looked"); err != nil {
							require.Equal(t, "effect_uncertain", fault.CodeOf(err))
							require.NoError(t, b.Fake.Advance(31*time.Hour))
							_, err = b.NewProcess(t).RetryCorrection(t.Context(), finance, c.ID, "looked")
							require.NoError(t, err)
						}
						continue
					}
					require.NoError(t, b.Fake.Advance(6*time.Minute))
				}
				require.NoError(t, b.Fake.Advance(48*time.Hour))
				got := stands(t, b, c.ID)
				require.Equal(t, invoicing.CorrectionDone, got.State, got.Detail)
				sum, n := notes(t, b, in)
				require.Equal(t, []int64{700, 1}, []int64{sum, int64(n)})
			})
		}
	}
}

// TestVoidAndReissue: an open invoice is voided once, the cycle waits for a person, and the
// person who reissues makes one other invoice over the same lines.
func TestVoidAndReissue(t *testing.T) {
	t.Parallel()
	b, in := released(t, pipelinetest.NewLedger(t))
	s := b.NewProcess(t)
	c, err := s.ProposeCorrection(t.Context(), finance, invoicing.Wanted{CycleID: b.Plan.CycleID, Reason: "the PO number is wrong", Void: true})
	require.NoError(t, err)
	_, err = propose(t, b, 100)
	require.Error(t, err, "an invoice that is to be voided is not credited as well")
	approve(t, b, c.ID)
	for range 2 {
		_, err = b.NewProcess(t).CarryCorrections(t.Context())
		require.NoError(t, err)
	}
	require.Equal(t, []string{in}, ourInvoices(t, b, "void"))
	books := b.Books(t)
	require.Equal(t, []string{"needs_human", "needs_human"}, []string{books.Cycle, books.Intent})
	require.Contains(t, books.Reason, billing.HumanInvoiceVoided)
	_, err = s.Resume(t.Context(), finance, invoicing.Resumption{CycleID: b.Plan.CycleID, Reason: "issue it again", Reissue: true})
	require.NoError(t, err)
	out, err := b.Drive(t, nil)
	require.NoError(t, err)
	require.NotEqual(t, in, out.InvoiceID)
	require.Equal(t, []string{out.InvoiceID}, ourInvoices(t, b, "open", "paid"))
	b.RequireBilled(t)

	paid, invoice := released(t, b.Ledger)
	pay(t, paid, invoice)
	c, err = s.ProposeCorrection(t.Context(), finance, invoicing.Wanted{CycleID: paid.Plan.CycleID, Reason: "too late", Void: true})
	require.NoError(t, err, "nobody told us yet that it is paid")
	approve(t, paid, c.ID)
	require.NoError(t, paid.NewProcess(t).CarryCorrection(t.Context(), c.ID))
	require.Equal(t, invoicing.CorrectionHuman, stands(t, paid, c.ID).State)
	require.Equal(t, []string{invoice}, ourInvoices(t, paid, "paid"))
}

// TestAVoidedInvoiceMayBeLeftAtThat: a cycle whose invoice was voided ends as skipped when a
// person says so, its payer is free for the next month, and nothing but the void invoice is at
// Stripe. While anything may still count there the cycle is not skipped.
func TestAVoidedInvoiceMayBeLeftAtThat(t *testing.T) {
	t.Parallel()
	b, in := released(t, pipelinetest.NewLedger(t))
	desk := &invoicing.Decisions{Work: b.Ledger.DB.Deciding(), Clock: b.Clock}
	skip := func() (invoicing.Standing, error) {
		return desk.Decide(t.Context(), finance, invoicing.Wish{CycleID: b.Plan.CycleID, Action: billing.ActSkip, Reason: "agreed with the payer"})
	}
	_, err := skip()
	require.Equal(t, "cycle_state", fault.CodeOf(err), "an invoice that counts")
	c, err := b.NewProcess(t).ProposeCorrection(t.Context(), finance, invoicing.Wanted{CycleID: b.Plan.CycleID, Reason: "not owed", Void: true})
	require.NoError(t, err)
	approve(t, b, c.ID)
	_, err = b.NewProcess(t).CarryCorrections(t.Context())
	require.NoError(t, err)
	require.Equal(t, "needs_human", b.Books(t).Cycle)

	_, err = b.Ledger.SQL.Exec(t.Context(), `INSERT INTO writeback_given_up (intent_id, invoice_id, at) SELECT id, 'in_other', now() FROM writeback_intents WHERE cycle_id = $1`, b.Plan.CycleID)
	require.NoError(t, err)
	_, err = skip()
	require.Equal(t, "writing_begun", fault.CodeOf(err), "another one may still count")
	_, err = b.Ledger.SQL.Exec(t.Context(), `DELETE FROM writeback_given_up`)
	require.NoError(t, err)
	out, err := skip()
	require.NoError(t, err)
	require.Equal(t, billing.Skipped, out.State)
	require.Equal(t, []string{in}, ourInvoices(t, b, "void"))
	require.Empty(t, ourInvoices(t, b, "open", "paid", "draft"))
	var state string
	require.NoError(t, b.Ledger.SQL.QueryRow(t.Context(), `SELECT state FROM cycles WHERE id = $1`, b.Plan.CycleID).Scan(&state))
	require.Equal(t, "skipped", state)

	next := b.NextMonth(t)
	billed, err := next.Drive(t, nil)
	require.NoError(t, err)
	require.NotEqual(t, in, billed.InvoiceID)
	next.RequireBilled(t)
}

// TestAnInvoiceThatWasVoidedByHand: what somebody voided at Stripe after it was released is no
// dead end. The cycle says so and what to do; taken back here too, by two people, it waits for
// a person, who issues it again or leaves it at that. Nothing is sent to void it once more.
func TestAnInvoiceThatWasVoidedByHand(t *testing.T) {
	t.Parallel()
	b, in := released(t, pipelinetest.NewLedger(t))
	b.Operator(t, http.MethodPost, "/v1/invoices/"+in+"/void", nil)
	hear(t, b, told(t, b))
	facts := func() billing.CycleFacts {
		tie, err := (&reconcile.Service{Reader: b.Ledger.DB.NewReader()}).TieOut(t.Context(), b.Plan.CycleID)
		require.NoError(t, err)
		return tie.Facts(billing.RunCompleted)
	}
	require.Equal(t, billing.Invoiced, facts().State)
	require.Contains(t, billing.NextActionOf(facts()), "voided by hand at Stripe")
	listed, err := (&reconcile.Service{Reader: b.Ledger.DB.NewReader()}).Cycles(t.Context(), reconcile.CyclesFilter{Scope: access.Everything(), AccountID: b.Plan.AccountID})
	require.NoError(t, err)
	require.Contains(t, listed.Items[0].NextAction, "voided by hand at Stripe", "the list says so too")
	require.Contains(t, billing.NextSteps(facts()), billing.StepCorrect)

	c, err := b.NewProcess(t).ProposeCorrection(t.Context(), finance, invoicing.Wanted{CycleID: b.Plan.CycleID, Reason: "voided in the Dashboard", Void: true})
	require.NoError(t, err)
	approve(t, b, c.ID)
	b.Fake.ResetRequests()
	_, err = b.NewProcess(t).CarryCorrections(t.Context())
	require.NoError(t, err)
	for _, r := range b.Requests() {
		require.NotEqual(t, http.MethodPost, r.Method)
	}
	require.Equal(t, billing.NeedsHuman, facts().State)
	require.Contains(t, billing.NextSteps(facts()), billing.NextStep(billing.ActSkip))
	require.Contains(t, billing.NextSteps(facts()), billing.StepReissue)
	desk := &invoicing.Decisions{Work: b.Ledger.DB.Deciding(), Clock: b.Clock}
	out, err := desk.Decide(t.Context(), finance, invoicing.Wish{CycleID: b.Plan.CycleID, Action: billing.ActSkip, Reason: "agreed with the payer"})
	require.NoError(t, err)
	require.Equal(t, billing.Skipped, out.State)
}

// TestCreditNotesWithTax: what is too much on a line goes back with its tax, before payment
// and after, to the cent that Stripe computes; our books hold it without.
func TestCreditNotesWithTax(t *testing.T) {
	t.Parallel()
	b := pipelinetest.NewBill(t, pipelinetest.NewLedger(t))
	require.NoError(t, b.Fake.SetTax("acct_issuer", "live", 19))
	b.Operator(t, http.MethodPost, "/v1/customers/"+b.Plan.Key.Customer, url.Values{"address[country]": {"DE"}})
	draft, err := b.NewProcess(t).EnsureDraft(t.Context(), b.Plan.CycleID)
	require.NoError(t, err)
	in := draft.InvoiceID
	b.Operator(t, http.MethodPost, "/v1/invoices/"+in, url.Values{"automatic_tax[enabled]": {"true"}})
	_, err = b.Drive(t, nil)
	require.NoError(t, err)
	taxed := func() map[string]any { return b.Operator(t, http.MethodGet, "/v1/invoices/"+in, nil) }
	require.Positive(t, taxed()["tax"])
	require.EqualValues(t, b.Plan.TotalMinor(), taxed()["total_excluding_tax"])

	before, err := propose(t, b, 1_000)
	require.NoError(t, err)
	approve(t, b, before.ID)
	require.NoError(t, b.NewProcess(t).CarryCorrection(t.Context(), before.ID))
	require.Equal(t, invoicing.CorrectionDone, stands(t, b, before.ID).State, stands(t, b, before.ID).Detail)
	sum, n := notes(t, b, in)
	require.Equal(t, []int64{1_190, 1}, []int64{sum, int64(n)})

	pay(t, b, in)
	after, err := propose(t, b, 333)
	require.NoError(t, err)
	approve(t, b, after.ID)
	for range 2 {
		require.NoError(t, b.NewProcess(t).CarryCorrection(t.Context(), after.ID))
	}
	got := stands(t, b, after.ID)
	require.Equal(t, []any{invoicing.CorrectionDone, int64(333)}, []any{got.State, got.AmountMinor}, got.Detail)
	sum, n = notes(t, b, in)
	require.Equal(t, []int64{1_190 + 333 + 63, 2}, []int64{sum, int64(n)}, "63.27 of tax")
	require.EqualValues(t, -396, b.Operator(t, http.MethodGet, "/v1/customers/"+b.Plan.Key.Customer, nil)["balance"])
}
