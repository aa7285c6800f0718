package webui

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/liftbill/liftbill/app/customers"
	"github.com/liftbill/liftbill/app/operate"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/billing"
)

// Operate shows events and how they flow; *operate.Service is it.
type Operate interface {
	Events(ctx context.Context, f operate.EventsFilter) (operate.Page[operate.Event], error)
	Health(ctx context.Context, scope access.Scope, connectionID string) ([]operate.Health, error)
	Pulse(ctx context.Context, scope access.Scope, connectionID string) (operate.Pulse, error)
	Reprocess(ctx context.Context, by access.Principal, sel operate.Selection, reason string, dryRun bool) (operate.Reprocessed, error)
	Reread(ctx context.Context, by access.Principal, connectionID, objectID, reason string) error
}

// Customers answers who the customers are; *customers.Service is it.
type Customers interface {
	Customers(ctx context.Context, accountID string, f customers.Filter) (customers.Page[customers.Summary], error)
	Customer(ctx context.Context, accountID, customerID string, asOf time.Time) (customers.Detail, error)
}

// listLimit is a page of a list.
const listLimit = 100

// invoiceList selects and shows invoices; the export takes all pages of the same selection.
func (s *Server) invoiceList(c echo.Context) (list, reconcile.InvoicesFilter, error) {
	p := func(name string) string { return strings.TrimSpace(c.QueryParam(name)) }
	ctx, scope := c.Request().Context(), scopeOf(c)
	f := reconcile.InvoicesFilter{Scope: scope, Period: p("period"), AccountID: p("account"), Status: p("status"), Search: p("q"), Currency: p("currency"), Dispute: p("dispute"), Metadata: p("metadata"), PONumber: p("po_number"), Sort: p("sort"), Cursor: p("cursor"), Limit: listLimit}
	periods, err := s.reconcile.Periods(ctx, scope)
	if err != nil {
		return list{}, f, err
	}
	accounts, err := s.reconcile.Accounts(ctx, scope)
	if err != nil {
		return list{}, f, err
	}
	// Amounts are typed in major units, which have as many decimals as their currency.
	if f.MinMajor, err = parseMajor("from", p("from"), f.Currency); err != nil {
		return list{}, f, err
	}
	if f.MaxMajor, err = parseMajor("to", p("to"), f.Currency); err != nil {
		return list{}, f, err
	}
	if f.From, f.To, err = daysOf(p("since"), p("until")); err != nil {
		return list{}, f, err
	}
	if p("overdue") == "yes" {
		f.DueBefore = s.clock.Now()
	}
	l := list{
		Name: "invoices", Version: 3, Heading: "Invoices", Lead: "What was written to Stripe, or is being written: one row per payer and period.", Path: "/invoices", Active: "invoices", Environment: "live",
		Filters: []field{
			{Name: "period", Label: "Period", Value: f.Period, Choices: choices("Every period", f.Period, withChosen(periods, f.Period), month)},
			{Name: "account", Label: "Account", Value: f.AccountID, Choices: choices("Every account", f.AccountID, idsOf(accounts), func(id string) string { return nameOf(accounts, id) })},
			{Name: "status", Label: "Status at Stripe", Value: f.Status, Choices: choices("Every status", f.Status, reconcile.InvoiceStatuses(), words)},
			{Name: "currency", Label: "Currency", Value: f.Currency, Hint: "usd"},
			{Name: "overdue", Label: "Due", Value: p("overdue"), Choices: choices("Due or not", p("overdue"), []string{"yes"}, func(string) string { return "Overdue only" })},
			{Name: "dispute", Label: "Dispute", Value: f.Dispute, Choices: choices("Disputed or not", f.Dispute, reconcile.InvoiceDisputes(), func(v string) string { return "Dispute " + v })},
			{Name: "from", Label: "Amount from", Value: p("from"), Hint: "0.00"}, {Name: "to", Label: "to", Value: p("to"), Hint: "1000.00"},
			{Name: "since", Label: "Finalized from", Value: p("since"), Type: "date"}, {Name: "until", Label: "to", Value: p("until"), Type: "date"},
			{Name: "po_number", Label: "PO number", Value: f.PONumber},
			{Name: "metadata", Label: "Case ID or metadata", Value: f.Metadata, Hint: "key=value"},
			{Name: "q", Label: "Invoice, number or payer", Value: f.Search, Type: "search", Hint: "in_…"},
		},
		Columns: []column{
			{Name: "account"}, {Name: "period"}, {Name: "state"}, {Name: "stripe_status"}, {Name: "currency"}, {Name: "engine", Kind: columnMoney, Sum: true},
			{Name: "stripe", Kind: columnMoney, Sum: true}, {Name: "difference", Kind: columnMoney, Sum: true},
			{Name: "paid", Kind: columnMoney, Sum: true}, {Name: "open", Kind: columnMoney, Sum: true}, {Name: "credited", Kind: columnMoney, Sum: true}, {Name: "due_at", Kind: columnTime}, {Name: "overdue"},
			{Name: "lines", Kind: columnCount, Sum: true}, {Name: "number"}, {Name: "invoice_id"}, {Name: "payer"}, {Name: "finalized_at", Kind: columnTime}, {Name: "attempts", Kind: columnCount, Sum: true}, {Name: "cycle"}, {Name: "issuer"}, {Name: "plan_hash"},
			{Name: "evidence_digest"}, {Name: "hosted_url"}, {Name: "pdf_url"},
		},
		Labels: []string{"Account", "Period", "Write-back", "At Stripe", "Currency", "Engine", "Stripe", "Difference", "Paid", "Open", "Credited", "Due", "Overdue", "Lines", "Number", "Invoice", "Payer", "Finalized", "Requests", "Cycle", "Issuer", "Hash of the plan", "Evidence digest", "Hosted page", "PDF"},
		Empty:  "No invoice yet", EmptyHint: "An invoice appears when a live cycle has an amount to bill, an issuer and a payer.",
	}
	l.sorted(f.Sort, map[int]string{1: "period", 5: "amount", 14: "number", 17: "finalized"}, "period")
	return l, f, nil
}

// invoiceRow is an invoice as it stands at a time.
func invoiceRow(i reconcile.InvoiceRow, now time.Time) row {
	finalized := time.Time{}
	if i.FinalizedAt != nil {
		finalized = *i.FinalizedAt
	}
	state := writeBackState(i.State)
	var paid billing.Payment
	if i.Payment != nil {
		paid = *i.Payment
	}
	page := invoiceURL(i.CycleID)
	overdue, late := overdueBy(i, now), (*StateView)(nil)
	if overdue != "" {
		late = &StateView{Name: overdue, Icon: "!", Tone: "bad"}
	}
	return row{Key: rowKey(i.CycleID), Cells: []cell{
		{Value: i.AccountName, URL: page, Sub: i.AccountID}, {Value: i.Period, URL: "/cycles/" + i.CycleID, Sub: month(i.Period)}, {Value: i.State, State: &state}, {Value: i.StripeStatus}, {Value: strings.ToUpper(i.Currency)},
		{Value: cashOf(i.EngineMinor, i.Currency), URL: page + "#lines"}, {Value: cash{i.StripeMinor, i.Currency}, URL: "/cycles/" + i.CycleID + "#stripe"},
		{Value: cash{i.DifferenceMinor, i.Currency}},
		{Value: cash{paid.PaidMinor, i.Currency}}, {Value: cash{paid.RemainingMinor, i.Currency}}, {Value: cash{i.CreditedMinor, i.Currency}, URL: creditedURL(i)}, {Value: timeOf(paid.DueAt)}, {Value: overdue, State: late},
		{Value: int64(i.Lines), URL: page + "#lines"}, {Value: i.Number, URL: i.HostedURL, External: i.HostedURL != ""},
		{Value: i.InvoiceID, Mono: true, URL: page}, {Value: i.Payer, Mono: true}, {Value: finalized}, {Value: int64(i.Attempts), URL: page + "#attempts"}, {Value: i.CycleID, Mono: true}, {Value: i.Issuer, Mono: true}, {Value: i.PlanHash, Mono: true},
		{Value: i.EvidenceDigest, Mono: true, URL: page + "#evidence"}, {Value: i.HostedURL, Mono: true, URL: i.HostedURL, External: true}, {Value: i.PDFURL, Mono: true, URL: i.PDFURL, External: true},
	}}
}

// creditedURL leads to the corrections of an invoice that has some.
func creditedURL(i reconcile.InvoiceRow) string {
	if i.CreditedMinor == nil {
		return ""
	}
	return "/cycles/" + i.CycleID + "/corrections"
}

// daysOf are the bounds of two days, both of which are within: [from, to).
func daysOf(since, until string) (from, to time.Time, err error) {
	if from, err = dayOf("since", since); err != nil {
		return from, to, err
	}
	if to, err = dayOf("until", until); err == nil && !to.IsZero() {
		to = to.AddDate(0, 0, 1)
	}
	return from, to, err
}

func (s *Server) invoices(c echo.Context) error {
	l, f, err := s.invoiceList(c)
	if err != nil {
		return err
	}
	page, err := s.reconcile.Invoices(c.Request().Context(), f)
	if err != nil {
		return err
	}
	l.Links = []crumb{{"CSV of lines", l.at("/invoice-lines.csv")}, {"XLSX of lines", l.at("/invoice-lines.xlsx")}}
	for _, i := range page.Items {
		l.Rows = append(l.Rows, invoiceRow(i, s.clock.Now()))
	}
	return s.show(c, l, f.Cursor, page.NextCursor)
}

func (s *Server) invoicesExport(c echo.Context) error {
	if err := checkFormat(c); err != nil {
		return err
	}
	l, f, err := s.invoiceList(c)
	if err != nil {
		return err
	}
	now := s.clock.Now()
	return sendAll(s, c, l, func(i reconcile.InvoiceRow) row { return invoiceRow(i, now) }, func(cursor string, n int) ([]reconcile.InvoiceRow, string, error) {
		f.Cursor, f.Limit = cursor, n
		page, err := s.reconcile.Invoices(c.Request().Context(), f)
		return page.Items, page.NextCursor, err
	})
}

// eventStatuses are what the log can be filtered by.
var eventStatuses = []string{"pending", "processed", "ignored", "quarantined", "dead"}

func (s *Server) eventList(c echo.Context) (list, operate.EventsFilter, error) {
	p := func(name string) string { return strings.TrimSpace(c.QueryParam(name)) }
	f := operate.EventsFilter{
		Selection: operate.Selection{Scope: scopeOf(c), ConnectionID: p("connection"), Type: p("type"), Status: p("status"), Customer: p("customer")},
		Attention: p("attention") == "yes", Sort: p("sort"), Cursor: p("cursor"), Limit: listLimit,
	}
	var err error
	if f.From, err = dayOf("from", p("from")); err != nil {
		return list{}, f, err
	}
	if f.To, err = dayOf("to", p("to")); err != nil {
		return list{}, f, err
	}
	if !f.To.IsZero() {
		f.To = f.To.AddDate(0, 0, 1) // the day itself is shown
	}
	switch q := p("q"); {
	case strings.HasPrefix(q, "evt_"):
		f.EventID = q
	case strings.HasPrefix(q, "cus_"):
		f.Customer = q
	default:
		f.Object = q
	}
	accounts, err := s.reconcile.Accounts(c.Request().Context(), f.Scope)
	if err != nil {
		return list{}, f, err
	}
	connections := connectionsOf(accounts)
	only := map[string]string{"yes": "Set aside only"}
	l := list{
		Name: "events", Heading: "Event log", Lead: "Every event that Stripe sent or that was fetched, once each, newest first. Its body stays sealed.", Path: "/events", Active: "events",
		Filters: []field{
			{Name: "connection", Label: "Connection", Value: f.ConnectionID, Choices: choices("Every connection", f.ConnectionID, connections, func(s string) string { return s })},
			{Name: "status", Label: "Status", Value: f.Status, Choices: choices("Every status", f.Status, eventStatuses, words)},
			{Name: "attention", Label: "Attention", Value: p("attention"), Choices: choices("Everything", p("attention"), []string{"yes"}, func(v string) string { return only[v] })},
			{Name: "type", Label: "Type", Value: f.Type, Hint: "invoice.paid"},
			{Name: "from", Label: "From", Value: p("from"), Type: "date"}, {Name: "to", Label: "To", Value: p("to"), Type: "date"},
			{Name: "q", Label: "Stripe ID", Value: p("q"), Type: "search", Hint: "evt_…, cus_…, in_…"},
		},
		Columns: []column{
			{Name: "created_at", Kind: columnTime}, {Name: "type"}, {Name: "status"}, {Name: "reason"}, {Name: "next_action"}, {Name: "connection"}, {Name: "environment"},
			{Name: "event_id"}, {Name: "object_id"}, {Name: "source"}, {Name: "received_at", Kind: columnTime}, {Name: "attempts", Kind: columnCount, Sum: true}, {Name: "body_sha256"},
		},
		Labels: []string{"Created at Stripe", "Type", "Status", "Why", "What to do", "Connection", "Environment", "Event", "Object", "Came by", "Received", "Tries", "Digest of the body"},
		Empty:  "No event yet", EmptyHint: "Events appear when a webhook endpoint is registered, or when the source is fetched.",
	}
	l.sorted(f.Sort, map[int]string{0: "created"}, "created")
	return l, f, nil
}

// connectionsOf are the connections that accounts are wired to, in order.
func connectionsOf(accounts []reconcile.Overview) []string {
	var out []string
	for _, a := range accounts {
		out = append(out, a.SourceConnection)
		if a.IssuerConnection != "" {
			out = append(out, a.IssuerConnection)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// eventState is how the status of a stored event looks.
func eventState(status string) StateView {
	state := stateOf(status)
	switch status {
	case "processed":
		state.Icon, state.Tone = "✓", "good"
	case "ignored":
		state.Icon, state.Tone = "–", "calm"
	case "dead", "quarantined":
		state.Icon, state.Tone = "✕", "bad"
	}
	return state
}

func eventRow(e operate.Event) row {
	state := eventState(e.Status)
	means, do := "", ""
	if e.Status == "dead" || e.Status == "quarantined" {
		a := operate.ActionOf(e.Reason)
		means, do = e.Reason+": "+a.Means, a.Do
	}
	return row{Key: rowKey(e.ConnectionID, "-", e.EventID), Cells: []cell{
		{Value: e.Created.UTC()}, {Value: e.Type, URL: query("/events", "type", e.Type)}, {Value: e.Status, State: &state}, {Value: means}, {Value: do}, {Value: e.ConnectionID, URL: query("/events", "connection", e.ConnectionID)},
		{Value: string(e.Environment)}, {Value: e.EventID, Mono: true}, {Value: e.ObjectID, Mono: true, URL: objectURL(e.ObjectID)}, {Value: e.Source}, {Value: e.ReceivedAt.UTC()}, {Value: int64(e.Attempts)}, {Value: e.BodySHA256, Mono: true},
	}}
}

func objectURL(id string) string {
	if id == "" {
		return ""
	}
	return query("/events", "q", id)
}

func (s *Server) eventLog(c echo.Context) error {
	l, f, err := s.eventList(c)
	if err != nil {
		return err
	}
	page, err := s.operate.Events(c.Request().Context(), f)
	if err != nil {
		return err
	}
	for _, e := range page.Items {
		l.Rows = append(l.Rows, eventRow(e))
	}
	return s.show(c, l, f.Cursor, page.NextCursor)
}

func (s *Server) eventLogExport(c echo.Context) error {
	if err := checkFormat(c); err != nil {
		return err
	}
	l, f, err := s.eventList(c)
	if err != nil {
		return err
	}
	return sendAll(s, c, l, eventRow, func(cursor string, n int) ([]operate.Event, string, error) {
		f.Cursor, f.Limit = cursor, n
		page, err := s.operate.Events(c.Request().Context(), f)
		return page.Items, page.NextCursor, err
	})
}

// accountOf finds an account of the caller's scope.
func (s *Server) accountOf(c echo.Context) (reconcile.Overview, error) {
	all, err := s.reconcile.Accounts(c.Request().Context(), scopeOf(c))
	if err != nil {
		return reconcile.Overview{}, err
	}
	i := slices.IndexFunc(all, func(o reconcile.Overview) bool { return o.ID == c.Param("id") })
	if i < 0 {
		return reconcile.Overview{}, echo.NewHTTPError(http.StatusNotFound)
	}
	return all[i], nil
}
