package stripeapi_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/stripeapi"
	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/domain/fault"
)

// marker stands in every body of the table; no error may repeat it.
const marker = "jane.doe@example.com " + liveText

func body(typ, code, message string) string {
	return fmt.Sprintf(`{"error":{"type":%q,"code":%q,"message":%q,"param":"customer"}}`, typ, code, message+" "+marker)
}

func TestErrorTable(t *testing.T) {
	t.Parallel()
	const inv, api = "invalid_request_error", "api_error"
	cases := []struct {
		name   string
		status int
		body   string
		kind   fault.Kind
		code   string
	}{
		{"500", 500, body(api, "", "oops"), fault.Indeterminate, "stripe_indeterminate"},
		{"502 html", 502, "<html>" + marker, fault.Indeterminate, "stripe_indeterminate"},
		{"504", 504, body(api, "", ""), fault.Indeterminate, "stripe_indeterminate"},
		{"424", 424, body(api, "", ""), fault.Indeterminate, "stripe_indeterminate"},
		{"503", 503, body(api, "", ""), fault.Unavailable, "stripe_transient"},
		{"503 html", 503, "<html>" + marker, fault.Unavailable, "stripe_transient"},
		{"409 in use", 409, body("idempotency_error", "idempotency_key_in_use", ""), fault.Unavailable, "stripe_transient"},
		{"409", 409, body(inv, "", ""), fault.Unavailable, "stripe_transient"},
		{"429", 429, body(inv, "rate_limit", ""), fault.RateLimited, "stripe_throttled"},
		{"429 text", 429, "slow down " + marker, fault.RateLimited, "stripe_throttled"},
		{"429 lock", 429, body(inv, "lock_timeout", ""), fault.Unavailable, "stripe_transient"},
		{"idempotency", 400, body("idempotency_error", "", ""), fault.Conflict, "idempotency_mismatch"},
		{"invalid", 400, body(inv, "parameter_unknown", ""), fault.Invalid, "stripe_invalid_request"},
		{"too small", 400, body(inv, "amount_too_small", ""), fault.Invalid, "stripe_invalid_request"},
		{"too large", 400, body(inv, "amount_too_large", ""), fault.Invalid, "stripe_invalid_request"},
		{"missing reference", 400, body(inv, "resource_missing", "No such customer"), fault.Invalid, "stripe_reference_missing"},
		{"state by code", 400, body(inv, "invoice_not_editable", ""), fault.Conflict, "stripe_state_conflict"},
		{"transition", 400, body(inv, "status_transition_invalid", ""), fault.Conflict, "stripe_state_conflict"},
		{"state by text", 400, body(inv, "", "This invoice is already finalized, you can't re-finalize a non-draft invoice."), fault.Conflict, "stripe_state_conflict"},
		{"tax location", 400, body(inv, "customer_tax_location_invalid", ""), fault.Invalid, "stripe_tax_blocked"},
		{"tax failed", 400, body(inv, "taxes_calculation_failed", ""), fault.Invalid, "stripe_tax_blocked"},
		{"tax inactive", 400, body(inv, "stripe_tax_inactive", ""), fault.Invalid, "stripe_tax_blocked"},
		{"401", 401, body(inv, "", "Invalid API Key provided"), fault.Forbidden, "stripe_auth"},
		{"expired", 401, body(inv, "api_key_expired", ""), fault.Forbidden, "stripe_auth"},
		{"publishable", 403, body(inv, "secret_key_required", ""), fault.Forbidden, "stripe_auth"},
		{"account", 403, body(inv, "account_invalid", ""), fault.Forbidden, "stripe_auth"},
		{"permission", 403, body(inv, "", "Having the 'rak_invoice_write' permission would allow this"), fault.Forbidden, "stripe_permission"},
		{"mode by code", 400, body(inv, "livemode_mismatch", ""), fault.Forbidden, "mode_violation"},
		{"mode by text", 404, body(inv, "resource_missing", "No such invoice; a similar object exists in test mode, but a live mode key was used"), fault.Forbidden, "mode_violation"},
		{"402", 402, body("card_error", "card_declined", ""), fault.Conflict, "stripe_declined"},
		{"404", 404, body(inv, "resource_missing", ""), fault.NotFound, "stripe_not_found"},
		{"200 truncated", 200, `{"id":"in_1","obj`, fault.Indeterminate, "stripe_indeterminate"},
		{"200 empty", 200, ``, fault.Indeterminate, "stripe_indeterminate"},
		{"200 list for an object", 200, `{"object":"list","data":7}`, fault.Indeterminate, "stripe_indeterminate"},
		{"400 without an error", 400, `{}`, fault.Indeterminate, "stripe_indeterminate"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := worldOn(t, http.HandlerFunc(func(res http.ResponseWriter, _ *http.Request) {
				res.Header().Set("Request-Id", "req_1")
				res.WriteHeader(c.status)
				_, _ = res.Write([]byte(c.body))
			}))
			err := stripeapi.SendOp(t.Context(), w.client, secretKey(t, liveText), "invoice.finalize", http.MethodPost, "/v1/invoices/in_1/finalize")
			requireFault(t, err, c.kind, c.code)
			require.Len(t, w.tap.take(), 1, "a write is sent once")
			for _, secret := range []string{"jane.doe", liveText, "<html>", "No such", "already finalized"} {
				require.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), secret)
				require.NotContains(t, w.logs.String(), secret)
			}
			require.Contains(t, w.logs.String(), "req_1")
		})
	}
}

func TestReadsMayBeRepeated(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]fault.Kind{500: fault.Unavailable, 502: fault.Unavailable, 200: fault.Unavailable, 404: fault.NotFound} {
		w := worldOn(t, http.HandlerFunc(func(res http.ResponseWriter, _ *http.Request) {
			res.WriteHeader(status)
			if status == 404 {
				_, _ = res.Write([]byte(body("invalid_request_error", "resource_missing", "")))
				return
			}
			_, _ = res.Write([]byte(`{"trunc`))
		}))
		err := stripeapi.SendOp(t.Context(), w.client, secretKey(t, liveText), "invoice.get", http.MethodGet, "/v1/invoices/in_1")
		require.True(t, fault.Is(err, want), "%d: %v", status, err)
	}
}

func TestThrottleSaysHowLong(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]time.Duration{"7": 7 * time.Second, "": time.Second, "soon": time.Second, "0": time.Second, "-5": time.Second, "999999": time.Second} {
		w := worldOn(t, http.HandlerFunc(func(res http.ResponseWriter, _ *http.Request) {
			res.Header().Set("Retry-After", header)
			res.WriteHeader(429)
			_, _ = res.Write([]byte(body("invalid_request_error", "rate_limit", "")))
		}))
		err := stripeapi.SendOp(t.Context(), w.client, secretKey(t, liveText), "x", http.MethodPost, "/v1/invoices")
		var wait interface{ RetryAfter() time.Duration }
		require.ErrorAs(t, err, &wait)
		require.GreaterOrEqual(t, wait.RetryAfter(), want, header)
		require.Less(t, wait.RetryAfter(), want+time.Second, header)
	}
}

// Those who are told to slow down at the same time do not come back at the same time.
func TestThrottledRequestsSpread(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	w := worldOn(t, http.HandlerFunc(func(res http.ResponseWriter, _ *http.Request) {
		res.Header().Set("Request-Id", fmt.Sprintf("req_%d", n.Add(1)))
		res.WriteHeader(429)
		_, _ = res.Write([]byte(body("invalid_request_error", "rate_limit", "")))
	}))
	waits := map[time.Duration]bool{}
	for range 20 {
		err := stripeapi.SendOp(t.Context(), w.client, secretKey(t, liveText), "x", http.MethodPost, "/v1/invoices")
		var wait interface{ RetryAfter() time.Duration }
		require.ErrorAs(t, err, &wait)
		waits[wait.RetryAfter()] = true
	}
	require.Greater(t, len(waits), 10)
}

func TestMissingPermissionIsNamed(t *testing.T) {
	t.Parallel()
	rights := everything()
	rights["invoice"] = "read"
	w := newWorld(t, rights)
	p := plan(w.customer("live"))
	_, err := openWriter(t, w, p).CreateDraft(t.Context(), 0)
	requireFault(t, err, fault.Forbidden, "stripe_permission")
	require.Contains(t, err.Error(), "Grant rak_invoice_write")
	require.NotContains(t, err.Error(), "acct_")
}

func TestRevokedKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t, everything())
	p := plan(w.customer("live"))
	out := openWriter(t, w, p)
	require.NoError(t, w.fake.RevokeKey(liveText))
	_, err := out.OurInvoices(t.Context())
	requireFault(t, err, fault.Forbidden, "stripe_auth")
}

func TestFaultsOfTheWire(t *testing.T) {
	t.Parallel()
	for kind, want := range map[stripefake.FaultKind]fault.Kind{
		stripefake.FaultDropAfter: fault.Indeterminate, stripefake.Fault500Before: fault.Indeterminate, stripefake.Fault500After: fault.Indeterminate,
		stripefake.FaultTruncate: fault.Indeterminate, stripefake.FaultRateLimit: fault.RateLimited, stripefake.FaultLockTimeout: fault.Unavailable,
		stripefake.FaultConflict: fault.Unavailable, stripefake.FaultUnavailable: fault.Unavailable,
	} {
		w := newWorld(t, everything())
		p := plan(w.customer("live"))
		out := openWriter(t, w, p)
		// -1: Go itself repeats a keyed POST on a connection that died before an answer.
		require.NoError(t, w.fake.AddFault(stripefake.FaultRule{Kind: kind, Method: "POST", Path: "^/v1/invoices$", Count: -1}))
		_, err := out.CreateDraft(t.Context(), 0)
		require.True(t, fault.Is(err, want), "%s: %v", kind, err)
	}
}

// expiring is a context whose deadline is when somebody says.
type expiring struct {
	context.Context
	over chan struct{}
}

func (e expiring) Done() <-chan struct{} { return e.over }

func (e expiring) Err() error {
	select {
	case <-e.over:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

func TestContextEndsTheWait(t *testing.T) {
	t.Parallel()
	block, arrived := make(chan struct{}), expiring{t.Context(), make(chan struct{})}
	w := worldOn(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(arrived.over)
		<-block
	}))
	t.Cleanup(func() { close(block) }) // before the server waits for its handlers
	err := stripeapi.SendOp(arrived, w.client, secretKey(t, liveText), "invoice.create", http.MethodPost, "/v1/invoices")
	require.True(t, fault.Is(err, fault.Indeterminate), "%v", err)
	require.ErrorIs(t, err, context.DeadlineExceeded)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err = stripeapi.SendOp(ctx, w.client, secretKey(t, liveText), "invoice.create", http.MethodPost, "/v1/invoices")
	require.True(t, fault.Is(err, fault.Unavailable), "nothing was sent: %v", err)
}

func TestLimiter(t *testing.T) {
	t.Parallel()
	wait := stripeapi.Pace(2, time.Hour)
	require.NoError(t, wait(t.Context()))
	require.NoError(t, wait(t.Context()))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, wait(ctx), context.DeadlineExceeded)

	wait = stripeapi.Pace(1, time.Millisecond)
	for range 5 {
		require.NoError(t, wait(t.Context()), "tokens come back")
	}
	wait = stripeapi.Pace(stripeapi.Unlimited, time.Hour)
	for range 1000 {
		require.NoError(t, wait(t.Context()))
	}
}

func TestEveryPostNeedsAKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t, everything())
	p := plan(w.customer("live"))
	out := openWriter(t, w, p)
	done := sequence(t, out, p)
	_, err := out.Void(t.Context(), done.ID)
	require.NoError(t, err)
	_, err = stripeapi.NewRegistrar(w.client).Register(t.Context(), secretKey(t, liveText), endpoint("issuer", "https://hooks.example.com/a"))
	require.NoError(t, err)
	for _, s := range w.tap.take() {
		if strings.Contains(s.Auth, "setup") || s.Method == http.MethodGet {
			continue
		}
		require.NotEmpty(t, s.Key, s.Path)
		require.True(t, strings.HasPrefix(s.Key, "lb:"), "%s is a derived key", s.Key)
		require.NotContains(t, s.Key, "example.com")
	}
}
