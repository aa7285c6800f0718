package postgres

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
)

// revisionsOf lists a cycle's revisions without their lines. What a superseded one stood at
// is in the row of the revision that took its place.
func revisionsOf(tx *gorm.DB, cycleID string) ([]reconcile.Revision, error) {
	var rows []struct {
		Number                                                                int
		Superseded                                                            bool
		BegunAt, Watermark                                                    *time.Time
		Actor, Reason, State, StateReason, InputDigest, InvoiceHash, Currency string
		TotalMinor                                                            int64
	}
	err := tx.Raw(`
		SELECT n AS number, n <> c.revision AS superseded, v.at AS begun_at, coalesce(v.actor, '') AS actor, coalesce(v.reason, '') AS reason,
			coalesce(x.previous_state, c.state) AS state, coalesce(x.previous_reason, c.reason) AS state_reason, coalesce(x.previous_watermark, c.watermark) AS watermark,
			coalesce(x.previous_input_digest, c.input_digest) AS input_digest, coalesce(i.plan_hash, '') AS invoice_hash,
			coalesce(i.currency, k.terms::jsonb ->> 'currency', '') AS currency, coalesce(i.total_minor, 0) AS total_minor
		FROM cycles c CROSS JOIN LATERAL generate_series(1, c.revision) n JOIN contracts k ON k.id = c.contract_id
		LEFT JOIN cycle_revisions v ON v.cycle_id = c.id AND v.revision = n
		LEFT JOIN cycle_revisions x ON x.cycle_id = c.id AND x.revision = n + 1
		LEFT JOIN all_invoices i ON i.cycle_id = c.id AND i.revision = n
		WHERE c.id = ? ORDER BY n`, cycleID).Scan(&rows).Error
	out := make([]reconcile.Revision, len(rows))
	for i, r := range rows {
		out[i] = reconcile.Revision{
			Number: r.Number, Superseded: r.Superseded, Actor: r.Actor, Reason: r.Reason, State: billing.CycleState(r.State), StateReason: r.StateReason,
			InputDigest: r.InputDigest, InvoiceHash: r.InvoiceHash, Currency: r.Currency, TotalMinor: r.TotalMinor,
		}
		if r.BegunAt != nil {
			out[i].BegunAt = r.BegunAt.UTC()
		}
		if r.Watermark != nil {
			out[i].Watermark = r.Watermark.UTC()
		}
	}
	return out, err
}

// tieOutRevisions lists how often the cycle was computed, and what of an earlier invoice may
// still be at Stripe.
func tieOutRevisions(ctx context.Context, tx *gorm.DB, t *reconcile.TieOut) (err error) {
	t.Revisions, err = revisionsOf(tx.WithContext(ctx), t.ID)
	if err != nil {
		return err
	}
	return tx.WithContext(ctx).Raw(`SELECT w.begun, w.final, EXISTS (SELECT 1 FROM writeback_intents s WHERE s.cycle_id = c.id AND s.state = 'superseded' AND s.retired_at IS NULL) AS leftover,
			EXISTS (SELECT 1 FROM cycles n WHERE n.account_id = c.account_id AND n.period > c.period AND n.watermark IS NOT NULL) AS later
		FROM cycles c CROSS JOIN LATERAL (SELECT count(*) > 0 AS begun, coalesce(bool_or(x.finalized_at IS NOT NULL OR x.state IN ('finalized', 'released')), false) AS final
			FROM writeback_intents x WHERE x.cycle_id = c.id AND x.state <> 'superseded') w WHERE c.id = ?`, t.ID).Scan(&t.AtStripe).Error
}

// Revisions lists a cycle's revisions with what each came to.
func (r *Reader) Revisions(ctx context.Context, cycleID string) ([]reconcile.Revision, error) {
	tx := r.db.gorm.WithContext(ctx)
	out, err := revisionsOf(tx, cycleID)
	if err != nil {
		return nil, wrap(err)
	}
	if len(out) == 0 {
		return nil, fault.New(fault.NotFound, "cycle_not_found", "there is no cycle %q", cycleID)
	}
	var lines []struct {
		Revision int
		reconcile.Line
	}
	err = tx.Raw(`
		SELECT r.revision, r.snapshot_id, coalesce(s.name, r.snapshot_id) AS snapshot_name, r.case_id, coalesce(l.fee_minor > 0 AND i.phase <> 'shadow', false) AS billed, r.verdict,
			r.headline AS headline_code, r.explanation, r.units, r.holdout_units, r.observed_minor, coalesce(l.measured_minor, floor(r.lift)::bigint) AS measured_minor,
			coalesce(l.bound_minor, floor(r.bound)::bigint) AS bound_minor, coalesce(l.base_minor, 0) AS base_minor, coalesce(l.fee_minor, 0) AS fee_minor
		FROM all_readouts r
		LEFT JOIN policy_snapshots s ON s.account_id = r.account_id AND s.id = r.snapshot_id
		LEFT JOIN all_cycle_lines l ON l.cycle_id = r.cycle_id AND l.revision = r.revision AND l.snapshot_id = r.snapshot_id
		LEFT JOIN all_invoices i ON i.cycle_id = r.cycle_id AND i.revision = r.revision
		WHERE r.cycle_id = ? AND r.snapshot_id <> ? ORDER BY r.revision, r.snapshot_id`, cycleID, lift.SnapshotPooled).Scan(&lines).Error
	if err != nil {
		return nil, wrap(err)
	}
	for _, l := range lines {
		out[l.Revision-1].Lines = append(out[l.Revision-1].Lines, l.Line)
	}
	var buckets []struct {
		Revision int
		reconcile.BucketSum
	}
	err = tx.Raw(`SELECT revision, bucket, snapshot_id, currency, amount_minor, events FROM all_cycle_buckets WHERE cycle_id = ?
		ORDER BY revision, bucket <> 'snapshot', bucket, snapshot_id, currency`, cycleID).Scan(&buckets).Error
	for _, b := range buckets {
		out[b.Revision-1].Buckets = append(out[b.Revision-1].Buckets, b.BucketSum)
	}
	return out, wrap(err)
}
