package webhookload

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// Deliveries counts what was sent and how it was answered.
type Deliveries struct {
	Events      int `json:"events"`      // distinct ones, each delivered until it was answered 200
	Redelivered int `json:"redelivered"` // events that took more than one delivery
	Sent        int `json:"deliveries"`
	OK          int `json:"answered_200"`
	Busy        int `json:"answered_503"`
	Other       int `json:"answered_otherwise"`
	Failed      int `json:"unanswered"`
}

// redeliverAfter is how long an event waits for its next delivery; Stripe waits longer.
const redeliverAfter = time.Second

// book knows which events are still owed: sent, or to be sent again, and not yet
// answered 200.
type book struct {
	rate  float64
	begun time.Time

	mu     sync.Mutex
	counts Deliveries
	owed   int
	again  []redelivery // in the order of their time
	closed bool
	told   chan struct{} // closed when nothing is owed any more
}

type redelivery struct {
	event int
	due   time.Time
	tries int
}

func newBook(o KillOptions) *book {
	return &book{rate: o.Rate, begun: time.Now(), told: make(chan struct{})}
}

// send delivers what the book says until ctx ends.
func (b *book) send(ctx context.Context, script *Script, target Target) {
	s := &sender{target: target}
	defer s.close()
	for ctx.Err() == nil {
		r, ok := b.take(time.Now())
		if !ok {
			if pause(ctx, 2*time.Millisecond) != nil {
				return
			}
			continue
		}
		status, err := s.send(ctx, script, r.event)
		b.note(r, status, err, time.Now())
		if err == nil && r.event%repeatEvery == 0 && r.tries == 0 {
			// Stripe delivers at least once: what was answered may come again.
			status, err = s.send(ctx, script, r.event)
			b.repeat(status, err)
		}
	}
}

// take is the next delivery: one that is due again, or else a new event at its time.
func (b *book) take(now time.Time) (redelivery, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.again) > 0 && !b.again[0].due.After(now) {
		r := b.again[0]
		b.again = b.again[1:]
		return r, true
	}
	if b.closed || float64(b.counts.Events) > b.rate*now.Sub(b.begun).Seconds() {
		return redelivery{}, false
	}
	r := redelivery{event: b.counts.Events}
	b.counts.Events++
	b.owed++
	return r, true
}

func (b *book) note(r redelivery, status int, err error, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count(status, err)
	if err == nil && status == http.StatusOK {
		b.owed--
		if b.closed && b.owed == 0 {
			close(b.told)
		}
		return
	}
	if r.tries == 0 {
		b.counts.Redelivered++
	}
	r.tries++
	r.due = now.Add(redeliverAfter)
	b.again = append(b.again, r)
}

func (b *book) repeat(status int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count(status, err)
}

func (b *book) count(status int, err error) {
	b.counts.Sent++
	switch {
	case err != nil:
		b.counts.Failed++
	case status == http.StatusOK:
		b.counts.OK++
	case status == http.StatusServiceUnavailable:
		b.counts.Busy++
	default:
		b.counts.Other++
	}
}

// noMore ends the new events; what is owed is still delivered.
func (b *book) noMore() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	if b.owed == 0 {
		close(b.told)
	}
}

// settled waits until nothing is owed.
func (b *book) settled(ctx context.Context) error {
	select {
	case <-b.told:
		return nil
	case <-ctx.Done():
		b.mu.Lock()
		defer b.mu.Unlock()
		return fmt.Errorf("%d events were never answered 200", b.owed)
	}
}

// totals are the counts so far.
func (b *book) totals() Deliveries {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.counts
}
