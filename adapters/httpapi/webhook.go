package httpapi

import (
	"context"
	"errors"
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

// webhookTimeout bounds one delivery, the arrival of its body included. Stripe retries
// what was not answered.
const webhookTimeout = 5 * time.Second

// webhooksApart takes deliveries before anything else on the server sees them: no
// middleware that reads, unpacks, binds, authenticates or redirects can ever stand
// between Stripe's bytes and the check of their signature.
func (s *Server) webhooksApart(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		endpoint, ok := strings.CutPrefix(r.URL.Path, webhookPrefix)
		if !ok {
			return next(c)
		}
		s.webhook(c.Response(), r, endpoint)
		return nil
	}
}

// webhook takes one delivery. The signature is over the raw bytes, so nothing may read
// or change the body before Receive. Answers have no body: a status is all that Stripe
// acts on, and a refusal must not help a forger.
func (s *Server) webhook(w http.ResponseWriter, r *http.Request, endpoint string) {
	w.Header().Set(echo.HeaderXContentTypeOptions, "nosniff")
	if endpoint == "" || strings.Contains(endpoint, "/") {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set(echo.HeaderAllow, http.MethodPost)
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), webhookTimeout)
	defer cancel()
	receipt, status, err := s.take(ctx, w, r, endpoint)
	if err != nil {
		s.webhookRefused(ctx, w, endpoint, status, err)
	} else if receipt.New && (receipt.Status == ingest.Quarantined || receipt.Status == ingest.Dead) {
		s.log.LogAttrs(ctx, slog.LevelWarn, "webhook set aside: a person must look", slog.String("endpoint", endpoint),
			slog.String("event", receipt.EventID), slog.String("status", string(receipt.Status)), slog.String("reason", receipt.Reason))
	}
	w.WriteHeader(status)
}

// take reads and receives one delivery. Whatever goes wrong, a panic included, leaves
// the event with Stripe, which brings it again.
func (s *Server) take(ctx context.Context, w http.ResponseWriter, r *http.Request, endpoint string) (receipt ingest.Receipt, status int, err error) {
	defer func() {
		if v := recover(); v != nil {
			status, err = http.StatusServiceUnavailable, panicked(v)
		}
	}()
	body, err := s.deliveries.read(ctx, w, r)
	defer s.deliveries.done(body)
	if err != nil {
		return receipt, readStatus(ctx, err), err
	}
	receipt, err = s.Ingest.Receive(ctx, ingest.Delivery{
		EndpointID: endpoint, SignatureHeader: r.Header.Get("Stripe-Signature"), Body: body.bytes,
	})
	return receipt, webhookStatus(err), err
}

func (s *Server) webhookRefused(ctx context.Context, w http.ResponseWriter, endpoint string, status int, err error) {
	level := slog.LevelWarn
	if status == http.StatusServiceUnavailable && fault.CodeOf(err) != codeBusy {
		level = slog.LevelError
	}
	id := newRequestID()
	w.Header().Set(echo.HeaderXRequestID, id)
	s.log.LogAttrs(ctx, level, "webhook not taken", slog.Int("status", status), slog.String("endpoint", endpoint),
		slog.String("code", fault.CodeOf(err)), slog.String("request_id", id), slog.Any("error", err))
}

// readStatus is Stripe's view of a body that did not arrive.
func readStatus(ctx context.Context, err error) int {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return http.StatusRequestEntityTooLarge
	case fault.Is(err, fault.Unavailable):
		return http.StatusServiceUnavailable
	case ctx.Err() != nil:
		return http.StatusRequestTimeout
	default:
		return http.StatusBadRequest
	}
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
