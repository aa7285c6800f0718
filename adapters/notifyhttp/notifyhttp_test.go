package notifyhttp_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/notifyhttp"
	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/notify"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/notice"
)

const secret = "whsec_0123456789abcdef"

var now = time.Date(2026, 11, 4, 6, 0, 0, 0, time.UTC)

func delivery() notify.Delivery {
	return notify.Delivery{Notice: notice.Notice{ID: "k|acme.2026-10||approver", Kind: notice.FirstInvoice, Environment: account.Live, AccountID: "acme", Period: "2026-10", CycleID: "acme.2026-10",
		Role: access.Approver, Title: "Acme, 2026-10: the first invoice needs a person", Detail: "123.45 USD.", Next: "look", Path: "/cycles/acme.2026-10", Due: now.AddDate(0, 0, 5)},
		AccountName: "Acme", Episode: 1, OpenedAt: now}
}

// The body is signed as documented, and names what waits and where; a repetition has the
// same ID.
func TestSignedNotice(t *testing.T) {
	t.Parallel()
	type request struct {
		body   string
		header http.Header
	}
	seen := make(chan request, 2)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		if err != nil {
			raw = []byte(err.Error())
		}
		seen <- request{string(raw), r.Header}
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(srv.Close)
	c, err := notifyhttp.New(srv.URL+"/hook", secret, "https://billing.example.com", clock.Fixed(now))
	require.NoError(t, err)
	var got []notifyhttp.Body
	for range 2 {
		require.NoError(t, c.Send(t.Context(), delivery()))
		r := <-seen
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte("1793772000." + r.body))
		require.Equal(t, "t=1793772000,v1="+hex.EncodeToString(mac.Sum(nil)), r.header.Get(notifyhttp.SignatureHeader))
		require.NotContains(t, r.body, secret)
		var b notifyhttp.Body
		require.NoError(t, json.Unmarshal([]byte(r.body), &b))
		require.Equal(t, []string{b.ID, b.ID}, []string{r.header.Get(notifyhttp.IDHeader), r.header.Get(notifyhttp.IdempotencyHeader)})
		got = append(got, b)
	}
	require.Equal(t, got[0], got[1])
	require.Equal(t, []string{"first_invoice", "live", "acme.2026-10", "approver", "https://billing.example.com/cycles/acme.2026-10"},
		[]string{got[0].Type, got[0].Environment, got[0].CycleID, got[0].Role, got[0].URL})
	again := delivery()
	again.Episode = 2
	require.NotEqual(t, got[0].ID, again.Key())
}

// What is refused is said without the address, which may be a secret of its own.
func TestFailuresNameNoAddress(t *testing.T) {
	t.Parallel()
	for answer, want := range map[int]string{http.StatusInternalServerError: "the address answers 500", http.StatusFound: "the address answers 302", http.StatusGone: "the address answers 410"} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://elsewhere.example.com")
			w.WriteHeader(answer)
		}))
		c, err := notifyhttp.New(srv.URL+"/T0KEN", secret, "", clock.Fixed(now))
		require.NoError(t, err)
		err = c.Send(t.Context(), delivery())
		require.ErrorContains(t, err, want)
		srv.Close()
		err = c.Send(t.Context(), delivery())
		require.Equal(t, "notify_unreachable", fault.CodeOf(err))
		require.NotContains(t, err.Error(), "T0KEN")
	}
}

// Somebody closes the idle connections of the default transport, as every test server does
// that closes, while ours is already idle and its answer not yet handed over: the notice was
// taken and is not reported as lost.
func TestConnectionsAreItsOwn(t *testing.T) {
	t.Parallel()
	var taken atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		taken.Add(1)
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(srv.Close)
	c, err := notifyhttp.New(srv.URL+"/hook", secret, "", clock.Fixed(now))
	require.NoError(t, err)
	for i := range int64(5) {
		sent := make(chan struct{})
		err := c.Send(httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{PutIdleConn: func(error) {
			httptest.NewUnstartedServer(nil).Close()
			select { // a lost answer is noticed meanwhile
			case <-sent:
			case <-time.After(20 * time.Millisecond):
			}
		}}), delivery())
		close(sent)
		require.NoError(t, err)
		require.Equal(t, i+1, taken.Load())
	}
}

// A kept connection that the receiver drops instead of answering costs no attempt: the same
// notice goes out again on a new one.
func TestDroppedConnection(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	connections, ids, dropped := map[string]bool{}, map[string]int{}, false
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		ids[r.Header.Get(notifyhttp.IDHeader)]++
		kept := connections[r.RemoteAddr]
		connections[r.RemoteAddr] = true
		if kept && !dropped {
			dropped = true
			panic(http.ErrAbortHandler)
		}
	}))
	t.Cleanup(srv.Close)
	c, err := notifyhttp.New(srv.URL+"/hook", secret, "", clock.Fixed(now))
	require.NoError(t, err)
	d := delivery()
	const sent = 10
	for range sent { // net/http keeps a connection nearly always
		require.NoError(t, c.Send(t.Context(), d))
	}
	mu.Lock()
	defer mu.Unlock()
	require.True(t, dropped, "no connection was kept")
	require.Equal(t, map[string]int{d.Key(): sent + 1}, ids)
}

func TestBadConfiguration(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ url, secret, code string }{
		{"", secret, "notify_url_malformed"},
		{"ftp://example.com", secret, "notify_url_malformed"},
		{"http://example.com/hook", secret, "notify_url_plain"},
		{"https://example.com/hook", "short", "notify_secret_short"},
	} {
		_, err := notifyhttp.New(c.url, c.secret, "", clock.Fixed(now))
		require.Equal(t, c.code, fault.CodeOf(err), c.url)
	}
}
