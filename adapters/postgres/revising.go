package postgres

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/domain/billing"
)

// supersedeAll puts the intent of a cycle that counts out of force.
func supersedeAll(tx *gorm.DB, cycleID string, at time.Time) error {
	var ids []string
	if err := tx.Raw(`SELECT id FROM writeback_intents WHERE cycle_id = ? AND state <> 'superseded' FOR UPDATE`, cycleID).Scan(&ids).Error; err != nil {
		return err
	}
	for _, id := range ids {
		if err := supersede(tx, id, at); err != nil {
			return err
		}
	}
	return nil
}

// revisable adds what decides whether the cycle can be taken back. The intent is locked, so
// that no worker claims or finalizes it while a person decides.
func (d desk) revisable(ctx context.Context, s *invoicing.Standing) error {
	tx := d.tx.WithContext(ctx)
	var intents []struct {
		State                              string
		FinalizedAt, RetiredAt, VerifiedAt *time.Time
	}
	err := tx.Raw(`SELECT state, finalized_at, retired_at, verified_at FROM writeback_intents WHERE cycle_id = ? FOR UPDATE`, s.CycleID).Scan(&intents).Error
	if err != nil {
		return err
	}
	for _, i := range intents {
		state := billing.IntentState(i.State)
		if state == billing.IntentSuperseded {
			s.Leftover = s.Leftover || i.RetiredAt == nil
		} else {
			s.Intent = true
		}
		s.Final = s.Final || i.FinalizedAt != nil || state == billing.IntentFinalized || state == billing.IntentReleased
		if i.State == string(billing.IntentVerified) && i.VerifiedAt != nil {
			s.ClaimedAt = i.VerifiedAt.UTC()
		}
	}
	var later struct{ ID string }
	err = tx.Raw(`SELECT id FROM cycles WHERE account_id = ? AND period > ? AND watermark IS NOT NULL ORDER BY period LIMIT 1 FOR UPDATE`, s.AccountID, s.Period).Scan(&later).Error
	s.Later, s.Settled = later.ID, isSettlement(later.ID[min(len(later.ID), len(s.AccountID)+1):])
	return err
}

// keepRevision writes down where the cycle's present revision stands, and lets the facts go
// that nothing else attributed.
func (d desk) keepRevision(ctx context.Context, in invoicing.CycleDecision) error {
	tx := d.tx.WithContext(ctx)
	err := tx.Exec(`INSERT INTO cycle_revisions (cycle_id, environment, revision, decision_id, reason, actor, at, previous_state, previous_reason, previous_watermark,
			previous_source_watermark, previous_input_digest, previous_paid_minor, previous_stripe_net_minor)
		SELECT id, environment, revision + 1, ?, ?, ?, ?, state, reason, watermark, source_watermark, input_digest, paid_minor, stripe_net_minor FROM cycles WHERE id = ?`,
		in.ID, in.Reason, in.Actor.Label(), in.At, in.CycleID).Error
	if err != nil {
		return err
	}
	err = tx.Exec(`INSERT INTO superseded_fact_links (connection_id, fact_key, user_id, link_id, source, cycle_id, revision)
		SELECT l.connection_id, l.fact_key, l.user_id, l.link_id, l.source, l.cycle_id, c.revision FROM fact_links l JOIN cycles c ON c.id = l.cycle_id WHERE c.id = ?`, in.CycleID).Error
	if err != nil {
		return err
	}
	return tx.Exec(`DELETE FROM fact_links WHERE cycle_id = ?`, in.CycleID).Error
}

// nextRevision begins the cycle anew.
func (d desk) nextRevision(ctx context.Context, in invoicing.CycleDecision) error {
	tx := d.tx.WithContext(ctx)
	if err := moveCycle(ctx, tx, in.CycleID, billing.Collecting, "", in.At); err != nil {
		return err
	}
	if err := wait(tx, in.CycleID, in.At, time.Time{}); err != nil {
		return err
	}
	return tx.Exec(`UPDATE cycles SET revision = revision + 1, watermark = NULL, source_watermark = NULL, input_digest = '', paid_minor = NULL, stripe_net_minor = NULL WHERE id = ?`, in.CycleID).Error
}

// Stands is where a cycle stands.
func (v *Invoicing) Stands(ctx context.Context, cycleID string) (billing.CycleState, string, error) {
	var cy cycleRow
	if err := v.db.gorm.WithContext(ctx).Take(&cy, "id = ?", cycleID).Error; err != nil {
		return "", "", notFound(err, "cycle", cycleID)
	}
	return billing.CycleState(cy.State), cy.Reason, nil
}
