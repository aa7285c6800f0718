package stripeapi

import (
	"context"
	"time"
)

// limiter lets at most n requests begin in any window. A token that was taken
// comes back one window later, so no clock is read: a program that runs on an
// injected clock, even one that stands still, is paced in real time all the same.
type limiter struct {
	tokens chan struct{}
	window time.Duration
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
	select {
	case <-l.tokens:
		time.AfterFunc(l.window, func() { l.tokens <- struct{}{} })
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
