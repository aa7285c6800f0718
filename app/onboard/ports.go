// Package onboard sets an account up: connections with proven keys, payer,
// contract, sealed measurement plan, policy snapshots and the webhook endpoint.
//
// Every call is idempotent by the caller's own identifiers: the same input again
// returns what is stored, other input under the same identifier is a conflict.
package onboard

import (
	"context"
	"time"

	"github.com/liftbill/liftbill/app/audit"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/lift"
)

// Prober asks Stripe about a key. It can read only.
type Prober interface {
	// Observe returns the Stripe account behind the key and the livemode of what it
	// can read. A key that Stripe refuses is a Forbidden error that names the remedy.
	Observe(ctx context.Context, key account.SecretKey) (account.Observation, error)
	// CustomerExists reports whether the customer exists and is not deleted.
	CustomerExists(ctx context.Context, key account.SecretKey, customerID string) (bool, error)
}

// RegisteredEndpoint is a webhook endpoint as Stripe made it.
type RegisteredEndpoint struct {
	StripeID string
	Secret   string
	Livemode bool
}

// Registrar creates and deletes webhook endpoints, in both environments, and can
// write nothing else.
type Registrar interface {
	// Register makes one endpoint for the connection that delivers the needed events
	// in the pinned API version. An earlier endpoint of the same connection and URL
	// whose secret is lost is deleted first.
	Register(ctx context.Context, key account.SecretKey, connectionID, url string) (RegisteredEndpoint, error)
}

// SealedConnection is a connection with its key as it is stored.
type SealedConnection struct {
	account.Connection
	SealedKey []byte
	CreatedAt time.Time
}

// Endpoint is a webhook endpoint of a connection, its secret sealed.
type Endpoint struct {
	ID             string
	ConnectionID   string
	Environment    account.Environment
	URL            string
	StripeID       string
	SealedSecret   []byte
	SealedPrevious []byte
	CreatedAt      time.Time
}

// Snapshot is one shipped, immutable version of a decision policy.
type Snapshot struct {
	ID          string
	AccountID   string
	Environment account.Environment
	Name        string
	ShippedAt   time.Time
}

// StoredPlan is a sealed measurement plan with its sealed salt.
type StoredPlan struct {
	ID          string
	AccountID   string
	Environment account.Environment
	Plan        lift.SealedPlan
	SealedSalt  []byte
}

// Accounts stores accounts.
type Accounts interface {
	Account(ctx context.Context, id string) (account.Account, error)
	InsertAccount(ctx context.Context, a account.Account, at time.Time) error
	// FillAccount sets issuer and payer where none was stored.
	FillAccount(ctx context.Context, a account.Account) error
}

// Connections stores connections and their webhook endpoints.
type Connections interface {
	Connection(ctx context.Context, id string) (SealedConnection, error)
	InsertConnection(ctx context.Context, c SealedConnection) error
	EndpointOf(ctx context.Context, connectionID string) (Endpoint, error)
	UpsertEndpoint(ctx context.Context, e Endpoint) error
}

// Agreements stores contracts, plans and snapshots. They are never updated.
type Agreements interface {
	// Contract is the newest version of the account's contract.
	Contract(ctx context.Context, accountID string) (billing.Contract, error)
	// Versions are all of them, ascending; none is no error.
	Versions(ctx context.Context, accountID string) (billing.Versions, error)
	// LockContract lets one transaction at a time add a version, and none open a cycle meanwhile.
	LockContract(ctx context.Context, accountID string) error
	InsertContract(ctx context.Context, c billing.Contract) error
	Plan(ctx context.Context, accountID string) (StoredPlan, error)
	InsertPlan(ctx context.Context, p StoredPlan) error
	Snapshot(ctx context.Context, accountID, id string) (Snapshot, error)
	Snapshots(ctx context.Context, accountID string) ([]Snapshot, error)
	// LockSnapshots lets one transaction at a time count and add an account's snapshots.
	LockSnapshots(ctx context.Context, accountID string) error
	InsertSnapshot(ctx context.Context, s Snapshot) error
}

// Stores are the stores of one transaction.
type Stores struct {
	Accounts    Accounts
	Connections Connections
	Agreements  Agreements
	Audit       audit.Log
}
