package invoicing_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/money"
	"github.com/liftbill/liftbill/internal/campaign"
	"github.com/liftbill/liftbill/internal/pipelinetest"
)

// changed says that a month would come to something else.
type changed bool

func (c changed) Since(context.Context, access.Principal, string, string) (bool, error) {
	return bool(c), nil
}

// noRuns starts runs that nobody carries out.
type noRuns struct{}

func (noRuns) Decided(context.Context, invoicing.Standing, bool) error { return nil }
func (noRuns) Look(context.Context, account.Environment, string, string) (billing.RunState, error) {
	return billing.RunTerminated, nil
}
func (noRuns) Start(context.Context, account.Environment, string, string) (invoicing.Started, error) {
	return invoicing.Started{}, nil
}

func decisions(b *pipelinetest.Bill) *invoicing.Decisions {
	return &invoicing.Decisions{Work: b.Ledger.DB.Deciding(), Clock: b.Clock, Runs: noRuns{}, Changes: changed(true)}
}

func somebody(name string, roles ...access.Role) access.Principal {
	return access.Principal{Kind: access.User, ID: name, Name: name, Person: name, Roles: roles, Scope: access.Everything()}
}

func decide(t *testing.T, b *pipelinetest.Bill, by access.Principal, a billing.DecisionAction) error {
	t.Helper()
	_, err := decisions(b).Decide(t.Context(), by, invoicing.Wish{CycleID: b.Plan.CycleID, Action: a, PlanHash: b.Plan.Hash(), Reason: "the wrong month"})
	return err
}

// where is where the cycle stands, and why.
func where(t *testing.T, b *pipelinetest.Bill) string {
	t.Helper()
	state, reason, err := b.Ledger.DB.NewInvoicing().Stands(t.Context(), b.Plan.CycleID)
	require.NoError(t, err)
	return string(state) + " " + reason
}

// discard deletes what is left with a new process for every retry, as the run does.
func discard(t *testing.T, b *pipelinetest.Bill) {
	t.Helper()
	for range 20 {
		if _, err := b.NewProcess(t).Discard(t.Context(), b.Plan.CycleID); err == nil {
			return
		} else if kind := fault.KindOf(err); kind != fault.Indeterminate && kind != fault.Unavailable && kind != fault.RateLimited {
			require.NoError(t, err)
		}
		require.NoError(t, b.Fake.Advance(15*time.Minute))
	}
	t.Fatal("the draft was not deleted in twenty attempts")
}

// again releases, approves and proposes the invoice that was taken back.
func again(t *testing.T, b *pipelinetest.Bill) {
	t.Helper()
	require.NoError(t, decide(t, b, somebody("fin", access.Finance), billing.ActRelease))
	require.NoError(t, decide(t, b, somebody("kim", access.Approver), billing.ActApprove))
	total, err := money.New(b.Plan.TotalMinor(), money.Currency(b.Plan.Key.Currency))
	require.NoError(t, err)
	judged := invoicing.Judged{CycleID: b.Plan.CycleID, Revision: 1, Account: account.Account{ID: b.Plan.AccountID, Environment: account.Live}}
	state, _, err := b.Ledger.DB.NewInvoicing().SaveProposal(t.Context(), judged, invoicing.Proposal{Plan: b.Plan, Priced: billing.Priced{Total: total}, Next: billing.AwaitingApproval}, b.Clock.Now())
	require.NoError(t, err)
	require.Equal(t, billing.Writing, state)
}

// requireNothingOfOurs: no draft, no invoice that bills and no pending item of ours is at
// Stripe, and what is not ours is untouched.
func requireNothingOfOurs(t *testing.T, b *pipelinetest.Bill) {
	t.Helper()
	require.Empty(t, ourInvoices(t, b, "draft", "open", "paid", "uncollectible"))
	for id, object := range b.Objects(t) {
		if strings.HasPrefix(id, "ii_") && strings.Contains(object, `"invoice":null`) {
			require.NotContains(t, object, b.Plan.Key.StripeKey(), "an item of ours is left pending")
		}
	}
}

// TestADraftIsTakenBackOnceUnderFaults breaks every request of the deletion in several ways,
// after each step of the write-back. Nothing of ours is left and nothing of anybody else's is
// touched; released and approved once more, the cycle ends with exactly one invoice.
func TestADraftIsTakenBackOnceUnderFaults(t *testing.T) {
	t.Parallel()
	l := pipelinetest.NewLedger(t)
	for i := range 12 {
		kinds := campaign.Kinds()
		kind, done := kinds[i%len(kinds)], 1+i%2
		t.Run(fmt.Sprintf("%02d %s after %d", i, kind, done), func(t *testing.T) {
			t.Parallel()
			b := pipelinetest.NewBill(t, l)
			step(t, b, done)
			require.NoError(t, decide(t, b, somebody("fin", access.Finance), billing.ActVoidDraft))
			require.Equal(t, "returned draft_voided: the wrong month", where(t, b))
			err := decide(t, b, somebody("fin", access.Finance), billing.ActSkip)
			require.Contains(t, []string{"writing_begun", "draft_not_deleted"}, fault.CodeOf(err), "what may be at Stripe is not forgotten: %v", err)
			require.NoError(t, b.Fake.AddFault(stripefake.FaultRule{Kind: kind, KeyKind: "restricted", Skip: i / 2, Count: times(kind)}))
			discard(t, b)
			discard(t, b) // changes nothing
			requireNothingOfOurs(t, b)
			b.Fake.ClearFaults()
			again(t, b)
			_, err = b.Drive(t, nil)
			require.NoError(t, err)
			b.RequireBilled(t)
		})
	}
}

// TestAWorkerThatWasOvertakenSendsNothing: one that had made the draft finds that it was taken
// back, at every later step.
func TestAWorkerThatWasOvertakenSendsNothing(t *testing.T) {
	t.Parallel()
	b := pipelinetest.NewBill(t, pipelinetest.NewLedger(t))
	s := step(t, b, 2)
	require.NoError(t, decide(t, b, somebody("fin", access.Finance), billing.ActVoidDraft))
	b.Fake.ResetRequests()
	for _, do := range []func(context.Context, string) (invoicing.Outcome, error){s.EnsureDraft, s.EnsureLines, s.Finalize} {
		out, err := do(t.Context(), b.Plan.CycleID)
		require.NoError(t, err)
		require.Equal(t, billing.Returned, out.State)
	}
	require.Empty(t, b.Requests())
	discard(t, b)
	requireNothingOfOurs(t, b)
	require.NoError(t, decide(t, b, somebody("fin", access.Finance), billing.ActSkip), "nothing is left, so the month can be skipped")
}

// decides has a person decide just before a call to the ledger.
type decides struct {
	invoicing.Ledger
	beforePin, beforeSuperseded func()
}

// Pin implements invoicing.Ledger.
func (d decides) Pin(ctx context.Context, intentID, invoiceID string, at time.Time) error {
	d.beforePin()
	return d.Ledger.Pin(ctx, intentID, invoiceID, at)
}

// Superseded implements invoicing.Ledger.
func (d decides) Superseded(ctx context.Context, cycleID string) ([]invoicing.StoredIntent, error) {
	d.beforeSuperseded()
	return d.Ledger.Superseded(ctx, cycleID)
}

// TestAWorkerThatIsOvertakenWithinAStep: a draft that it made since is deleted by itself, one
// that it has not made yet it does not make, and its run ends where the decision put the cycle
// and does not fail.
func TestAWorkerThatIsOvertakenWithinAStep(t *testing.T) {
	t.Parallel()
	l := pipelinetest.NewLedger(t)
	t.Run("after the create", func(t *testing.T) {
		t.Parallel()
		b := pipelinetest.NewBill(t, l)
		s := b.NewProcess(t)
		s.Ledger = decides{s.Ledger, func() { require.NoError(t, decide(t, b, somebody("fin", access.Finance), billing.ActVoidDraft)) }, func() {}}
		out, err := s.EnsureDraft(t.Context(), b.Plan.CycleID)
		require.NoError(t, err)
		require.Equal(t, billing.Returned, out.State)
		requireNothingOfOurs(t, b)
	})
	t.Run("before the create", func(t *testing.T) {
		t.Parallel()
		b := pipelinetest.NewBill(t, l)
		s := b.NewProcess(t)
		s.Ledger = decides{s.Ledger, func() {}, func() { require.NoError(t, decide(t, b, somebody("fin", access.Finance), billing.ActVoidDraft)) }}
		_, err := s.EnsureDraft(t.Context(), b.Plan.CycleID)
		require.Equal(t, "moved_on", fault.CodeOf(err), "it is tried again")
		out, err := b.NewProcess(t).EnsureDraft(t.Context(), b.Plan.CycleID)
		require.NoError(t, err)
		require.Equal(t, billing.Returned, out.State)
		for _, r := range b.Requests() {
			require.NotEqual(t, http.MethodPost, r.Method)
		}
		requireNothingOfOurs(t, b)
	})
	for name, c := range map[string]struct {
		before    bool // the invoice is final when the step looks for it
		autoMoves string
	}{
		"with a final invoice that it adopts":             {true, "false"},
		"with a final invoice that is collected":          {true, "true"},
		"while somebody finalizes the draft that it made": {false, "false"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := pipelinetest.NewBill(t, l)
			customer, key := []string{b.Plan.Key.Customer}, []string{b.Plan.Key.StripeKey()}
			finalize := func(id string) {
				b.Operator(t, http.MethodPost, "/v1/invoiceitems", map[string][]string{"customer": customer, "invoice": {id}, "amount": {"900"}, "currency": {"usd"}, "metadata[lb_key]": key})
				b.Operator(t, http.MethodPost, "/v1/invoices/"+id+"/finalize", map[string][]string{"auto_advance": {c.autoMoves}})
			}
			if c.before {
				finalize(b.Operator(t, http.MethodPost, "/v1/invoices", map[string][]string{
					"customer": customer, "currency": {"usd"}, "metadata[lb_key]": key, "pending_invoice_items_behavior": {"exclude"},
				})["id"].(string))
			}
			s := b.NewProcess(t)
			s.Ledger = decides{s.Ledger, func() {
				if !c.before {
					finalize(ourInvoices(t, b, "draft")[0])
				}
				require.NoError(t, decide(t, b, somebody("fin", access.Finance), billing.ActVoidDraft))
				b.Fake.ResetRequests()
			}, func() {}}
			out, err := s.EnsureDraft(t.Context(), b.Plan.CycleID)
			require.NoError(t, err)
			require.Equal(t, billing.Returned, out.State)
			for _, r := range b.Requests() {
				require.Equal(t, http.MethodGet, r.Method, "what is final is not touched")
			}
			require.Len(t, ourInvoices(t, b, "open", "paid"), 1)
			if c.autoMoves == "true" { // it may be collected: what becomes of it is for a person
				_, err := b.NewProcess(t).Discard(t.Context(), b.Plan.CycleID)
				require.Equal(t, "needs_human", fault.CodeOf(err), "%v", err)
				require.Contains(t, where(t, b), billing.HumanOldInvoice)
				return
			}
			discard(t, b)
			requireNothingOfOurs(t, b)
		})
	}
}

// TestWhatMayBeFinalizedIsNotTakenBack: not while a worker may be finalizing it. When its answer
// was lost and its claim is over, the invoice that came of it is voided: nobody was charged
// or mailed. What the ledger knows as final is corrected instead.
func TestWhatMayBeFinalizedIsNotTakenBack(t *testing.T) {
	t.Parallel()
	b := pipelinetest.NewBill(t, pipelinetest.NewLedger(t))
	finance := somebody("fin", access.Finance)
	s := step(t, b, 2)
	require.NoError(t, b.Fake.AddFault(stripefake.FaultRule{Kind: stripefake.FaultDropAfter, Method: http.MethodPost, Path: "/finalize$", Count: 2}))
	_, err := s.Finalize(t.Context(), b.Plan.CycleID)
	require.Equal(t, fault.Indeterminate, fault.KindOf(err))
	for _, a := range []billing.DecisionAction{billing.ActVoidDraft, billing.ActRecompute} {
		require.Equal(t, "being_finalized", fault.CodeOf(decide(t, b, finance, a)))
	}
	require.NoError(t, b.Fake.Advance(3*time.Minute))
	require.NoError(t, decide(t, b, finance, billing.ActVoidDraft))
	discard(t, b)
	requireNothingOfOurs(t, b)
	require.Len(t, ourInvoices(t, b, "void"), 1)

	again(t, b)
	_, err = b.Drive(t, nil)
	require.NoError(t, err)
	require.Len(t, ourInvoices(t, b, "open", "paid"), 1)
	_, err = b.Ledger.SQL.Exec(t.Context(), `UPDATE cycles SET state = 'needs_human', reason = 'invoice_voided: by hand' WHERE id = $1`, b.Plan.CycleID)
	require.NoError(t, err)
	for _, a := range []billing.DecisionAction{billing.ActVoidDraft, billing.ActRecompute} {
		require.Equal(t, "invoice_final", fault.CodeOf(decide(t, b, finance, a)))
	}
}

// TestForeignItemOnADraftThatIsTakenBack: somebody's work on our draft is not destroyed; the
// cycle asks for a person and goes back to where it was.
func TestForeignItemOnADraftThatIsTakenBack(t *testing.T) {
	t.Parallel()
	b := pipelinetest.NewBill(t, pipelinetest.NewLedger(t))
	step(t, b, 2)
	item := b.Operator(t, http.MethodPost, "/v1/invoiceitems", map[string][]string{"customer": {b.Plan.Key.Customer}, "invoice": {pinned(t, b)}, "amount": {"900"}, "currency": {"usd"}})["id"].(string)
	require.NoError(t, decide(t, b, somebody("fin", access.Finance), billing.ActVoidDraft))
	_, err := b.NewProcess(t).Discard(t.Context(), b.Plan.CycleID)
	require.Equal(t, "needs_human", fault.CodeOf(err), "%v", err)
	require.Contains(t, b.Objects(t), item)
	require.Contains(t, where(t, b), "needs_human "+billing.HumanForeignItem)
	b.Operator(t, http.MethodDelete, "/v1/invoiceitems/"+item, nil)
	out, err := b.NewProcess(t).Resume(t.Context(), access.Operator("kim"), invoicing.Resumption{CycleID: b.Plan.CycleID, Reason: "it was moved"})
	require.NoError(t, err)
	require.Equal(t, billing.Returned, out.State)
	discard(t, b)
	requireNothingOfOurs(t, b)
}
