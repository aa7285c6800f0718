package stripeapi

import (
	"context"
	"sync"
	"time"
)

// limiter lets at most n requests begin in any window. A token that was taken
// comes back one window later, so no clock is read: a program that runs on an
// injected clock, even one that stands still, is paced in real time all the same.
type limiter struct {
	tokens chan struct{}
	window time.Duration

	mu sync.Mutex
	// gate is closed once a hold is over; nil when there is none.
	gate chan struct{}
}

// newLimiter allows n requests per window; a negative n allows any number.
func newLimiter(n int, window time.Duration) *limiter {
	if n < 0 {
		return &limiter{}
	}
	l := &limiter{tokens: make(chan struct{}, n), window: window}
	for range n {
		l.tokens <- struct{}{}
	}
	return l
}

// wait takes a token or returns the context's error.
func (l *limiter) wait(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if l.tokens == nil {
		return nil
	}
	if gate := l.held(); gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	select {
	case <-l.tokens:
		time.AfterFunc(l.window, func() { l.tokens <- struct{}{} })
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// maxHold bounds a hold. Longer waits are for whoever sent the request: it knows what
// else there is to do.
const maxHold = 30 * time.Second

// hold lets no request begin for a while, because Stripe refused one. A hold that is
// under way is not made longer; a limiter without a limit does not hold.
func (l *limiter) hold(d time.Duration) {
	if l.tokens == nil || d <= 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gate != nil {
		return
	}
	gate := make(chan struct{})
	l.gate = gate
	time.AfterFunc(min(d, maxHold), func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.gate = nil
		close(gate)
	})
}

func (l *limiter) held() chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.gate
}
