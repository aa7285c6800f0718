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
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/internal/pipelinetest"
)

// Defects of other integrations that wrote invoices, numbered as in docs/stripe-bugs.md.

// aged lets Stripe forget its idempotency keys before each retry.
func aged(t *testing.T, b *pipelinetest.Bill) func() {
	return func() { require.NoError(t, b.Fake.Advance(25*time.Hour)) }
}

// posts counts the creates of one kind of object that were sent.
func posts(b *pipelinetest.Bill, path string) int {
	n := 0
	for _, r := range b.Requests() {
		if r.Method == http.MethodPost && r.Path == path {
			n++
		}
	}
	return n
}

// Bug 1: a repeated run made a second invoice. Here the answer to the first create is
// lost, and the retry comes when Stripe has forgotten the key.
func TestBug01ALostAnswerMakesNoSecondInvoice(t *testing.T) {
	t.Parallel()
	b := pipelinetest.NewBill(t, pipelinetest.NewLedger(t))
	require.NoError(t, b.Fake.AddFault(stripefake.FaultRule{Kind: stripefake.FaultTruncate, Method: http.MethodPost, Path: "^/v1/invoices$"}))
	_, err := b.Drive(t, aged(t, b))
	require.NoError(t, err)
	b.RequireBilled(t)
	require.Equal(t, 1, posts(b, "/v1/invoices"), "the draft is found and adopted")
}

// mortal ends its process after it has added some lines.
type mortal struct {
	invoicing.Writers
	lines *int
}

func (m mortal) Open(ctx context.Context, wb billing.WriteBack) (invoicing.Writer, error) {
	w, err := m.Writers.Open(ctx, wb)
	return mortalWriter{w, m.lines}, err
}

type mortalWriter struct {
	invoicing.Writer
	lines *int
}

func (m mortalWriter) AddItem(ctx context.Context, invoiceID string, line billing.PlanLine) (invoicing.StripeItem, error) {
	item, err := m.Writer.AddItem(ctx, invoiceID, line)
	if *m.lines--; *m.lines == 0 {
		return item, fault.New(fault.Unavailable, "crashed", "the process ended after a line")
	}
	return item, err
}

// Bug 2: a crash between two lines doubled lines on the retry.
func TestBug02ACrashBetweenLinesDoublesNone(t *testing.T) {
	t.Parallel()
	l := pipelinetest.NewLedger(t)
	for after := range 3 {
		t.Run(fmt.Sprintf("after %d lines", after), func(t *testing.T) {
			t.Parallel()
			b := pipelinetest.NewBill(t, l)
			lines := after
			b.WrapWriters = func(w invoicing.Writers) invoicing.Writers { return mortal{w, &lines} }
			_, err := b.Drive(t, aged(t, b))
			require.NoError(t, err)
			b.RequireBilled(t)
			require.Equal(t, len(b.Plan.Lines), posts(b, "/v1/invoiceitems"), "what is there is not sent again")
		})
	}
}

// unsure loses the answer of the database once, after it has pinned an invoice or before.
type unsure struct {
	invoicing.Ledger
	pins   *int
	before bool
}

func (u unsure) Pin(ctx context.Context, intentID, invoiceID string, at time.Time) error {
	if *u.pins++; *u.pins > 1 {
		return u.Ledger.Pin(ctx, intentID, invoiceID, at)
	}
	if !u.before {
		if err := u.Ledger.Pin(ctx, intentID, invoiceID, at); err != nil {
			return err
		}
	}
	return fault.New(fault.Unavailable, "database_away", "the connection was lost")
}

// Bug 4: when the own database failed after the create, the next run made another invoice.
func TestBug04AFailedWriteOfOursMakesNoSecondInvoice(t *testing.T) {
	t.Parallel()
	l := pipelinetest.NewLedger(t)
	for _, before := range []bool{true, false} {
		t.Run(fmt.Sprintf("lost before it %v", before), func(t *testing.T) {
			t.Parallel()
			b, pins := pipelinetest.NewBill(t, l), 0
			b.WrapLedger = func(real invoicing.Ledger) invoicing.Ledger { return unsure{real, &pins, before} }
			_, err := b.Drive(t, aged(t, b))
			require.NoError(t, err)
			require.Positive(t, pins)
			b.RequireBilled(t)
			require.Equal(t, 1, posts(b, "/v1/invoices"), "the draft is found and adopted")
			require.Len(t, ourInvoices(t, b, "draft", "open", "paid", "void"), 1)
		})
	}
}

// Bug 7: a draft was deleted, its items became pending, and the customer's next invoice
// billed them. Here a draft is given up because nobody knows whether its line is there.
func TestBug07NoItemOfADeletedDraftIsBilled(t *testing.T) {
	t.Parallel()
	b := pipelinetest.NewBill(t, pipelinetest.NewLedger(t))
	require.NoError(t, b.Fake.AddFault(stripefake.FaultRule{Kind: stripefake.Fault500After, Method: http.MethodPost, Path: "^/v1/invoiceitems$", Skip: 1}))
	_, err := b.Drive(t, nil)
	require.NoError(t, err)
	b.RequireBilled(t)
	next := b.Operator(t, http.MethodPost, "/v1/invoices", url.Values{"customer": {b.Plan.Key.Customer}, "pending_invoice_items_behavior": {"include"}})
	for _, it := range b.Operator(t, http.MethodGet, "/v1/invoiceitems?limit=100&invoice="+next["id"].(string), nil)["data"].([]any) {
		require.NotContains(t, it.(map[string]any)["metadata"], "lb_key", "the customer's next invoice is theirs alone")
	}
}

// Bug 9: what waited for the customer's next invoice was swept onto the one that a
// program made, or what the program had made was left out.
func TestBug09PendingItemsOfOthersStay(t *testing.T) {
	t.Parallel()
	item := ""
	b := pipelinetest.NewBill(t, pipelinetest.NewLedger(t), func(b *pipelinetest.Bill) {
		item = b.Operator(t, http.MethodPost, "/v1/invoiceitems", url.Values{"customer": {b.Plan.Key.Customer}, "amount": {"77"}, "currency": {b.Plan.Key.Currency}})["id"].(string)
	})
	_, err := b.Drive(t, nil)
	require.NoError(t, err)
	b.RequireBilled(t)
	require.Nil(t, b.Operator(t, http.MethodGet, "/v1/invoiceitems/"+item, nil)["invoice"], "it waits for the customer's next invoice still")
}
