// Package billingcycle bills one period of one calendar: it starts a bill for every
// account, a window at a time, and waits until the ledger says that none is open.
package billingcycle

import (
	"fmt"
	"sort"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/liftbill/liftbill/workflows/wire"
)

// Defaults of the fan-out (see docs/temporal.md for the measurements behind them).
const (
	defaultWindow   = 50
	defaultPageSize = 200
)

var (
	attrAccount  = temporal.NewSearchAttributeKeyKeyword(wire.AttrAccount)
	attrPeriod   = temporal.NewSearchAttributeKeyKeyword(wire.AttrPeriod)
	attrMode     = temporal.NewSearchAttributeKeyKeyword(wire.AttrMode)
	attrOutcome  = temporal.NewSearchAttributeKeyKeyword(wire.AttrOutcome)
	attrCalendar = temporal.NewSearchAttributeKeyKeyword(wire.AttrCalendar)
)

// cycle is the state of one run of the chain.
type cycle struct {
	in       wire.CycleInput
	inFlight map[string]bool
	ended    map[string]workflow.Future // bills of this run, for those that end without a signal
	slots    workflow.ReceiveChannel
	counts   wire.Counts
}

// Workflow bills one period. It carries on in a fresh run before its history gets long.
func Workflow(ctx workflow.Context, in wire.CycleInput) (wire.CycleResult, error) {
	if in.Window == 0 {
		in.Window = defaultWindow
	}
	if in.PageSize == 0 {
		in.PageSize = defaultPageSize
	}
	if in.AsOf.IsZero() {
		in.AsOf = workflow.Now(ctx)
	}
	c := &cycle{in: in, inFlight: map[string]bool{}, ended: map[string]workflow.Future{}, slots: workflow.GetSignalChannel(ctx, wire.SignalSlotReleased)}
	for _, id := range in.Holding {
		c.inFlight[id] = true
	}
	err := workflow.SetQueryHandlerWithOptions(ctx, wire.QueryProgress, func() (wire.Counts, error) { return c.counts, nil },
		workflow.QueryHandlerOptions{Description: "How many accounts of the period are finished"})
	if err != nil {
		return wire.CycleResult{}, err
	}
	return c.run(ctx)
}

func (c *cycle) run(ctx workflow.Context) (wire.CycleResult, error) {
	started := 0
	for !c.in.AllStarted {
		if started >= c.in.PageSize || workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			return wire.CycleResult{}, c.carryOn(ctx)
		}
		n, err := c.page(ctx)
		if err != nil {
			return wire.CycleResult{}, err
		}
		started += n
	}
	return c.settle(ctx)
}

// page starts the bills of one page of accounts.
func (c *cycle) page(ctx workflow.Context) (int, error) {
	var ids []string
	err := workflow.ExecuteActivity(options(ctx, "Accounts after "+quoted(c.in.Cursor)), wire.ActivityListAccounts, wire.ListAccountsInput{
		Environment: c.in.Environment, Calendar: c.in.Calendar, Period: c.in.Period, AsOf: c.in.AsOf, After: c.in.Cursor, Limit: c.in.PageSize,
	}).Get(ctx, &ids)
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		if err := c.waitForSlot(ctx); err != nil {
			return 0, err
		}
		if err := c.start(ctx, id); err != nil {
			return 0, err
		}
		c.in.Cursor = id
		c.in.Started++
		c.details(ctx)
	}
	c.in.AllStarted = len(ids) < c.in.PageSize
	return len(ids), nil
}

// watchdog is how long a full window waits before the ledger is asked anyway.
const watchdog = 15 * time.Minute

// waitForSlot returns when fewer than Window bills are in flight. A slot comes back
// by signal or because the bill's run ended; the watchdog frees what was lost.
func (c *cycle) waitForSlot(ctx workflow.Context) error {
	for len(c.inFlight) >= c.in.Window {
		ok, err := workflow.AwaitWithTimeout(ctx, watchdog, func() bool { c.drain(); return len(c.inFlight) < c.in.Window })
		if err != nil {
			return err
		}
		if ok {
			return nil
		}
		counts, err := c.count(ctx)
		if err != nil {
			return err
		}
		if counts.Finished+counts.Waiting >= c.in.Started {
			c.inFlight = map[string]bool{} // nothing that was started is open any more
		}
	}
	return nil
}

func (c *cycle) drain() {
	for {
		var id string
		if !c.slots.ReceiveAsync(&id) {
			break
		}
		delete(c.inFlight, id)
	}
	for _, id := range workflow.DeterministicKeys(c.ended) {
		if c.ended[id].IsReady() {
			delete(c.inFlight, id)
			delete(c.ended, id)
		}
	}
}

// start starts a bill and waits until it has begun, because a child that has not
// begun when its parent closes never does. One that ran before is the ledger's.
func (c *cycle) start(ctx workflow.Context, accountID string) error {
	ctx = workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID: wire.BillWorkflowID(c.in.Environment, accountID, c.in.Period), TaskQueue: wire.QueueWorkflows,
		ParentClosePolicy:     enumspb.PARENT_CLOSE_POLICY_ABANDON,
		WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		StaticSummary:         fmt.Sprintf("%s %s (%s)", accountID, c.in.Period, c.in.Environment),
		TypedSearchAttributes: temporal.NewSearchAttributes(
			attrAccount.ValueSet(accountID), attrPeriod.ValueSet(c.in.Period), attrMode.ValueSet(c.in.Environment.String()),
			attrCalendar.ValueSet(wire.CalendarID(c.in.Calendar)), attrOutcome.ValueSet("running")),
	})
	child := workflow.ExecuteChildWorkflow(ctx, wire.WorkflowAccountBill, wire.BillInput{
		Environment: c.in.Environment, AccountID: accountID, Period: c.in.Period, CycleWorkflowID: workflow.GetInfo(ctx).WorkflowExecution.ID,
	})
	var exec workflow.Execution
	err := child.GetChildWorkflowExecution().Get(ctx, &exec)
	switch {
	case temporal.IsWorkflowExecutionAlreadyStartedError(err):
		return nil
	case err != nil:
		return err
	}
	c.inFlight[accountID] = true
	c.ended[accountID] = child
	return nil
}

// carryOn continues in a fresh run with the bills that still hold slots.
func (c *cycle) carryOn(ctx workflow.Context) error {
	c.drain()
	next := c.in
	next.Holding = workflow.DeterministicKeys(c.inFlight)
	sort.Strings(next.Holding)
	return workflow.NewContinueAsNewError(ctx, wire.WorkflowBillingCycle, next)
}

// The pace at which a period that waits for its bills asks the ledger.
const (
	firstPoll = time.Second
	lastPoll  = time.Hour
)

// settle waits until the ledger says that every cycle of the period is finished or
// waits for a person.
func (c *cycle) settle(ctx workflow.Context) (wire.CycleResult, error) {
	for pause := firstPoll; ; pause = min(2*pause, lastPoll) {
		counts, err := c.count(ctx)
		if err != nil {
			return wire.CycleResult{}, err
		}
		c.drain()
		c.details(ctx)
		open := counts.Total - counts.Finished - counts.Waiting
		if open <= 0 || (len(c.inFlight) == 0 && c.in.Started > 0) {
			return wire.CycleResult{Period: c.in.Period, Counts: counts}, nil
		}
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			return wire.CycleResult{}, c.carryOn(ctx)
		}
		if _, err := workflow.AwaitWithTimeout(ctx, pause, func() bool { c.drain(); return len(c.inFlight) == 0 }); err != nil {
			return wire.CycleResult{}, err
		}
	}
}

func (c *cycle) count(ctx workflow.Context) (wire.Counts, error) {
	var counts wire.Counts // a new one: states that nobody is in any more would stay in the old one's map
	err := workflow.ExecuteActivity(options(ctx, "How the period stands"), wire.ActivityCycleCounts, wire.CountsInput{
		Environment: c.in.Environment, Calendar: c.in.Calendar, Period: c.in.Period, AsOf: c.in.AsOf,
	}).Get(ctx, &counts)
	if err == nil {
		c.counts = counts
	}
	return counts, err
}

func (c *cycle) details(ctx workflow.Context) {
	workflow.SetCurrentDetails(ctx, fmt.Sprintf("| | |\n|---|---|\n| period | %s |\n| calendar | %s (%s) |\n| bills started | %d |\n| in flight | %d |\n| finished | %d of %d |\n| waiting for a person | %d |\n",
		c.in.Period, wire.CalendarID(c.in.Calendar), c.in.Environment, c.in.Started, len(c.inFlight), c.counts.Finished, c.counts.Total, c.counts.Waiting))
}

func quoted(s string) string {
	if s == "" {
		return "the beginning"
	}
	return s
}

func options(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue: wire.QueueWorkflows, StartToCloseTimeout: 15 * time.Second, Summary: summary,
		RetryPolicy: &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: time.Minute},
	})
}
