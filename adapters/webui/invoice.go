package webui

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	app "github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/billing"
)

// invoiceView is one invoice of ours on one screen.
type invoiceView struct {
	reconcile.InvoiceDetail
	State, Settled StateView
	Due            time.Time
	Late           string // how long it is overdue; empty when it is not
	TiesOut        bool
	Paid           billing.Payment
	Lines          []invoiceLineView
	SumMinor       int64
	SumStripe      *int64
	SumDifference  *int64
	Entries        []entryView
	Charges        []chargeView
	Disputes       []disputeView
	Notes          []correctionView
	CompareURL     string
	CorrectionsURL string
}

type invoiceLineView struct {
	reconcile.InvoiceLine
	Difference *int64
	URL        string
}

// entryView is an entry of the metadata; the case IDs in it lead to their readouts.
type entryView struct {
	Key, Value string
	Cases      []string
}

type chargeView struct {
	reconcile.InvoiceCharge
	State StateView
}

type disputeView struct {
	reconcile.InvoiceDispute
	State StateView
}

// invoiceURL is the page of a cycle's invoice.
func invoiceURL(cycleID string) string { return "/invoices/" + url.PathEscape(cycleID) }

// ExportURL is the file of the invoice's lines.
func (v invoiceView) ExportURL(format string) string {
	return invoiceURL(v.CycleID) + "/export." + format
}

func (s *Server) invoice(c echo.Context) error {
	ctx := c.Request().Context()
	d, err := s.reconcile.Invoice(ctx, c.Param("id"))
	if err != nil {
		return err
	}
	corrections, err := s.correct.CorrectionsOf(ctx, d.CycleID)
	if err != nil {
		return err
	}
	v := invoiceView{
		InvoiceDetail: d, State: writeBackState(d.State), Settled: paymentState(d.StripeStatus), TiesOut: d.DifferenceMinor != nil && *d.DifferenceMinor == 0,
		Entries: entriesOf(d.Metadata()), CorrectionsURL: "/cycles/" + d.CycleID + "/corrections",
	}
	if d.Payment != nil {
		v.Paid, v.Due = *d.Payment, timeOf(d.Payment.DueAt)
	}
	v.Late = overdueBy(d.InvoiceRow, s.clock.Now())
	v.addLines()
	for _, x := range d.Charges {
		v.Charges = append(v.Charges, chargeView{x, paymentState(x.Status)})
	}
	for _, x := range d.Disputes {
		v.Disputes = append(v.Disputes, disputeView{x, paymentState(x.Status)})
	}
	for _, x := range corrections {
		v.Notes = append(v.Notes, correctionViewOf(x))
	}
	if d.InvoiceID != "" && app.From(ctx).Can(access.RunSync) {
		v.CompareURL = compareURL(d.Issuer, d.InvoiceID, invoiceURL(d.CycleID))
	}
	return s.render(c, http.StatusOK, "invoice", frame{
		Title: "Invoice " + cmp.Or(d.Number, d.CycleID), Active: "invoices", Environment: string(d.Environment), Page: v,
	})
}

// addLines sums the lines. Stripe's sum is known when every line is there.
func (v *invoiceView) addLines() {
	var stripe int64
	known := len(v.InvoiceDetail.Lines) > 0
	for _, l := range v.InvoiceDetail.Lines {
		v.Lines = append(v.Lines, invoiceLineView{InvoiceLine: l, Difference: gap(l.AmountMinor, l.StripeMinor), URL: lineURL(v.CycleID, l.Line)})
		v.SumMinor += l.AmountMinor
		if l.StripeMinor == nil {
			known = false
			continue
		}
		stripe += *l.StripeMinor
	}
	if known {
		v.SumStripe, v.SumDifference = &stripe, gap(v.SumMinor, &stripe)
	}
}

// entriesOf tells case IDs from other entries: billing writes them into lb_readouts_1 and on.
func entriesOf(entries []reconcile.MetadataEntry) []entryView {
	var out []entryView
	for _, e := range entries {
		v := entryView{Key: e.Key, Value: e.Value}
		if n, ok := strings.CutPrefix(e.Key, "lb_readouts_"); ok && n != "" && strings.Trim(n, "0123456789") == "" {
			v.Cases = strings.Split(e.Value, ",")
		}
		out = append(out, v)
	}
	return out
}

// writeBackState is how the state of a write-back looks.
func writeBackState(name string) StateView {
	v := stateOf(name)
	if name == "released" || name == "finalized" {
		v.Icon, v.Tone = "✓", "good"
	}
	return v
}

// paymentState is how a status of Stripe's looks: of an invoice, a charge or a dispute. A
// dispute that was won is settled for us.
func paymentState(name string) StateView {
	v := stateOf(name)
	switch name {
	case "":
		v = StateView{"not finalized", "–", "calm"}
	case "paid", "succeeded", "won", "warning_closed", "prevented":
		v.Icon, v.Tone = "✓", "good"
	case "void", "draft":
		v.Icon, v.Tone = "–", "calm"
	case "uncollectible", "lost":
		v.Icon, v.Tone = "✕", "bad"
	}
	return v
}

// overdueBy is for how many days an open invoice is due; empty where it is not.
func overdueBy(i reconcile.InvoiceRow, now time.Time) string {
	if i.Payment == nil || i.Payment.DueAt == nil || i.StripeStatus != "open" || !i.Payment.DueAt.Before(now) {
		return ""
	}
	return plural(int(now.Sub(*i.Payment.DueAt).Hours()/24), "day")
}

// invoiceExport has one row per line of the invoice, as it was written.
func (s *Server) invoiceExport(c echo.Context) error {
	if err := checkFormat(c); err != nil {
		return err
	}
	d, err := s.reconcile.Invoice(c.Request().Context(), c.Param("id"))
	if err != nil {
		return err
	}
	r := report{
		Name: "invoice-" + d.CycleID, Title: "Lines of invoice " + cmp.Or(d.Number, d.CycleID), Version: 1,
		Parameters: []parameter{
			{"cycle", d.CycleID}, {"invoice_id", d.InvoiceID}, {"number", d.Number}, {"account", d.AccountID}, {"payer", d.Payer}, {"period", d.Period}, {"status", d.StripeStatus},
			{"po_number", d.Plan.PONumber}, {"plan_hash", d.PlanHash}, {"evidence_digest", d.EvidenceDigest}, {"input_digest", d.InputDigest}, {"contract_hash", d.ContractHash}, {"environment", string(d.Environment)},
		},
		Columns: []column{
			{Name: "line"}, {Name: "kind"}, {Name: "description"}, {Name: "snapshot"}, {Name: "case_id"}, {Name: "readout_sha256"},
			{Name: "amount", Kind: columnMoney, Sum: true}, {Name: "stripe", Kind: columnMoney, Sum: true}, {Name: "difference", Kind: columnMoney, Sum: true}, {Name: "stripe_line"},
		},
	}
	for _, l := range d.Lines {
		r.Rows = append(r.Rows, []any{
			l.Line, l.Kind, l.Description, l.Snapshot, l.CaseID, l.ReadoutDigest,
			cashOf(l.AmountMinor, d.Currency), cash{l.StripeMinor, d.Currency}, cash{gap(l.AmountMinor, l.StripeMinor), d.Currency}, l.StripeID,
		})
	}
	return s.send(c, r)
}

// invoiceLine is a line with the invoice that it stands on.
type invoiceLine struct {
	reconcile.InvoiceRow
	reconcile.InvoiceLine
}

// invoiceLinesExport has one row per line of all invoices that the list's filters select, in the
// list's order and each invoice's own.
func (s *Server) invoiceLinesExport(c echo.Context) error {
	if err := checkFormat(c); err != nil {
		return err
	}
	l, f, err := s.invoiceList(c)
	if err != nil {
		return err
	}
	if err := l.checked(); err != nil {
		return err
	}
	all, err := everything(func(cursor string, n int) ([]invoiceLine, string, error) {
		f.Cursor, f.Limit = cursor, n
		return s.linesOf(c.Request().Context(), f)
	})
	if err != nil {
		return err
	}
	r := report{
		Name: "invoice-lines", Title: "Lines of invoices", Version: 1, Parameters: l.parameters(),
		Columns: []column{
			{Name: "account"}, {Name: "account_id"}, {Name: "period"}, {Name: "cycle"}, {Name: "invoice_id"}, {Name: "number"}, {Name: "stripe_status"}, {Name: "payer"}, {Name: "currency"},
			{Name: "line"}, {Name: "kind"}, {Name: "description"}, {Name: "snapshot"}, {Name: "case_id"}, {Name: "readout_sha256"},
			{Name: "amount", Kind: columnMoney, Sum: true}, {Name: "stripe", Kind: columnMoney, Sum: true}, {Name: "difference", Kind: columnMoney, Sum: true}, {Name: "stripe_line"},
		},
	}
	for _, x := range all {
		i, line, cur := x.InvoiceRow, x.InvoiceLine, x.Currency
		r.Rows = append(r.Rows, []any{
			i.AccountName, i.AccountID, i.Period, i.CycleID, i.InvoiceID, i.Number, i.StripeStatus, i.Payer, strings.ToUpper(cur),
			line.Line, line.Kind, line.Description, line.Snapshot, line.CaseID, line.ReadoutDigest,
			cashOf(line.AmountMinor, cur), cash{line.StripeMinor, cur}, cash{gap(line.AmountMinor, line.StripeMinor), cur}, line.StripeID,
		})
	}
	return s.send(c, r)
}

// linesOf are the lines of a page of invoices.
func (s *Server) linesOf(ctx context.Context, f reconcile.InvoicesFilter) ([]invoiceLine, string, error) {
	page, err := s.reconcile.Invoices(ctx, f)
	if err != nil {
		return nil, "", err
	}
	ids := make([]string, len(page.Items))
	for n, i := range page.Items {
		ids[n] = i.CycleID
	}
	lines, err := s.reconcile.InvoiceLines(ctx, ids)
	var out []invoiceLine
	for _, i := range page.Items {
		for _, line := range lines[i.CycleID] {
			out = append(out, invoiceLine{i, line})
		}
	}
	return out, page.NextCursor, err
}
