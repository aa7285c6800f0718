// Package onboard sets an account up: connections with proven keys, payer,
// contract, sealed measurement plan, policy snapshots and the webhook endpoint.
//
// Every call is idempotent by the caller's own identifiers: the same input again
// returns what is stored, other input under the same identifier is a conflict.
package onboard

import (
	"context"
	"slices"
	"time"

	"github.com/liftbill/liftbill/app/audit"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/period"
)

// Prober asks Stripe about a key. It can read only.
type Prober interface {
	// Observe returns the Stripe account behind the key and the livemode of what it
	// can read. A key that Stripe refuses is a Forbidden error that names the remedy.
	Observe(ctx context.Context, key account.SecretKey) (account.Observation, error)
	// Permissions asks Stripe what the key may do. It changes nothing.
	Permissions(ctx context.Context, key account.SecretKey) ([]account.Access, error)
	// CustomerExists reports whether the customer exists and is not deleted.
	CustomerExists(ctx context.Context, key account.SecretKey, customerID string) (bool, error)
}

// EndpointRequest is a webhook endpoint to be made.
type EndpointRequest struct {
	ConnectionID string
	URL          string
	Roles        account.Roles
	// Keep are the IDs of endpoints of the same connection and URL that are not deleted.
	Keep []string
}

// StripeEndpoint is a webhook endpoint as Stripe has it.
type StripeEndpoint struct {
	ID         string
	URL        string
	Enabled    bool
	APIVersion string
	// Events are the event types that it listens to; "*" stands for all.
	Events []string
	// ConnectionID is the connection that its metadata name; empty for those of others.
	ConnectionID string
}

// RegisteredEndpoint is a webhook endpoint that Stripe just made: the one time that it
// tells the secret.
type RegisteredEndpoint struct {
	StripeEndpoint
	Secret   string
	Livemode bool
}

// Registrar creates, lists and deletes webhook endpoints, in both environments, and can
// write nothing else.
type Registrar interface {
	// Register makes one endpoint for the connection that delivers the needed events
	// in the pinned API version. An earlier endpoint of the same connection and URL
	// whose secret is lost is deleted first.
	Register(ctx context.Context, key account.SecretKey, in EndpointRequest) (RegisteredEndpoint, error)
	// Endpoints lists all endpoints of the key's Stripe account and mode.
	Endpoints(ctx context.Context, key account.SecretKey, connectionID string) ([]StripeEndpoint, error)
	// Delete deletes an endpoint; one that is gone is no error.
	Delete(ctx context.Context, key account.SecretKey, connectionID, id string) error
}

// Locks lets one caller at a time do something that no transaction can hold, because it
// talks to Stripe. A caller that dies lets the next one in.
type Locks interface {
	Alone(ctx context.Context, name string, fn func(context.Context) error) error
}

// SealedConnection is a connection with its key as it is stored.
type SealedConnection struct {
	account.Connection
	SealedKey []byte
	CreatedAt time.Time
}

// Endpoint is a webhook endpoint of a connection, its secrets sealed.
type Endpoint struct {
	ID           string
	ConnectionID string
	Environment  account.Environment
	URL          string
	// StripeID is empty for an endpoint that was set up by hand and not found at Stripe.
	StripeID     string
	SealedSecret []byte
	// SealedPrevious stays valid until PreviousUntil; without a time until it is replaced.
	SealedPrevious []byte
	PreviousUntil  *time.Time
	// RetiringID is the endpoint at Stripe that still signs with the previous secret.
	RetiringID string
	SetUp      SetUp
	Status     EndpointStatus
	APIVersion string
	// Events are the types that it listens to; nil is not known.
	Events    []string
	CheckedAt *time.Time
	CreatedAt time.Time
}

// SetUp is who made an endpoint.
type SetUp string

// The ways to set an endpoint up.
const (
	Registered SetUp = "registered" // by us, through Stripe's API
	ByHand     SetUp = "manual"     // in the Stripe Dashboard
)

// EndpointStatus is what Stripe said of an endpoint when it was last asked.
type EndpointStatus string

// The statuses of an endpoint.
const (
	StatusUnknown  EndpointStatus = "unknown"
	StatusEnabled  EndpointStatus = "enabled"
	StatusDisabled EndpointStatus = "disabled" // Stripe delivers nothing
	StatusMissing  EndpointStatus = "missing"  // it was deleted at Stripe
)

// KeyReport is what is known of a connection's key.
type KeyReport struct {
	ConnectionID string
	KeyMask      string
	Environment  account.Environment
	CheckedBy    string
	CheckedAt    time.Time
	Findings     []account.Finding
	// Replaced: the connection has another key by now, of which this says nothing.
	Replaced bool
}

// OK reports whether nothing is missing.
func (r KeyReport) OK() bool {
	return !slices.ContainsFunc(r.Findings, func(f account.Finding) bool { return f.Severity == account.Missing })
}

// LogEntry is one thing that was done to a connection.
type LogEntry struct {
	Action string
	Detail string
	Who    string
	At     time.Time
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

// PlanOf is the plan of the contract year that holds a period.
func PlanOf(plans []StoredPlan, m period.Month) (StoredPlan, bool) {
	for _, p := range plans {
		first, err := p.Plan.Plan().First()
		if n := m.Sub(first); err == nil && n >= 0 && n < lift.PeriodsPerYear {
			return p, true
		}
	}
	return StoredPlan{}, false
}

// Accounts stores accounts.
type Accounts interface {
	Account(ctx context.Context, id string) (account.Account, error)
	InsertAccount(ctx context.Context, a account.Account, at time.Time) error
	// FillAccount sets issuer and payer where none was stored.
	FillAccount(ctx context.Context, a account.Account) error
	// PayerOf is the other account of the issuer that has the customer as its payer;
	// empty when there is none.
	PayerOf(ctx context.Context, issuerConnection, customer, exceptAccount string) (string, error)
	// SetPayer makes the customer the account's payer in place of another one; an empty
	// customer leaves it without one.
	SetPayer(ctx context.Context, accountID, customer string) error
	// PutWish stores how the payer is to be found, in place of an earlier wish.
	PutWish(ctx context.Context, w PayerWish) error
}

// PayerWish is how the payer of an account without one is to be found: the customer at
// the issuer that is marked as the account's, or a new one.
type PayerWish struct {
	AccountID   string
	Environment account.Environment
	Name        string
	SealedEmail []byte
	At          time.Time
}

// Intervention is what a person decided, and why.
type Intervention struct {
	At            time.Time
	Who           string
	Environment   account.Environment
	Subject       string // "account acme", "connection vendor"
	Action        string
	Before, After string
	Reason        string
}

// Connections stores connections and their webhook endpoints.
type Connections interface {
	Connection(ctx context.Context, id string) (SealedConnection, error)
	InsertConnection(ctx context.Context, c SealedConnection) error
	EndpointOf(ctx context.Context, connectionID string) (Endpoint, error)
	UpsertEndpoint(ctx context.Context, e Endpoint) error
	// SaveWriting switches writing through a connection on or off.
	SaveWriting(ctx context.Context, id string, on bool) error
	// SavePause pauses or resumes a connection: reason, who and when as the connection has them.
	SavePause(ctx context.Context, c account.Connection) error
	// SaveKey replaces the key of a connection; empty deletes it.
	SaveKey(ctx context.Context, connectionID string, sealed []byte, mask string) error
	SaveReport(ctx context.Context, r KeyReport) error
	// Report returns NotFound when the key was never checked.
	Report(ctx context.Context, connectionID string) (KeyReport, error)
	// EventTypes counts the events that webhooks brought to a connection since a time, by type.
	EventTypes(ctx context.Context, connectionID string, since time.Time) (map[string]int64, error)
	AppendLog(ctx context.Context, connectionID string, e LogEntry) error
	Log(ctx context.Context, connectionID string, limit int) ([]LogEntry, error)
}

// Agreements stores contracts, plans and snapshots. They are never updated.
type Agreements interface {
	// Contract is the newest version of the account's contract.
	Contract(ctx context.Context, accountID string) (billing.Contract, error)
	// Versions are all of them, ascending; none is no error.
	Versions(ctx context.Context, accountID string) (billing.Versions, error)
	// VersionsOf are the versions of several accounts, by account; one without a contract is left out.
	VersionsOf(ctx context.Context, accountIDs []string) (map[string]billing.Versions, error)
	// PlansOf are the sealed plans of several accounts, ascending by first period, by account.
	PlansOf(ctx context.Context, accountIDs []string) (map[string][]StoredPlan, error)
	// LockContract lets one transaction at a time add a version, and none open a cycle meanwhile.
	LockContract(ctx context.Context, accountID string) error
	InsertContract(ctx context.Context, c billing.Contract) error
	// Plan is the plan of the newest contract year.
	Plan(ctx context.Context, accountID string) (StoredPlan, error)
	// Plans are those of all contract years, ascending; none is no error.
	Plans(ctx context.Context, accountID string) ([]StoredPlan, error)
	// LockPlans lets one transaction at a time add an account's plan.
	LockPlans(ctx context.Context, accountID string) error
	InsertPlan(ctx context.Context, p StoredPlan) error
	Snapshot(ctx context.Context, accountID, id string) (Snapshot, error)
	Snapshots(ctx context.Context, accountID string) ([]Snapshot, error)
	// LockSnapshots lets one transaction at a time count and add an account's snapshots.
	LockSnapshots(ctx context.Context, accountID string) error
	InsertSnapshot(ctx context.Context, s Snapshot) error
	// Retirement is NotFound while the snapshot is in use.
	Retirement(ctx context.Context, accountID, snapshotID string) (Retirement, error)
	InsertRetirement(ctx context.Context, r Retirement) error
}

// Journal keeps what people decided, for ever.
type Journal interface {
	Intervene(ctx context.Context, i Intervention) error
}

// Stores are the stores of one transaction.
type Stores struct {
	Journal     Journal
	Accounts    Accounts
	Connections Connections
	Agreements  Agreements
	Audit       audit.Log
}
