package stripefake

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// delivery is one event on its way to one endpoint.
type delivery struct {
	r       *realm
	e       *event
	to      *endpoint
	due     int64
	attempt int
	copy    bool        // a second copy made by a fault: it settles nothing
	then    []*delivery // reordered ones, released when this one is done
}

// lane is the queue of one endpoint.
type lane struct {
	ready   []*delivery
	waiting []*delivery // due later on the clock
	held    []*delivery // reordered: they wait for the next delivery
	active  int
}

// deliverer sends webhooks: per endpoint a queue with bounded concurrency.
type deliverer struct {
	s      *Server
	width  int
	client *http.Client

	mu     sync.Mutex
	idle   *sync.Cond
	lanes  map[*endpoint]*lane
	hold   bool
	flush  int // callers of DeliverWebhooks: they override hold
	closed bool
	sent   uint64
	failed uint64
	wg     sync.WaitGroup
	ctx    context.Context //nolint:containedctx // the life of the server, not of a call
	cancel context.CancelFunc
}

func newDeliverer(s *Server, o Options) *deliverer {
	d := &deliverer{s: s, width: o.WebhookConcurrency, client: o.WebhookClient, lanes: map[*endpoint]*lane{}, hold: o.HoldWebhooks}
	if d.width <= 0 {
		d.width = 8
	}
	if d.client == nil {
		transport := &http.Transport{MaxIdleConnsPerHost: 4 * d.width, MaxIdleConns: 64 * d.width, IdleConnTimeout: time.Minute}
		d.client = &http.Client{
			Transport: transport, Timeout: 20 * time.Second,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	d.idle = sync.NewCond(&d.mu)
	d.ctx, d.cancel = context.WithCancel(context.Background()) //nolint:forbidigo // deliveries outlive every request; Close ends them
	return d
}

// liveBackoff and testBackoff are the waits between attempts on the clock: up
// to three days in live mode, three more times over a few hours in test mode.
var (
	liveBackoff = []int64{minute, 5 * minute, 30 * minute, 2 * hour, 5 * hour, 10 * hour, 12 * hour, 12 * hour, 12 * hour, 12 * hour}
	testBackoff = []int64{minute, hour, 3 * hour}
)

func backoff(live bool, attempt int) (int64, bool) {
	waits := testBackoff
	if live {
		waits = liveBackoff
	}
	if attempt > len(waits) {
		return 0, false
	}
	return waits[attempt-1], true
}

// dispatch queues an event for every endpoint that wants it. It runs under the
// realm's lock; the deliverer's lock is always taken after it.
func (r *realm) dispatch(e *event) {
	var to []*endpoint
	for _, ep := range r.endpoints.all {
		if ep.wants(e.Type) {
			to = append(to, ep)
		}
	}
	e.Pending = len(to)
	for _, ep := range to {
		r.s.deliverer.enqueue(&delivery{r: r, e: e, to: ep, due: r.now}, r.s.faults.pickWebhook(r.acct.spec.ID, r.mode(), e.Type))
	}
}

func (d *deliverer) enqueue(v *delivery, fault *FaultRule) {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.lanes[v.to]
	if l == nil {
		l = &lane{}
		d.lanes[v.to] = l
	}
	kind := FaultKind("")
	if fault != nil {
		kind = fault.Kind
	}
	switch kind {
	case WebhookLost:
		return
	case WebhookReorder:
		l.held = append(l.held, v)
		return
	case WebhookLate:
		v.due += int64(fault.Delay / time.Second)
	case WebhookDuplicate:
		twin := *v
		twin.copy = true
		l.waiting = append(l.waiting, &twin)
	default: // a fault of a request, or none
	}
	v.then, l.held = l.held, nil
	l.waiting = append(l.waiting, v)
	d.start(l)
}

// start moves what is due to the queue and keeps the workers busy.
func (d *deliverer) start(l *lane) {
	if (d.hold && d.flush == 0) || d.closed {
		return
	}
	now := d.s.Clock.Now().Unix()
	rest := l.waiting[:0]
	for _, v := range l.waiting {
		if v.due <= now {
			l.ready = append(l.ready, v)
			continue
		}
		rest = append(rest, v)
	}
	clear(l.waiting[len(rest):])
	l.waiting = rest
	for n := min(d.width-l.active, len(l.ready)); n > 0; n-- {
		l.active++
		d.wg.Add(1)
		go d.work(l)
	}
}

func (d *deliverer) wake() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, l := range d.lanes {
		d.start(l)
	}
}

// work sends deliveries of a lane until none is ready.
func (d *deliverer) work(l *lane) {
	defer d.wg.Done()
	for {
		d.mu.Lock()
		if len(l.ready) == 0 || d.closed {
			l.active--
			d.idle.Broadcast()
			d.mu.Unlock()
			return
		}
		v := l.ready[0]
		l.ready[0] = nil
		l.ready = l.ready[1:]
		d.mu.Unlock()
		d.settle(l, v, d.send(v))
	}
}

// settle counts a delivery or schedules its next attempt.
func (d *deliverer) settle(l *lane, v *delivery, ok bool) {
	v.attempt++
	if !v.copy && ok {
		v.r.mu.Lock()
		v.e.Pending--
		v.r.mu.Unlock()
	}
	wait, more := backoff(v.r.live, v.attempt)
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(v.then) > 0 {
		l.waiting, v.then = append(l.waiting, v.then...), nil
		d.start(l)
	}
	if ok {
		d.sent++
		return
	}
	d.failed++
	if more && !v.copy && d.lanes[v.to] == l {
		v.due = d.s.Clock.Now().Unix() + wait
		l.waiting = append(l.waiting, v)
	}
}

// send makes one attempt; anything but a 2xx is a failure, redirects included.
func (d *deliverer) send(v *delivery) bool {
	now := d.s.Clock.Now().Unix()
	v.r.mu.Lock()
	stop := v.to.gone || v.to.Status != "enabled"
	body, target, secrets := render(v.e), v.to.URL, v.to.validSecrets(now)
	v.r.mu.Unlock()
	if stop {
		return true // a disabled endpoint gets nothing and owes nothing
	}
	req, err := http.NewRequestWithContext(d.ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return false
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("User-Agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)")
	req.Header.Set("Stripe-Signature", Sign(body, now, secrets...))
	resp, err := d.client.Do(req)
	if err != nil {
		return false
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16)) // so that the connection can be reused
	_ = resp.Body.Close()
	return resp.StatusCode >= 200 && resp.StatusCode < 300
}

// Sign makes the Stripe-Signature header of a body: one v1 per secret.
func Sign(body []byte, at int64, secrets ...string) string {
	stamp := strconv.FormatInt(at, 10)
	var b strings.Builder
	b.WriteString("t=" + stamp)
	for _, secret := range secrets {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte(stamp + "."))
		mac.Write(body)
		b.WriteString(",v1=" + hex.EncodeToString(mac.Sum(nil)))
	}
	return b.String()
}

// forget drops what is queued for a deleted endpoint.
func (d *deliverer) forget(e *endpoint) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if l := d.lanes[e]; l != nil {
		l.ready, l.waiting, l.held = nil, nil, nil
	}
	delete(d.lanes, e)
}

// WebhookStats counts deliveries.
type WebhookStats struct {
	Due     int    `json:"due"`     // queued, held or in flight now
	Waiting int    `json:"waiting"` // retries and late ones, due later on the clock
	Sent    uint64 `json:"sent"`
	Failed  uint64 `json:"failed"`
}

// Webhooks counts what is due, waiting, sent and failed.
func (s *Server) Webhooks() WebhookStats {
	d := s.deliverer
	d.mu.Lock()
	defer d.mu.Unlock()
	now := s.Clock.Now().Unix()
	st := WebhookStats{Sent: d.sent, Failed: d.failed}
	for _, l := range d.lanes {
		st.Due += len(l.ready) + len(l.held) + l.active
		for _, v := range l.ready {
			st.Due += len(v.then)
		}
		for _, v := range l.waiting {
			if v.due <= now {
				st.Due += 1 + len(v.then)
			} else {
				st.Waiting += 1 + len(v.then)
			}
		}
	}
	return st
}

// DeliverWebhooks sends everything that is due, including what a fault held
// back, and waits until it is done. Retries due later stay queued.
func (s *Server) DeliverWebhooks(ctx context.Context) error {
	d := s.deliverer
	defer context.AfterFunc(ctx, func() {
		d.mu.Lock()
		d.idle.Broadcast()
		d.mu.Unlock()
	})()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.flush++
	defer func() { d.flush-- }()
	for {
		busy := 0
		for _, l := range d.lanes {
			d.start(l)
			busy += len(l.ready) + l.active
		}
		if busy == 0 && !d.releaseHeld() {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("stripefake: webhooks still being delivered: %w", err)
		}
		if d.closed {
			return fmt.Errorf("stripefake: server is closed")
		}
		if busy > 0 {
			d.idle.Wait()
		}
	}
}

// DeliverPending is DeliverWebhooks without a deadline.
func (s *Server) DeliverPending() error { return s.DeliverWebhooks(s.deliverer.ctx) }

// awaitSent waits until no delivery that is due is unanswered.
func (d *deliverer) awaitSent() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for !d.closed {
		busy := 0
		for _, l := range d.lanes {
			d.start(l)
			busy += len(l.ready) + l.active
		}
		if busy == 0 {
			return
		}
		d.idle.Wait()
	}
}

func (d *deliverer) releaseHeld() bool {
	any := false
	for _, l := range d.lanes {
		if len(l.held) > 0 {
			l.waiting = append(l.waiting, l.held...)
			l.held, any = nil, true
		}
	}
	return any
}

func (d *deliverer) close() {
	d.mu.Lock()
	d.closed = true
	d.idle.Broadcast()
	d.mu.Unlock()
	d.cancel()
	d.wg.Wait()
	d.client.CloseIdleConnections()
}
