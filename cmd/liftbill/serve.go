package main

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/spf13/cobra"

	"github.com/liftbill/liftbill/adapters/httpapi"
	"github.com/liftbill/liftbill/adapters/metrics"
	"github.com/liftbill/liftbill/adapters/oidc"
	"github.com/liftbill/liftbill/adapters/webui"
	"github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/customers"
	"github.com/liftbill/liftbill/app/replay"
	"github.com/liftbill/liftbill/domain/fault"
)

func newServe() *cobra.Command {
	return &cobra.Command{
		Use: "serve", Short: "Serve the API, the webhook endpoint and the pages", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			defer quietHeap()()
			return withApp(cmd, func(ctx context.Context, a *app) error { return a.serve(ctx) })
		},
	}
}

// drainTime is how long open requests may take after the signal to stop.
const drainTime = 10 * time.Second

// handler mounts everything that this program serves.
func (a *app) handler() (*echo.Echo, error) {
	gate, err := a.gate()
	if err != nil {
		return nil, err
	}
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	options := webui.Options{TemporalUI: a.cfg.TemporalUI, TLS: a.cfg.tls(), PagesURL: a.cfg.pagesURL()}
	if options.JournalAccounts, err = a.cfg.journalAccounts(); err != nil {
		return nil, err
	}
	if gate.Provider != nil {
		options.Provider = a.cfg.OIDCName
	}
	pages, err := webui.New(webui.Services{
		Reconcile: a.reconcile(), Access: gate, Audit: a.audit(), Operate: a.operate(),
		Customers: &customers.Service{Reader: a.db.NewCustomerReader(), Clock: a.clock}, Replays: &replay.Reports{Archive: a.db.NewReplays()}, Deciding: a.deciding(), Accruals: a.accruals(), Shipping: a.onboard(), Notices: a.notices(), Previews: a.previews(),
		Breaks: a.reconciler(), Mapping: a.mapping(), Corrections: a.invoicing(), Agreements: a.onboard(), WhatIf: a.whatif(), Sources: a.sources(), GoLive: a.goLive(), Keys: a.onboard(), Replaying: a.replaying(), TrueUps: a.trueUps(),
	}, options, a.clock, a.log)
	if err != nil {
		return nil, err
	}
	pages.Register(e)
	httpapi.New(a.services(gate), a.log).Register(e)
	e.GET("/metrics", echo.WrapHandler(metrics.Handler(a.operate(), a.log)))
	return e, nil
}

// gate is the use case of access with the provider, when one is set up.
func (a *app) gate() (*access.Service, error) {
	gate := a.access()
	if a.cfg.OIDCIssuer == "" {
		return gate, nil
	}
	roles, err := a.cfg.groupRoles()
	if err != nil {
		return nil, err
	}
	provider, err := oidc.New(oidc.Config{
		Issuer: a.cfg.OIDCIssuer, ClientID: a.cfg.OIDCClientID, ClientSecret: a.cfg.OIDCClientSecret, GroupsClaim: a.cfg.OIDCGroupsClaim, Clock: a.clock,
		RedirectURL: strings.TrimRight(a.cfg.pagesURL(), "/") + "/sign-in/provider/callback",
	})
	if err != nil {
		return nil, err
	}
	gate.Provider, gate.GroupRoles = provider, roles
	return gate, nil
}

func (a *app) serve(ctx context.Context) error {
	admin, err := a.access().AnyAdmin(ctx)
	if err != nil {
		return err
	}
	if err := httpapi.CheckListenAddress(a.cfg.Listen, httpapi.Exposure{TLS: a.cfg.tls(), Admin: admin}); err != nil {
		return err
	}
	if !admin {
		a.log.WarnContext(ctx, "nobody can sign in yet; make the first administrator with: liftbill admin create")
	}
	e, err := a.handler()
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", a.cfg.Listen)
	if err != nil {
		return fault.Wrap(err, fault.Unavailable, "port_taken", "cannot listen on %s", a.cfg.Listen).
			Fix("Stop what uses the port, or set LIFTBILL_LISTEN to another address")
	}
	srv := &http.Server{Handler: e, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelWarn)}
	run := func() error { return srv.Serve(listener) }
	if a.cfg.TLSCert != "" {
		pair := &certificate{cert: a.cfg.TLSCert, key: a.cfg.TLSKey}
		if _, err := pair.get(nil); err != nil {
			return errors.Join(err, listener.Close())
		}
		srv.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: pair.get}
		run = func() error { return srv.ServeTLS(listener, "", "") }
	}
	done := make(chan error, 1)
	go func() { done <- run() }()
	a.log.InfoContext(ctx, "serving", slog.String("address", listener.Addr().String()), slog.Bool("tls", a.cfg.tls()))
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	if err := srv.Shutdown(stopCtx); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// certificate is read again when its file changes, so that a renewed one needs no
// restart. A pair that cannot be read leaves the one before in place.
type certificate struct {
	cert, key string

	mu      sync.Mutex
	changed time.Time
	pair    *tls.Certificate
}

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	info, err := os.Stat(c.cert)
	if err == nil && info.ModTime().Equal(c.changed) {
		return c.pair, nil
	}
	pair, loadErr := tls.LoadX509KeyPair(c.cert, c.key)
	if err == nil && loadErr == nil {
		c.changed, c.pair = info.ModTime(), &pair
	}
	if c.pair == nil {
		return nil, fault.Wrap(errors.Join(err, loadErr), fault.Invalid, "tls_certificate", "the certificate and its key cannot be read").
			On("LIFTBILL_TLS_CERT").Fix("Name two PEM files that belong together")
	}
	return c.pair, nil
}
