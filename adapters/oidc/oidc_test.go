package oidc_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/oidc"
	"github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/domain/fault"
)

var now = time.Date(2026, 10, 3, 9, 0, 0, 0, time.UTC)

const (
	clientID     = "liftbill"
	clientSecret = "the client's secret"
	verifier     = "a-verifier-of-at-least-forty-three-characters-long"
)

// provider speaks enough OpenID Connect: description, keys, codes with PKCE, tokens.
type provider struct {
	t      *testing.T
	key    *rsa.PrivateKey
	server *httptest.Server

	mu     sync.Mutex
	codes  map[string]url.Values // what the browser asked with
	claims map[string]any        // of the next token, over the good ones
	header map[string]any
	forge  func(token string) string
	broken bool
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	p := &provider{t: t, key: key, codes: map[string]url.Values{}, header: map[string]any{"alg": "RS256", "kid": "k1", "typ": "JWT"}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		if p.broken {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		p.write(w, map[string]any{
			"issuer": p.server.URL, "authorization_endpoint": p.server.URL + "/authorize", "token_endpoint": p.server.URL + "/token",
			"jwks_uri": p.server.URL + "/keys", "id_token_signing_alg_values_supported": []string{"RS256"},
		})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		b64 := base64.RawURLEncoding.EncodeToString
		p.write(w, map[string]any{"keys": []any{map[string]any{
			"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "k1", "n": b64(key.N.Bytes()), "e": b64(big.NewInt(int64(key.E)).Bytes()),
		}}})
	})
	mux.HandleFunc("POST /token", p.token)
	p.server = httptest.NewServer(mux)
	t.Cleanup(p.server.Close)
	return p
}

func (p *provider) write(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	require.NoError(p.t, json.NewEncoder(w).Encode(v))
}

// authorize plays the browser: it follows the address and brings a code back.
func (p *provider) authorize(address string) (code, state string) {
	u, err := url.Parse(address)
	require.NoError(p.t, err)
	q := u.Query()
	require.Equal(p.t, "/authorize", u.Path)
	require.Equal(p.t, "S256", q.Get("code_challenge_method"))
	require.Equal(p.t, clientID, q.Get("client_id"))
	require.Equal(p.t, "https://billing.example.com/sign-in/provider/callback", q.Get("redirect_uri"))
	require.ElementsMatch(p.t, []string{"openid", "profile", "email"}, strings.Fields(q.Get("scope")))
	p.mu.Lock()
	defer p.mu.Unlock()
	code = "code-" + q.Get("state")
	p.codes[code] = q
	return code, q.Get("state")
}

func (p *provider) token(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	id, secret, _ := r.BasicAuth()
	if id != "" {
		id, _ = url.QueryUnescape(id)
		secret, _ = url.QueryUnescape(secret)
	} else {
		id, secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	}
	asked, ok := p.codes[r.PostFormValue("code")]
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if !ok || id != clientID || secret != clientSecret || asked.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(sum[:]) {
		w.WriteHeader(http.StatusBadRequest)
		p.write(w, map[string]any{"error": "invalid_grant"})
		return
	}
	delete(p.codes, r.PostFormValue("code"))
	claims := map[string]any{
		"iss": p.server.URL, "aud": clientID, "sub": "subject-1", "exp": now.Add(time.Minute).Unix(), "iat": now.Unix(), "nonce": asked.Get("nonce"),
		"email": "Ada@example.com", "email_verified": true, "name": "Ada", "groups": []string{"finance-team", "everybody"},
	}
	for k, v := range p.claims {
		claims[k] = v
	}
	token := p.sign(claims)
	if p.forge != nil {
		token = p.forge(token)
	}
	p.write(w, map[string]any{"access_token": "x", "token_type": "Bearer", "id_token": token})
}

func (p *provider) sign(claims map[string]any) string {
	head, err := json.Marshal(p.header)
	require.NoError(p.t, err)
	body, err := json.Marshal(claims)
	require.NoError(p.t, err)
	text := base64.RawURLEncoding.EncodeToString(head) + "." + base64.RawURLEncoding.EncodeToString(body)
	sum := sha256.Sum256([]byte(text))
	sig, err := rsa.SignPKCS1v15(rand.Reader, p.key, crypto.SHA256, sum[:])
	require.NoError(p.t, err)
	return text + "." + base64.RawURLEncoding.EncodeToString(sig)
}

func (p *provider) config() oidc.Config {
	return oidc.Config{Issuer: p.server.URL, ClientID: clientID, ClientSecret: clientSecret, RedirectURL: "https://billing.example.com/sign-in/provider/callback", Clock: clock.Fixed(now)}
}

func TestSignInAtTheProvider(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	client, err := oidc.New(p.config())
	require.NoError(t, err)
	address, err := client.Begin(context.Background(), "state-1", "nonce-1", verifier)
	require.NoError(t, err)
	require.NotContains(t, address, verifier, "the verifier stays here")
	code, state := p.authorize(address)
	require.Equal(t, "state-1", state)
	who, err := client.Finish(context.Background(), code, "nonce-1", verifier)
	require.NoError(t, err)
	require.Equal(t, access.Identity{Issuer: p.server.URL, Subject: "subject-1", Email: "Ada@example.com", EmailVerified: true, Name: "Ada", Groups: []string{"finance-team", "everybody"}}, who)
	_, err = client.Finish(context.Background(), code, "nonce-1", verifier)
	require.Equal(t, "provider_refused", fault.CodeOf(err), "a code works once")
}

// Whatever is wrong with an answer, it lets nobody in, and the error repeats nothing.
func TestAnswersAreVerified(t *testing.T) {
	t.Parallel()
	swap := func(i int, with string) func(string) string {
		return func(token string) string {
			parts := strings.Split(token, ".")
			parts[i] = base64.RawURLEncoding.EncodeToString([]byte(with))
			return strings.Join(parts, ".")
		}
	}
	for name, tc := range map[string]struct {
		claims   map[string]any
		forge    func(string) string
		nonce    string
		verifier string
	}{
		"another client's token": {claims: map[string]any{"aud": "somebody-else"}},
		"another issuer":         {claims: map[string]any{"iss": "https://evil.example"}},
		"expired":                {claims: map[string]any{"exp": now.Add(-time.Second).Unix()}},
		"another sign-in":        {nonce: "nonce-2"},
		"without a nonce":        {claims: map[string]any{"nonce": ""}},
		"another verifier":       {verifier: verifier + "x"},
		"a changed body":         {forge: swap(1, `{"sub":"root"}`)},
		"no signature":           {forge: func(s string) string { return s[:strings.LastIndex(s, ".")+1] }},
		"algorithm none":         {forge: swap(0, `{"alg":"none"}`)},
		"no token":               {forge: func(string) string { return "" }},
		"claims that are none":   {claims: map[string]any{"email": 7}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProvider(t)
			p.claims, p.forge = tc.claims, tc.forge
			client, err := oidc.New(p.config())
			require.NoError(t, err)
			address, err := client.Begin(context.Background(), "s", "nonce-1", verifier)
			require.NoError(t, err)
			code, _ := p.authorize(address)
			nonce, with := "nonce-1", verifier
			if tc.nonce != "" {
				nonce = tc.nonce
			}
			if tc.verifier != "" {
				with = tc.verifier
			}
			who, err := client.Finish(context.Background(), code, nonce, with)
			require.Equal(t, "provider_refused", fault.CodeOf(err))
			require.True(t, fault.Is(err, fault.Unauthenticated))
			require.Zero(t, who)
			require.NotContains(t, err.Error(), "eyJ")
			require.NotContains(t, err.Error(), clientSecret)
		})
	}
}

func TestClaimsOfAllSorts(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	cfg := p.config()
	cfg.GroupsClaim = "roles"
	client, err := oidc.New(cfg)
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		claims map[string]any
		want   access.Identity
	}{
		"texts for booleans, one group": {map[string]any{"email_verified": "true", "roles": "admins", "name": ""}, access.Identity{EmailVerified: true, Groups: []string{"admins"}}},
		"no groups, not verified":       {map[string]any{"email_verified": false, "roles": nil, "name": "", "preferred_username": "ada"}, access.Identity{Name: "ada"}},
		"groups of another shape":       {map[string]any{"roles": map[string]any{"a": 1}, "name": ""}, access.Identity{EmailVerified: true}},
	} {
		p.claims = tc.claims
		address, err := client.Begin(context.Background(), name, "n", verifier)
		require.NoError(t, err)
		code, _ := p.authorize(address)
		who, err := client.Finish(context.Background(), code, "n", verifier)
		require.NoError(t, err, name)
		tc.want.Issuer, tc.want.Subject, tc.want.Email = p.server.URL, "subject-1", "Ada@example.com"
		require.Equal(t, tc.want, who, name)
	}
}

// liftbill starts while the provider is down, and lets people in when it is back.
func TestProviderThatIsDown(t *testing.T) {
	t.Parallel()
	p := newProvider(t)
	p.broken = true
	client, err := oidc.New(p.config())
	require.NoError(t, err)
	_, err = client.Begin(context.Background(), "s", "n", verifier)
	require.Equal(t, "provider_unreachable", fault.CodeOf(err))
	_, err = client.Finish(context.Background(), "c", "n", verifier)
	require.True(t, fault.Is(err, fault.Unavailable))
	p.broken = false
	_, err = client.Begin(context.Background(), "s", "n", verifier)
	require.NoError(t, err)
}

func TestConfiguration(t *testing.T) {
	t.Parallel()
	for issuer, code := range map[string]string{"": "oidc_issuer_malformed", "idp.example.com": "oidc_issuer_malformed", "http://idp.example.com": "oidc_issuer_malformed", "https://idp.example.com": "oidc_client_missing"} {
		_, err := oidc.New(oidc.Config{Issuer: issuer})
		require.Equal(t, code, fault.CodeOf(err), issuer)
	}
}
