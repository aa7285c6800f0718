package ingest

import (
	"context"
	"errors"
	"time"

	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/projection"
	"github.com/liftbill/liftbill/domain/reward"
	"github.com/liftbill/liftbill/domain/source"
)

// ReadQueue holds the objects that have to be read at Stripe.
type ReadQueue interface {
	// PendingReads lists reads that wait, by connection, object and ID.
	PendingReads(ctx context.Context, f ReadFilter, limit int) ([]PendingRead, error)
	// FinishRead books what was seen and marks the read, in one transaction. A read that
	// was asked for again since it was listed stays pending.
	FinishRead(ctx context.Context, r PendingRead, seen []reward.Observation, at time.Time) error
	// PostponeRead remembers that a read failed, and books what Stripe does not have any more.
	PostponeRead(ctx context.Context, r PendingRead, p Postponed, at time.Time) error
	// Budget is a connection's read allowance; AddReads counts what was read.
	Budget(ctx context.Context, connectionID string, at time.Time) (source.Budget, error)
	AddReads(ctx context.Context, connectionID string, reads int, at time.Time) error
}

// ReadFilter selects pending reads.
type ReadFilter struct {
	// ConnectionID is one connection; empty means all.
	ConnectionID string
	// Facts leaves out what no fact waits for: the names of products.
	Facts bool
	// After is the last read that was listed.
	After PendingRead
	// DueAt leaves out those that are to be tried later; zero means all, also those that
	// were given up only because they failed too often.
	DueAt time.Time
}

// PendingRead is one object that waits to be read.
type PendingRead struct {
	ConnectionID string
	Object       string
	ObjectID     string
	Reason       string
	// Asked counts how often it was asked for, Attempts how often it failed since.
	Asked     int
	Attempts  int
	UserIDKey string
	// ReadEmail: the connection maps by an address.
	ReadEmail bool
}

// Postponed is when a read is tried again, or that it is not.
type Postponed struct {
	Reason, Action string
	Attempts       int
	NextAttempt    time.Time
	// Final hands the read to a person.
	Final bool
	// Gone is what Stripe does not have any more, for objects that can be deleted. It is
	// an answer: nobody has to look.
	Gone *projection.Observation
}

// MaxAttempts is how often a read is tried before a person is asked. With the pauses
// between them this takes about half a day.
const MaxAttempts = 16

// ReadDue reads what is due, as far as the read allowance of each connection goes.
// Stripe's refusals are remembered with each read; one connection that is refused
// keeps no other one waiting. The errors are returned together.
func (c *Classifier) ReadDue(ctx context.Context) (int, error) {
	return c.readAll(ctx, ReadFilter{DueAt: c.Clock.Now()}, true)
}

// ReadPending reads all that the facts of a connection wait for, whenever it was to be
// tried again; an empty connection means all of them. An object that cannot be read now
// stays pending and keeps no other one from being read; all errors are returned together.
func (c *Classifier) ReadPending(ctx context.Context, connectionID string) (int, error) {
	return c.readAll(ctx, ReadFilter{ConnectionID: connectionID, Facts: true}, false)
}

func (c *Classifier) readAll(ctx context.Context, f ReadFilter, within bool) (int, error) {
	var errs []error
	done := 0
	now := &reading{c: c, within: within}
	for {
		reads, err := c.Reads.PendingReads(ctx, f, batchEvents)
		if err != nil || len(reads) == 0 {
			return done, errors.Join(append(errs, err, now.close(ctx))...)
		}
		for _, r := range reads {
			f.After = r
			ok, err := now.one(ctx, r)
			if err != nil {
				errs = append(errs, err)
			}
			if ok {
				done++
			}
		}
	}
}

// reading is one pass over the queue, connection by connection.
type reading struct {
	c *Classifier
	// within keeps to the read allowance.
	within       bool
	connectionID string
	// left is how many reads the connection may still make, spare how many of them for
	// names; stopped ends its turn.
	left, spare int
	stopped     bool
}

// one reads one object; it reports whether the read was finished.
func (p *reading) one(ctx context.Context, r PendingRead) (bool, error) {
	if r.ConnectionID != p.connectionID {
		if err := p.turn(ctx, r.ConnectionID); err != nil {
			return false, err
		}
	}
	name := r.Object == nameOnly
	if p.stopped || (p.within && (p.left <= 0 || (name && p.spare <= 0))) {
		return false, nil
	}
	asked := p.c.Clock.Now() // before the request: the answer is not older
	seen, err := p.c.read(ctx, r, asked)
	p.left, p.spare = p.left-readsOf[r.Object]-1, p.spare-readsOf[r.Object]-1
	at := p.c.Clock.Now()
	if err == nil {
		return true, p.c.Reads.FinishRead(ctx, r, seen, at)
	}
	p.stopped = concernsAll(err)
	if ctx.Err() != nil {
		return false, err
	}
	later := postponed(r, err, at)
	if gone := projection.Gone(r.Object, r.ObjectID, asked); fault.Is(err, fault.NotFound) && !gone.Empty() {
		later.Gone = &gone
	}
	if name || (later.Final && later.Attempts < MaxAttempts) {
		err = nil // no later attempt could end otherwise, or nothing waits for one
	}
	return err == nil, errors.Join(err, p.c.Reads.PostponeRead(ctx, r, later, at))
}

// nameOnly is the kind of object that is read for its name alone. Keys need no
// permission for it: names stay empty without.
const nameOnly = "product"

// readsOf is how many requests an object takes beyond its own.
var readsOf = map[string]int{"charge": 1}

// turn begins with a connection.
func (p *reading) turn(ctx context.Context, connectionID string) error {
	err := p.close(ctx)
	p.connectionID, p.stopped = connectionID, false
	if err != nil || !p.within {
		return err
	}
	b, err := p.c.Reads.Budget(ctx, connectionID, p.c.Clock.Now())
	p.left, p.spare = b.Left(source.ForMoney), b.Left(source.ForBackfill)
	return err
}

// close counts what the last connection's turn has read.
func (p *reading) close(ctx context.Context) error {
	if p.connectionID == "" {
		return nil
	}
	return p.c.Reads.AddReads(ctx, p.connectionID, p.c.Source.TakeReads(p.connectionID), p.c.Clock.Now())
}

// concernsAll reports whether the next read of the connection would meet the same error.
func concernsAll(err error) bool {
	return fault.Is(err, fault.RateLimited) || fault.CodeOf(err) == "stripe_auth"
}

// postponed says when a read that failed is tried again. Being asked to slow down does
// not count against it.
func postponed(r PendingRead, err error, at time.Time) Postponed {
	p := Postponed{Reason: fault.CodeOf(err), Attempts: r.Attempts, NextAttempt: at.Add(source.Backoff(r.Attempts))}
	var e *fault.Error
	if errors.As(err, &e) {
		p.Action = e.Remedy
	}
	var asked interface{ RetryAfter() time.Duration }
	if errors.As(err, &asked) {
		p.NextAttempt = at.Add(asked.RetryAfter())
		return p
	}
	p.Attempts++
	p.Final = final[fault.KindOf(err)] || p.Attempts >= MaxAttempts || (r.Object == nameOnly && fault.Is(err, fault.Forbidden))
	if p.Final && p.Action == "" {
		p.Action = "Look at " + r.ObjectID + " in the Stripe Dashboard; the next event about it reads it again"
	}
	return p
}

// final are the errors that no later attempt mends.
var final = map[fault.Kind]bool{fault.NotFound: true, fault.Invalid: true}

// read fetches an object and what belongs to it, in the pinned version; it was asked for
// at seenAt.
func (c *Classifier) read(ctx context.Context, r PendingRead, seenAt time.Time) ([]reward.Observation, error) {
	raw, err := c.Source.Object(ctx, r.ConnectionID, r.Object, r.ObjectID)
	if err != nil {
		return nil, err
	}
	raws := [][]byte{raw}
	if r.Object == "charge" {
		refunds, err := c.Source.RefundsOf(ctx, r.ConnectionID, r.ObjectID)
		if err != nil {
			return nil, err
		}
		raws = append(raws, refunds...)
	}
	out := make([]reward.Observation, 0, len(raws))
	for _, raw := range raws {
		o, err := reward.Observe(raw, seenAt, reward.Config{UserIDKey: r.UserIDKey, ReadEmail: r.ReadEmail})
		if err != nil {
			return nil, err
		}
		if r.Object == "charge" && len(out) == 0 && o.Owner == nil {
			return nil, fault.New(fault.Unavailable, "stripe_bad_answer", "charge %s came without its invoice", r.ObjectID)
		}
		if o.Anomaly != "" {
			return nil, fault.New(fault.Invalid, o.Anomaly, "%s %s cannot be understood", o.Envelope.ObjectType, o.Envelope.ObjectID)
		}
		// The read itself is the answer to what an object asks about itself.
		o.NeedsRead = nil
		out = append(out, o)
	}
	return out, nil
}
