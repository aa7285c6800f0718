package reward

import "time"

// Identity is what a payload tells of whose its objects are, beside its facts. It is
// never shown: an address in it is hashed or dropped by whoever asked for it.
type Identity struct {
	Holdings []Holding
	// Email is the customer's address, read only when Config.ReadEmail asks for it.
	Email string
}

// Holding is whose a customer or a subscription is, as its metadata says.
type Holding struct {
	Subject string // cus_… or sub_…
	User    string // empty only when Changed: the entry was removed
	// Previous is the former user of a change.
	Previous string
	At       time.Time
	// Changed: the payload is about the change itself. Otherwise the user is what it
	// happened to be.
	Changed bool
}

// identify reads the identity off a payload that was understood.
func (b *builder) identify(obj, prev node) {
	if b.out.Anomaly != "" {
		return
	}
	switch b.out.Envelope.ObjectType {
	case "customer":
		b.identifyCustomer(obj)
	case "subscription":
		b.identifySubscription(obj, prev)
	case "invoice":
		b.identifyInvoice(obj)
	}
}

// identifyCustomer takes the user that a customer has without any change being told:
// whoever connects late never sees the change. Changes are facts of their own.
func (b *builder) identifyCustomer(obj node) {
	if obj.truth("deleted") || b.out.Envelope.Type == "customer.deleted" {
		return
	}
	if b.cfg.ReadEmail {
		b.out.Identity.Email = obj.str("email")
	}
	for _, f := range b.out.Facts {
		if f.Kind == CustomerMapping {
			return
		}
	}
	b.holds(Holding{Subject: obj.own(), User: b.userID(obj), At: b.at})
}

func (b *builder) identifySubscription(obj, prev node) {
	o := Holding{Subject: obj.own(), User: b.userID(obj), At: b.at}
	if was := b.userID(prev); b.userMoved(prev) && was != o.User {
		o.Previous, o.Changed = was, true
	}
	if b.out.Envelope.Type == "customer.subscription.created" {
		o.At = firstTime(obj.when("created"), b.at)
	}
	b.holds(o)
}

// identifyInvoice takes the subscription's metadata as they were when the invoice was
// finalized: that is when Stripe copies them.
func (b *builder) identifyInvoice(obj node) {
	details := obj.obj("parent", "subscription_details")
	if len(details) == 0 {
		details = obj.obj("subscription_details")
	}
	b.holds(Holding{
		Subject: firstText(obj.id("subscription"), details.id("subscription")), User: b.userID(details),
		At: firstTime(obj.obj("status_transitions").when("finalized_at"), obj.when("created"), b.at),
	})
}

func (b *builder) holds(o Holding) {
	if o.Subject == "" || o.At.IsZero() || (o.User == "" && !o.Changed) || len([]rune(o.User)) > maxUserID {
		return
	}
	o.At = o.At.UTC()
	b.out.Identity.Holdings = append(b.out.Identity.Holdings, o)
}
