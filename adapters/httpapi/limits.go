package httpapi

import (
	"cmp"
	"sync"

	"golang.org/x/time/rate"

	"github.com/liftbill/liftbill/domain/fault"
)

// Requests that one caller may send: perSecond over time, and burstFactor times as
// many at once. Failed attempts of one address are few.
const (
	perSecond   = 100
	burstFactor = 5
	failBurst   = 30
	failEvery   = 0.5 // per second
	maxBuckets  = 10_000
)

// limits are token buckets in this process. They protect it from one busy caller;
// attempts to sign in are counted in the database, for all processes together.
type limits struct {
	callers, failures buckets
}

func newLimits(perCaller int) *limits {
	n := cmp.Or(perCaller, perSecond)
	return &limits{
		callers:  buckets{rate: rate.Limit(n), burst: n * burstFactor},
		failures: buckets{rate: failEvery, burst: failBurst},
	}
}

func (l *limits) allow(principal string) error {
	if l.callers.take(principal) {
		return nil
	}
	return fault.New(fault.RateLimited, "rate_limited", "this caller sends more requests than one may").Fix("Wait a moment; send fewer requests at once")
}

// failed counts a caller who could not say who it is.
func (l *limits) failed(client string) error {
	if l.failures.take(client) {
		return nil
	}
	return fault.New(fault.RateLimited, "authentication_limited", "too many requests without a working token").Fix("Wait a minute, and check the token")
}

type buckets struct {
	rate  rate.Limit
	burst int

	mu  sync.Mutex
	all map[string]*rate.Limiter
}

// take takes one from the bucket of a key. When there are too many keys all begin
// anew: that gives a few requests away and bounds the memory.
func (b *buckets) take(key string) bool {
	b.mu.Lock()
	one := b.all[key]
	if one == nil {
		if b.all == nil || len(b.all) >= maxBuckets {
			b.all = map[string]*rate.Limiter{}
		}
		one = rate.NewLimiter(b.rate, b.burst)
		b.all[key] = one
	}
	b.mu.Unlock()
	return one.Allow()
}
