package stripefake

import (
	"fmt"
	"net/http"
)

// apiError is an error answer in Stripe's shape.
type apiError struct {
	status      int
	typ         string
	code        string
	param       string
	message     string
	declineCode string
	charge      string
	reason      string // Stripe-Rate-Limited-Reason
	noRequestID bool
}

func (e *apiError) Error() string { return fmt.Sprintf("%d %s: %s", e.status, e.typ, e.message) }

func (e *apiError) body(requestID string) map[string]any {
	inner := map[string]any{"message": e.message, "type": e.typ}
	if e.code != "" {
		inner["code"] = e.code
		inner["doc_url"] = "https://stripe.com/docs/error-codes/" + dashed(e.code)
	}
	if e.param != "" {
		inner["param"] = e.param
	}
	if e.declineCode != "" {
		inner["decline_code"] = e.declineCode
	}
	if e.charge != "" {
		inner["charge"] = e.charge
	}
	if requestID != "" && !e.noRequestID {
		inner["request_log_url"] = "https://dashboard.stripe.com/logs/" + requestID
	}
	return map[string]any{"error": inner}
}

func dashed(code string) string {
	out := []byte(code)
	for i := range out {
		if out[i] == '_' {
			out[i] = '-'
		}
	}
	return string(out)
}

// invalid is a 400 invalid_request_error.
func invalid(code, param, format string, args ...any) *apiError {
	return &apiError{status: http.StatusBadRequest, typ: "invalid_request_error", code: code, param: param, message: fmt.Sprintf(format, args...)}
}

// missing is Stripe's resource_missing: 404 when the object is the target of
// the path, 400 when it is named by a parameter.
func missing(kind, id string) *apiError {
	e := invalid("resource_missing", "id", "No such %s: '%s'", kind, id)
	e.status = http.StatusNotFound
	return e
}

func missingParam(kind, id, param string) *apiError {
	return invalid("resource_missing", param, "No such %s: '%s'", kind, id)
}

// wrongMode adds the hint that Stripe gives when the object exists on the other side.
func (e *apiError) wrongMode(objectLive bool) *apiError {
	if objectLive {
		e.message += "; a similar object exists in live mode, but a test mode key was used to make this request."
	} else {
		e.message += "; a similar object exists in test mode, but a live mode key was used to make this request."
	}
	return e
}

func unauthorized(format string, args ...any) *apiError {
	return &apiError{status: http.StatusUnauthorized, typ: "invalid_request_error", message: fmt.Sprintf(format, args...)}
}

func serverError() *apiError {
	return &apiError{
		status: http.StatusInternalServerError, typ: "api_error",
		message: "An unknown error occurred. If you keep seeing this, please contact us at support@stripe.com.",
	}
}

func cardDeclined(charge string) *apiError {
	return &apiError{
		status: http.StatusPaymentRequired, typ: "card_error", code: "card_declined",
		declineCode: "generic_decline", charge: charge, message: "Your card was declined.",
	}
}
