package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/liftbill/liftbill/domain/fault"
)

// kinds is the one table from the kind of an error to its answer.
var kinds = map[fault.Kind]struct {
	status int
	title  string
}{
	fault.Invalid:         {http.StatusBadRequest, "Invalid input"},
	fault.Unauthenticated: {http.StatusUnauthorized, "Not authenticated"},
	fault.Forbidden:       {http.StatusForbidden, "Not allowed"},
	fault.NotFound:        {http.StatusNotFound, "Not found"},
	fault.Conflict:        {http.StatusConflict, "Conflict with what is stored"},
	fault.RateLimited:     {http.StatusTooManyRequests, "Too many requests"},
	fault.Unavailable:     {http.StatusServiceUnavailable, "Temporarily unavailable"},
	fault.Indeterminate:   {http.StatusServiceUnavailable, "Outcome unknown"},
	fault.Internal:        {http.StatusInternalServerError, "Internal error"},
}

// statuses are the problems of HTTP itself, which no use case knows.
var statuses = map[int]struct{ title, code, detail, remedy string }{
	http.StatusBadRequest:            {"Invalid input", "request_malformed", "the request can't be read", ""},
	http.StatusNotFound:              {"Not found", "route_unknown", "there is nothing at this address", "See /docs/api for the routes"},
	http.StatusMethodNotAllowed:      {"Method not allowed", "method_not_allowed", "this address does not take the method", "See /docs/api for the routes"},
	http.StatusRequestEntityTooLarge: {"Request too large", "body_too_large", "the body is larger than this address takes", "Send it in parts"},
	http.StatusUnsupportedMediaType:  {"Unsupported media type", "media_type_unsupported", "the body is of another type than this address takes", ""},
	http.StatusMisdirectedRequest:    {"Not for this server", "host_refused", "this server does not answer to that name", "Use http://localhost, or the host of LIFTBILL_PUBLIC_URL where TLS is set up"},
}

const internalDetail = "something went wrong here; the request ID finds it in the log"

// problemOf turns any error into its problem. An error that is no *fault.Error
// and no HTTP error shows nothing of itself.
func problemOf(err error) Problem {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return httpProblem(http.StatusRequestEntityTooLarge, nil)
	}
	var he *echo.HTTPError
	if errors.As(err, &he) {
		return httpProblem(he.Code, he.Message)
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		err = fault.New(fault.Unavailable, "timeout", "the answer took too long").Fix("Send the request again")
	}
	kind := fault.KindOf(err)
	answer, ok := kinds[kind]
	var fe *fault.Error
	if !ok || kind == fault.Internal || !errors.As(err, &fe) {
		answer = kinds[fault.Internal]
		fe = fault.New(fault.Internal, "internal", internalDetail)
	}
	return Problem{
		Type: problemType(fe.Code), Title: answer.title, Status: answer.status, Detail: fe.Msg,
		Code: fe.Code, Field: fe.Field, Remedy: fe.Remedy,
	}
}

func problemType(code string) string { return "urn:liftbill:problem:" + code }

// parameterRE reads the name out of the generated binder's message.
var parameterRE = regexp.MustCompile(`parameter ([A-Za-z_-]+)`)

func httpProblem(status int, message any) Problem {
	known, ok := statuses[status]
	if !ok {
		return problemOf(fault.New(fault.Internal, "internal", ""))
	}
	p := Problem{Type: problemType(known.code), Title: known.title, Status: status, Detail: known.detail, Code: known.code, Remedy: known.remedy}
	text, isText := message.(string)
	if isText && status == http.StatusUnsupportedMediaType {
		p.Remedy = text
	}
	if m := parameterRE.FindStringSubmatch(text); isText && status == http.StatusBadRequest && m != nil {
		p.Code, p.Field, p.Detail = "parameter_malformed", m[1], "the parameter can't be read"
		p.Type = problemType(p.Code)
	}
	return p
}

// retryAfter is the number of seconds that an error asks to wait, or a few.
func retryAfter(err error) string {
	var asked interface{ RetryAfter() time.Duration }
	if errors.As(err, &asked) && asked.RetryAfter() > 0 {
		return strconv.Itoa(int(math.Ceil(asked.RetryAfter().Seconds())))
	}
	return "5"
}

// answerProblem writes the problem of err and logs what a caller can't mend.
func (s *Server) answerProblem(err error, c echo.Context) {
	ctx := c.Request().Context()
	p := problemOf(err)
	p.RequestID = c.Response().Header().Get(echo.HeaderXRequestID)
	if p.Status >= http.StatusInternalServerError && ctx.Err() == nil {
		s.log.LogAttrs(ctx, slog.LevelError, "request failed",
			slog.String("request_id", p.RequestID), slog.String("method", c.Request().Method),
			slog.String("route", c.Path()), slog.String("code", fault.CodeOf(err)), slog.Any("error", err))
	}
	if c.Response().Committed {
		return
	}
	if strings.HasPrefix(c.Request().URL.Path, webhookPrefix) {
		// Stripe stores answers; it gets a status and nothing to read.
		_ = c.NoContent(p.Status)
		return
	}
	if p.Status == http.StatusServiceUnavailable || p.Status == http.StatusTooManyRequests {
		c.Response().Header().Set(echo.HeaderRetryAfter, retryAfter(err))
	}
	raw, err := json.Marshal(p)
	if err == nil {
		err = c.Blob(p.Status, "application/problem+json", raw)
	}
	if err != nil {
		s.log.LogAttrs(ctx, slog.LevelWarn, "answer not written", slog.String("request_id", p.RequestID), slog.Any("error", err))
	}
}
