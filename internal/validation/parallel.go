package validation

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
)

// Options of a run.
type Options struct {
	// Seed decides everything random.
	Seed uint64
	// Scale multiplies the number of runs of every study; the bounds widen with it.
	Scale float64
	// Workers is the number of goroutines; it never changes a result.
	Workers int
}

// runs scales a number of runs, not below what a bound can be computed for.
func (o Options) runs(full int) int { return max(50, int(math.Round(float64(full)*o.Scale))) }

// replicate runs fn for 0..n-1 on some goroutines and returns the results in order.
func replicate[T any](ctx context.Context, workers, n int, fn func(i int) (T, error)) ([]T, error) {
	out := make([]T, n)
	var next atomic.Int64
	var once sync.Once
	var failed error
	var wg sync.WaitGroup
	stop := func(err error) {
		once.Do(func() { failed = err })
		next.Store(int64(n))
	}
	for range min(max(workers, 1), n) {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				v, err := fn(i)
				if err == nil {
					err = ctx.Err()
				}
				if err != nil {
					stop(err)
					return
				}
				out[i] = v
			}
		})
	}
	wg.Wait()
	return out, failed
}
