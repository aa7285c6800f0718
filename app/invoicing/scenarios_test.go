package invoicing_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/internal/pipelinetest"
)

// crash ends the process at its n-th call, before the call or after it.
type crash struct {
	n, at int
	late  bool
	op    string
}

func (c *crash) die(op string) error {
	c.op = op
	return fault.New(fault.Unavailable, "crashed", "the process ended at %s", op)
}

func (c *crash) before(op string) error {
	if c.n++; c.n == c.at && !c.late {
		return c.die(op)
	}
	return nil
}

func (c *crash) after(op string) error {
	if c.n == c.at && c.late && c.op == "" {
		return c.die(op)
	}
	return nil
}

// TestWriteBackCrashes ends the process before and after each of its calls, to the
// database and to Stripe; a new one goes on, at once or when all keys are pruned.
func TestWriteBackCrashes(t *testing.T) {
	t.Parallel()
	l := pipelinetest.NewLedger(t)
	calls := &crash{}
	b := pipelinetest.NewBill(t, l)
	tapped(b, calls)
	_, err := b.Drive(t, nil)
	require.NoError(t, err)
	require.Greater(t, calls.n, 25)
	for at := 1; at <= calls.n; at++ {
		for _, late := range []bool{false, true} {
			for _, wait := range []time.Duration{0, 25 * time.Hour} {
				t.Run(fmt.Sprintf("%d/%v/%s", at, late, wait), func(t *testing.T) {
					t.Parallel()
					c := &crash{at: at, late: late}
					b := pipelinetest.NewBill(t, l)
					tapped(b, c)
					_, err := b.Drive(t, func() { require.NoError(t, b.Fake.Advance(wait)) })
					require.NoError(t, err)
					require.NotEmpty(t, c.op)
					b.RequireBilled(t)
				})
			}
		}
	}
}

func tapped(b *pipelinetest.Bill, tap tap) {
	b.WrapLedger = func(l invoicing.Ledger) invoicing.Ledger { return tappedLedger{l, tap} }
	b.WrapWriters = func(w invoicing.Writers) invoicing.Writers {
		return &hidingWriters{w, func(w invoicing.Writer) invoicing.Writer { return tappedWriter{w, tap} }}
	}
}

// TestWriteBackTwoWorkers lets two workers carry the same invoice out at once, call
// by call in an order of the seed: a worker that lost its lease and its successor.
func TestWriteBackTwoWorkers(t *testing.T) {
	t.Parallel()
	l := pipelinetest.NewLedger(t)
	for seed := range 60 {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			b := pipelinetest.NewBill(t, l)
			if seed%3 > 0 { // one of them stumbles as well
				kinds := []stripefake.FaultKind{stripefake.Fault500Before, stripefake.Fault500After, stripefake.Fault500Late, stripefake.FaultTruncate}
				require.NoError(t, b.Fake.AddFault(stripefake.FaultRule{Kind: kinds[seed%4], Method: http.MethodPost, Path: "^/v1/invoice", Skip: seed % 5}))
			}
			order, errs := newTurns(uint64(seed), 2), make([]error, 2)
			var all sync.WaitGroup
			for i := range 2 {
				mine := *b
				tapped(&mine, worker{order, i})
				service := mine.NewProcess(t)
				all.Go(func() {
					defer order.leave()
					_, errs[i] = mine.DriveAs(t.Context(), func() *invoicing.Service { return service }, nil)
				})
			}
			all.Wait()
			// The workflow's own next run finds the rest, whatever became of the two.
			_, err := b.Drive(t, nil)
			require.NoError(t, err, "%v", errs)
			b.RequireBilled(t)
		})
	}
}

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
				require.Equal(t, next != "drive", out.Redo)
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

func TestOperatorVoidsOurInvoice(t *testing.T) {
	t.Parallel()
	b := pipelinetest.NewBill(t, pipelinetest.NewLedger(t))
	step(t, b, 2)
	b.Operator(t, http.MethodPost, "/v1/invoices/"+pinned(t, b)+"/finalize", nil)
	b.Operator(t, http.MethodPost, "/v1/invoices/"+pinned(t, b)+"/void", nil)
	_, err := b.Drive(t, nil)
	require.Equal(t, "needs_human", fault.CodeOf(err))
	require.Equal(t, "needs_human", b.Books(t).Cycle)
	require.Empty(t, ourInvoices(t, b, "draft", "open", "paid"))
	_, err = b.Drive(t, nil)
	require.Equal(t, "needs_human", fault.CodeOf(err), "a second run must not write either")
	require.Empty(t, ourInvoices(t, b, "draft", "open", "paid"))
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
	require.Equal(t, pinned(t, b), b.Operator(t, http.MethodGet, "/v1/invoiceitems/"+item, nil)["invoice"])
	require.Empty(t, ourInvoices(t, b, "open", "paid"))
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

func TestCustomerDeleted(t *testing.T) {
	t.Parallel()
	l := pipelinetest.NewLedger(t)
	for done := range 3 {
		t.Run(fmt.Sprintf("after %d steps", done), func(t *testing.T) {
			t.Parallel()
			b := pipelinetest.NewBill(t, l)
			step(t, b, done)
			b.Operator(t, http.MethodDelete, "/v1/customers/"+b.Plan.Key.Customer, nil)
			out, err := b.Drive(t, nil)
			require.NoError(t, err)
			require.Equal(t, billing.Blocked, out.State)
			require.Equal(t, invoicing.ReasonPayerDeleted, out.Reason)
			require.Equal(t, "blocked", b.Books(t).Cycle)
		})
	}
}

// TestCustomerDeletedUnderOurHands: the customer goes between two steps of one run.
func TestCustomerDeletedUnderOurHands(t *testing.T) {
	t.Parallel()
	b := pipelinetest.NewBill(t, pipelinetest.NewLedger(t))
	s := step(t, b, 1)
	b.Operator(t, http.MethodDelete, "/v1/customers/"+b.Plan.Key.Customer, nil)
	out, err := s.EnsureLines(t.Context(), b.Plan.CycleID)
	require.NoError(t, err)
	require.True(t, out.Redo)
	out, err = s.EnsureDraft(t.Context(), b.Plan.CycleID)
	require.NoError(t, err)
	require.Equal(t, billing.Blocked, out.State)
}

func TestPayerPreconditions(t *testing.T) {
	t.Parallel()
	l := pipelinetest.NewLedger(t)
	b := pipelinetest.NewBill(t, l, func(b *pipelinetest.Bill) {
		b.Operator(t, http.MethodPost, "/v1/customers/"+b.Plan.Key.Customer, url.Values{"email": {""}})
	})
	out, err := b.Drive(t, nil)
	require.NoError(t, err)
	require.Equal(t, invoicing.ReasonPayerEmail, out.Reason)
	require.Empty(t, ourInvoices(t, b, "draft", "open"))

	b = pipelinetest.NewBill(t, l, func(b *pipelinetest.Bill) {
		b.Plan.CollectionMethod, b.Plan.DaysUntilDue = billing.ChargeAutomatically, 0
		b.Plan.Metadata["lb_plan_sha256"] = b.Plan.Hash()
	})
	out, err = b.Drive(t, nil)
	require.NoError(t, err)
	require.Equal(t, invoicing.ReasonNeedsPayerAction, out.Reason)

	b = pipelinetest.NewBill(t, l, func(b *pipelinetest.Bill) {
		b.Plan.CollectionMethod, b.Plan.DaysUntilDue = billing.ChargeAutomatically, 0
		b.Plan.Metadata["lb_plan_sha256"] = b.Plan.Hash()
		b.Operator(t, http.MethodPost, "/v1/payment_methods/pm_card_visa/attach", url.Values{"customer": {b.Plan.Key.Customer}})
		b.Operator(t, http.MethodPost, "/v1/customers/"+b.Plan.Key.Customer, url.Values{"invoice_settings[default_payment_method]": {"pm_card_visa"}})
	})
	_, err = b.Drive(t, nil)
	require.NoError(t, err)
	b.RequireBilled(t)
	for _, r := range b.Requests() {
		require.NotContains(t, r.Path, "/send")
	}
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
