package accountbill

import (
	"context"
	"fmt"
	"sync/atomic"

	"go.temporal.io/sdk/activity"

	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/app/measure"
	"github.com/liftbill/liftbill/app/trueups"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/period"
	"github.com/liftbill/liftbill/workflows/heartbeat"
	"github.com/liftbill/liftbill/workflows/wferr"
	"github.com/liftbill/liftbill/workflows/wire"
)

// Measure is what the activities need of app/measure.
type Measure interface {
	Open(ctx context.Context, accountID string, m period.Month, workflowID string) (measure.Summary, error)
	Collect(ctx context.Context, cycleID string, progress measure.Progress) (measure.Summary, error)
	Accumulate(ctx context.Context, cycleID string, part, parts int, progress measure.Progress) (measure.Summary, error)
	Estimate(ctx context.Context, cycleID string, progress measure.Progress) (measure.Summary, error)
}

// Drafting prices a cycle; it cannot reach Stripe.
type Drafting interface {
	Draft(ctx context.Context, cycleID string) (invoicing.Outcome, error)
}

// Deciding follows decisions about an invoice that is not begun.
type Deciding interface {
	Review(ctx context.Context, cycleID string) (invoicing.Standing, error)
	Apply(ctx context.Context, cycleID, decisionID string) (invoicing.Standing, error)
}

// Writing carries an invoice out at Stripe.
type Writing interface {
	EnsurePayer(ctx context.Context, cycleID string) (invoicing.Outcome, error)
	EnsureDraft(ctx context.Context, cycleID string) (invoicing.Outcome, error)
	EnsureLines(ctx context.Context, cycleID string) (invoicing.Outcome, error)
	Finalize(ctx context.Context, cycleID string) (invoicing.Outcome, error)
	Discard(ctx context.Context, cycleID string) (invoicing.Outcome, error)
}

// LedgerActivities run on the workflow queue: short, one transaction each.
type LedgerActivities struct {
	Measure  Measure
	Drafting Drafting
	Deciding Deciding
	// Pages is the base address of the pages that people open, for the link from a run's
	// details; empty shows none.
	Pages string
}

// OpenBill makes or finds the cycle's row.
func (a *LedgerActivities) OpenBill(ctx context.Context, in wire.OpenBillInput) (wire.BillStep, error) {
	m, err := period.Parse(in.Period)
	if err != nil {
		return wire.BillStep{}, wferr.From(err)
	}
	s, err := a.Measure.Open(ctx, in.AccountID, m, in.WorkflowID)
	out := measured(s)
	if a.Pages != "" && out.CycleID != "" {
		out.Page = a.Pages + "/cycles/" + out.CycleID
	}
	return out, wferr.From(err)
}

// Propose settles and prices the cycle.
func (a *LedgerActivities) Propose(ctx context.Context, in wire.StepInput) (wire.BillStep, error) {
	o, err := a.Drafting.Draft(ctx, in.CycleID)
	return invoiced(o), wferr.From(err)
}

// ReviewApproval looks at an invoice that waits for a decision; the terms decide when the
// time is over.
func (a *LedgerActivities) ReviewApproval(ctx context.Context, in wire.StepInput) (wire.BillStep, error) {
	s, err := a.Deciding.Review(ctx, in.CycleID)
	if err == nil && s.State.Undecided() {
		activity.GetLogger(ctx).Warn("an invoice waits for a decision", "cycle", s.CycleID, "state", string(s.State), "until", s.Until, "reminders", s.Reminders)
	}
	return standing(s), wferr.From(err)
}

// ApplyDecision finds a decision in the ledger and says where the cycle stands with it.
func (a *LedgerActivities) ApplyDecision(ctx context.Context, in wire.ApplyInput) (wire.BillStep, error) {
	s, err := a.Deciding.Apply(ctx, in.CycleID, in.DecisionID)
	return standing(s), wferr.From(err)
}

// TrueUps looks again at the contract years that were settled before a cycle.
type TrueUps interface {
	Book(ctx context.Context, cycleID string, progress trueups.Progress) (trueups.Summary, error)
}

// ComputeActivities run on the compute queue: long, with heartbeats.
type ComputeActivities struct {
	Measure Measure
	TrueUps TrueUps
}

// CollectRewards gathers, reconciles and freezes the inputs.
func (a *ComputeActivities) CollectRewards(ctx context.Context, in wire.StepInput) (wire.BillStep, error) {
	ctx, progress, stop := beating(ctx)
	defer stop()
	s, err := a.Measure.Collect(ctx, in.CycleID, progress)
	return measured(s), wferr.From(err)
}

// AccumulateMoments reads one part of the frozen units of every snapshot.
func (a *ComputeActivities) AccumulateMoments(ctx context.Context, in wire.PartInput) (wire.BillStep, error) {
	ctx, progress, stop := beating(ctx)
	defer stop()
	s, err := a.Measure.Accumulate(ctx, in.CycleID, in.Part, in.Parts, progress)
	return measured(s), wferr.From(err)
}

// ComputeReadouts merges, estimates and judges.
func (a *ComputeActivities) ComputeReadouts(ctx context.Context, in wire.StepInput) (wire.BillStep, error) {
	ctx, progress, stop := beating(ctx)
	defer stop()
	s, err := a.Measure.Estimate(ctx, in.CycleID, progress)
	return measured(s), wferr.From(err)
}

// BookTrueUps writes down what is due of settled years, for the price to take up.
func (a *ComputeActivities) BookTrueUps(ctx context.Context, in wire.StepInput) (wire.BillStep, error) {
	ctx, progress, stop := beating(ctx)
	defer stop()
	s, err := a.TrueUps.Book(ctx, in.CycleID, trueups.Progress(progress))
	return wire.BillStep{CycleID: s.CycleID, Environment: s.Environment, State: billing.Computing}, wferr.From(err)
}

// StripeActivities run on the live Stripe queue only.
type StripeActivities struct{ Writing Writing }

// EnsurePayer finds the account's payer at the issuer, or creates it once.
func (a *StripeActivities) EnsurePayer(ctx context.Context, in wire.StepInput) (wire.BillStep, error) {
	return a.stripe(ctx, in, a.Writing.EnsurePayer)
}

// EnsureDraft makes sure that one invoice of ours exists and is pinned.
func (a *StripeActivities) EnsureDraft(ctx context.Context, in wire.StepInput) (wire.BillStep, error) {
	return a.stripe(ctx, in, a.Writing.EnsureDraft)
}

// EnsureLines adds what is missing and verifies the draft.
func (a *StripeActivities) EnsureLines(ctx context.Context, in wire.StepInput) (wire.BillStep, error) {
	return a.stripe(ctx, in, a.Writing.EnsureLines)
}

// FinalizeInvoice finalizes, releases, sweeps and closes the cycle.
func (a *StripeActivities) FinalizeInvoice(ctx context.Context, in wire.StepInput) (wire.BillStep, error) {
	return a.stripe(ctx, in, a.Writing.Finalize)
}

// DiscardDraft deletes what is left of invoices that were taken back, items first.
func (a *StripeActivities) DiscardDraft(ctx context.Context, in wire.StepInput) (wire.BillStep, error) {
	return a.stripe(ctx, in, a.Writing.Discard)
}

// stripe runs a step under a heartbeat.
func (a *StripeActivities) stripe(ctx context.Context, in wire.StepInput, step func(context.Context, string) (invoicing.Outcome, error)) (wire.BillStep, error) {
	ctx, _, stop := beating(ctx)
	defer stop()
	o, err := step(ctx, in.CycleID)
	return invoiced(o), wferr.From(err)
}

// beating tells the server that the worker lives until stop is called, however long a
// step is silent, and how far the step said it was; a cancelled activity cancels the context.
func beating(ctx context.Context) (context.Context, measure.Progress, context.CancelFunc) {
	var last atomic.Value
	last.Store("begun")
	ctx, stop := heartbeat.Beat(ctx, heartbeat.Pace, func() []any { return []any{last.Load()} })
	return ctx, func(done, total int, what string) {
		last.Store(fmt.Sprintf("%d/%d %s", done, total, what))
		activity.RecordHeartbeat(ctx, last.Load())
	}, stop
}

func measured(s measure.Summary) wire.BillStep {
	return wire.BillStep{
		CycleID: s.CycleID, Environment: s.Environment, State: s.State, InputDigest: s.InputDigest, Cases: s.Cases,
		Units: s.Units, Decisions: s.Decisions, Revenue: s.Revenue, Partitions: s.Partitions, Passed: s.Passed, Withheld: s.Withheld,
		Revision: s.Revision, Leftover: s.Leftover,
	}
}

func invoiced(o invoicing.Outcome) wire.BillStep {
	return wire.BillStep{
		CycleID: o.CycleID, State: o.State, Reason: o.Reason, Currency: o.Currency, TotalMinor: o.TotalMinor, Lines: o.Lines, Withheld: o.Withheld,
		PlanHash: o.PlanHash, InvoiceID: o.InvoiceID, Number: o.Number, Redo: o.Redo, Revision: o.Revision,
	}
}

func standing(s invoicing.Standing) wire.BillStep {
	return wire.BillStep{
		CycleID: s.CycleID, Environment: s.Environment, State: s.State, Reason: s.Reason, Currency: s.Currency, TotalMinor: s.TotalMinor, PlanHash: s.PlanHash,
		DecisionID: s.DecisionID, WaitUntil: s.Until, Wait: s.Wait, Reminders: s.Reminders,
		Revision: s.Revision, Leftover: s.Leftover,
	}
}
