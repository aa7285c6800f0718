package reward

import (
	"maps"
	"slices"
	"time"

	"github.com/liftbill/liftbill/domain/money"
)

// handler reads one event type: the object, what it was before, the builder.
type handler func(b *builder, obj, prev node)

// handlers is every event type that can carry a fact. A type that is not here is
// understood to bear none.
var handlers = map[string]handler{
	"customer.created": customerCreated,
	"customer.updated": customerUpdated,
	"customer.deleted": customerDeleted,

	"customer.subscription.created":        subscriptionCreated,
	"customer.subscription.updated":        subscriptionUpdated,
	"customer.subscription.deleted":        subscriptionDeleted,
	"customer.subscription.paused":         subscriptionPaused,
	"customer.subscription.resumed":        subscriptionResumed,
	"customer.subscription.trial_will_end": subscriptionTrialWillEnd,

	"invoice.paid":                    invoicePaid,
	"invoice.payment_succeeded":       invoicePaid,
	"invoice.payment_failed":          invoicePaymentFailed,
	"invoice.payment_action_required": invoiceState(ActionRequired),
	"invoice.voided":                  invoiceState(InvoiceVoided),
	"invoice.marked_uncollectible":    invoiceState(InvoiceUncollectible),
	"invoice_payment.paid":            invoicePartlyPaid,

	"charge.refunded":       chargeRefunded,
	"charge.refund.updated": refundChanged,
	"refund.created":        refundChanged,
	"refund.updated":        refundChanged,
	"refund.failed":         refundChanged,

	"charge.dispute.created":          disputeChanged(showHold),
	"charge.dispute.funds_withdrawn":  disputeChanged(showHold),
	"charge.dispute.updated":          disputeChanged(showNothing),
	"charge.dispute.funds_reinstated": disputeChanged(showNothing),
	"charge.dispute.closed":           disputeChanged(showOutcome),

	"credit_note.created": creditNoteChanged,
	"credit_note.updated": creditNoteChanged,
	"credit_note.voided":  creditNoteChanged,
}

// EventTypes lists the event types that can carry a fact, sorted.
func EventTypes() []string { return slices.Sorted(maps.Keys(handlers)) }

// Why a payload bears no fact.
const (
	ignoredThin       = "thin_event"
	ignoredNotEvent   = "not_an_event"
	ignoredType       = "type_without_reward"
	ignoredNoChange   = "no_reward_change"
	ignoredOwn        = "own_invoice"
	ignoredNoCash     = "no_cash"
	ignoredNotPaid    = "invoice_not_paid"
	ignoredNoSub      = "invoice_without_subscription"
	ignoredPartial    = "partial_payment"
	ignoredNoMapping  = "no_user_id"
	ignoredNoEffect   = "no_money_effect"
	anomalyNoObject   = "object_missing"
	anomalyNoID       = "object_incomplete"
	anomalyTransition = "status_transition_impossible"
	anomalyStatus     = "status_unknown"
	anomalyCurrency   = "currency_unknown"
	anomalyAmount     = "amount_missing"
	anomalyUserID     = "user_id_too_long"
	anomalyTime       = "time_missing"
)

// Classify says what one event means, from its payload alone. The only error is a
// body that is no event; whatever else is wrong becomes an Anomaly or a Read.
func Classify(raw []byte, cfg Config) (Classification, error) {
	env, all, err := parseEnvelope(raw, make([]member, 0, usualMembers))
	if err != nil {
		return Classification{}, err
	}
	b := &builder{cfg: cfg, at: env.Created, out: Classification{Envelope: env, Signals: []Signal{}, Facts: []Fact{}}}
	switch {
	case env.Thin:
		b.out.Ignored = ignoredThin
	case env.Object != "" && env.Object != "event":
		b.out.Ignored = ignoredNotEvent
	default:
		b.readPayload(env, all)
	}
	return b.done(), nil
}

// readPayload decodes the object once, for the facts and for whoever follows objects.
func (b *builder) readPayload(env Envelope, all payload) {
	handle, known := handlers[env.Type]
	if !known && (!followed[env.ObjectType] || unstable[env.Type]) {
		b.out.Ignored = ignoredType
		return
	}
	obj, prev := all.node(), all.previous.node()
	switch {
	case !known:
		b.out.Ignored = ignoredType
	case env.Data == nil:
		b.out.Anomaly = anomalyNoObject
	case env.ObjectID == "":
		b.out.Anomaly = anomalyNoID
	default:
		handle(b, obj, prev)
		b.identify(obj, prev)
	}
	b.see(obj, prev)
}

// builder collects what a handler finds.
type builder struct {
	cfg Config
	// at stands in for times that the object does not carry.
	at time.Time
	// seen is set when an object is read instead of an event.
	seen bool
	// born is when an object that is read was created.
	born time.Time
	// now and prev are the payload's subscription and what it was before, once they are read.
	now, prev *SubscriptionState
	out       Classification
}

func (b *builder) userIDKey() string { return firstText(b.cfg.UserIDKey, DefaultUserIDKey) }

func (b *builder) fact(f Fact) {
	f.IsReward = f.Kind.IsReward()
	if b.seen {
		// An event knows when it happened. An object without the moment can only say that
		// it happened after its creation.
		f.Flags.Inferred = inferredKinds[f.Kind] || f.EffectiveAt.IsZero()
		f.EffectiveAt = firstTime(f.EffectiveAt, b.born)
	}
	f.EffectiveAt = firstTime(f.EffectiveAt, b.at).UTC()
	b.out.Facts = append(b.out.Facts, f)
}

func (b *builder) signal(s Signal) { b.out.Signals = append(b.out.Signals, s) }

// both adds a fact and, when it is a reward event, its signal.
func (b *builder) both(f Fact, s Signal) {
	b.fact(f)
	if !f.Kind.IsReward() {
		return
	}
	s.Kind, s.Customer, s.Subscription = f.Kind, f.Customer, f.Subscription
	b.signal(s)
}

func (b *builder) read(object, id, reason string) {
	if id == "" {
		return
	}
	r := Read{Object: object, ID: id, Reason: reason}
	for _, have := range b.out.NeedsRead {
		if have == r {
			return
		}
	}
	b.out.NeedsRead = append(b.out.NeedsRead, r)
}

func (b *builder) ignore(code string) { b.out.Ignored = code }

// anomaly quarantines the payload and asks for the object itself.
func (b *builder) anomaly(code, object, id string) {
	b.out.Anomaly = code
	b.out.Facts, b.out.Signals = []Fact{}, []Signal{}
	b.read(object, id, code)
}

// currency accepts only currencies whose minor unit is known.
func (b *builder) currency(n node, object string) (string, bool) {
	c, err := money.ParseCurrency(n.str("currency"))
	if err != nil {
		b.anomaly(anomalyCurrency, object, n.own())
		return "", false
	}
	return string(c), true
}

func (b *builder) done() Classification {
	for _, f := range b.out.Facts {
		if f.EffectiveAt.IsZero() {
			b.anomaly(anomalyTime, b.out.Envelope.ObjectType, b.out.Envelope.ObjectID)
			break
		}
		if b.seen {
			b.out.Ignored = "" // one of its readers found nothing, another one did
		}
	}
	if len(b.out.Facts) == 0 && len(b.out.Signals) == 0 && b.out.Anomaly == "" && b.out.Ignored == "" {
		b.out.Ignored = ignoredNoChange
	}
	return b.out
}

// Anomalies lists the codes that quarantine a payload. A code may be followed by a colon
// and the details.
func Anomalies() []string {
	return []string{
		anomalyNoObject, anomalyNoID, anomalyTransition, anomalyStatus, anomalyCurrency, anomalyAmount, anomalyUserID, anomalyTime,
	}
}
