// Package oidc lets people sign in through an OpenID Connect provider: authorization
// code with PKCE, state and nonce.
//
// It owns the protocol and the reading of claims. Who somebody is here, and what they
// may do, is decided by app/access.
package oidc

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/internal/httpclient"
)

// Config names the provider and this client of it.
type Config struct {
	// Issuer is the provider's address, as its description names it.
	Issuer       string
	ClientID     string
	ClientSecret string
	// RedirectURL is where the provider sends the browser back to.
	RedirectURL string
	// GroupsClaim is the claim that lists somebody's groups; empty is "groups".
	GroupsClaim string
	Clock       clock.Clock
}

// Provider is a provider whose description is read when it is first needed, and again
// until that succeeds: liftbill starts while the provider is down.
type Provider struct {
	cfg    Config
	client *http.Client

	mu    sync.Mutex
	ready *ready
}

// ready is what the provider's description tells.
type ready struct {
	oauth    oauth2.Config
	verifier *oidc.IDTokenVerifier
}

const timeout = 10 * time.Second

// New checks the configuration; it asks nobody.
func New(cfg Config) (*Provider, error) {
	u, err := url.Parse(cfg.Issuer)
	if err != nil || u.Host == "" || (u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname()))) {
		return nil, fault.InvalidField("LIFTBILL_OIDC_ISSUER", "oidc_issuer_malformed", "the issuer is not an https address").Fix("Use the issuer as the provider's .well-known/openid-configuration names it")
	}
	if cfg.ClientID == "" {
		return nil, fault.InvalidField("LIFTBILL_OIDC_CLIENT_ID", "oidc_client_missing", "a client ID is required").Fix("Register liftbill at the provider with the redirect address %s", cfg.RedirectURL)
	}
	if cfg.GroupsClaim == "" {
		cfg.GroupsClaim = "groups"
	}
	return &Provider{cfg: cfg, client: httpclient.New(timeout)}, nil
}

func loopback(host string) bool {
	return host == "localhost" || host == "::1" || strings.HasPrefix(host, "127.")
}

func (p *Provider) described(ctx context.Context) (*ready, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ready != nil {
		return p.ready, nil
	}
	described, err := oidc.NewProvider(oidc.ClientContext(ctx, p.client), p.cfg.Issuer)
	if err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "provider_unreachable", "the OpenID provider does not describe itself").
			Fix("Sign in with a password or a link, and have LIFTBILL_OIDC_ISSUER checked")
	}
	p.ready = &ready{
		oauth: oauth2.Config{
			ClientID: p.cfg.ClientID, ClientSecret: p.cfg.ClientSecret, Endpoint: described.Endpoint(), RedirectURL: p.cfg.RedirectURL,
			Scopes: []string{oidc.ScopeOpenID, "profile", "email"},
		},
		verifier: described.Verifier(&oidc.Config{ClientID: p.cfg.ClientID, Now: p.cfg.Clock.Now}),
	}
	return p.ready, nil
}

// Begin implements access.Provider.
func (p *Provider) Begin(ctx context.Context, state, nonce, verifier string) (string, error) {
	r, err := p.described(ctx)
	if err != nil {
		return "", err
	}
	return r.oauth.AuthCodeURL(state, oidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier)), nil
}

// claims are those that liftbill reads.
type claims struct {
	Email         string `json:"email"`
	EmailVerified truth  `json:"email_verified"`
	Name          string `json:"name"`
	Username      string `json:"preferred_username"`
}

// truth is a boolean that some providers send as a text.
type truth bool

// UnmarshalJSON reads true and "true".
func (t *truth) UnmarshalJSON(raw []byte) error {
	*t = string(raw) == "true" || string(raw) == `"true"`
	return nil
}

// Finish implements access.Provider. Errors say what does not hold and repeat nothing
// of what the provider sent.
func (p *Provider) Finish(ctx context.Context, code, nonce, verifier string) (access.Identity, error) {
	r, err := p.described(ctx)
	if err != nil {
		return access.Identity{}, err
	}
	token, err := r.oauth.Exchange(oidc.ClientContext(ctx, p.client), code, oauth2.VerifierOption(verifier))
	if err != nil {
		return access.Identity{}, refused("the provider does not take the code")
	}
	raw, _ := token.Extra("id_token").(string)
	if raw == "" {
		return access.Identity{}, refused("the provider sent no ID token")
	}
	id, err := r.verifier.Verify(oidc.ClientContext(ctx, p.client), raw)
	switch {
	case err != nil:
		return access.Identity{}, refused("the provider's ID token is not valid here")
	case !sameText(id.Nonce, nonce):
		return access.Identity{}, refused("the provider's ID token answers another sign-in")
	}
	var c claims
	var all map[string]json.RawMessage
	if id.Claims(&c) != nil || id.Claims(&all) != nil {
		return access.Identity{}, refused("the provider's ID token cannot be read")
	}
	out := access.Identity{Issuer: id.Issuer, Subject: id.Subject, Email: c.Email, EmailVerified: bool(c.EmailVerified), Name: c.Name, Groups: groups(all[p.cfg.GroupsClaim])}
	if out.Name == "" {
		out.Name = c.Username
	}
	return out, nil
}

// groups reads a list of names, or one name.
func groups(raw json.RawMessage) []string {
	var many []string
	if json.Unmarshal(raw, &many) == nil {
		return many
	}
	var one string
	if json.Unmarshal(raw, &one) == nil && one != "" {
		return []string{one}
	}
	return nil
}

func refused(why string) error {
	return fault.New(fault.Unauthenticated, "provider_refused", "%s", why).Fix("Begin again on the sign-in page")
}

func sameText(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
