package stripefake

import "time"

type subscription struct {
	head
	Application     any           `json:"application"`
	FeePercent      any           `json:"application_fee_percent"`
	AutomaticTax    subTax        `json:"automatic_tax"`
	Anchor          int64         `json:"billing_cycle_anchor"`
	AnchorConfig    any           `json:"billing_cycle_anchor_config"`
	Thresholds      any           `json:"billing_thresholds"`
	CancelAt        *int64        `json:"cancel_at"`
	CancelAtEnd     bool          `json:"cancel_at_period_end"`
	CanceledAt      *int64        `json:"canceled_at"`
	Cancellation    cancellation  `json:"cancellation_details"`
	Collection      string        `json:"collection_method"`
	Created         int64         `json:"created"`
	Currency        string        `json:"currency"`
	PeriodEnd       int64         `json:"current_period_end"`
	PeriodStart     int64         `json:"current_period_start"`
	Customer        string        `json:"customer"`
	DaysUntilDue    *int64        `json:"days_until_due"`
	DefaultMethod   *string       `json:"default_payment_method"`
	DefaultSource   any           `json:"default_source"`
	DefaultTaxRates []any         `json:"default_tax_rates"`
	Description     *string       `json:"description"`
	Discount        *discount     `json:"discount"`
	EndedAt         *int64        `json:"ended_at"`
	Items           subItemList   `json:"items"`
	LatestInvoice   *string       `json:"latest_invoice"`
	Livemode        bool          `json:"livemode"`
	Metadata        meta          `json:"metadata"`
	NextPending     any           `json:"next_pending_invoice_item_invoice"`
	OnBehalfOf      any           `json:"on_behalf_of"`
	Pause           *pauseRule    `json:"pause_collection"`
	PaymentSettings subPayment    `json:"payment_settings"`
	PendingInterval any           `json:"pending_invoice_item_interval"`
	PendingIntent   any           `json:"pending_setup_intent"`
	PendingUpdate   any           `json:"pending_update"`
	Schedule        any           `json:"schedule"`
	StartDate       int64         `json:"start_date"`
	Status          string        `json:"status"`
	TestClock       any           `json:"test_clock"`
	TransferData    any           `json:"transfer_data"`
	TrialEnd        *int64        `json:"trial_end"`
	TrialSettings   trialSettings `json:"trial_settings"`
	TrialStart      *int64        `json:"trial_start"`

	announced bool // its created event has been emitted
}

type subTax struct {
	Enabled   bool `json:"enabled"`
	Liability any  `json:"liability"`
}

type subPayment struct {
	Options any    `json:"payment_method_options"`
	Types   any    `json:"payment_method_types"`
	Save    string `json:"save_default_payment_method"`
}

type cancellation struct {
	Comment  *string `json:"comment"`
	Feedback *string `json:"feedback"`
	Reason   *string `json:"reason"`
}

type pauseRule struct {
	Behavior  string `json:"behavior"`
	ResumesAt *int64 `json:"resumes_at"`
}

type trialSettings struct {
	EndBehavior endBehavior `json:"end_behavior"`
}

type endBehavior struct {
	MissingMethod string `json:"missing_payment_method"`
}

type subItemList struct {
	Object  string     `json:"object"`
	Data    []*subItem `json:"data"`
	HasMore bool       `json:"has_more"`
	URL     string     `json:"url"`
}

type subItem struct {
	head
	Thresholds   any    `json:"billing_thresholds"`
	Created      int64  `json:"created"`
	Metadata     meta   `json:"metadata"`
	Price        *price `json:"price"`
	Quantity     int64  `json:"quantity"`
	Subscription string `json:"subscription"`
	TaxRates     []any  `json:"tax_rates"`
}

func (s *subscription) ended() bool {
	return s.Status == "canceled" || s.Status == "incomplete_expired"
}

// live says whether the subscription is being billed.
func (s *subscription) live() bool {
	return s.Status == "active" || s.Status == "past_due" || s.Status == "unpaid"
}

// recurring is the interval of the subscription: all items share it.
func (s *subscription) recurring() *recurring { return s.Items.Data[0].Price.Recurring }

// periodAfter is the end of the period that begins at start, counted from the
// anchor so that a subscription of the 31st does not drift to the 28th.
func (s *subscription) periodAfter(start int64) int64 {
	rec := s.recurring()
	anchor := time.Unix(s.Anchor, 0).UTC()
	for n := int64(1); ; n++ {
		if end := addInterval(anchor, rec.Interval, rec.Count*n).Unix(); end > start {
			return end
		}
	}
}

// addInterval adds calendar months without overflowing into the next one.
func addInterval(t time.Time, interval string, n int64) time.Time {
	switch interval {
	case "day":
		return t.AddDate(0, 0, int(n))
	case "week":
		return t.AddDate(0, 0, 7*int(n))
	case "year":
		n *= 12
	}
	first := time.Date(t.Year(), t.Month()+time.Month(n), 1, t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
	last := first.AddDate(0, 1, -1).Day()
	return first.AddDate(0, 0, min(t.Day(), last)-1)
}

func (r *realm) sub(id string) (*subscription, error) {
	s, ok := r.subs.get(id)
	if !ok {
		e := missing("subscription", id)
		if other, found := r.acct.otherSide(r, id); found {
			return nil, e.wrongMode(other)
		}
		return nil, e
	}
	return s, nil
}

func getSub(c *call) action { return func() (any, error) { return c.r.sub(c.id()) } }

func listSubs(c *call) action {
	a, p := c.args, c.args.paging()
	p.created = a.created("created")
	starts, ends := a.created("current_period_start"), a.created("current_period_end")
	cus, pr := a.text("customer"), a.text("price")
	method := a.enum("collection_method", "charge_automatically", "send_invoice")
	status := a.enum("status", "active", "all", "canceled", "ended", "incomplete", "incomplete_expired", "past_due", "paused", "trialing", "unpaid")
	return func() (any, error) {
		from := c.r.subs.all
		if cus != "" {
			from = c.r.subs.of(cus)
		}
		return page(c.r.subs, from, p, "/v1/subscriptions", "subscription", func(s *subscription) bool {
			return s.hasStatus(status) && (method == "" || s.Collection == method) && (pr == "" || s.hasPrice(pr)) &&
				!starts.above(s.PeriodStart) && !starts.below(s.PeriodStart) && !ends.above(s.PeriodEnd) && !ends.below(s.PeriodEnd)
		})
	}
}

// hasStatus knows that the default is everything but canceled.
func (s *subscription) hasStatus(want string) bool {
	switch want {
	case "all":
		return true
	case "":
		return s.Status != "canceled"
	case "ended":
		return s.ended()
	}
	return s.Status == want
}

func (s *subscription) hasPrice(id string) bool {
	for _, it := range s.Items.Data {
		if it.Price.ID == id {
			return true
		}
	}
	return false
}

func listSubItems(c *call) action {
	p := c.args.paging()
	id := c.args.require("subscription")
	return func() (any, error) {
		s, err := c.r.sub(id)
		if err != nil {
			return nil, err
		}
		return page(c.r.subItems, c.r.subItems.of(s.ID), p, "/v1/subscription_items", "subscription item", nil)
	}
}
