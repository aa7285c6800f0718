// Package accountbill bills one account's period: collect, compute, propose, and
// for a live account write one invoice to Stripe.
package accountbill

import (
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/workflows/wire"
)

// maxRedo bounds how often a draft is given up and made again before a person is asked.
const maxRedo = 10

var attrOutcome = temporal.NewSearchAttributeKeyKeyword(wire.AttrOutcome)

// bill is the state of one run.
type bill struct {
	in   wire.BillInput
	step wire.BillStep
	// released: the window slot was given back.
	released bool
	// deciding keeps updates and the deadline from looking at the ledger at once;
	// decided counts what was applied.
	deciding workflow.Mutex
	decided  int
	// revised: a person had the month computed again, or took its draft back.
	revised bool
	// ended is running, and failed for a run that is about to fail.
	ended billing.RunState
}

// Workflow bills one account's period. Every step is an activity that first looks
// whether it has happened; the result of the run is where the cycle stands.
func Workflow(ctx workflow.Context, in wire.BillInput) (wire.BillStep, error) {
	b := &bill{in: in, deciding: workflow.NewMutex(ctx), ended: billing.RunRunning}
	err := workflow.SetQueryHandlerWithOptions(ctx, wire.QueryStatus, func() (wire.BillStep, error) { return b.standing(), nil },
		workflow.QueryHandlerOptions{Description: "Where the account's cycle stands: state, reason, digests, totals, what a person can do"})
	if err != nil {
		return b.step, err
	}
	if err := b.listen(ctx); err != nil {
		return b.step, err
	}
	err = b.runs(ctx)
	if err != nil {
		b.step.Next, b.ended = retryHint, billing.RunFailed
		b.describe(ctx, "failed: "+firstLine(err.Error()))
		b.outcome(ctx, "failed")
	}
	return b.step, err
}

// runs goes through the bill, and again when a person took it back meanwhile.
func (b *bill) runs(ctx workflow.Context) error {
	for {
		err := b.run(ctx)
		b.release(ctx)
		if err == nil || (b.revised && !temporal.IsCanceledError(err)) {
			if waitErr := workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) }); waitErr != nil {
				return waitErr
			}
		}
		if !b.revised || temporal.IsCanceledError(err) {
			return err
		}
		b.revised, b.step = false, wire.BillStep{CycleID: b.step.CycleID}
	}
}

func (b *bill) run(ctx workflow.Context) error {
	open := ledgerOptions(ctx, "Open the cycle of "+b.in.AccountID+", "+b.in.Period)
	err := workflow.ExecuteActivity(open, wire.ActivityOpenBill, wire.OpenBillInput{
		AccountID: b.in.AccountID, Period: b.in.Period, WorkflowID: workflow.GetInfo(ctx).WorkflowExecution.ID,
	}).Get(ctx, &b.step)
	if err != nil {
		return err
	}
	if b.step.State.Terminal() {
		b.describe(ctx, "finished before")
		b.outcome(ctx, string(b.step.State))
		return nil
	}
	if err := b.discard(ctx); err != nil {
		return err
	}
	collect := computeOptions(ctx, "Collect and reconcile the rewards, freeze the inputs")
	if err := b.do(ctx, collect, wire.ActivityCollectRewards, "collecting rewards"); err != nil {
		return err
	}
	if err := b.accumulate(ctx); err != nil {
		return err
	}
	compute := computeOptions(ctx, "Estimate the lift of each snapshot and judge it")
	if err := b.do(ctx, compute, wire.ActivityComputeReadouts, "computing readouts"); err != nil {
		return err
	}
	if err := b.trueUp(ctx); err != nil {
		return err
	}
	propose := ledgerOptions(ctx, "Settle, price and store the proposal")
	if err := b.do(ctx, propose, wire.ActivityPropose, "proposing the invoice"); err != nil {
		return err
	}
	if b.live() && b.step.State == billing.Blocked && b.step.Reason == billing.UnmetPayerWanted {
		if err := b.findPayer(ctx, propose); err != nil {
			return err
		}
	}
	if b.live() {
		if err := b.await(ctx, propose); err != nil {
			return err
		}
	}
	if b.live() && b.step.State == billing.Writing {
		if err := b.write(ctx); err != nil {
			return err
		}
	}
	if b.revised {
		return nil
	}
	if err := b.discard(ctx); err != nil {
		return err
	}
	b.describe(ctx, string(b.step.State))
	b.outcome(ctx, string(b.step.State))
	return nil
}

// live asks two independent witnesses, which keep a test account away from Stripe: what
// the ledger says of the cycle and what this run was started for.
func (b *bill) live() bool {
	return b.step.Environment == account.Live && b.in.Environment == account.Live
}

// findPayer finds or creates the payer that somebody asked for, and proposes the
// invoice again, addressed to it.
func (b *bill) findPayer(ctx, propose workflow.Context) error {
	const doing = "finding or creating the payer"
	if err := b.do(ctx, stripeOptions(ctx, "Stripe: "+doing), wire.ActivityEnsurePayer, doing); err != nil || !b.step.Redo {
		return err
	}
	return b.do(ctx, propose, wire.ActivityPropose, "addressing the invoice")
}

// accumulate reads the units of a large table in parts, on as many workers as there are.
// A table of one part is read by the step that needs it.
func (b *bill) accumulate(ctx workflow.Context) error {
	parts := b.step.Partitions
	if parts <= 1 {
		return nil
	}
	b.describe(ctx, fmt.Sprintf("reading the units in %d parts", parts))
	reads := make([]workflow.Future, parts)
	for i := range parts {
		opts := computeOptions(ctx, fmt.Sprintf("Read the units, part %d of %d", i+1, parts))
		reads[i] = workflow.ExecuteActivity(opts, wire.ActivityAccumulate, wire.PartInput{CycleID: b.step.CycleID, Part: i, Parts: parts})
	}
	for _, r := range reads {
		if err := r.Get(ctx, nil); err != nil {
			return err
		}
	}
	return nil
}

// write makes, fills and finalizes the one invoice; a draft that was given up is
// made again under a new generation.
func (b *bill) write(ctx workflow.Context) error {
	for range maxRedo {
		redo := false
		for _, s := range []struct{ activity, doing string }{
			{wire.ActivityEnsureDraft, "making sure of the draft"},
			{wire.ActivityEnsureLines, "making sure of its lines"},
			{wire.ActivityFinalizeInvoice, "finalizing and releasing"},
		} {
			if err := b.do(ctx, stripeOptions(ctx, "Stripe: "+s.doing), s.activity, s.doing); err != nil {
				return err
			}
			if b.step.State != billing.Writing && b.step.State != billing.Invoiced {
				return nil // blocked, or taken back by a person
			}
			if redo = b.step.Redo; redo {
				break
			}
		}
		if !redo {
			return nil
		}
	}
	return temporal.NewNonRetryableApplicationError(fmt.Sprintf("the draft of %s was given up %d times", b.step.CycleID, maxRedo), "NeedsHuman", nil)
}

func (b *bill) do(ctx, opts workflow.Context, activity, doing string) error {
	b.describe(ctx, doing)
	var step wire.BillStep
	if err := workflow.ExecuteActivity(opts, activity, wire.StepInput{CycleID: b.step.CycleID}).Get(ctx, &step); err != nil {
		return err
	}
	b.step = merge(b.step, step)
	return nil
}

// merge keeps what earlier steps learnt where a step says nothing about it.
func merge(old, step wire.BillStep) wire.BillStep {
	if step.InputDigest == "" {
		step.InputDigest = old.InputDigest
	}
	if step.Page == "" {
		step.Page = old.Page
	}
	if len(step.Cases) == 0 {
		step.Cases, step.Passed = old.Cases, old.Passed
	}
	if step.Units == 0 {
		step.Units = old.Units
	}
	if step.Partitions == 0 {
		step.Partitions = old.Partitions
	}
	if step.Decisions == 0 {
		step.Decisions, step.Revenue = old.Decisions, old.Revenue
	}
	if step.Lines == 0 {
		step.Lines = old.Lines
	}
	if step.Withheld == 0 {
		step.Withheld = old.Withheld
	}
	if step.Currency == "" {
		step.Currency, step.TotalMinor = old.Currency, old.TotalMinor
	}
	if step.Environment == "" {
		step.Environment = old.Environment
	}
	if step.Revision == 0 {
		step.Revision, step.Leftover = old.Revision, old.Leftover
	}
	return step
}

// describe shows in the web console where the bill stands, as a table.
func (b *bill) describe(ctx workflow.Context, doing string) {
	s := b.standing()
	rows := [][2]string{
		{"account", b.in.AccountID + " (" + b.in.Environment.String() + ")"}, {"period", b.in.Period}, {"page", link(s)}, {"now", doing},
		{"revision", revision(s.Revision)}, {"state", string(s.State)}, {"reason", s.Reason}, {"next", s.Next}, {"can be done", b.steps()}, {"decide until", moment(s.WaitUntil)}, {"reminders", count(s.Reminders)}, {"units", count(s.Units)}, {"decisions", count(s.Decisions)}, {"revenue events", count(s.Revenue)},
		{"lines billed", count(s.Lines)}, {"lines withheld", count(s.Withheld)}, {"total (minor units)", total(s)},
		{"invoice", s.InvoiceID}, {"number", s.Number}, {"cases", strings.Join(s.Cases, " ")}, {"input digest", s.InputDigest},
		{"invoice digest", s.PlanHash},
	}
	var md strings.Builder
	md.WriteString("| | |\n|---|---|\n")
	for _, r := range rows {
		if r[1] != "" {
			md.WriteString("| " + r[0] + " | " + r[1] + " |\n")
		}
	}
	workflow.SetCurrentDetails(ctx, md.String())
}

// revision is shown from the second one on.
func revision(n int) string {
	if n <= 1 {
		return ""
	}
	return fmt.Sprintf("%d; the earlier ones are on the page of the cycle", n)
}

// link leads from the console to the cycle's page.
func link(s wire.BillStep) string {
	if s.Page == "" {
		return ""
	}
	return "[" + s.CycleID + "](" + s.Page + ")"
}

func total(s wire.BillStep) string {
	if s.Currency == "" {
		return ""
	}
	return fmt.Sprintf("%d %s", s.TotalMinor, strings.ToUpper(s.Currency))
}

func count(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d", n)
}

func (b *bill) outcome(ctx workflow.Context, outcome string) {
	if err := workflow.UpsertTypedSearchAttributes(ctx, attrOutcome.ValueSet(outcome)); err != nil {
		workflow.GetLogger(ctx).Warn("search attribute was not set", "error", err)
	}
}

// release gives the window slot back. It must be delivered even when the bill was
// cancelled, so it runs in a context of its own and waits.
func (b *bill) release(ctx workflow.Context) {
	if b.in.CycleWorkflowID == "" || b.released {
		return
	}
	b.released = true
	ctx, cancel := workflow.NewDisconnectedContext(ctx)
	defer cancel()
	err := workflow.SignalExternalWorkflow(ctx, b.in.CycleWorkflowID, "", wire.SignalSlotReleased, b.in.AccountID).Get(ctx, nil)
	if err != nil {
		workflow.GetLogger(ctx).Info("the cycle did not take the slot back; it polls the ledger", "error", err)
	}
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	if len(line) > 300 {
		line = line[:300]
	}
	return line
}

func ledgerOptions(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue: wire.QueueWorkflows, StartToCloseTimeout: 15 * time.Second, Summary: summary,
		RetryPolicy: &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: time.Minute},
	})
}

func computeOptions(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue: wire.QueueCompute, StartToCloseTimeout: 30 * time.Minute, HeartbeatTimeout: time.Minute, ScheduleToCloseTimeout: 24 * time.Hour, Summary: summary,
		RetryPolicy: &temporal.RetryPolicy{InitialInterval: 5 * time.Second, BackoffCoefficient: 2, MaximumInterval: 5 * time.Minute},
	})
}

func stripeOptions(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue: wire.QueueStripeLive, StartToCloseTimeout: 90 * time.Second, HeartbeatTimeout: 30 * time.Second, ScheduleToCloseTimeout: 7 * 24 * time.Hour, Summary: summary,
		RetryPolicy: &temporal.RetryPolicy{InitialInterval: 2 * time.Second, BackoffCoefficient: 2, MaximumInterval: 10 * time.Minute},
	})
}
