package stripeapi

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

// Writers opens writers of invoices. It is the first layer of test-mode safety:
// a writer of anything but a proven live issuer cannot be had.
type Writers struct{ c *Client }

var _ invoicing.Writers = (*Writers)(nil)

// NewWriters makes the source of writers.
func NewWriters(c *Client) *Writers { return &Writers{c: c} }

// Witness reads the payer and takes it as the object that proves live mode. Stripe's
// identifiers belong to one account, so a payer that is there also says that the key is
// one of the payer's account.
func (w *Writers) Witness(ctx context.Context, connectionID, customer string) (account.LiveProof, invoicing.Payer, error) {
	i, err := w.c.issuer(ctx, connectionID)
	if err != nil {
		return account.LiveProof{}, invoicing.Payer{}, err
	}
	payer, err := w.c.payerOf(ctx, i, customer)
	if err != nil {
		return account.LiveProof{}, payer, err
	}
	proof, err := w.c.proveIssuer(ctx, i)
	return proof, payer, err
}

// Prove returns the proof that an issuer connection is live. What an answer says about
// a key cannot change, so it is good for some minutes.
func (w *Writers) Prove(ctx context.Context, connectionID, customer string) (account.LiveProof, error) {
	i, err := w.c.issuer(ctx, connectionID)
	if err != nil {
		return account.LiveProof{}, err
	}
	if _, ok := w.c.remembered(i.key); !ok && i.mayBeLive() && customer != "" {
		if _, err := w.c.payerOf(ctx, i, customer); err != nil {
			return account.LiveProof{}, err
		}
	}
	return w.c.proveIssuer(ctx, i)
}

// issuer is a connection that is to write, with its key.
type issuer struct {
	conn account.Connection
	key  account.SecretKey
}

// mayBeLive is false for a connection that is refused on what is declared, without a request.
func (i issuer) mayBeLive() bool { return i.conn.Environment == account.Live && i.conn.Roles.Issuer }

func (c *Client) issuer(ctx context.Context, connectionID string) (issuer, error) {
	conn, key, err := c.connect(ctx, connectionID)
	return issuer{conn, key}, err
}

// witnessRole reads once: whoever drives the write-back decides about another attempt.
var witnessRole = role{name: "witness", liveOnly: true}

// payerOf reads the payer of a connection that may be live, and remembers what it says
// about the key. A customer that is not there is a deleted payer.
func (c *Client) payerOf(ctx context.Context, i issuer, customer string) (invoicing.Payer, error) {
	if !i.mayBeLive() {
		return invoicing.Payer{}, nil
	}
	path, err := objectPath(customersPath, customer)
	if err != nil {
		return invoicing.Payer{}, err
	}
	// No environment: the mode of what comes back is the question here.
	s := c.open(witnessRole, i.key, "", c.limiter(i.conn.ID, i.conn.Environment)).of(i.conn.ID, c)
	raw, err := s.call(ctx, request{op: "customer.get", method: http.MethodGet, path: path})
	if fault.Is(err, fault.NotFound) {
		return invoicing.Payer{ID: customer, Deleted: true}, nil
	}
	if err != nil {
		return invoicing.Payer{}, err
	}
	payer, err := decodePayer(raw)
	if live := livemodeOf(raw); err == nil && live != nil {
		c.remember(i.key, account.Observation{Livemode: *live, LivemodeSeen: true})
	}
	return payer, err
}

// proveIssuer puts declaration, key and observation together.
func (c *Client) proveIssuer(ctx context.Context, i issuer) (account.LiveProof, error) {
	var seen account.Observation
	var err error
	if i.mayBeLive() {
		if seen, err = c.observation(ctx, i.conn, i.key); err != nil {
			return account.LiveProof{}, err
		}
	}
	proof, err := account.ProveLive(i.conn, i.key, seen)
	if err != nil {
		return account.LiveProof{}, err
	}
	if i.conn.StripeAccountID != "" && seen.StripeAccountID != "" && i.conn.StripeAccountID != seen.StripeAccountID {
		return account.LiveProof{}, fault.New(fault.Forbidden, "stripe_account_mismatch", "connection %s: the key belongs to another Stripe account than the connection", i.conn.ID).
			Fix("Nothing was written. Give the connection a key of its own Stripe account")
	}
	return proof, nil
}

// Open opens the writer of one authorised plan. The connection and its key are read
// again and proven live again: both may have changed since the authorisation.
func (w *Writers) Open(ctx context.Context, wb billing.WriteBack) (invoicing.Writer, error) {
	if !wb.Valid() {
		return nil, modeViolation("nobody authorised this write-back")
	}
	plan := wb.Plan()
	if err := checkPlan(plan); err != nil {
		return nil, err
	}
	if err := w.c.stillOpen(ctx, plan.AccountID); err != nil {
		return nil, err
	}
	i, proof, err := w.c.readyIssuer(ctx, plan.Key.IssuerConnection)
	if err != nil {
		return nil, err
	}
	return newWriter(w.c, proof, i.conn, i.key, plan)
}

// stillOpen asks once more whether the account's invoices may be written.
func (c *Client) stillOpen(ctx context.Context, accountID string) error {
	if c.cfg.Writing == nil {
		return nil
	}
	s, err := c.cfg.Writing(ctx, accountID)
	if err != nil {
		return err
	}
	_, err = s.Permit()
	return err
}

// readyIssuer is a connection that is proven live again, is not paused, and may write.
func (c *Client) readyIssuer(ctx context.Context, connectionID string) (issuer, account.LiveProof, error) {
	i, err := c.issuer(ctx, connectionID)
	if err != nil {
		return i, account.LiveProof{}, err
	}
	proof, err := c.proveIssuer(ctx, i)
	switch {
	case err != nil:
		return i, account.LiveProof{}, err
	case i.conn.KeyGone():
		return i, account.LiveProof{}, auth(refusal{})
	case i.conn.Paused:
		return i, account.LiveProof{}, fault.New(fault.Conflict, invoicing.CodeConnectionPaused, "connection %s is paused", i.conn.ID).
			Fix("Resume the connection, then continue the write-back")
	case i.conn.WriteBackOff:
		return i, account.LiveProof{}, fault.New(fault.Conflict, invoicing.CodeWriteBackOff, "writing is switched off on connection %s", i.conn.ID).
			Fix("Switch it on, then continue the write-back")
	}
	return i, proof, nil
}

// newWriter is the only constructor of a writer; the proof is what it costs.
func newWriter(c *Client, proof account.LiveProof, conn account.Connection, key account.SecretKey, plan billing.InvoicePlan) (*writer, error) {
	if proof.ConnectionID() == "" || proof.ConnectionID() != conn.ID || conn.ID != plan.Key.IssuerConnection {
		return nil, modeViolation("connection %s is not the proven issuer of the plan", conn.ID)
	}
	return c.writerOf(key, conn.ID, plan), nil
}

func (c *Client) writerOf(key account.SecretKey, connectionID string, plan billing.InvoicePlan) *writer {
	out := &writer{plan: plan, key: plan.Key.StripeKey()}
	out.wire = c.liveWire(writerRole, key, connectionID)
	return out
}

// liveWire is what every writer sends through: its role, the log of its calls, and the
// halt after the first answer of the other mode.
type liveWire struct {
	s    *session
	note callNotes
}

// Live, whatever the connection says: a writer accepts live objects and no others.
func (c *Client) liveWire(r role, key account.SecretKey, connectionID string) *liveWire {
	out := &liveWire{s: c.open(r, key, account.Live, c.limiter(connectionID, account.Live)).of(connectionID, c)}
	out.s.record = out.note.add
	return out
}

// Calls returns and clears the log of requests.
func (w *liveWire) Calls() []invoicing.Call { return w.note.take() }

func (w *liveWire) get(ctx context.Context, op, collection, id string) (json.RawMessage, error) {
	if err := w.note.halted(); err != nil {
		return nil, err
	}
	return w.s.get(ctx, op, collection, id)
}

func (w *liveWire) send(ctx context.Context, r request) (json.RawMessage, error) {
	if err := w.note.halted(); err != nil {
		return nil, err
	}
	return w.s.call(ctx, r)
}
