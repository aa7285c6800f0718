package onboard

import (
	"context"
	"errors"
	"reflect"
	"strings"

	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/secret"
	"github.com/liftbill/liftbill/app/uow"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/fault"
)

// Service is the use case of setting accounts up.
type Service struct {
	Work      uow.UnitOfWork[Stores]
	Prober    Prober
	Registrar Registrar
	Locks     Locks
	Box       secret.Box
	Clock     clock.Clock
	// PublicURL is the address at which Stripe reaches our webhook endpoint.
	PublicURL string
}

// ConnectionInput is what an integrator enters for one Stripe account.
type ConnectionInput struct {
	ID             string
	Environment    string
	Roles          []string
	SecretKey      string
	PublishableKey string
	UserIDKey      string
}

// Connect stores a connection. Stripe confirms the key's mode by the first object that
// the key can read; an account without any is confirmed before the first write.
// The second result is false when the same connection was there before.
func (s *Service) Connect(ctx context.Context, by access.Principal, in ConnectionInput) (account.Connection, bool, error) {
	env, err := account.ParseEnvironment(in.Environment)
	if err != nil {
		return account.Connection{}, false, err
	}
	if err := access.Require(by, access.WriteSetup, "", env); err != nil {
		return account.Connection{}, false, err
	}
	roles, err := account.ParseRoles(in.Roles)
	if err != nil {
		return account.Connection{}, false, err
	}
	key, err := account.ParseSecretKey(in.SecretKey)
	if err != nil {
		return account.Connection{}, false, err
	}
	conn, err := account.NewConnection(in.ID, env, roles, key, in.PublishableKey, in.UserIDKey)
	if err != nil {
		return account.Connection{}, false, err
	}
	seen, err := s.Prober.Observe(ctx, key)
	if err != nil {
		return account.Connection{}, false, err
	}
	if seen.LivemodeSeen && account.EnvironmentOf(seen.Livemode) != env {
		return account.Connection{}, false, fault.InvalidField("secret_key", "key_mode_mismatch", "Stripe answers this key in %s mode, not in %s mode", account.EnvironmentOf(seen.Livemode), env).
			Fix("Paste a key of the %s mode of that Stripe account", env)
	}
	conn.StripeAccountID = seen.StripeAccountID
	sealed, err := s.Box.Seal(KeyContext(conn.ID), []byte(key.Reveal()))
	if err != nil {
		return account.Connection{}, false, err
	}
	created, err := s.insert(ctx, func(ctx context.Context, st Stores) (bool, error) {
		old, err := st.Connections.Connection(ctx, conn.ID)
		if fault.Is(err, fault.NotFound) {
			if err := st.Connections.InsertConnection(ctx, SealedConnection{Connection: conn, SealedKey: sealed, CreatedAt: s.Clock.Now()}); err != nil {
				return false, err
			}
			return true, st.Audit.Append(ctx, s.note(by, audit.ConnectionCreated, "connection", conn.ID).In("", env).Changed(nil, connectionFacts(conn)))
		}
		if err != nil {
			return false, err
		}
		kept, err := s.openKey(old)
		if err != nil {
			return false, err
		}
		if err := same("connection", conn.ID, kept.Reveal(), key.Reveal()); err != nil {
			return false, err
		}
		// Whether it runs is no part of what was entered.
		conn.Paused, conn.PausedReason, conn.PausedBy, conn.PausedAt = old.Paused, old.PausedReason, old.PausedBy, old.PausedAt
		return false, same("connection", conn.ID, old.Connection, conn)
	})
	return conn, created, err
}

// NoKey is the error of a connection whose key was deleted.
func NoKey(connectionID string) error {
	return fault.New(fault.Conflict, "connection_disconnected", "connection %s is disconnected: its key was deleted", connectionID).
		Fix("Give it a new key of the same Stripe account")
}

// KeyContext binds a sealed key to its connection.
func KeyContext(connectionID string) string { return "connection-key:" + connectionID }

// SecretContext binds a sealed webhook secret to its endpoint.
func SecretContext(endpointID string) string { return "webhook-secret:" + endpointID }

// SaltContext binds a sealed salt to its plan.
func SaltContext(planID string) string { return "plan-salt:" + planID }

// insert runs fn in a transaction. When somebody else stored the same row at the same
// moment it runs once more and finds that row, so that of two equal calls both succeed.
func (s *Service) insert(ctx context.Context, fn func(context.Context, Stores) (bool, error)) (bool, error) {
	created := false
	once := func() error {
		return s.Work.Do(ctx, func(ctx context.Context, st Stores) error {
			var err error
			created, err = fn(ctx, st)
			return err
		})
	}
	err := once()
	if fault.CodeOf(err) == "duplicate" {
		err = once()
	}
	return created && err == nil, err
}

// same turns a second, different object under one ID into a conflict.
func same[T any](what, id string, stored, given T) error {
	if reflect.DeepEqual(stored, given) {
		return nil
	}
	return fault.New(fault.Conflict, what+"_exists", "%s %s exists with other values", what, id).
		Fix("Use another ID; what is stored is never changed in place")
}

// AccountInput is what an integrator enters for one customer of the vendor.
type AccountInput struct {
	ID               string
	Environment      string
	Name             string
	SourceConnection string
	IssuerConnection string
	PayerCustomer    string
}

// CreateAccount stores an account with its connections and its payer, which must
// exist at the issuer. Issuer and payer may come later: the same account given again
// with them fills in what was empty, and changes nothing else.
func (s *Service) CreateAccount(ctx context.Context, by access.Principal, in AccountInput) (account.Account, bool, error) {
	env, err := account.ParseEnvironment(in.Environment)
	if err != nil {
		return account.Account{}, false, err
	}
	if err := access.Require(by, access.WriteSetup, "", env); err != nil {
		return account.Account{}, false, err
	}
	acc, err := account.New(in.ID, env, in.Name)
	if err != nil {
		return account.Account{}, false, err
	}
	acc.SourceConnection, acc.IssuerConnection, acc.PayerCustomer = in.SourceConnection, in.IssuerConnection, strings.TrimSpace(in.PayerCustomer)
	if err := s.checkWiring(ctx, acc); err != nil {
		return account.Account{}, false, err
	}
	created, err := s.insert(ctx, func(ctx context.Context, st Stores) (bool, error) {
		old, err := st.Accounts.Account(ctx, acc.ID)
		if fault.Is(err, fault.NotFound) {
			if err := freePayer(ctx, st, acc); err != nil {
				return false, err
			}
			if err := st.Accounts.InsertAccount(ctx, acc, s.Clock.Now()); err != nil {
				return false, err
			}
			return true, st.Audit.Append(ctx, s.note(by, audit.AccountCreated, "account", acc.ID).In(acc.ID, env).Changed(nil, accountFacts(acc)))
		}
		if err != nil {
			return false, err
		}
		if filled, ok := fill(old, acc); ok {
			if err := freePayer(ctx, st, acc); err != nil {
				return false, err
			}
			if err := st.Accounts.FillAccount(ctx, filled); err != nil {
				return false, err
			}
			return false, st.Audit.Append(ctx, s.note(by, audit.AccountFilled, "account", acc.ID).In(acc.ID, env).Changed(accountFacts(old), accountFacts(filled)))
		}
		return false, same("account", acc.ID, old, acc)
	})
	if fault.CodeOf(err) == "duplicate" { // the ID is free: it is the other unique column
		err = fault.New(fault.Conflict, "source_taken", "another account measures connection %s", acc.SourceConnection).On("source_connection").
			Fix("One Stripe account's revenue is measured for one account: give this one its own source connection")
	}
	return acc, created, err
}

// fill takes issuer and payer from given where stored has none; ok is false when there
// is nothing to fill in or anything else differs.
func fill(stored, given account.Account) (account.Account, bool) {
	filled := stored
	if filled.IssuerConnection == "" {
		filled.IssuerConnection = given.IssuerConnection
	}
	if filled.PayerCustomer == "" {
		filled.PayerCustomer = given.PayerCustomer
	}
	return filled, filled == given && filled != stored
}

func (s *Service) checkWiring(ctx context.Context, acc account.Account) error {
	source, err := s.connection(ctx, "source_connection", acc.SourceConnection, acc.Environment)
	if err != nil {
		return err
	}
	if !source.Roles.Source {
		return fault.InvalidField("source_connection", "role_missing", "connection %s does not hold the source role", source.ID)
	}
	if acc.IssuerConnection == "" {
		if acc.PayerCustomer != "" {
			return fault.InvalidField("payer_customer", "issuer_missing", "a payer needs an issuer connection")
		}
		return nil
	}
	issuer, err := s.connection(ctx, "issuer_connection", acc.IssuerConnection, acc.Environment)
	if err != nil {
		return err
	}
	if !issuer.Roles.Issuer {
		return fault.InvalidField("issuer_connection", "role_missing", "connection %s does not hold the issuer role", issuer.ID)
	}
	if acc.PayerCustomer == "" {
		return nil
	}
	key, err := s.openKey(issuer)
	if err != nil {
		return err
	}
	ok, err := s.Prober.CustomerExists(ctx, key, acc.PayerCustomer)
	if err == nil && !ok {
		err = fault.InvalidField("payer_customer", "payer_unknown", "customer %s does not exist at connection %s", acc.PayerCustomer, issuer.ID).
			Fix("Create the payer in that Stripe account and use its ID (cus_…)")
	}
	return err
}

func (s *Service) connection(ctx context.Context, field, id string, env account.Environment) (SealedConnection, error) {
	var conn SealedConnection
	err := s.Work.Do(ctx, func(ctx context.Context, st Stores) error {
		var err error
		conn, err = st.Connections.Connection(ctx, id)
		return err
	})
	var e *fault.Error
	if errors.As(err, &e) && e.Kind == fault.NotFound {
		return conn, fault.InvalidField(field, "connection_unknown", "there is no connection %q", id).Fix("Create it first: POST /v1/connections")
	}
	if err == nil && conn.Environment != env {
		return conn, fault.InvalidField(field, "environment_mismatch", "connection %s is %s, the account is %s", id, conn.Environment, env)
	}
	return conn, err
}

func (s *Service) openKey(c SealedConnection) (account.SecretKey, error) {
	if len(c.SealedKey) == 0 {
		return account.SecretKey{}, NoKey(c.ID)
	}
	text, err := s.Box.Open(KeyContext(c.ID), c.SealedKey)
	if err != nil {
		return account.SecretKey{}, err
	}
	return account.ParseSecretKey(string(text))
}
