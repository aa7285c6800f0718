package ingest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/secret"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/reward"
)

// Service receives webhooks. It makes no call to Stripe or Temporal.
type Service struct {
	Endpoints Endpoints
	Verifier  Verifier
	Inbox     Inbox
	Box       secret.Box
	Clock     clock.Clock
}

// MaxBody is how many bytes a delivery may have. Stripe's largest events stay far below.
const MaxBody = 1 << 20

// Delivery is one request as it came in. Body is the raw body, untouched; Receive keeps
// no part of it.
type Delivery struct {
	EndpointID      string
	SignatureHeader string
	Body            []byte
}

// Receipt says what became of a delivery that was accepted.
type Receipt struct {
	EventID string
	New     bool
	Status  Status
	Reason  string
}

// Reasons with which an accepted event is set aside.
const (
	ReasonModeMismatch    = "livemode_mismatch"
	ReasonAccountMismatch = "account_mismatch"
	ReasonNotJSON         = "not_json"
	ReasonThin            = "thin_event"
	ReasonPaused          = "connection_paused"
	ReasonErased          = "body_erased"
)

// ReasonResolved marks an event that could not be understood and whose object has told since.
const ReasonResolved = "resolved_by_read"

// maxEventID is far more than an ID of Stripe's has; a longer one is no ID, and would not
// fit an index.
const maxEventID = 255

// BodyContext binds a sealed body to its connection.
func BodyContext(connectionID string) string { return "event-body:" + connectionID }

// Receive verifies the signature over the raw body and stores the bytes; when it
// returns without error the event is committed, or was there before. NotFound is
// an unknown endpoint, Invalid a bad signature (nothing is stored), Unavailable a
// store that cannot take it now (Stripe will deliver again).
func (s *Service) Receive(ctx context.Context, d Delivery) (Receipt, error) {
	now := s.Clock.Now()
	endpoint, err := s.verified(ctx, d, now)
	if err != nil {
		return Receipt{}, err
	}
	e := s.describe(endpoint, d.Body, now)
	if e.SealedBody, err = s.Box.Seal(BodyContext(endpoint.ConnectionID), d.Body); err != nil {
		return Receipt{}, err
	}
	isNew, err := s.Inbox.Append(ctx, e)
	if err != nil {
		return Receipt{}, fault.Wrap(err, fault.Unavailable, "inbox_unavailable", "the event could not be stored")
	}
	return Receipt{EventID: e.EventID, New: isNew, Status: e.Status, Reason: e.Reason}, nil
}

// rechecker is an Endpoints that caches and can look again.
type rechecker interface {
	Recheck(ctx context.Context, id string) (e Endpoint, ok bool, err error)
}

// verified finds the endpoint and checks the signature. When it does not fit what a
// cache knows, the endpoint may have a new secret: it is read once more before the
// delivery is refused.
func (s *Service) verified(ctx context.Context, d Delivery, now time.Time) (Endpoint, error) {
	endpoint, err := s.Endpoints.WebhookEndpoint(ctx, d.EndpointID)
	if err != nil {
		return Endpoint{}, err
	}
	refused := s.verify(endpoint, d, now)
	cache, cached := s.Endpoints.(rechecker)
	if refused == nil || !cached {
		return endpoint, refused
	}
	if code := fault.CodeOf(refused); code != "signature_mismatch" && code != "secret_missing" {
		return endpoint, refused
	}
	newer, ok, err := cache.Recheck(ctx, d.EndpointID)
	switch {
	case err != nil:
		return endpoint, err // whether the signature is good cannot be told now
	case !ok:
		return endpoint, refused
	}
	return newer, s.verify(newer, d, now)
}

func (s *Service) verify(endpoint Endpoint, d Delivery, now time.Time) error {
	if !slices.ContainsFunc(endpoint.Secrets, func(secret string) bool { return strings.TrimSpace(secret) != "" }) {
		// Nothing can be verified yet, and nothing is wrong with the delivery: Stripe keeps it.
		return fault.New(fault.Unavailable, "secret_missing", "the endpoint has no signing secret").Fix("Register the webhook of connection %s again", endpoint.ConnectionID)
	}
	return s.Verifier.Verify(d.Body, d.SignatureHeader, endpoint.Secrets, now)
}

// describe reads the envelope and decides, by rule and not by meaning, whether the
// event waits for the classifier or is set aside. A body that is no event is kept
// under its digest.
func (s *Service) describe(endpoint Endpoint, body []byte, now time.Time) StoredEvent {
	e := StoredEvent{
		ConnectionID: endpoint.ConnectionID, Environment: endpoint.Environment,
		BodySHA256: sha256.Sum256(body), ReceivedAt: now, Status: Pending,
	}
	env, err := reward.ParseEnvelope(body)
	if err != nil || len(env.ID) > maxEventID {
		e.EventID = "sha256:" + hex.EncodeToString(e.BodySHA256[:])
		// A repeated delivery of the same bytes must find the same row, so the time is derived from nothing.
		e.Created = time.Unix(0, 0).UTC()
		e.Status, e.Reason = Dead, ReasonNotJSON
		return e
	}
	e.EventID, e.Type, e.ObjectID, e.APIVersion = env.ID, env.Type, env.ObjectID, env.APIVersion
	e.Created, e.Livemode = env.Created, env.Livemode
	switch {
	case env.Thin:
		e.Status, e.Reason = Ignored, ReasonThin
	case account.EnvironmentOf(env.Livemode) != endpoint.Environment, env.ObjectLivemode != nil && *env.ObjectLivemode != env.Livemode:
		e.Status, e.Reason = Quarantined, ReasonModeMismatch
	case env.Account != "" && env.Account != endpoint.StripeAccountID:
		e.Status, e.Reason = Quarantined, ReasonAccountMismatch
	case endpoint.Paused:
		e.Reason = ReasonPaused
	}
	return e
}
