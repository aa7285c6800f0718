package postgres

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/liftbill/liftbill/domain/projection"
)

// BookSeen joins observations in one transaction, as the classifier does with a batch.
func (db *DB) BookSeen(ctx context.Context, connectionID string, at time.Time, seen ...projection.Observation) error {
	return wrap(db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		batch := seenObjects{}
		for _, o := range seen {
			batch.add(connectionID, o)
		}
		undecided, err := batch.book(ctx, tx.Statement.ConnPool, at)
		if err != nil {
			return err
		}
		return askReads(ctx, tx, undecided, at)
	}))
}
