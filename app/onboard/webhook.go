package onboard

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/fault"
)

// overlap is how long the previous secret stays valid: Stripe goes on signing with it, and
// delivers again what failed, while a secret is rotated.
const overlap = 24 * time.Hour

// EndpointURL is the address at which Stripe reaches a connection's endpoint. It follows
// from the connection, so that it can be entered by hand before there is an endpoint.
func (s *Service) EndpointURL(connectionID string) string {
	return strings.TrimRight(s.PublicURL, "/") + "/v1/stripe/webhooks/" + endpointID(connectionID)
}

func endpointID(connectionID string) string { return "we-" + connectionID }

// endpoint loads a connection with its endpoint, whose ID is empty when there is none.
func (s *Service) endpoint(ctx context.Context, connectionID string) (conn SealedConnection, e Endpoint, err error) {
	err = s.Work.Do(ctx, func(ctx context.Context, st Stores) error {
		var err error
		if conn, err = st.Connections.Connection(ctx, connectionID); err != nil {
			return err
		}
		e, err = st.Connections.EndpointOf(ctx, connectionID)
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		return err
	})
	return conn, e, err
}

// endpointFor is endpoint for a principal that may change it.
func (s *Service) endpointFor(ctx context.Context, by access.Principal, connectionID string) (SealedConnection, Endpoint, error) {
	if err := access.RequirePermission(by, access.WriteSetup); err != nil {
		return SealedConnection{}, Endpoint{}, err
	}
	conn, e, err := s.endpoint(ctx, connectionID)
	if err == nil {
		err = mayDo(by, conn)
	}
	return conn, e, err
}

// alone lets one caller at a time deal with a connection's endpoint at Stripe.
func (s *Service) alone(ctx context.Context, connectionID string, fn func(context.Context) error) error {
	return s.Locks.Alone(ctx, "webhook-endpoint:"+connectionID, fn)
}

// RegisterWebhook lets Stripe deliver the connection's events to us. A connection that is
// registered at this address already keeps its endpoint, and of two callers at once the
// second one gets what the first one made. An endpoint that was set up by hand stays at
// Stripe and its secret stays valid: what both deliver is stored once.
func (s *Service) RegisterWebhook(ctx context.Context, by access.Principal, connectionID string) (out Endpoint, created bool, err error) {
	err = s.alone(ctx, connectionID, func(ctx context.Context) error {
		conn, old, err := s.endpointFor(ctx, by, connectionID)
		if err != nil {
			return err
		}
		url := s.EndpointURL(connectionID)
		if old.ID != "" && old.URL == url && old.SetUp == Registered && old.Status != StatusMissing {
			out = old
			return nil
		}
		next := Endpoint{ID: endpointID(connectionID), ConnectionID: connectionID, Environment: conn.Environment, URL: url, CreatedAt: s.Clock.Now()}
		if old.ID != "" {
			next.SealedPrevious, next.CreatedAt = old.SealedSecret, old.CreatedAt
			if old.SetUp == Registered {
				until := s.Clock.Now().Add(overlap)
				next.PreviousUntil = &until
			}
		}
		if out, err = s.register(ctx, conn, next, nil); err != nil {
			return err
		}
		created = true
		if err := s.saveEndpoint(ctx, by, old, out, audit.EndpointRegistered, "webhook_registered", ""); err != nil {
			return err
		}
		if old.SetUp != Registered || old.URL == url || old.StripeID == "" {
			return nil
		}
		// The one at our former address delivers to nobody.
		key, err := s.openKey(conn)
		if err != nil {
			return err
		}
		return s.Registrar.Delete(ctx, key, connectionID, old.StripeID)
	})
	return out, created, err
}

// register makes the endpoint at Stripe and seals its secret.
func (s *Service) register(ctx context.Context, conn SealedConnection, e Endpoint, keep []string) (Endpoint, error) {
	key, err := s.openKey(conn)
	if err != nil {
		return Endpoint{}, err
	}
	made, err := s.Registrar.Register(ctx, key, EndpointRequest{ConnectionID: conn.ID, URL: e.URL, Roles: conn.Roles, Keep: keep})
	if err != nil {
		return Endpoint{}, err
	}
	if account.EnvironmentOf(made.Livemode) != conn.Environment {
		return Endpoint{}, fault.New(fault.Forbidden, "mode_violation", "Stripe made a %s endpoint for a %s connection", account.EnvironmentOf(made.Livemode), conn.Environment)
	}
	now := s.Clock.Now()
	e.StripeID, e.SetUp, e.Status, e.APIVersion, e.Events, e.CheckedAt = made.ID, Registered, StatusEnabled, made.APIVersion, made.Events, &now
	e.SealedSecret, err = s.Box.Seal(SecretContext(e.ID), []byte(strings.TrimSpace(made.Secret)))
	return e, err
}

// saveEndpoint stores an endpoint, logs it with its connection and writes it down.
func (s *Service) saveEndpoint(ctx context.Context, by access.Principal, was, e Endpoint, action audit.Action, done, detail string) error {
	return s.Work.Do(ctx, func(ctx context.Context, st Stores) error {
		if err := st.Connections.UpsertEndpoint(ctx, e); err != nil {
			return err
		}
		if err := st.Connections.AppendLog(ctx, e.ConnectionID, LogEntry{Action: done, Detail: detail, Who: by.Label(), At: s.Clock.Now()}); err != nil {
			return err
		}
		return st.Audit.Append(ctx, s.note(by, action, "webhook_endpoint", e.ID).In("", e.Environment).Because(detail).Changed(endpointFacts(was), endpointFacts(e)))
	})
}

// RotateWebhookSecret replaces the signing secret of a registered endpoint. Stripe's API
// cannot roll a secret, so another endpoint takes over: both deliver for a day, what comes
// twice is stored once, and then the old one is deleted.
func (s *Service) RotateWebhookSecret(ctx context.Context, by access.Principal, connectionID string) (out Endpoint, err error) {
	err = s.alone(ctx, connectionID, func(ctx context.Context) error {
		conn, old, err := s.endpointFor(ctx, by, connectionID)
		switch {
		case err != nil:
			return err
		case old.ID == "" || old.SetUp != Registered:
			return fault.New(fault.Conflict, "endpoint_not_registered", "connection %s has no endpoint that we registered", connectionID).
				Fix("Register it, or roll the secret in the Stripe Dashboard and paste the new one")
		case old.RetiringID != "":
			return fault.New(fault.Conflict, "rotation_running", "the last rotation ends at %s", old.PreviousUntil.Format(time.RFC3339))
		}
		until := s.Clock.Now().Add(overlap)
		next := old
		next.SealedPrevious, next.PreviousUntil, next.RetiringID = old.SealedSecret, &until, old.StripeID
		if out, err = s.register(ctx, conn, next, []string{old.StripeID}); err != nil {
			return err
		}
		return s.saveEndpoint(ctx, by, old, out, audit.EndpointRotated, "webhook_secret_rotated", "")
	})
	return out, err
}

// SetWebhookSecret stores the secret of an endpoint that was set up by hand in the Stripe
// Dashboard, for EndpointURL. The secret before it stays valid for a day.
func (s *Service) SetWebhookSecret(ctx context.Context, by access.Principal, connectionID, secret string) (out Endpoint, err error) {
	if secret, err = account.ParseWebhookSecret(secret); err != nil {
		return out, err
	}
	err = s.alone(ctx, connectionID, func(ctx context.Context) error {
		conn, old, err := s.endpointFor(ctx, by, connectionID)
		if err != nil {
			return err
		}
		if old.SetUp == Registered && old.Status != StatusMissing {
			return fault.New(fault.Conflict, "endpoint_registered", "connection %s has an endpoint that we registered, and its secret is known", connectionID).
				Fix("Rotate its secret instead")
		}
		now := s.Clock.Now()
		out = Endpoint{ID: endpointID(connectionID), ConnectionID: connectionID, Environment: conn.Environment, URL: s.EndpointURL(connectionID),
			SetUp: ByHand, Status: StatusUnknown, CreatedAt: now}
		if old.ID != "" {
			kept, err := s.Box.Open(SecretContext(old.ID), old.SealedSecret)
			if err != nil {
				return err
			}
			if string(kept) == secret {
				out = old
				return nil
			}
			until := now.Add(overlap)
			out.SealedPrevious, out.PreviousUntil, out.CreatedAt = old.SealedSecret, &until, old.CreatedAt
		}
		if out.SealedSecret, err = s.Box.Seal(SecretContext(out.ID), []byte(secret)); err != nil {
			return err
		}
		return s.saveEndpoint(ctx, by, old, out, audit.EndpointSecret, "webhook_secret_entered", "")
	})
	return out, err
}

// CheckWebhook asks Stripe how the endpoint is, deletes what a lost answer or a finished
// rotation left there, and forgets a previous secret whose time is over. A key that may
// not see endpoints leaves the status unknown.
func (s *Service) CheckWebhook(ctx context.Context, by access.Principal, connectionID string) (out Endpoint, err error) {
	err = s.alone(ctx, connectionID, func(ctx context.Context) error {
		conn, e, err := s.endpointFor(ctx, by, connectionID)
		if err != nil {
			return err
		}
		if e.ID == "" {
			return fault.New(fault.NotFound, "webhook_endpoint_not_found", "connection %s has no webhook endpoint", connectionID)
		}
		key, err := s.openKey(conn)
		if err != nil {
			return err
		}
		now := s.Clock.Now()
		was := e
		over := e.PreviousUntil != nil && !now.Before(*e.PreviousUntil)
		if over {
			e.SealedPrevious, e.PreviousUntil = nil, nil
		}
		all, err := s.Registrar.Endpoints(ctx, key, connectionID)
		switch {
		case fault.CodeOf(err) == "stripe_permission":
			e.Status = StatusUnknown
		case err != nil:
			return err
		default:
			if err := s.tidy(ctx, key, &e, all, over); err != nil {
				return err
			}
			e.CheckedAt = &now
			e.observe(all)
		}
		out = e
		if e.Status == was.Status {
			return s.Work.Do(ctx, func(ctx context.Context, st Stores) error { return st.Connections.UpsertEndpoint(ctx, e) })
		}
		return s.saveEndpoint(ctx, by, was, e, audit.EndpointChanged, "webhook_"+string(e.Status), "was "+string(was.Status))
	})
	return out, err
}

// tidy deletes endpoints of ours that nobody knows the secret of, and the retiring one
// when its time is over.
func (s *Service) tidy(ctx context.Context, key account.SecretKey, e *Endpoint, all []StripeEndpoint, over bool) error {
	if over {
		if e.RetiringID != "" {
			if err := s.Registrar.Delete(ctx, key, e.ConnectionID, e.RetiringID); err != nil {
				return err
			}
		}
		e.RetiringID = ""
	}
	if e.SetUp != Registered {
		return nil
	}
	for _, at := range all {
		if at.ConnectionID == e.ConnectionID && at.URL == e.URL && at.ID != e.StripeID && at.ID != e.RetiringID {
			if err := s.Registrar.Delete(ctx, key, e.ConnectionID, at.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// observe takes over what Stripe says of the endpoint. One that was set up by hand is
// found by its address.
func (e *Endpoint) observe(all []StripeEndpoint) {
	i := slices.IndexFunc(all, func(at StripeEndpoint) bool {
		if e.SetUp == ByHand {
			return at.URL == e.URL
		}
		return at.ID == e.StripeID
	})
	if i < 0 {
		e.Status = StatusMissing
		return
	}
	at := all[i]
	e.StripeID, e.APIVersion, e.Events, e.Status = at.ID, at.APIVersion, at.Events, StatusDisabled
	if at.Enabled {
		e.Status = StatusEnabled
	}
}
