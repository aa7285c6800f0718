package httpapi_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/httpapi"
	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

// mended are the corrections of an invoice.
type mended struct{ httpapi.Corrections }

func (mended) CorrectionsOf(_ context.Context, cycleID string) ([]invoicing.Correction, error) {
	return []invoicing.Correction{{CycleID: cycleID, Number: 1, Kind: billing.CorrectAfter, AmountMinor: 40, Currency: "usd", State: "done", StripeID: "cn_1"}}, nil
}

// TestAnInvoiceIsReadWhole: lines with what they became and the readouts that they bill, what
// the invoice carries, what was sent, how it was paid, and what was corrected.
func TestAnInvoiceIsReadWhole(t *testing.T) {
	t.Parallel()
	minor := func(n int64) *int64 { return &n }
	e := newServer(t, &fakes{corrections: mended{}, invoice: func(id string) (reconcile.InvoiceDetail, error) {
		if id != "acme.2026-10" {
			return reconcile.InvoiceDetail{}, fault.New(fault.NotFound, "invoice_not_found", "nothing of cycle %q was written to Stripe", id)
		}
		return reconcile.InvoiceDetail{
			InvoiceRow: reconcile.InvoiceRow{CycleID: id, AccountID: "acme", InvoiceID: "in_1", Currency: "usd", EngineMinor: 500, StripeMinor: minor(499), DifferenceMinor: minor(-1), Payment: &billing.Payment{Status: "paid", HostedURL: "https://invoice.stripe.test/i/1", PDFURL: "https://invoice.stripe.test/i/1.pdf"}},
			ID:         "w1", Environment: account.Live, Revision: 2, InputDigest: "in", ContractID: "c", ContractHash: "ch",
			Plan:     billing.InvoicePlan{PONumber: "PO-1", Metadata: map[string]string{"lb_cycle": "2026-10"}},
			Lines:    []reconcile.InvoiceLine{{Line: "s1", Kind: "lift", Snapshot: "s1", CaseID: "case", ReadoutDigest: "d1", AmountMinor: 400, StripeID: "ii_1", StripeMinor: minor(399)}, {Line: "fee", Kind: "platform_fee", AmountMinor: 100}},
			Attempts: []reconcile.Attempt{{Operation: "create", Outcome: "ok", RequestID: "req_1"}},
			Charges:  []reconcile.InvoiceCharge{{ID: "ch_1", Status: "failed", FailureCode: "card_declined", Currency: "usd", AmountMinor: minor(500)}},
			Disputes: []reconcile.InvoiceDispute{{ID: "dp_1", ChargeID: "ch_1", Status: "lost", Currency: "usd", AmountMinor: minor(500)}},
		}, nil
	}})
	w, body := serve(t, e, request(http.MethodGet, "/v1/invoices/acme.2026-10", ""))
	require.Equal(t, http.StatusOK, w.Code, w.Body.String())
	invoice := body["invoice"].(map[string]any)
	require.Equal(t, "in_1", invoice["stripe_invoice_id"])
	require.Equal(t, "https://invoice.stripe.test/i/1.pdf", invoice["payment"].(map[string]any)["pdf_url"])
	lines := body["lines"].([]any)
	first, fee := lines[0].(map[string]any), lines[1].(map[string]any)
	require.Equal(t, []any{"case", "d1", "ii_1", float64(-1)}, []any{first["case_id"], first["readout_sha256"], first["stripe_line_id"], first["difference"].(map[string]any)["minor"]})
	require.NotContains(t, fee, "difference", "it was not written yet")
	require.NotContains(t, fee, "case_id")
	require.Equal(t, map[string]any{"lb_cycle": "2026-10"}, body["metadata"])
	require.Equal(t, []any{float64(2), "in", "ch", "PO-1"}, []any{body["revision"], body["input_digest"], body["contract_hash"], body["po_number"]})
	require.Equal(t, "req_1", body["attempts"].([]any)[0].(map[string]any)["request_id"])
	require.Equal(t, "card_declined", body["charges"].([]any)[0].(map[string]any)["failure_code"])
	require.Equal(t, "lost", body["disputes"].([]any)[0].(map[string]any)["status"])
	require.Equal(t, "cn_1", body["corrections"].([]any)[0].(map[string]any)["credit_note_id"])
	w, body = serve(t, e, request(http.MethodGet, "/v1/invoices/acme.2026-11", ""))
	require.Equal(t, http.StatusNotFound, w.Code)
	require.Equal(t, "invoice_not_found", body["code"])
}
