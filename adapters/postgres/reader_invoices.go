package postgres

import (
	"cmp"
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

const invoiceSelect = `
	SELECT w.cycle_id, w.account_id, a.name AS account_name, w.period, w.state, ` + paymentStatus + ` AS stripe_status, coalesce(w.invoice_id, '') AS invoice_id, w.number,
		w.customer AS payer, w.issuer_connection AS issuer, w.currency, w.total_minor AS engine_minor, w.stripe_total AS stripe_minor,
		w.total_minor - w.stripe_total AS difference_minor, (SELECT count(*) FROM writeback_lines l WHERE l.intent_id = w.id) AS lines,
		(SELECT count(*) FROM writeback_attempts t WHERE t.intent_id = w.id) AS attempts, w.plan_hash, w.finalized_at, w.created_at, w.updated_at, c.state AS cycle_state,
		(SELECT sum(k.amount_minor)::bigint FROM corrections k WHERE k.cycle_id = w.cycle_id AND k.state = 'done' AND k.kind LIKE 'credit%') AS credited_minor,
		coalesce((SELECT (v.plan::jsonb) -> 'Metadata' ->> 'lb_readouts_sha256' FROM all_invoices v WHERE v.cycle_id = w.cycle_id AND v.revision = c.revision), '') AS evidence_digest, ` + paymentColumns + `
	FROM writeback_intents w JOIN accounts a ON a.id = w.account_id JOIN cycles c ON c.id = w.cycle_id` + paymentJoin

// invoiceOrders are the orders of the list; an invoice that is not finalized comes as if
// it had been before all others.
var invoiceOrders = keyset[ownInvoiceRow]{
	id: "w.cycle_id", value: func(i ownInvoiceRow) string { return i.CycleID }, first: "period",
	by: map[string]sorting[ownInvoiceRow]{
		"period": {"w.period", byText, func(i ownInvoiceRow) string { return i.Period }},
		"amount": {"w.total_minor", byNumber, func(i ownInvoiceRow) string { return strconv.FormatInt(i.EngineMinor, 10) }},
		"number": {"w.number", byText, func(i ownInvoiceRow) string { return i.Number }},
		"finalized": {"coalesce(w.finalized_at, 'epoch')", byTime, func(i ownInvoiceRow) string {
			if i.FinalizedAt == nil {
				return instantKey(time.Unix(0, 0))
			}
			return instantKey(*i.FinalizedAt)
		}},
	},
}

// Invoices pages by the key of the order that is asked for.
func (r *Reader) Invoices(ctx context.Context, f reconcile.InvoicesFilter) (reconcile.Page[reconcile.InvoiceRow], error) {
	q := where{}
	q.add("w.state <> 'superseded'")
	q.scoped(f.Scope, "w.environment", "w.account_id")
	q.eq("w.period", f.Period)
	q.eq("w.account_id", f.AccountID)
	q.eq("w.currency", f.Currency)
	if f.Status == "none" {
		q.add("w.stripe_status = ''")
	} else {
		q.eq(paymentStatus, f.Status)
	}
	if !f.DueBefore.IsZero() {
		q.add("p.due_at < ? AND "+paymentStatus+" = 'open'", f.DueBefore)
	}
	if !f.From.IsZero() {
		q.add("w.finalized_at >= ?", f.From)
	}
	if !f.To.IsZero() {
		q.add("w.finalized_at < ?", f.To)
	}
	if f.AtStripe {
		q.add("w.invoice_id IS NOT NULL")
	}
	if f.Search != "" {
		q.add("(w.invoice_id = ? OR w.number = ? OR w.customer = ? OR w.cycle_id = ?)", f.Search, f.Search, f.Search, f.Search)
	}
	invoiceCarries(&q, f)
	if f.MinMinor != nil {
		q.add("w.total_minor >= ?", *f.MinMinor)
	}
	if f.MaxMinor != nil {
		q.add("w.total_minor <= ?", *f.MaxMinor)
	}
	if f.MinMajor != nil {
		q.major("w.total_minor", "w.currency", ">=", *f.MinMajor)
	}
	if f.MaxMajor != nil {
		q.major("w.total_minor", "w.currency", "<=", *f.MaxMajor)
	}
	order, key, err := invoiceOrders.page(&q, f.Sort, f.Cursor)
	if err != nil {
		return reconcile.Page[reconcile.InvoiceRow]{}, err
	}
	var rows []ownInvoiceRow
	err = r.db.gorm.WithContext(ctx).Raw(invoiceSelect+q.sql()+" ORDER BY "+order+" LIMIT ?", append(q.args, f.Limit+1)...).Scan(&rows).Error
	if err != nil {
		return reconcile.Page[reconcile.InvoiceRow]{}, wrap(err)
	}
	return pageOf(rows, f.Limit, ownInvoiceRow.view, key)
}

// ownInvoiceRow is one of our invoices with what has become of it.
type ownInvoiceRow struct {
	CycleID, AccountID, AccountName, Period, State, StripeStatus, InvoiceID, Number, Payer, Issuer, Currency, PlanHash, CycleState, EvidenceDigest string
	EngineMinor                                                                                                                                    int64
	StripeMinor, DifferenceMinor, CreditedMinor                                                                                                    *int64
	Lines, Attempts                                                                                                                                int
	FinalizedAt                                                                                                                                    *time.Time
	CreatedAt, UpdatedAt                                                                                                                           time.Time
	Paid                                                                                                                                           paymentRow `gorm:"embedded"`
}

func (r ownInvoiceRow) view() (reconcile.InvoiceRow, error) {
	return reconcile.InvoiceRow{
		CycleID: r.CycleID, AccountID: r.AccountID, AccountName: r.AccountName, Period: r.Period, State: r.State, StripeStatus: r.StripeStatus,
		InvoiceID: r.InvoiceID, Number: r.Number, Payer: r.Payer, Issuer: r.Issuer, Currency: r.Currency, PlanHash: r.PlanHash, EvidenceDigest: r.EvidenceDigest,
		CycleState: billing.CycleState(r.CycleState), EngineMinor: r.EngineMinor, StripeMinor: r.StripeMinor, DifferenceMinor: r.DifferenceMinor, CreditedMinor: r.CreditedMinor,
		Lines: r.Lines, Attempts: r.Attempts, HostedURL: r.Paid.HostedURL, PDFURL: r.Paid.PDFURL, Payment: r.Paid.payment(),
		FinalizedAt: utc(r.FinalizedAt), CreatedAt: r.CreatedAt.UTC(), UpdatedAt: r.UpdatedAt.UTC(),
	}, nil
}

const (
	// invoiceCharges are the charges of an invoice w. Since basil only the invoice p names the
	// charge that paid it; before, and where Stripe was asked, the charge names its invoice.
	invoiceCharges = `(SELECT p.charge_id AS id WHERE p.charge_id <> ''
		UNION SELECT x.id FROM stripe_charges x WHERE x.connection_id = w.issuer_connection AND x.customer_id = w.customer AND x.invoice_id = w.invoice_id
		UNION SELECT o.charge_id FROM charge_owners o WHERE o.connection_id = w.issuer_connection AND o.customer_id = w.customer AND o.invoice_id = w.invoice_id)`
	// invoicePlans are the plans v of the present revisions.
	invoicePlans = `all_invoices v JOIN cycles y ON y.id = v.cycle_id AND y.revision = v.revision`
)

// disputeStatuses are Stripe's statuses of what a dispute can be filtered by.
var disputeStatuses = map[string][]string{
	"lost": {"lost"}, "won": {"won"}, "open": {"needs_response", "under_review", "warning_needs_response", "warning_under_review"},
}

// invoiceCarries selects by disputes and by what the invoice carries at Stripe. An array is
// found once, by the index; joined to the list, plans would be read one by one.
func invoiceCarries(q *where, f reconcile.InvoicesFilter) {
	entry := func(key, value string) {
		q.add("w.cycle_id = ANY (ARRAY(SELECT v.cycle_id FROM "+invoicePlans+" WHERE ((v.plan::jsonb) -> 'Metadata') @> jsonb_build_object(CAST(? AS text), CAST(? AS text))))", key, value)
	}
	if f.Dispute != "" {
		q.add(`EXISTS (SELECT 1 FROM `+invoiceCharges+` h JOIN stripe_disputes d ON d.connection_id = w.issuer_connection AND d.charge_id = h.id
			WHERE d.deleted_at IS NULL AND d.status IN ?)`, disputeStatuses[f.Dispute])
	}
	if f.PONumber != "" {
		entry("lb_po_number", f.PONumber)
	}
	if key, value, ok := strings.Cut(f.Metadata, "="); ok {
		entry(key, value)
	} else if f.Metadata != "" {
		q.add(`w.cycle_id = ANY (ARRAY(SELECT v.cycle_id FROM all_readouts o JOIN `+invoicePlans+` ON v.cycle_id = o.cycle_id AND v.revision = o.revision
			WHERE o.case_id = ? AND ((v.plan::jsonb) -> 'Lines') @> jsonb_build_array(jsonb_build_object('Metadata', jsonb_build_object('lb_readout', CAST(? AS text))))))`, f.Metadata, f.Metadata)
	}
}

// Invoice loads everything of one invoice of ours.
func (r *Reader) Invoice(ctx context.Context, cycleID string) (reconcile.InvoiceDetail, error) {
	db := r.db.gorm.WithContext(ctx)
	var row ownInvoiceRow
	if err := db.Raw(invoiceSelect+" WHERE w.cycle_id = ? AND w.state <> 'superseded'", cycleID).Scan(&row).Error; err != nil {
		return reconcile.InvoiceDetail{}, wrap(err)
	}
	if row.CycleID == "" {
		return reconcile.InvoiceDetail{}, fault.New(fault.NotFound, "invoice_not_found", "nothing of cycle %q was written to Stripe", cycleID).
			Fix("Look for it in the list of invoices; what a month without an invoice comes to stands on the page of its cycle")
	}
	shown, err := row.view()
	d := reconcile.InvoiceDetail{InvoiceRow: shown}
	if err != nil {
		return d, err
	}
	for _, load := range []func(*gorm.DB, *reconcile.InvoiceDetail) error{invoiceHead, invoiceLines, invoiceEvents} {
		if err := load(db, &d); err != nil {
			return d, wrap(err)
		}
	}
	return d, nil
}

func invoiceHead(tx *gorm.DB, d *reconcile.InvoiceDetail) error {
	var h struct {
		ID, Environment, Plan, InputDigest, ContractID, TermsHash string
		Revision                                                  int
	}
	err := tx.Raw(`
		SELECT w.id, w.environment, v.plan, c.input_digest, c.contract_id, k.terms_hash, c.revision
		FROM writeback_intents w JOIN cycles c ON c.id = w.cycle_id JOIN contracts k ON k.id = c.contract_id JOIN all_invoices v ON v.cycle_id = c.id AND v.revision = c.revision
		WHERE w.cycle_id = ? AND w.state <> 'superseded'`, d.CycleID).Scan(&h).Error
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(h.Plan), &d.Plan); err != nil {
		return fault.Wrap(err, fault.Internal, "plan_unreadable", "the plan of the invoice of %s cannot be read", d.CycleID)
	}
	d.ID, d.Environment, d.Revision = h.ID, environmentOf(h.Environment), h.Revision
	d.InputDigest, d.ContractID, d.ContractHash = h.InputDigest, h.ContractID, h.TermsHash
	return nil
}

// invoiceLines are the plan's lines with what they became at Stripe, and the digests of their
// readouts.
func invoiceLines(tx *gorm.DB, d *reconcile.InvoiceDetail) error {
	lines, err := linesOfInvoices(tx, []string{d.CycleID})
	d.Lines = lines[d.CycleID]
	return err
}

// InvoiceLines implements reconcile.Reader.
func (r *Reader) InvoiceLines(ctx context.Context, cycleIDs []string) (map[string][]reconcile.InvoiceLine, error) {
	lines, err := linesOfInvoices(r.db.gorm.WithContext(ctx), cycleIDs)
	return lines, wrap(err)
}

func linesOfInvoices(tx *gorm.DB, cycleIDs []string) (map[string][]reconcile.InvoiceLine, error) {
	var plans []struct{ CycleID, Plan string }
	err := tx.Raw(`SELECT w.cycle_id, v.plan FROM writeback_intents w JOIN cycles c ON c.id = w.cycle_id JOIN all_invoices v ON v.cycle_id = c.id AND v.revision = c.revision
		WHERE w.cycle_id IN ? AND w.state <> 'superseded'`, cycleIDs).Scan(&plans).Error
	if err != nil {
		return nil, err
	}
	type key struct{ cycle, line string }
	var items []struct {
		CycleID, Line, StripeID string
		AmountMinor             int64
	}
	err = tx.Raw(`SELECT w.cycle_id, x.line, x.stripe_id, x.amount_minor FROM writeback_intents w JOIN writeback_lines x ON x.intent_id = w.id
		WHERE w.cycle_id IN ? AND w.state <> 'superseded'`, cycleIDs).Scan(&items).Error
	if err != nil {
		return nil, err
	}
	written := map[key]int{}
	for i, x := range items {
		written[key{x.CycleID, x.Line}] = i
	}
	digests, err := readoutDigests(tx, cycleIDs)
	if err != nil {
		return nil, err
	}
	out := map[string][]reconcile.InvoiceLine{}
	for _, p := range plans {
		var plan billing.InvoicePlan
		if err := json.Unmarshal([]byte(p.Plan), &plan); err != nil {
			return nil, fault.Wrap(err, fault.Internal, "plan_unreadable", "the plan of the invoice of %s cannot be read", p.CycleID)
		}
		for _, l := range plan.Lines {
			line := reconcile.InvoiceLine{
				Line: l.Line, Kind: cmp.Or(string(l.Kind), string(billing.LineLift)), Description: l.Description, Snapshot: l.Metadata["lb_snapshot"],
				CaseID: l.Metadata["lb_readout"], AmountMinor: l.AmountMinor, ReadoutDigest: digests[l.Metadata["lb_readout"]],
			}
			if i, ok := written[key{p.CycleID, l.Line}]; ok {
				line.StripeID, line.StripeMinor = items[i].StripeID, &items[i].AmountMinor
			}
			out[p.CycleID] = append(out[p.CycleID], line)
		}
	}
	return out, nil
}

// readoutDigests are the SHA-256 of the manifests of the present revisions, by case ID.
func readoutDigests(tx *gorm.DB, cycleIDs []string) (map[string]string, error) {
	var readouts []struct{ CaseID, Digest string }
	err := tx.Raw(`SELECT o.case_id, encode(sha256(convert_to(o.manifest, 'UTF8')), 'hex') AS digest FROM cycles c JOIN all_readouts o ON o.cycle_id = c.id AND o.revision = c.revision
		WHERE c.id IN ?`, cycleIDs).Scan(&readouts).Error
	out := make(map[string]string, len(readouts))
	for _, o := range readouts {
		out[o.CaseID] = o.Digest
	}
	return out, err
}

// invoiceEvents are what was sent and what the payer did.
func invoiceEvents(tx *gorm.DB, d *reconcile.InvoiceDetail) error {
	if err := tx.Raw(`SELECT at, operation, outcome, request_id FROM writeback_attempts WHERE intent_id = ? ORDER BY id`, d.ID).Scan(&d.Attempts).Error; err != nil {
		return err
	}
	charges := `WITH mine AS MATERIALIZED (SELECT w.issuer_connection AS connection_id, h.id FROM writeback_intents w` + paymentJoin + ` CROSS JOIN LATERAL ` + invoiceCharges + ` h WHERE w.id = ?)`
	err := tx.Raw(charges+`
		SELECT x.id, x.status, x.currency, x.failure_code, x.payment_method, x.created_at, x.amount_minor, x.amount_refunded_minor AS refunded_minor
		FROM mine m JOIN stripe_charges x ON x.connection_id = m.connection_id AND x.id = m.id WHERE x.deleted_at IS NULL ORDER BY x.created_at, x.id`, d.ID).Scan(&d.Charges).Error
	if err != nil {
		return err
	}
	return tx.Raw(charges+`
		SELECT x.id, x.charge_id, x.status, x.reason, x.currency, x.created_at, x.evidence_due_at, x.amount_minor
		FROM mine m JOIN stripe_disputes x ON x.connection_id = m.connection_id AND x.charge_id = m.id WHERE x.deleted_at IS NULL ORDER BY x.created_at, x.id`, d.ID).Scan(&d.Disputes).Error
}
