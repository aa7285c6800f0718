package stripefake_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-mock/embedded"
	"github.com/stripe/stripe-mock/server"

	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
)

// witness stands before the fake: every request is also put to the official
// mock, and every answer is held against the official description.
type witness struct {
	fake     *stripefake.Server
	mock     *server.StubServer
	v        validator
	mu       sync.Mutex
	problems []string
	seen     map[string]int
}

func newWitness(t *testing.T, fake *stripefake.Server) *witness {
	t.Helper()
	description, err := server.LoadSpec(embedded.OpenAPISpec, "")
	require.NoError(t, err)
	require.Equal(t, stripefake.APIVersion, description.Info.Version)
	fixtures, err := server.LoadFixtures(embedded.OpenAPIFixtures, "")
	require.NoError(t, err)
	mock, err := server.NewStubServer(fixtures, description, true, false)
	require.NoError(t, err)
	return &witness{fake: fake, mock: mock, v: validator{description}, seen: map[string]int{}}
}

func (w *witness) ServeHTTP(out http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		w.report(err.Error())
	}
	ours := httptest.NewRecorder()
	copied := req.Clone(req.Context())
	copied.Body = io.NopCloser(bytes.NewReader(body))
	w.fake.ServeHTTP(ours, copied)

	w.note(req, ours.Code)
	w.report(w.v.response(req.Method, req.URL.Path, ours.Code, ours.Body.Bytes())...)
	if official := w.official(req, body); ours.Code == http.StatusOK && official.Code != http.StatusOK {
		w.report(fmt.Sprintf("%s %s %s: the official mock answers %d %s", req.Method, req.URL, body, official.Code, official.Body))
	}
	for k, v := range ours.Header() {
		out.Header()[k] = v
	}
	out.WriteHeader(ours.Code)
	_, _ = out.Write(ours.Body.Bytes())
}

// official puts the request to stripe-mock, which knows test keys only.
func (w *witness) official(req *http.Request, body []byte) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	copied := req.Clone(req.Context())
	copied.Header.Set("Authorization", "Bearer sk_test_123")
	copied.Body = io.NopCloser(bytes.NewReader(body))
	w.mock.HandleRequest(rec, copied)
	return rec
}

func (w *witness) note(req *http.Request, status int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	segs := strings.Split(req.URL.Path, "/")
	if len(segs) > 3 {
		segs[3] = "{id}"
	}
	w.seen[fmt.Sprintf("%s %s %d", req.Method, strings.Join(segs, "/"), status)]++
}

func (w *witness) report(problems ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.problems = append(w.problems, problems...)
}

// TestAgreesWithTheOfficialDescription runs a broad session under witness.
func TestAgreesWithTheOfficialDescription(t *testing.T) {
	t.Parallel()
	f := setup(t)
	w := newWitness(t, f.Server)
	front := httptest.NewServer(w)
	t.Cleanup(front.Close)
	f.api = apiOf(front.Client(), front.URL, liveKey)

	session(f)

	slices.Sort(w.problems)
	require.Empty(t, strings.Join(slices.Compact(w.problems), "\n"))
	require.Greater(t, len(w.seen), 75, "the session lost its breadth: %v", w.seen)
	state, err := f.State(acct, stripefake.Live)
	require.NoError(t, err)
	for kind, objects := range state {
		require.NotEmpty(t, objects, kind)
		for _, raw := range objects {
			o, err := parse(raw)
			require.NoError(t, err)
			require.Empty(t, w.v.component(o.(map[string]any), kind))
			if kind != "events" {
				continue
			}
			inner := o.(map[string]any)["data"].(map[string]any)["object"].(map[string]any)
			require.Empty(t, w.v.component(inner, fmt.Sprint(o.(map[string]any)["type"])))
		}
	}
}

// TestWitnessCanFail is the negative control: a wrong answer, an unknown
// property, a request that Stripe refuses and a foreign path are all reported.
func TestWitnessCanFail(t *testing.T) {
	t.Parallel()
	f := setup(t)
	w := newWitness(t, f.Server)
	cu := f.customer("pm_card_visa")
	in := f.draft(cu, 1000)
	state, err := f.State(acct, stripefake.Live)
	require.NoError(t, err)
	good := string(state["invoices"][0])
	path := "/v1/invoices/" + in.ID
	require.Empty(t, w.v.response("GET", path, 200, []byte(good)))

	spoil := func(old, fresh string) []byte {
		require.Contains(t, good, old)
		return []byte(strings.Replace(good, old, fresh, 1))
	}
	for name, body := range map[string][]byte{
		"enum":     spoil(`"status":"draft"`, `"status":"drafted"`),
		"type":     spoil(`"paid":false`, `"paid":"no"`),
		"required": spoil(`"livemode":true,`, ``),
		"unknown":  spoil(`"livemode":true,`, `"livemode":true,"live_mode":true,`),
		"null":     spoil(`"amount_due":1000`, `"amount_due":null`),
		"nested":   spoil(`"object":"line_item"`, `"object":"item"`),
	} {
		require.NotEmpty(t, w.v.response("GET", path, 200, body), name)
	}
	require.NotEmpty(t, w.v.response("GET", "/v1/nowhere", 200, []byte(good)))
	require.NotEmpty(t, w.v.response("GET", path, 400, []byte(`{"fault":"x"}`)))

	for _, body := range []string{"customer=cus_1&collection=send_invoice", "customer=cus_1&auto_advance=perhaps"} {
		req := httptest.NewRequest(http.MethodPost, "/v1/invoices", nil)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		require.Equal(t, http.StatusBadRequest, w.official(req, []byte(body)).Code, body)
	}
}
