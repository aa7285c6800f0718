package postgres

import (
	"context"
	"database/sql"

	"gorm.io/gorm"

	"github.com/liftbill/liftbill/app/whatif"
	"github.com/liftbill/liftbill/domain/lift"
)

// WhatIf implements whatif.Ledger. Its transactions are read-only: PostgreSQL itself
// refuses a write in them.
type WhatIf struct{ db *DB }

// NewWhatIf opens the read side of priced months.
func (db *DB) NewWhatIf() *WhatIf { return &WhatIf{db} }

var _ whatif.Ledger = (*WhatIf)(nil)

// Months loads every priced cycle of an account with its readouts in one snapshot of the
// database.
func (v *WhatIf) Months(ctx context.Context, accountID string) ([]whatif.Month, error) {
	var out []whatif.Month
	err := v.db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if _, err := (accounts{tx}).Account(ctx, accountID); err != nil {
			return err
		}
		var rows []struct {
			ID                      string
			TotalMinor, ShadowMinor int64
			WritingClosed           bool
		}
		err := tx.Raw(`SELECT c.id, i.total_minor, i.writing_closed, coalesce((SELECT -sum(x.amount_minor)::bigint FROM cycle_charges x WHERE x.cycle_id = c.id AND x.kind = 'shadow'), 0) AS shadow_minor
			FROM cycles c JOIN invoices i ON i.cycle_id = c.id WHERE c.account_id = ? ORDER BY c.period`, accountID).Scan(&rows).Error
		if err != nil {
			return err
		}
		for _, r := range rows {
			m, err := pricedMonth(ctx, tx, r.ID)
			if err != nil {
				return err
			}
			m.TotalMinor, m.ShadowMinor, m.WritingClosed = r.TotalMinor, r.ShadowMinor, r.WritingClosed
			out = append(out, m)
		}
		return nil
	}, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	return out, wrap(err)
}

func pricedMonth(ctx context.Context, tx *gorm.DB, cycleID string) (whatif.Month, error) {
	cy, err := loadCycle(ctx, tx, cycleID)
	if err != nil {
		return whatif.Month{}, err
	}
	m := whatif.Month{
		CycleID: cy.ID, Period: cy.Period, State: cy.State, Contract: cy.Contract, YearStart: cy.YearStart, Snapshots: cy.Plan.Plan().ErrorBudget.Snapshots,
	}
	if m.Readouts, err = storedReadouts(tx, cy.ID, cy.Plan); err != nil {
		return m, err
	}
	m.Outcomes, err = outcomes(tx, cy)
	return m, err
}

// storedReadouts restores a cycle's readouts from their manifests, which checks their
// case IDs and judges them again: a verdict that was edited in a table is refused.
func storedReadouts(tx *gorm.DB, cycleID string, plan lift.SealedPlan) ([]lift.Readout, error) {
	var rows []struct{ CaseID, Manifest string }
	if err := tx.Raw(`SELECT case_id, manifest FROM readouts WHERE cycle_id = ? ORDER BY snapshot_id`, cycleID).Scan(&rows).Error; err != nil {
		return nil, wrap(err)
	}
	var out []lift.Readout
	for _, row := range rows {
		r, err := lift.RestoreReadout([]byte(row.Manifest), row.CaseID, plan)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}
