// Package reconcile compares months with Stripe: all that are due, every night, and one
// on demand.
//
// What was found is in the ledger. A run that is lost or repeated costs reads and
// nothing else: the same differences are the same breaks.
package reconcile

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/liftbill/liftbill/workflows/wire"
)

// Defaults of a night.
const (
	defaultPage   = 200
	defaultWindow = 4
)

// night is the state of one run.
type night struct {
	in  wire.ReconNightInput
	sum wire.ReconNightResult
}

// Night compares every month of an environment that is due. One that cannot be compared
// keeps no other one waiting.
func Night(ctx workflow.Context, in wire.ReconNightInput) (wire.ReconNightResult, error) {
	if in.PageSize <= 0 {
		in.PageSize = defaultPage
	}
	if in.Window <= 0 {
		in.Window = defaultWindow
	}
	n := &night{in: in, sum: in.Totals}
	for {
		var due []wire.ReconMonth
		err := workflow.ExecuteActivity(ledgerOptions(ctx, "Which months behind "+n.behind()+" are due"), wire.ActivityListRecon,
			wire.ListReconInput{Environment: in.Environment, After: n.in.Cursor, Limit: in.PageSize}).Get(ctx, &due)
		if err != nil {
			return n.sum, err
		}
		if err := n.page(ctx, due); err != nil {
			return n.sum, err
		}
		n.details(ctx)
		if len(due) < in.PageSize {
			return n.sum, n.accrue(ctx)
		}
		n.in.Cursor = due[len(due)-1]
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			n.in.Totals = n.sum
			return n.sum, workflow.NewContinueAsNewError(ctx, wire.WorkflowReconNight, n.in)
		}
	}
}

func (n *night) behind() string {
	if n.in.Cursor.AccountID == "" {
		return "the beginning"
	}
	return n.in.Cursor.AccountID + " " + n.in.Cursor.Period
}

// page compares the months of one page, a window of them at a time.
func (n *night) page(ctx workflow.Context, due []wire.ReconMonth) error {
	slots := workflow.NewSemaphore(ctx, int64(n.in.Window))
	wg := workflow.NewWaitGroup(ctx)
	for _, m := range due {
		if err := slots.Acquire(ctx, 1); err != nil {
			return err
		}
		wg.Add(1)
		workflow.Go(ctx, func(ctx workflow.Context) {
			defer wg.Done()
			defer slots.Release(1)
			n.month(ctx, m)
		})
	}
	wg.Wait(ctx)
	return ctx.Err()
}

func (n *night) month(ctx workflow.Context, m wire.ReconMonth) {
	n.sum.Months++
	res, err := compare(ctx, wire.ReconMonthInput{Environment: n.in.Environment, ReconMonth: m})
	switch {
	case err != nil:
		n.sum.Refused, n.sum.Failed = n.sum.Refused+1, n.sum.Failed+1
		workflow.GetLogger(ctx).Warn("a month was not reconciled", "account", m.AccountID, "period", m.Period, "error", err)
	case res.Code != "":
		n.sum.Refused++
	default:
		n.sum.Found, n.sum.Fresh = n.sum.Found+res.Found, n.sum.Fresh+res.Fresh
	}
}

// changeAccruals marks the runs that began before nights computed accruals.
const changeAccruals = "accruals"

// accrue stores the figures of every open month, when the comparison is done: what it
// fetched is in them. A month without figures keeps no other one waiting.
func (n *night) accrue(ctx workflow.Context) error {
	if workflow.GetVersion(ctx, changeAccruals, workflow.DefaultVersion, 1) == workflow.DefaultVersion {
		return nil
	}
	var after wire.ReconMonth
	run := ""
	for {
		var open wire.OpenMonths
		err := workflow.ExecuteActivity(ledgerOptions(ctx, "Which months are open"), wire.ActivityListAccruals,
			wire.ListAccrualsInput{Environment: n.in.Environment, After: after, Limit: n.in.PageSize}).Get(ctx, &open)
		if err != nil {
			return err
		}
		if run == "" {
			run = open.Run // a night that passes midnight is one night
		}
		slots, wg := workflow.NewSemaphore(ctx, int64(n.in.Window)), workflow.NewWaitGroup(ctx)
		for _, m := range open.Months {
			if err := slots.Acquire(ctx, 1); err != nil {
				return err
			}
			wg.Add(1)
			workflow.Go(ctx, func(ctx workflow.Context) {
				defer wg.Done()
				defer slots.Release(1)
				n.figures(ctx, m, run)
			})
		}
		wg.Wait(ctx)
		n.details(ctx)
		if ctx.Err() != nil || len(open.Months) < n.in.PageSize {
			return ctx.Err()
		}
		after = open.Months[len(open.Months)-1]
	}
}

func (n *night) figures(ctx workflow.Context, m wire.ReconMonth, run string) {
	var res wire.AccrueMonthResult
	err := workflow.ExecuteActivity(readOptions(ctx, "What "+m.Period+" of "+m.AccountID+" comes to so far"), wire.ActivityAccrueMonth,
		wire.AccrueMonthInput{Environment: n.in.Environment, ReconMonth: m, Run: run}).Get(ctx, &res)
	switch {
	case err != nil:
		n.sum.NotAccrued++
		workflow.GetLogger(ctx).Warn("a month has no figures", "account", m.AccountID, "period", m.Period, "error", err)
	case res.Code != "":
		n.sum.NotAccrued++
	default:
		n.sum.Accrued++
	}
}

func (n *night) details(ctx workflow.Context) {
	workflow.SetCurrentDetails(ctx, fmt.Sprintf("| | |\n|---|---|\n| environment | %s |\n| months compared | %d |\n| breaks that are there | %d |\n| of them new | %d |\n| months that could not be compared | %d |\n| open months with figures | %d |\n| open months without | %d |\n",
		n.in.Environment, n.sum.Months-n.sum.Refused, n.sum.Found, n.sum.Fresh, n.sum.Refused, n.sum.Accrued, n.sum.NotAccrued))
}

// Month compares one month that somebody asked for.
func Month(ctx workflow.Context, in wire.ReconMonthInput) (wire.ReconMonthResult, error) {
	res, err := compare(ctx, in)
	if err == nil {
		workflow.SetCurrentDetails(ctx, fmt.Sprintf("| | |\n|---|---|\n| asked for by | %s |\n| breaks that are there | %d |\n| of them new | %d |\n| refused because of | %s |\n", in.By, res.Found, res.Fresh, res.Code))
	}
	return res, err
}

func compare(ctx workflow.Context, in wire.ReconMonthInput) (wire.ReconMonthResult, error) {
	var res wire.ReconMonthResult
	err := workflow.ExecuteActivity(readOptions(ctx, "Compare "+in.Period+" of "+in.AccountID+" with Stripe"), wire.ActivityReconcileMonth, in).Get(ctx, &res)
	return res, err
}

func ledgerOptions(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue: wire.QueueWorkflows, StartToCloseTimeout: 30 * time.Second, Summary: summary,
		RetryPolicy: &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: time.Minute},
	})
}

// readOptions give a month the night: a list of a million invoices is read for half an
// hour, and a run whose worker died is only replaced once it has been silent for a while.
func readOptions(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue: wire.QueueSource, StartToCloseTimeout: 6 * time.Hour, HeartbeatTimeout: time.Minute, ScheduleToCloseTimeout: 12 * time.Hour, Summary: summary,
		RetryPolicy: &temporal.RetryPolicy{InitialInterval: 5 * time.Second, BackoffCoefficient: 2, MaximumInterval: 5 * time.Minute},
	})
}
