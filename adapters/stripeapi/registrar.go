package stripeapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
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

// sourceEvents are what the classifier reads. invoice.created is left out on purpose:
// Stripe holds the customer's own invoices back for up to three days while an endpoint
// that listens to it does not answer.
var sourceEvents = []string{
	"customer.created", "customer.updated", "customer.deleted",
	"customer.subscription.created", "customer.subscription.updated", "customer.subscription.deleted",
	"customer.subscription.paused", "customer.subscription.resumed", "customer.subscription.trial_will_end",
	"customer.subscription.pending_update_applied", "customer.subscription.pending_update_expired",
	"customer.discount.created", "customer.discount.updated", "customer.discount.deleted",
	"invoice.paid", "invoice.payment_succeeded", "invoice.payment_failed", "invoice.payment_action_required",
	"invoice.finalized", "invoice.voided", "invoice.marked_uncollectible",
	"charge.refunded", "refund.created", "refund.updated", "charge.refund.updated",
	"charge.dispute.created", "charge.dispute.updated", "charge.dispute.closed",
	"charge.dispute.funds_withdrawn", "charge.dispute.funds_reinstated",
	"credit_note.created", "credit_note.updated", "credit_note.voided",
}

// issuerEvents are what happens to our own invoices.
var issuerEvents = []string{
	"customer.updated", "customer.deleted",
	"invoice.paid", "invoice.payment_succeeded", "invoice.payment_failed", "invoice.payment_action_required",
	"invoice.finalized", "invoice.voided", "invoice.marked_uncollectible", "invoice.updated", "invoice.finalization_failed",
	"charge.refunded", "refund.created", "refund.updated", "charge.refund.updated",
	"charge.dispute.created", "charge.dispute.updated", "charge.dispute.closed",
	"credit_note.created", "credit_note.updated", "credit_note.voided",
}

// newerEvents came after the pinned version. They tell nothing that the others do not,
// only sooner; Stripe may refuse their names.
var newerEvents = []string{"refund.failed", "invoice_payment.paid", "invoice.overpaid", "invoice.overdue"}

// eventsOf lists what an endpoint of the roles listens to, each name once.
func eventsOf(roles account.Roles) []string {
	var out []string
	for _, set := range []struct {
		of   bool
		list []string
	}{{roles.Source, sourceEvents}, {roles.Issuer, issuerEvents}} {
		for _, name := range set.list {
			if set.of && !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
	}
	return out
}

// Registrar makes and deletes webhook endpoints in both environments; its transport
// can write nothing else.
type Registrar struct{ c *Client }

var _ onboard.Registrar = (*Registrar)(nil)

// NewRegistrar makes a registrar.
func NewRegistrar(c *Client) *Registrar { return &Registrar{c: c} }

// Register makes the endpoint of a connection. Stripe tells a secret once, so an
// earlier endpoint of the same connection and URL that is not to be kept is of no use: it
// is deleted first. When the answer is lost, whatever came of the request is deleted too,
// and the endpoint is made again, once.
func (r *Registrar) Register(ctx context.Context, key account.SecretKey, in onboard.EndpointRequest) (onboard.RegisteredEndpoint, error) {
	if in.ConnectionID == "" || in.URL == "" {
		return onboard.RegisteredEndpoint{}, fault.New(fault.Invalid, "endpoint_incomplete", "an endpoint needs a connection and a URL")
	}
	s := r.session(key, in.ConnectionID)
	made, err := s.register(ctx, in, "1")
	if fault.Is(err, fault.Indeterminate) {
		made, err = s.register(ctx, in, "2")
	}
	return made, err
}

func (r *Registrar) session(key account.SecretKey, connectionID string) *session {
	env := key.Environment()
	return r.c.open(registrarRole, key, env, r.c.limiter(onboarding, env)).of(connectionID, r.c)
}

func (s *session) register(ctx context.Context, in onboard.EndpointRequest, attempt string) (onboard.RegisteredEndpoint, error) {
	replaced, err := s.deleteEndpoints(ctx, in)
	if err != nil {
		return onboard.RegisteredEndpoint{}, err
	}
	// Fresh at every registration, which lists first: Stripe would replay the answer to
	// an old key, with an endpoint that has been deleted since.
	fresh := slices.Concat([]string{attempt, strconv.FormatInt(s.now().UnixNano(), 10)}, in.Keep, replaced)
	needed := eventsOf(in.Roles)
	made, err := s.create(ctx, in, slices.Concat(needed, newerEvents), append(fresh, "all"))
	if fault.CodeOf(err) == codeInvalid {
		// Some name is unknown to this version of the API: the newer ones can be done without.
		made, err = s.create(ctx, in, needed, append(fresh, "needed"))
	}
	return made, err
}

func (s *session) create(ctx context.Context, in onboard.EndpointRequest, events, fresh []string) (onboard.RegisteredEndpoint, error) {
	params := &stripe.WebhookEndpointParams{
		URL:           stripe.String(in.URL),
		APIVersion:    stripe.String(APIVersion),
		EnabledEvents: stripe.StringSlice(events),
		Description:   stripe.String("liftbill: revenue events of connection " + in.ConnectionID),
		Metadata:      map[string]string{metadataConnection: in.ConnectionID},
	}
	raw, err := s.call(ctx, request{op: opEndpointCreate, method: http.MethodPost, path: endpointsPath, params: params, key: endpointKey(in.ConnectionID, in.URL, fresh)})
	if err != nil {
		return onboard.RegisteredEndpoint{}, err
	}
	var e struct {
		endpoint
		Secret string `json:"secret"`
	}
	if err := json.Unmarshal(raw, &e); err != nil || e.ID == "" || e.Secret == "" {
		return onboard.RegisteredEndpoint{}, afterWrite(badAnswer("a webhook endpoint with its secret"))
	}
	return onboard.RegisteredEndpoint{StripeEndpoint: e.seen(), Secret: strings.TrimSpace(e.Secret), Livemode: e.Livemode}, nil
}

// endpoint is what is read of a webhook endpoint.
type endpoint struct {
	ID            string            `json:"id"`
	URL           string            `json:"url"`
	Status        string            `json:"status"`
	APIVersion    string            `json:"api_version"`
	EnabledEvents []string          `json:"enabled_events"`
	Livemode      bool              `json:"livemode"`
	Metadata      map[string]string `json:"metadata"`
}

func (e endpoint) seen() onboard.StripeEndpoint {
	return onboard.StripeEndpoint{
		ID: e.ID, URL: e.URL, Enabled: e.Status == "enabled", APIVersion: e.APIVersion, Events: e.EnabledEvents, ConnectionID: e.Metadata[metadataConnection],
	}
}

// Endpoints lists every webhook endpoint of the Stripe account in the key's mode, ours
// and those of others.
func (r *Registrar) Endpoints(ctx context.Context, key account.SecretKey, connectionID string) ([]onboard.StripeEndpoint, error) {
	return r.session(key, connectionID).endpoints(ctx)
}

func (s *session) endpoints(ctx context.Context) ([]onboard.StripeEndpoint, error) {
	var out []onboard.StripeEndpoint
	err := s.list(ctx, "webhook_endpoint.list", endpointsPath, &stripe.WebhookEndpointListParams{}, func(raw json.RawMessage) (bool, error) {
		var e endpoint
		if err := json.Unmarshal(raw, &e); err != nil {
			return false, badAnswer("a webhook endpoint")
		}
		out = append(out, e.seen())
		return true, nil
	})
	return out, err
}

// Delete deletes one endpoint; one that is gone already is no error.
func (r *Registrar) Delete(ctx context.Context, key account.SecretKey, connectionID, id string) error {
	return r.session(key, connectionID).deleteEndpoint(ctx, connectionID, "", id)
}

func (s *session) deleteEndpoint(ctx context.Context, connectionID, url, id string) error {
	path, err := objectPath(endpointsPath, id)
	if err != nil {
		return err
	}
	_, err = s.call(ctx, request{op: "webhook_endpoint.delete", method: http.MethodDelete, path: path, key: endpointKey(connectionID, url, []string{id})})
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

// deleteEndpoints deletes the connection's endpoints with this URL that are not to be
// kept, and returns their IDs.
func (s *session) deleteEndpoints(ctx context.Context, in onboard.EndpointRequest) ([]string, error) {
	all, err := s.endpoints(ctx)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, e := range all {
		if e.URL != in.URL || e.ConnectionID != in.ConnectionID || slices.Contains(in.Keep, e.ID) {
			continue
		}
		if err := s.deleteEndpoint(ctx, in.ConnectionID, in.URL, e.ID); err != nil {
			return nil, err
		}
		found = append(found, e.ID)
	}
	return found, nil
}

func endpointKey(connectionID, url string, more []string) string {
	sum := sha256.Sum256([]byte(strings.Join(append([]string{connectionID, url}, more...), "\x00")))
	return keyPrefix + "endpoint:" + hex.EncodeToString(sum[:16])
}
