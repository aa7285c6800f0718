package accountbill_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/app/measure"
	"github.com/liftbill/liftbill/app/trueups"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/period"
	"github.com/liftbill/liftbill/workflows/accountbill"
	"github.com/liftbill/liftbill/workflows/wire"
)

// desk plays the use cases; each test says what they answer.
type desk struct {
	opened  measure.Summary
	drafted invoicing.Outcome
	drafts  []invoicing.Outcome // instead of drafted, in order
	queues  map[string]string   // on which queue each Stripe step ran
	write   func(n int, step string) (invoicing.Outcome, error)
	collect func(n int) error
	parts   int
	mu      sync.Mutex // parts run at once
	calls   []string
}

func (d *desk) note(what string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls = append(d.calls, what)
	n := 0
	for _, c := range d.calls {
		if c == what {
			n++
		}
	}
	return n
}

func (d *desk) Open(_ context.Context, accountID string, m period.Month, workflowID string) (measure.Summary, error) {
	d.note("open " + accountID + " " + m.String() + " " + workflowID)
	return d.opened, nil
}

func (d *desk) Collect(_ context.Context, _ string, progress measure.Progress) (measure.Summary, error) {
	n := d.note("collect")
	progress(1, 2, "half")
	if d.collect != nil {
		if err := d.collect(n); err != nil {
			return measure.Summary{}, err
		}
	}
	return measure.Summary{CycleID: d.opened.CycleID, Environment: d.opened.Environment, State: billing.Computing, InputDigest: "digest", Units: 7, Decisions: 9, Partitions: d.parts}, nil
}

func (d *desk) Accumulate(_ context.Context, _ string, part, parts int, progress measure.Progress) (measure.Summary, error) {
	progress(part, parts, "reading")
	n := d.note(fmt.Sprintf("part %d of %d", part, parts))
	if part == 1 && n == 1 {
		return measure.Summary{}, fault.New(fault.Unavailable, "database_unavailable", "not now")
	}
	return measure.Summary{CycleID: d.opened.CycleID, State: billing.Computing}, nil
}

func (d *desk) Estimate(context.Context, string, measure.Progress) (measure.Summary, error) {
	d.note("estimate")
	return measure.Summary{CycleID: d.opened.CycleID, State: billing.Computing, Cases: []string{"case"}, Passed: 1}, nil
}

func (d *desk) Book(_ context.Context, cycleID string, _ trueups.Progress) (trueups.Summary, error) {
	d.note("true up")
	return trueups.Summary{CycleID: cycleID}, nil
}

func (d *desk) Draft(context.Context, string) (invoicing.Outcome, error) {
	n := d.note("draft")
	if len(d.drafts) > 0 {
		return d.drafts[n-1], nil
	}
	return d.drafted, nil
}

func (d *desk) stripe(ctx context.Context, step string) (invoicing.Outcome, error) {
	n := d.note(step)
	d.mu.Lock()
	if d.queues == nil {
		d.queues = map[string]string{}
	}
	d.queues[step] = activity.GetInfo(ctx).TaskQueue
	d.mu.Unlock()
	if d.write == nil {
		return invoicing.Outcome{}, fault.New(fault.Forbidden, "test_mode_write", "nobody may get here")
	}
	return d.write(n, step)
}

func (d *desk) EnsurePayer(ctx context.Context, _ string) (invoicing.Outcome, error) {
	return d.stripe(ctx, "payer")
}
func (d *desk) EnsureDraft(ctx context.Context, _ string) (invoicing.Outcome, error) {
	return d.stripe(ctx, "draft at Stripe")
}
func (d *desk) EnsureLines(ctx context.Context, _ string) (invoicing.Outcome, error) {
	return d.stripe(ctx, "lines")
}
func (d *desk) Finalize(ctx context.Context, _ string) (invoicing.Outcome, error) {
	return d.stripe(ctx, "finalize")
}

func (d *desk) Discard(ctx context.Context, _ string) (invoicing.Outcome, error) {
	return d.stripe(ctx, "discard")
}

func live(state billing.CycleState) measure.Summary {
	return measure.Summary{CycleID: "acme.2026-10", Environment: account.Live, State: state}
}

func proposed(state billing.CycleState) invoicing.Outcome {
	return invoicing.Outcome{CycleID: "acme.2026-10", State: state, Currency: "usd", TotalMinor: 500, Lines: 1, PlanHash: "hash"}
}

func writing(change func(*invoicing.Outcome)) invoicing.Outcome {
	out := proposed(billing.Writing)
	change(&out)
	return out
}

type ran struct {
	step    wire.BillStep
	err     error
	outcome string
	env     *testsuite.TestWorkflowEnvironment
}

func run(t *testing.T, d *desk, env account.Environment) ran {
	t.Helper()
	e := newEnvironment()
	var outcomes []string
	accountbill.RegisterLedger(e, &accountbill.LedgerActivities{Measure: d, Drafting: d})
	accountbill.RegisterCompute(e, &accountbill.ComputeActivities{Measure: d, TrueUps: d})
	accountbill.RegisterStripeLive(e, &accountbill.StripeActivities{Writing: d})
	e.OnUpsertTypedSearchAttributes(mock.MatchedBy(func(sa temporal.SearchAttributes) bool {
		v, _ := sa.GetKeyword(temporal.NewSearchAttributeKeyKeyword(wire.AttrOutcome))
		outcomes = append(outcomes, v)
		return true
	})).Return(nil).Maybe()
	e.ExecuteWorkflow(wire.WorkflowAccountBill, wire.BillInput{Environment: env, AccountID: "acme", Period: "2026-10"})
	require.True(t, e.IsWorkflowCompleted())
	out := ran{err: e.GetWorkflowError(), env: e}
	if len(outcomes) > 0 {
		out.outcome = outcomes[len(outcomes)-1]
	}
	if out.err == nil {
		require.NoError(t, e.GetWorkflowResult(&out.step))
	}
	return out
}

// TestALargeTableIsReadInParts: each part by an activity of its own, a failed one again,
// and the estimate only when all have been read.
func TestALargeTableIsReadInParts(t *testing.T) {
	t.Parallel()
	d := &desk{opened: live(billing.Collecting), drafted: proposed(billing.Withheld), parts: 3}
	got := run(t, d, account.Live)
	require.NoError(t, got.err)
	parts := d.calls[2:6]
	slices.Sort(parts)
	require.Equal(t, []string{"part 0 of 3", "part 1 of 3", "part 1 of 3", "part 2 of 3"}, parts)
	require.Equal(t, "estimate", d.calls[6])
	require.Equal(t, billing.Withheld, got.step.State)
}

func TestBillOfALiveAccount(t *testing.T) {
	t.Parallel()
	d := &desk{opened: live(billing.Collecting), drafted: proposed(billing.Writing)}
	d.write = func(_ int, step string) (invoicing.Outcome, error) {
		return writing(func(o *invoicing.Outcome) {
			o.InvoiceID = "in_1"
			if step == "finalize" {
				o.State, o.Number = billing.Invoiced, "A-1"
			}
		}), nil
	}
	got := run(t, d, account.Live)
	require.NoError(t, got.err)
	require.Equal(t, []string{"open acme 2026-10 default-test-workflow-id", "collect", "estimate", "true up", "draft", "draft at Stripe", "lines", "finalize"}, d.calls)
	require.Equal(t, billing.Invoiced, got.step.State)
	require.Equal(t, "invoiced", got.outcome)
	// What an early step learnt is not forgotten by a later one.
	require.Equal(t, []string{"case"}, got.step.Cases)
	require.Equal(t, "digest", got.step.InputDigest)
	require.Equal(t, 7, got.step.Units)
	var seen wire.BillStep
	v, err := got.env.QueryWorkflow(wire.QueryStatus)
	require.NoError(t, err)
	require.NoError(t, v.Get(&seen))
	require.Equal(t, got.step, seen)
}

// TestBillStopsBeforeStripe: nothing but a live account's cycle that is to be
// written ever schedules an activity on the Stripe queue.
func TestBillStopsBeforeStripe(t *testing.T) {
	t.Parallel()
	test := measure.Summary{CycleID: "acme.2026-10", Environment: account.Test, State: billing.Collecting}
	for name, c := range map[string]struct {
		opened  measure.Summary
		started account.Environment
		next    billing.CycleState
	}{
		"dry run":                               {test, account.Test, billing.DryRun},
		"withheld":                              {live(billing.Collecting), account.Live, billing.Withheld},
		"blocked":                               {live(billing.Collecting), account.Live, billing.Blocked},
		"needs a person":                        {live(billing.Collecting), account.Live, billing.NeedsHuman},
		"the ledger says test, the run live":    {test, account.Live, billing.Writing},
		"the ledger says live, the run test":    {live(billing.Collecting), account.Test, billing.Writing},
		"nobody says live, and the state lies":  {test, account.Test, billing.Writing},
		"started without an environment at all": {live(billing.Collecting), "", billing.Writing},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &desk{opened: c.opened, drafted: proposed(c.next)}
			got := run(t, d, c.started)
			require.NoError(t, got.err)
			require.Equal(t, []string{"open acme 2026-10 default-test-workflow-id", "collect", "estimate", "true up", "draft"}, d.calls)
			require.Equal(t, c.next, got.step.State)
			require.Equal(t, string(c.next), got.outcome)
		})
	}
}

// TestBillFindsThePayerFirst: a payer that somebody asked for is found or created, and
// the invoice is proposed again, addressed to it.
func TestBillFindsThePayerFirst(t *testing.T) {
	t.Parallel()
	wanted := proposed(billing.Blocked)
	wanted.Reason = billing.UnmetPayerWanted
	d := &desk{opened: live(billing.Collecting), drafts: []invoicing.Outcome{wanted, proposed(billing.Writing)}}
	d.write = func(_ int, step string) (invoicing.Outcome, error) {
		return writing(func(o *invoicing.Outcome) {
			switch step {
			case "payer":
				o.State, o.Redo = billing.Blocked, true
			case "finalize":
				o.State = billing.Invoiced
			}
		}), nil
	}
	got := run(t, d, account.Live)
	require.NoError(t, got.err)
	require.Equal(t, []string{"draft", "payer", "draft", "draft at Stripe", "lines", "finalize"}, d.calls[4:])
	require.Equal(t, billing.Invoiced, got.step.State)

	d = &desk{opened: live(billing.Collecting), drafts: []invoicing.Outcome{wanted}}
	d.write = func(int, string) (invoicing.Outcome, error) {
		return invoicing.Outcome{CycleID: "acme.2026-10", State: billing.Blocked, Reason: billing.UnmetPayerAmbiguous}, nil
	}
	got = run(t, d, account.Live)
	require.NoError(t, got.err)
	require.Equal(t, []string{"draft", "payer"}, d.calls[4:], "nobody is guessed")
	require.Equal(t, billing.UnmetPayerAmbiguous, got.step.Reason)

	for _, c := range []struct {
		opened  measure.Summary
		started account.Environment
	}{{measure.Summary{CycleID: "acme.2026-10", Environment: account.Test, State: billing.Collecting}, account.Live}, {live(billing.Collecting), account.Test}} {
		d = &desk{opened: c.opened, drafts: []invoicing.Outcome{wanted}}
		got = run(t, d, c.started)
		require.NoError(t, got.err)
		require.Equal(t, []string{"draft"}, d.calls[4:], "a test account's payer is never created")
	}
}

// TestStripeStepsAreOnTheLiveQueue: the steps that write are scheduled on the queue that
// only live workers poll, and no other registration knows them.
func TestStripeStepsAreOnTheLiveQueue(t *testing.T) {
	t.Parallel()
	d := &desk{opened: live(billing.Collecting), drafted: proposed(billing.Writing)}
	d.write = func(int, string) (invoicing.Outcome, error) {
		return writing(func(o *invoicing.Outcome) { o.State = billing.Invoiced }), nil
	}
	require.NoError(t, run(t, d, account.Live).err)
	require.Equal(t, map[string]string{"draft at Stripe": wire.QueueStripeLive, "lines": wire.QueueStripeLive, "finalize": wire.QueueStripeLive}, d.queues)

	e := newEnvironment()
	accountbill.RegisterLedger(e, &accountbill.LedgerActivities{Measure: d, Drafting: d})
	accountbill.RegisterCompute(e, &accountbill.ComputeActivities{Measure: d, TrueUps: d})
	e.ExecuteWorkflow(wire.WorkflowAccountBill, wire.BillInput{Environment: account.Live, AccountID: "acme", Period: "2026-10"})
	require.ErrorContains(t, e.GetWorkflowError(), "unable to find activityType=EnsureDraft")
}

func TestBillThatIsFinishedReadsTheLedgerOnce(t *testing.T) {
	t.Parallel()
	for _, state := range []billing.CycleState{billing.Invoiced, billing.Withheld, billing.DryRun} {
		d := &desk{opened: live(state)}
		got := run(t, d, account.Live)
		require.NoError(t, got.err)
		require.Len(t, d.calls, 1)
		require.Equal(t, state, got.step.State)
		require.Equal(t, string(state), got.outcome)
	}
}

func TestBillBlockedAtStripe(t *testing.T) {
	t.Parallel()
	d := &desk{opened: live(billing.Collecting), drafted: proposed(billing.Writing)}
	d.write = func(int, string) (invoicing.Outcome, error) {
		return writing(func(o *invoicing.Outcome) { o.State, o.Reason = billing.Blocked, billing.UnmetPayerEmail }), nil
	}
	got := run(t, d, account.Live)
	require.NoError(t, got.err)
	require.Equal(t, billing.UnmetPayerEmail, got.step.Reason)
	require.Equal(t, "draft at Stripe", d.calls[len(d.calls)-1])
	require.Equal(t, "blocked", got.outcome)
}

func TestBillMakesAGivenUpDraftAgain(t *testing.T) {
	t.Parallel()
	d := &desk{opened: live(billing.Collecting), drafted: proposed(billing.Writing)}
	d.write = func(n int, step string) (invoicing.Outcome, error) {
		return writing(func(o *invoicing.Outcome) {
			o.Redo = step == "lines" && n <= 2
			if step == "finalize" {
				o.State = billing.Invoiced
			}
		}), nil
	}
	got := run(t, d, account.Live)
	require.NoError(t, got.err)
	require.Equal(t, []string{"draft at Stripe", "lines", "draft at Stripe", "lines", "draft at Stripe", "lines", "finalize"}, d.calls[5:])
	require.False(t, got.step.Redo)
}

func TestBillGivesUpMakingDrafts(t *testing.T) {
	t.Parallel()
	d := &desk{opened: live(billing.Collecting), drafted: proposed(billing.Writing)}
	d.write = func(int, string) (invoicing.Outcome, error) {
		return writing(func(o *invoicing.Outcome) { o.Redo = true }), nil
	}
	got := run(t, d, account.Live)
	var app *temporal.ApplicationError
	require.ErrorAs(t, got.err, &app)
	require.Equal(t, "NeedsHuman", app.Type())
	require.Equal(t, "failed", got.outcome)
	require.Len(t, d.calls, 5+10)
}

// TestBillRetriesWhatMayHeal and stops at what no retry can mend.
func TestBillRetriesWhatMayHeal(t *testing.T) {
	t.Parallel()
	for _, kind := range []fault.Kind{fault.Unavailable, fault.Indeterminate, fault.RateLimited, fault.Internal} {
		d := &desk{opened: live(billing.Collecting), drafted: proposed(billing.Withheld)}
		d.collect = func(n int) error {
			if n < 4 {
				return fault.New(kind, "passing", "it passes")
			}
			return nil
		}
		got := run(t, d, account.Live)
		require.NoError(t, got.err, kind)
		require.Equal(t, fmt.Sprint([]string{"collect", "collect", "collect", "collect"}), fmt.Sprint(d.calls[1:5]))
	}
	for _, kind := range []fault.Kind{fault.Invalid, fault.NotFound, fault.Conflict, fault.Forbidden} {
		d := &desk{opened: live(billing.Collecting)}
		d.collect = func(int) error { return fault.New(kind, "final", "it stays") }
		got := run(t, d, account.Live)
		require.Error(t, got.err)
		require.Len(t, d.calls, 2)
		require.Equal(t, "failed", got.outcome)
	}
}
