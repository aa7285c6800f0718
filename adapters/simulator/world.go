package simulator

import (
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/internal/httpclient"
)

// World lets several businesses live on one stand-in and one clock.
type World struct {
	Businesses []*Business
	// Advance moves the clock forward to an instant; what is due until then happens.
	Advance func(ctx context.Context, to time.Time) error
	// Flush returns when every webhook that is due has been delivered.
	Flush func(ctx context.Context) error
	// Concurrency is how many steps run at once; 0 means 8.
	Concurrency int
}

// NewWorld moves the clock and flushes the webhooks through the stand-in's control
// API. Replace Advance to move other clocks along.
func NewWorld(controlURL string, businesses ...*Business) *World {
	c := newClient(Client{ControlURL: controlURL, HTTP: httpclient.New(10 * time.Minute)})
	return &World{
		Businesses: businesses,
		Advance: func(ctx context.Context, to time.Time) error {
			return c.control(ctx, "/_fake/clock", map[string]any{"at": to.UTC()}, nil)
		},
		Flush: func(ctx context.Context) error {
			return c.control(ctx, "/_fake/webhooks/flush?timeout=5m", map[string]any{}, nil)
		},
	}
}

const defaultConcurrency = 8

// Run lives from one instant to another: at each instant with steps the clock
// moves there, the steps of all businesses run concurrently, and the webhooks are
// delivered before the clock goes on. Consecutive runs must meet without a gap.
// progress may be nil; it is called after each instant.
func (w *World) Run(ctx context.Context, from, to time.Time, progress func(done, total int, what string)) error {
	if to.Before(from) {
		return fault.New(fault.Invalid, "simulation_backwards", "%s lies before %s", to.Format(time.RFC3339), from.Format(time.RFC3339))
	}
	var steps []Step
	for _, b := range w.Businesses {
		steps = append(steps, b.StepsBetween(from, to)...)
	}
	slices.SortStableFunc(steps, func(a, b Step) int { return a.At.Compare(b.At) })
	for done := 0; done < len(steps); {
		n := done
		for n < len(steps) && steps[n].At.Equal(steps[done].At) {
			n++
		}
		at := steps[done].At
		if err := w.instant(ctx, at, steps[done:n]); err != nil {
			return err
		}
		done = n
		if progress != nil {
			progress(done, len(steps), at.Format("2 Jan 2006 15:04"))
		}
	}
	return w.instant(ctx, to, nil)
}

// instant moves the clock and does what is to be done there.
func (w *World) instant(ctx context.Context, at time.Time, steps []Step) error {
	if err := w.Advance(ctx, at); err != nil {
		return err
	}
	limit := w.Concurrency
	if limit <= 0 {
		limit = defaultConcurrency
	}
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(limit)
	for _, s := range steps {
		group.Go(func() error { return s.Do(gctx) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return w.Flush(ctx)
}
