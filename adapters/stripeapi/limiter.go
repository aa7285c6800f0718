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

	mu   sync.Mutex
	held chan struct{} // closed when a throttled connection may go on; nil when it is not
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
	if err := l.throttled(ctx); err != nil {
		return err
	}
	if l.tokens == nil {
		return nil
	}
	select {
	case <-l.tokens:
		time.AfterFunc(l.window, func() { l.tokens <- struct{}{} })
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// longestHold bounds how long a connection stands still after Stripe asked it to slow
// down; whoever drives the requests waits for the rest.
const longestHold = 5 * time.Second

// hold makes every request of the connection wait: Stripe limits the account, not the
// request that happened to be told. A connection without a limit is a stand-in's.
func (l *limiter) hold(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tokens == nil || l.held != nil {
		return
	}
	held := make(chan struct{})
	l.held = held
	time.AfterFunc(min(d, longestHold), func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.held = nil
		close(held)
	})
}

func (l *limiter) throttled(ctx context.Context) error {
	l.mu.Lock()
	held := l.held
	l.mu.Unlock()
	if held == nil {
		return nil
	}
	select {
	case <-held:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
