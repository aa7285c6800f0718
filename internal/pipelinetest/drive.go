package pipelinetest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"go.temporal.io/sdk/temporal"

	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/workflows/wferr"
)

// Bounds of a drive. The workflow retries for days and makes a draft again ten
// times; a write-back that needs as many attempts as this is taken for stuck.
const (
	maxRedo     = 10
	maxAttempts = 12
)

// ErrStuck is the end of a drive that would have gone on.
var ErrStuck = errors.New("the write-back does not come to an end")

// Drive carries a bill out as the workflow does: three steps in order, each retried
// by a new process while its error is one that Temporal retries, all made again
// when a draft was given up. between, which may be nil, happens before a retry.
func (b *Bill) Drive(t testing.TB, between func()) (invoicing.Outcome, error) {
	t.Helper()
	return b.DriveAs(t.Context(), func() *invoicing.Service { return b.NewProcess(t) }, between)
}

// DriveAs is Drive with the processes that make gives.
func (b *Bill) DriveAs(ctx context.Context, make func() *invoicing.Service, between func()) (invoicing.Outcome, error) {
	var out invoicing.Outcome
	s := make()
	for range maxRedo {
		for _, step := range []func(*invoicing.Service) func(context.Context, string) (invoicing.Outcome, error){
			func(s *invoicing.Service) func(context.Context, string) (invoicing.Outcome, error) {
				return s.EnsureDraft
			},
			func(s *invoicing.Service) func(context.Context, string) (invoicing.Outcome, error) {
				return s.EnsureLines
			},
			func(s *invoicing.Service) func(context.Context, string) (invoicing.Outcome, error) { return s.Finalize },
		} {
			var err error
			if out, err = step(s)(ctx, b.Plan.CycleID); err != nil {
				for n := 1; err != nil; n++ {
					if !Retried(err) {
						return out, err
					}
					if n == maxAttempts {
						return out, fmt.Errorf("%w: %w", ErrStuck, err)
					}
					if between != nil {
						between()
					}
					s = make()
					out, err = step(s)(ctx, b.Plan.CycleID)
				}
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

// Retried reports whether Temporal would retry the step.
func Retried(err error) bool {
	var app *temporal.ApplicationError
	return errors.As(wferr.From(err), &app) && !app.NonRetryable()
}
