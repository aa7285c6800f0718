package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/spf13/cobra"

	"github.com/liftbill/liftbill/adapters/httpapi"
	"github.com/liftbill/liftbill/adapters/metrics"
	"github.com/liftbill/liftbill/adapters/webui"
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

func (a *app) serve(ctx context.Context) error {
	if err := httpapi.CheckListenAddress(a.cfg.Listen); err != nil {
		return err
	}
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	pages, err := webui.New(a.reconcile(), webui.Options{TemporalUI: a.cfg.TemporalUI}, a.clock, a.log)
	if err != nil {
		return err
	}
	pages.Register(e)
	httpapi.New(a.services(), a.log).Register(e)
	e.GET("/metrics", echo.WrapHandler(metrics.Handler(a.operate(), a.log)))
	listener, err := net.Listen("tcp", a.cfg.Listen)
	if err != nil {
		return fault.Wrap(err, fault.Unavailable, "port_taken", "cannot listen on %s", a.cfg.Listen).
			Fix("Stop what uses the port, or set LIFTBILL_LISTEN to another address")
	}
	srv := &http.Server{Handler: e, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelWarn)}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(listener) }()
	a.log.InfoContext(ctx, "serving", slog.String("address", listener.Addr().String()))
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
