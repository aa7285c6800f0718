package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/liftbill/liftbill/adapters/notifyhttp"
	"github.com/liftbill/liftbill/adapters/notifymail"
	"github.com/liftbill/liftbill/app/notify"
)

// notices lists what people are told; it delivers nothing.
func (a *app) notices() *notify.Service {
	return &notify.Service{Ledger: a.db.NewNotices(), Clock: a.clock, Log: a.log}
}

// channels are those that the environment sets up. A half of one is refused.
func (c Config) channels(a *app) ([]notify.Channel, error) {
	var out []notify.Channel
	if c.NotifyURL != "" || c.NotifySecret != "" {
		hook, err := notifyhttp.New(c.NotifyURL, c.NotifySecret, c.pagesURL(), a.clock)
		if err != nil {
			return nil, err
		}
		out = append(out, hook)
	}
	if c.SMTPURL != "" || c.SMTPFrom != "" {
		post, err := notifymail.New(c.SMTPURL, c.SMTPFrom, c.pagesURL(), a.clock)
		if err != nil {
			return nil, err
		}
		out = append(out, post)
	}
	return out, nil
}

// notifyEvery is how soon people are told.
const notifyEvery = 15 * time.Second

// notifyPeople keeps the notices up to date and delivers them, until the context ends.
func (a *app) notifyPeople(ctx context.Context, channels []notify.Channel) {
	s := a.notices()
	s.Channels = channels
	every(ctx, notifyEvery, func() error {
		err := s.Tick(ctx)
		if err != nil && ctx.Err() == nil {
			a.log.ErrorContext(ctx, "telling people what waits", slog.Any("error", err))
		}
		return err
	})
}
