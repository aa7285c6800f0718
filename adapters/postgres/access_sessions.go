package postgres

import (
	"context"
	"encoding/hex"
	"time"

	"gorm.io/gorm"

	"github.com/liftbill/liftbill/app/access"
	domain "github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/fault"
)

type sessionRow struct {
	SecretHash []byte `gorm:"primaryKey"`
	UserID     string
	CreatedAt  time.Time
	SeenAt     time.Time
	ExpiresAt  time.Time
	ByLink     bool
	Client     string
}

func (sessionRow) TableName() string { return "sessions" }

func (r sessionRow) domain() domain.Session {
	return domain.Session{UserID: r.UserID, CreatedAt: r.CreatedAt.UTC(), SeenAt: r.SeenAt.UTC(), ExpiresAt: r.ExpiresAt.UTC(), ByLink: r.ByLink, Client: r.Client}
}

type sessions struct{ tx *gorm.DB }

func (s sessions) Session(ctx context.Context, hash []byte) (domain.Session, domain.UserAccount, error) {
	var r sessionRow
	if err := s.tx.WithContext(ctx).Take(&r, "secret_hash = ?", hash).Error; err != nil {
		return domain.Session{}, domain.UserAccount{}, wrap(err)
	}
	u, err := users(s).User(ctx, r.UserID)
	return r.domain(), u, err
}

func (s sessions) TouchSession(ctx context.Context, hash []byte, at time.Time) error {
	return wrap(s.tx.WithContext(ctx).Exec("UPDATE sessions SET seen_at = ? WHERE secret_hash = ? AND seen_at < ?", at, hash, at).Error)
}

func (s sessions) InsertSession(ctx context.Context, hash []byte, n domain.Session) error {
	return wrap(s.tx.WithContext(ctx).Create(&sessionRow{
		SecretHash: hash, UserID: n.UserID, CreatedAt: n.CreatedAt, SeenAt: n.SeenAt, ExpiresAt: n.ExpiresAt, ByLink: n.ByLink, Client: n.Client,
	}).Error)
}

func (s sessions) EndSession(ctx context.Context, hash []byte) error {
	return wrap(s.tx.WithContext(ctx).Exec("DELETE FROM sessions WHERE secret_hash = ?", hash).Error)
}

func (s sessions) EndSessions(ctx context.Context, userID string) (int, error) {
	res := s.tx.WithContext(ctx).Exec("DELETE FROM sessions WHERE user_id = ?", userID)
	return int(res.RowsAffected), wrap(res.Error)
}

func (s sessions) SessionsOf(ctx context.Context, userID string) ([]domain.Session, error) {
	var rows []sessionRow
	if err := s.tx.WithContext(ctx).Omit("secret_hash").Order("created_at DESC").Find(&rows, "user_id = ?", userID).Error; err != nil {
		return nil, wrap(err)
	}
	out := make([]domain.Session, len(rows))
	for i, r := range rows {
		out[i] = r.domain()
	}
	return out, nil
}

func (s sessions) InsertLink(ctx context.Context, hash []byte, userID string, created, expires time.Time) error {
	return wrap(s.tx.WithContext(ctx).Exec("INSERT INTO sign_in_links (user_id, secret_hash, created_at, expires_at) VALUES (?, ?, ?, ?)", userID, hash, created, expires).Error)
}

// UseLink is one statement, so that of two who use a link at once one gets in.
func (s sessions) UseLink(ctx context.Context, hash []byte, at time.Time) (string, error) {
	var userID string
	err := s.tx.WithContext(ctx).Raw("UPDATE sign_in_links SET used_at = ? WHERE secret_hash = ? AND used_at IS NULL AND expires_at > ? RETURNING user_id", at, hash, at).Scan(&userID).Error
	if err == nil && userID == "" {
		return "", fault.New(fault.NotFound, "link_not_found", "there is no such sign-in link")
	}
	return userID, wrap(err)
}

func (s sessions) DropLinks(ctx context.Context, userID string) error {
	return wrap(s.tx.WithContext(ctx).Exec("DELETE FROM sign_in_links WHERE user_id = ? AND used_at IS NULL", userID).Error)
}

// Sweep removes sessions and links that have expired and attempts that are forgotten.
func (s sessions) Sweep(ctx context.Context, before time.Time) error {
	for _, q := range []struct {
		sql string
		at  time.Time
	}{
		{"DELETE FROM sessions WHERE expires_at < ?", before},
		{"DELETE FROM sign_in_links WHERE expires_at < ?", before},
		{"DELETE FROM sign_in_locks WHERE last_at < ?", before.Add(-domain.EmailLock.Forget)},
	} {
		if err := s.tx.WithContext(ctx).Exec(q.sql, q.at).Error; err != nil {
			return wrap(err)
		}
	}
	return nil
}

type locks struct{ tx *gorm.DB }

// Lock takes an advisory lock: a row that is deleted when all is forgotten is nothing to
// wait for.
func (s locks) Lock(ctx context.Context, key []byte) (domain.Lockout, error) {
	tx := s.tx.WithContext(ctx)
	if err := tx.Exec("SELECT pg_advisory_xact_lock(hashtextextended('sign-in ' || ?, 0))", hex.EncodeToString(key)).Error; err != nil {
		return domain.Lockout{}, wrap(err)
	}
	var r struct {
		Failures    int
		LastAt      time.Time
		LockedUntil *time.Time
	}
	err := tx.Raw("SELECT failures, last_at, locked_until FROM sign_in_locks WHERE key = ?", key).Scan(&r).Error
	return domain.Lockout{Failures: r.Failures, LastAt: r.LastAt.UTC(), Until: instant(r.LockedUntil)}, wrap(err)
}

func (s locks) SaveLock(ctx context.Context, key []byte, l domain.Lockout) error {
	if l.Failures == 0 {
		return wrap(s.tx.WithContext(ctx).Exec("DELETE FROM sign_in_locks WHERE key = ?", key).Error)
	}
	return wrap(s.tx.WithContext(ctx).Exec(`INSERT INTO sign_in_locks (failures, last_at, locked_until, key) VALUES (?, ?, ?, ?)
		ON CONFLICT (key) DO UPDATE SET failures = excluded.failures, last_at = excluded.last_at, locked_until = excluded.locked_until`,
		l.Failures, l.LastAt, moment(l.Until), key).Error)
}

var (
	_ access.Users       = users{}
	_ access.Tokens      = tokens{}
	_ access.Sessions    = sessions{}
	_ access.Locks       = locks{}
	_ access.Credentials = credentials{}
)
