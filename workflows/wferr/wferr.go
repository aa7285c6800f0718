// Package wferr is the one table from faults to Temporal's errors: what is retried,
// how soon, and what stops a step for good.
package wferr

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/liftbill/liftbill/domain/fault"
)

// Types of application errors, as operators see them in the web console.
const (
	TypeInvalidInput   = "InvalidInput"
	TypeNotFound       = "NotFound"
	TypeLedgerConflict = "LedgerConflict"
	TypeForbidden      = "Forbidden"
	TypeModeViolation  = "TestModeWriteBack"
	TypeUnavailable    = "Unavailable"
	TypeIndeterminate  = "StripeIndeterminate"
	TypeRateLimited    = "StripeThrottled"
	TypeInternal       = "Internal"
)

// stripeTypes name what Stripe refused by the code of the error, where its kind alone
// would say less.
var stripeTypes = map[string]string{
	"stripe_transient":         "StripeTransient",
	"idempotency_mismatch":     "StripeIdempotencyMismatch",
	"stripe_invalid_request":   "StripeInvalidRequest",
	"stripe_reference_missing": "StripeInvalidRequest",
	"stripe_state_conflict":    "StripeStateConflict",
	"stripe_tax_blocked":       "StripeTaxBlocked",
	"stripe_auth":              "StripeAuth",
	"stripe_permission":        "StripePermission",
	"mode_violation":           "StripeModeViolation",
	"stripe_declined":          "StripeDeclined",
	"stripe_not_found":         "StripeNotFound",
}

// NonRetryable lists the types that no retry can mend.
func NonRetryable() []string {
	out := []string{TypeInvalidInput, TypeNotFound, TypeLedgerConflict, TypeForbidden, TypeModeViolation}
	for code, name := range stripeTypes {
		if code != "stripe_transient" && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// typeOf is the type of a code, or of the kind when the code has none of its own.
func typeOf(f *fault.Error, ofKind string) string {
	if name, ok := stripeTypes[f.Code]; ok {
		return name
	}
	return ofKind
}

// retryAfter is how long to wait when Stripe asked us to slow down and named no time.
const retryAfter = 10 * time.Second

// waitOf is the wait that the error asks for.
func waitOf(err error) time.Duration {
	var asked interface{ RetryAfter() time.Duration }
	if errors.As(err, &asked) && asked.RetryAfter() > 0 {
		return asked.RetryAfter()
	}
	return retryAfter
}

// From turns an error of a use case into Temporal's. Messages are faults' own,
// which never hold secrets or bodies; anything else is reported as internal.
func From(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	var f *fault.Error
	if !errors.As(err, &f) {
		return temporal.NewApplicationErrorWithCause("internal error", TypeInternal, err)
	}
	msg := f.Code + ": " + f.Msg
	if f.Remedy != "" {
		msg += ". " + f.Remedy
	}
	switch f.Kind {
	case fault.Invalid:
		return temporal.NewNonRetryableApplicationError(msg, typeOf(f, TypeInvalidInput), nil)
	case fault.NotFound:
		return temporal.NewNonRetryableApplicationError(msg, typeOf(f, TypeNotFound), nil)
	case fault.Conflict:
		return temporal.NewNonRetryableApplicationError(msg, typeOf(f, TypeLedgerConflict), nil)
	case fault.Forbidden, fault.Unauthenticated:
		if f.Code == "test_mode_write" {
			return temporal.NewNonRetryableApplicationError(msg, TypeModeViolation, nil)
		}
		return temporal.NewNonRetryableApplicationError(msg, typeOf(f, TypeForbidden), nil)
	case fault.RateLimited:
		return temporal.NewApplicationErrorWithOptions(msg, TypeRateLimited, temporal.ApplicationErrorOptions{
			NextRetryDelay: waitOf(err), Category: temporal.ApplicationErrorCategoryBenign,
		})
	case fault.Indeterminate:
		return temporal.NewApplicationError(msg, TypeIndeterminate)
	case fault.Unavailable:
		return temporal.NewApplicationError(msg, typeOf(f, TypeUnavailable))
	case fault.Internal:
		return temporal.NewApplicationError(f.Code, TypeInternal)
	}
	return temporal.NewApplicationError(msg, TypeInternal)
}

// Retried reports whether Temporal tries the step again after the error.
func Retried(err error) bool {
	var app *temporal.ApplicationError
	return errors.As(From(err), &app) && !app.NonRetryable()
}
