package invoicing_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/internal/pipelinetest"
)

// step carries the first steps of a bill out.
func step(t *testing.T, b *pipelinetest.Bill, n int) *invoicing.Service {
	t.Helper()
	s := b.NewProcess(t)
	for _, do := range []func(context.Context, string) (invoicing.Outcome, error){s.EnsureDraft, s.EnsureLines, s.Finalize}[:n] {
		_, err := do(t.Context(), b.Plan.CycleID)
		require.NoError(t, err)
	}
	return s
}

// pinned is the invoice that the ledger holds on to.
func pinned(t *testing.T, b *pipelinetest.Bill) string {
	t.Helper()
	id := b.Books(t).Invoice
	require.NotEmpty(t, id)
	return id
}

// deleteDraft is an operator who deletes a draft as the Dashboard does, its items first.
func deleteDraft(t *testing.T, b *pipelinetest.Bill, id string) {
	t.Helper()
	for _, it := range b.Operator(t, http.MethodGet, "/v1/invoiceitems?limit=100&invoice="+id, nil)["data"].([]any) {
		b.Operator(t, http.MethodDelete, "/v1/invoiceitems/"+it.(map[string]any)["id"].(string), nil)
	}
	b.Operator(t, http.MethodDelete, "/v1/invoices/"+id, nil)
}

func TestOperatorDeletesOurDraft(t *testing.T) {
	t.Parallel()
	l := pipelinetest.NewLedger(t)
	for done, name := range []string{1: "after the draft", 2: "after the lines"} {
		if name == "" {
			continue
		}
		for _, next := range []string{"drive", "lines", "finalize"} {
			t.Run(name+"/"+next, func(t *testing.T) {
				t.Parallel()
				b := pipelinetest.NewBill(t, l)
				s := step(t, b, done)
				deleteDraft(t, b, pinned(t, b))
				var out invoicing.Outcome
				var err error
				switch next {
				case "lines":
					out, err = s.EnsureLines(t.Context(), b.Plan.CycleID)
				case "finalize":
					out, err = s.Finalize(t.Context(), b.Plan.CycleID)
				}
				require.NoError(t, err)
				// Stripe replays the lines of a draft that is gone; the last look notices.
				replayed := next == "lines" && done == 2
				require.Equal(t, next != "drive" && !replayed, out.Redo)
				_, err = b.Drive(t, nil)
				require.NoError(t, err)
				b.RequireBilled(t)
				require.Positive(t, b.Books(t).Generation)
			})
		}
	}
}

// TestOperatorDeletesOurDraftUnseen: the draft was made, its answer lost, and it is
// gone before anybody looked; Stripe still replays the answer with its ID.
func TestOperatorDeletesOurDraftUnseen(t *testing.T) {
	t.Parallel()
	b := pipelinetest.NewBill(t, pipelinetest.NewLedger(t))
	require.NoError(t, b.Fake.AddFault(stripefake.FaultRule{Kind: stripefake.FaultTruncate, Method: http.MethodPost, Path: "^/v1/invoices$"}))
	_, err := b.Drive(t, func() {
		for _, id := range ourInvoices(t, b, "draft") {
			deleteDraft(t, b, id)
		}
	})
	require.NoError(t, err)
	b.RequireBilled(t)
}

// resume is a person who says that the cycle may go on.
func resume(t *testing.T, b *pipelinetest.Bill, reissue bool) invoicing.Outcome {
	t.Helper()
	out, err := b.NewProcess(t).Resume(t.Context(), access.Operator("kim"), invoicing.Resumption{CycleID: b.Plan.CycleID, Reason: "looked at it", Reissue: reissue})
	require.NoError(t, err)
	return out
}

// TestOperatorVoidsOurInvoice: a voided invoice is not made again by itself, only when a
// person says so.
func TestOperatorVoidsOurInvoice(t *testing.T) {
	t.Parallel()
	b := pipelinetest.NewBill(t, pipelinetest.NewLedger(t))
	step(t, b, 2)
	b.Operator(t, http.MethodPost, "/v1/invoices/"+pinned(t, b)+"/finalize", nil)
	b.Operator(t, http.MethodPost, "/v1/invoices/"+pinned(t, b)+"/void", nil)
	for range 2 {
		_, err := b.Drive(t, nil)
		require.Equal(t, "needs_human", fault.CodeOf(err), "a second run must not write either")
		require.Equal(t, "needs_human", b.Books(t).Cycle)
		require.Empty(t, ourInvoices(t, b, "draft", "open", "paid"))
	}
	require.Equal(t, billing.Writing, resume(t, b, false).State)
	_, err := b.Drive(t, nil)
	require.Equal(t, "needs_human", fault.CodeOf(err), "nothing was decided about the voided invoice")
	resume(t, b, true)
	_, err = b.Drive(t, nil)
	require.NoError(t, err)
	b.RequireBilled(t)
	var who []string
	rows, err := b.Ledger.SQL.Query(t.Context(), `SELECT who || ': ' || action || ': ' || reason FROM interventions WHERE subject = $1 ORDER BY id`, "cycle "+b.Plan.CycleID)
	require.NoError(t, err)
	for rows.Next() {
		var line string
		require.NoError(t, rows.Scan(&line))
		who = append(who, line)
	}
	require.Equal(t, []string{"cli:kim: resume: looked at it", "cli:kim: reissue: looked at it"}, who)
}

// TestReissueNeedsTheOldOneToBeVoid: an invoice that was given up by a person's decision
// and still counts is never followed by a second one.
func TestReissueNeedsTheOldOneToBeVoid(t *testing.T) {
	t.Parallel()
	b := pipelinetest.NewBill(t, pipelinetest.NewLedger(t))
	step(t, b, 1)
	old := pinned(t, b)
	b.Operator(t, http.MethodPost, "/v1/invoiceitems", url.Values{"customer": {b.Plan.Key.Customer}, "invoice": {old}, "amount": {"9900"}, "currency": {"usd"}})
	b.Operator(t, http.MethodPost, "/v1/invoices/"+old+"/finalize", url.Values{"auto_advance": {"true"}})
	b.Operator(t, http.MethodPost, "/v1/invoices/"+old, url.Values{"metadata": {""}})
	_, err := b.Drive(t, nil)
	require.Contains(t, b.Books(t).Reason, billing.HumanInvoiceDiffers)
	require.Error(t, err)
	resume(t, b, true)
	_, err = b.Drive(t, nil)
	require.Equal(t, "needs_human", fault.CodeOf(err))
	require.Contains(t, b.Books(t).Reason, billing.HumanOldInvoice+": invoice "+old, "it lost its label, and is known by its ID all the same")
	require.Empty(t, ourInvoices(t, b, "draft", "open"))
	b.Operator(t, http.MethodPost, "/v1/invoices/"+old+"/void", nil)
	resume(t, b, false)
	_, err = b.Drive(t, nil)
	require.NoError(t, err)
	b.RequireBilled(t)
}

func TestResumeRefusals(t *testing.T) {
	t.Parallel()
	b := pipelinetest.NewBill(t, pipelinetest.NewLedger(t))
	s := b.NewProcess(t)
	for code, in := range map[string]invoicing.Resumption{
		"reason_missing":  {CycleID: b.Plan.CycleID, Reason: " "},
		"cycle_not_found": {CycleID: "nobody.2026-10", Reason: "because"},
		"not_waiting":     {CycleID: b.Plan.CycleID, Reason: "because"},
	} {
		_, err := s.Resume(t.Context(), access.Operator("kim"), in)
		require.Equal(t, code, fault.CodeOf(err))
	}
	_, err := s.Resume(t.Context(), access.Principal{Kind: access.User, Roles: access.Roles{access.Viewer}, Scope: access.Everything()}, invoicing.Resumption{CycleID: b.Plan.CycleID, Reason: "because"})
	require.Equal(t, fault.Forbidden, fault.KindOf(err), "%v", err)
	require.Empty(t, b.Requests())
}

// TestOperatorPutsAnItemOnOurDraft: it is theirs, so it is neither billed by us nor
// deleted nor pushed onto the customer's next invoice.
func TestOperatorPutsAnItemOnOurDraft(t *testing.T) {
	t.Parallel()
	b := pipelinetest.NewBill(t, pipelinetest.NewLedger(t))
	step(t, b, 2)
	item := b.Operator(t, http.MethodPost, "/v1/invoiceitems", url.Values{"customer": {b.Plan.Key.Customer}, "invoice": {pinned(t, b)}, "amount": {"99"}, "currency": {"usd"}})["id"].(string)
	_, err := b.Drive(t, nil)
	require.Equal(t, "needs_human", fault.CodeOf(err))
	require.Contains(t, b.Books(t).Reason, item)
	require.NotEmpty(t, b.Operator(t, http.MethodGet, "/v1/invoiceitems/"+item, nil)["invoice"])
	require.Empty(t, ourInvoices(t, b, "open", "paid"))
	b.Operator(t, http.MethodDelete, "/v1/invoiceitems/"+item, nil)
	resume(t, b, false)
	_, err = b.Drive(t, nil)
	require.NoError(t, err)
	b.RequireBilled(t)
}

// TestOperatorFinalizesOurDraftTooEarly: an invoice that lacks a line is voided
// before anybody was charged or mailed, and made again.
func TestOperatorFinalizesOurDraftTooEarly(t *testing.T) {
	t.Parallel()
	l := pipelinetest.NewLedger(t)
	for _, kind := range []stripefake.FaultKind{"", stripefake.FaultTruncate, stripefake.Fault500Before, stripefake.Fault500After, stripefake.Fault500Late} {
		t.Run("void "+string(kind), func(t *testing.T) {
			t.Parallel()
			b := pipelinetest.NewBill(t, l)
			step(t, b, 1)
			first := pinned(t, b)
			b.Operator(t, http.MethodPost, "/v1/invoiceitems", url.Values{
				"customer": {b.Plan.Key.Customer}, "invoice": {first}, "amount": {"12345"}, "currency": {"usd"},
				"metadata[lb_key]": {b.Plan.Key.StripeKey()}, "metadata[lb_line]": {"snap-a"},
			})
			b.Operator(t, http.MethodPost, "/v1/invoices/"+first+"/finalize", url.Values{"auto_advance": {"false"}})
			if kind != "" {
				require.NoError(t, b.Fake.AddFault(stripefake.FaultRule{Kind: kind, Method: http.MethodPost, Path: "/void$"}))
			}
			_, err := b.Drive(t, nil)
			require.NoError(t, err)
			b.RequireBilled(t)
			require.Equal(t, "void", b.Operator(t, http.MethodGet, "/v1/invoices/"+first, nil)["status"])
		})
	}
}

// TestCustomerDeleted: whenever the payer goes, nothing more is sent, a person names a
// new one, and there is one invoice in the end, for the new payer.
func TestCustomerDeleted(t *testing.T) {
	t.Parallel()
	l := pipelinetest.NewLedger(t)
	for done := range 3 {
		t.Run(fmt.Sprintf("after %d steps", done), func(t *testing.T) {
			t.Parallel()
			b := pipelinetest.NewBill(t, l)
			step(t, b, done)
			b.Operator(t, http.MethodDelete, "/v1/customers/"+b.Plan.Key.Customer, nil)
			b.Fake.ResetRequests()
			_, err := b.Drive(t, nil)
			require.Equal(t, "needs_human", fault.CodeOf(err))
			require.Contains(t, b.Books(t).Reason, billing.HumanPayerDeleted)
			if done < 2 { // the finalize of a complete draft is on its way before anybody looks at the payer
				for _, r := range b.Requests() {
					require.Equal(t, http.MethodGet, r.Method)
				}
			}
			old := ourInvoices(t, b, "open")
			for _, id := range old {
				b.Operator(t, http.MethodPost, "/v1/invoices/"+id+"/void", nil)
			}
			b.NewPayer(t, "new@example.com")
			require.Equal(t, billing.UnmetPayerChanged, resume(t, b, false).Reason)
			b.Repropose(t)
			_, err = b.Drive(t, nil)
			require.NoError(t, err)
			b.RequireBilled(t)
			var left int
			require.NoError(t, l.SQL.QueryRow(t.Context(), `SELECT count(*) FROM writeback_intents WHERE cycle_id = $1 AND state = 'superseded' AND retired_at IS NULL`, b.Plan.CycleID).Scan(&left))
			require.Zero(t, left)
		})
	}
}

// TestPayerIsNamedAgain: an intent that was superseded comes back into force, and what
// was pinned under it is settled first.
func TestPayerIsNamedAgain(t *testing.T) {
	t.Parallel()
	b := pipelinetest.NewBill(t, pipelinetest.NewLedger(t))
	first := b.Plan.Key.Customer
	step(t, b, 1)
	b.Operator(t, http.MethodPost, "/v1/customers/"+first, url.Values{"email": {""}})
	out, err := b.Drive(t, nil)
	require.NoError(t, err)
	require.Equal(t, billing.UnmetPayerEmail, out.Reason)
	b.NewPayer(t, "")
	b.Repropose(t)
	out, err = b.Drive(t, nil)
	require.NoError(t, err)
	require.Equal(t, billing.UnmetPayerEmail, out.Reason, "the new one has none either")
	b.Operator(t, http.MethodPost, "/v1/customers/"+first, url.Values{"email": {"payer@example.com"}})
	b.SetPayer(t, first)
	b.Repropose(t)
	_, err = b.Drive(t, nil)
	require.NoError(t, err)
	b.RequireBilled(t)
	require.Positive(t, b.Books(t).Generation)
}

// TestCustomersCouponIsNotTaken: the invoice is over the whole fee although the
// customer has a coupon for what the vendor sells them.
func TestCustomersCouponIsNotTaken(t *testing.T) {
	t.Parallel()
	b := pipelinetest.NewBill(t, pipelinetest.NewLedger(t), func(b *pipelinetest.Bill) {
		b.Operator(t, http.MethodPost, "/v1/coupons", url.Values{"id": {"fifth"}, "percent_off": {"20"}, "duration": {"forever"}})
		b.Operator(t, http.MethodPost, "/v1/customers/"+b.Plan.Key.Customer, url.Values{"coupon": {"fifth"}})
	})
	_, err := b.Drive(t, nil)
	require.NoError(t, err)
	b.RequireBilled(t)
}

// TestRunAgainWithoutLabelsAndKeys: whenever somebody clears the metadata and all keys are
// pruned, the next run ends at the same invoice, with its labels back.
func TestRunAgainWithoutLabelsAndKeys(t *testing.T) {
	t.Parallel()
	l := pipelinetest.NewLedger(t)
	clear := func(b *pipelinetest.Bill, id string) {
		b.Operator(t, http.MethodPost, "/v1/invoices/"+id, url.Values{"metadata": {""}})
		require.NoError(t, b.Fake.Advance(40*24*time.Hour))
	}
	for done := 1; done <= 3; done++ {
		t.Run(fmt.Sprintf("after %d steps", done), func(t *testing.T) {
			t.Parallel()
			b := pipelinetest.NewBill(t, l)
			step(t, b, done)
			id := pinned(t, b)
			clear(b, id)
			out, err := b.Drive(t, nil)
			require.NoError(t, err)
			require.Equal(t, id, out.InvoiceID)
			if done < 3 { // a released one is not looked at any more
				require.Equal(t, b.Plan.Key.StripeKey(), b.Operator(t, http.MethodGet, "/v1/invoices/"+id, nil)["metadata"].(map[string]any)["lb_key"])
			}
			b.RequireBilled(t)
		})
	}
	t.Run("finalized and not released", func(t *testing.T) {
		t.Parallel()
		b := pipelinetest.NewBill(t, l)
		s := step(t, b, 2)
		require.NoError(t, b.Fake.AddFault(stripefake.FaultRule{Kind: stripefake.FaultUnavailable, KeyKind: "restricted", Method: http.MethodPost, Path: "^/v1/invoices/in_[^/]*$"}))
		_, err := s.Finalize(t.Context(), b.Plan.CycleID)
		require.True(t, fault.Is(err, fault.Unavailable))
		require.Equal(t, "finalized", b.Books(t).Intent)
		id := pinned(t, b)
		clear(b, id)
		out, err := b.Drive(t, nil)
		require.NoError(t, err)
		require.Equal(t, id, out.InvoiceID)
		b.RequireBilled(t)
	})
}

// TestRunAgainSendsNothing: a released invoice is left alone by every step.
func TestRunAgainSendsNothing(t *testing.T) {
	t.Parallel()
	b := pipelinetest.NewBill(t, pipelinetest.NewLedger(t))
	first, err := b.Drive(t, nil)
	require.NoError(t, err)
	b.Fake.ResetRequests()
	again, err := b.Drive(t, nil)
	require.NoError(t, err)
	require.Equal(t, first.InvoiceID, again.InvoiceID)
	require.Equal(t, billing.Invoiced, again.State)
	require.Empty(t, b.Requests())
	b.RequireBilled(t)
}
