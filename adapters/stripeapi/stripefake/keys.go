package stripefake

import (
	"fmt"
	"net/http"
	"strings"
)

// apiKey is a key with what it may do.
type apiKey struct {
	id         string
	secret     string
	acct       *account
	live       bool
	restricted bool
	perms      map[string]string
	revoked    bool
}

// resources maps the permission rows of a restricted key to the slugs that
// Stripe names in its 403 answers.
var resources = map[string]string{
	"account": "accounts_kyc_basic", "customer": "customer", "product": "product", "price": "plan", "coupon": "coupon",
	"subscription": "subscription", "invoice": "invoice", "invoiceitem": "invoiceitem", "credit_note": "credit_note",
	"charge": "charge", "dispute": "dispute", "payment_intent": "payment_intent", "payment_method": "payment_method",
	"event": "event", "webhook": "webhook", "checkout_session": "checkout_session", "setup_intent": "setup_intent",
}

// AddKey creates an API key.
func (s *Server) AddKey(spec KeySpec) (*Key, error) {
	if spec.Mode != Live && spec.Mode != Test {
		return nil, fmt.Errorf("stripefake: key mode %q is neither live nor test", spec.Mode)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.accounts[spec.Account]
	if a == nil {
		return nil, fmt.Errorf("stripefake: no account %q for the key", spec.Account)
	}
	if spec.Secret == "" {
		kind := "sk_"
		if spec.Restricted || len(spec.Permissions) > 0 {
			kind = "rk_"
		}
		spec.Secret = kind + spec.Mode + "_" + randomString(s.rng, 48)
	}
	restricted := strings.HasPrefix(spec.Secret, "rk_"+spec.Mode+"_")
	if !restricted && !strings.HasPrefix(spec.Secret, "sk_"+spec.Mode+"_") {
		return nil, fmt.Errorf("stripefake: key %s does not begin with sk_%s_ or rk_%s_", mask(spec.Secret), spec.Mode, spec.Mode)
	}
	if s.keys[spec.Secret] != nil {
		return nil, fmt.Errorf("stripefake: key %s exists", mask(spec.Secret))
	}
	for name, level := range spec.Permissions {
		if resources[name] == "" && name != "*" {
			return nil, fmt.Errorf("stripefake: unknown permission %q", name)
		}
		if level != "read" && level != "write" && level != "none" {
			return nil, fmt.Errorf("stripefake: permission %s is %q, want read, write or none", name, level)
		}
	}
	k := &apiKey{
		id: "mk_1" + randomString(s.rng, 23), secret: spec.Secret, acct: a, live: spec.Mode == Live,
		restricted: restricted, perms: spec.Permissions, revoked: spec.Revoked,
	}
	s.keys[spec.Secret] = k
	return &Key{ID: k.id, Account: spec.Account, Mode: spec.Mode, Kind: k.kind(), Secret: spec.Secret}, nil
}

// RevokeKey makes a key answer 401 from now on.
func (s *Server) RevokeKey(secret string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.keys[secret]
	if k == nil {
		return fmt.Errorf("stripefake: no key %s", mask(secret))
	}
	k.revoked = true
	return nil
}

func (k *apiKey) kind() string {
	if k.restricted {
		return "restricted"
	}
	return "secret"
}

func mask(secret string) string {
	if len(secret) <= 12 {
		return "***"
	}
	return secret[:8] + "*********" + secret[len(secret)-4:]
}

// authenticate finds the key of a request.
func (s *Server) authenticate(req *http.Request) (*apiKey, *apiError) {
	secret, _, ok := req.BasicAuth()
	if bearer, found := strings.CutPrefix(req.Header.Get("Authorization"), "Bearer "); found {
		secret, ok = bearer, true
	}
	if !ok || secret == "" {
		return nil, unauthorized("You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').")
	}
	if strings.HasPrefix(secret, "pk_") {
		e := unauthorized("This API call cannot be made with a publishable API key. Please use a secret API key.")
		e.code = "secret_key_required"
		return nil, e
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	k := s.keys[secret]
	if k == nil {
		return nil, unauthorized("Invalid API Key provided: %s", mask(secret))
	}
	if k.revoked {
		e := unauthorized("Expired API Key provided: %s", mask(secret))
		e.code = "api_key_expired"
		return nil, e
	}
	if other := req.Header.Get("Stripe-Account"); other != "" && other != k.acct.spec.ID {
		e := unauthorized("The provided key '%s' does not have access to account '%s' (or that account does not exist). Application access may have been revoked.", mask(secret), other)
		e.status, e.code = http.StatusForbidden, "account_invalid"
		return nil, e
	}
	return k, nil
}

// allow checks a restricted key against the resource of a route.
func (k *apiKey) allow(resource string, write bool) *apiError {
	if !k.restricted {
		return nil
	}
	level, ok := k.perms[resource]
	if !ok {
		level = k.perms["*"]
	}
	if level == "write" || (level == "read" && !write) {
		return nil
	}
	need := "read"
	if write {
		need = "write"
	}
	e := invalid("", "", "The provided key '%s' does not have the required permissions for this endpoint on account '%s'. Having the 'rak_%s_%s' permission would allow this request to continue.",
		mask(k.secret), k.acct.spec.ID, resources[resource], need)
	e.status = http.StatusForbidden
	return e
}
