package campaign

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/workflows/wferr"
)

// Bounds of a drive. The workflow makes a draft again ten times and retries for days,
// after 2 s at first, then twice as long up to 10 minutes; a step that needs as many
// attempts as this, which take about an hour, is taken for stuck.
const (
	maxRedo     = 10
	maxAttempts = 16
	firstPause  = 2 * time.Second
	longest     = 10 * time.Minute
)

// ErrStuck is the end of a drive that would have gone on.
var ErrStuck = errors.New("the write-back does not come to an end")

// Driver carries an invoice out as the workflow does.
type Driver struct {
	// Process makes the use case as a freshly started worker has it.
	Process func() *invoicing.Service
	// Pause is what happens before a retry, which comes after a back-off of d.
	Pause func(d time.Duration)
}

// Drive runs the three steps in order, each retried by a new process while its error is
// one that Temporal retries, all made again when a draft was given up.
func (d Driver) Drive(ctx context.Context, cycleID string) (invoicing.Outcome, error) {
	var out invoicing.Outcome
	s := d.Process()
	steps := []func() (invoicing.Outcome, error){
		func() (invoicing.Outcome, error) { return s.EnsureDraft(ctx, cycleID) },
		func() (invoicing.Outcome, error) { return s.EnsureLines(ctx, cycleID) },
		func() (invoicing.Outcome, error) { return s.Finalize(ctx, cycleID) },
	}
	for range maxRedo {
		for _, step := range steps {
			var err error
			if out, err = d.retried(step, func() { s = d.Process() }); err != nil {
				return out, err
			}
			if out.State == billing.Blocked {
				return out, nil
			}
			if out.Redo {
				break
			}
		}
		if !out.Redo {
			return out, nil
		}
	}
	return out, fmt.Errorf("%w: the draft was given up %d times", ErrStuck, maxRedo)
}

// Discard deletes what is left of invoices that were taken back.
func (d Driver) Discard(ctx context.Context, cycleID string) error {
	s := d.Process()
	_, err := d.retried(func() (invoicing.Outcome, error) { return s.Discard(ctx, cycleID) }, func() { s = d.Process() })
	return err
}

// retried repeats a step by a new process while its error is one that Temporal retries.
func (d Driver) retried(step func() (invoicing.Outcome, error), restart func()) (invoicing.Outcome, error) {
	out, err := step()
	for n, pause := 1, firstPause; err != nil; n, pause = n+1, min(2*pause, longest) {
		if !wferr.Retried(err) {
			return out, err
		}
		if n == maxAttempts {
			return out, fmt.Errorf("%w: %w", ErrStuck, err)
		}
		d.Pause(pause)
		restart()
		out, err = step()
	}
	return out, nil
}
