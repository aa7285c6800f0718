package postgres

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

// intervene records a person's decision.
func intervene(tx *gorm.DB, env account.Environment, subject, action, before, after, who, reason string, at time.Time) error {
	return tx.Exec(`INSERT INTO interventions (at, who, environment, subject, action, before, after, reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		at, who, env.String(), subject, action, before, after, reason).Error
}

// Whose is the account that a cycle bills.
func (v *Invoicing) Whose(ctx context.Context, cycleID string) (string, account.Environment, error) {
	var cy cycleRow
	if err := v.db.gorm.WithContext(ctx).Take(&cy, "id = ?", cycleID).Error; err != nil {
		return "", "", notFound(err, "cycle", cycleID)
	}
	return cy.AccountID, account.Environment(cy.Environment), nil
}

// Resume takes a cycle out of needs_human in one transaction with the record of who
// decided it and why.
func (v *Invoicing) Resume(ctx context.Context, in invoicing.Resumption, note audit.Entry) (billing.CycleState, string, error) {
	state, reason, at := billing.Writing, "", note.At
	err := v.db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		var cy cycleRow
		if err := tx.Raw("SELECT * FROM cycles WHERE id = ? FOR UPDATE", in.CycleID).Scan(&cy).Error; err != nil {
			return err
		}
		switch {
		case cy.ID == "":
			return fault.New(fault.NotFound, "cycle_not_found", "there is no cycle %q", in.CycleID)
		case billing.CycleState(cy.State) != billing.NeedsHuman:
			return fault.New(fault.Conflict, "not_waiting", "cycle %s is %s and waits for nobody's decision", in.CycleID, cy.State)
		}
		readdressed, err := readdress(tx, in.CycleID, cy.AccountID, at)
		if err != nil {
			return err
		}
		action := "resume"
		var counts int64
		if err := tx.Raw(`SELECT count(*) FROM writeback_intents WHERE cycle_id = ? AND state <> 'superseded'`, in.CycleID).Scan(&counts).Error; err != nil {
			return err
		}
		switch {
		case counts == 0 && !readdressed: // it stopped while a draft that was taken back was deleted
			state, reason, err = backWhere(tx, in.CycleID)
		case readdressed:
			state, reason = billing.Blocked, billing.UnmetPayerChanged
		case in.Reissue:
			action = "reissue"
			err = reissue(tx, in.CycleID, at)
		default:
			err = tx.Exec(`UPDATE writeback_intents SET updated_at = ?, state = CASE WHEN invoice_id IS NULL THEN 'planned'
					WHEN finalized_at IS NOT NULL THEN 'finalized' ELSE 'pinned' END
				WHERE cycle_id = ? AND state = 'needs_human'`, at, in.CycleID).Error
		}
		if err != nil {
			return err
		}
		if err := intervene(tx, account.Environment(cy.Environment), "cycle "+in.CycleID, action, cy.Reason, string(state), note.Actor.Label(), in.Reason, at); err != nil {
			return err
		}
		if err := moveCycle(ctx, tx, in.CycleID, state, reason, at); err != nil {
			return err
		}
		return auditLog{tx}.Append(ctx, note.Changed(audit.Facts{"state": cy.State, "reason": cy.Reason}, audit.Facts{"state": string(state), "reason": reason, "how": action}))
	})
	return state, reason, wrap(err)
}

// backWhere is where a cycle without an intent goes back to: the last decision took its
// invoice back, to return it or to have the month computed again.
func backWhere(tx *gorm.DB, cycleID string) (billing.CycleState, string, error) {
	var last cycleDecisionRow
	err := tx.Raw(`SELECT * FROM cycle_decisions WHERE cycle_id = ? ORDER BY number DESC LIMIT 1`, cycleID).Scan(&last).Error
	if last.Action == string(billing.ActRecompute) {
		return billing.Collecting, "", err
	}
	return billing.Returned, invoicing.ReasonDraftVoided + ": " + last.Reason, err
}

// readdress supersedes the intent of a cycle whose account has another payer or issuer by now.
func readdress(tx *gorm.DB, cycleID, accountID string, at time.Time) (bool, error) {
	var id string
	err := tx.Raw(`SELECT w.id FROM writeback_intents w JOIN accounts a ON a.id = ? WHERE w.cycle_id = ? AND w.state <> 'superseded'
			AND (w.customer <> coalesce(a.payer_customer, '') OR w.issuer_connection <> coalesce(a.issuer_connection, ''))`,
		accountID, cycleID).Scan(&id).Error
	if err != nil || id == "" {
		return false, err
	}
	return true, supersede(tx, id, at)
}

// supersede puts an intent out of force. It keeps the plan that it had, with which what
// is left of it at Stripe is cleared away.
func supersede(tx *gorm.DB, intentID string, at time.Time) error {
	return tx.Exec(`UPDATE writeback_intents w SET state = 'superseded', superseded_plan = i.plan, updated_at = ?
		FROM invoices i WHERE i.cycle_id = w.cycle_id AND w.id = ?`, at, intentID).Error
}

func reissue(tx *gorm.DB, cycleID string, at time.Time) error {
	var r intentRow
	err := tx.Raw(`SELECT id, invoice_id FROM writeback_intents WHERE cycle_id = ? AND state = 'needs_human' FOR UPDATE`, cycleID).Scan(&r).Error
	if err != nil || r.ID == "" {
		return err
	}
	return giveUp(tx, r.ID, text(r.InvoiceID), at)
}
