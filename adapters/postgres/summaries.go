package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/gorm"
)

// SummarizeEvents gives the ranges of stored events and facts that filled up since the last
// time their Bloom filters, partition by partition. A range without one is read by every
// look-up. A partition that is being vacuumed is left for the next time: whoever waits for
// longer has the vacuum cancelled.
func (db *DB) SummarizeEvents(ctx context.Context) error {
	var indexes []string
	err := db.gorm.WithContext(ctx).Raw(`SELECT i.inhrelid::regclass::text FROM pg_inherits i WHERE i.inhparent IN ('stripe_events_found'::regclass, 'reward_events_found'::regclass)`).Scan(&indexes).Error
	if err != nil {
		return wrap(err)
	}
	for _, index := range indexes {
		err := db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
			if err := tx.Exec(`SET LOCAL lock_timeout = '300ms'`).Error; err != nil {
				return err
			}
			return tx.Exec(`SELECT brin_summarize_new_values(?::regclass)`, index).Error
		})
		var pg *pgconn.PgError
		const lockNotAvailable, undefinedTable = "55P03", "42P01"
		if err != nil && (!errors.As(err, &pg) || pg.Code != lockNotAvailable && pg.Code != undefinedTable) { // or the month was written anew meanwhile
			return wrap(err)
		}
	}
	return nil
}
