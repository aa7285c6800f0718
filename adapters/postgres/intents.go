package postgres

import (
	"context"
	"encoding/json"
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
	Number                                      string
	StripeTotal                                 *int64
}

// Intent loads the intent of a cycle with its plan, whose hash must still hold.
func (v *Invoicing) Intent(ctx context.Context, cycleID string) (invoicing.StoredIntent, error) {
	var r intentRow
	err := v.db.gorm.WithContext(ctx).Raw(`
		SELECT w.id, w.cycle_id, w.environment, w.state, w.plan_hash, i.plan, w.generation, w.finalize_attempt, w.indeterminate, w.invoice_id, w.number, w.stripe_total
		FROM writeback_intents w JOIN invoices i ON i.cycle_id = w.cycle_id WHERE w.cycle_id = ?`, cycleID).Scan(&r).Error
	if err != nil {
		return invoicing.StoredIntent{}, wrap(err)
	}
	if r.ID == "" {
		return invoicing.StoredIntent{}, fault.New(fault.NotFound, "intent_not_found", "cycle %s has no write-back intent", cycleID)
	}
	out := invoicing.StoredIntent{
		ID: r.ID, Environment: account.Environment(r.Environment), Indeterminate: r.Indeterminate, Number: r.Number, StripeTotal: r.StripeTotal,
		Intent: billing.Intent{PlanHash: r.PlanHash, State: billing.IntentState(r.State), Generation: r.Generation, FinalizeN: r.FinalizeAttempt, InvoiceID: text(r.InvoiceID)},
	}
	if err := json.Unmarshal([]byte(r.Plan), &out.Plan); err != nil {
		return out, fault.Wrap(err, fault.Internal, "plan_unreadable", "the invoice plan of cycle %s cannot be read", cycleID)
	}
	if out.Plan.Hash() != r.PlanHash || out.Plan.Key.ID() != r.ID {
		return out, fault.New(fault.Conflict, "plan_changed", "the invoice plan of cycle %s does not have its hash any more", cycleID)
	}
	return out, nil
}

// Pin is a compare-and-set from NULL: one invoice ID for ever, or a Conflict.
func (v *Invoicing) Pin(ctx context.Context, intentID, invoiceID string, at time.Time) error {
	res := v.db.gorm.WithContext(ctx).Exec(`
		UPDATE writeback_intents SET invoice_id = ?, state = CASE WHEN state = 'planned' THEN 'pinned' ELSE state END, indeterminate = 0, updated_at = ?
		WHERE id = ? AND (invoice_id IS NULL OR invoice_id = ?)`, invoiceID, at, intentID, invoiceID)
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
		if err := tx.Raw(`SELECT id, state, invoice_id FROM writeback_intents WHERE id = ? FOR UPDATE`, intentID).Scan(&r).Error; err != nil {
			return err
		}
		switch billing.IntentState(r.State) {
		case billing.IntentPlanned, billing.IntentPinned, billing.IntentVerified:
		default:
			return fault.New(fault.Conflict, "already_final", "intent %s is %s and keeps its invoice", intentID, r.State)
		}
		if text(r.InvoiceID) != invoiceID {
			return nil
		}
		if err := tx.Exec(`UPDATE writeback_intents SET invoice_id = NULL, state = 'planned', generation = generation + 1, indeterminate = 0, finalize_attempt = 0, updated_at = ?
			WHERE id = ?`, at, intentID).Error; err != nil {
			return err
		}
		return tx.Exec(`DELETE FROM writeback_lines WHERE intent_id = ?`, intentID).Error
	})
	return wrap(err)
}

// CountIndeterminate counts lost creates of the present generation.
func (v *Invoicing) CountIndeterminate(ctx context.Context, intentID string, at time.Time) (int, error) {
	var n int
	err := v.db.gorm.WithContext(ctx).Raw(`UPDATE writeback_intents SET indeterminate = indeterminate + 1, updated_at = ? WHERE id = ? RETURNING indeterminate`, at, intentID).Scan(&n).Error
	return n, wrap(err)
}

// NextFinalize moves to a fresh finalize key.
func (v *Invoicing) NextFinalize(ctx context.Context, intentID string, at time.Time) error {
	return wrap(v.db.gorm.WithContext(ctx).Exec(`UPDATE writeback_intents SET finalize_attempt = finalize_attempt + 1, updated_at = ? WHERE id = ?`, at, intentID).Error)
}

// SaveItems remembers which Stripe item each line became.
func (v *Invoicing) SaveItems(ctx context.Context, intentID string, items []invoicing.StripeItem, at time.Time) error {
	err := v.db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		for _, it := range items {
			err := tx.Exec(`INSERT INTO writeback_lines (intent_id, line, stripe_id, amount_minor) VALUES (?, ?, ?, ?)
				ON CONFLICT (intent_id, line) DO UPDATE SET stripe_id = excluded.stripe_id, amount_minor = excluded.amount_minor`,
				intentID, it.Metadata["lb_line"], it.ID, it.AmountMinor).Error
			if err != nil {
				return err
			}
		}
		return tx.Exec(`UPDATE writeback_intents SET state = 'verified', updated_at = ? WHERE id = ? AND state IN ('pinned', 'verified')`, at, intentID).Error
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
		WHERE id = ? AND invoice_id = ? AND state <> 'needs_human'`,
		inv.Number, inv.HostedURL, inv.PDFURL, inv.Status, total, inv.FinalizedAt, at, string(state), intentID, inv.ID)
	if res.Error == nil && res.RowsAffected == 0 {
		return fault.New(fault.Conflict, "not_pinned", "invoice %s is not the pinned one", inv.ID)
	}
	return wrap(res.Error)
}

// Escalate stops the automatic path.
func (v *Invoicing) Escalate(ctx context.Context, cycleID, reason string, at time.Time) error {
	err := v.db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := tx.Exec(`UPDATE writeback_intents SET state = 'needs_human', updated_at = ? WHERE cycle_id = ?`, at, cycleID).Error; err != nil {
			return err
		}
		return tx.Exec(`UPDATE cycles SET state = 'needs_human', reason = ?, updated_at = ? WHERE id = ? AND state IN ('proposed', 'writing', 'blocked')`, reason, at, cycleID).Error
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
