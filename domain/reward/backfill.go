package reward

import (
	"time"

	"github.com/liftbill/liftbill/domain/fault"
)

// objectReaders is what can be read back, by object name.
var objectReaders = map[string]func(b *builder, obj node){
	"subscription": subscriptionSeen,
	"invoice":      invoiceSeen,
	"charge":       chargeSeen,
	"refund":       func(b *builder, obj node) { refundChanged(b, obj, nil) },
	"dispute":      func(b *builder, obj node) { disputeChanged(showNothing)(b, obj, nil) },
	"credit_note":  func(b *builder, obj node) { creditNoteChanged(b, obj, nil) },
	"customer":     customerSeen,
}

// inferredKinds are facts that an object shows only as they stand today: it may have
// become so in another way, or more than once.
var inferredKinds = map[Kind]bool{
	Conversion: true, FreeStart: true, CustomerMapping: true, CancelScheduled: true, TrialCancelScheduled: true,
}

// Observation is an object of Stripe's as it was read from a list or by its ID, with
// what it proves. It is the one form in which objects, as opposed to events, come
// into the ledger.
type Observation struct {
	Raw    []byte
	SeenAt time.Time
	// UserIDKey is the metadata entry that was read.
	UserIDKey string
	Classification
}

// Observe classifies an object that was read at seenAt.
func Observe(raw []byte, seenAt time.Time, cfg Config) (Observation, error) {
	c, err := ClassifyObject(raw, seenAt, cfg)
	return Observation{Raw: raw, SeenAt: seenAt.UTC(), UserIDKey: firstText(cfg.UserIDKey, DefaultUserIDKey), Classification: c}, err
}

// ClassifyObject derives the facts that a present-day object (subscription, invoice,
// charge, refund, dispute, credit_note, customer) proves, under the keys that its events
// would have had, and reads the object itself (Seen), also of kinds that prove no fact. It
// serves backfill and re-reads; seenAt is the time of Seen. A fact whose moment the object
// does not carry takes effect when the object was created and is inferred, as is what only
// the present state shows; nothing inferred may stand beside events (see domain/source).
// What only an event can tell (upgrades, failures, pauses) is not reconstructed here.
func ClassifyObject(raw []byte, seenAt time.Time, cfg Config) (Classification, error) {
	obj, err := decodeNode(raw)
	if err != nil {
		return Classification{}, fault.Wrap(err, fault.Invalid, "object_"+fault.CodeOf(err), "the body is no Stripe object")
	}
	env := Envelope{
		Object: "object", ObjectID: obj.own(), ObjectType: obj.str("object"), Created: seenAt.UTC(),
		Livemode: obj.truth("livemode"), Customer: obj.id("customer"), Data: raw,
	}
	b := &builder{cfg: cfg, at: seenAt.UTC(), seen: true, born: obj.when("created"), out: Classification{Envelope: env, Signals: []Signal{}, Facts: []Fact{}}}
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
		b.identify(obj, nil)
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
	// A trial begins when the subscription becomes one, not while it waits for a payment.
	begun := s.Status != Incomplete && s.Status != IncompleteExpired
	if !s.TrialStart.IsZero() && begun {
		in := c
		in.now.MRR = noMRR(s.Currency) // a trial brings nothing, whatever it brings today
		trialStarted(b, in)
	}
	hasEnded := s.Status == Canceled || s.Status == IncompleteExpired
	trialOver := s.TrialEnd.IsZero() || (!s.TrialEnd.After(b.at) && s.Status != Trialing)
	end := firstTime(s.EndedAt, s.CanceledAt, b.at)
	// The end of one that ran into its trial's end is that trial's expiry already.
	outlived := !hasEnded || end.After(s.TrialEnd.Add(trialSlack))
	if !s.TrialEnd.IsZero() && trialOver && outlived && begun {
		over := c
		over.now.MRR = MRR{Currency: s.Currency} // what it brought that day is not on the object
		trialExpired(b, over)
	}
	switch {
	case hasEnded:
		ended(b, s)
	case s.Status.IsLive() && trialOver:
		if s.TrialEnd.IsZero() {
			freeStarted(b, c)
		}
		converted(b, c)
	}
	if s.CancelScheduled() && !hasEnded {
		cancelSeen(b, c)
	}
}

// cancelSeen is a scheduled end as it stands. It was scheduled in the trial when it was
// before the trial's end.
func cancelSeen(b *builder, c change) {
	at := firstTime(c.now.CanceledAt, c.now.CancelAt)
	if at.IsZero() {
		return // without a time there is no key that its event would share
	}
	if c.now.Status != Trialing && c.now.CanceledAt.Before(c.now.TrialEnd) {
		c.now.Status = Trialing
	}
	b.fact(scheduledCancel(c, at))
}

// invoiceSeen reads the money of an invoice and the ends that move none.
func invoiceSeen(b *builder, obj node) {
	invoicePaid(b, obj, nil)
	moves := obj.obj("status_transitions")
	if moves.isSet("voided_at") {
		invoiceState(InvoiceVoided)(b, obj, nil)
	}
	if moves.isSet("marked_uncollectible_at") {
		invoiceState(InvoiceUncollectible)(b, obj, nil)
	}
}

// chargeSeen says whose money a charge was. Whether the invoice is one of ours can be
// told only when the invoice came with it.
func chargeSeen(b *builder, obj node) {
	o := Owner{Charge: obj.own(), Customer: obj.id("customer"), Invoice: obj.id("invoice")}
	if o.Invoice != "" && !obj.obj("invoice").isSet("id") {
		b.read("charge", o.Charge, "owner")
		return
	}
	o.OwnInvoice = obj.obj("invoice", "metadata").str(ownKey) != ""
	b.out.Owner = &o
}

// customerSeen maps a customer that is mapped today, under the key of its creation.
func customerSeen(b *builder, obj node) {
	if obj.truth("deleted") {
		customerDeleted(b, obj, nil)
		return
	}
	customerCreated(b, obj, nil)
}
