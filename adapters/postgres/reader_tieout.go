package postgres

import (
	"context"
	"encoding/json"
	"time"

	"gorm.io/gorm"

	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
)

// TieOut loads everything behind one cycle's total.
func (r *Reader) TieOut(ctx context.Context, cycleID string) (reconcile.TieOut, error) {
	var row summaryRow
	if err := r.db.gorm.WithContext(ctx).Raw(summarySelect+"cycles c"+summaryJoins+" WHERE c.id = ?", cycleID).Scan(&row).Error; err != nil {
		return reconcile.TieOut{}, wrap(err)
	}
	if row.ID == "" {
		return reconcile.TieOut{}, fault.New(fault.NotFound, "cycle_not_found", "there is no cycle %q", cycleID)
	}
	summary, err := row.view()
	if err != nil {
		return reconcile.TieOut{}, err
	}
	board := []reconcile.CycleSummary{summary}
	if err := boardFigures(ctx, r.db.gorm, board); err != nil {
		return reconcile.TieOut{}, err
	}
	t := reconcile.TieOut{CycleSummary: board[0]}
	for _, load := range []func(context.Context, *gorm.DB, *reconcile.TieOut) error{tieOutHead, tieOutRows, tieOutLines, tieOutWriteBack, tieOutDecisions, tieOutRevisions, tieOutResult, tieOutWarnings} {
		if err := load(ctx, r.db.gorm, &t); err != nil {
			return t, wrap(err)
		}
	}
	return t, nil
}

func tieOutHead(ctx context.Context, tx *gorm.DB, t *reconcile.TieOut) error {
	var h struct {
		TermsHash, Terms, PlanID, PlanHash, InputDigest string
		Watermark                                       *time.Time
		PaidMinor, StripeNetMinor                       *int64
		PooledCase, Phase                               string
	}
	err := tx.WithContext(ctx).Raw(`
		SELECT k.terms_hash, k.terms, c.plan_id, p.plan_hash, c.input_digest, c.watermark, c.paid_minor, c.stripe_net_minor,
			coalesce((SELECT case_id FROM readouts r WHERE r.cycle_id = c.id AND r.snapshot_id = ?), '') AS pooled_case,
			coalesce((SELECT phase FROM invoices i WHERE i.cycle_id = c.id), '') AS phase
		FROM cycles c JOIN contracts k ON k.id = c.contract_id JOIN measurement_plans p ON p.id = c.plan_id WHERE c.id = ?`, lift.SnapshotPooled, t.ID).Scan(&h).Error
	if err != nil {
		return err
	}
	var terms billing.Terms
	if err := json.Unmarshal([]byte(h.Terms), &terms); err != nil {
		return err
	}
	t.ContractHash, t.Share, t.PlanID, t.PlanHash = h.TermsHash, terms.Share, h.PlanID, h.PlanHash
	t.InputDigest, t.StripeNetMinor, t.PooledCaseID = h.InputDigest, h.StripeNetMinor, h.PooledCase
	t.Terms, t.Phase = terms.Words(), h.Phase
	if h.Watermark != nil {
		t.Watermark = h.Watermark.UTC()
	}
	if h.PaidMinor != nil {
		t.PaidRevenueMinor = *h.PaidMinor
	}
	return nil
}

func tieOutRows(ctx context.Context, tx *gorm.DB, t *reconcile.TieOut) error {
	var all []reconcile.BucketSum
	err := tx.WithContext(ctx).Raw(`SELECT bucket, snapshot_id, currency, amount_minor, events FROM cycle_buckets WHERE cycle_id = ? ORDER BY bucket <> 'snapshot', bucket, snapshot_id, currency`, t.ID).Scan(&all).Error
	if err != nil {
		return err
	}
	books, err := tieOutBooks(ctx, tx, t.ID)
	if err != nil {
		return err
	}
	t.Buckets, t.Others = reconcile.PartBuckets(all, t.Currency, books)
	return tx.WithContext(ctx).Raw(`SELECT number, name, snapshot_id, formula, inputs, result FROM cycle_steps WHERE cycle_id = ? ORDER BY number`, t.ID).Scan(&t.Steps).Error
}

// tieOutBooks is what a cycle was compared in with Stripe's lists when it was frozen, by
// currency: every unit table's evidence says the same of it.
func tieOutBooks(ctx context.Context, tx *gorm.DB, cycleID string) ([]lift.Books, error) {
	var evidence string
	err := tx.WithContext(ctx).Raw(`SELECT evidence FROM cycle_inputs WHERE cycle_id = ? AND snapshot_id = ?`, cycleID, lift.SnapshotPooled).Scan(&evidence).Error
	if err != nil || evidence == "" {
		return nil, err
	}
	var e lift.Evidence
	err = json.Unmarshal([]byte(evidence), &e)
	return e.Books, err
}

// tieOutLines lists one line per snapshot readout, priced when the cycle has come
// that far.
func tieOutLines(ctx context.Context, tx *gorm.DB, t *reconcile.TieOut) error {
	err := tx.WithContext(ctx).Raw(`
		SELECT r.snapshot_id, s.name AS snapshot_name, r.case_id, coalesce(l.fee_minor > 0 AND i.phase <> 'shadow', false) AS billed, r.verdict, r.headline AS headline_code,
			r.explanation, r.units, r.holdout_units, r.observed_minor, r.interval_low, r.interval_high, r.ess, coalesce(l.measured_minor, floor(r.lift)::bigint) AS measured_minor,
			coalesce(l.bound_minor, floor(r.bound)::bigint) AS bound_minor, coalesce(l.high_water_from, 0) AS high_water_from,
			coalesce(l.high_water_to, 0) AS high_water_to, coalesce(l.base_minor, 0) AS base_minor, coalesce(l.deferred_minor, 0) AS deferred_minor,
			coalesce(l.waived_minor, 0) AS waived_minor, coalesce(l.fee_minor, 0) AS fee_minor, coalesce(l.billed_minor, 0) AS billed_minor, coalesce(wl.stripe_id, '') AS stripe_line_id, wl.amount_minor AS stripe_minor
		FROM readouts r
		LEFT JOIN policy_snapshots s ON s.account_id = r.account_id AND s.id = r.snapshot_id
		LEFT JOIN cycle_lines l ON l.cycle_id = r.cycle_id AND l.snapshot_id = r.snapshot_id
		LEFT JOIN invoices i ON i.cycle_id = r.cycle_id
		LEFT JOIN writeback_intents w ON w.cycle_id = r.cycle_id AND w.state <> 'superseded'
		LEFT JOIN writeback_lines wl ON wl.intent_id = w.id AND wl.line = r.snapshot_id
		WHERE r.cycle_id = ? AND r.snapshot_id <> ? ORDER BY r.snapshot_id`, t.ID, lift.SnapshotPooled).Scan(&t.Lines).Error
	for _, l := range t.Lines {
		if l.Billed {
			t.CaseIDs = append(t.CaseIDs, l.CaseID)
		}
	}
	if err != nil {
		return err
	}
	return tx.WithContext(ctx).Raw(`
		SELECT f.line, f.kind, f.description, f.amount_minor, f.billed_minor, f.snapshot_id, f.quantity, f.origin,
			coalesce(wl.stripe_id, '') AS stripe_line_id, wl.amount_minor AS stripe_minor
		FROM cycle_charges f
		LEFT JOIN writeback_intents w ON w.cycle_id = f.cycle_id AND w.state <> 'superseded'
		LEFT JOIN writeback_lines wl ON wl.intent_id = w.id AND wl.line = f.line
		WHERE f.cycle_id = ? ORDER BY f.position`, t.ID).Scan(&t.Charges).Error
}

func tieOutWriteBack(ctx context.Context, tx *gorm.DB, t *reconcile.TieOut) error {
	var w struct {
		ID          string
		FinalizedAt *time.Time
	}
	err := tx.WithContext(ctx).Raw(`SELECT id, finalized_at FROM writeback_intents WHERE cycle_id = ? AND state <> 'superseded'`, t.ID).Scan(&w).Error
	if err != nil || w.ID == "" {
		return err
	}
	if t.Payment != nil {
		t.StripeStatus, t.HostedURL, t.PDFURL = t.Payment.Status, t.Payment.HostedURL, t.Payment.PDFURL
	}
	if w.FinalizedAt != nil {
		at := w.FinalizedAt.UTC()
		t.FinalizedAt = &at
	}
	return tx.WithContext(ctx).Raw(`SELECT at, operation, outcome, request_id FROM writeback_attempts WHERE intent_id = ? ORDER BY id`, w.ID).Scan(&t.Attempts).Error
}

// tieOutResult is what the cycle was compared in.
func tieOutResult(ctx context.Context, tx *gorm.DB, t *reconcile.TieOut) error {
	var r struct {
		Person       bool
		Kind, Checks string
		At           *time.Time
	}
	err := tx.WithContext(ctx).Raw(`SELECT coalesce(i.requires_person, false) AS person, coalesce(o.kind, '') AS kind, coalesce(o.checks::text, '') AS checks, o.at
		FROM cycles c LEFT JOIN invoices i ON i.cycle_id = c.id LEFT JOIN cycle_tieouts o ON o.cycle_id = c.id WHERE c.id = ?`, t.ID).Scan(&r).Error
	if err != nil {
		return err
	}
	t.RequiresPerson = r.Person
	if r.At == nil {
		return nil
	}
	t.Tied, t.TiedAt = &billing.TieOut{Kind: billing.TieOutKind(r.Kind)}, r.At.UTC()
	return json.Unmarshal([]byte(r.Checks), &t.Tied.Checks)
}
