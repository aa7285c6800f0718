// Package audit recomputes from Stripe's objects and its log of requests alone what a
// payer was billed, and says what is wrong with it. It shares no code with the program
// that wrote the invoice: it imports the standard library only.
package audit

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"sort"
	"strings"
	"time"
)

// Kind is a class of findings.
type Kind string

// What can be wrong.
const (
	WrongAmount   Kind = "wrong amount"
	Duplicate     Kind = "duplicate"
	Leaked        Kind = "leaked item"
	Foreign       Kind = "foreign object touched"
	ModeWrite     Kind = "write in test mode"
	Missing       Kind = "no invoice"
	DraftLeft     Kind = "draft left"
	Unreleased    Kind = "not released"
	WrongReleased Kind = "released unseen"
	MailedTwice   Kind = "mailed twice"
	Empty         Kind = "finalized empty"
	Strange       Kind = "strange request"
)

// Kinds lists them in the order of a report.
func Kinds() []Kind {
	return []Kind{WrongAmount, Duplicate, Leaked, Foreign, ModeWrite, Missing, DraftLeft, Unreleased, WrongReleased, MailedTwice, Empty, Strange}
}

// Finding is one thing that is wrong.
type Finding struct {
	Kind Kind
	Text string
}

// Order is what was to be billed, as the campaign made it up.
type Order struct {
	// Customers is the payer, after those whose place it took.
	Customers []string
	Currency  string
	// Mail: the invoice is sent; otherwise the payer is charged.
	Mail bool
	// Lines are the amounts in minor units by name.
	Lines map[string]int64
	// Foreign is everything at Stripe that is somebody else's, by ID, as it was left.
	Foreign map[string]string
	// NoWrites: nothing at all may be written, because something is not live.
	NoWrites bool
}

// Request is one line of Stripe's log.
type Request struct {
	Method, Path, Params, Mode string
	Ours                       bool
	Status                     int
	At                         time.Time
}

// Evidence is what Stripe has.
type Evidence struct {
	Objects  []json.RawMessage // invoices and invoice items
	Events   []json.RawMessage
	Requests []Request
}

type object struct {
	ID          string            `json:"id"`
	Object      string            `json:"object"`
	Status      string            `json:"status"`
	Customer    string            `json:"customer"`
	Currency    string            `json:"currency"`
	Collection  string            `json:"collection_method"`
	Invoice     *string           `json:"invoice"`
	Amount      int64             `json:"amount"`
	Subtotal    int64             `json:"subtotal"`
	Total       int64             `json:"total"`
	AutoAdvance bool              `json:"auto_advance"`
	Livemode    bool              `json:"livemode"`
	Metadata    map[string]string `json:"metadata"`
}

type auditor struct {
	order    Order
	ev       Evidence
	invoices map[string]object
	items    []object
	found    []Finding
}

func (a *auditor) say(k Kind, format string, args ...any) {
	a.found = append(a.found, Finding{k, fmt.Sprintf(format, args...)})
}

func read(order Order, ev Evidence) *auditor {
	a := &auditor{order: order, ev: ev, invoices: map[string]object{}}
	seen := map[string]bool{}
	for _, raw := range ev.Objects {
		var o object
		if err := json.Unmarshal(raw, &o); err != nil {
			a.say(Strange, "an object cannot be read: %v", err)
			continue
		}
		seen[o.ID] = true
		if before, ok := order.Foreign[o.ID]; ok {
			if before != string(raw) {
				a.say(Foreign, "%s %s was changed", o.Object, o.ID)
			}
			continue
		}
		if o.Object == "invoice" {
			a.invoices[o.ID] = o
		} else {
			a.items = append(a.items, o)
		}
	}
	for id := range order.Foreign {
		if !seen[id] {
			a.say(Foreign, "%s is gone", id)
		}
	}
	return a
}

// Billed demands exactly one right and released invoice, and nothing else left behind.
func Billed(order Order, ev Evidence) []Finding {
	a := read(order, ev)
	a.common()
	final := a.final()
	switch in, ok := a.invoices[final]; {
	case !ok:
		a.say(Missing, "there is no invoice")
	default:
		for _, problem := range a.content(in, order.Customers[len(order.Customers)-1:]) {
			a.say(WrongAmount, "%s", problem)
		}
		if in.Status == "open" && !in.AutoAdvance {
			a.say(Unreleased, "invoice %s collects nothing", final)
		}
		if order.Mail && in.Status == "open" && a.mails(final) == 0 {
			a.say(Unreleased, "invoice %s was not mailed", final)
		}
	}
	for id, in := range a.invoices {
		if in.Status == "draft" {
			a.say(DraftLeft, "draft %s", id)
		}
	}
	return a.sorted()
}

// Waiting demands of a cycle that waits for a person that no harm was done: nobody has
// two invoices, nothing of ours will be billed by another invoice, and nothing that we
// released is wrong.
func Waiting(order Order, ev Evidence) []Finding {
	a := read(order, ev)
	a.common()
	return a.sorted()
}

func (a *auditor) sorted() []Finding {
	sort.Slice(a.found, func(i, j int) bool {
		return a.found[i].Kind < a.found[j].Kind || (a.found[i].Kind == a.found[j].Kind && a.found[i].Text < a.found[j].Text)
	})
	return a.found
}

// common is what holds at every end.
func (a *auditor) common() {
	var counting []string
	for id, in := range a.invoices {
		if a.counts(in) {
			counting = append(counting, id)
		}
	}
	if len(counting) > 1 {
		sort.Strings(counting)
		a.say(Duplicate, "%s all count", strings.Join(counting, ", "))
	}
	for _, it := range a.items {
		switch {
		case it.Invoice == nil:
			a.say(Leaked, "item %s is pending and will be billed again", it.ID)
		case a.order.Foreign[*it.Invoice] != "":
			a.say(Leaked, "item %s stands on somebody else's invoice %s", it.ID, *it.Invoice)
		}
	}
	a.wire()
	for _, id := range a.releasedByUs() {
		for _, problem := range a.content(a.invoices[id], a.order.Customers) {
			a.say(WrongReleased, "%s", problem)
		}
	}
	a.twice()
	for id, in := range a.invoices {
		if in.Status == "paid" && !a.counts(in) && a.finalizedByUs(id) {
			a.say(Empty, "invoice %s over nothing", id)
		}
	}
}

// finalizedByUs reports whether a finalize of ours may have been what finalized an invoice.
func (a *auditor) finalizedByUs(id string) bool {
	for _, r := range a.ev.Requests {
		if r.Ours && r.Path == "/v1/invoices/"+id+"/finalize" && r.Status != 0 && (r.Status < 400 || r.Status >= 500) {
			return true
		}
	}
	return false
}

// counts reports whether an invoice bills somebody: it is neither a draft nor void, and
// it is over something.
func (a *auditor) counts(in object) bool {
	if in.Status == "draft" || in.Status == "void" {
		return false
	}
	for _, it := range a.items {
		if it.Invoice != nil && *it.Invoice == in.ID {
			return true
		}
	}
	return in.Total != 0 || in.Subtotal != 0
}

// final is the invoice that counts.
func (a *auditor) final() string {
	for id, in := range a.invoices {
		if a.counts(in) {
			return id
		}
	}
	return ""
}

// content compares an invoice and its items with the order, for one of the payers.
func (a *auditor) content(in object, payers []string) []string {
	var out []string
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	var want int64
	for _, amount := range a.order.Lines {
		want += amount
	}
	if in.Currency != a.order.Currency || !slices.Contains(payers, in.Customer) || !in.Livemode {
		add("invoice %s is in %s for %s", in.ID, in.Currency, in.Customer)
	}
	if in.Total != want || in.Subtotal != want {
		add("invoice %s is over %d (%d before discounts), not over %d", in.ID, in.Total, in.Subtotal, want)
	}
	if mail := in.Collection == "send_invoice"; mail != a.order.Mail {
		add("invoice %s is collected by %s", in.ID, in.Collection)
	}
	lines := map[string]int64{}
	count := 0
	for _, it := range a.items {
		if it.Invoice == nil || *it.Invoice != in.ID {
			continue
		}
		count++
		name := it.Metadata["lb_line"]
		if _, known := a.order.Lines[name]; !known {
			add("item %s on invoice %s is no line of ours", it.ID, in.ID)
		}
		lines[name] += it.Amount
	}
	if count != len(a.order.Lines) {
		add("invoice %s has %d items, not %d", in.ID, count, len(a.order.Lines))
	}
	for name, amount := range a.order.Lines {
		if lines[name] != amount {
			add("line %s of invoice %s is over %d, not over %d", name, in.ID, lines[name], amount)
		}
	}
	return out
}

var (
	onInvoice = regexp.MustCompile(`^/v1/invoices/(in_[A-Za-z0-9]+)(/finalize|/send|/void)?$`)
	allowed   = regexp.MustCompile(`^(POST /v1/invoices|POST /v1/invoiceitems|POST /v1/invoices/in_[A-Za-z0-9]+(/finalize|/send|/void)?|DELETE /v1/(invoices/in|invoiceitems/ii)_[A-Za-z0-9]+)$`)
)

// wire looks at every write of ours.
func (a *auditor) wire() {
	for _, r := range a.ev.Requests {
		if !r.Ours || r.Method == "GET" {
			continue
		}
		if r.Mode != "live" || a.order.NoWrites {
			a.say(ModeWrite, "%s %s in %s mode", r.Method, r.Path, r.Mode)
		}
		if !allowed.MatchString(r.Method + " " + r.Path) {
			a.say(Strange, "%s %s", r.Method, r.Path)
		}
	}
}

// releasedByUs are the invoices that we told Stripe to collect or to mail.
func (a *auditor) releasedByUs() []string {
	seen := map[string]bool{}
	for _, r := range a.ev.Requests {
		m := onInvoice.FindStringSubmatch(r.Path)
		if !r.Ours || r.Method != "POST" || m == nil || r.Status == 0 || (r.Status >= 400 && r.Status < 500) {
			continue
		}
		form, err := url.ParseQuery(r.Params)
		if err != nil {
			a.say(Strange, "%s %s cannot be read", r.Method, r.Path)
		}
		if m[2] == "/send" || form.Get("auto_advance") == "true" {
			seen[m[1]] = true
		}
	}
	var out []string
	for id := range seen {
		if _, ok := a.invoices[id]; ok {
			out = append(out, id)
		}
	}
	sort.Strings(out)
	return out
}

// mail is an event of Stripe's about a mail that went out.
type mail struct {
	Type    string `json:"type"`
	Created int64  `json:"created"`
	Data    struct {
		Object struct {
			ID string `json:"id"`
		} `json:"object"`
	} `json:"data"`
}

func (a *auditor) sent() map[string][]int64 {
	out := map[string][]int64{}
	for _, raw := range a.ev.Events {
		var m mail
		if json.Unmarshal(raw, &m) == nil && m.Type == "invoice.sent" {
			out[m.Data.Object.ID] = append(out[m.Data.Object.ID], m.Created)
		}
	}
	return out
}

func (a *auditor) mails(invoice string) int {
	n := len(a.sent()[invoice])
	for _, r := range a.ev.Requests { // what Stripe serves of events is a month old at most
		if r.Ours && r.Path == "/v1/invoices/"+invoice+"/send" && r.Status == 200 {
			n++
		}
	}
	return n
}

// day is how long Stripe keeps an idempotency key.
const day = 24 * 60 * 60

// twice finds a second mail within a day that no failed answer excuses: the key of the
// first one would have kept Stripe from sending it.
func (a *auditor) twice() {
	failed := map[string]bool{}
	for _, r := range a.ev.Requests {
		if r.Ours && strings.HasSuffix(r.Path, "/send") && r.Status >= 500 {
			failed[strings.TrimSuffix(strings.TrimPrefix(r.Path, "/v1/invoices/"), "/send")] = true
		}
	}
	for id, at := range a.sent() {
		sort.Slice(at, func(i, j int) bool { return at[i] < at[j] })
		for i := 1; i < len(at); i++ {
			if _, ours := a.invoices[id]; ours && !failed[id] && at[i]-at[i-1] < day {
				a.say(MailedTwice, "invoice %s, %d seconds apart", id, at[i]-at[i-1])
			}
		}
	}
}
