package postgres

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/liftbill/liftbill/app/idempotency"
	"github.com/liftbill/liftbill/domain/fault"
)

// IdempotencyKeys stores the uses of idempotency keys.
func (db *DB) IdempotencyKeys() idempotency.Store { return idempotencyKeys{db} }

type idempotencyKeys struct{ db *DB }

type idempotencyRow struct {
	Principal, Key, Route, Lease     string
	LeaseUntil, CreatedAt, ExpiresAt time.Time
	BodySha256, Answer               []byte
}

// Take is one statement that inserts the row, or takes the place of one that has
// expired or was left behind. Otherwise it reads the one that is there, which may be
// gone by then: then it tries again.
func (s idempotencyKeys) Take(ctx context.Context, r idempotency.Row, now time.Time) (*idempotency.Row, error) {
	var existing *idempotency.Row
	const tries = 5
	for range tries {
		taken := false
		err := s.db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
			if err := tx.Exec("DELETE FROM idempotency_keys WHERE ctid = ANY (ARRAY(SELECT ctid FROM idempotency_keys WHERE expires_at < ? LIMIT 100 FOR UPDATE SKIP LOCKED))", now).Error; err != nil {
				return err
			}
			res := tx.Exec(`
				INSERT INTO idempotency_keys AS k (principal, key, route, lease, lease_until, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)
				ON CONFLICT (principal, key) DO UPDATE SET route = excluded.route, lease = excluded.lease, lease_until = excluded.lease_until,
					created_at = excluded.created_at, expires_at = excluded.expires_at, body_sha256 = NULL, answer = NULL
				WHERE k.expires_at < ? OR (k.answer IS NULL AND k.lease_until < ?)`,
				r.Principal, r.Key, r.Route, r.Attempt, r.LeaseUntil, r.CreatedAt, r.ExpiresAt, now, now)
			if taken = res.RowsAffected == 1; res.Error != nil || taken {
				return res.Error
			}
			var row idempotencyRow
			if err := tx.Raw("SELECT principal, key, route, lease, lease_until, created_at, expires_at, body_sha256, answer FROM idempotency_keys WHERE principal = ? AND key = ?", r.Principal, r.Key).Scan(&row).Error; err != nil || row.Key == "" {
				return err
			}
			existing = &idempotency.Row{
				Use: idempotency.Use{Principal: row.Principal, Key: row.Key, Route: row.Route}, Attempt: row.Lease, LeaseUntil: row.LeaseUntil.UTC(),
				BodySHA256: row.BodySha256, Answer: row.Answer, CreatedAt: row.CreatedAt.UTC(), ExpiresAt: row.ExpiresAt.UTC(),
			}
			return nil
		})
		if err != nil || taken || existing != nil {
			return existing, wrap(err)
		}
	}
	return nil, fault.New(fault.Unavailable, "idempotency_key_busy", "many requests use this key").Fix("Send it again in a moment")
}

// Answer completes a row that still belongs to the attempt.
func (s idempotencyKeys) Answer(ctx context.Context, r idempotency.Row) error {
	return wrap(s.db.gorm.WithContext(ctx).Exec("UPDATE idempotency_keys SET body_sha256 = ?, answer = ? WHERE principal = ? AND key = ? AND lease = ? AND answer IS NULL",
		r.BodySHA256, r.Answer, r.Principal, r.Key, r.Attempt).Error)
}

// Release removes a row that still belongs to the attempt.
func (s idempotencyKeys) Release(ctx context.Context, u idempotency.Use, attempt string) error {
	return wrap(s.db.gorm.WithContext(ctx).Exec("DELETE FROM idempotency_keys WHERE principal = ? AND key = ? AND lease = ? AND answer IS NULL", u.Principal, u.Key, attempt).Error)
}
