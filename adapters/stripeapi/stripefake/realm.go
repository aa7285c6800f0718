package stripefake

import (
	"container/heap"
	"math/rand/v2"
	"sync"
	"time"
)

// realm is one mode of one account: everything in it is invisible elsewhere.
type realm struct {
	s    *Server
	acct *account
	live bool

	mu      sync.Mutex
	rng     *rand.Rand
	now     int64 // unix time of what is being executed
	current *call // the request being executed, nil in lifecycle steps
	tasks   taskHeap
	taskSeq int64
	// taxPercent is what automatic tax adds, exclusive of the amounts.
	taxPercent int64
	late       []action // effects of "500 late" waiting for the next request

	idem      map[string]*idemEntry
	idemOrder []*idemEntry

	customers  *collection[*customer]
	methods    *collection[*paymentMethod]
	products   *collection[*product]
	prices     *collection[*price]
	coupons    *collection[*coupon]
	subs       *collection[*subscription]
	subItems   *collection[*subItem]
	invoices   *collection[*invoice]
	items      *collection[*invoiceItem]
	notes      *collection[*creditNote]
	intents    *collection[*paymentIntent]
	charges    *collection[*charge]
	refunds    *collection[*refund]
	disputes   *collection[*dispute]
	sessions   *collection[*checkoutSession]
	setups     *collection[*setupIntent]
	events     *collection[*event]
	byType     map[string][]*event
	endpoints  *collection[*endpoint]
	noteNumber map[string]int
}

func newRealm(s *Server, a *account, live bool, seed uint64) *realm {
	return &realm{
		s: s, acct: a, live: live, rng: rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15)),
		idem:      map[string]*idemEntry{},
		customers: newCollection[*customer](), methods: newCollection[*paymentMethod](),
		products: newCollection[*product](), prices: newCollection[*price](), coupons: newCollection[*coupon](),
		subs: newCollection[*subscription](), subItems: newCollection[*subItem](),
		invoices: newCollection[*invoice](), items: newCollection[*invoiceItem](), notes: newCollection[*creditNote](),
		intents: newCollection[*paymentIntent](), charges: newCollection[*charge](), refunds: newCollection[*refund](),
		disputes: newCollection[*dispute](), sessions: newCollection[*checkoutSession](), setups: newCollection[*setupIntent](), events: newCollection[*event](), byType: map[string][]*event{},
		endpoints: newCollection[*endpoint](), noteNumber: map[string]int{},
	}
}

func (r *realm) mode() string {
	if r.live {
		return Live
	}
	return Test
}

const idAlphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

func randomString(rng *rand.Rand, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = idAlphabet[rng.IntN(len(idAlphabet))]
	}
	return string(b)
}

// id makes an identifier of the length that Stripe uses for the kind.
func (r *realm) id(prefix string) string {
	switch prefix {
	case "cus", "prod", "si":
		return prefix + "_" + randomString(r.rng, 14)
	case "coupon":
		return randomString(r.rng, 8)
	}
	return prefix + "_1" + randomString(r.rng, 23)
}

// task is a lifecycle step that is due at a time.
type task struct {
	at  int64
	seq int64
	run func()
}

type taskHeap []*task

func (h taskHeap) Len() int { return len(h) }
func (h taskHeap) Less(i, j int) bool {
	return h[i].at < h[j].at || (h[i].at == h[j].at && h[i].seq < h[j].seq)
}
func (h taskHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *taskHeap) Push(x any) { *h = append(*h, x.(*task)) }

// Pop implements heap.Interface.
func (h *taskHeap) Pop() any {
	old := *h
	n := len(old)
	t := old[n-1]
	old[n-1] = nil
	*h = old[:n-1]
	return t
}

// at schedules a step. Steps are never cancelled: each looks first whether it
// still applies, so that an update needs no bookkeeping here.
func (r *realm) at(at int64, run func()) {
	r.taskSeq++
	heap.Push(&r.tasks, &task{at: at, seq: r.taskSeq, run: run})
}

// runDue executes the steps that are due, in order, each at its own time.
func (r *realm) runDue(until int64) {
	caller := r.current
	r.current = nil
	for len(r.tasks) > 0 && r.tasks[0].at <= until {
		t := heap.Pop(&r.tasks).(*task)
		r.now = max(r.now, t.at)
		t.run()
	}
	r.current = caller
	r.now = max(r.now, until)
}

// Advance moves the clock forward by d; see SetTime.
func (s *Server) Advance(d time.Duration) error { return s.SetTime(s.Clock.Now().Add(d)) }

// SetTime moves the clock forward to t. Everything due until then happens in
// time order and at its own time; webhooks become due when the clock arrives. Webhooks
// that are on their way arrive first: a jump of the clock must not make them look old.
func (s *Server) SetTime(t time.Time) error {
	s.deliverer.awaitSent()
	if t.Before(s.Clock.Now()) {
		return errBackwards
	}
	for _, r := range s.realms() {
		r.mu.Lock()
		r.runDue(t.Unix())
		r.mu.Unlock()
	}
	if err := s.Clock.Set(t); err != nil {
		return err
	}
	s.deliverer.wake()
	return nil
}

const (
	minute = int64(60)
	hour   = 60 * minute
	day    = 24 * hour
)
