package invoicing_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/internal/pipelinetest"
)

// situation is a state of a cycle as a test sets it up.
type situation struct {
	state  billing.CycleState
	reason string
	intent billing.IntentState // of the invoice in force; empty for none
}

// places are every state in which a cycle can stay, for every reason that there is.
func places() []situation {
	out := []situation{{billing.Collecting, "", ""}, {billing.Computing, "", ""}, {billing.Proposed, "", ""}, {billing.Approved, "", ""}, {billing.AwaitingApproval, "", ""},
		{billing.Held, "a question", ""}, {billing.Returned, "a wrong mapping", ""}, {billing.Returned, invoicing.ReasonDraftVoided + ": the wrong month", ""}, {billing.Expired, "nobody decided in time", ""}}
	for _, s := range []billing.IntentState{billing.IntentPlanned, billing.IntentPinned, billing.IntentVerified, billing.IntentFinalized} {
		out = append(out, situation{billing.Writing, "", s})
	}
	for _, u := range billing.Unmet() {
		out = append(out, situation{billing.Blocked, u.Code, ""}, situation{billing.Blocked, u.Code, billing.IntentPinned})
	}
	for _, h := range billing.Stops() {
		out = append(out, situation{billing.NeedsHuman, h.Code + ": in_1", billing.IntentHuman})
	}
	return append(out, situation{billing.NeedsHuman, billing.HumanForeignItem + ": on what was taken back", ""}, situation{billing.NeedsHuman, "something new: that no table knows", billing.IntentHuman})
}

// arrange makes a bill stand in the situation.
func (s situation) arrange(t *testing.T, l *pipelinetest.Ledger) *pipelinetest.Bill {
	t.Helper()
	b := pipelinetest.NewBill(t, l)
	at := b.Clock.Now().Add(-time.Hour)
	_, err := l.SQL.Exec(t.Context(), `UPDATE cycles SET state = $1, reason = $2, watermark = $3, input_digest = 'inputs' WHERE id = $4`, string(s.state), s.reason, at, b.Plan.CycleID)
	require.NoError(t, err)
	if s.intent == "" {
		_, err = l.SQL.Exec(t.Context(), `DELETE FROM writeback_intents WHERE cycle_id = $1`, b.Plan.CycleID)
	} else {
		_, err = l.SQL.Exec(t.Context(), `UPDATE writeback_intents SET state = $1, verified_at = $2, invoice_id = CASE WHEN $1 = 'planned' THEN NULL ELSE 'in_' || cycle_id END,
			finalized_at = CASE WHEN $1 = 'finalized' THEN $2::timestamptz END WHERE cycle_id = $3`, string(s.intent), at, b.Plan.CycleID)
	}
	require.NoError(t, err)
	return b
}

// facts are what the use case knows of the bill.
func facts(t *testing.T, b *pipelinetest.Bill) billing.CycleFacts {
	t.Helper()
	var out billing.CycleFacts
	require.NoError(t, b.Ledger.DB.Deciding().Do(t.Context(), func(ctx context.Context, st invoicing.DeskStores) error {
		s, err := st.Desk.Standing(ctx, b.Plan.CycleID)
		out = s.Facts()
		return err
	}))
	out.Run = billing.RunFailed
	return out
}

// TestEveryStateHasAStepThatIsTaken walks every state and reason in which a cycle can stay. The
// one table names at least one thing that a person can do, and the use case takes every one
// that it names; the sentence of the next action is there as well.
func TestEveryStateHasAStepThatIsTaken(t *testing.T) {
	t.Parallel()
	l := pipelinetest.NewLedger(t)
	for _, s := range places() {
		t.Run(fmt.Sprintf("%s %s %s", s.state, s.reason, s.intent), func(t *testing.T) {
			t.Parallel()
			now := facts(t, s.arrange(t, l))
			require.NotEmpty(t, billing.NextActionOf(now))
			steps := billing.NextSteps(now)
			require.NotEmpty(t, steps)
			for _, step := range steps {
				b := s.arrange(t, l)
				require.NoError(t, take(t, b, step), "%s", step)
			}
		})
	}
	for _, state := range []billing.CycleState{billing.Withheld, billing.DryRun, billing.Skipped} {
		require.Empty(t, billing.NextSteps(billing.CycleFacts{State: state, Priced: true}), "finished")
	}
	require.Equal(t, []billing.NextStep{billing.StepCorrect}, billing.NextSteps(billing.CycleFacts{State: billing.Invoiced, Begun: true, Final: true}))
}

func take(t *testing.T, b *pipelinetest.Bill, step billing.NextStep) error {
	t.Helper()
	by := somebody("fin", access.Finance)
	switch a, decides := step.Decision(); {
	case decides && a == billing.ActApprove:
		return decide(t, b, somebody("kim", access.Approver), a)
	case decides:
		return decide(t, b, by, a)
	case step == billing.StepRetry:
		_, err := decisions(b).Start(t.Context(), by, b.Plan.AccountID, b.Plan.Key.Period)
		return err
	default:
		_, err := b.NewProcess(t).Resume(t.Context(), by, invoicing.Resumption{CycleID: b.Plan.CycleID, Reason: "looked at", Reissue: step == billing.StepReissue})
		return err
	}
}

// TestWhatIsNotComputedAgain: not what comes to the same, not without the permission, not what a
// later month rests on, and not for another reason than the one that is written down. The
// remedy is said, and the table does not name what would be refused.
func TestWhatIsNotComputedAgain(t *testing.T) {
	t.Parallel()
	l := pipelinetest.NewLedger(t)
	b := situation{billing.Returned, "a wrong mapping", ""}.arrange(t, l)
	wish := invoicing.Wish{CycleID: b.Plan.CycleID, Action: billing.ActRecompute, Reason: "the mapping was corrected"}
	refused := func(d *invoicing.Decisions, by access.Principal, w invoicing.Wish, code string) {
		t.Helper()
		_, err := d.Decide(t.Context(), by, w)
		require.Equal(t, code, fault.CodeOf(err), "%v", err)
	}
	finance, d := somebody("fin", access.Finance), decisions(b)
	d.Changes = changed(false)
	refused(d, finance, wish, "nothing_changed")
	d.Changes = nil
	refused(d, finance, wish, "preview_missing")
	d.Changes = changed(true)
	refused(d, somebody("kim", access.Approver), wish, "permission_denied")
	refused(d, finance, invoicing.Wish{CycleID: wish.CycleID, Action: billing.ActRecompute}, "reason_missing")
	refused(d, finance, invoicing.Wish{CycleID: wish.CycleID, Action: billing.ActRecompute, PlanHash: "old", Reason: "x"}, "plan_changed")
	refused(d, finance, invoicing.Wish{CycleID: wish.CycleID, Action: billing.ActVoidDraft, Reason: "x"}, "cycle_state")

	next := b.NextMonth(t)
	require.Contains(t, billing.NextSteps(facts(t, b)), billing.NextStep(billing.ActRecompute), "it was opened, and nothing of it was measured")
	_, err := l.SQL.Exec(t.Context(), `UPDATE cycles SET watermark = $1 WHERE id = $2`, b.Clock.Now(), next.Plan.CycleID)
	require.NoError(t, err)
	refused(d, finance, wish, "later_month_measured")
	require.NotContains(t, billing.NextSteps(facts(t, b)), billing.NextStep(billing.ActRecompute))
	require.NoError(t, decide(t, b, finance, billing.ActSkip), "the remedy")
}
