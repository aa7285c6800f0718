package reconcile

import (
	"context"
	"strconv"
	"time"

	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/period"
	"github.com/liftbill/liftbill/domain/recon"
)

// Closes keeps which months are closed. Every method is one transaction.
type Closes interface {
	// Change locks a month, asks what is done to it, and stores that with its audit entry.
	// NotFound for an account that does not exist.
	Change(ctx context.Context, accountID, period string, decide func(env account.Environment, m recon.Month) (recon.Closing, audit.Entry, error)) error
	// Closings lists what was done to a month, oldest first.
	Closings(ctx context.Context, accountID, period string) ([]recon.Closing, error)
	// Month is how a month stands. NotFound for an account that does not exist.
	Month(ctx context.Context, accountID, period string) (account.Environment, recon.Month, error)
}

// MonthStatus is whether a month is closed, and what is in the way of it.
type MonthStatus struct {
	recon.Month
	Environment account.Environment
	// Closings is what was done to it, oldest first.
	Closings []recon.Closing
	// Obstacle is why it cannot be closed now; nil when it can, and when it is closed.
	Obstacle error
}

// Closed reports whether the month is closed.
func (m MonthStatus) Closed() bool { return m.Last == recon.Closed }

// State is open, closed or reopened.
func (m MonthStatus) State() string {
	if m.Last == "" {
		return "open"
	}
	return string(m.Last)
}

// MonthStatus says how a month stands as a whole.
func (r *Reconciler) MonthStatus(ctx context.Context, accountID, month string) (MonthStatus, error) {
	if _, err := period.ParseMonth(month); err != nil {
		return MonthStatus{}, err
	}
	env, m, err := r.Closes.Month(ctx, accountID, month)
	if err != nil {
		return MonthStatus{}, err
	}
	out := MonthStatus{Month: m, Environment: env}
	if !out.Closed() {
		out.Obstacle = m.Obstacle()
	}
	out.Closings, err = r.Closes.Closings(ctx, accountID, month)
	return out, err
}

// Close closes a month of an account.
func (r *Reconciler) Close(ctx context.Context, by access.Principal, accountID, month string) error {
	return r.closing(ctx, by, accountID, month, audit.MonthClosed, func(m recon.Month, at time.Time) (recon.Closing, error) {
		return m.Close(actorOf(by), at)
	})
}

// ReopenMonth opens a closed month again.
func (r *Reconciler) ReopenMonth(ctx context.Context, by access.Principal, accountID, month, reason string) error {
	return r.closing(ctx, by, accountID, month, audit.MonthReopened, func(m recon.Month, at time.Time) (recon.Closing, error) {
		return m.Reopen(actorOf(by), reason, at)
	})
}

// closing asks again what the edge has asked: who decides about cycles closes their months.
func (r *Reconciler) closing(ctx context.Context, by access.Principal, accountID, month string, action audit.Action, fn func(recon.Month, time.Time) (recon.Closing, error)) error {
	if _, err := period.ParseMonth(month); err != nil {
		return err
	}
	return r.Closes.Change(ctx, accountID, month, func(env account.Environment, m recon.Month) (recon.Closing, audit.Entry, error) {
		at := r.Clock.Now()
		if err := access.Require(by, access.DecideCycle, accountID, env); err != nil {
			return recon.Closing{}, audit.Entry{}, err
		}
		c, err := fn(m, at)
		if err != nil {
			return c, audit.Entry{}, err
		}
		note := audit.New(by, at, action, "account", accountID).In(accountID, env).Because(c.Reason)
		return c, note.Changed(audit.Facts{"period": month, "state": string(m.Last)}, audit.Facts{"period": month, "state": string(c.Action), "run": strconv.FormatInt(c.RunID, 10)}), nil
	})
}

// Closings lists what was done to a month as a whole, oldest first.
func (r *Reconciler) Closings(ctx context.Context, accountID, month string) ([]recon.Closing, error) {
	return r.Closes.Closings(ctx, accountID, month)
}
