package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/fault"
)

// The pace of what a worker looks after beside its queues.
const (
	askEvery   = 5 * time.Minute
	checkEvery = time.Hour
	askAtOnce  = 500
)

// watch looks after connections until the context ends: Stripe is asked once an hour
// whether it still delivers, rotations of secrets are finished, and customers that no
// webhook tells of are queued for reading.
func (a *app) watch(ctx context.Context) {
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for n := 0; ; n++ {
		if n%int(checkEvery/askEvery) == 0 {
			a.checkWebhooks(ctx)
		}
		asked, err := a.db.AskCustomers(ctx, askAtOnce, a.clock.Now())
		if err != nil && ctx.Err() == nil {
			a.log.ErrorContext(ctx, "customers to read", slog.Any("error", err))
		}
		if asked > 0 {
			a.log.InfoContext(ctx, "customers to read", slog.Int("customers", asked))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (a *app) checkWebhooks(ctx context.Context) {
	conns, err := a.db.Connections(ctx, access.Everything())
	if err != nil && ctx.Err() == nil {
		a.log.ErrorContext(ctx, "webhook check", slog.Any("error", err))
		return
	}
	service := a.onboard()
	for _, c := range conns {
		if c.Paused {
			continue
		}
		e, err := service.CheckWebhook(ctx, access.Machine("worker"), c.ID)
		switch {
		case ctx.Err() != nil:
			return
		case fault.Is(err, fault.NotFound): // no endpoint: this connection is pulled
		case err != nil:
			a.log.ErrorContext(ctx, "webhook check", slog.String("connection", c.ID), slog.Any("error", err))
		case e.Status != "enabled" && e.Status != "unknown":
			a.log.WarnContext(ctx, "webhook endpoint does not deliver", slog.String("connection", c.ID), slog.String("status", string(e.Status)))
		}
	}
}
