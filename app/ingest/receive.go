package ingest

import (
	"context"
	"crypto/sha256"
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

// Delivery is one request as it came in. Body is the raw body, untouched.
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
)

// ReasonResolved marks an event that could not be understood and whose object has told since.
const ReasonResolved = "resolved_by_read"

// BodyContext binds a sealed body to its connection.
func BodyContext(connectionID string) string { return "event-body:" + connectionID }

// Receive verifies the signature over the raw body and stores the bytes; when it
// returns without error the event is committed, or was there before. NotFound is
// an unknown endpoint, Invalid a bad signature (nothing is stored), Unavailable a
// store that cannot take it now (Stripe will deliver again).
func (s *Service) Receive(ctx context.Context, d Delivery) (Receipt, error) {
	endpoint, err := s.Endpoints.WebhookEndpoint(ctx, d.EndpointID)
	if err != nil {
		return Receipt{}, err
	}
	if len(endpoint.Secrets) == 0 {
		// Nothing can be verified yet, and nothing is wrong with the delivery: Stripe keeps it.
		return Receipt{}, fault.New(fault.Unavailable, "secret_missing", "the endpoint has no signing secret").Fix("Register the webhook of connection %s again", endpoint.ConnectionID)
	}
	now := s.Clock.Now()
	if err := s.Verifier.Verify(d.Body, d.SignatureHeader, endpoint.Secrets, now); err != nil {
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

// describe reads the envelope and decides, by rule and not by meaning, whether the
// event waits for the classifier or is set aside. A body that is no event is kept
// under its digest.
func (s *Service) describe(endpoint Endpoint, body []byte, now time.Time) StoredEvent {
	e := StoredEvent{
		ConnectionID: endpoint.ConnectionID, Environment: endpoint.Environment,
		BodySHA256: sha256.Sum256(body), ReceivedAt: now, Status: Pending,
	}
	env, err := reward.ParseEnvelope(body)
	if err != nil {
		e.EventID = "sha256:" + hexDigest(e.BodySHA256)
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
	case account.EnvironmentOf(env.Livemode) != endpoint.Environment:
		e.Status, e.Reason = Quarantined, ReasonModeMismatch
	case env.Account != "" && env.Account != endpoint.StripeAccountID:
		e.Status, e.Reason = Quarantined, ReasonAccountMismatch
	case endpoint.Paused:
		e.Reason = ReasonPaused
	}
	return e
}

func hexDigest(d [32]byte) string {
	const digits = "0123456789abcdef"
	out := make([]byte, 0, 64)
	for _, b := range d {
		out = append(out, digits[b>>4], digits[b&15])
	}
	return string(out)
}
