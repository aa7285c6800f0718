package reconcile

import (
	"context"
	"sync/atomic"

	"github.com/liftbill/liftbill/app/accrual"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/workflows/heartbeat"
	"github.com/liftbill/liftbill/workflows/wferr"
	"github.com/liftbill/liftbill/workflows/wire"
)

// Reconciler is what the activities need of app/reconcile.
type Reconciler interface {
	Due(ctx context.Context, env account.Environment, after reconcile.Due, limit int) ([]reconcile.Due, error)
	Reconcile(ctx context.Context, by access.Principal, accountID, month string, beat func(doing string)) (reconcile.Outcome, error)
}

// Accruer is what the activities need of app/accrual.
type Accruer interface {
	// NightRun names the night that it is now.
	NightRun() string
	Open(ctx context.Context, env account.Environment, after accrual.Month, limit int) ([]accrual.Month, error)
	Night(ctx context.Context, m accrual.Month, run string) (accrual.Accrual, bool, error)
}

// Activities list months, compare them, and compute the figures of open ones. They cannot
// write at Stripe.
type Activities struct {
	Reconciler Reconciler
	Accruals   Accruer
}

// ListAccruals lists a page of the months whose figures a night stores.
func (a *Activities) ListAccruals(ctx context.Context, in wire.ListAccrualsInput) (wire.OpenMonths, error) {
	open, err := a.Accruals.Open(ctx, in.Environment, accrual.Month(in.After), in.Limit)
	out := wire.OpenMonths{Run: a.Accruals.NightRun()}
	for _, m := range open {
		out.Months = append(out.Months, wire.ReconMonth(m))
	}
	return out, wferr.From(err)
}

// AccrueMonth stores the figures of one open month; a repeated one finds what it stored.
// What no retry mends is the result's code and no error.
func (a *Activities) AccrueMonth(ctx context.Context, in wire.AccrueMonthInput) (wire.AccrueMonthResult, error) {
	ctx, _, stop := beating(ctx)
	defer stop()
	out := wire.AccrueMonthResult{ReconMonth: in.ReconMonth}
	got, _, err := a.Accruals.Night(ctx, accrual.Month(in.ReconMonth), in.Run)
	switch kind := fault.KindOf(err); {
	case err == nil:
		out.AsOf = got.AsOf
	case fault.CodeOf(err) == "read_allowance", kind == fault.Conflict, kind == fault.Invalid, kind == fault.NotFound, kind == fault.Forbidden:
		out.Code = fault.CodeOf(err)
	default:
		return out, wferr.From(err)
	}
	return out, nil
}

// ListRecon lists a page of the months that a night looks at.
func (a *Activities) ListRecon(ctx context.Context, in wire.ListReconInput) ([]wire.ReconMonth, error) {
	due, err := a.Reconciler.Due(ctx, in.Environment, reconcile.Due(in.After), in.Limit)
	out := make([]wire.ReconMonth, len(due))
	for i, d := range due {
		out[i] = wire.ReconMonth(d)
	}
	return out, wferr.From(err)
}

// ReconcileMonth compares one month with Stripe. What no retry mends stands on the run
// in the ledger and is no error here; a run that another worker has under way, or that
// one left behind, is waited for.
func (a *Activities) ReconcileMonth(ctx context.Context, in wire.ReconMonthInput) (wire.ReconMonthResult, error) {
	ctx, beat, stop := beating(ctx)
	defer stop()
	by := access.Machine("reconcile")
	if in.By != "" {
		by.ID, by.Name = in.By, in.By // who asked was allowed to when the run was started
	}
	out := wire.ReconMonthResult{ReconMonth: in.ReconMonth}
	res, err := a.Reconciler.Reconcile(ctx, by, in.AccountID, in.Period, beat)
	switch kind := fault.KindOf(err); {
	case err == nil:
	case fault.CodeOf(err) == "run_under_way":
		return out, wferr.From(fault.Wrap(err, fault.Unavailable, "run_under_way", "another run works on the month"))
	case fault.CodeOf(err) == "read_allowance", kind == fault.Conflict, kind == fault.Invalid, kind == fault.NotFound, kind == fault.Forbidden:
		out.Code = fault.CodeOf(err)
		return out, nil
	default:
		return out, wferr.From(err)
	}
	out.RunID, out.Reads, out.Objects, out.Found, out.Fresh, out.Repairs = res.ID, res.Reads, res.Objects, res.Found, res.Fresh, res.Repairs
	return out, nil
}

// beating tells the server that the worker lives until stop is called, and what it does;
// a cancelled activity cancels the context.
func beating(ctx context.Context) (context.Context, func(doing string), context.CancelFunc) {
	var last atomic.Value
	last.Store("begun")
	ctx, stop := heartbeat.Beat(ctx, heartbeat.Pace, func() []any { return []any{last.Load()} })
	return ctx, func(doing string) { last.Store(doing) }, stop
}
