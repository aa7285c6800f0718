package wferr_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/workflows/wferr"
)

// asked is an error that names a wait, as the Stripe adapter's throttle does.
type asked time.Duration

func (a asked) Error() string             { return "slow down" }
func (a asked) RetryAfter() time.Duration { return time.Duration(a) }

func TestErrorTable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		typ  string
		wait time.Duration
	}{
		{fault.New(fault.Invalid, "x", "m"), wferr.TypeInvalidInput, 0},
		{fault.New(fault.NotFound, "x", "m"), wferr.TypeNotFound, 0},
		{fault.New(fault.Conflict, "x", "m"), wferr.TypeLedgerConflict, 0},
		{fault.New(fault.Forbidden, "x", "m"), wferr.TypeForbidden, 0},
		{fault.New(fault.Forbidden, "stripe_auth", "m"), "StripeAuth", 0},
		{fault.New(fault.Forbidden, "stripe_permission", "m"), "StripePermission", 0},
		{fault.New(fault.Forbidden, "mode_violation", "m"), "StripeModeViolation", 0},
		{fault.New(fault.Invalid, "stripe_invalid_request", "m"), "StripeInvalidRequest", 0},
		{fault.New(fault.Invalid, "stripe_reference_missing", "m"), "StripeInvalidRequest", 0},
		{fault.New(fault.Invalid, "stripe_tax_blocked", "m"), "StripeTaxBlocked", 0},
		{fault.New(fault.Conflict, "idempotency_mismatch", "m"), "StripeIdempotencyMismatch", 0},
		{fault.New(fault.Conflict, "stripe_state_conflict", "m"), "StripeStateConflict", 0},
		{fault.New(fault.Conflict, "stripe_declined", "m"), "StripeDeclined", 0},
		{fault.New(fault.NotFound, "stripe_not_found", "m"), "StripeNotFound", 0},
		{fault.New(fault.Unavailable, "stripe_transient", "m"), "StripeTransient", 0},
		{fault.New(fault.Indeterminate, "stripe_indeterminate", "m"), "StripeIndeterminate", 0},
		{fault.New(fault.Forbidden, "test_mode_write", "m"), wferr.TypeModeViolation, 0},
		{fault.New(fault.Unavailable, "x", "m"), wferr.TypeUnavailable, 0},
		{fault.New(fault.Indeterminate, "x", "m"), wferr.TypeIndeterminate, 0},
		{fault.New(fault.Internal, "x", "m"), wferr.TypeInternal, 0},
		{errors.New("anything"), wferr.TypeInternal, 0},
		{fault.New(fault.RateLimited, "x", "m"), wferr.TypeRateLimited, 10 * time.Second},
		{fault.Wrap(asked(42*time.Second), fault.RateLimited, "x", "m"), wferr.TypeRateLimited, 42 * time.Second},
		{fault.Wrap(asked(0), fault.RateLimited, "x", "m"), wferr.TypeRateLimited, 10 * time.Second},
		{fmt.Errorf("around: %w", fault.New(fault.Conflict, "x", "m")), wferr.TypeLedgerConflict, 0},
	} {
		var app *temporal.ApplicationError
		require.ErrorAs(t, wferr.From(c.err), &app, c.err)
		require.Equal(t, c.typ, app.Type(), c.err)
		require.Equal(t, slices.Contains(wferr.NonRetryable(), c.typ), app.NonRetryable(), c.err)
		require.Equal(t, c.wait, app.NextRetryDelay(), c.err)
		require.Equal(t, c.typ == wferr.TypeRateLimited, app.Category() == temporal.ApplicationErrorCategoryBenign, c.err)
	}
}

func TestErrorsKeepTheirRemedyAndNoSecrets(t *testing.T) {
	t.Parallel()
	err := wferr.From(fault.Wrap(errors.New("password=hunter2"), fault.Conflict, "plan_changed", "the plan changed").Fix("Void and reissue"))
	require.Contains(t, err.Error(), "plan_changed: the plan changed. Void and reissue")
	require.NotContains(t, err.Error(), "hunter2")
	require.NotContains(t, wferr.From(fault.New(fault.Internal, "broken", "row 17 of table keys")).Error(), "row 17")
}

func TestNoErrorAndCancellationPass(t *testing.T) {
	t.Parallel()
	require.NoError(t, wferr.From(nil))
	require.ErrorIs(t, wferr.From(fmt.Errorf("stopped: %w", context.Canceled)), context.Canceled)
}
