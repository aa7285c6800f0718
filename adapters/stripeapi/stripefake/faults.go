package stripefake

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"sync"
	"time"
)

// FaultKind names what goes wrong.
type FaultKind string

// The faults of requests, then those of webhook deliveries.
const (
	FaultDropBefore  FaultKind = "drop_before"  // connection closed, no effect
	FaultDropAfter   FaultKind = "drop_after"   // effect, connection closed
	Fault500Before   FaultKind = "500_before"   // no effect, the key keeps the 500
	Fault500After    FaultKind = "500_after"    // effect, the key keeps the 500
	Fault500Late     FaultKind = "500_late"     // the key keeps the 500, effect later
	FaultRateLimit   FaultKind = "429"          // before the idempotency layer
	FaultLockTimeout FaultKind = "lock_timeout" // 429 without reason and request id
	FaultConflict    FaultKind = "409"          // idempotency_key_in_use
	FaultUnavailable FaultKind = "503"          // no effect
	FaultTruncate    FaultKind = "truncate"     // effect, 2xx body cut in half
	FaultDelay       FaultKind = "delay"        // answer after Delay of wall time

	WebhookDuplicate FaultKind = "webhook_duplicate" // delivered twice
	WebhookReorder   FaultKind = "webhook_reorder"   // delivered after the next one
	WebhookLost      FaultKind = "webhook_lost"      // never sent, but in /v1/events
	WebhookLate      FaultKind = "webhook_late"      // due Delay later on the clock
)

// FaultRule makes matching requests (or webhook events) fail.
type FaultRule struct {
	Kind FaultKind `json:"kind"`
	// Method and Path select requests; Path is a regular expression.
	Method string `json:"method,omitempty"`
	Path   string `json:"path,omitempty"`
	// Event is a regular expression on event types, for webhook faults.
	Event string `json:"event,omitempty"`
	// Account, Mode and KeyKind (secret, restricted) restrict the rule.
	Account string `json:"account,omitempty"`
	Mode    string `json:"mode,omitempty"`
	KeyKind string `json:"key_kind,omitempty"`
	// Skip lets that many matches pass first.
	Skip int `json:"skip,omitempty"`
	// Count is how many matches fail; 0 means one, -1 means all.
	Count int `json:"count,omitempty"`
	// Probability makes each match fail only sometimes; 0 means always.
	Probability float64 `json:"probability,omitempty"`
	// Delay belongs to delay (wall time), 500_late and webhook_late (clock).
	Delay time.Duration `json:"delay,omitempty"`
	// Reason is the Stripe-Rate-Limited-Reason; empty means global-rate.
	Reason string `json:"reason,omitempty"`
	// RetryAfter is sent with a 429, in seconds; 0 sends none.
	RetryAfter int `json:"retry_after,omitempty"`

	path, event *regexp.Regexp
	hits        int
}

// SeededFaults are faults by chance, drawn from the server's seed. Each value
// is the probability that a request (a webhook event) meets the fault.
type SeededFaults struct {
	Requests map[FaultKind]float64 `json:"requests,omitempty"`
	Webhooks map[FaultKind]float64 `json:"webhooks,omitempty"`
	// OnlyWrites spares GET requests.
	OnlyWrites bool `json:"only_writes,omitempty"`
	// Delay is used by the kinds that need one.
	Delay time.Duration `json:"delay,omitempty"`
}

var requestFaults = []FaultKind{
	FaultDropBefore, FaultDropAfter, Fault500Before, Fault500After, Fault500Late, FaultRateLimit,
	FaultLockTimeout, FaultConflict, FaultUnavailable, FaultTruncate, FaultDelay,
}

var webhookFaults = []FaultKind{WebhookDuplicate, WebhookReorder, WebhookLost, WebhookLate}

func (k FaultKind) in(kinds []FaultKind) bool {
	for _, other := range kinds {
		if k == other {
			return true
		}
	}
	return false
}

type faultBook struct {
	mu     sync.Mutex
	rng    *rand.Rand
	rules  []*FaultRule
	seeded *SeededFaults
}

func newFaultBook(seed uint64, seeded *SeededFaults) *faultBook {
	return &faultBook{rng: rand.New(rand.NewPCG(seed, 2)), seeded: seeded}
}

// AddFault adds a rule; rules are tried in order of addition.
func (s *Server) AddFault(f FaultRule) error {
	if !f.Kind.in(requestFaults) && !f.Kind.in(webhookFaults) {
		return fmt.Errorf("stripefake: unknown fault %q", f.Kind)
	}
	var err error
	if f.path, err = regexp.Compile(f.Path); err != nil {
		return fmt.Errorf("stripefake: fault path: %w", err)
	}
	if f.event, err = regexp.Compile(f.Event); err != nil {
		return fmt.Errorf("stripefake: fault event: %w", err)
	}
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.rules = append(s.faults.rules, &f)
	return nil
}

// SetSeededFaults replaces the random faults; nil turns them off.
func (s *Server) SetSeededFaults(f *SeededFaults) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.seeded = f
}

// ClearFaults removes all rules and the random faults.
func (s *Server) ClearFaults() {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.rules, s.faults.seeded = nil, nil
}

// hit counts a match and says whether it fails.
func (f *FaultRule) hit(rng *rand.Rand) bool {
	if f.Probability > 0 && rng.Float64() >= f.Probability {
		return false
	}
	f.hits++
	count := f.Count
	if count == 0 {
		count = 1
	}
	return f.hits > f.Skip && (count < 0 || f.hits <= f.Skip+count)
}

func (b *faultBook) pick(r *Request) *FaultRule {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range b.rules {
		if f.Kind.in(requestFaults) && f.applies(r.Account, r.Mode) && (f.Method == "" || f.Method == r.Method) &&
			(f.KeyKind == "" || f.KeyKind == r.KeyKind) && f.path.MatchString(r.Path) && f.hit(b.rng) {
			return f
		}
	}
	if b.seeded == nil || (b.seeded.OnlyWrites && r.Method == http.MethodGet) {
		return nil
	}
	return b.draw(requestFaults, b.seeded.Requests)
}

func (b *faultBook) pickWebhook(acct, mode, typ string) *FaultRule {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range b.rules {
		if f.Kind.in(webhookFaults) && f.applies(acct, mode) && f.event.MatchString(typ) && f.hit(b.rng) {
			return f
		}
	}
	if b.seeded == nil {
		return nil
	}
	return b.draw(webhookFaults, b.seeded.Webhooks)
}

// draw uses one random number for all kinds, in a fixed order, so that a seed
// gives the same faults every time.
func (b *faultBook) draw(kinds []FaultKind, chances map[FaultKind]float64) *FaultRule {
	if len(chances) == 0 {
		return nil
	}
	x := b.rng.Float64()
	for _, k := range kinds {
		if x < chances[k] {
			return &FaultRule{Kind: k, Delay: b.seeded.Delay}
		}
		x -= chances[k]
	}
	return nil
}

func (f *FaultRule) applies(acct, mode string) bool {
	return (f.Account == "" || f.Account == acct) && (f.Mode == "" || f.Mode == mode)
}

// faultBefore handles the faults that come before execution; done means that
// the request has been answered.
func (s *Server) faultBefore(w http.ResponseWriter, entry *Request, f *FaultRule) (done bool) {
	var e *apiError
	switch f.Kind {
	case FaultDropBefore:
		s.log.add(*entry)
		hangUp(w)
		return true
	case FaultRateLimit:
		e = &apiError{status: http.StatusTooManyRequests, typ: "invalid_request_error", code: "rate_limit", reason: f.Reason,
			message: "Request rate limit exceeded. Learn more about rate limits here https://stripe.com/docs/rate-limits."}
		if e.reason == "" {
			e.reason = "global-rate"
		}
	case FaultLockTimeout:
		e = &apiError{status: http.StatusTooManyRequests, typ: "invalid_request_error", code: "lock_timeout", noRequestID: true,
			message: "This object cannot be accessed right now because another API request or Stripe process is currently accessing it. If you see this error intermittently, retry the request. If you see this error frequently and are making multiple concurrent requests to a single object, make your requests serially or at a lower rate."}
	case FaultConflict:
		e = keyInUse(entry.IdempotencyKey)
	case FaultUnavailable:
		e = &apiError{status: http.StatusServiceUnavailable, typ: "api_error", message: "Stripe is temporarily unavailable. Please try again."}
	case FaultDelay:
		if entry.Method != http.MethodPost || entry.IdempotencyKey == "" {
			s.sleep(f.Delay)
		}
	default: // it strikes during execution, after it, or at a webhook
	}
	if e == nil {
		return false
	}
	resp := errorResponse(e, entry.ID)
	if f.Kind == FaultRateLimit && f.RetryAfter > 0 {
		resp.header["Retry-After"] = strconv.Itoa(f.RetryAfter)
	}
	s.answer(w, entry, resp, nil)
	return true
}

// sleep waits in wall time, or until the server is closed.
func (s *Server) sleep(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.stop:
	}
}

// hangUp closes the connection without an answer.
func hangUp(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // not a hijackable connection (HTTP/2, recorder): abort the same way net/http offers
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// truncate announces the whole body and sends half of it.
func truncate(w http.ResponseWriter, resp *response) {
	w.Header().Set("Content-Length", strconv.Itoa(len(resp.body)/2))
	w.WriteHeader(resp.status)
	_, _ = w.Write(resp.body[:len(resp.body)/2])
}
