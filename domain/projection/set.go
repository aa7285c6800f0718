package projection

// Set holds the states of many objects of one Stripe account.
type Set struct {
	Customers     map[string]*Object[Customer]
	Subscriptions map[string]*Object[Subscription]
	Invoices      map[string]*Object[Invoice]
	Charges       map[string]*Object[Charge]
	Disputes      map[string]*Object[Dispute]
	Products      map[string]*Object[Product]
	// Referred are the customers that an observation names, whether or not one of them
	// was observed itself.
	Referred map[string]bool
}

// NewSet is an empty one.
func NewSet() *Set {
	return &Set{
		Customers: map[string]*Object[Customer]{}, Subscriptions: map[string]*Object[Subscription]{}, Invoices: map[string]*Object[Invoice]{},
		Charges: map[string]*Object[Charge]{}, Disputes: map[string]*Object[Dispute]{}, Products: map[string]*Object[Product]{},
		Referred: map[string]bool{},
	}
}

// Add joins an observation: a state of one object, whether of one payload or of many.
func (s *Set) Add(o Observation) {
	switch {
	case o.Customer != nil:
		join(s.Customers, o.Customer)
	case o.Subscription != nil:
		join(s.Subscriptions, o.Subscription)
		refer(s, o.Subscription, func(v Subscription) string { return v.Customer })
	case o.Invoice != nil:
		join(s.Invoices, o.Invoice)
		refer(s, o.Invoice, func(v Invoice) string { return v.Customer })
	case o.Charge != nil:
		join(s.Charges, o.Charge)
		refer(s, o.Charge, func(v Charge) string { return v.Customer })
	case o.Dispute != nil:
		join(s.Disputes, o.Dispute)
	case o.Product != nil:
		join(s.Products, o.Product)
	}
}

func join[V View](into map[string]*Object[V], o *Object[V]) {
	if have := into[o.ID]; have != nil {
		have.Join(o)
		return
	}
	// A copy, because the set goes on joining: the observation stays what it was.
	c := *o
	into[o.ID] = &c
}

func refer[V View](s *Set, o *Object[V], customer func(V) string) {
	for _, v := range o.Versions {
		if id := customer(v.View); id != "" {
			s.Referred[id] = true
		}
	}
}
