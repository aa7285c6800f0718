package campaign

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/liftbill/liftbill/adapters/stripeapi"
	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/internal/campaign/audit"
)

// The Stripe account of a schedule and the keys on it.
const (
	stripeAccount = "acct_issuer"
	ourLiveKey    = "rk_live_issuer_of_the_campaign"
	ourTestKey    = "rk_test_issuer_of_the_campaign"
	operatorKey   = "sk_live_operator_of_the_campaign"
	inProcess     = "http://127.0.0.1:1"
)

// permissions are those of an issuer's key.
var permissions = map[string]string{"*": "read", "invoice": "write", "invoiceitem": "write"}

// start is the moment at which every schedule begins.
var start = time.Date(2026, 11, 4, 6, 0, 0, 0, time.UTC)

// world is one schedule at work: a Stripe of its own, in which the payer already has
// things that are none of ours, and a cycle at its write-back.
type world struct {
	s      Schedule
	fake   *stripefake.Server
	wire   *wire
	ledger Ledger
	plan   billing.InvoicePlan
	order  audit.Order
	rng    *rand.Rand
	skew   *time.Duration
	quiet  bool
	taken  bool // a person has taken the invoice back
	tap    Tap
	mutant *Mutant

	problems []string // of the campaign itself
}

// Now is our clock: Stripe's, or off it.
func (w *world) Now() time.Time { return w.fake.Clock.Now().UTC().Add(*w.skew) }

func newWorld(ctx context.Context, s Schedule, ledger Ledger, mutant *Mutant) (*world, error) {
	if mutant != nil && mutant.ledger != nil {
		ledger = mutant.ledger(ledger)
	}
	w := &world{s: s, ledger: ledger, rng: rand.New(rand.NewPCG(s.Seed, 7)), mutant: mutant, skew: new(time.Duration)} //nolint:gosec // a schedule is drawn from a seed on purpose
	w.fake = stripefake.New(stripefake.Options{
		Seed: s.Seed, Start: start, HoldWebhooks: true, RequestLogLimit: 5_000,
		Accounts: []stripefake.AccountSpec{{ID: stripeAccount, Keys: []stripefake.KeySpec{
			{Mode: stripefake.Live, Secret: ourLiveKey, Permissions: permissions},
			{Mode: stripefake.Test, Secret: ourTestKey, Permissions: permissions},
			{Mode: stripefake.Live, Secret: operatorKey},
		}}},
	})
	w.wire = &wire{handler: w.fake, ourKey: ourLiveKey}
	customer := w.newPayer()
	w.plan = w.newPlan(customer)
	w.order = audit.Order{Customers: []string{customer}, Currency: s.Currency, Mail: !s.Charge, Lines: map[string]int64{}, NoWrites: s.Class == NotLive}
	for _, l := range w.plan.Lines {
		w.order.Lines[l.Line] = l.AmountMinor
	}
	w.furnish(customer)
	w.recordForeign()
	if err := w.ledger.Begin(ctx, w.environment(), w.plan, w.Now()); err != nil {
		return nil, err
	}
	w.fake.ResetRequests()
	if err := w.arm(ctx); err != nil {
		return nil, err
	}
	return w, nil
}

// environment is the account's; one class has an account that was flipped.
func (w *world) environment() account.Environment {
	if w.s.Mode == modeTestAccount {
		return account.Test
	}
	return account.Live
}

// newPayer is a customer who can be invoiced in the contract's way.
func (w *world) newPayer() string {
	cus := w.operator(http.MethodPost, "/v1/customers", url.Values{"email": {"payer@example.com"}})
	id, _ := cus["id"].(string)
	if w.s.Charge {
		w.operator(http.MethodPost, "/v1/customers/"+id, url.Values{"invoice_settings[default_payment_method]": {"pm_card_visa"}})
	}
	return id
}

// newPlan is a plan over amounts drawn from the seed.
func (w *world) newPlan(customer string) billing.InvoicePlan {
	collection, days := billing.SendInvoice, 30
	if w.s.Charge {
		collection, days = billing.ChargeAutomatically, 0
	}
	name := "acme-" + strconv.Itoa(w.s.Number)
	p := billing.InvoicePlan{
		Key:     billing.IntentKey{IssuerConnection: name + "-stripe", Customer: customer, Currency: w.s.Currency, Period: "2026-10", Part: "1/1"},
		CycleID: name + ".2026-10", AccountID: name, CollectionMethod: collection, DaysUntilDue: days, Description: "Measured incremental revenue",
		PeriodStart: time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC).Unix(), PeriodEnd: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC).Unix(),
	}
	for i := range w.s.Lines {
		id := fmt.Sprintf("snap-%03d", i)
		amount := leastAmount + 100*w.rng.Int64N(900)
		if w.s.Currency != "isk" && w.s.Currency != "ugx" {
			amount += w.rng.Int64N(100)
		}
		p.Lines = append(p.Lines, billing.PlanLine{
			Line: id, AmountMinor: amount, Description: "Measured lift of " + id,
			Metadata: map[string]string{"lb_line": id, "lb_snapshot": id, "lb_readout": "case-" + id},
		})
	}
	return sealed(p)
}

// leastAmount is above Stripe's minimum in every currency of the schedules; less is never
// sent.
const leastAmount = 20_000

// sealed writes the metadata that follows from the rest.
func sealed(p billing.InvoicePlan) billing.InvoicePlan {
	p.Metadata = map[string]string{"lb_key": p.Key.StripeKey(), "lb_cycle": p.Key.Period, "lb_env": "live", "lb_account": p.AccountID}
	p.Metadata["lb_plan_sha256"] = p.Hash()
	return p
}

// furnish gives the payer what is none of our business, before we come.
func (w *world) furnish(customer string) {
	post := func(path string, form url.Values) map[string]any { return w.operator(http.MethodPost, path, form) }
	post("/v1/invoiceitems", url.Values{"customer": {customer}, "amount": {"500"}, "currency": {"usd"}, "description": {"pending, not ours"}})
	draft, _ := post("/v1/invoices", url.Values{"customer": {customer}, "currency": {"usd"}, "pending_invoice_items_behavior": {"exclude"}})["id"].(string)
	post("/v1/invoiceitems", url.Values{"customer": {customer}, "invoice": {draft}, "amount": {"700"}, "currency": {"usd"}})
	if w.s.Coupon {
		post("/v1/coupons", url.Values{"id": {"fifth"}, "percent_off": {"20"}, "duration": {"forever"}})
		post("/v1/customers/"+customer, url.Values{"coupon": {"fifth"}})
	}
}

// arm sets the faults, the operator and what is not live.
func (w *world) arm(ctx context.Context) error {
	for i, f := range w.s.Faults {
		// A request that an earlier rule has taken is not counted by the later ones.
		earlier := 0
		for _, g := range w.s.Faults[:i] {
			if g.At < f.At {
				earlier++
			}
		}
		err := w.fake.AddFault(stripefake.FaultRule{Kind: f.Kind, KeyKind: "restricted", Skip: max(0, f.At-earlier), Delay: f.Delay})
		if err != nil {
			return err
		}
	}
	if w.s.Chance > 0 {
		chances := map[stripefake.FaultKind]float64{}
		for _, k := range Kinds() {
			chances[k] = w.s.Chance / float64(len(Kinds()))
		}
		w.fake.SetSeededFaults(&stripefake.SeededFaults{Requests: chances, OnlyWrites: true})
	}
	if w.s.Act != nil {
		w.wire.before = func(n int) {
			a := actOf(w.s.Act.What)
			switch {
			case n != w.s.Act.At:
			case a.decision != "":
				w.decide(ctx, a.decision)
			default:
				a.do(w)
				w.recordForeign()
			}
		}
	}
	if w.mutant != nil && w.mutant.request != nil {
		w.wire.change = func(req *http.Request) { w.mutant.request(w, req) }
	}
	if m := w.s.Mode; m == modePayerTest || m == modeListTest {
		w.wire.handler = mixed(w.fake, m)
	}
	return nil
}

// operator sends a request as somebody else with access to the Stripe account.
func (w *world) operator(method, path string, form url.Values) map[string]any {
	req, err := http.NewRequest(method, inProcess+path, strings.NewReader(form.Encode()))
	if err != nil {
		w.problems = append(w.problems, err.Error())
		return nil
	}
	req.Header.Set("Authorization", "Bearer "+operatorKey)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	rec := &answer{header: http.Header{}, status: http.StatusOK}
	var out map[string]any
	// By chance a fault strikes the operator too; what they wanted has then not happened.
	if !serve(w.fake, rec, req) || json.Unmarshal(rec.body.Bytes(), &out) != nil || rec.status >= http.StatusMultipleChoices {
		return map[string]any{}
	}
	return out
}

// object is what the campaign itself reads at Stripe.
type object struct {
	ID          string            `json:"id"`
	Object      string            `json:"object"`
	Status      string            `json:"status"`
	Invoice     *string           `json:"invoice"`
	Subtotal    int64             `json:"subtotal"`
	Description string            `json:"description"`
	AutoAdvance bool              `json:"auto_advance"`
	Metadata    map[string]string `json:"metadata"`
}

func (w *world) objects() []object {
	state, err := w.fake.State(stripeAccount, stripefake.Live, "invoices", "invoiceitems")
	if err != nil {
		w.problems = append(w.problems, err.Error())
	}
	var out []object
	for _, raw := range append(state["invoices"], state["invoiceitems"]...) {
		var o object
		if err := json.Unmarshal(raw, &o); err != nil {
			w.problems = append(w.problems, err.Error())
		}
		out = append(out, o)
	}
	return out
}

// ours are the invoices that are not somebody else's, in one of the states.
func (w *world) ours(states ...string) []object {
	var out []object
	for _, o := range w.objects() {
		if o.Object != "invoice" || w.order.Foreign[o.ID] != "" {
			continue
		}
		for _, s := range states {
			if o.Status == s {
				out = append(out, o)
			}
		}
	}
	return out
}

// itemsOf are the items on an invoice that are not somebody else's.
func (w *world) itemsOf(invoice string) []object {
	var out []object
	for _, o := range w.objects() {
		if o.Object == "invoiceitem" && w.order.Foreign[o.ID] == "" && o.Invoice != nil && *o.Invoice == invoice {
			out = append(out, o)
		}
	}
	return out
}

// recordForeign writes down everything that does not come from us. What an operator has
// just made carries no key of ours.
func (w *world) recordForeign() {
	if w.order.Foreign == nil {
		w.order.Foreign = map[string]string{}
	}
	state, err := w.fake.State(stripeAccount, stripefake.Live, "invoices", "invoiceitems")
	if err != nil {
		w.problems = append(w.problems, err.Error())
	}
	first := len(w.order.Foreign) == 0
	for _, raw := range append(state["invoices"], state["invoiceitems"]...) {
		var o struct {
			ID          string `json:"id"`
			Description string `json:"description"`
		}
		if json.Unmarshal(raw, &o) == nil && (first || w.order.Foreign[o.ID] != "" || o.Description == operatorsOwn) {
			w.order.Foreign[o.ID] = string(raw)
		}
	}
}

// operatorsOwn is the description of what an operator adds.
const operatorsOwn = "an operator's own"

// process is the use case as a freshly started worker has it.
func (w *world) process() *invoicing.Service {
	client, err := stripeapi.New(stripeapi.Config{
		APIBase: inProcess, Wire: w.wire, LiveRate: stripeapi.Unlimited, TestRate: stripeapi.Unlimited, HTTPTimeout: time.Minute,
		Clock: w, Logger: slog.New(slog.DiscardHandler), ConnectionKey: w.connection,
	})
	if err != nil {
		panic(err) // the configuration is written above
	}
	return w.assemble(stripeapi.NewWriters(client))
}

// assemble puts the taps and, in a mutant, its defect between the use case and its ports.
func (w *world) assemble(writers invoicing.Writers) *invoicing.Service {
	var intents invoicing.Intents = w.ledger
	if w.mutant != nil {
		if w.mutant.intents != nil {
			intents = w.mutant.intents(intents)
		}
		if w.mutant.writer != nil {
			writers = &changedWriters{writers, func(x invoicing.Writer) invoicing.Writer { return w.mutant.writer(w, intents, x) }}
		}
	}
	if w.tap != nil {
		intents = tappedIntents{intents, w.tap}
		tap := w.tap
		writers = &changedWriters{writers, func(x invoicing.Writer) invoicing.Writer { return tappedWriter{x, tap} }}
	}
	return &invoicing.Service{Ledger: writeBackOnly{Intents: intents}, Writers: writers, Clock: w, Book: noSetups{}}
}

// connection is the issuer's, or what the class made of it.
func (w *world) connection(_ context.Context, id string) (account.Connection, account.SecretKey, error) {
	text, env := ourLiveKey, account.Live
	switch w.s.Mode {
	case modeTestKey:
		text = ourTestKey
	case modeTestConnection:
		text, env = ourTestKey, account.Test
	}
	key, err := account.ParseSecretKey(text)
	return account.Connection{
		ID: id, Environment: env, Roles: account.Roles{Source: true, Issuer: true}, StripeAccountID: stripeAccount, KeyMask: "rk_live_…",
	}, key, err
}

// writeBackOnly is a ledger of cycles that stand at their write-back already.
type writeBackOnly struct {
	invoicing.Intents
	invoicing.Proposals
}

// noSetups is the book of payers who never asked for a set-up page.
type noSetups struct{ invoicing.PayerBook }

// SetupOf implements invoicing.PayerBook.
func (noSetups) SetupOf(context.Context, string) (invoicing.Setup, error) {
	return invoicing.Setup{Environment: account.Live}, nil
}

type changedWriters struct {
	invoicing.Writers
	change func(invoicing.Writer) invoicing.Writer
}

// Open implements invoicing.Writers.
func (c *changedWriters) Open(ctx context.Context, wb billing.WriteBack) (invoicing.Writer, error) {
	w, err := c.Writers.Open(ctx, wb)
	if err != nil {
		return nil, err
	}
	return c.change(w), nil
}

// evidence is what the auditor gets to see.
func (w *world) evidence() (audit.Evidence, error) {
	state, err := w.fake.State(stripeAccount, stripefake.Live, "invoices", "invoiceitems", "events")
	if err != nil {
		return audit.Evidence{}, err
	}
	ev := audit.Evidence{Objects: append(state["invoices"], state["invoiceitems"]...), Events: state["events"]}
	for _, r := range w.fake.Requests(stripefake.RequestFilter{}) {
		ev.Requests = append(ev.Requests, audit.Request{
			Method: r.Method, Path: r.Path, Params: r.Params, Mode: r.Mode, Ours: r.KeyKind == "restricted", Status: r.Status, At: r.Time,
		})
	}
	return ev, nil
}

// ourRequests are those of the program's own key.
func (w *world) ourRequests() []stripefake.Request {
	var out []stripefake.Request
	for _, r := range w.fake.Requests(stripefake.RequestFilter{}) {
		if r.KeyKind == "restricted" {
			out = append(out, r)
		}
	}
	return out
}
