package postgres

import (
	"context"
	"database/sql/driver"
	"fmt"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/liftbill/liftbill/app/access"
	domain "github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
)

// Access is the unit of work of app/access.
func (db *DB) Access() Work[access.Stores] {
	return Work[access.Stores]{db: db, make: func(tx *gorm.DB) access.Stores {
		return access.Stores{Users: users{tx}, Tokens: tokens{tx}, Sessions: sessions{tx}, Locks: locks{tx}, Audit: auditLog{tx}}
	}}
}

// Credentials answers every request without a transaction.
func (db *DB) Credentials() access.Credentials {
	return credentials{tokens{db.gorm}, sessions{db.gorm}}
}

type credentials struct {
	tokens
	sessions
}

// words is a text[] of identifiers, which need no quoting.
type words []string

// Value writes the array's literal.
func (w words) Value() (driver.Value, error) {
	for _, s := range w {
		if s == "" || strings.ContainsAny(s, `{},"\ `) {
			return nil, fmt.Errorf("%q is not an identifier", s)
		}
	}
	return "{" + strings.Join(w, ",") + "}", nil
}

// Scan reads the array's literal.
func (w *words) Scan(v any) error {
	s, ok := v.(string)
	if !ok || len(s) < 2 {
		return fmt.Errorf("a %T is not an array of texts", v)
	}
	*w = nil
	if s = s[1 : len(s)-1]; s != "" {
		*w = strings.Split(s, ",")
	}
	return nil
}

func wordsOf[T ~string](list []T) words {
	out := make(words, len(list))
	for i, v := range list {
		out[i] = string(v)
	}
	return out
}

func typed[T ~string](w words) []T {
	var out []T
	for _, v := range w {
		out = append(out, T(v))
	}
	return out
}

type userRow struct {
	ID           string `gorm:"primaryKey"`
	Email        string
	Name         string
	Roles        words
	AllAccounts  bool
	Accounts     words
	Environments words
	PasswordHash string
	OidcIssuer   string
	OidcSubject  string
	CreatedAt    time.Time
	DisabledAt   *time.Time
}

func (userRow) TableName() string { return "users" }

func (r userRow) domain() domain.UserAccount {
	return domain.UserAccount{
		ID: r.ID, Email: r.Email, Name: r.Name, Roles: typed[domain.Role](r.Roles), HasPassword: r.PasswordHash != "",
		Scope:  domain.Scope{AllAccounts: r.AllAccounts, Accounts: typed[string](r.Accounts), Environments: typed[account.Environment](r.Environments)},
		Issuer: r.OidcIssuer, Subject: r.OidcSubject, CreatedAt: r.CreatedAt.UTC(), DisabledAt: instant(r.DisabledAt),
	}
}

type users struct{ tx *gorm.DB }

func (s users) one(ctx context.Context, cond string, args ...any) (userRow, error) {
	var r userRow
	err := wrap(s.tx.WithContext(ctx).Where(cond, args...).Take(&r).Error)
	if fault.Is(err, fault.NotFound) {
		err = fault.New(fault.NotFound, "user_not_found", "there is no such user")
	}
	return r, err
}

func (s users) User(ctx context.Context, id string) (domain.UserAccount, error) {
	r, err := s.one(ctx, "id = ?", id)
	return r.domain(), err
}

func (s users) UserByEmail(ctx context.Context, email string) (domain.UserAccount, error) {
	r, err := s.one(ctx, "email = ?", email)
	return r.domain(), err
}

func (s users) UserByIdentity(ctx context.Context, issuer, subject string) (domain.UserAccount, error) {
	r, err := s.one(ctx, "oidc_issuer = ? AND oidc_subject = ? AND oidc_subject <> ''", issuer, subject)
	return r.domain(), err
}

func (s users) Users(ctx context.Context) ([]domain.UserAccount, error) {
	var rows []userRow
	if err := s.tx.WithContext(ctx).Order("created_at, id").Find(&rows).Error; err != nil {
		return nil, wrap(err)
	}
	out := make([]domain.UserAccount, len(rows))
	for i, r := range rows {
		out[i] = r.domain()
	}
	return out, nil
}

func (s users) InsertUser(ctx context.Context, u domain.UserAccount) error {
	return wrap(s.tx.WithContext(ctx).Create(&userRow{
		ID: u.ID, Email: u.Email, Name: u.Name, Roles: wordsOf(u.Roles), AllAccounts: u.Scope.AllAccounts, Accounts: wordsOf(u.Scope.Accounts),
		Environments: wordsOf(u.Scope.Environments), OidcIssuer: u.Issuer, OidcSubject: u.Subject, CreatedAt: u.CreatedAt, DisabledAt: moment(u.DisabledAt),
	}).Error)
}

func (s users) UpdateUser(ctx context.Context, u domain.UserAccount) error {
	return wrap(s.tx.WithContext(ctx).Exec(`UPDATE users SET name = ?, roles = ?, all_accounts = ?, accounts = ?, environments = ?,
		oidc_issuer = ?, oidc_subject = ?, disabled_at = ? WHERE id = ?`,
		u.Name, wordsOf(u.Roles), u.Scope.AllAccounts, wordsOf(u.Scope.Accounts), wordsOf(u.Scope.Environments), u.Issuer, u.Subject, moment(u.DisabledAt), u.ID).Error)
}

func (s users) PasswordHash(ctx context.Context, userID string) (string, error) {
	r, err := s.one(ctx, "id = ?", userID)
	return r.PasswordHash, err
}

func (s users) SetPasswordHash(ctx context.Context, userID, hash string) error {
	return wrap(s.tx.WithContext(ctx).Exec("UPDATE users SET password_hash = ? WHERE id = ?", hash, userID).Error)
}

// adminLock keeps two transactions from counting administrators at once.
const adminLock = 0x61646d6e // "admn"

func (s users) LockAdmins(ctx context.Context) error {
	return wrap(s.tx.WithContext(ctx).Exec("SELECT pg_advisory_xact_lock(?)", adminLock).Error)
}

func (s users) EnabledAdmins(ctx context.Context) (int, error) {
	var n int
	err := s.tx.WithContext(ctx).Raw("SELECT count(*) FROM users WHERE 'admin' = ANY (roles) AND disabled_at IS NULL").Scan(&n).Error
	return n, wrap(err)
}

type tokenRow struct {
	ID              string `gorm:"primaryKey"`
	Environment     string
	Name            string
	Roles           words
	Accounts        words
	SecretHash      []byte
	CreatedAt       time.Time
	CreatedByKind   string
	CreatedBy       string
	CreatedByName   string
	CreatedByPerson string
	ExpiresAt       *time.Time
	LastUsedAt      *time.Time
	RevokedAt       *time.Time
	ReplacedBy      *string
}

func (tokenRow) TableName() string { return "api_tokens" }

func (r tokenRow) domain() domain.APIToken {
	return domain.APIToken{
		ID: r.ID, Name: r.Name, Environment: account.Environment(r.Environment), Roles: typed[domain.Role](r.Roles), Accounts: typed[string](r.Accounts),
		CreatedAt: r.CreatedAt.UTC(), CreatedBy: domain.Actor{Kind: domain.Kind(r.CreatedByKind), ID: r.CreatedBy, Name: r.CreatedByName, Person: r.CreatedByPerson},
		ExpiresAt: instant(r.ExpiresAt), LastUsedAt: instant(r.LastUsedAt), RevokedAt: instant(r.RevokedAt), ReplacedBy: text(r.ReplacedBy),
	}
}

type tokens struct{ tx *gorm.DB }

func (s tokens) Token(ctx context.Context, id string) (access.StoredToken, error) {
	var r tokenRow
	if err := s.tx.WithContext(ctx).Take(&r, "id = ?", id).Error; err != nil {
		return access.StoredToken{}, notFound(err, "token", id)
	}
	return access.StoredToken{APIToken: r.domain(), SecretHash: r.SecretHash}, nil
}

func (s tokens) Tokens(ctx context.Context) ([]domain.APIToken, error) {
	var rows []tokenRow
	if err := s.tx.WithContext(ctx).Omit("secret_hash").Order("created_at, id").Find(&rows).Error; err != nil {
		return nil, wrap(err)
	}
	out := make([]domain.APIToken, len(rows))
	for i, r := range rows {
		out[i] = r.domain()
	}
	return out, nil
}

func (s tokens) InsertToken(ctx context.Context, t access.StoredToken) error {
	return wrap(s.tx.WithContext(ctx).Create(&tokenRow{
		ID: t.ID, Environment: t.Environment.String(), Name: t.Name, Roles: wordsOf(t.Roles), Accounts: wordsOf(t.Accounts), SecretHash: t.SecretHash,
		CreatedAt: t.CreatedAt, CreatedByKind: string(t.CreatedBy.Kind), CreatedBy: t.CreatedBy.ID, CreatedByName: t.CreatedBy.Name,
		CreatedByPerson: t.CreatedBy.Person, ExpiresAt: moment(t.ExpiresAt),
	}).Error)
}

func (s tokens) UpdateToken(ctx context.Context, t domain.APIToken) error {
	return wrap(s.tx.WithContext(ctx).Exec("UPDATE api_tokens SET expires_at = ?, revoked_at = ?, replaced_by = ? WHERE id = ?",
		moment(t.ExpiresAt), moment(t.RevokedAt), nullable(t.ReplacedBy), t.ID).Error)
}

func (s tokens) TouchToken(ctx context.Context, id string, at time.Time) error {
	return wrap(s.tx.WithContext(ctx).Exec("UPDATE api_tokens SET last_used_at = ? WHERE id = ? AND (last_used_at IS NULL OR last_used_at < ?)", at, id, at).Error)
}

func (s tokens) AccountIn(ctx context.Context, id, environment string) (bool, error) {
	var ok bool
	err := s.tx.WithContext(ctx).Raw("SELECT EXISTS (SELECT 1 FROM accounts WHERE id = ? AND environment = ?)", id, environment).Scan(&ok).Error
	return ok, wrap(err)
}

// AnyAdmin counts people, and tokens that could make people.
func (s credentials) AnyAdmin(ctx context.Context, now time.Time) (bool, error) {
	var ok bool
	err := s.tokens.tx.WithContext(ctx).Raw(`SELECT EXISTS (SELECT 1 FROM users WHERE 'admin' = ANY (roles) AND disabled_at IS NULL)
		OR EXISTS (SELECT 1 FROM api_tokens WHERE 'admin' = ANY (roles) AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?))`, now).Scan(&ok).Error
	return ok, wrap(err)
}
