package onboard

import (
	"context"
	"strconv"
	"strings"

	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/fault"
)

// mayDo asks again what the edge has asked about the connection's accounts.
func mayDo(by access.Principal, c SealedConnection) error {
	if err := access.RequirePermission(by, access.WriteSetup); err != nil {
		return err
	}
	if !by.Scope.Reaches(c.Environment) {
		return access.Hidden(access.Connection, c.ID)
	}
	return nil
}

// change loads a connection, changes it in one transaction and logs what was done.
func (s *Service) change(ctx context.Context, id string, by access.Principal, e LogEntry, action audit.Action, fn func(ctx context.Context, st Stores, c SealedConnection) (done bool, err error)) (account.Connection, error) {
	var out account.Connection
	e.At, e.Who = s.Clock.Now(), by.Label()
	err := s.Work.Do(ctx, func(ctx context.Context, st Stores) error {
		c, err := st.Connections.Connection(ctx, id)
		if err != nil {
			return err
		}
		if err := mayDo(by, c); err != nil {
			return err
		}
		done, err := fn(ctx, st, c)
		if err != nil {
			return err
		}
		if done {
			if err := st.Connections.AppendLog(ctx, id, e); err != nil {
				return err
			}
		}
		was := c
		if c, err = st.Connections.Connection(ctx, id); err != nil {
			return err
		}
		out = c.Connection
		if !done {
			return nil
		}
		return st.Audit.Append(ctx, s.note(by, action, "connection", id).In("", c.Environment).Because(e.Detail).Changed(connectionFacts(was.Connection), connectionFacts(c.Connection)))
	})
	return out, err
}

// Pause stops a connection: its events are stored and wait, nothing is read from it and
// nothing written with it. Paused again it keeps its first reason.
func (s *Service) Pause(ctx context.Context, by access.Principal, id, reason string) (account.Connection, error) {
	reason = strings.TrimSpace(reason)
	if reason == "" || len(reason) > 500 {
		return account.Connection{}, fault.InvalidField("reason", "reason_missing", "say why, in 1 to 500 characters")
	}
	return s.pause(ctx, by, id, reason)
}

func (s *Service) pause(ctx context.Context, by access.Principal, id, reason string) (account.Connection, error) {
	return s.change(ctx, id, by, LogEntry{Action: "paused", Detail: reason}, audit.ConnectionPaused, func(ctx context.Context, st Stores, c SealedConnection) (bool, error) {
		if c.Paused {
			return false, nil
		}
		return true, st.Connections.SavePause(ctx, s.paused(c.Connection, reason, by.Label()))
	})
}

func (s *Service) paused(c account.Connection, reason, who string) account.Connection {
	c.Paused, c.PausedReason, c.PausedBy, c.PausedAt = true, reason, who, s.Clock.Now()
	return c
}

// KeyRefused pauses a connection whose key Stripe does not accept any more. It is told by
// the Stripe client; a connection that is paused already keeps its reason.
func (s *Service) KeyRefused(ctx context.Context, id string) error {
	_, err := s.pause(ctx, access.Machine("stripe"), id, account.PauseKeyRevoked)
	return err
}

// Resume lets a connection run again, after Stripe has accepted its key. The events that
// waited are classified.
func (s *Service) Resume(ctx context.Context, by access.Principal, id string) (account.Connection, error) {
	conn, _, err := s.endpointFor(ctx, by, id)
	if err != nil {
		return account.Connection{}, err
	}
	key, err := s.openKey(conn)
	if err != nil {
		return account.Connection{}, err
	}
	if err := s.accepted(ctx, conn.Connection, key); err != nil {
		return account.Connection{}, err
	}
	return s.change(ctx, id, by, LogEntry{Action: "resumed"}, audit.ConnectionResumed, func(ctx context.Context, st Stores, c SealedConnection) (bool, error) {
		if !c.Paused {
			return false, nil
		}
		return true, st.Connections.SavePause(ctx, running(c.Connection))
	})
}

// SwitchWriting switches the writing of invoices on a connection on or off, whatever else
// it does.
func (s *Service) SwitchWriting(ctx context.Context, by access.Principal, id string, on bool, reason string) (account.Connection, error) {
	if err := checkReason(&reason); err != nil {
		return account.Connection{}, err
	}
	action := "writing_off"
	if on {
		action = "writing_on"
	}
	return s.change(ctx, id, by, LogEntry{Action: action, Detail: reason}, audit.ConnectionWriting, func(ctx context.Context, st Stores, c SealedConnection) (bool, error) {
		if c.WriteBackOff == !on {
			return false, nil
		}
		return true, st.Connections.SaveWriting(ctx, id, on)
	})
}

func running(c account.Connection) account.Connection {
	return account.Connection{ID: c.ID}
}

// accepted checks that Stripe accepts a key for a connection: its mode and its account.
func (s *Service) accepted(ctx context.Context, c account.Connection, key account.SecretKey) error {
	seen, err := s.Prober.Observe(ctx, key)
	if err != nil {
		return err
	}
	if key.Environment() != c.Environment || (seen.LivemodeSeen && account.EnvironmentOf(seen.Livemode) != c.Environment) {
		return fault.InvalidField("secret_key", "key_mode_mismatch", "the key does not belong to %s mode", c.Environment).
			Fix("Paste a key of the %s mode of that Stripe account", c.Environment)
	}
	if c.StripeAccountID != "" && seen.StripeAccountID != "" && seen.StripeAccountID != c.StripeAccountID {
		return fault.InvalidField("secret_key", "stripe_account_mismatch", "the key belongs to Stripe account %s, the connection to %s", seen.StripeAccountID, c.StripeAccountID).
			Fix("Paste a key of the connection's own Stripe account; another account needs a connection of its own")
	}
	return nil
}

// ReplaceKey gives a connection another key of the same Stripe account, and lets it run
// again when it was paused because of the old one. History and mapping stay.
func (s *Service) ReplaceKey(ctx context.Context, by access.Principal, id, secretKey string) (account.Connection, error) {
	key, err := account.ParseSecretKey(secretKey)
	if err != nil {
		return account.Connection{}, err
	}
	conn, _, err := s.endpointFor(ctx, by, id)
	if err != nil {
		return account.Connection{}, err
	}
	if err := s.accepted(ctx, conn.Connection, key); err != nil {
		return account.Connection{}, err
	}
	sealed, err := s.Box.Seal(KeyContext(id), []byte(key.Reveal()))
	if err != nil {
		return account.Connection{}, err
	}
	return s.change(ctx, id, by, LogEntry{Action: "key_replaced", Detail: key.Masked()}, audit.ConnectionKey, func(ctx context.Context, st Stores, c SealedConnection) (bool, error) {
		if err := st.Connections.SaveKey(ctx, id, sealed, key.Masked()); err != nil {
			return false, err
		}
		if c.KeyGone() {
			return true, st.Connections.SavePause(ctx, running(c.Connection))
		}
		return true, nil
	})
}

// Disconnect deletes a connection's key and its endpoint at Stripe, as far as the key
// still can. What was received, billed and proven with it stays.
func (s *Service) Disconnect(ctx context.Context, by access.Principal, id string) (account.Connection, error) {
	err := s.alone(ctx, id, func(ctx context.Context) error {
		conn, e, err := s.endpointFor(ctx, by, id)
		if err != nil || e.SetUp != Registered || e.StripeID == "" || len(conn.SealedKey) == 0 {
			return err
		}
		key, err := s.openKey(conn)
		if err != nil {
			return err
		}
		for _, stripeID := range []string{e.StripeID, e.RetiringID} {
			if stripeID == "" {
				continue
			}
			err := s.Registrar.Delete(ctx, key, id, stripeID)
			if err != nil && !fault.Is(err, fault.Forbidden) {
				return err
			}
		}
		was := e
		e.Status, e.RetiringID = StatusMissing, ""
		return s.saveEndpoint(ctx, by, was, e, audit.EndpointDeleted, "webhook_deleted", "")
	})
	if err != nil {
		return account.Connection{}, err
	}
	return s.change(ctx, id, by, LogEntry{Action: "disconnected"}, audit.ConnectionGone, func(ctx context.Context, st Stores, c SealedConnection) (bool, error) {
		if err := st.Connections.SaveKey(ctx, id, nil, "(no key)"); err != nil {
			return false, err
		}
		return true, st.Connections.SavePause(ctx, s.paused(c.Connection, account.PauseDisconnected, by.Label()))
	})
}

// CheckKey asks Stripe what the connection's key may do, compares it with what the
// connection's roles need, and keeps the report.
func (s *Service) CheckKey(ctx context.Context, by access.Principal, id string) (KeyReport, error) {
	conn, _, err := s.endpointFor(ctx, by, id)
	if err != nil {
		return KeyReport{}, err
	}
	key, err := s.openKey(conn)
	if err != nil {
		return KeyReport{}, err
	}
	if err := s.accepted(ctx, conn.Connection, key); err != nil {
		return KeyReport{}, err
	}
	seen, err := s.Prober.Permissions(ctx, key)
	if err != nil {
		return KeyReport{}, err
	}
	r := KeyReport{
		ConnectionID: id, KeyMask: key.Masked(), Environment: conn.Environment, CheckedBy: by.Label(), CheckedAt: s.Clock.Now(),
		Findings: account.Review(key, conn.Roles, seen),
	}
	return r, s.Work.Do(ctx, func(ctx context.Context, st Stores) error {
		if err := st.Connections.SaveReport(ctx, r); err != nil {
			return err
		}
		return st.Audit.Append(ctx, s.note(by, audit.KeyChecked, "connection", id).In("", r.Environment).Changed(nil, audit.Facts{"key_mask": r.KeyMask, "ok": strconv.FormatBool(r.OK())}))
	})
}

// KeyReport returns the report of the last check.
func (s *Service) KeyReport(ctx context.Context, id string) (r KeyReport, err error) {
	err = s.Work.Do(ctx, func(ctx context.Context, st Stores) error {
		c, err := st.Connections.Connection(ctx, id)
		if err != nil {
			return err
		}
		r, err = st.Connections.Report(ctx, id)
		r.Replaced = r.KeyMask != c.KeyMask
		return err
	})
	return r, err
}

// maxLog bounds what is shown of a connection's log.
const maxLog = 200

// Log lists what was done to a connection, newest first.
func (s *Service) Log(ctx context.Context, id string) (out []LogEntry, err error) {
	err = s.Work.Do(ctx, func(ctx context.Context, st Stores) error {
		if _, err := st.Connections.Connection(ctx, id); err != nil {
			return err
		}
		out, err = st.Connections.Log(ctx, id, maxLog)
		return err
	})
	return out, err
}
