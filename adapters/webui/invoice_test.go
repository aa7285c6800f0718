package webui_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/webui"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

const (
	evidence      = "5b7f1c2a9be0e2f0a1c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f6071829"
	readoutDigest = "c0ffee2a9be0e2f0a1c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f6071829"
)

// InvoiceLines are those of the invoices' own pages.
func (l *ledger) InvoiceLines(ctx context.Context, cycleIDs []string) (map[string][]reconcile.InvoiceLine, error) {
	out := map[string][]reconcile.InvoiceLine{}
	for _, id := range cycleIDs {
		d, err := l.Invoice(ctx, id)
		if err != nil {
			return nil, err
		}
		out[id] = d.Lines
	}
	return out, nil
}

// detailOf is the invoice of a row: a lift and a fee, a charge that failed and one that is
// disputed. Only the first row was written to its end.
func detailOf(r reconcile.InvoiceRow) reconcile.InvoiceDetail {
	d := reconcile.InvoiceDetail{
		InvoiceRow: r, ID: "0b7a3c1e-5d0c-5c55-9f61-1c2b3a4d5e6f", Environment: account.Live, Revision: 2, InputDigest: "fcde2b2e", ContractID: "acme-2026", ContractHash: "9c1185a5",
		Plan: billing.InvoicePlan{CollectionMethod: billing.SendInvoice, DaysUntilDue: 30},
	}
	if r.State != "released" {
		return d
	}
	d.Plan.PONumber, d.EvidenceDigest, d.PlanHash = "PO-4711", evidence, "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
	d.Plan.Metadata = map[string]string{"lb_cycle": r.Period, "lb_readouts_n": "1", "lb_readouts_1": caseGood + "," + caseNull, "lb_readouts_sha256": evidence, "lb_po_number": "PO-4711"}
	d.Lines = []reconcile.InvoiceLine{
		{Line: "trial-nudge-7", Kind: "lift", Description: "Trial nudge, version 7 (trial-nudge-7): 20 % of proven incremental revenue", Snapshot: "trial-nudge-7", CaseID: caseGood, ReadoutDigest: readoutDigest, AmountMinor: 412_050, StripeID: "ii_1", StripeMinor: ptr[int64](412_050)},
	}
	if r.CycleID == "fees.2026-10" {
		d.Lines[0].AmountMinor, d.Lines[0].StripeMinor = 250_000, ptr[int64](250_000)
		d.Lines = append(d.Lines, reconcile.InvoiceLine{Line: "fee:platform_fee", Kind: "platform_fee", Description: "Platform fee", AmountMinor: 80_000, StripeID: "ii_2", StripeMinor: ptr[int64](80_000)})
	}
	d.Attempts = []reconcile.Attempt{{At: now.Add(-47 * time.Minute), Operation: "create_draft", Outcome: "ok", RequestID: "req_1"}, {At: now.Add(-46 * time.Minute), Operation: "finalize", Outcome: "timeout, looked and found"}}
	d.Charges = []reconcile.InvoiceCharge{
		{ID: "ch_1", Status: "failed", Currency: r.Currency, FailureCode: "card_declined", PaymentMethod: "card", CreatedAt: ptr(now.Add(-40 * time.Minute)), AmountMinor: ptr[int64](412_050), RefundedMinor: ptr[int64](0)},
		{ID: "ch_2", Status: "succeeded", Currency: r.Currency, PaymentMethod: "card", CreatedAt: ptr(now.Add(-30 * time.Minute)), AmountMinor: ptr[int64](100_000)},
	}
	d.Disputes = []reconcile.InvoiceDispute{{ID: "dp_1", ChargeID: "ch_2", Status: "lost", Reason: "product_unacceptable", Currency: r.Currency, CreatedAt: ptr(now.Add(-20 * time.Minute)), AmountMinor: ptr[int64](100_000)}}
	return d
}

// One page says what was billed, what it rests on, what was sent and what the payer did.
func TestInvoicePage(t *testing.T) {
	t.Parallel()
	l := fixture()
	e := newDoor(l, &door{caller: signedIn()}, webui.Options{})
	p := open(t, e, "/invoices/acme.2026-10")
	require.Equal(t, http.StatusOK, p.status)
	require.Contains(t, p.text, "It was due 3 days ago and is open at Stripe.")
	require.Equal(t, []string{"trial-nudge-7 lift", "Trial nudge, version 7 (trial-nudge-7): 20 % of proven incremental revenue", caseGood, "4,120.50 USD", "4,120.50 USD", "0.00 USD", "ii_1"}, p.row(t, "Trial nudge"))
	require.Equal(t, []string{"Total USD", "", "", "4,120.50 USD", "4,120.50 USD", "0.00 USD", ""}, p.row(t, "Total USD"))
	require.Equal(t, []string{"2026-11-04 08:50:00 UTC", "✕ failed", "card declined", "card", "4,120.50 USD", "0.00 USD", "ch_1"}, p.row(t, "ch_1"))
	require.Contains(t, p.row(t, "dp_1"), "✕ lost")
	require.Contains(t, p.row(t, "create draft"), "req_1")
	for _, want := range []string{"PO-4711", evidence, readoutDigest, "lb_readouts_sha256", "of revision 2", "0b7a3c1e-5d0c-5c55-9f61-1c2b3a4d5e6f", "due 30 days after it is finalized"} {
		require.Contains(t, p.text, want)
	}
	for _, link := range []string{"/readouts/" + caseGood, "/readouts/" + caseNull, "/cycles/acme.2026-10", "/cycles/acme.2026-10/lines/trial-nudge-7", "https://invoice.stripe.com/i/acct_x/test", "/invoices/acme.2026-10/export.csv", "/cycles/acme.2026-10/corrections"} {
		require.Contains(t, p.links, link)
	}
	require.Equal(t, http.StatusNotFound, open(t, e, "/invoices/sandbox.2026-10").status, "a test account has none")
	p = open(t, e, "/invoices/northwind.2026-10")
	for _, want := range []string{"Needs a person.", "The plan has no line.", "Nothing was sent to Stripe yet.", "No charge of this invoice was heard of.", "The plan has no metadata."} {
		require.Contains(t, p.text, want)
	}
	p = open(t, e, "/invoices/fees.2026-10")
	require.Contains(t, p.row(t, "Platform fee"), "as agreed, not measured")
	require.Equal(t, []string{"Total USD", "", "", "3,300.00 USD", "3,300.00 USD", "0.00 USD", ""}, p.row(t, "Total USD"))
	require.Contains(t, p.links, "/cycles/fees.2026-10/lines/fee:platform_fee")
	f := download(t, e, "/invoices/fees.2026-10/export.csv")
	require.Equal(t, []string{"trial-nudge-7", "fee:platform_fee"}, f.column(t, "line"))
	require.Equal(t, []string{caseGood, ""}, f.column(t, "case_id"))
	require.Equal(t, []string{"250000", "80000"}, f.column(t, "amount_minor"))
	f = download(t, e, "/invoices.csv")
	require.Contains(t, f.header, "evidence_digest")
}

// What an invoice carries, and who disputed it, selects it.
func TestInvoicesByWhatTheyCarry(t *testing.T) {
	t.Parallel()
	l := fixture()
	l.next = "c2"
	p := open(t, newEcho(l), "/invoices?dispute=lost&metadata=lb_revision%3D2&po_number=PO-4711")
	require.Equal(t, []string{"lost", "lb_revision=2", "PO-4711"}, []string{l.invoicesAsked.Dispute, l.invoicesAsked.Metadata, l.invoicesAsked.PONumber})
	require.Contains(t, p.links, "/invoices?cursor=c2&dispute=lost&metadata=lb_revision%3D2&po_number=PO-4711")
	require.Contains(t, p.links, "/invoices/acme.2026-10")
}

// The lines of all invoices that the list's filters select are one file, on which each line says
// which invoice it stands on; the sums are those of the invoices.
func TestLinesOfTheShownInvoices(t *testing.T) {
	t.Parallel()
	l := fixture()
	e := newDoor(l, &door{caller: signedIn()}, webui.Options{})
	require.Contains(t, open(t, e, "/invoices?period=2026-10&status=open&sort=amount").links, "/invoice-lines.csv?period=2026-10&sort=amount&status=open")
	f := download(t, e, "/invoice-lines.csv?period=2026-10&status=open&sort=amount&po_number=PO-4711")
	require.Equal(t, []any{"2026-10", "open", "amount", "PO-4711", 500}, []any{l.invoicesAsked.Period, l.invoicesAsked.Status, l.invoicesAsked.Sort, l.invoicesAsked.PONumber, l.invoicesAsked.Limit})
	require.Contains(t, f.head["#parameter"], append([]string{"po_number", "PO-4711"}, make([]string, len(f.header)-3)...))
	require.Equal(t, "acme.2026-10", f.column(t, "cycle")[0])
	require.Equal(t, "in_1QHk2vG9RKHgCVdKx01", f.column(t, "invoice_id")[0])
	require.Equal(t, []string{"trial-nudge-7", caseGood, readoutDigest, "4120.50", "4120.50", "0.00", "ii_1"}, []string{f.column(t, "line")[0], f.column(t, "case_id")[0], f.column(t, "readout_sha256")[0], f.column(t, "amount")[0], f.column(t, "stripe")[0], f.column(t, "difference")[0], f.column(t, "stripe_line")[0]})
	lines := l.invoices[0]
	lines.CycleID, lines.AccountID = "lines.2026-10", "lines"
	l.invoices = append(l.invoices, lines)
	require.Equal(t, http.StatusOK, open(t, e, "/invoices/lines.2026-10").status, "an account may be called so")
	l.err = fault.New(fault.Unavailable, "database_unavailable", "the database cannot answer now")
	require.Equal(t, http.StatusServiceUnavailable, open(t, e, "/invoice-lines.csv").status, "half of a file is none")
}
