package accountbill

import (
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/workflows/wire"
)

// retryHint is the next action of a run that failed.
const retryHint = "When its cause is gone, run the cycle again (liftbill cycle run), or reset this run"

// standing is where the bill stands, with what a person can do.
func (b *bill) standing() wire.BillStep {
	s := b.step
	if s.Next == "" {
		s.Next = billing.NextActionOf(b.facts())
	}
	return s
}

// facts are what the run knows of what can be done about its cycle.
func (b *bill) facts() billing.CycleFacts {
	return billing.CycleFacts{
		State: b.step.State, Reason: b.step.Reason, Run: b.ended, Priced: b.step.PlanHash != "", Begun: b.step.State == billing.Writing || b.step.InvoiceID != "",
		Leftover: b.step.Leftover,
	}
}

// steps names what a person can do, as the API and the pages do.
func (b *bill) steps() string {
	var out []string
	for _, s := range billing.NextSteps(b.facts()) {
		out = append(out, string(s))
	}
	return strings.Join(out, ", ")
}

// listen takes decisions. The decision itself is in the ledger before it is sent here,
// with who took it: an update without one is refused, so that nobody approves an invoice
// from the web console.
func (b *bill) listen(ctx workflow.Context) error {
	return workflow.SetUpdateHandlerWithOptions(ctx, wire.UpdateDecide, b.decide, workflow.UpdateHandlerOptions{
		Description: "Follow a decision that the ledger holds; decide through the API or the page of the cycle",
		Validator:   b.mayDecide,
	})
}

func (b *bill) mayDecide(_ workflow.Context, in wire.DecideInput) error {
	switch {
	case in.DecisionID == "":
		return temporal.NewApplicationError("decision_missing: an update names a decision of the ledger", "InvalidInput")
	case in.Revises:
		return nil // whatever the run is doing: the ledger has gone another way
	case !b.step.State.Undecided():
		return temporal.NewApplicationError("not_waiting: the cycle is "+string(b.step.State)+" and waits for no decision", "NotWaiting")
	case in.PlanHash != b.step.PlanHash:
		return temporal.NewApplicationError("plan_changed: the invoice is not the one that was decided about", "PlanChanged")
	}
	return nil
}

func (b *bill) decide(ctx workflow.Context, in wire.DecideInput) (wire.BillStep, error) {
	if err := b.deciding.Lock(ctx); err != nil {
		return b.step, err
	}
	defer b.deciding.Unlock()
	if in.Revises {
		return b.revise(ctx, in)
	}
	if !b.step.State.Undecided() {
		return b.standing(), nil // another decision passed the validator beside this one, and the ledger knows both
	}
	var step wire.BillStep
	opts := ledgerOptions(ctx, "Follow decision "+in.DecisionID)
	if err := workflow.ExecuteActivity(opts, wire.ActivityApplyDecision, wire.ApplyInput{CycleID: b.step.CycleID, DecisionID: in.DecisionID}).Get(ctx, &step); err != nil {
		return b.step, err
	}
	b.step = merge(b.step, step)
	b.decided++
	return b.standing(), nil
}

// revise makes the run begin anew from where the ledger stands, when it has found the
// decision there and has ended the step that it is at.
func (b *bill) revise(ctx workflow.Context, in wire.DecideInput) (wire.BillStep, error) {
	var step wire.BillStep
	opts := ledgerOptions(ctx, "Follow decision "+in.DecisionID)
	if err := workflow.ExecuteActivity(opts, wire.ActivityApplyDecision, wire.ApplyInput{CycleID: b.in.AccountID + "." + b.in.Period, DecisionID: in.DecisionID}).Get(ctx, &step); err != nil {
		return b.step, err
	}
	b.revised = true
	if b.step.State.Undecided() { // the run is waiting, and looks up
		b.step = merge(b.step, step)
	}
	b.decided++
	return b.standing(), nil
}

// discard deletes at Stripe what is left of an invoice that was taken back.
func (b *bill) discard(ctx workflow.Context) error {
	if !b.live() || !b.step.Leftover || b.step.State == billing.Writing || b.step.State == billing.Blocked || b.step.State == billing.NeedsHuman {
		return nil // nothing is left, or the write-back clears it away itself, or a person looks first
	}
	err := b.do(ctx, stripeOptions(ctx, "Stripe: delete the draft that was taken back"), wire.ActivityDiscardDraft, "deleting the draft that was taken back")
	if err == nil {
		b.step.Leftover = false
	}
	return err
}

// await waits until somebody, or the terms, decided about the invoice, and proposes it
// again when it was released. The window slot goes back first: an invoice may wait for weeks.
func (b *bill) await(ctx, propose workflow.Context) error {
	for b.step.State.Undecided() {
		b.release(ctx)
		for b.step.State.Undecided() {
			if err := b.look(ctx); err != nil {
				return err
			}
		}
		if b.step.State != billing.Approved {
			return nil
		}
		if err := b.do(ctx, propose, wire.ActivityPropose, "taking up the approved invoice"); err != nil {
			return err
		}
	}
	return nil
}

// look asks the ledger where the invoice stands, which lets the terms decide when it is
// time, and then waits for a decision, a reminder or the deadline. A decision whose update
// was lost is found by the next look.
func (b *bill) look(ctx workflow.Context) error {
	if err := b.review(ctx); err != nil || !b.step.State.Undecided() {
		return err
	}
	b.outcome(ctx, string(b.step.State))
	b.describe(ctx, "waiting for a decision")
	seen := b.decided
	_, err := workflow.AwaitWithOptions(ctx, workflow.AwaitOptions{
		Timeout: max(b.step.Wait, time.Second), TimerOptions: workflow.TimerOptions{Summary: "Until the next reminder or the deadline"},
	}, func() bool { return b.decided != seen })
	return err
}

func (b *bill) review(ctx workflow.Context) error {
	if err := b.deciding.Lock(ctx); err != nil {
		return err
	}
	defer b.deciding.Unlock()
	return b.do(ctx, ledgerOptions(ctx, "Where the approval stands"), wire.ActivityReviewApproval, "looking for a decision")
}

func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04 UTC")
}
