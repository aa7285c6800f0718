package campaign

import (
	"context"
	"time"

	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/internal/campaign/audit"
)

// afterwards is what becomes of a month that was taken back.
type afterwards int

const (
	written afterwards = iota // with the plan that it had
	revised                   // with another one: its inputs had changed
	leftOut                   // not at all
)

// decide has a person decide before a request of ours.
func (w *world) decide(ctx context.Context, a billing.DecisionAction) {
	taken, err := w.ledger.TakeBack(ctx, w.plan.CycleID, a, w.Now())
	if err != nil {
		w.problems = append(w.problems, err.Error())
	}
	w.taken = taken
}

// goOn carries a month on that was taken back: what is left at Stripe is deleted, under the
// faults that are still to come, and the invoice is proposed again. over is true for a month
// that stays without one.
func (w *world) goOn(ctx context.Context, out *Result, dead *deaths) (over bool, err error) {
	if err := foreignError(w.driver(w.process).Discard(ctx, w.plan.CycleID)); err != nil {
		return false, err
	}
	then := actOf(w.s.Act.What).then
	if then == leftOut {
		out.End = Dropped
		return true, w.judge(out, audit.Nothing)
	}
	if then == revised {
		w.plan.Lines = append([]billing.PlanLine(nil), w.plan.Lines...)
		w.plan.Lines[0].AmountMinor += 100 * (1 + w.rng.Int64N(50))
		w.plan = sealed(w.plan)
		w.order.Lines[w.plan.Lines[0].Line] = w.plan.Lines[0].AmountMinor
	}
	if err := w.ledger.Propose(ctx, w.plan, w.Now()); err != nil {
		return false, err
	}
	return false, w.driveAll(ctx, dead)
}

// late reports whether all drafts that are left are empty ones of ours, which Stripe made long
// after it had answered the create with an error. The payer's next invoice sweeps them.
func (w *world) late() bool {
	struck := false
	for _, f := range w.s.Faults {
		struck = struck || f.Kind == stripefake.Fault500Late
	}
	for _, o := range w.ours("draft") {
		struck = struck && o.Metadata["lb_key"] == w.plan.Key.StripeKey() && len(w.itemsOf(o.ID)) == 0
	}
	return struck
}

// TakeBack implements Ledger, as the desk of PostgreSQL does.
func (m *Memory) TakeBack(_ context.Context, cycleID string, a billing.DecisionAction, at time.Time) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	cy := m.cycles[cycleID]
	to, err := a.From(cy.state)
	in := m.intents[cy.active]
	claimed := in.State == billing.IntentVerified && at.Sub(in.verified).Abs() < invoicing.ClaimFor
	if err != nil || in.State == billing.IntentSuperseded || in.final || claimed {
		return false, nil //nolint:nilerr // the desk refuses
	}
	in.State, cy.state, cy.reason = billing.IntentSuperseded, to, ""
	if a == billing.ActVoidDraft {
		cy.reason = invoicing.ReasonDraftVoided
	}
	return true, nil
}

// Propose implements Ledger.
func (m *Memory) Propose(_ context.Context, plan billing.InvoicePlan, _ time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	cy := m.cycles[plan.CycleID]
	cy.state, cy.reason = billing.Writing, ""
	return m.insert(cy, plan)
}
