package reward

import (
	"time"

	"github.com/liftbill/liftbill/domain/fault"
)

// objectReaders is what can be backfilled, by object name.
var objectReaders = map[string]func(b *builder, obj node){
	"subscription": subscriptionSeen,
	"invoice":      func(b *builder, obj node) { invoicePaid(b, obj, nil) },
	"refund":       func(b *builder, obj node) { refundChanged(b, obj, nil) },
	"dispute":      func(b *builder, obj node) { disputeChanged(showNothing)(b, obj, nil) },
	"credit_note":  func(b *builder, obj node) { creditNoteChanged(b, obj, nil) },
	"customer":     customerSeen,
}

// ClassifyObject derives the facts that a present-day object (subscription, invoice,
// refund, dispute, credit_note, customer) proves, under the keys its events would
// have had, and reads the object itself (Seen), also of kinds that prove no fact. It
// serves backfill and re-reads; seenAt stands in for times that the object does not
// carry and is the time of Seen. What only an event can tell (upgrades, failures,
// pauses) is not reconstructed.
func ClassifyObject(raw []byte, seenAt time.Time, cfg Config) (Classification, error) {
	obj, err := decodeNode(raw)
	if err != nil {
		return Classification{}, fault.Wrap(err, fault.Invalid, "object_"+fault.CodeOf(err), "the body is no Stripe object")
	}
	env := Envelope{
		Object: "object", ObjectID: obj.str("id"), ObjectType: obj.str("object"), Created: seenAt.UTC(),
		Livemode: obj.truth("livemode"), Customer: obj.id("customer"), Data: raw,
	}
	b := &builder{cfg: cfg, at: seenAt.UTC(), seen: true, out: Classification{Envelope: env, Signals: []Signal{}, Facts: []Fact{}}}
	b.out.Seen.ReadAt = b.at
	b.see(obj, nil)
	read, known := objectReaders[env.ObjectType]
	switch {
	case !known:
		b.out.Ignored = ignoredType
	case env.ObjectID == "":
		b.out.Anomaly = anomalyNoID
	default:
		read(b, obj)
	}
	return b.done(), nil
}

// subscriptionSeen rebuilds the object-keyed facts of a subscription. A conversion of
// one that has ended is left to its paid invoices: the object no longer tells whether
// it was ever active.
func subscriptionSeen(b *builder, obj node) {
	c := b.start(obj)
	s := c.now
	if !b.checkStatus(c) {
		return
	}
	if !s.TrialStart.IsZero() {
		trialStarted(b, c)
	}
	hasEnded := s.Status == Canceled || s.Status == IncompleteExpired
	trialOver := s.TrialEnd.IsZero() || (!s.TrialEnd.After(b.at) && s.Status != Trialing)
	end := firstTime(s.EndedAt, s.CanceledAt, b.at)
	// The end of one that ran into its trial's end is that trial's expiry already.
	outlived := !hasEnded || end.After(s.TrialEnd.Add(trialSlack))
	if !s.TrialEnd.IsZero() && trialOver && outlived {
		trialExpired(b, c)
	}
	switch {
	case hasEnded:
		ended(b, s)
	case s.Status.IsLive() && trialOver:
		freeStarted(b, c)
		converted(b, c)
	}
	if s.CancelScheduled() && !hasEnded {
		b.fact(scheduledCancel(c, b.at))
	}
}

// customerSeen maps a customer that is mapped today, under the key of its creation.
func customerSeen(b *builder, obj node) {
	if obj.truth("deleted") {
		customerDeleted(b, obj, nil)
		return
	}
	customerCreated(b, obj, nil)
}
