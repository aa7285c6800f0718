package stripeapi

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v76"

	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/domain/fault"
)

// The stable codes of this package's errors.
const (
	codeIndeterminate = "stripe_indeterminate"
	codeTransient     = "stripe_transient"
	codeThrottled     = "stripe_throttled"
	codeInvalid       = "stripe_invalid_request"
	codeIdempotency   = "idempotency_mismatch"
	codeAuth          = invoicing.CodeKeyRefused
	codePermission    = invoicing.CodePermission
	codeMode          = "mode_violation"
	codeDeclined      = "stripe_declined"
	codeNotFound      = "stripe_not_found"
	codeState         = invoicing.CodeStateConflict
	codeTax           = invoicing.CodeTax
	codeEndpointLimit = "webhook_endpoint_limit"
	codeBadAnswer     = "stripe_bad_answer"
	codeMissing       = "stripe_reference_missing"
)

// Throttle is the cause of a RateLimited error: how long Stripe wants us to wait, and
// which of its limits was reached (global-rate, endpoint-concurrency, …), if it says so.
type Throttle struct {
	After  time.Duration
	Reason string
}

// Error says how long and why.
func (t *Throttle) Error() string {
	if t.Reason == "" {
		return fmt.Sprintf("retry after %s", t.After)
	}
	return fmt.Sprintf("retry after %s (%s)", t.After, t.Reason)
}

// RetryAfter is the wait, for callers that do not know this package.
func (t *Throttle) RetryAfter() time.Duration { return t.After }

// minThrottle is waited for when Stripe does not say how long.
const minThrottle = time.Second

// refusal is what decides about an error: first the status, then the code, then
// what the message says. The message itself never leaves this file.
type refusal struct {
	req    request
	status int
	code   stripe.ErrorCode
	typ    stripe.ErrorType
	param  string
	text   string
	after  time.Duration
	// requestID of the answer, which no two of those who are told to wait share.
	requestID string
	reason    string
	// replayed is an answer that Stripe stored under the idempotency key before.
	replayed bool
}

// errReplayed is the cause of an indeterminate error that the same key will get again.
var errReplayed = errors.New("the stored answer to this idempotency key")

func replayedAnswer(err error) bool { return errors.Is(err, errReplayed) }

// row of the error table: the first row that matches decides.
type row struct {
	match func(r refusal) bool
	make  func(r refusal) *fault.Error
}

// errorTable maps status, then code, then type. Its order is its meaning.
var errorTable = []row{
	{isMode, func(r refusal) *fault.Error {
		return modeViolation("%s: Stripe says that the object or the key belongs to the other mode", r.req.op)
	}},
	{status(http.StatusTooManyRequests, "lock_timeout"), kind(fault.Unavailable, codeTransient, "another request holds the object")},
	{status(http.StatusTooManyRequests), throttled},
	{status(http.StatusConflict), kind(fault.Unavailable, codeTransient, "a concurrent request is in the way")},
	{status(http.StatusServiceUnavailable), kind(fault.Unavailable, codeTransient, "Stripe is unavailable")},
	{func(r refusal) bool { return r.status >= 500 || r.status == http.StatusFailedDependency }, undecided},
	{status(http.StatusUnauthorized), auth},
	{status(http.StatusForbidden, "account_invalid"), auth},
	{codes("api_key_expired", "platform_api_key_expired", "secret_key_required"), auth},
	{status(http.StatusForbidden), permission},
	{status(http.StatusPaymentRequired), kind(fault.Conflict, codeDeclined, "the payment was declined")},
	{func(r refusal) bool { return r.typ == stripe.ErrorTypeIdempotency }, kind(fault.Conflict, codeIdempotency, "the same idempotency key was used with other parameters")},
	{codes("customer_tax_location_invalid", "taxes_calculation_failed", "stripe_tax_inactive"), kind(fault.Invalid, codeTax, "Stripe cannot compute the tax of this invoice")},
	{isState, kind(fault.Conflict, codeState, "the object's state does not allow it any more")},
	{isEndpointLimit, func(refusal) *fault.Error {
		return fault.New(fault.Conflict, codeEndpointLimit, "the Stripe account has as many webhook endpoints as Stripe allows (16)").
			Fix("Delete endpoints that are no longer used in the Stripe Dashboard (Developers, Webhooks) and try again")
	}},
	{status(http.StatusNotFound), kind(fault.NotFound, codeNotFound, "Stripe does not have the object")},
	{codes("resource_missing"), func(r refusal) *fault.Error {
		return fault.New(fault.Invalid, codeMissing, "%s: Stripe does not have an object that the request names", r.req.op).On(r.param)
	}},
	{func(r refusal) bool { return r.status >= 400 }, invalidRequest},
}

// classify turns whatever the SDK returned into a fault. It keeps nothing of the
// original but a context error: SDK errors hold bodies.
func classify(r request, x *exchange, err error) error {
	var own *fault.Error
	if errors.As(err, &own) {
		return own // the guard's refusal, before any byte was sent
	}
	var se *stripe.Error
	if !errors.As(err, &se) {
		if x.status >= 500 || x.status == http.StatusTooManyRequests {
			return decide(refusal{req: r, status: x.status, after: retryAfter(x), reason: limitReason(x), replayed: x.replayed(), requestID: x.requestID()})
		}
		return unanswered(r, err)
	}
	return decide(refusal{
		req: r, status: se.HTTPStatusCode, code: se.Code, typ: se.Type, param: param(se.Param),
		text: strings.ToLower(se.Msg), after: retryAfter(x), reason: limitReason(x), replayed: x.replayed(), requestID: x.requestID(),
	})
}

func decide(r refusal) error {
	for _, row := range errorTable {
		if row.match(r) {
			return row.make(r)
		}
	}
	return undecided(r)
}

// unanswered is a network failure or an answer that cannot be read. A write may
// have happened; a read may be repeated.
func unanswered(r request, err error) error {
	e := undecided(refusal{req: r})
	for _, known := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, known) {
			e.Cause = known
		}
	}
	return e
}

func undecided(r refusal) *fault.Error {
	if r.req.method == http.MethodGet {
		return fault.New(fault.Unavailable, codeTransient, "%s: Stripe did not give a usable answer%s", r.req.op, ofStatus(r.status))
	}
	e := fault.New(fault.Indeterminate, codeIndeterminate, "%s: no usable answer%s; the effect may or may not have happened", r.req.op, ofStatus(r.status))
	if r.replayed {
		e.Cause = errReplayed
	}
	return e
}

func ofStatus(status int) string {
	if status == 0 {
		return ""
	}
	return " (status " + strconv.Itoa(status) + ")"
}

func kind(k fault.Kind, code, why string) func(refusal) *fault.Error {
	return func(r refusal) *fault.Error { return fault.New(k, code, "%s: %s", r.req.op, why) }
}

func throttled(r refusal) *fault.Error {
	return fault.Wrap(&Throttle{After: max(r.after, minThrottle) + jitter(r.requestID), Reason: r.reason}, fault.RateLimited, codeThrottled, "%s: Stripe's request limit was reached", r.req.op)
}

// jitter spreads those who were told to wait over a second, so that they do not come
// back together.
func jitter(requestID string) time.Duration {
	h := fnv.New32a()
	_, _ = h.Write([]byte(requestID)) // a hash does not fail
	return time.Duration(h.Sum32()%1000) * time.Millisecond
}

func auth(refusal) *fault.Error {
	return fault.New(fault.Forbidden, codeAuth, "Stripe does not accept the connection's key").
		Fix("The key was revoked, has expired or belongs to another account: create a new restricted key and replace it on the connection")
}

// permissionRE finds the name of the missing permission, the only part of a
// message of Stripe's that is passed on: it holds a word of a fixed alphabet.
var permissionRE = regexp.MustCompile(`rak_[a-z_]{1,60}`)

func permission(r refusal) *fault.Error {
	e := fault.New(fault.Forbidden, codePermission, "%s: the restricted key lacks a permission", r.req.op)
	if name := permissionRE.FindString(r.text); name != "" {
		e.Msg += " (" + name + ")"
		return e.Fix("Grant %s to the key in the Stripe Dashboard (Developers, API keys)", name)
	}
	return e.Fix("Grant the key the permission that %s needs in the Stripe Dashboard (Developers, API keys)", r.req.op)
}

// codeRE guards what is repeated of Stripe's: a code is a short lower-case word.
var codeRE = regexp.MustCompile(`^[a-z_]{1,60}$`)

func invalidRequest(r refusal) *fault.Error {
	why := "status " + strconv.Itoa(r.status)
	if code := string(r.code); codeRE.MatchString(code) {
		why = code
	}
	return fault.New(fault.Invalid, codeInvalid, "%s: Stripe refused the request (%s)", r.req.op, why).On(r.param)
}

// paramRE admits parameter names as they are written in a form body.
var paramRE = regexp.MustCompile(`^[a-z_]{1,60}(\[[a-z0-9_]{0,60}\]){0,4}$`)

func param(name string) string {
	if paramRE.MatchString(name) {
		return name
	}
	return ""
}

func status(want int, anyOf ...stripe.ErrorCode) func(refusal) bool {
	return func(r refusal) bool { return r.status == want && (len(anyOf) == 0 || codes(anyOf...)(r)) }
}

func codes(anyOf ...stripe.ErrorCode) func(refusal) bool {
	return func(r refusal) bool {
		for _, c := range anyOf {
			if r.code == c {
				return true
			}
		}
		return false
	}
}

func isMode(r refusal) bool {
	return r.code == stripe.ErrorCodeLivemodeMismatch ||
		strings.Contains(r.text, "similar object exists in test mode") || strings.Contains(r.text, "similar object exists in live mode")
}

// stateRE matches the refusals of a finalize, void, send, update or delete that
// came too late. Stripe gives many of them no code.
var stateRE = regexp.MustCompile(`already (been )?(finali[sz]ed|paid|voided|sent|deleted)|non-draft|no longer (be )?(editable|edited)|can(no|')t be (edited|deleted|voided|finali[sz]ed|sent|modified)|is not (a draft|draft|open)|only (draft|open) invoices|attached to an invoice`)

func isState(r refusal) bool {
	if r.status != http.StatusBadRequest || r.req.method == http.MethodGet {
		return false
	}
	if codes(stripe.ErrorCodeInvoiceNotEditable, stripe.ErrorCodeStatusTransitionInvalid)(r) {
		return true
	}
	return r.code == "" && stateRE.MatchString(r.text)
}

func isEndpointLimit(r refusal) bool {
	return r.status == http.StatusBadRequest && r.req.op == opEndpointCreate && strings.Contains(r.text, "maximum of")
}

func retryAfter(x *exchange) time.Duration {
	seconds, err := strconv.Atoi(x.header.Get("Retry-After"))
	if err != nil || seconds < 0 || seconds > 3600 {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

// reasonRE admits the names of Stripe's limits.
var reasonRE = regexp.MustCompile(`^[a-z-]{1,40}$`)

func limitReason(x *exchange) string {
	if name := x.header.Get("Stripe-Rate-Limited-Reason"); reasonRE.MatchString(name) {
		return name
	}
	return ""
}

// badAnswer is an answer of status 200 that is not what was asked for.
func badAnswer(what string) *fault.Error {
	return fault.New(fault.Unavailable, codeBadAnswer, "Stripe's answer is not %s", what)
}

// afterWrite turns a bad answer to a write into what it means: the write happened,
// or it did not.
func afterWrite(err error) error {
	if fault.CodeOf(err) != codeBadAnswer {
		return err
	}
	return fault.New(fault.Indeterminate, codeIndeterminate, "the answer to a write cannot be read; its effect may or may not have happened")
}

func tooLong(field string, got, limit int) *fault.Error {
	return fault.InvalidField(field, "too_long", "%d characters, Stripe allows %d; nothing is truncated", got, limit)
}
