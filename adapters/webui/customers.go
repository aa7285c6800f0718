package webui

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/shopspring/decimal"

	"github.com/liftbill/liftbill/app/customers"
	"github.com/liftbill/liftbill/domain/money"
	"github.com/liftbill/liftbill/domain/projection"
)

// customerStatuses are Stripe's statuses of a subscription.
var customerStatuses = []string{"trialing", "active", "past_due", "unpaid", "paused", "incomplete", "incomplete_expired", "canceled"}

func customersURL(account string) string { return "/accounts/" + account + "/customers" }

func (s *Server) customerList(c echo.Context) (list, customers.Filter, error) {
	p := func(name string) string { return strings.TrimSpace(c.QueryParam(name)) }
	f := customers.Filter{
		Segment: customers.Segment(p("segment")), Status: p("status"), Currency: p("currency"), Mapped: p("mapped"), Search: p("q"), Sort: p("sort"), Cursor: p("cursor"), Limit: listLimit,
	}
	o, err := s.accountOf(c)
	if err != nil {
		return list{}, f, err
	}
	var segments []string
	for _, r := range customers.Rules() {
		segments = append(segments, string(r.Segment))
	}
	mapping := map[string]string{"yes": "Mapped to a user", "no": "Not mapped"}
	l := list{
		Name: "customers-" + o.ID, Heading: "Customers of " + o.Name, Lead: "Who they are by Stripe's ID, what they subscribe to, and what that is worth. No name and no address is kept.", Path: customersURL(o.ID), Active: "accounts",
		Environment: string(o.Environment), Crumbs: []crumb{{"Accounts", "/accounts"}, {o.Name, eventsURL(o.ID, "", "")}},
		Filters: []field{
			{Name: "segment", Label: "Segment", Value: p("segment"), Choices: choices("Every customer", p("segment"), segments, words)},
			{Name: "status", Label: "Subscription", Value: f.Status, Choices: choices("Every status", f.Status, customerStatuses, words)},
			{Name: "mapped", Label: "User", Value: f.Mapped, Choices: choices("Mapped or not", f.Mapped, []string{"yes", "no"}, func(v string) string { return mapping[v] })},
			{Name: "currency", Label: "Currency", Value: f.Currency, Hint: "usd"}, {Name: "q", Label: "Customer, user or subscription", Value: f.Search, Type: "search", Hint: "cus_…"},
		},
		Columns: []column{
			{Name: "customer"}, {Name: "user"}, {Name: "status"}, {Name: "subscriptions", Kind: columnCount, Sum: true}, {Name: "prices"}, {Name: "currency"}, {Name: "mrr", Kind: columnMoney, Sum: true},
			{Name: "net_mrr", Kind: columnMoney, Sum: true}, {Name: "trial_end", Kind: columnTime}, {Name: "country"}, {Name: "payment_method"}, {Name: "created_at", Kind: columnTime},
		},
		Labels: []string{"Customer", "User", "Status", "Subscriptions", "Prices", "Currency", "MRR", "after discounts", "Trial ends", "Country", "Pays with", "Since"},
		Empty:  "No customer yet", EmptyHint: "Customers appear with the first event that names them.",
		Notes: []string{"Monthly amounts are rounded down to the cent here, one currency per row; the API has them exactly."},
	}
	l.sorted(f.Sort, map[int]string{11: "created"}, "created")
	return l, f, nil
}

// customerRows has one row per customer and currency, so that no two currencies meet.
func customerRows(account string, c customers.Summary) []row {
	worth := c.Worth
	if len(worth) == 0 {
		worth = []customers.Worth{{Currency: c.Currency}}
	}
	var out []row
	for _, w := range worth {
		state := statusOf(c.Status)
		user := cell{Value: c.UserID, Mono: true}
		if c.UserID == "" {
			user = cell{Value: "", Sub: "not mapped"}
		}
		r := row{Key: rowKey(c.ID, w.Currency), Cells: []cell{
			{Value: c.ID, URL: customersURL(account) + "/" + c.ID, Mono: true}, user, {Value: c.Status, State: state}, {Value: int64(c.Subscriptions)}, {Value: strings.Join(c.PriceIDs, " "), Mono: true}, {Value: strings.ToUpper(w.Currency)},
			{Value: floorMinor(w.MRR, w.Currency)}, {Value: floorMinor(w.NetMRR, w.Currency)}, {Value: timeOf(c.TrialEnd)}, {Value: c.Country}, {Value: words(c.PaymentMethod)}, {Value: timeOf(c.CreatedAt)},
		}}
		if w.Currency == "" {
			r.Cells[6].Value, r.Cells[7].Value = cash{}, cash{}
		}
		out = append(out, r)
	}
	return out
}

func floorMinor(v decimal.Decimal, currency string) cash {
	minor := v.Floor().IntPart()
	return cash{&minor, currency}
}

func timeOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

// statusOf is how a subscription's status looks; nil without one.
func statusOf(status string) *StateView {
	if status == "" {
		return nil
	}
	v := StateView{words(status), "●", "busy"}
	switch status {
	case "active":
		v.Icon, v.Tone = "✓", "good"
	case "canceled", "incomplete_expired":
		v.Icon, v.Tone = "–", "calm"
	case "past_due", "unpaid":
		v.Icon, v.Tone = "!", "bad"
	}
	return &v
}

func (s *Server) customers(c echo.Context) error {
	l, f, err := s.customerList(c)
	if err != nil {
		return err
	}
	page, err := s.customer.Customers(c.Request().Context(), c.Param("id"), f)
	if err != nil {
		return err
	}
	for _, item := range page.Items {
		l.Rows = append(l.Rows, customerRows(c.Param("id"), item)...)
	}
	return s.show(c, l, f.Cursor, page.NextCursor)
}

func (s *Server) customersExport(c echo.Context) error {
	if err := checkFormat(c); err != nil {
		return err
	}
	l, f, err := s.customerList(c)
	if err != nil {
		return err
	}
	all, err := everything(func(cursor string, n int) ([]customers.Summary, string, error) {
		f.Cursor, f.Limit = cursor, n
		page, err := s.customer.Customers(c.Request().Context(), c.Param("id"), f)
		return page.Items, page.NextCursor, err
	})
	if err != nil {
		return err
	}
	for _, item := range all {
		l.Rows = append(l.Rows, customerRows(c.Param("id"), item)...)
	}
	return s.sendList(c, l)
}

// customerView is one customer.
type customerView struct {
	customers.Detail
	AccountID, AccountName string
	State                  *StateView
	Worths                 []worthView
	Subscriptions          []subscriptionView
	EventsURL, LogURL      string
	AsOfDay                string
}

type worthView struct {
	MRR, NetMRR, ARR *Amount
	Unknown          int
}

type subscriptionView struct {
	customers.Subscription
	State     *StateView
	Intervals []intervalView
}

// intervalView is one status of a timeline; its width is its part of the whole.
type intervalView struct {
	projection.Interval
	State       *StateView
	From, Until string
	X, Width    string
	Says        string
}

func (s *Server) customerPage(c echo.Context) error {
	o, err := s.accountOf(c)
	if err != nil {
		return err
	}
	asOf, err := dayOf("as_of", c.QueryParam("as_of"))
	if err != nil {
		return err
	}
	d, err := s.customer.Customer(c.Request().Context(), o.ID, c.Param("customer"), asOf)
	if err != nil {
		return err
	}
	v := customerView{
		Detail: d, AccountID: o.ID, AccountName: o.Name, State: statusOf(d.Status), EventsURL: query("/accounts/"+o.ID+"/events", "q", d.ID),
		LogURL: query("/events", "customer", d.ID, "connection", o.SourceConnection), AsOfDay: c.QueryParam("as_of"),
	}
	for _, w := range d.Worth {
		v.Worths = append(v.Worths, worthView{majorDecimal(w.MRR, w.Currency), majorDecimal(w.NetMRR, w.Currency), majorDecimal(w.ARR(), w.Currency), w.Unknown})
	}
	for _, sub := range d.Subscriptions {
		v.Subscriptions = append(v.Subscriptions, subscriptionView{Subscription: sub, State: statusOf(sub.StatusAt), Intervals: timeline(sub.Intervals, d.AsOf)})
	}
	return s.render(c, http.StatusOK, "customer", frame{Title: "Customer " + d.ID, Active: "accounts", Environment: string(o.Environment), Page: v})
}

// majorDecimal shows an exact monthly amount without rounding it.
func majorDecimal(v decimal.Decimal, currency string) *Amount {
	if _, known := money.Currency(currency).Exponent(); !known {
		return nil
	}
	return exactAmount(v.String(), currency)
}

// timeline lays the statuses out on one line of 1,000.
func timeline(all []projection.Interval, now time.Time) []intervalView {
	if len(all) == 0 {
		return nil
	}
	sorted := slices.Clone(all)
	slices.SortStableFunc(sorted, func(a, b projection.Interval) int { return int(a.From - b.From) })
	first, last := sorted[0].From, now.Unix()
	for _, i := range sorted {
		last = max(last, i.Until)
	}
	span := float64(max(1, last-first))
	var out []intervalView
	for _, i := range sorted {
		until := i.Until
		v := intervalView{Interval: i, State: statusOf(i.Status), From: stamp(time.Unix(i.From, 0)), Until: "now"}
		if until == 0 {
			until = last
		} else {
			v.Until = stamp(time.Unix(until, 0))
		}
		v.X, v.Width = coordinate(float64(i.From-first)/span*1000), coordinate(max(2, float64(until-i.From)/span*1000))
		if i.Inferred {
			v.Says = "concluded, not told by an event"
		}
		if i.Gap {
			v.Says = "a change in between is not known"
		}
		out = append(out, v)
	}
	return out
}
