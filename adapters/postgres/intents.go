package postgres

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

type intentRow struct {
	ID                                          string
	CycleID, Environment, State, PlanHash, Plan string
	Generation, FinalizeAttempt, Indeterminate  int
	InvoiceID                                   *string
	Number, GivenUp                             string
	StripeTotal                                 *int64
	VerifiedAt                                  *time.Time
	Writing                                     switchRow `gorm:"embedded"`
}

// claimed reports whether a worker that has verified the draft may be finalizing it.
func (r intentRow) claimed(at time.Time) bool {
	return r.State == string(billing.IntentVerified) && r.VerifiedAt != nil && at.Sub(*r.VerifiedAt).Abs() < invoicing.ClaimFor
}

const intentColumns = `w.id, w.cycle_id, w.environment, w.state, w.plan_hash, w.generation, w.finalize_attempt, w.indeterminate, w.invoice_id, w.number, w.stripe_total, ` + switchColumns + `,
	coalesce((SELECT string_agg(g.invoice_id, ' ' ORDER BY g.at, g.invoice_id) FROM writeback_given_up g WHERE g.intent_id = w.id), '') AS given_up`

// domain checks that the plan still has its hash and its key.
func (r intentRow) domain() (invoicing.StoredIntent, error) {
	out := invoicing.StoredIntent{
		ID: r.ID, CycleID: r.CycleID, Environment: account.Environment(r.Environment), Writing: r.Writing.domain(), Indeterminate: r.Indeterminate, Number: r.Number, StripeTotal: r.StripeTotal,
		Intent:  billing.Intent{PlanHash: r.PlanHash, State: billing.IntentState(r.State), Generation: r.Generation, FinalizeN: r.FinalizeAttempt, InvoiceID: text(r.InvoiceID)},
		GivenUp: strings.Fields(r.GivenUp),
	}
	if err := json.Unmarshal([]byte(r.Plan), &out.Plan); err != nil {
		return out, fault.Wrap(err, fault.Internal, "plan_unreadable", "the invoice plan of cycle %s cannot be read", r.CycleID)
	}
	if out.Plan.Hash() != r.PlanHash || out.Plan.Key.ID() != r.ID {
		return out, fault.New(fault.Conflict, "plan_changed", "the invoice plan of cycle %s does not have its hash any more", r.CycleID)
	}
	return out, nil
}

// Intent loads the intent of a cycle that counts, with its plan.
func (v *Invoicing) Intent(ctx context.Context, cycleID string) (invoicing.StoredIntent, error) {
	var r intentRow
	err := v.db.gorm.WithContext(ctx).Raw(`SELECT `+intentColumns+`, i.plan
		FROM writeback_intents w JOIN invoices i ON i.cycle_id = w.cycle_id`+switchJoin+` WHERE w.cycle_id = ? AND w.state <> 'superseded'`, cycleID).Scan(&r).Error
	if err != nil {
		return invoicing.StoredIntent{}, wrap(err)
	}
	if r.ID == "" {
		return invoicing.StoredIntent{}, fault.New(fault.NotFound, "intent_not_found", "cycle %s has no write-back intent", cycleID)
	}
	return r.domain()
}

// Superseded loads the cycle's superseded intents that are not retired, oldest first.
func (v *Invoicing) Superseded(ctx context.Context, cycleID string) ([]invoicing.StoredIntent, error) {
	var rows []intentRow
	err := v.db.gorm.WithContext(ctx).Raw(`SELECT `+intentColumns+`, w.superseded_plan AS plan
		FROM writeback_intents w`+switchJoin+` WHERE w.cycle_id = ? AND w.state = 'superseded' AND w.retired_at IS NULL ORDER BY w.created_at, w.id`, cycleID).Scan(&rows).Error
	if err != nil {
		return nil, wrap(err)
	}
	out := make([]invoicing.StoredIntent, len(rows))
	for i, r := range rows {
		if out[i], err = r.domain(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Retire records that nothing of a superseded intent is left at Stripe.
func (v *Invoicing) Retire(ctx context.Context, intentID string, at time.Time) error {
	return wrap(v.db.gorm.WithContext(ctx).Exec(`UPDATE writeback_intents SET retired_at = ?, updated_at = ? WHERE id = ? AND state = 'superseded'`, at, at, intentID).Error)
}

// Known looks intents up by ID.
func (v *Invoicing) Known(ctx context.Context, intentIDs []string) (map[string]invoicing.Known, error) {
	var rows []struct {
		ID, State string
		InvoiceID *string
		Retired   bool
	}
	err := v.db.gorm.WithContext(ctx).Raw(`SELECT id, state, invoice_id, retired_at IS NOT NULL AS retired FROM writeback_intents WHERE id IN ?`, intentIDs).Scan(&rows).Error
	if err != nil {
		return nil, wrap(err)
	}
	out := map[string]invoicing.Known{}
	for _, r := range rows {
		out[r.ID] = invoicing.Known{State: billing.IntentState(r.State), InvoiceID: text(r.InvoiceID), Retired: r.Retired}
	}
	return out, nil
}

// Pin is a compare-and-set from NULL: one invoice ID for ever, or a Conflict.
func (v *Invoicing) Pin(ctx context.Context, intentID, invoiceID string, at time.Time) error {
	res := v.db.gorm.WithContext(ctx).Exec(`
		UPDATE writeback_intents SET invoice_id = ?, state = CASE WHEN state = 'planned' THEN 'pinned' ELSE state END, indeterminate = 0, lost_since = NULL, updated_at = ?
		WHERE id = ? AND state <> 'superseded' AND (invoice_id IS NULL OR invoice_id = ?)`, invoiceID, at, intentID, invoiceID)
	if res.Error == nil && res.RowsAffected == 0 {
		return fault.New(fault.Conflict, "pinned_elsewhere", "another invoice is pinned for intent %s", intentID)
	}
	return wrap(res.Error)
}

// Unpin gives an invoice up, but only the one that the caller saw; a finalized
// intent keeps its invoice.
func (v *Invoicing) Unpin(ctx context.Context, intentID, invoiceID string, at time.Time) error {
	err := v.db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		var r intentRow
		if err := tx.Raw(`SELECT id, state, invoice_id, verified_at FROM writeback_intents WHERE id = ? FOR UPDATE`, intentID).Scan(&r).Error; err != nil {
			return err
		}
		switch billing.IntentState(r.State) {
		case billing.IntentPlanned, billing.IntentPinned, billing.IntentVerified:
		default:
			return fault.New(fault.Conflict, "already_final", "intent %s is %s and keeps its invoice", intentID, r.State)
		}
		if text(r.InvoiceID) != invoiceID || r.claimed(at) {
			return invoicing.MovedOn(intentID)
		}
		return giveUp(tx, intentID, invoiceID, at)
	})
	return wrap(err)
}

// giveUp lets an intent begin again: another generation, nothing pinned, and the old
// invoice remembered until it is known to count for nothing.
func giveUp(tx *gorm.DB, intentID, invoiceID string, at time.Time) error {
	if invoiceID != "" {
		err := tx.Exec(`INSERT INTO writeback_given_up (intent_id, invoice_id, at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`, intentID, invoiceID, at).Error
		if err != nil {
			return err
		}
	}
	if err := tx.Exec(`UPDATE writeback_intents SET invoice_id = NULL, state = 'planned', generation = generation + 1, indeterminate = 0, lost_since = NULL,
			finalize_attempt = 0, verified_at = NULL, number = '', hosted_url = '', pdf_url = '', stripe_status = '', stripe_total = NULL, finalized_at = NULL, updated_at = ?
		WHERE id = ?`, at, intentID).Error; err != nil {
		return err
	}
	return tx.Exec(`DELETE FROM writeback_lines WHERE intent_id = ?`, intentID).Error
}

// Forget takes an invoice off those given up.
func (v *Invoicing) Forget(ctx context.Context, intentID, invoiceID string) error {
	return wrap(v.db.gorm.WithContext(ctx).Exec(`DELETE FROM writeback_given_up WHERE intent_id = ? AND invoice_id = ?`, intentID, invoiceID).Error)
}

// CountIndeterminate counts lost creates of the present generation.
func (v *Invoicing) CountIndeterminate(ctx context.Context, intentID string, at time.Time) (int, time.Time, error) {
	var lost struct {
		Indeterminate int
		LostSince     time.Time
	}
	err := v.db.gorm.WithContext(ctx).Raw(`UPDATE writeback_intents SET indeterminate = indeterminate + 1, lost_since = coalesce(lost_since, ?), updated_at = ?
		WHERE id = ? RETURNING indeterminate, lost_since`, at, at, intentID).Scan(&lost).Error
	return lost.Indeterminate, lost.LostSince.UTC(), wrap(err)
}

// NextFinalize moves to a fresh finalize key.
func (v *Invoicing) NextFinalize(ctx context.Context, intentID string, at time.Time) error {
	return wrap(v.db.gorm.WithContext(ctx).Exec(`UPDATE writeback_intents SET finalize_attempt = finalize_attempt + 1, updated_at = ? WHERE id = ?`, at, intentID).Error)
}

// SaveItems remembers which Stripe item each line became.
func (v *Invoicing) SaveItems(ctx context.Context, intentID, invoiceID string, items []invoicing.StripeItem, at time.Time) error {
	err := v.db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		res := tx.Exec(`UPDATE writeback_intents SET state = 'verified', verified_at = ?, updated_at = ? WHERE id = ? AND invoice_id = ? AND state IN ('pinned', 'verified')`,
			at, at, intentID, invoiceID)
		if res.Error == nil && res.RowsAffected == 0 {
			return invoicing.MovedOn(intentID)
		}
		if res.Error != nil {
			return res.Error
		}
		for _, it := range items {
			err := tx.Exec(`INSERT INTO writeback_lines (intent_id, line, stripe_id, amount_minor) VALUES (?, ?, ?, ?)
				ON CONFLICT (intent_id, line) DO UPDATE SET stripe_id = excluded.stripe_id, amount_minor = excluded.amount_minor`,
				intentID, it.Metadata["lb_line"], it.ID, it.AmountMinor).Error
			if err != nil {
				return err
			}
		}
		return nil
	})
	return wrap(err)
}

// SaveInvoice stores Stripe's figures of the pinned invoice. The total is kept
// without tax: tax is Stripe's and never part of what was measured.
func (v *Invoicing) SaveInvoice(ctx context.Context, intentID string, state billing.IntentState, inv invoicing.StripeInvoice, at time.Time) error {
	total := inv.TotalMinor
	if inv.TotalExcludingTaxMinor != nil {
		total = *inv.TotalExcludingTaxMinor
	}
	res := v.db.gorm.WithContext(ctx).Exec(`
		UPDATE writeback_intents SET number = ?, hosted_url = ?, pdf_url = ?, stripe_status = ?, stripe_total = ?, finalized_at = ?, updated_at = ?,
			state = CASE WHEN state = 'released' THEN state ELSE ? END
		WHERE id = ? AND invoice_id = ? AND state NOT IN ('needs_human', 'superseded')`,
		inv.Number, inv.HostedURL, inv.PDFURL, inv.Status, total, inv.FinalizedAt, at, string(state), intentID, inv.ID)
	if res.Error == nil && res.RowsAffected == 0 {
		return fault.New(fault.Conflict, "not_pinned", "invoice %s is not the pinned one", inv.ID)
	}
	return wrap(res.Error)
}

// SaveTieOut stores what a cycle was compared in.
func (v *Invoicing) SaveTieOut(ctx context.Context, cycleID string, t billing.TieOut, at time.Time) error {
	return wrap(saveTieOut(v.db.gorm.WithContext(ctx), cycleID, t, at))
}

func saveTieOut(tx *gorm.DB, cycleID string, t billing.TieOut, at time.Time) error {
	checks, err := json.Marshal(t.Checks)
	if err != nil {
		return err
	}
	return tx.Exec(`INSERT INTO cycle_tieouts (cycle_id, environment, kind, checks, breaks, at)
		SELECT id, environment, ?, ?::jsonb, ?, ? FROM cycles WHERE id = ?
		ON CONFLICT (cycle_id) DO UPDATE SET kind = excluded.kind, checks = excluded.checks, breaks = excluded.breaks, at = excluded.at`,
		string(t.Kind), string(checks), t.Breaks(), at, cycleID).Error
}

// Escalate stops the automatic path.
func (v *Invoicing) Escalate(ctx context.Context, cycleID, seen, reason string, at time.Time) error {
	err := v.db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		res := tx.Exec(`UPDATE writeback_intents SET state = 'needs_human', updated_at = ? WHERE cycle_id = ? AND state <> 'superseded' AND coalesce(invoice_id, '') = ?`,
			at, cycleID, seen)
		if res.Error != nil {
			return res.Error
		}
		if res.RowsAffected == 0 {
			var counts int64
			if err := tx.Raw(`SELECT count(*) FROM writeback_intents WHERE cycle_id = ? AND state <> 'superseded'`, cycleID).Scan(&counts).Error; err != nil {
				return err
			}
			if counts > 0 || seen != "" {
				return invoicing.MovedOn(cycleID)
			}
		}
		return tx.Exec(`UPDATE cycles SET state = 'needs_human', reason = ?, updated_at = ? WHERE id = ? AND state IN ('proposed', 'writing', 'blocked', 'returned', 'collecting')`, reason, at, cycleID).Error
	})
	return wrap(err)
}

// Move sets the cycle's state under its row lock.
func (v *Invoicing) Move(ctx context.Context, cycleID string, to billing.CycleState, reason string, at time.Time) error {
	err := v.db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		return moveCycle(ctx, tx, cycleID, to, reason, at)
	})
	return wrap(err)
}

func moveCycle(ctx context.Context, tx *gorm.DB, cycleID string, to billing.CycleState, reason string, at time.Time) error {
	var r cycleRow
	if err := tx.WithContext(ctx).Raw("SELECT * FROM cycles WHERE id = ? FOR UPDATE", cycleID).Scan(&r).Error; err != nil {
		return err
	}
	if err := billing.CycleState(r.State).Move(to); err != nil {
		return err
	}
	return tx.WithContext(ctx).Exec(`UPDATE cycles SET state = ?, reason = ?, updated_at = ? WHERE id = ?`, string(to), reason, at, cycleID).Error
}

// LogCalls appends the answered requests of a step.
func (v *Invoicing) LogCalls(ctx context.Context, intentID string, calls []invoicing.Call, at time.Time) error {
	for _, c := range calls {
		err := v.db.gorm.WithContext(ctx).Exec(`INSERT INTO writeback_attempts (intent_id, at, operation, outcome, request_id) VALUES (?, ?, ?, ?, ?)`,
			intentID, at, c.Operation, c.Outcome, c.RequestID).Error
		if err != nil {
			return wrap(err)
		}
	}
	return nil
}

var _ invoicing.Ledger = (*Invoicing)(nil)
