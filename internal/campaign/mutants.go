package campaign

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

// Mutant is the write-back with one of its parts taken out or done wrong.
type Mutant struct {
	Name    string
	intents func(invoicing.Intents) invoicing.Intents
	writer  func(w *world, intents invoicing.Intents, x invoicing.Writer) invoicing.Writer
	request func(w *world, req *http.Request)
	ledger  func(Ledger) Ledger
}

// Mutants are all of them; the campaign must object to each.
func Mutants() []Mutant {
	intents := func(name string, change func(invoicing.Intents) invoicing.Intents) Mutant {
		return Mutant{Name: name, intents: change}
	}
	writer := func(name string, change func(w *world, in invoicing.Intents, x invoicing.Writer) invoicing.Writer) Mutant {
		return Mutant{Name: name, writer: change}
	}
	request := func(name string, change func(w *world, req *http.Request)) Mutant {
		return Mutant{Name: name, request: change}
	}
	return []Mutant{
		writer("no look-up before a create", func(_ *world, _ invoicing.Intents, x invoicing.Writer) invoicing.Writer { return blind{x} }),
		writer("lines added without a look", func(_ *world, _ invoicing.Intents, x invoicing.Writer) invoicing.Writer { return careless{x} }),
		intents("no pin", func(x invoicing.Intents) invoicing.Intents { return forgetful{x} }),
		intents("the last pin wins", func(x invoicing.Intents) invoicing.Intents { return pushy{x.(*Memory)} }), // mutants run in memory
		{
			Name:    "a draft is finalized without a claim",
			intents: func(x invoicing.Intents) invoicing.Intents { return unclaimed{x.(*Memory)} },
			writer:  func(w *world, _ invoicing.Intents, x invoicing.Writer) invoicing.Writer { return timeless{x, w} },
		},
		intents("what is out of date escalates", func(x invoicing.Intents) invoicing.Intents { return nervous{x.(*Memory)} }),
		intents("a cached key is used again", func(x invoicing.Intents) invoicing.Intents { return stubborn{x} }),
		request("the key depends on the attempt", freshKey),
		writer("no verification", func(w *world, _ invoicing.Intents, x invoicing.Writer) invoicing.Writer {
			return &credulous{Writer: x, w: w}
		}),
		writer("no second look before the release", func(w *world, _ invoicing.Intents, x invoicing.Writer) invoicing.Writer {
			return &credulous{Writer: x, w: w, finalOnly: true}
		}),
		writer("released before the second look", func(_ *world, _ invoicing.Intents, x invoicing.Writer) invoicing.Writer { return hasty{x} }),
		writer("no sweep", func(_ *world, in invoicing.Intents, x invoicing.Writer) invoicing.Writer { return lazy{x} }),
		writer("drafts deleted without their items", func(_ *world, _ invoicing.Intents, x invoicing.Writer) invoicing.Writer { return untidy{x} }),
		writer("a draft is burnt when finalize is lost", func(w *world, in invoicing.Intents, x invoicing.Writer) invoicing.Writer { return burner{x, in, w} }),
		writer("no status check before finalize", func(_ *world, _ invoicing.Intents, x invoicing.Writer) invoicing.Writer { return sightless{x} }),
		intents("given-up invoices are forgotten", func(x invoicing.Intents) invoicing.Intents { return amnesiac{x} }),
		writer("other people's items are deleted", func(w *world, _ invoicing.Intents, x invoicing.Writer) invoicing.Writer { return greedy{x, w} }),
		intents("what was taken back is left at Stripe", func(x invoicing.Intents) invoicing.Intents { return heedless{x} }),
		{Name: "a finalized invoice is taken back", ledger: func(x Ledger) Ledger { return rash{x.(*Memory)} }},
		intents("a person is never asked", func(x invoicing.Intents) invoicing.Intents { return proud{x} }),
		request("the payer's coupon is inherited", form("/v1/invoices", func(f url.Values) { f.Del("discounts") })),
		request("pending items are taken in", form("/v1/invoices", func(f url.Values) { f.Set("pending_invoice_items_behavior", "include") })),
		request("the draft advances by itself", form("/v1/invoices", func(f url.Values) { f.Set("auto_advance", "true") })),
		request("items hang on no invoice", form("/v1/invoiceitems", func(f url.Values) { f.Del("invoice") })),
		request("amounts are multiplied by 100", form("/v1/invoiceitems", func(f url.Values) { f.Set("amount", f.Get("amount")+"00") })),
	}
}

// form changes the body of a create.
func form(path string, change func(url.Values)) func(*world, *http.Request) {
	return func(w *world, req *http.Request) {
		if req.Method != http.MethodPost || req.URL.Path != path {
			return
		}
		body, err := io.ReadAll(req.Body)
		f, parseErr := url.ParseQuery(string(body))
		if err != nil || parseErr != nil {
			w.problems = append(w.problems, "a body cannot be read")
		}
		change(f)
		text := f.Encode()
		req.Body, req.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
	}
}

func freshKey(w *world, req *http.Request) {
	if key := req.Header.Get("Idempotency-Key"); key != "" {
		req.Header.Set("Idempotency-Key", key+":"+strconv.Itoa(w.wire.n))
	}
}

type blind struct{ invoicing.Writer }

// OurInvoices implements invoicing.Writer.
func (blind) OurInvoices(context.Context) ([]invoicing.StripeInvoice, error) { return nil, nil }

type careless struct{ invoicing.Writer }

// Items implements invoicing.Writer.
func (careless) Items(context.Context, string) ([]invoicing.StripeItem, error) { return nil, nil }

type forgetful struct{ invoicing.Intents }

// Pin implements invoicing.Intents.
func (forgetful) Pin(context.Context, string, string, time.Time) error { return nil }

type pushy struct{ *Memory }

// Pin implements invoicing.Intents.
func (p pushy) Pin(_ context.Context, id, invoice string, _ time.Time) error {
	return p.change(id, func(in *memoryIntent) error {
		if in.InvoiceID = invoice; in.State == billing.IntentPlanned {
			in.State = billing.IntentPinned
		}
		return nil
	})
}

// unclaimed lets others give a draft up while it is being finalized.
type unclaimed struct{ *Memory }

// SaveItems implements invoicing.Intents.
func (u unclaimed) SaveItems(_ context.Context, id, _ string, _ []invoicing.StripeItem, _ time.Time) error {
	return u.change(id, func(in *memoryIntent) error {
		if in.State == billing.IntentPinned {
			in.State = billing.IntentVerified
		}
		return nil
	})
}

// nervous asks a person about what another worker has settled already.
type nervous struct{ *Memory }

// Escalate implements invoicing.Intents.
func (n nervous) Escalate(ctx context.Context, cycleID, _, reason string, at time.Time) error {
	in, err := n.Intent(ctx, cycleID)
	if err != nil {
		return err
	}
	return n.Memory.Escalate(ctx, cycleID, in.InvoiceID, reason, at)
}

type stubborn struct{ invoicing.Intents }

// NextFinalize implements invoicing.Intents.
func (stubborn) NextFinalize(context.Context, string, time.Time) error { return nil }

// CountIndeterminate implements invoicing.Intents.
func (stubborn) CountIndeterminate(_ context.Context, _ string, at time.Time) (int, time.Time, error) {
	return 0, at, nil
}

// credulous sees what the plan says instead of what is there.
type credulous struct {
	invoicing.Writer
	w         *world
	finalOnly bool
	last      string // status of the invoice that was read last
}

// Items implements invoicing.Writer.
func (c *credulous) Items(ctx context.Context, id string) ([]invoicing.StripeItem, error) {
	items, err := c.Writer.Items(ctx, id)
	if err != nil || len(items) == 0 || (c.finalOnly && !final(c.last)) {
		return items, err
	}
	var out []invoicing.StripeItem
	for _, l := range c.w.plan.Lines {
		out = append(out, invoicing.StripeItem{
			ID: items[0].ID, Invoice: id, AmountMinor: l.AmountMinor, Currency: c.w.plan.Key.Currency, Livemode: true,
			Metadata: map[string]string{"lb_key": c.w.plan.Key.StripeKey(), "lb_line": l.Line},
		})
	}
	return out, nil
}

func final(status string) bool {
	return status == "open" || status == "paid" || status == "uncollectible"
}

func (c *credulous) believe(inv invoicing.StripeInvoice) invoicing.StripeInvoice {
	if c.last = inv.Status; !c.finalOnly || final(inv.Status) {
		inv.SubtotalMinor, inv.TotalMinor, inv.TotalExcludingTaxMinor = c.w.plan.TotalMinor(), c.w.plan.TotalMinor(), nil
		inv.Metadata, inv.HasDiscounts, inv.CollectionMethod = c.w.plan.Metadata, false, string(c.w.plan.CollectionMethod)
	}
	return inv
}

// Invoice implements invoicing.Writer.
func (c *credulous) Invoice(ctx context.Context, id string) (invoicing.StripeInvoice, error) {
	inv, err := c.Writer.Invoice(ctx, id)
	return c.believe(inv), err
}

// Finalize implements invoicing.Writer.
func (c *credulous) Finalize(ctx context.Context, id string, n int, claimed time.Time) (invoicing.StripeInvoice, error) {
	inv, err := c.Writer.Finalize(ctx, id, n, claimed)
	if c.last = inv.Status; err == nil {
		return c.believe(inv), nil
	}
	c.last = "open"
	return inv, err
}

// OurInvoices implements invoicing.Writer.
func (c *credulous) OurInvoices(ctx context.Context) ([]invoicing.StripeInvoice, error) {
	all, err := c.Writer.OurInvoices(ctx)
	for i, inv := range all {
		if inv.Metadata["lb_key"] == c.w.plan.Key.StripeKey() {
			all[i] = c.believe(inv)
		}
	}
	return all, err
}

// timeless does not ask when the draft was claimed.
type timeless struct {
	invoicing.Writer
	w *world
}

// Finalize implements invoicing.Writer.
func (t timeless) Finalize(ctx context.Context, id string, n int, _ time.Time) (invoicing.StripeInvoice, error) {
	return t.Writer.Finalize(ctx, id, n, t.w.Now())
}

type hasty struct{ invoicing.Writer }

// Finalize implements invoicing.Writer.
func (h hasty) Finalize(ctx context.Context, id string, n int, claimed time.Time) (invoicing.StripeInvoice, error) {
	inv, err := h.Writer.Finalize(ctx, id, n, claimed)
	if err != nil {
		return inv, err
	}
	return h.Release(ctx, id, n)
}

// lazy leaves everything where it is, once an invoice of ours is finalized.
type lazy struct{ invoicing.Writer }

// OurInvoices implements invoicing.Writer.
func (l lazy) OurInvoices(ctx context.Context) ([]invoicing.StripeInvoice, error) {
	all, err := l.Writer.OurInvoices(ctx)
	var counting []invoicing.StripeInvoice
	for _, inv := range all {
		if final(inv.Status) {
			counting = append(counting, inv)
		}
	}
	if len(counting) > 0 {
		return counting, err
	}
	return all, err
}

// OurPendingItems implements invoicing.Writer.
func (lazy) OurPendingItems(context.Context) ([]invoicing.StripeItem, error) { return nil, nil }

// untidy deletes drafts and leaves their items pending.
type untidy struct{ invoicing.Writer }

// Items implements invoicing.Writer.
func (u untidy) Items(ctx context.Context, id string) ([]invoicing.StripeItem, error) {
	return u.Writer.Items(ctx, id)
}

// DeleteItem implements invoicing.Writer.
func (u untidy) DeleteItem(ctx context.Context, id string) error {
	return fault.New(fault.NotFound, "stripe_not_found", "it is not deleted")
}

// burner gives the invoice up when the answer to a finalize is lost.
type burner struct {
	invoicing.Writer
	intents invoicing.Intents
	w       *world
}

// Finalize implements invoicing.Writer.
func (b burner) Finalize(ctx context.Context, id string, n int, claimed time.Time) (invoicing.StripeInvoice, error) {
	inv, err := b.Writer.Finalize(ctx, id, n, claimed)
	if !fault.Is(err, fault.Indeterminate) {
		return inv, err
	}
	intent := b.w.plan.Key.ID()
	if err := b.intents.Unpin(ctx, intent, id, b.w.Now()); err != nil {
		return inv, err
	}
	if err := b.intents.Forget(ctx, intent, id); err != nil {
		return inv, err
	}
	return inv, fault.New(fault.Unavailable, "draft_given_up", "the draft was burnt")
}

// OurInvoices implements invoicing.Writer.
func (b burner) OurInvoices(ctx context.Context) ([]invoicing.StripeInvoice, error) {
	all, err := b.Writer.OurInvoices(ctx)
	var out []invoicing.StripeInvoice
	for _, inv := range all {
		if inv.Status != "draft" {
			out = append(out, inv)
		}
	}
	return out, err
}

// sightless takes every invoice for a draft.
type sightless struct{ invoicing.Writer }

// Invoice implements invoicing.Writer.
func (s sightless) Invoice(ctx context.Context, id string) (invoicing.StripeInvoice, error) {
	inv, err := s.Writer.Invoice(ctx, id)
	inv.Status = "draft"
	return inv, err
}

// amnesiac does not know what was pinned before.
type amnesiac struct{ invoicing.Intents }

// Intent implements invoicing.Intents.
func (a amnesiac) Intent(ctx context.Context, cycleID string) (invoicing.StoredIntent, error) {
	in, err := a.Intents.Intent(ctx, cycleID)
	in.GivenUp = nil
	return in, err
}

// greedy takes everything on our draft for ours.
type greedy struct {
	invoicing.Writer
	w *world
}

// Items implements invoicing.Writer.
func (g greedy) Items(ctx context.Context, id string) ([]invoicing.StripeItem, error) {
	items, err := g.Writer.Items(ctx, id)
	for i := range items {
		if items[i].Metadata["lb_key"] == "" {
			items[i].Metadata = map[string]string{"lb_key": g.w.plan.Key.StripeKey()}
		}
	}
	return items, err
}

// proud asks nobody.
type proud struct{ invoicing.Intents }

// Escalate implements invoicing.Intents.
func (proud) Escalate(context.Context, string, string, string, time.Time) error { return nil }

// heedless forgets what has to be cleared away.
type heedless struct{ invoicing.Intents }

// Superseded implements invoicing.Intents.
func (heedless) Superseded(context.Context, string) ([]invoicing.StoredIntent, error) {
	return nil, nil
}

// rash takes back what is final or may be finalized this very moment.
type rash struct{ *Memory }

// TakeBack implements Ledger.
func (r rash) TakeBack(ctx context.Context, cycleID string, a billing.DecisionAction, at time.Time) (bool, error) {
	err := r.change(r.cycles[cycleID].active, func(in *memoryIntent) error {
		in.final, in.verified = false, time.Time{}
		return nil
	})
	if err != nil {
		return false, err
	}
	return r.Memory.TakeBack(ctx, cycleID, a, at)
}

// Caught is how a campaign found a mutant out.
type Caught struct {
	Mutant string
	// After is how many schedules it took; 0 means that all of them let it pass.
	After int
	By    Result
}

// Hunt runs schedules against a mutant until one objects.
func Hunt(ctx context.Context, m Mutant, schedules []Schedule, open func() Ledger) (Caught, error) {
	for i, s := range schedules {
		r, err := Run(ctx, s, open(), &m)
		if err != nil {
			return Caught{Mutant: m.Name}, err
		}
		if r.Wrong() {
			return Caught{Mutant: m.Name, After: i + 1, By: r}, nil
		}
	}
	return Caught{Mutant: m.Name}, nil
}
