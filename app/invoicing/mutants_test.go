package invoicing_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/internal/pipelinetest"
)

// hidingWriters open writers that do not see everything.
type hidingWriters struct {
	invoicing.Writers
	change func(invoicing.Writer) invoicing.Writer
}

func (h *hidingWriters) Open(ctx context.Context, wb billing.WriteBack) (invoicing.Writer, error) {
	w, err := h.Writers.Open(ctx, wb)
	if err != nil {
		return nil, err
	}
	return h.change(w), nil
}

// blind is a write-back without look-up.
type blind struct{ invoicing.Writer }

func (blind) OurInvoices(context.Context) ([]invoicing.StripeInvoice, error) { return nil, nil }

// careless adds every line without a look at what is there.
type careless struct{ invoicing.Writer }

func (careless) Items(context.Context, string) ([]invoicing.StripeItem, error) { return nil, nil }

// untidy deletes drafts without their items.
type untidy struct{ invoicing.Writer }

func (untidy) DeleteItem(context.Context, string) error { return nil }
func (untidy) OurPendingItems(context.Context) ([]invoicing.StripeItem, error) {
	return nil, nil
}

// stubborn counts no lost answer, so that it sends the same keys for ever.
type stubborn struct{ invoicing.Ledger }

func (stubborn) NextFinalize(context.Context, string, time.Time) error { return nil }
func (stubborn) CountIndeterminate(context.Context, string, time.Time) (int, error) {
	return 0, nil
}

// forgetful never pins.
type forgetful struct{ invoicing.Ledger }

func (forgetful) Pin(context.Context, string, string, time.Time) error { return nil }

func writersThat(change func(invoicing.Writer) invoicing.Writer) func(*pipelinetest.Bill) {
	return func(b *pipelinetest.Bill) {
		b.WrapWriters = func(w invoicing.Writers) invoicing.Writers { return &hidingWriters{w, change} }
	}
}

func ledgerThat(change func(invoicing.Ledger) invoicing.Ledger) func(*pipelinetest.Bill) {
	return func(b *pipelinetest.Bill) { b.WrapLedger = change }
}

// TestWriteBackMutantsAreCaught is the negative control of the fault tests: each
// variant lacks one part of the sequence, and the auditor must find each one out.
func TestWriteBackMutantsAreCaught(t *testing.T) {
	t.Parallel()
	l := pipelinetest.NewLedger(t)
	for _, m := range []struct {
		name         string
		mutate       func(*pipelinetest.Bill)
		fault        stripefake.FaultKind
		method, path string
		wait         time.Duration
	}{
		{"no look-up", writersThat(func(w invoicing.Writer) invoicing.Writer { return blind{w} }), stripefake.FaultTruncate, http.MethodPost, "^/v1/invoices$", 25 * time.Hour},
		{"lines without a look", writersThat(func(w invoicing.Writer) invoicing.Writer { return careless{w} }), stripefake.FaultUnavailable, http.MethodPost, "^/v1/invoiceitems$", 25 * time.Hour},
		{"drafts deleted without their items", writersThat(func(w invoicing.Writer) invoicing.Writer { return untidy{w} }), stripefake.Fault500After, http.MethodPost, "^/v1/invoiceitems$", 0},
		{"the same keys for ever: create", ledgerThat(func(l invoicing.Ledger) invoicing.Ledger { return stubborn{l} }), stripefake.Fault500Before, http.MethodPost, "^/v1/invoices$", 0},
		{"the same keys for ever: finalize", ledgerThat(func(l invoicing.Ledger) invoicing.Ledger { return stubborn{l} }), stripefake.Fault500Before, http.MethodPost, "/finalize$", 0},
		{"the same keys for ever: release", ledgerThat(func(l invoicing.Ledger) invoicing.Ledger { return stubborn{l} }), stripefake.Fault500Before, http.MethodPost, "^/v1/invoices/in_[^/]*$", 0},
		{"no pin", ledgerThat(func(l invoicing.Ledger) invoicing.Ledger { return forgetful{l} }), stripefake.FaultRateLimit, http.MethodGet, ".", 0},
	} {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			b := pipelinetest.NewBill(t, l)
			m.mutate(b)
			require.NoError(t, b.Fake.AddFault(stripefake.FaultRule{Kind: m.fault, Method: m.method, Path: m.path}))
			_, err := b.Drive(t, func() { require.NoError(t, b.Fake.Advance(m.wait)) })
			wrong := b.Audit(t)
			require.NotEmpty(t, wrong, "the auditor found nothing; the drive ended with %v", err)
			t.Log(wrong)

			healthy := pipelinetest.NewBill(t, l)
			require.NoError(t, healthy.Fake.AddFault(stripefake.FaultRule{Kind: m.fault, Method: m.method, Path: m.path}))
			_, err = healthy.Drive(t, func() { require.NoError(t, healthy.Fake.Advance(m.wait)) })
			require.NoError(t, err)
			healthy.RequireBilled(t)
		})
	}
}
