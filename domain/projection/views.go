package projection

import "strconv"

// Times of views are Unix seconds and 0 where there is none; amounts are minor units
// of the view's currency and nil where the payload does not say.

// Subscription is what is kept of a subscription.
type Subscription struct {
	Customer, Status, Currency     string
	CreatedAt, StartedAt           int64
	TrialStart, TrialEnd           int64
	TermStart, TermEnd             int64
	CancelAt, CanceledAt, EndedAt  int64
	CancelAtTermEnd                bool
	CancelReason, CollectionMethod string
	CollectionPaused               string
	DaysUntilDue                   *int64
	NextPendingInvoiceAt           int64
	LatestInvoice                  string
	HasPaymentMethod               bool
	PaymentMethod                  string // its type, where the payload tells
	// PriceIDs and ProductIDs are those of the items, in their order, each once.
	PriceIDs, ProductIDs []string
	Items                []Item
	Discounts            []Discount
	// MRR, by list prices, and NetMRR, after lasting discounts, are exact minor units per
	// month and follow the status: what does not pay has none. ListMRR is what it would
	// bring if it were paying. Empty is unknown.
	MRR, NetMRR, ListMRR string
}

// Item is one line of a subscription.
type Item struct {
	ID          string `json:"id"`
	Price       string `json:"price"`
	Product     string `json:"product,omitempty"`
	ProductName string `json:"product_name,omitempty"`
	Name        string `json:"name,omitempty"`
	// UnitAmount is exact minor units; empty when the price has tiers or the payload is silent.
	UnitAmount    string `json:"unit_amount,omitempty"`
	Currency      string `json:"currency,omitempty"`
	Interval      string `json:"interval,omitempty"`
	IntervalCount int64  `json:"interval_count,omitempty"`
	Quantity      string `json:"quantity"`
	Metered       bool   `json:"metered,omitempty"`
}

// Discount is one discount of a subscription or of its items.
type Discount struct {
	ID         string `json:"id,omitempty"`
	Coupon     string `json:"coupon,omitempty"`
	Duration   string `json:"duration,omitempty"`
	PercentOff string `json:"percent_off,omitempty"`
	AmountOff  *int64 `json:"amount_off,omitempty"`
	Currency   string `json:"currency,omitempty"`
	EndsAt     int64  `json:"ends_at,omitempty"`
}

// Invoice is what is kept of an invoice.
type Invoice struct {
	Customer, Subscription, Number       string
	Status, Currency, BillingReason      string
	CollectionMethod                     string
	CreatedAt, PeriodStart, PeriodEnd    int64
	DueAt, NextAttemptAt                 int64
	FinalizedAt, PaidAt                  int64
	VoidedAt, UncollectibleAt            int64
	Total, Subtotal, TotalExcludingTax   *int64
	AmountDue, AmountPaid, AmountRemains *int64
	OutOfBand, Attempts                  int64
	Paid                                 bool
	Own                                  bool
}

// Charge is what is kept of a charge.
type Charge struct {
	Customer, Status, Currency string
	// Description is free text, cleaned of what looks like an address or a number of a person.
	Description, FailureCode string
	PaymentMethod            string // its type: card, sepa_debit, …
	CreatedAt                int64
	Amount, AmountRefunded   *int64
	Refunded, Disputed       bool
}

// Dispute is what is kept of a dispute. Its customer is the one of its charge.
type Dispute struct {
	Charge, Status, Reason, Currency string
	CreatedAt, EvidenceDueAt         int64
	Amount                           *int64
}

// Customer is what is kept of a customer: nothing that names or locates a person,
// apart from the country.
type Customer struct {
	Currency, Country string
	CreatedAt         int64
	Balance           *int64 // credit is negative
	Delinquent        bool
	HasPaymentMethod  bool
	PaymentMethod     string // its type, where the payload tells
}

// Product is what is kept of a product.
type Product struct {
	Name   string
	Active bool
}

func (s Subscription) rank() uint8 {
	if terminal(s.Status) {
		return 2
	}
	return 1
}

// rank: an invoice goes from draft to open, may be given up and still be paid.
func (i Invoice) rank() uint8 {
	switch i.Status {
	case "draft":
		return 1
	case "uncollectible":
		return 3
	case "paid", "void":
		return 4
	default:
		return 2
	}
}

func (c Charge) rank() uint8 {
	if c.Status == "pending" {
		return 1
	}
	return 2
}

// rank: an inquiry may become a dispute, and a lost dispute may still be won.
func (d Dispute) rank() uint8 {
	switch d.Status {
	case "warning_closed":
		return 2
	case "needs_response", "under_review":
		return 3
	case "lost", "charge_refunded", "prevented":
		return 4
	case "won":
		return 5
	default:
		return 1
	}
}

func (Customer) rank() uint8 { return 1 }
func (Product) rank() uint8  { return 1 }

// canon collects the bytes that identify a view.
type canon []byte

func (b canon) text(fields ...string) canon {
	for _, f := range fields {
		b = append(b, f...)
		b = append(b, 0) // no text holds NUL
	}
	return b
}

func (b canon) ints(fields ...int64) canon {
	for _, f := range fields {
		b = append(strconv.AppendInt(b, f, 36), ' ')
	}
	return b
}

func (b canon) amounts(fields ...*int64) canon {
	for _, f := range fields {
		if f != nil {
			b = strconv.AppendInt(b, *f, 36)
		}
		b = append(b, ' ')
	}
	return b
}

func (b canon) bools(fields ...bool) canon {
	for _, f := range fields {
		if f {
			b = append(b, '+')
		} else {
			b = append(b, '-')
		}
	}
	return b
}

func (s Subscription) canonical(b canon) canon {
	b = b.text(s.Customer, s.Status, s.Currency, s.CancelReason, s.CollectionMethod, s.CollectionPaused, s.LatestInvoice, s.PaymentMethod, s.MRR, s.NetMRR, s.ListMRR)
	b = b.ints(s.CreatedAt, s.StartedAt, s.TrialStart, s.TrialEnd, s.TermStart, s.TermEnd, s.CancelAt, s.CanceledAt, s.EndedAt, s.NextPendingInvoiceAt)
	b = b.amounts(s.DaysUntilDue).bools(s.CancelAtTermEnd, s.HasPaymentMethod)
	for _, i := range s.Items {
		b = b.text(i.ID, i.Price, i.Product, i.ProductName, i.Name, i.UnitAmount, i.Currency, i.Interval, i.Quantity).ints(i.IntervalCount).bools(i.Metered)
	}
	for _, d := range s.Discounts {
		b = b.text(d.ID, d.Coupon, d.Duration, d.PercentOff, d.Currency).amounts(d.AmountOff).ints(d.EndsAt)
	}
	return b
}

func (i Invoice) canonical(b canon) canon {
	b = b.text(i.Customer, i.Subscription, i.Number, i.Status, i.Currency, i.BillingReason, i.CollectionMethod)
	b = b.ints(i.CreatedAt, i.PeriodStart, i.PeriodEnd, i.DueAt, i.NextAttemptAt, i.FinalizedAt, i.PaidAt, i.VoidedAt, i.UncollectibleAt, i.OutOfBand, i.Attempts)
	return b.amounts(i.Total, i.Subtotal, i.TotalExcludingTax, i.AmountDue, i.AmountPaid, i.AmountRemains).bools(i.Paid, i.Own)
}

func (c Charge) canonical(b canon) canon {
	b = b.text(c.Customer, c.Status, c.Currency, c.Description, c.FailureCode, c.PaymentMethod).ints(c.CreatedAt)
	return b.amounts(c.Amount, c.AmountRefunded).bools(c.Refunded, c.Disputed)
}

func (d Dispute) canonical(b canon) canon {
	return b.text(d.Charge, d.Status, d.Reason, d.Currency).ints(d.CreatedAt, d.EvidenceDueAt).amounts(d.Amount)
}

func (c Customer) canonical(b canon) canon {
	return b.text(c.Currency, c.Country, c.PaymentMethod).ints(c.CreatedAt).amounts(c.Balance).bools(c.Delinquent, c.HasPaymentMethod)
}

func (p Product) canonical(b canon) canon { return b.text(p.Name).bools(p.Active) }

// Digest identifies a view, by FNV-1a; it is never 0.
func Digest[V View](v V) uint64 {
	const offset, prime = 14695981039346656037, 1099511628211
	var buf [768]byte
	sum := uint64(offset)
	for _, c := range v.canonical(buf[:0]) {
		sum = (sum ^ uint64(c)) * prime
	}
	return max(sum, 1)
}
