package stripeapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/stripe/stripe-go/v76"

	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
)

// metadataConnection marks the endpoints that are ours, with their connection.
const metadataConnection = "lb_conn"

const (
	endpointsPath    = "/v1/webhook_endpoints"
	opEndpointCreate = "webhook_endpoint.create"
)

// enabledEvents are what the classifier reads. invoice.created is left out on
// purpose: Stripe holds the customer's own invoices back for up to three days while
// an endpoint that listens to it does not answer.
var enabledEvents = []string{
	"customer.created", "customer.updated", "customer.deleted",
	"customer.subscription.created", "customer.subscription.updated", "customer.subscription.deleted",
	"customer.subscription.paused", "customer.subscription.resumed", "customer.subscription.trial_will_end",
	"customer.subscription.pending_update_applied", "customer.subscription.pending_update_expired",
	"customer.discount.created", "customer.discount.updated", "customer.discount.deleted",
	"invoice.paid", "invoice.payment_succeeded", "invoice.payment_failed", "invoice.payment_action_required",
	"invoice.finalized", "invoice.voided", "invoice.marked_uncollectible", "invoice.updated", "invoice.finalization_failed",
	"charge.refunded", "refund.created", "refund.updated", "charge.refund.updated",
	"charge.dispute.created", "charge.dispute.updated", "charge.dispute.closed",
	"charge.dispute.funds_withdrawn", "charge.dispute.funds_reinstated",
	"credit_note.created", "credit_note.updated", "credit_note.voided",
}

// Registrar makes and deletes webhook endpoints in both environments; its transport
// can write nothing else.
type Registrar struct{ c *Client }

var _ onboard.Registrar = (*Registrar)(nil)

// NewRegistrar makes a registrar.
func NewRegistrar(c *Client) *Registrar { return &Registrar{c: c} }

// Register makes the endpoint of a connection. Stripe tells a secret once, so an
// earlier endpoint of the same connection and URL is of no use: it is deleted first.
func (r *Registrar) Register(ctx context.Context, key account.SecretKey, connectionID, url string) (onboard.RegisteredEndpoint, error) {
	if connectionID == "" || url == "" {
		return onboard.RegisteredEndpoint{}, fault.New(fault.Invalid, "endpoint_incomplete", "an endpoint needs a connection and a URL")
	}
	env := key.Environment()
	s := r.c.open(registrarRole, key, env, r.c.limiter(onboarding, env))
	replaced, err := s.deleteEndpoints(ctx, connectionID, url)
	if err != nil {
		return onboard.RegisteredEndpoint{}, err
	}
	params := &stripe.WebhookEndpointParams{
		URL:           stripe.String(url),
		APIVersion:    stripe.String(APIVersion),
		EnabledEvents: stripe.StringSlice(enabledEvents),
		Description:   stripe.String("liftbill: revenue events of connection " + connectionID),
		Metadata:      map[string]string{metadataConnection: connectionID},
	}
	// Fresh at every registration, which lists first: Stripe would replay the answer to
	// an old key, with an endpoint that has been deleted since.
	idem := endpointKey(connectionID, url, append(replaced, strconv.FormatInt(r.c.cfg.Clock.Now().UnixNano(), 10)))
	raw, err := s.call(ctx, request{op: opEndpointCreate, method: http.MethodPost, path: endpointsPath, params: params, key: idem})
	if err != nil {
		return onboard.RegisteredEndpoint{}, err
	}
	var e struct {
		ID       string `json:"id"`
		Secret   string `json:"secret"`
		Livemode bool   `json:"livemode"`
	}
	if err := json.Unmarshal(raw, &e); err != nil || e.ID == "" || e.Secret == "" {
		return onboard.RegisteredEndpoint{}, afterWrite(badAnswer("a webhook endpoint with its secret"))
	}
	return onboard.RegisteredEndpoint{StripeID: e.ID, Secret: strings.TrimSpace(e.Secret), Livemode: e.Livemode}, nil
}

// deleteEndpoints deletes the connection's endpoints with this URL and returns their IDs.
func (s *session) deleteEndpoints(ctx context.Context, connectionID, url string) ([]string, error) {
	var found []string
	err := s.list(ctx, "webhook_endpoint.list", endpointsPath, &stripe.WebhookEndpointListParams{}, func(raw json.RawMessage) (bool, error) {
		var e struct {
			ID       string            `json:"id"`
			URL      string            `json:"url"`
			Metadata map[string]string `json:"metadata"`
		}
		if err := json.Unmarshal(raw, &e); err != nil {
			return false, badAnswer("a webhook endpoint")
		}
		if e.URL == url && e.Metadata[metadataConnection] == connectionID {
			found = append(found, e.ID)
		}
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	for _, id := range found {
		path, err := objectPath(endpointsPath, id)
		if err != nil {
			return nil, err
		}
		_, err = s.call(ctx, request{op: "webhook_endpoint.delete", method: http.MethodDelete, path: path, key: endpointKey(connectionID, url, []string{id})})
		if err != nil && !fault.Is(err, fault.NotFound) {
			return nil, err
		}
	}
	return found, nil
}

func endpointKey(connectionID, url string, more []string) string {
	sum := sha256.Sum256([]byte(strings.Join(append([]string{connectionID, url}, more...), "\x00")))
	return keyPrefix + "endpoint:" + hex.EncodeToString(sum[:16])
}
