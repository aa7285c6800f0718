package httpapi

import (
	"context"
	"slices"
	"strings"

	"github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/period"
)

// ListConnections lists connections by ID.
func (s *Server) ListConnections(ctx context.Context, r ListConnectionsRequestObject) (ListConnectionsResponseObject, error) {
	all, err := s.Connections.Connections(ctx, access.From(ctx).Scope)
	if err != nil {
		return nil, err
	}
	all = slices.SortedFunc(slices.Values(all), func(a, b account.Connection) int { return strings.Compare(a.ID, b.ID) })
	rows, next, err := pageOf(all, func(c account.Connection) string { return c.ID }, r.Params.Cursor, r.Params.Limit)
	if err != nil {
		return nil, err
	}
	return ListConnections200JSONResponse{Items: convertAll(rows, toConnection), NextCursor: next}, nil
}

// CreateConnection connects a Stripe account.
func (s *Server) CreateConnection(ctx context.Context, r CreateConnectionRequestObject) (CreateConnectionResponseObject, error) {
	conn, created, err := s.Onboard.Connect(ctx, access.From(ctx).Principal, onboard.ConnectionInput{
		ID: r.Body.ID, Environment: string(r.Body.Environment), Roles: r.Body.Roles,
		SecretKey: r.Body.SecretKey, PublishableKey: r.Body.PublishableKey, UserIDKey: r.Body.UserIDKey,
	})
	switch {
	case err != nil:
		return nil, err
	case created:
		return CreateConnection201JSONResponse(toConnection(conn)), nil
	}
	return CreateConnection200JSONResponse(toConnection(conn)), nil
}

// RegisterWebhookEndpoint lets Stripe deliver a connection's events.
func (s *Server) RegisterWebhookEndpoint(ctx context.Context, r RegisterWebhookEndpointRequestObject) (RegisterWebhookEndpointResponseObject, error) {
	e, created, err := s.Onboard.RegisterWebhook(ctx, access.From(ctx).Principal, r.ID)
	if err != nil {
		return nil, err
	}
	out := toEndpoint(e)
	if created {
		return RegisterWebhookEndpoint201JSONResponse(out), nil
	}
	return RegisterWebhookEndpoint200JSONResponse(out), nil
}

// ListAccounts lists accounts by ID.
func (s *Server) ListAccounts(ctx context.Context, r ListAccountsRequestObject) (ListAccountsResponseObject, error) {
	page, err := s.Reconcile.AccountList(ctx, reconcile.AccountsFilter{
		Scope: access.From(ctx).Scope, Environment: r.Params.Environment, Search: r.Params.Q, Sort: string(r.Params.Sort), Cursor: r.Params.Cursor, Limit: r.Params.Limit,
	})
	if err != nil {
		return nil, err
	}
	return ListAccounts200JSONResponse{Items: convertAll(page.Items, toOverview), NextCursor: page.NextCursor}, nil
}

// GetAccount reads one account and counts its rows.
func (s *Server) GetAccount(ctx context.Context, r GetAccountRequestObject) (GetAccountResponseObject, error) {
	a, err := s.Reconcile.Account(ctx, access.From(ctx).Scope, r.Account)
	if err != nil {
		return nil, err
	}
	return GetAccount200JSONResponse{Account: toOverview(a.Overview), Decisions: a.Decisions, StripeEvents: a.StripeEvents}, nil
}

// CreateAccount creates an account with its wiring.
func (s *Server) CreateAccount(ctx context.Context, r CreateAccountRequestObject) (CreateAccountResponseObject, error) {
	a, created, err := s.Onboard.CreateAccount(ctx, access.From(ctx).Principal, onboard.AccountInput{
		ID: r.Body.ID, Environment: string(r.Body.Environment), Name: r.Body.Name,
		SourceConnection: r.Body.SourceConnection, IssuerConnection: r.Body.IssuerConnection, PayerCustomer: r.Body.PayerCustomer,
	})
	if err != nil {
		return nil, err
	}
	out := Account{
		ID: a.ID, Environment: Environment(a.Environment), Name: a.Name,
		SourceConnection: a.SourceConnection, IssuerConnection: a.IssuerConnection, PayerCustomer: a.PayerCustomer,
	}
	if created {
		return CreateAccount201JSONResponse(out), nil
	}
	return CreateAccount200JSONResponse(out), nil
}

// CreateContract agrees on the terms of an account.
func (s *Server) CreateContract(ctx context.Context, r CreateContractRequestObject) (CreateContractResponseObject, error) {
	c, created, err := s.Onboard.CreateContract(ctx, access.From(ctx).Principal, r.Account, r.Body.ID, termsOf(*r.Body))
	if err != nil {
		return nil, err
	}
	out, err := toContract(c)
	switch {
	case err != nil:
		return nil, err
	case created:
		return CreateContract201JSONResponse(out), nil
	}
	return CreateContract200JSONResponse(out), nil
}

// ListContractVersions lists the versions of an account's contract.
func (s *Server) ListContractVersions(ctx context.Context, r ListContractVersionsRequestObject) (ListContractVersionsResponseObject, error) {
	all, err := s.Onboard.ContractVersions(ctx, r.Account)
	if err != nil {
		return nil, err
	}
	items, err := toVersions(all)
	return ListContractVersions200JSONResponse{Items: items}, err
}

// AmendContract agrees on a new version.
func (s *Server) AmendContract(ctx context.Context, r AmendContractRequestObject) (AmendContractResponseObject, error) {
	terms, err := amendmentOf(*r.Body)
	if err != nil {
		return nil, err
	}
	c, created, err := s.Onboard.AmendContract(ctx, access.From(ctx).Principal, r.Account, r.Body.ID, terms)
	if err != nil {
		return nil, err
	}
	out, err := toContract(c)
	switch {
	case err != nil:
		return nil, err
	case created:
		return AmendContract201JSONResponse(out), nil
	}
	return AmendContract200JSONResponse(out), nil
}

// EffectiveContract is the version that holds in a month.
func (s *Server) EffectiveContract(ctx context.Context, r EffectiveContractRequestObject) (EffectiveContractResponseObject, error) {
	m, err := period.Parse(r.Params.Period)
	if err != nil {
		return nil, err
	}
	all, err := s.Onboard.ContractVersions(ctx, r.Account)
	if err != nil {
		return nil, err
	}
	c, err := all.At(m)
	if err != nil {
		return nil, err
	}
	shown, err := toVersions(all)
	if err != nil {
		return nil, err
	}
	return EffectiveContract200JSONResponse(shown[c.Version-1]), nil
}

// SealPlan seals a measurement plan.
func (s *Server) SealPlan(ctx context.Context, r SealPlanRequestObject) (SealPlanResponseObject, error) {
	plan, err := planOf(*r.Body)
	if err != nil {
		return nil, err
	}
	p, created, err := s.Onboard.SealPlan(ctx, access.From(ctx).Principal, r.Account, onboard.PlanInput{ID: r.Body.ID, Plan: plan, SaltHex: r.Body.Salt})
	if err != nil {
		return nil, err
	}
	out, err := toPlan(p)
	switch {
	case err != nil:
		return nil, err
	case created:
		return SealPlan201JSONResponse(out), nil
	}
	return SealPlan200JSONResponse(out), nil
}

// ShipSnapshot records a shipped policy snapshot.
func (s *Server) ShipSnapshot(ctx context.Context, r ShipSnapshotRequestObject) (ShipSnapshotResponseObject, error) {
	n, created, err := s.Onboard.ShipSnapshot(ctx, access.From(ctx).Principal, r.Account, onboard.SnapshotInput{ID: r.Body.ID, Name: r.Body.Name, ShippedAt: r.Body.ShippedAt})
	if err != nil {
		return nil, err
	}
	out := Snapshot{ID: n.ID, AccountID: n.AccountID, Environment: Environment(n.Environment), Name: n.Name, ShippedAt: n.ShippedAt}
	if created {
		return ShipSnapshot201JSONResponse(out), nil
	}
	return ShipSnapshot200JSONResponse(out), nil
}
