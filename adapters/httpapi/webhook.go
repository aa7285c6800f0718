package httpapi

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/liftbill/liftbill/app/ingest"
	"github.com/liftbill/liftbill/domain/fault"
)

// webhookPrefix is where Stripe delivers; the rest of the path names the endpoint.
const webhookPrefix = "/v1/stripe/webhooks/"

// webhookTimeout bounds one delivery. Stripe retries what was not answered.
const webhookTimeout = 5 * time.Second

// webhook takes one delivery. The signature is over the raw bytes, so nothing
// may read or change the body before Receive. Answers have no body: a status is
// all that Stripe acts on, and a refusal must not help a forger.
func (s *Server) webhook(c echo.Context) error {
	endpoint := c.Param("endpoint")
	if strings.Contains(endpoint, "/") { // echo's last parameter takes the rest of the path
		return c.NoContent(http.StatusNotFound)
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), webhookTimeout)
	defer cancel()
	body, err := io.ReadAll(http.MaxBytesReader(c.Response(), c.Request().Body, maxWebhookBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return c.NoContent(http.StatusRequestEntityTooLarge)
	case err != nil:
		return c.NoContent(http.StatusBadRequest)
	}
	_, err = s.Ingest.Receive(ctx, ingest.Delivery{
		EndpointID: endpoint, SignatureHeader: c.Request().Header.Get("Stripe-Signature"), Body: body,
	})
	status := webhookStatus(err)
	if err != nil {
		level := slog.LevelWarn
		if status == http.StatusServiceUnavailable {
			level = slog.LevelError
		}
		s.log.LogAttrs(ctx, level, "webhook not taken", slog.Int("status", status), slog.String("endpoint", endpoint),
			slog.String("code", fault.CodeOf(err)), slog.String("request_id", c.Response().Header().Get(echo.HeaderXRequestID)), slog.Any("error", err))
	}
	return c.NoContent(status)
}

// webhookStatus is Stripe's view of an outcome: 200 for everything that is stored,
// 4xx for what no retry can mend, and 503 for all else, because Stripe then keeps
// the event and delivers it again.
func webhookStatus(err error) int {
	if err == nil {
		return http.StatusOK
	}
	switch fault.KindOf(err) {
	case fault.NotFound:
		return http.StatusNotFound
	case fault.Invalid:
		return http.StatusBadRequest
	default:
		return http.StatusServiceUnavailable
	}
}
