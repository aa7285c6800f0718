package ingest

import (
	"context"

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

// Drain classifies until nothing is pending and returns what was booked.
func (c *Classifier) Drain(ctx context.Context) (Booked, error) { return c.until(ctx, 1) }

// CatchUp classifies until a batch is not full. Events that arrive meanwhile are left
// to the next call, so that a busy inbox is emptied in large batches and not one by one.
func (c *Classifier) CatchUp(ctx context.Context) (Booked, error) { return c.until(ctx, batchEvents) }

// until classifies batches until one has fewer events than enough.
func (c *Classifier) until(ctx context.Context, enough int) (Booked, error) {
	var total Booked
	for {
		b, err := c.Step(ctx)
		total.add(b)
		if err != nil || b.Events < enough {
			return total, err
		}
	}
}

// CodeValueRefused is the code of an error that the database gives for a value and not for
// its own state: trying again cannot help.
const CodeValueRefused = "value_refused"

// Step classifies one batch in one transaction. When the database refuses a value of it, its
// events are booked one by one until the one is found: it is set aside and stops nobody.
func (c *Classifier) Step(ctx context.Context) (Booked, error) {
	booked, err := c.book(ctx, batchEvents, c.classify)
	if fault.CodeOf(err) == CodeValueRefused {
		return c.apart(ctx)
	}
	return booked, err
}

// apart books the oldest events one by one, up to the one that is refused.
func (c *Classifier) apart(ctx context.Context) (total Booked, err error) {
	for range batchEvents {
		var tried int64
		b, err := c.book(ctx, 1, func(e PendingEvent) Outcome {
			tried = e.Seq
			return c.classify(e)
		})
		if fault.CodeOf(err) == CodeValueRefused {
			b, err = c.book(ctx, 1, func(e PendingEvent) Outcome {
				if e.Seq != tried { // another classifier was faster
					return c.classify(e)
				}
				return Outcome{Event: e, Status: Dead, Reason: CodeValueRefused}
			})
			total.add(b)
			return total, err
		}
		total.add(b)
		if err != nil || b.Events == 0 {
			return total, err
		}
	}
	return total, nil
}

// book classifies up to limit events in one transaction.
func (c *Classifier) book(ctx context.Context, limit int, classify func(PendingEvent) Outcome) (Booked, error) {
	var booked Booked
	err := c.Work.Do(ctx, func(ctx context.Context, st Stores) error {
		events, err := st.Queue.Take(ctx, limit)
		if err != nil || len(events) == 0 {
			return err
		}
		outcomes := make([]Outcome, len(events))
		for i, e := range events {
			outcomes[i] = classify(e)
		}
		booked, err = st.Queue.Book(ctx, outcomes, c.Clock.Now())
		return err
	})
	return booked, err
}

func (c *Classifier) classify(e PendingEvent) Outcome {
	out := Outcome{Event: e, Status: Processed}
	if len(e.SealedBody) == 0 {
		// What it said is booked since before its body was erased.
		out.Status, out.Reason = Ignored, ReasonErased
		return out
	}
	body, err := c.Box.Open(BodyContext(e.ConnectionID), e.SealedBody)
	if err != nil {
		out.Status, out.Reason = Dead, "body_unreadable"
		return out
	}
	got, err := reward.Classify(body, reward.Config{UserIDKey: e.UserIDKey, ReadEmail: e.MapByEmail || e.MapByDomain})
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
	out.Holdings, out.Aid, out.Seen = got.Identity.Holdings, AidOf(e.MapByEmail, e.MapByDomain, got), projection.Observe(got)
	return out
}
