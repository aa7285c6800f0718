package campaign

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

// Tap is asked before and after every call to a port.
type Tap interface {
	Before(op string) error
	After(op string) error
}

func through[T any](t Tap, op string, call func() (T, error)) (T, error) {
	var none T
	if err := t.Before(op); err != nil {
		return none, err
	}
	out, err := call()
	if crashed := t.After(op); crashed != nil {
		return none, crashed
	}
	return out, err
}

func through0(t Tap, op string, call func() error) error {
	_, err := through(t, op, func() (struct{}, error) { return struct{}{}, call() })
	return err
}

// deaths end the process at some of its calls.
type deaths struct {
	mu   sync.Mutex
	n    int
	plan []Death
	hits int
}

var errDied = fault.New(fault.Unavailable, "crashed", "the process ended")

func (d *deaths) at(late bool) error {
	for _, p := range d.plan {
		if p.At == d.n && p.Late == late {
			d.hits++
			return errDied
		}
	}
	return nil
}

// Before implements Tap.
func (d *deaths) Before(string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.n++
	return d.at(false)
}

// After implements Tap.
func (d *deaths) After(string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.at(true)
}

// turns let workers go on one call at a time, in an order drawn from a seed: the next
// one is chosen when every worker that is alive waits for its turn.
type turns struct {
	mu      sync.Mutex
	cond    *sync.Cond
	rng     *rand.Rand
	alive   int
	waiting []int
	next    int
	calls   map[int]int
	// stall, when set, makes the last worker stand still at one of its calls until the
	// others have made some of theirs, or have ended; wake is what happens then.
	stall *Stall
	wake  func()
}

func newTurns(rng *rand.Rand, workers int, stall *Stall, wake func()) *turns {
	t := &turns{rng: rng, alive: workers, next: -1, calls: map[int]int{}, stall: stall, wake: wake}
	t.cond = sync.NewCond(&t.mu)
	return t
}

func (t *turns) choose() {
	if t.next < 0 && t.alive > 0 && len(t.waiting) == t.alive {
		ready := len(t.waiting)
		if t.stalls() {
			ready-- // the last one of those that wait, who are sorted
		}
		i := t.rng.IntN(ready)
		t.next = t.waiting[i]
		t.calls[t.next]++
		t.waiting = append(t.waiting[:i:i], t.waiting[i+1:]...)
		t.cond.Broadcast()
	}
}

// stalls reports whether the last worker stands still; the moment in which it does not
// any more is the one to wake it.
func (t *turns) stalls() bool {
	const last = 1
	if t.stall == nil || t.waiting[len(t.waiting)-1] != last || t.calls[last]+1 < t.stall.At {
		return false
	}
	if len(t.waiting) > 1 && t.calls[0] < t.stall.Until {
		return true
	}
	t.stall = nil
	t.wake()
	return false
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

// turn is one worker's tap: every call waits for its turn, then may be its last.
type turn struct {
	turns  *turns
	worker int
	then   Tap
}

// Before implements Tap.
func (t turn) Before(op string) error {
	t.turns.wait(t.worker)
	return t.then.Before(op)
}

// After implements Tap.
func (t turn) After(op string) error { return t.then.After(op) }

type tappedIntents struct {
	invoicing.Intents
	tap Tap
}

// Intent implements invoicing.Intents.
func (l tappedIntents) Intent(ctx context.Context, id string) (invoicing.StoredIntent, error) {
	return through(l.tap, "Intent", func() (invoicing.StoredIntent, error) { return l.Intents.Intent(ctx, id) })
}

// Pin implements invoicing.Intents.
func (l tappedIntents) Pin(ctx context.Context, id, invoice string, at time.Time) error {
	return through0(l.tap, "Pin", func() error { return l.Intents.Pin(ctx, id, invoice, at) })
}

// Unpin implements invoicing.Intents.
func (l tappedIntents) Unpin(ctx context.Context, id, invoice string, at time.Time) error {
	return through0(l.tap, "Unpin", func() error { return l.Intents.Unpin(ctx, id, invoice, at) })
}

// Forget implements invoicing.Intents.
func (l tappedIntents) Forget(ctx context.Context, id, invoice string) error {
	return through0(l.tap, "Forget", func() error { return l.Intents.Forget(ctx, id, invoice) })
}

// Retire implements invoicing.Intents.
func (l tappedIntents) Retire(ctx context.Context, id string, at time.Time) error {
	return through0(l.tap, "Retire", func() error { return l.Intents.Retire(ctx, id, at) })
}

// NextFinalize implements invoicing.Intents.
func (l tappedIntents) NextFinalize(ctx context.Context, id string, at time.Time) error {
	return through0(l.tap, "NextFinalize", func() error { return l.Intents.NextFinalize(ctx, id, at) })
}

// SaveItems implements invoicing.Intents.
func (l tappedIntents) SaveItems(ctx context.Context, id, invoice string, items []invoicing.StripeItem, at time.Time) error {
	return through0(l.tap, "SaveItems", func() error { return l.Intents.SaveItems(ctx, id, invoice, items, at) })
}

// SaveInvoice implements invoicing.Intents.
func (l tappedIntents) SaveInvoice(ctx context.Context, id string, state billing.IntentState, inv invoicing.StripeInvoice, at time.Time) error {
	return through0(l.tap, "SaveInvoice", func() error { return l.Intents.SaveInvoice(ctx, id, state, inv, at) })
}

// Escalate implements invoicing.Intents.
func (l tappedIntents) Escalate(ctx context.Context, id, seen, reason string, at time.Time) error {
	return through0(l.tap, "Escalate", func() error { return l.Intents.Escalate(ctx, id, seen, reason, at) })
}

// Move implements invoicing.Intents.
func (l tappedIntents) Move(ctx context.Context, id string, to billing.CycleState, reason string, at time.Time) error {
	return through0(l.tap, "Move", func() error { return l.Intents.Move(ctx, id, to, reason, at) })
}

// LogCalls implements invoicing.Intents.
func (l tappedIntents) LogCalls(ctx context.Context, id string, calls []invoicing.Call, at time.Time) error {
	return through0(l.tap, "LogCalls", func() error { return l.Intents.LogCalls(ctx, id, calls, at) })
}

// tappedWriter does the same for the calls to Stripe.
type tappedWriter struct {
	invoicing.Writer
	tap Tap
}

// OurInvoices implements invoicing.Writer.
func (w tappedWriter) OurInvoices(ctx context.Context) ([]invoicing.StripeInvoice, error) {
	return through(w.tap, "OurInvoices", func() ([]invoicing.StripeInvoice, error) { return w.Writer.OurInvoices(ctx) })
}

// CreateDraft implements invoicing.Writer.
func (w tappedWriter) CreateDraft(ctx context.Context, generation int) (invoicing.StripeInvoice, error) {
	return through(w.tap, "CreateDraft", func() (invoicing.StripeInvoice, error) { return w.Writer.CreateDraft(ctx, generation) })
}

// Items implements invoicing.Writer.
func (w tappedWriter) Items(ctx context.Context, id string) ([]invoicing.StripeItem, error) {
	return through(w.tap, "Items", func() ([]invoicing.StripeItem, error) { return w.Writer.Items(ctx, id) })
}

// AddItem implements invoicing.Writer.
func (w tappedWriter) AddItem(ctx context.Context, id string, line billing.PlanLine) (invoicing.StripeItem, error) {
	return through(w.tap, "AddItem", func() (invoicing.StripeItem, error) { return w.Writer.AddItem(ctx, id, line) })
}

// Invoice implements invoicing.Writer.
func (w tappedWriter) Invoice(ctx context.Context, id string) (invoicing.StripeInvoice, error) {
	return through(w.tap, "Invoice", func() (invoicing.StripeInvoice, error) { return w.Writer.Invoice(ctx, id) })
}

// Finalize implements invoicing.Writer.
func (w tappedWriter) Finalize(ctx context.Context, id string, attempt int, claimed time.Time) (invoicing.StripeInvoice, error) {
	return through(w.tap, "Finalize", func() (invoicing.StripeInvoice, error) { return w.Writer.Finalize(ctx, id, attempt, claimed) })
}

// Release implements invoicing.Writer.
func (w tappedWriter) Release(ctx context.Context, id string, attempt int) (invoicing.StripeInvoice, error) {
	return through(w.tap, "Release", func() (invoicing.StripeInvoice, error) { return w.Writer.Release(ctx, id, attempt) })
}

// Label implements invoicing.Writer.
func (w tappedWriter) Label(ctx context.Context, id string, attempt int) (invoicing.StripeInvoice, error) {
	return through(w.tap, "Label", func() (invoicing.StripeInvoice, error) { return w.Writer.Label(ctx, id, attempt) })
}

// Send implements invoicing.Writer.
func (w tappedWriter) Send(ctx context.Context, id string) (invoicing.StripeInvoice, error) {
	return through(w.tap, "Send", func() (invoicing.StripeInvoice, error) { return w.Writer.Send(ctx, id) })
}

// Void implements invoicing.Writer.
func (w tappedWriter) Void(ctx context.Context, id string) (invoicing.StripeInvoice, error) {
	return through(w.tap, "Void", func() (invoicing.StripeInvoice, error) { return w.Writer.Void(ctx, id) })
}

// DeleteItem implements invoicing.Writer.
func (w tappedWriter) DeleteItem(ctx context.Context, id string) error {
	return through0(w.tap, "DeleteItem", func() error { return w.Writer.DeleteItem(ctx, id) })
}

// DeleteDraft implements invoicing.Writer.
func (w tappedWriter) DeleteDraft(ctx context.Context, id string) error {
	return through0(w.tap, "DeleteDraft", func() error { return w.Writer.DeleteDraft(ctx, id) })
}

// OurPendingItems implements invoicing.Writer.
func (w tappedWriter) OurPendingItems(ctx context.Context) ([]invoicing.StripeItem, error) {
	return through(w.tap, "OurPendingItems", func() ([]invoicing.StripeItem, error) { return w.Writer.OurPendingItems(ctx) })
}
