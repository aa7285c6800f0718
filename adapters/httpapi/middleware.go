package httpapi

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/labstack/echo/v4"
)

// Limits of a body.
const (
	maxJSONBody     = 1 << 20
	maxDecisionBody = 1 << 30
)

// requestIDRE is what a caller may name a request; anything else is replaced.
var requestIDRE = regexp.MustCompile(`^[A-Za-z0-9._-]{8,64}$`)

// requestID names every request in the answer and in the log.
func requestID(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		id := c.Request().Header.Get(echo.HeaderXRequestID)
		if !requestIDRE.MatchString(id) {
			id = newRequestID()
		}
		c.Response().Header().Set(echo.HeaderXRequestID, id)
		c.SetRequest(c.Request().WithContext(context.WithValue(c.Request().Context(), requestIDKey{}, id)))
		return next(c)
	}
}

func newRequestID() string { return strings.ToLower(rand.Text()) }

// recovered turns a panic into an internal error; the process goes on.
func recovered(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			switch v := recover(); v {
			case nil:
			case http.ErrAbortHandler:
				panic(v)
			default:
				err = panicked(v)
			}
		}()
		return next(c)
	}
}

func panicked(v any) error { return fmt.Errorf("panic: %v", v) }

// safeHeaders keep browsers from guessing types, framing pages, leaking addresses and
// keeping answers; a route that may be kept says so itself.
func (s *Server) safeHeaders(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Response().Header()
		h.Set(echo.HeaderXContentTypeOptions, "nosniff")
		h.Set(echo.HeaderXFrameOptions, "DENY")
		h.Set(echo.HeaderReferrerPolicy, "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=()")
		h.Set(echo.HeaderContentSecurityPolicy, apiPolicy)
		h.Set(echo.HeaderCacheControl, "no-store")
		if s.Edge.TLS {
			h.Set(echo.HeaderStrictTransportSecurity, "max-age=31536000")
		}
		return next(c)
	}
}

// apiPolicy lets an answer of the API load nothing, should a browser show it. Pages
// replace it.
const apiPolicy = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// limited bounds the body and asks for the media type that the route reads. The
// type also keeps a plain HTML form of another site from posting.
func limited(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		want, limit := echo.MIMEApplicationJSON, int64(maxJSONBody)
		if strings.HasSuffix(c.Path(), "/:account/decisions") {
			want, limit = "application/x-ndjson", maxDecisionBody
		}
		r.Body = http.MaxBytesReader(c.Response(), r.Body, limit)
		if r.ContentLength == 0 {
			return next(c)
		}
		given, _, _ := strings.Cut(r.Header.Get(echo.HeaderContentType), ";")
		if !strings.EqualFold(strings.TrimSpace(given), want) || r.Header.Get(echo.HeaderContentEncoding) != "" {
			return unsupported(want)
		}
		return next(c)
	}
}
