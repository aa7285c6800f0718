package invoicing_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/domain/billing"
)

// tap is asked before and after every call to a port.
type tap interface {
	before(op string) error
	after(op string) error
}

// tappedLedger passes on what its tap lets through.
type tappedLedger struct {
	invoicing.Ledger
	tap tap
}

func through[T any](t tap, op string, call func() (T, error)) (T, error) {
	var none T
	if err := t.before(op); err != nil {
		return none, err
	}
	out, err := call()
	if crashed := t.after(op); crashed != nil {
		return none, crashed
	}
	return out, err
}

func (l tappedLedger) do(op string, call func() error) error {
	_, err := through(l.tap, op, func() (struct{}, error) { return struct{}{}, call() })
	return err
}

func (l tappedLedger) Intent(ctx context.Context, id string) (invoicing.StoredIntent, error) {
	return through(l.tap, "Intent", func() (invoicing.StoredIntent, error) { return l.Ledger.Intent(ctx, id) })
}

func (l tappedLedger) Pin(ctx context.Context, id, invoice string, at time.Time) error {
	return l.do("Pin", func() error { return l.Ledger.Pin(ctx, id, invoice, at) })
}

func (l tappedLedger) Unpin(ctx context.Context, id, invoice string, at time.Time) error {
	return l.do("Unpin", func() error { return l.Ledger.Unpin(ctx, id, invoice, at) })
}

func (l tappedLedger) CountIndeterminate(ctx context.Context, id string, at time.Time) (int, error) {
	return through(l.tap, "CountIndeterminate", func() (int, error) { return l.Ledger.CountIndeterminate(ctx, id, at) })
}

func (l tappedLedger) NextFinalize(ctx context.Context, id string, at time.Time) error {
	return l.do("NextFinalize", func() error { return l.Ledger.NextFinalize(ctx, id, at) })
}

func (l tappedLedger) SaveItems(ctx context.Context, id string, items []invoicing.StripeItem, at time.Time) error {
	return l.do("SaveItems", func() error { return l.Ledger.SaveItems(ctx, id, items, at) })
}

func (l tappedLedger) SaveInvoice(ctx context.Context, id string, state billing.IntentState, inv invoicing.StripeInvoice, at time.Time) error {
	return l.do("SaveInvoice", func() error { return l.Ledger.SaveInvoice(ctx, id, state, inv, at) })
}

func (l tappedLedger) Escalate(ctx context.Context, id, reason string, at time.Time) error {
	return l.do("Escalate", func() error { return l.Ledger.Escalate(ctx, id, reason, at) })
}

func (l tappedLedger) Move(ctx context.Context, id string, to billing.CycleState, reason string, at time.Time) error {
	return l.do("Move", func() error { return l.Ledger.Move(ctx, id, to, reason, at) })
}

func (l tappedLedger) LogCalls(ctx context.Context, id string, calls []invoicing.Call, at time.Time) error {
	return l.do("LogCalls", func() error { return l.Ledger.LogCalls(ctx, id, calls, at) })
}

// tappedWriter does the same for the calls to Stripe.
type tappedWriter struct {
	invoicing.Writer
	tap tap
}

func (w tappedWriter) Payer(ctx context.Context) (invoicing.Payer, error) {
	return through(w.tap, "Payer", func() (invoicing.Payer, error) { return w.Writer.Payer(ctx) })
}

func (w tappedWriter) OurInvoices(ctx context.Context) ([]invoicing.StripeInvoice, error) {
	return through(w.tap, "OurInvoices", func() ([]invoicing.StripeInvoice, error) { return w.Writer.OurInvoices(ctx) })
}

func (w tappedWriter) CreateDraft(ctx context.Context, generation int) (invoicing.StripeInvoice, error) {
	return through(w.tap, "CreateDraft", func() (invoicing.StripeInvoice, error) { return w.Writer.CreateDraft(ctx, generation) })
}

func (w tappedWriter) Items(ctx context.Context, id string) ([]invoicing.StripeItem, error) {
	return through(w.tap, "Items", func() ([]invoicing.StripeItem, error) { return w.Writer.Items(ctx, id) })
}

func (w tappedWriter) AddItem(ctx context.Context, id string, line billing.PlanLine) (invoicing.StripeItem, error) {
	return through(w.tap, "AddItem", func() (invoicing.StripeItem, error) { return w.Writer.AddItem(ctx, id, line) })
}

func (w tappedWriter) Invoice(ctx context.Context, id string) (invoicing.StripeInvoice, error) {
	return through(w.tap, "Invoice", func() (invoicing.StripeInvoice, error) { return w.Writer.Invoice(ctx, id) })
}

func (w tappedWriter) Finalize(ctx context.Context, id string, attempt int) (invoicing.StripeInvoice, error) {
	return through(w.tap, "Finalize", func() (invoicing.StripeInvoice, error) { return w.Writer.Finalize(ctx, id, attempt) })
}

func (w tappedWriter) Release(ctx context.Context, id string, attempt int) (invoicing.StripeInvoice, error) {
	return through(w.tap, "Release", func() (invoicing.StripeInvoice, error) { return w.Writer.Release(ctx, id, attempt) })
}

func (w tappedWriter) Send(ctx context.Context, id string) (invoicing.StripeInvoice, error) {
	return through(w.tap, "Send", func() (invoicing.StripeInvoice, error) { return w.Writer.Send(ctx, id) })
}

func (w tappedWriter) Void(ctx context.Context, id string) (invoicing.StripeInvoice, error) {
	return through(w.tap, "Void", func() (invoicing.StripeInvoice, error) { return w.Writer.Void(ctx, id) })
}

func (w tappedWriter) DeleteItem(ctx context.Context, id string) error {
	_, err := through(w.tap, "DeleteItem", func() (struct{}, error) { return struct{}{}, w.Writer.DeleteItem(ctx, id) })
	return err
}

func (w tappedWriter) DeleteDraft(ctx context.Context, id string) error {
	_, err := through(w.tap, "DeleteDraft", func() (struct{}, error) { return struct{}{}, w.Writer.DeleteDraft(ctx, id) })
	return err
}

func (w tappedWriter) OurPendingItems(ctx context.Context) ([]invoicing.StripeItem, error) {
	return through(w.tap, "OurPendingItems", func() ([]invoicing.StripeItem, error) { return w.Writer.OurPendingItems(ctx) })
}

// turns lets workers go on one call at a time, in an order drawn from a seed: the
// next one is chosen when every worker that is alive waits for its turn.
type turns struct {
	mu      sync.Mutex
	cond    *sync.Cond
	rng     *rand.Rand
	alive   int
	waiting []int
	next    int
}

func newTurns(seed uint64, workers int) *turns {
	t := &turns{rng: rand.New(rand.NewPCG(seed, 1)), alive: workers, next: -1}
	t.cond = sync.NewCond(&t.mu)
	return t
}

func (t *turns) choose() {
	if t.next < 0 && t.alive > 0 && len(t.waiting) == t.alive {
		i := t.rng.IntN(len(t.waiting))
		t.next = t.waiting[i]
		t.waiting = append(t.waiting[:i:i], t.waiting[i+1:]...)
		t.cond.Broadcast()
	}
}

func (t *turns) wait(worker int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	// Sorted, so that the order of arrival, which is the machine's, decides nothing.
	at := len(t.waiting)
	for at > 0 && t.waiting[at-1] > worker {
		at--
	}
	t.waiting = append(t.waiting[:at:at], append([]int{worker}, t.waiting[at:]...)...)
	t.choose()
	for t.next != worker {
		t.cond.Wait()
	}
	t.next = -1
}

func (t *turns) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.alive--
	t.choose()
}

// worker is one worker's tap: every call waits for its turn.
type worker struct {
	turns *turns
	id    int
}

func (w worker) before(string) error { w.turns.wait(w.id); return nil }
func (worker) after(string) error    { return nil }
