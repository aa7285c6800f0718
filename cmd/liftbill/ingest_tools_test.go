package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/postgres"
	"github.com/liftbill/liftbill/adapters/postgres/postgrestest"
	"github.com/liftbill/liftbill/adapters/stripeapi"
	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/adapters/system"
	"github.com/liftbill/liftbill/app/ingest"
	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/domain/account"
)

// stubEndpoints is one endpoint with one secret.
type stubEndpoints struct{ secret string }

func (s stubEndpoints) WebhookEndpoint(context.Context, string) (ingest.Endpoint, error) {
	return ingest.Endpoint{ID: "we", ConnectionID: "acme", Environment: account.Live, Secrets: []string{s.secret}}, nil
}

type takesAll struct{ got *ingest.StoredEvent }

func (i takesAll) Append(_ context.Context, e ingest.StoredEvent) (bool, error) {
	*i.got = e
	return true, nil
}

type noBox struct{}

func (noBox) Seal(_ string, b []byte) ([]byte, error) { return b, nil }
func (noBox) Open(_ string, b []byte) ([]byte, error) { return b, nil }

// The command and the endpoint judge every delivery alike: accepted and understood, or not.
func TestWebhookVerifyJudgesAsTheEndpoint(t *testing.T) {
	t.Parallel()
	const now, secret = 1_800_000_000, "whsec_1"
	body := `{"id":"evt_1","object":"event","type":"x","created":1,"livemode":true,"data":{"object":{"id":"o"}}}` + "\n"
	for name, c := range map[string]struct {
		body, header string
		good         bool
	}{
		"good":         {body, stripefake.Sign([]byte(body), now, secret), true},
		"both secrets": {body, stripefake.Sign([]byte(body), now, "whsec_0", secret), true},
		"thin":         {`{"id":"evt_1","object":"v2.core.event","type":"x"}`, stripefake.Sign([]byte(`{"id":"evt_1","object":"v2.core.event","type":"x"}`), now, secret), true},
		"edge":         {body, stripefake.Sign([]byte(body), now-300, secret), true},
		"old":          {body, stripefake.Sign([]byte(body), now-301, secret), false},
		"future":       {body, stripefake.Sign([]byte(body), now+301, secret), false},
		"other secret": {body, stripefake.Sign([]byte(body), now, "whsec_2"), false},
		"changed":      {body + " ", stripefake.Sign([]byte(body), now, secret), false},
		"no header":    {body, " ", false},
		"no JSON":      {"hello", stripefake.Sign([]byte("hello"), now, secret), false},
		"marked bytes": {"\ufeff" + body, stripefake.Sign([]byte("\ufeff"+body), now, secret), false},
		"CRLF":         {strings.ReplaceAll(body, "\n", "\r\n"), stripefake.Sign([]byte(strings.ReplaceAll(body, "\n", "\r\n")), now, secret), true},
		"CRLF changed": {strings.ReplaceAll(body, "\n", "\r\n"), stripefake.Sign([]byte(body), now, secret), false},
		"no event":     {"[]", stripefake.Sign([]byte("[]"), now, secret), false},
	} {
		_, err := execute(t, c.body, "webhook", "verify", "--secret", secret, "--header", c.header, "--now", fmt.Sprint(now), "-")
		require.Equal(t, c.good, err == nil, name)
		if !c.good {
			require.Equal(t, exitFailed, exitCode(err), name)
		}
		var stored ingest.StoredEvent
		svc := &ingest.Service{Endpoints: stubEndpoints{secret}, Verifier: stripeapi.Verifier{}, Inbox: takesAll{&stored}, Box: noBox{}, Clock: fixedClock(now)}
		_, err = svc.Receive(t.Context(), ingest.Delivery{EndpointID: "we", SignatureHeader: c.header, Body: []byte(c.body)})
		require.Equal(t, c.good, err == nil && stored.Status != ingest.Dead, name)
	}
	_, err := execute(t, strings.Repeat(" ", ingest.MaxBody+1), "webhook", "verify", "--secret", secret, "--header", "t=1,v1=00", "-")
	require.ErrorContains(t, err, "the endpoint takes 1048576")
}

type fixedClock int64

func (c fixedClock) Now() time.Time { return time.Unix(int64(c), 0).UTC() }

// The command erases what the use case erases, and its exit code says whether anything is left.
func TestEventsErase(t *testing.T) {
	url := postgrestest.URL(t)
	key := bytes.Repeat([]byte{5}, system.KeyBytes)
	t.Setenv("DATABASE_URL", url)
	t.Setenv("LIFTBILL_ENCRYPTION_KEY", base64.StdEncoding.EncodeToString(key))
	ctx := t.Context()
	db, err := postgres.Open(ctx, url, postgres.Options{MaxConns: 2})
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	box, err := system.NewSecretBox(key)
	require.NoError(t, err)
	at := time.Date(2026, 10, 3, 9, 0, 0, 0, time.UTC)
	clockFile := filepath.Join(t.TempDir(), "clock.json")
	require.NoError(t, system.WriteClockFile(clockFile, at.Add(time.Hour), false))
	t.Setenv("LIFTBILL_CLOCK_FILE", clockFile)
	require.NoError(t, db.Onboarding().Do(ctx, func(ctx context.Context, st onboard.Stores) error {
		return st.Connections.InsertConnection(ctx, onboard.SealedConnection{Connection: account.Connection{
			ID: "acme", Environment: account.Live, Roles: account.Roles{Source: true}, StripeAccountID: "acct_1", UserIDKey: "user_id", KeyMask: "rk_live_…unit",
		}, SealedKey: []byte("x"), CreatedAt: at})
	}))
	inbox := db.NewInbox(box)
	store := func(id string, box *system.SecretBox) {
		body := fmt.Appendf(nil, `{"id":%q,"object":"event","type":"customer.created","created":1,"livemode":true,"data":{"object":{"id":"cus_Zoe123456","object":"customer","created":1}}}`, id)
		sealed, err := box.Seal(ingest.BodyContext("acme"), body)
		require.NoError(t, err)
		_, err = inbox.Append(ctx, ingest.StoredEvent{ConnectionID: "acme", Environment: account.Live, EventID: id, Created: at, Livemode: true, SealedBody: sealed, ReceivedAt: at, Status: ingest.Pending})
		require.NoError(t, err)
	}
	store("evt_1", box)
	erase := func(more ...string) (string, error) {
		return execute(t, "", append([]string{"events", "erase", "--connection", "acme", "--customer", "cus_Zoe123456"}, more...)...)
	}
	_, err = erase()
	require.Equal(t, exitUsage, exitCode(err), "a reason is required")
	out, err := erase("--reason", "request 20")
	require.NoError(t, err)
	require.Equal(t, "1 of 1 bodies erased (record 1)\n", out)
	out, err = erase("--reason", "request 20", "--json")
	require.NoError(t, err)
	require.JSONEq(t, `{"erasure_id": 0, "bodies_searched": 0, "bodies_erased": 0, "pending": 0, "unreadable": 0}`, out)
	other, err := system.NewSecretBox(bytes.Repeat([]byte{6}, system.KeyBytes))
	require.NoError(t, err)
	store("evt_2", other)
	_, err = erase("--reason", "request 20")
	require.Equal(t, exitFailed, exitCode(err))
	require.ErrorContains(t, err, "1 bodies cannot be opened")
	_, err = execute(t, "", "events", "erase", "--connection", "nobody", "--customer", "cus_Zoe123456", "--reason", "r")
	require.Equal(t, exitFailed, exitCode(err))
}

func TestBenchFlags(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"ingest", "--events", "1"}, {"ingest", "--rounds", "0"}, {"ingest", "--connections", "0"}, {"ingest", "--offered", "0"}, {"ingest", "x"},
		{"kill", "--seconds", "0"}, {"kill", "--rate", "0"},
	} {
		_, err := execute(t, "", append([]string{"bench"}, args...)...)
		require.Equal(t, exitUsage, exitCode(err), args)
	}
	dir := t.TempDir()
	kept := filepath.Join(dir, "thesis.txt")
	require.NoError(t, os.WriteFile(kept, nil, 0o600))
	for _, name := range []string{"ingest", "kill"} {
		_, err := execute(t, "", "bench", name, "--data", dir)
		require.Equal(t, exitUsage, exitCode(err), "a folder that holds something else is not emptied")
		require.FileExists(t, kept)
	}
}

// TestEventsClassify: one event, an array and lines are read alike, from a file or from
// standard input, and what is no event is refused with its place.
func TestEventsClassify(t *testing.T) {
	t.Parallel()
	const paid = `{"id":"evt_1","object":"event","type":"invoice.paid","created":1767225600,"livemode":true,"api_version":"2015-04-07","data":{"object":{"id":"in_1","object":"invoice",
		"customer":"cus_1","currency":"jpy","paid":true,"amount_due":980,"total":980,"charge":"ch_1"}}}`
	const odd = `{"id":"evt_2","object":"event","type":"customer.subscription.updated","created":1767225600,"livemode":true,"data":{"object":{"id":"sub_1","object":"subscription","status":"pondering"}}}`
	run := func(input string, args ...string) (string, error) {
		cmd := newEvents()
		var out bytes.Buffer
		cmd.SetOut(&out)
		cmd.SetErr(&out)
		cmd.SetIn(strings.NewReader(input))
		cmd.SetArgs(append([]string{"classify"}, args...))
		err := cmd.ExecuteContext(t.Context())
		return out.String(), err
	}
	const want = "evt_1  invoice.paid  revenue_confirmation 980 jpy\nevt_2  customer.subscription.updated  anomaly: status_unknown\n"
	for name, input := range map[string]string{"lines": paid + "\n" + odd + "\n", "an array": "[" + paid + "," + odd + "]", "a byte order mark": "\ufeff" + paid + odd} {
		out, err := run(input, "-")
		require.NoError(t, err, name)
		require.Equal(t, want, out, name)
	}
	file := filepath.Join(t.TempDir(), "event.json")
	require.NoError(t, os.WriteFile(file, []byte(paid), 0o600))
	out, err := run("", file, "--json")
	require.NoError(t, err)
	require.Contains(t, out, `"revenue_confirmation:in_1"`)
	require.Contains(t, out, `"api_version": "2015-04-07"`)
	for input, says := range map[string]string{paid + "{": "event 2", paid + `{"id":"x"}`: "event 2", "[1": "not JSON"} {
		_, err := run(input, "-")
		require.ErrorContains(t, err, says)
	}
	_, err = run("", filepath.Join(t.TempDir(), "absent.json"))
	require.ErrorContains(t, err, "cannot read")
}
