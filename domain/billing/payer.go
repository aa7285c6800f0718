package billing

import (
	"strings"

	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
)

// PayerPlan is the customer that an account is to have at its issuer: one that is
// marked as the account's, or a new one with this name and address.
type PayerPlan struct {
	IssuerConnection string
	AccountID        string
	Name             string
	Email            string
}

// PayerAccountKey is the metadata entry that marks a Stripe customer as an account's.
const PayerAccountKey = "lb_account"

// Key is the root of the idempotency keys of the creation, and stands in the
// customer's metadata: the same account at the same issuer has the same for ever.
func (p PayerPlan) Key() string {
	return keyPrefix + "payer:" + nameUUID("payer", p.IssuerConnection, p.AccountID)
}

// Limits of a payer's name and address, Stripe's own.
const (
	maxPayerName  = 256
	maxPayerEmail = 512
)

// Validate checks what a person entered.
func (p PayerPlan) Validate() error {
	if n := len(strings.TrimSpace(p.Name)); n == 0 || n > maxPayerName {
		return fault.InvalidField("name", "name_length", "a payer's name of 1 to %d characters is required", maxPayerName)
	}
	local, host, ok := strings.Cut(p.Email, "@")
	if !ok || local == "" || len(p.Email) > maxPayerEmail || !strings.Contains(host, ".") || strings.ContainsAny(p.Email, " \t\r\n<>,;\"") || strings.Contains(host, "@") {
		return fault.InvalidField("email", "email_malformed", "the payer's e-mail address cannot be read").
			Fix("Enter one plain address such as payables@example.com")
	}
	return nil
}

// PayerCreation is the permission to create one customer at a live issuer. Only
// AuthorizePayer makes it.
type PayerCreation struct {
	proof account.LiveProof
	plan  PayerPlan
}

// Plan is what may be created.
func (c PayerCreation) Plan() PayerPlan { return c.plan }

// Valid is false for the zero value, which nobody authorised.
func (c PayerCreation) Valid() bool { return c.proof.ConnectionID() != "" }

// AuthorizePayer gives the permission to create an account's payer at the proven
// live issuer.
func AuthorizePayer(proof account.LiveProof, env account.Environment, plan PayerPlan) (PayerCreation, error) {
	if err := mayWrite(proof, env, plan.AccountID, plan.IssuerConnection); err != nil {
		return PayerCreation{}, err
	}
	if err := plan.Validate(); err != nil {
		return PayerCreation{}, err
	}
	return PayerCreation{proof: proof, plan: plan}, nil
}

// mayWrite is what every permission to write demands: a live account at the very
// connection that was proven live.
func mayWrite(proof account.LiveProof, env account.Environment, accountID, connectionID string) error {
	switch {
	case env != account.Live:
		return fault.New(fault.Forbidden, "test_mode_write", "account %s is a test account: what it would send is computed and shown, never written", accountID)
	case proof.ConnectionID() == "" || proof.ConnectionID() != connectionID:
		return fault.New(fault.Forbidden, "mode_violation", "connection %s was not proven live", connectionID)
	}
	return nil
}

// PayerSetup is one payer that is to enter a payment method on a page of Stripe's.
type PayerSetup struct {
	IssuerConnection string
	AccountID        string
	Customer         string
	Currency         string
}

// Key is the root of the idempotency keys of the set-up.
func (s PayerSetup) Key() string {
	return keyPrefix + "setup:" + nameUUID("setup", s.IssuerConnection, s.AccountID, s.Customer)
}

// SetupPermission is the permission to make set-up pages for one payer and to make the
// payment method that came of one the payer's default. Only AuthorizeSetup makes it.
type SetupPermission struct {
	proof account.LiveProof
	setup PayerSetup
}

// Setup is what is permitted.
func (p SetupPermission) Setup() PayerSetup { return p.setup }

// Valid is false for the zero value, which nobody authorised.
func (p SetupPermission) Valid() bool { return p.proof.ConnectionID() != "" }

// AuthorizeSetup gives the permission for a payer of the proven live issuer.
func AuthorizeSetup(proof account.LiveProof, env account.Environment, setup PayerSetup) (SetupPermission, error) {
	if err := mayWrite(proof, env, setup.AccountID, setup.IssuerConnection); err != nil {
		return SetupPermission{}, err
	}
	if setup.Customer == "" {
		return SetupPermission{}, fault.New(fault.Conflict, UnmetPayerMissing, "the account has no payer").Fix("Name the payer first (liftbill account payer set)")
	}
	return SetupPermission{proof: proof, setup: setup}, nil
}
