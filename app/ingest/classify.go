package ingest

import (
	"context"
	"errors"
	"time"

	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/secret"
	"github.com/liftbill/liftbill/app/uow"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/projection"
	"github.com/liftbill/liftbill/domain/reward"
)

// batchEvents bounds one classifier transaction.
const batchEvents = 500

// Classifier turns stored events into reward events. Several may run at once:
// each takes a batch of its own under row locks.
type Classifier struct {
	Work   uow.UnitOfWork[Stores]
	Source SourceReader
	Reads  ReadQueue
	Box    secret.Box
	Clock  clock.Clock
}

// ReadQueue holds the objects that have to be read at Stripe.
type ReadQueue interface {
	// PendingReads lists reads that wait behind the given one, by connection and object;
	// an empty connection means all of them.
	PendingReads(ctx context.Context, connectionID string, after PendingRead, limit int) ([]PendingRead, error)
	// FinishRead stores what was learnt and marks the read, in one transaction. A read
	// that was asked for again since it was listed stays pending.
	FinishRead(ctx context.Context, r PendingRead, result ReadResult, at time.Time) error
}

// PendingRead is one object that waits to be read.
type PendingRead struct {
	ConnectionID string
	Object       string
	ObjectID     string
	Reason       string
	// Asked counts how often it was asked for, up to now.
	Asked     int
	UserIDKey string
}

// ReadResult is what a read gave: the owner of a charge and the facts of its refunds,
// and what the objects that were read say of themselves.
type ReadResult struct {
	Charge *Charge
	Facts  []reward.Fact
	Seen   []projection.Observation
	Failed string
}

// Drain classifies until nothing is pending and returns what was booked.
func (c *Classifier) Drain(ctx context.Context) (Booked, error) {
	var total Booked
	for {
		b, err := c.Step(ctx)
		total.Events += b.Events
		total.Facts += b.Facts
		total.Duplicates += b.Duplicates
		total.Links += b.Links
		if err != nil || b.Events == 0 {
			return total, err
		}
	}
}

// Step classifies one batch in one transaction.
func (c *Classifier) Step(ctx context.Context) (Booked, error) {
	var booked Booked
	err := c.Work.Do(ctx, func(ctx context.Context, st Stores) error {
		events, err := st.Queue.Take(ctx, batchEvents)
		if err != nil || len(events) == 0 {
			return err
		}
		outcomes := make([]Outcome, len(events))
		for i, e := range events {
			outcomes[i] = c.classify(e)
		}
		booked, err = st.Queue.Book(ctx, outcomes, c.Clock.Now())
		return err
	})
	return booked, err
}

func (c *Classifier) classify(e PendingEvent) Outcome {
	out := Outcome{Event: e, Status: Processed}
	body, err := c.Box.Open(BodyContext(e.ConnectionID), e.SealedBody)
	if err != nil {
		out.Status, out.Reason = Dead, "body_unreadable"
		return out
	}
	got, err := reward.Classify(body, reward.Config{UserIDKey: e.UserIDKey})
	switch {
	case err != nil:
		out.Status, out.Reason = Dead, fault.CodeOf(err)
		return out
	case got.Anomaly != "":
		out.Status, out.Reason = Quarantined, got.Anomaly
	case got.Ignored != "":
		out.Status, out.Reason = Ignored, got.Ignored
	}
	out.Facts = got.Facts
	out.Reads = got.NeedsRead
	out.Seen = projection.Observe(got)
	return out
}

// ReadPending reads the charges that refunds and disputes of a connection wait for; an
// empty connection means all connections. A charge that cannot be read now stays
// pending and keeps no other one from being read; all errors are returned together.
func (c *Classifier) ReadPending(ctx context.Context, connectionID string) (int, error) {
	var after PendingRead
	var errs []error
	done := 0
	for {
		reads, err := c.Reads.PendingReads(ctx, connectionID, after, batchEvents)
		if err != nil || len(reads) == 0 {
			return done, errors.Join(append(errs, err)...)
		}
		for _, r := range reads {
			after = r
			result, err := c.read(ctx, r)
			if err == nil {
				err = c.Reads.FinishRead(ctx, r, result, c.Clock.Now())
			}
			if err != nil {
				errs = append(errs, err)
				continue
			}
			done++
		}
	}
}

func (c *Classifier) read(ctx context.Context, r PendingRead) (ReadResult, error) {
	readAt := c.Clock.Now() // before the request: the answer is not older
	charge, err := c.Source.Charge(ctx, r.ConnectionID, r.ObjectID)
	if fault.Is(err, fault.NotFound) {
		return ReadResult{Failed: "the charge does not exist at Stripe"}, nil
	}
	if err != nil {
		return ReadResult{}, err
	}
	refunds, err := c.Source.RefundsOf(ctx, r.ConnectionID, r.ObjectID)
	if err != nil {
		return ReadResult{}, err
	}
	result := ReadResult{Charge: &charge}
	if len(charge.Raw) > 0 {
		got, err := reward.ClassifyObject(charge.Raw, readAt, reward.Config{UserIDKey: r.UserIDKey})
		if err != nil {
			return ReadResult{}, err
		}
		result.Seen = append(result.Seen, projection.Observe(got))
	}
	for _, raw := range refunds {
		got, err := reward.ClassifyObject(raw, c.Clock.Now(), reward.Config{UserIDKey: r.UserIDKey})
		if err != nil {
			return ReadResult{}, err
		}
		result.Facts = append(result.Facts, got.Facts...)
	}
	return result, nil
}
