package access

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/fault"
)

// TokenInput is a token to be made.
type TokenInput struct {
	Name        string
	Environment string
	Roles       []string
	// Accounts is empty for every account of the environment.
	Accounts []string
	// Life is how long it works; zero is access.TokenLife, Forever never ends.
	Life time.Duration
}

// Forever is the life of a token that does not expire.
const Forever time.Duration = -1

// CreateToken makes a token within the maker's own scope. Its text is returned this
// once; only its hash is stored.
func (s *Service) CreateToken(ctx context.Context, by access.Principal, in TokenInput) (access.APIToken, access.TokenText, error) {
	var none access.TokenText
	env, err := account.ParseEnvironment(in.Environment)
	if err != nil {
		return access.APIToken{}, none, err
	}
	roles, err := access.ParseRoles(in.Roles)
	if err != nil {
		return access.APIToken{}, none, err
	}
	scope, err := access.NewScope(in.Accounts, []string{in.Environment})
	if err != nil {
		return access.APIToken{}, none, err
	}
	name, err := access.CleanName(in.Name)
	if err != nil {
		return access.APIToken{}, none, err
	}
	if in.Life < 0 && in.Life != Forever {
		return access.APIToken{}, none, fault.InvalidField("expires_in_days", "expiry_range", "a token cannot expire before it is made")
	}
	now := s.Clock.Now()
	t := access.APIToken{Name: name, Environment: env, Roles: roles, Accounts: scope.Accounts, CreatedAt: now, CreatedBy: by.Actor()}
	if in.Life != Forever {
		t.ExpiresAt = now.Add(cmp.Or(in.Life, access.TokenLife))
	}
	if err := manages(by, t.Scope()); err != nil {
		return access.APIToken{}, none, err
	}
	var text access.TokenText
	err = s.Work.Do(ctx, func(ctx context.Context, st Stores) error {
		for _, id := range t.Accounts {
			ok, err := st.Tokens.AccountIn(ctx, id, env.String())
			if err != nil {
				return err
			}
			if !ok {
				return fault.InvalidField("accounts", "account_not_found", "there is no %s account %q", env, id)
			}
		}
		var err error
		if text, err = s.insertToken(ctx, st, &t); err != nil {
			return err
		}
		return st.Audit.Append(ctx, ofToken(audit.New(by, now, audit.TokenCreated, "token", t.ID), t).Changed(nil, tokenFacts(t)))
	})
	if err != nil {
		return access.APIToken{}, none, err
	}
	return t, text, nil
}

func (s *Service) insertToken(ctx context.Context, st Stores, t *access.APIToken) (access.TokenText, error) {
	text, err := access.NewToken(t.Environment, s.Entropy.Bytes(access.TokenBytes))
	if err != nil {
		return access.TokenText{}, err
	}
	t.ID = text.ID
	return text, st.Tokens.InsertToken(ctx, StoredToken{APIToken: *t, SecretHash: text.Hash()})
}

// manages refuses who may not manage tokens of a scope.
func manages(by access.Principal, scope access.Scope) error {
	if err := access.RequirePermission(by, access.ManageAccess); err != nil {
		return err
	}
	if !by.Scope.Contains(scope) {
		return fault.New(fault.Forbidden, access.CodeScope, "nobody gives more than they have: %s is more than %s", scope, by.Scope)
	}
	return nil
}

func ofToken(e audit.Entry, t access.APIToken) audit.Entry {
	if len(t.Accounts) == 1 {
		return e.In(t.Accounts[0], t.Environment)
	}
	return e.In("", t.Environment)
}

func tokenFacts(t access.APIToken) audit.Facts {
	f := audit.Facts{"name": t.Name, "roles": t.Roles.String(), "scope": t.Scope().String(), "expires_at": stamp(t.ExpiresAt)}
	if !t.RevokedAt.IsZero() {
		f["revoked_at"] = stamp(t.RevokedAt)
	}
	return f
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format(time.RFC3339)
}

// Tokens lists the tokens that lie within the caller's scope, newest first.
func (s *Service) Tokens(ctx context.Context, by access.Principal) ([]access.APIToken, error) {
	if err := access.RequirePermission(by, access.ManageAccess); err != nil {
		return nil, err
	}
	var out []access.APIToken
	err := s.Work.Do(ctx, func(ctx context.Context, st Stores) error {
		all, err := st.Tokens.Tokens(ctx)
		for _, t := range all {
			if by.Scope.Contains(t.Scope()) {
				out = append(out, t)
			}
		}
		return err
	})
	slices.SortStableFunc(out, func(a, b access.APIToken) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return out, err
}

// managed loads a token that the caller manages. One out of scope is not there.
func managed(ctx context.Context, st Stores, by access.Principal, id string) (access.APIToken, error) {
	stored, err := st.Tokens.Token(ctx, id)
	if err == nil && !by.Scope.Contains(stored.Scope()) || fault.Is(err, fault.NotFound) {
		err = fault.New(fault.NotFound, "token_not_found", "there is no token %q", id)
	}
	return stored.APIToken, err
}

// RevokeToken ends a token at once. One that was revoked before stays as it is.
func (s *Service) RevokeToken(ctx context.Context, by access.Principal, id string) (access.APIToken, error) {
	var t access.APIToken
	if err := access.RequirePermission(by, access.ManageAccess); err != nil {
		return t, err
	}
	err := s.Work.Do(ctx, func(ctx context.Context, st Stores) error {
		var err error
		if t, err = managed(ctx, st, by, id); err != nil || !t.RevokedAt.IsZero() {
			return err
		}
		before := tokenFacts(t)
		t.RevokedAt = s.Clock.Now()
		if err := st.Tokens.UpdateToken(ctx, t); err != nil {
			return err
		}
		return st.Audit.Append(ctx, ofToken(audit.New(by, t.RevokedAt, audit.TokenRevoked, "token", id), t).Changed(before, tokenFacts(t)))
	})
	return t, err
}

// RotateToken makes a token with the same name, roles, scope and life, and lets the
// old one work for access.RotationGrace beside it.
func (s *Service) RotateToken(ctx context.Context, by access.Principal, id string) (access.APIToken, access.TokenText, error) {
	var (
		next access.APIToken
		text access.TokenText
	)
	if err := access.RequirePermission(by, access.ManageAccess); err != nil {
		return next, text, err
	}
	now := s.Clock.Now()
	err := s.Work.Do(ctx, func(ctx context.Context, st Stores) error {
		old, err := managed(ctx, st, by, id)
		if err != nil {
			return err
		}
		if !old.Live(now) || old.ReplacedBy != "" {
			return fault.New(fault.Conflict, "token_not_live", "token %s has ended or was rotated before", id).Fix("Make a new one")
		}
		next = old
		next.CreatedAt, next.CreatedBy, next.LastUsedAt = now, by.Actor(), time.Time{}
		if !old.ExpiresAt.IsZero() {
			next.ExpiresAt = now.Add(old.ExpiresAt.Sub(old.CreatedAt))
		}
		if text, err = s.insertToken(ctx, st, &next); err != nil {
			return err
		}
		before := tokenFacts(old)
		if end := now.Add(access.RotationGrace); old.ExpiresAt.IsZero() || end.Before(old.ExpiresAt) {
			old.ExpiresAt = end
		}
		old.ReplacedBy = next.ID
		if err := st.Tokens.UpdateToken(ctx, old); err != nil {
			return err
		}
		after := tokenFacts(old)
		after["replaced_by"] = next.ID
		return st.Audit.Append(ctx, ofToken(audit.New(by, now, audit.TokenRotated, "token", id), old).Changed(before, after))
	})
	return next, text, err
}
