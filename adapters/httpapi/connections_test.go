package httpapi_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/onboard"
	domain "github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
)

// connecting records what it is asked.
type connecting struct {
	asked [4]string
	err   error
}

var endpointOf = onboard.Endpoint{ID: "we-acme", ConnectionID: "acme", Environment: account.Live, URL: "https://x", SetUp: onboard.ByHand, Status: onboard.StatusEnabled,
	SealedSecret: []byte("whsec_sealed"), SealedPrevious: []byte("whsec_before"), PreviousUntil: &at, CheckedAt: &at, CreatedAt: at}

func (c *connecting) Webhook(_ context.Context, id string) (onboard.Webhook, error) {
	w := onboard.Webhook{URL: "https://x", Received: map[string]int64{"invoice.paid": 3}, Gaps: []onboard.Gap{{Events: []string{"charge.refunded"}, Certain: true, Means: "refunds"}}}
	if id == "acme" {
		w.Endpoint = endpointOf
	}
	return w, c.err
}

func (c *connecting) SetWebhookSecret(_ context.Context, by domain.Principal, id, secret string) (onboard.Endpoint, error) {
	c.asked = [4]string{"secret", id, secret, by.Name}
	return endpointOf, c.err
}

func (c *connecting) RotateWebhookSecret(_ context.Context, by domain.Principal, id string) (onboard.Endpoint, error) {
	c.asked = [4]string{"rotate", id, by.Name}
	return endpointOf, c.err
}

func (c *connecting) CheckWebhook(_ context.Context, by domain.Principal, id string) (onboard.Endpoint, error) {
	c.asked = [4]string{"check", id, by.Name}
	return endpointOf, c.err
}

func (c *connecting) connection(op ...string) (account.Connection, error) {
	copy(c.asked[:], append(op, "", "", ""))
	return account.Connection{ID: "acme", Environment: account.Live, KeyMask: "rk_live_…unit", Paused: true, PausedReason: account.PauseKeyRevoked, PausedBy: "liftbill", PausedAt: at}, c.err
}

func (c *connecting) Pause(_ context.Context, by domain.Principal, id, reason string) (account.Connection, error) {
	return c.connection("pause", id, reason, by.Name)
}

func (c *connecting) Resume(_ context.Context, by domain.Principal, id string) (account.Connection, error) {
	return c.connection("resume", id, by.Name)
}

func (c *connecting) SwitchWriting(_ context.Context, by domain.Principal, id string, on bool, reason string) (account.Connection, error) {
	out, err := c.connection(map[bool]string{true: "writing-on", false: "writing-off"}[on], id, reason, by.Name)
	out.WriteBackOff = !on
	return out, err
}

func (c *connecting) ReplaceKey(_ context.Context, by domain.Principal, id, key string) (account.Connection, error) {
	return c.connection("key", id, key, by.Name)
}

func (c *connecting) Disconnect(_ context.Context, by domain.Principal, id string) (account.Connection, error) {
	return c.connection("disconnect", id, by.Name)
}

func (c *connecting) CheckKey(ctx context.Context, by domain.Principal, id string) (onboard.KeyReport, error) {
	c.asked = [4]string{"key-check", id, by.Name}
	return c.KeyReport(ctx, id)
}

func (c *connecting) KeyReport(context.Context, string) (onboard.KeyReport, error) {
	return onboard.KeyReport{ConnectionID: "acme", Environment: account.Live, KeyMask: "rk_live_…unit", CheckedAt: at, CheckedBy: "anna",
		Findings: []account.Finding{{Severity: account.Missing, Permission: "Events: read", Slug: "rak_event_read", Message: "needed", Do: "Grant it"}}}, c.err
}

func (c *connecting) Log(context.Context, string) ([]onboard.LogEntry, error) {
	return []onboard.LogEntry{{Action: "paused", Detail: "why", Who: "anna", At: at}}, c.err
}

func TestConnectionsAreLookedAfter(t *testing.T) {
	t.Parallel()
	c := &connecting{}
	e := newServer(t, &fakes{connecting: c})
	for _, tc := range []struct {
		path, body string
		asked      [4]string
	}{
		{"/webhook-endpoint/secret", `{"secret":"whsec_x"}`, [4]string{"secret", "acme", "whsec_x", goodToken}},
		{"/webhook-endpoint/rotate", ``, [4]string{"rotate", "acme", goodToken}},
		{"/webhook-endpoint/check", ``, [4]string{"check", "acme", goodToken}},
		{"/pause", `{"reason":"r"}`, [4]string{"pause", "acme", "r", goodToken}},
		{"/resume", ``, [4]string{"resume", "acme", goodToken}},
		{"/writing", `{"on":false,"reason":"r"}`, [4]string{"writing-off", "acme", "r", goodToken}},
		{"/writing", `{"on":true,"reason":"r"}`, [4]string{"writing-on", "acme", "r", goodToken}},
		{"/key", `{"secret_key":"rk_live_verysecret"}`, [4]string{"key", "acme", "rk_live_verysecret", goodToken}},
		{"/disconnect", ``, [4]string{"disconnect", "acme", goodToken}},
		{"/key-check", ``, [4]string{"key-check", "acme", goodToken}},
	} {
		w, body := serve(t, e, request(http.MethodPost, "/v1/connections/acme"+tc.path, tc.body))
		require.Equal(t, http.StatusOK, w.Code, "%s %s", tc.path, w.Body)
		require.Equal(t, tc.asked, c.asked)
		require.NotContains(t, w.Body.String(), "whsec_", "secrets are write-only")
		require.NotContains(t, w.Body.String(), "verysecret")
		require.NotEmpty(t, body)
	}
	_, body := serve(t, e, request(http.MethodPost, "/v1/connections/acme/pause", `{"reason":"r"}`))
	require.Equal(t, []any{"key_revoked", "liftbill", at.Format(time.RFC3339)}, []any{body["paused_reason"], body["paused_by"], body["paused_at"]})

	_, body = serve(t, e, request(http.MethodPost, "/v1/connections/acme/writing", `{"on":false,"reason":"tax"}`))
	require.Equal(t, true, body["write_back_off"])

	_, body = serve(t, e, request(http.MethodGet, "/v1/connections/acme/webhook-endpoint", ""))
	require.Equal(t, "manual", body["endpoint"].(map[string]any)["set_up"])
	require.Equal(t, at.Format(time.RFC3339), body["endpoint"].(map[string]any)["previous_secret_until"])
	require.Equal(t, true, body["gaps"].([]any)[0].(map[string]any)["certain"])
	_, body = serve(t, e, request(http.MethodGet, "/v1/connections/other/webhook-endpoint", ""))
	require.NotContains(t, body, "endpoint", "none is nothing")
	require.Equal(t, "https://x", body["url"])

	_, body = serve(t, e, request(http.MethodGet, "/v1/connections/acme/key-check", ""))
	require.Equal(t, false, body["ok"])
	require.Equal(t, "rak_event_read", body["findings"].([]any)[0].(map[string]any)["slug"])
	_, body = serve(t, e, request(http.MethodGet, "/v1/connections/acme/log", ""))
	require.Equal(t, "anna", body["items"].([]any)[0].(map[string]any)["who"])

	c.err = fault.New(fault.Conflict, "rotation_running", "not now")
	for path, given := range map[string]string{
		"/webhook-endpoint/rotate": "", "/pause": "{}", "/resume": "", "/writing": `{"on":true,"reason":"r"}`, "/key": "{}", "/disconnect": "", "/key-check": "", "/webhook-endpoint/secret": "{}",
	} {
		w, body := serve(t, e, request(http.MethodPost, "/v1/connections/acme"+path, given))
		require.Equal(t, http.StatusConflict, w.Code)
		require.Equal(t, "rotation_running", body["code"])
	}
	for _, path := range []string{"/webhook-endpoint", "/key-check", "/log"} {
		w, _ := serve(t, e, request(http.MethodGet, "/v1/connections/acme"+path, ""))
		require.Equal(t, http.StatusConflict, w.Code)
	}
}
