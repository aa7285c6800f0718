package postgres

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/liftbill/liftbill/app/measure"
	"github.com/liftbill/liftbill/domain/account"
)

// Subjects of freeze_marks.
func factsOf(connectionID string) string { return "c:" + connectionID }
func logOf(accountID string) string      { return "a:" + accountID }

// afterFreeze lets a transaction write inputs of the subjects, and gives the moment that it
// has to date them with: at, or later where their inputs were frozen by then. It is asked
// before anything is written.
func afterFreeze(ctx context.Context, tx *gorm.DB, at time.Time, subjects ...string) (time.Time, error) {
	if len(subjects) == 0 {
		return at, nil
	}
	var out time.Time
	err := tx.Statement.ConnPool.QueryRowContext(ctx, `SELECT after_freeze($1, $2)`, subjects, at).Scan(&out)
	return out.UTC(), wrap(err)
}

// Freeze draws the line between what a cycle measures and what comes later. Writers that
// are under way are waited for, and later ones date what they write behind the watermark,
// so that the rows up to it never change.
func (c *Cycles) Freeze(ctx context.Context, a account.Account, at time.Time) (time.Time, error) {
	var out time.Time
	err := c.db.gorm.WithContext(ctx).Raw(`SELECT freeze(ARRAY[?, ?], ?)`, factsOf(a.SourceConnection), logOf(a.ID), at.Truncate(time.Microsecond)).Row().Scan(&out)
	return out.UTC(), wrap(err)
}

var _ measure.Ledger = (*Cycles)(nil)
