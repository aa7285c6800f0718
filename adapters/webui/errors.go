package webui

import (
	"errors"
	"log/slog"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/liftbill/liftbill/domain/fault"
)

// errorView is the content of an error page.
type errorView struct {
	Status    int
	Heading   string
	Detail    string
	Remedy    string
	Code      string
	RequestID string
}

// errorPage answers a browser. An error that no caller can mend shows only the
// request ID, by which the log finds it.
func (s *Server) errorPage(err error, c echo.Context) {
	v := viewOf(err)
	if v.Status == http.StatusBadRequest && c.Request().Method == http.MethodPost {
		v.Heading = "The form cannot be taken"
	}
	v.RequestID = c.Response().Header().Get(echo.HeaderXRequestID)
	ctx := c.Request().Context()
	if v.Status >= http.StatusInternalServerError && ctx.Err() == nil {
		s.log.LogAttrs(ctx, slog.LevelError, "page failed", slog.String("request_id", v.RequestID),
			slog.String("route", c.Path()), slog.String("code", fault.CodeOf(err)), slog.Any("error", err))
	}
	if c.Response().Committed {
		return
	}
	if err := s.render(c, v.Status, "error", frame{Title: v.Heading, Page: v}); err != nil {
		s.log.LogAttrs(ctx, slog.LevelError, "error page not written", slog.String("request_id", v.RequestID), slog.Any("error", err))
	}
}

func viewOf(err error) errorView {
	internal := errorView{
		Status: http.StatusInternalServerError, Heading: "Something went wrong here", Code: "internal",
		Detail: "The page could not be made. Nothing was changed.", Remedy: "Try again; if it stays, look for the request ID in the log",
	}
	var he *echo.HTTPError
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return errorView{Status: http.StatusRequestEntityTooLarge, Heading: "That is too much", Code: "body_too_large", Detail: "The form holds more than it may."}
	}
	if errors.As(err, &he) {
		if he.Code == http.StatusNotFound || he.Code == http.StatusMethodNotAllowed {
			return errorView{Status: he.Code, Heading: "There is no such page", Code: "route_unknown", Detail: "The address leads nowhere.", Remedy: "Start from the list of cycles"}
		}
		internal.Status = he.Code
		return internal
	}
	var fe *fault.Error
	if !errors.As(err, &fe) {
		return internal
	}
	v := errorView{Detail: fe.Msg, Remedy: fe.Remedy, Code: fe.Code}
	switch fe.Kind {
	case fault.NotFound:
		v.Status, v.Heading = http.StatusNotFound, "Not found"
	case fault.Invalid:
		v.Status, v.Heading = http.StatusBadRequest, "The address asks for something impossible"
	case fault.Conflict:
		v.Status, v.Heading = http.StatusConflict, "That is not possible now"
	case fault.Unauthenticated:
		v.Status, v.Heading = http.StatusUnauthorized, "Not signed in"
	case fault.Forbidden:
		v.Status, v.Heading = http.StatusForbidden, "Not allowed"
	case fault.RateLimited:
		v.Status, v.Heading = http.StatusTooManyRequests, "Too many requests"
	case fault.Unavailable, fault.Indeterminate:
		v.Status, v.Heading = http.StatusServiceUnavailable, "Temporarily unavailable"
	default:
		return internal
	}
	return v
}
