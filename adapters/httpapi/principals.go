package httpapi

import (
	"context"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/audit"
	domain "github.com/liftbill/liftbill/domain/access"
	trail "github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/fault"
)

// GetMe says who the caller is.
func (s *Server) GetMe(ctx context.Context, _ GetMeRequestObject) (GetMeResponseObject, error) {
	p := access.From(ctx).Principal
	return GetMe200JSONResponse{
		Kind: string(p.Kind), ID: p.ID, Name: p.Name, Roles: p.Roles.Names(), Accounts: append([]string{}, p.Scope.Accounts...),
		Environments: p.Scope.EnvironmentNames(), Permissions: convertAll(p.Roles.Permissions(), func(v domain.Permission) string { return string(v) }),
	}, nil
}

// ListTokens lists the tokens of the caller's scope by ID.
func (s *Server) ListTokens(ctx context.Context, r ListTokensRequestObject) (ListTokensResponseObject, error) {
	all, err := s.Access.Tokens(ctx, access.From(ctx).Principal)
	if err != nil {
		return nil, err
	}
	key := func(t domain.APIToken) string { return t.ID }
	slices.SortFunc(all, func(a, b domain.APIToken) int { return strings.Compare(a.ID, b.ID) })
	rows, next, err := pageOf(all, key, r.Params.Cursor, r.Params.Limit)
	if err != nil {
		return nil, err
	}
	return ListTokens200JSONResponse{Items: convertAll(rows, toToken), NextCursor: next}, nil
}

// maxTokenDays bounds the life of a token that ends.
const maxTokenDays = 3650

// CreateToken makes a token.
func (s *Server) CreateToken(ctx context.Context, r CreateTokenRequestObject) (CreateTokenResponseObject, error) {
	in := access.TokenInput{Name: r.Body.Name, Environment: string(r.Body.Environment), Roles: r.Body.Roles, Accounts: r.Body.Accounts}
	if days := r.Body.ExpiresInDays; days != nil {
		switch {
		case *days < 0 || *days > maxTokenDays:
			return nil, fault.InvalidField("expires_in_days", "expiry_range", "a token works for 1 to %d days, or 0 for ever", maxTokenDays)
		case *days == 0:
			in.Life = access.Forever
		default:
			in.Life = time.Duration(*days) * 24 * time.Hour
		}
	}
	t, text, err := s.Access.CreateToken(ctx, access.From(ctx).Principal, in)
	if err != nil {
		return nil, err
	}
	return CreateToken201JSONResponse{Token: toToken(t), Secret: text.Reveal()}, nil
}

// RotateToken replaces a token.
func (s *Server) RotateToken(ctx context.Context, r RotateTokenRequestObject) (RotateTokenResponseObject, error) {
	t, text, err := s.Access.RotateToken(ctx, access.From(ctx).Principal, r.ID)
	if err != nil {
		return nil, err
	}
	return RotateToken201JSONResponse{Token: toToken(t), Secret: text.Reveal()}, nil
}

// RevokeToken ends a token.
func (s *Server) RevokeToken(ctx context.Context, r RevokeTokenRequestObject) (RevokeTokenResponseObject, error) {
	t, err := s.Access.RevokeToken(ctx, access.From(ctx).Principal, r.ID)
	if err != nil {
		return nil, err
	}
	return RevokeToken200JSONResponse(toToken(t)), nil
}

// ListUsers lists users by ID.
func (s *Server) ListUsers(ctx context.Context, r ListUsersRequestObject) (ListUsersResponseObject, error) {
	all, err := s.Access.Users(ctx, access.From(ctx).Principal)
	if err != nil {
		return nil, err
	}
	key := func(u domain.UserAccount) string { return u.ID }
	slices.SortFunc(all, func(a, b domain.UserAccount) int { return strings.Compare(a.ID, b.ID) })
	rows, next, err := pageOf(all, key, r.Params.Cursor, r.Params.Limit)
	if err != nil {
		return nil, err
	}
	return ListUsers200JSONResponse{Items: convertAll(rows, toUser), NextCursor: next}, nil
}

// ListAudit lists audit rows, newest first.
func (s *Server) ListAudit(ctx context.Context, r ListAuditRequestObject) (ListAuditResponseObject, error) {
	p := r.Params
	page, err := s.Audit.Entries(ctx, audit.Filter{
		Scope: access.From(ctx).Scope, ActorID: p.Actor, Action: p.Action, Object: p.Object, ObjectID: p.ObjectID, AccountID: p.Account,
		Environment: p.Environment, Outcome: p.Outcome, From: p.From, To: p.To, Sort: string(p.Sort), Cursor: p.Cursor, Limit: p.Limit,
	})
	if err != nil {
		return nil, err
	}
	return ListAudit200JSONResponse{Items: convertAll(page.Items, toAuditEntry), NextCursor: page.NextCursor}, nil
}

func toActor(a domain.Actor) Actor {
	return Actor{Kind: string(a.Kind), ID: a.ID, Name: a.Name, Person: a.Person}
}

func toToken(t domain.APIToken) Token {
	return Token{
		ID: t.ID, Name: t.Name, Environment: Environment(t.Environment), Roles: t.Roles.Names(), Accounts: append([]string{}, t.Accounts...),
		CreatedAt: t.CreatedAt, CreatedBy: toActor(t.CreatedBy), ExpiresAt: t.ExpiresAt, LastUsedAt: t.LastUsedAt, RevokedAt: t.RevokedAt, ReplacedBy: t.ReplacedBy,
	}
}

func toUser(u domain.UserAccount) User {
	return User{
		ID: u.ID, Email: u.Email, Name: u.Name, Roles: u.Roles.Names(), Accounts: append([]string{}, u.Scope.Accounts...),
		Environments: u.Scope.EnvironmentNames(), HasPassword: u.HasPassword, Disabled: !u.Enabled(), CreatedAt: u.CreatedAt,
	}
}

func toAuditEntry(r trail.Row) AuditEntry {
	return AuditEntry{
		Chain: string(r.Chain), Seq: r.Seq, At: r.At, Actor: toActor(r.Actor), Action: string(r.Action), Outcome: string(r.Outcome), Object: r.Object,
		ObjectID: r.ObjectID, AccountID: r.AccountID, Environment: string(r.Environment), RequestID: r.RequestID, Reason: r.Reason, Before: r.Before,
		After: r.After, Previous: hex.EncodeToString(r.Previous), Hash: hex.EncodeToString(r.Hash),
	}
}
