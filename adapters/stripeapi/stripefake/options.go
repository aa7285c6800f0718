package stripefake

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// The modes of a key, and so of every object made with it.
const (
	Live = "live"
	Test = "test"
)

// Options configure a server. The zero value is a usable server whose clock
// stands still at 2026-01-01 and that has no accounts yet.
type Options struct {
	// Clock is the server's clock; nil means a clock standing still at Start.
	Clock *Clock
	// Start is the first time of the default clock.
	Start time.Time
	// Seed makes ids and seeded faults repeatable.
	Seed uint64
	// Accounts are the Stripe accounts that exist from the beginning.
	Accounts []AccountSpec
	// WebhookConcurrency is the number of deliveries in flight per endpoint; 0 means 8.
	WebhookConcurrency int
	// WebhookClient sends the deliveries; nil means a keep-alive client that follows no redirects.
	WebhookClient *http.Client
	// HoldWebhooks keeps deliveries back until DeliverWebhooks asks for them.
	HoldWebhooks bool
	// SeededFaults turns on random faults, see SeededFaults.
	SeededFaults *SeededFaults
	// RequestLogLimit is how many requests the log keeps; 0 means 200,000.
	RequestLogLimit int
}

// AccountSpec describes a Stripe account.
type AccountSpec struct {
	// ID is the account's id; empty means a generated one.
	ID string `json:"id,omitempty"`
	// Name is the business name, shown on invoices.
	Name string `json:"name,omitempty"`
	// Country is an ISO code; empty means US.
	Country string `json:"country,omitempty"`
	// Currency is the default (settlement) currency; empty means usd.
	Currency string `json:"currency,omitempty"`
	// Email is the account's e-mail address.
	Email string `json:"email,omitempty"`
	// DunningEnd says what happens to a subscription whose last payment retry
	// failed: cancel (default), unpaid or past_due.
	DunningEnd string `json:"dunning_end,omitempty"`
	// Keys are created together with the account.
	Keys []KeySpec `json:"keys,omitempty"`
}

// KeySpec describes an API key.
type KeySpec struct {
	// Account is the account's id; not needed inside an AccountSpec.
	Account string `json:"account,omitempty"`
	// Mode is live or test.
	Mode string `json:"mode"`
	// Secret is the key itself; empty means a generated one. Its prefix decides
	// whether the key is restricted (rk_) and must fit the mode.
	Secret string `json:"secret,omitempty"`
	// Restricted makes a generated key a restricted one.
	Restricted bool `json:"restricted,omitempty"`
	// Permissions of a restricted key: resource name (see the README) to "read"
	// or "write"; write implies read, absent means none. "*" is the default for all.
	Permissions map[string]string `json:"permissions,omitempty"`
	// Revoked keys answer 401.
	Revoked bool `json:"revoked,omitempty"`
}

// Key is a created API key.
type Key struct {
	ID      string `json:"id"`
	Account string `json:"account"`
	Mode    string `json:"mode"`
	Kind    string `json:"kind"` // secret or restricted
	Secret  string `json:"secret"`
}

// Account is a created account with the keys made with it.
type Account struct {
	ID   string `json:"id"`
	Keys []Key  `json:"keys"`
}

// Start runs a server on a loopback port until the test ends.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	s := New(o)
	web := httptest.NewServer(s)
	s.URL, s.Client = web.URL, web.Client()
	t.Cleanup(func() {
		web.CloseClientConnections()
		web.Close()
		s.Close()
	})
	return s
}
