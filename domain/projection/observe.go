package projection

import (
	"strings"
	"time"

	"github.com/liftbill/liftbill/domain/reward"
)

// Observation is what one payload says of one object, as a state of that object. At
// most one field is set; none is when the payload shows nothing that is followed.
type Observation struct {
	Customer     *Object[Customer]
	Subscription *Object[Subscription]
	Invoice      *Object[Invoice]
	Charge       *Object[Charge]
	Dispute      *Object[Dispute]
	Product      *Object[Product]
	// FromRead: it was read or listed at Stripe, so that no stored event repeats it.
	FromRead bool
}

// Observe turns a classified payload into an observation: an event that was delivered
// or pulled (reward.Classify), or an object that was read or listed at some time
// (reward.ClassifyObject). The time of a read must not be later than Stripe's answer:
// take it before the request is sent, or from the answer's Date.
func Observe(c reward.Classification) Observation {
	p := payload{kind: c.Envelope.Type, at: seconds(c.Envelope.Created), read: !c.Seen.ReadAt.IsZero()}
	if p.read {
		p.kind, p.at, p.readAt = "", c.Seen.ReadAt.Unix(), c.Seen.ReadAt.UnixMicro()
	}
	out := Observation{FromRead: p.read}
	switch seen := c.Seen; {
	case seen.Subscription != nil:
		out.Subscription = p.subscription(seen.Subscription)
	case seen.Invoice != nil:
		out.Invoice = object(p, seen.Invoice.Now.ID, seen.Invoice, invoiceOf)
		if seen.Invoice.Now.ChargeKnown {
			out.Invoice.know(p, KeyCharge, ref(seen.Invoice.Now.Charge))
		}
	case seen.Charge != nil:
		out.Charge = object(p, seen.Charge.Now.ID, seen.Charge, chargeOf)
		if seen.Charge.Now.InvoiceKnown {
			out.Charge.know(p, KeyInvoice, ref(seen.Charge.Now.Invoice))
		}
	case seen.Dispute != nil:
		out.Dispute = object(p, seen.Dispute.Now.ID, seen.Dispute, disputeOf)
	case seen.Customer != nil:
		out.Customer = p.customer(seen.Customer)
	case seen.Product != nil:
		out.Product = object(p, seen.Product.Now.ID, seen.Product, productOf)
	case seen.CashBalance != nil:
		if id := ref(seen.CashBalance.Customer); id != "" {
			out.Customer = &Object[Customer]{ID: id}
			out.Customer.know(p, KeyCashBalance, seen.CashBalance.Available)
		}
	}
	return out
}

// payload is where and when an observation was made.
type payload struct {
	kind   string // the event's type; empty for a read
	at     int64
	read   bool
	readAt int64
}

func (p payload) stamp(rank uint8) Stamp {
	return Stamp{Rank: rank, At: p.at, Later: !strings.HasSuffix(p.kind, ".created")}
}

func object[S any, V View](p payload, id string, s *reward.Sight[S], of func(S) V) *Object[V] {
	if ref(id) == "" {
		return nil
	}
	o := &Object[V]{ID: id}
	if s.Deleted {
		o.DeletedAt = max(p.at, 1)
	}
	if s.Bare {
		return o
	}
	v := Version[V]{View: of(s.Now), ReadAt: p.readAt}
	v.Digest = Digest(v.View)
	if s.Before != nil {
		v.Before = Digest(of(*s.Before))
	}
	if v.Before == v.Digest {
		v.Before = 0 // nothing changed of what is kept
	}
	o.Stamp, o.Versions = p.stamp(v.View.rank()), []Version[V]{v}
	return o
}

// maxID is longer than any identifier of Stripe's, and short enough for an index.
const maxID = 255

// ref is an identifier that can be one: a longer text cannot come from Stripe.
func ref(id string) string {
	if len(id) > maxID {
		return ""
	}
	return id
}

// know records a field that this payload states, at the time of the payload: a life's
// rank says nothing about who knew it last.
func (o *Object[V]) know(p payload, key Key, value string) {
	if o == nil {
		return
	}
	joinKnown(&o.Known, []Known{{Key: key, Stamp: p.stamp(1), Value: value}})
}

func (p payload) subscription(s *reward.Sight[reward.SubscriptionState]) *Object[Subscription] {
	o := object(p, s.Now.ID, s, subscriptionOf)
	if s.Now.TrialEndActionKnown {
		o.know(p, KeyTrialEndAction, s.Now.TrialEndAction)
	}
	if point, ok := p.point(s); ok && o != nil {
		o.Points = []Point{point}
	}
	return o
}

// point is the status change that an event tells.
func (p payload) point(s *reward.Sight[reward.SubscriptionState]) (Point, bool) {
	out := Point{At: p.at, Is: string(s.Now.Status)}
	switch p.kind {
	case "customer.subscription.created":
		out.Was, out.At = Born, orElse(seconds(s.Now.Created), p.at)
		return out, out.Is != ""
	case "customer.subscription.updated":
		if s.Before == nil || s.Before.Status == s.Now.Status {
			return Point{}, false
		}
		out.Was = string(s.Before.Status)
	case "customer.subscription.deleted", "customer.subscription.paused", "customer.subscription.resumed":
	default:
		return Point{}, false
	}
	out.At = p.changedAt(s.Now, out)
	return out, out.Is != ""
}

// changedAt is when a status changed: by the dates of the object where they tell, else
// by the event. A subscription on a test clock lives in a time of its own, in which the
// event's time means nothing.
func (p payload) changedAt(s reward.SubscriptionState, c Point) int64 {
	switch {
	case terminal(c.Is):
		return orElse(seconds(s.EndedAt), orElse(seconds(s.CanceledAt), p.at))
	case c.Was == string(reward.Trialing) && !s.TrialEnd.IsZero() && (seconds(s.TrialEnd) <= p.at || s.TestClock != ""):
		return seconds(s.TrialEnd)
	case s.TestClock != "":
		return orElse(seconds(s.PeriodStart), p.at)
	default:
		return p.at
	}
}

func (p payload) customer(s *reward.Sight[reward.CustomerState]) *Object[Customer] {
	o := object(p, s.Now.ID, s, customerOf)
	if s.Now.CashBalanceKnown {
		o.know(p, KeyCashBalance, s.Now.CashBalance)
	}
	return o
}

func orElse(a, b int64) int64 {
	if a != 0 {
		return a
	}
	return b
}

// Empty reports whether nothing was observed.
func (o Observation) Empty() bool {
	return o.Subscription == nil && o.Invoice == nil && o.Charge == nil && o.Dispute == nil && o.Product == nil && o.Customer == nil
}

// Gone is the observation that a read of a customer, an invoice or a product found
// nothing: it was deleted at that time or before. Other objects are never deleted.
func Gone(object, id string, readAt time.Time) Observation {
	out, at := Observation{FromRead: true}, max(readAt.Unix(), 1)
	switch object {
	case "customer":
		out.Customer = &Object[Customer]{ID: id, DeletedAt: at}
	case "invoice":
		out.Invoice = &Object[Invoice]{ID: id, DeletedAt: at}
	case "product":
		out.Product = &Object[Product]{ID: id, DeletedAt: at}
	}
	return out
}
