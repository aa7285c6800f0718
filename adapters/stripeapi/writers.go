package stripeapi

import (
	"context"

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

// Prove returns the proof that an issuer connection is live: its declared
// environment, its key and an object of Stripe's agree.
func (w *Writers) Prove(ctx context.Context, connectionID string) (account.LiveProof, error) {
	_, _, proof, err := w.prove(ctx, connectionID)
	return proof, err
}

func (w *Writers) prove(ctx context.Context, connectionID string) (account.Connection, account.SecretKey, account.LiveProof, error) {
	conn, key, err := w.c.connect(ctx, connectionID)
	if err != nil {
		return conn, key, account.LiveProof{}, err
	}
	var seen account.Observation
	// A test connection is refused on what is declared, without a request.
	if conn.Environment == account.Live && conn.Roles.Issuer {
		if seen, err = w.c.observation(ctx, conn, key); err != nil {
			return conn, key, account.LiveProof{}, err
		}
	}
	proof, err := account.ProveLive(conn, key, seen)
	if err != nil {
		return conn, key, account.LiveProof{}, err
	}
	if conn.StripeAccountID != "" && seen.StripeAccountID != "" && conn.StripeAccountID != seen.StripeAccountID {
		return conn, key, account.LiveProof{}, fault.New(fault.Forbidden, "stripe_account_mismatch", "connection %s: the key belongs to another Stripe account than the connection", connectionID).
			Fix("Nothing was written. Give the connection a key of its own Stripe account")
	}
	return conn, key, proof, nil
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
	conn, key, proof, err := w.prove(ctx, plan.Key.IssuerConnection)
	if err != nil {
		return nil, err
	}
	if conn.Paused {
		return nil, fault.New(fault.Conflict, "connection_paused", "connection %s is paused", conn.ID).
			Fix("Resume the connection, then continue the write-back")
	}
	return newWriter(w.c, proof, conn, key, plan)
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
	// Live, whatever the connection says: a writer accepts live objects and no others.
	out.s = c.open(writerRole, key, account.Live, c.limiter(connectionID, account.Live)).of(connectionID, c)
	out.s.record = out.note
	return out
}
