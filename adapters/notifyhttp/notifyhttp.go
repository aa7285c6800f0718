// Package notifyhttp delivers notices as signed HTTP requests. The signature is made as
// Stripe makes those of its webhooks (https://docs.stripe.com/webhooks#verify-manually):
// the header is "t=<unix seconds>,v1=<hex>", and v1 is the HMAC-SHA256 of
// "<t>.<body>" under the shared secret.
package notifyhttp

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/notify"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/internal/httpclient"
)

// Headers of a request. The ID is sent twice: under the name that receivers and proxies know
// without us, it also tells net/http that it may send the request again when a kept
// connection turns out to be dead.
const (
	SignatureHeader   = "Liftbill-Signature"
	IDHeader          = "Liftbill-Notification"
	IdempotencyHeader = "Idempotency-Key"
)

// minSecret is the fewest bytes of a secret.
const minSecret = 16

// Channel is the webhook.
type Channel struct {
	url    string
	secret []byte
	pages  string
	clock  clock.Clock
	http   *http.Client
}

// New checks the address and the secret. pages is the base address of our own pages, for links.
func New(address, secret, pages string, clk clock.Clock) (*Channel, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http"):
		return nil, fault.InvalidField("LIFTBILL_NOTIFY_URL", "notify_url_malformed", "this is not an address").Fix("Write it as https://hooks.example.com/liftbill")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return nil, fault.InvalidField("LIFTBILL_NOTIFY_URL", "notify_url_plain", "notices leave this machine over HTTPS only").Fix("Use an address that begins with https://")
	case len(secret) < minSecret:
		return nil, fault.InvalidField("LIFTBILL_NOTIFY_SECRET", "notify_secret_short", "a secret of at least %d characters signs the notices", minSecret).Fix("Make one with: openssl rand -hex 32")
	}
	c := &Channel{url: address, secret: []byte(secret), pages: pages, clock: clk, http: httpclient.New(20 * time.Second)}
	// A redirect would take the signed body somewhere that nobody named.
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// Name is the channel's in the ledger.
func (c *Channel) Name() string { return "webhook" }

// Body is what is sent. ID is the same in every repetition.
type Body struct {
	ID          string     `json:"id"`
	Type        string     `json:"type"`
	Environment string     `json:"environment"`
	AccountID   string     `json:"account_id"`
	AccountName string     `json:"account_name"`
	Period      string     `json:"period"`
	CycleID     string     `json:"cycle_id,omitempty"`
	Role        string     `json:"role"`
	Title       string     `json:"title"`
	Detail      string     `json:"detail"`
	NextAction  string     `json:"next_action"`
	URL         string     `json:"url"`
	DueAt       *time.Time `json:"due_at,omitempty"`
	OpenedAt    time.Time  `json:"opened_at"`
}

// Send posts one notice. Any answer of 2xx takes it.
func (c *Channel) Send(ctx context.Context, d notify.Delivery) error {
	out := Body{
		ID: d.Key(), Type: string(d.Kind), Environment: d.Environment.String(), AccountID: d.AccountID, AccountName: d.AccountName, Period: d.Period, CycleID: d.CycleID,
		Role: string(d.Role), Title: d.Title, Detail: d.Detail, NextAction: d.Next, URL: c.pages + d.Path, OpenedAt: d.OpenedAt,
	}
	if !d.Due.IsZero() {
		out.DueAt = &d.Due
	}
	body, err := json.Marshal(out)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return fault.New(fault.Internal, "notify_request", "the request cannot be made")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "liftbill")
	req.Header.Set(IDHeader, out.ID)
	req.Header.Set(IdempotencyHeader, out.ID)
	req.Header.Set(SignatureHeader, Sign(c.secret, c.clock.Now(), body))
	res, err := c.http.Do(req)
	if err != nil { // its text may hold the address, which may be a secret
		return fault.New(fault.Unavailable, "notify_unreachable", "the address does not answer")
	}
	defer res.Body.Close()                                                            //nolint:errcheck // nothing of it is used
	if _, err := io.CopyN(io.Discard, res.Body, 1<<16); err != nil && err != io.EOF { //nolint:errorlint // CopyN returns io.EOF as it is
		return fault.New(fault.Unavailable, "notify_unreachable", "the answer broke off")
	}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return fault.New(fault.Unavailable, "notify_refused", "the address answers %d", res.StatusCode)
	}
	return nil
}

// Sign is the signature of a body at a time.
func Sign(secret []byte, at time.Time, body []byte) string {
	t := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return fmt.Sprintf("t=%s,v1=%s", t, hex.EncodeToString(mac.Sum(nil)))
}
