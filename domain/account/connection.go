package account

import (
	"strings"
	"time"

	"github.com/liftbill/liftbill/domain/fault"
)

// Roles says what a connection is used for. One connection may hold both.
type Roles struct {
	// Source: revenue events, customers, subscriptions and invoices are read.
	Source bool
	// Issuer: the outcome invoice is written.
	Issuer bool
}

// ParseRoles accepts "source", "issuer" or both.
func ParseRoles(names []string) (Roles, error) {
	var r Roles
	for _, n := range names {
		switch n {
		case "source":
			r.Source = true
		case "issuer":
			r.Issuer = true
		default:
			return Roles{}, fault.InvalidField("roles", "role_unknown", "%q is not a role", n).Fix("Use source, issuer or both")
		}
	}
	if !r.Source && !r.Issuer {
		return Roles{}, fault.InvalidField("roles", "role_missing", "a connection needs at least one role").Fix("Use source, issuer or both")
	}
	return r, nil
}

// Names lists the roles in a fixed order.
func (r Roles) Names() []string {
	var out []string
	if r.Source {
		out = append(out, "source")
	}
	if r.Issuer {
		out = append(out, "issuer")
	}
	return out
}

// Connection is a Stripe account reached with a key.
type Connection struct {
	ID              string
	Environment     Environment
	Roles           Roles
	StripeAccountID string
	PublishableKey  string
	// UserIDKey is the name of the customer metadata entry that holds the user id.
	UserIDKey string
	KeyMask   string
	// WriteBackOff: no invoice is written through it, whatever else it does.
	WriteBackOff bool
	// Paused: events are stored and not classified, nothing is read and nothing written.
	Paused bool
	// PausedReason is one of the Pause constants or a person's words.
	PausedReason string
	PausedBy     string
	PausedAt     time.Time
}

// Reasons for which a connection is paused without a person's words.
const (
	PauseKeyRevoked   = "key_revoked"  // Stripe does not accept the key any more
	PauseDisconnected = "disconnected" // the key was deleted here
)

// KeyGone reports that the connection has no key that works: it was paused because Stripe
// refuses the key, or because the key was deleted. A new one lets it run again.
func (c Connection) KeyGone() bool {
	return c.Paused && (c.PausedReason == PauseKeyRevoked || c.PausedReason == PauseDisconnected)
}

// DefaultUserIDKey is the metadata entry that joins Stripe customers to the decision log.
const DefaultUserIDKey = "user_id"

// NewConnection validates a connection against the key that was given for it.
func NewConnection(id string, env Environment, roles Roles, key SecretKey, publishable, userIDKey string) (Connection, error) {
	if err := CheckID("id", id); err != nil {
		return Connection{}, err
	}
	if key.Environment() != env {
		return Connection{}, fault.InvalidField("secret_key", "key_mode_mismatch", "a %s key was given for a %s connection", key.Environment(), env).
			Fix("Paste the key whose text begins with rk_%s_ or sk_%s_, or create a %s connection", env, env, key.Environment())
	}
	if err := CheckPublishableKey(publishable, env); err != nil {
		return Connection{}, err
	}
	userIDKey, err := CheckUserIDKey(userIDKey)
	if err != nil {
		return Connection{}, err
	}
	return Connection{
		ID: id, Environment: env, Roles: roles, PublishableKey: strings.TrimSpace(publishable),
		UserIDKey: userIDKey, KeyMask: key.Masked(),
	}, nil
}

// CheckUserIDKey checks the name of the metadata entry that holds the user ID; an empty
// one is the default.
func CheckUserIDKey(key string) (string, error) {
	key = strings.TrimSpace(key)
	if key == "" {
		key = DefaultUserIDKey
	}
	if len(key) > 40 || strings.ContainsAny(key, "[]") {
		return "", fault.InvalidField("user_id_key", "metadata_key_malformed", "%q cannot be a Stripe metadata key", key).
			Fix("Use at most 40 characters without square brackets")
	}
	return key, nil
}

// Observation is what Stripe itself answered about a key: the account behind it
// and the livemode of an object that was read with it.
type Observation struct {
	StripeAccountID string
	Livemode        bool
	// LivemodeSeen is false when no object could be read, so that Livemode says nothing.
	LivemodeSeen bool
}

// LiveProof is the evidence that a connection is live: it can only be made by
// ProveLive, and nothing that writes to Stripe can be made without it.
type LiveProof struct{ connectionID string }

// ConnectionID names the connection that was proven live.
func (p LiveProof) ConnectionID() string { return p.connectionID }

// ProveLive checks the three independent witnesses of live mode: the declared
// environment, the key's prefix and an object that Stripe returned.
func ProveLive(c Connection, key SecretKey, seen Observation) (LiveProof, error) {
	deny := func(msg string) (LiveProof, error) {
		return LiveProof{}, fault.New(fault.Forbidden, "mode_violation", "connection %s: %s", c.ID, msg).
			Fix("Nothing was written. Connect the live account with a live key")
	}
	switch {
	case c.Environment != Live:
		return deny("a test connection never writes to Stripe")
	case key.Environment() != Live:
		return deny("the key is not a live key")
	case !c.Roles.Issuer:
		return deny("the connection does not hold the issuer role")
	case !seen.LivemodeSeen || !seen.Livemode:
		return deny("Stripe did not confirm live mode")
	}
	return LiveProof{connectionID: c.ID}, nil
}
