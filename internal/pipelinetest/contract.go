package pipelinetest

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/internal/campaign"
)

var contractSerial atomic.Int64

// contract is one cycle on a ledger that is held to the contract of invoicing.Intents.
type contract struct {
	t  *testing.T
	l  campaign.Ledger
	p  billing.InvoicePlan
	at time.Time
}

func newContract(t *testing.T, l campaign.Ledger) *contract {
	t.Helper()
	t.Parallel()
	n := contractSerial.Add(1)
	c := &contract{t: t, l: l, p: planFor(fmt.Sprintf("contract-%d", n), fmt.Sprintf("cus_contract%d", n)), at: time.Date(2026, 11, 4, 6, 0, 0, 0, time.UTC)}
	require.NoError(t, l.Begin(t.Context(), account.Live, c.p, c.at))
	return c
}

func (c *contract) id() string { return c.p.Key.ID() }

func (c *contract) intent() invoicing.StoredIntent {
	c.t.Helper()
	in, err := c.l.Intent(c.t.Context(), c.p.CycleID)
	require.NoError(c.t, err)
	return in
}

func (c *contract) stands(state billing.CycleState, reason string) {
	c.t.Helper()
	got, why, err := c.l.Stands(c.t.Context(), c.p.CycleID)
	require.NoError(c.t, err)
	require.Equal(c.t, state, got)
	require.Equal(c.t, reason, why)
}

func (c *contract) code(want string, err error) {
	c.t.Helper()
	require.Error(c.t, err)
	require.Equal(c.t, want, fault.CodeOf(err), err.Error())
}

func (c *contract) pin(id string) {
	c.t.Helper()
	require.NoError(c.t, c.l.Pin(c.t.Context(), c.id(), id, c.at))
}

func (c *contract) verify(id string) error {
	return c.l.SaveItems(c.t.Context(), c.id(), id, []invoicing.StripeItem{{ID: "ii_1", AmountMinor: 5, Metadata: map[string]string{"lb_line": "snap-a"}}}, c.at)
}

func (c *contract) save(state billing.IntentState, id string) error {
	total, when := c.p.TotalMinor(), c.at
	return c.l.SaveInvoice(c.t.Context(), c.id(), state, invoicing.StripeInvoice{
		ID: id, Status: "open", Number: "N-1", TotalMinor: total + 19, TotalExcludingTaxMinor: &total, FinalizedAt: &when,
	}, c.at)
}

// HoldToContract runs what every ledger of intents must do, in memory or in PostgreSQL.
func HoldToContract(t *testing.T, open func(t testing.TB) campaign.Ledger) {
	t.Helper()
	l := open(t)
	for name, test := range map[string]func(c *contract){
		"a fresh intent": freshIntent, "pin": pinOnce, "give up": giveUp, "claim": claim, "finalized": finalized, "counters": counters,
		"escalate": escalate, "resume": resumed, "reissue": reissued, "superseded": superseded, "refusals": refusals,
	} {
		t.Run(name, func(t *testing.T) { test(newContract(t, l)) })
	}
}

func freshIntent(c *contract) {
	in := c.intent()
	require.Equal(c.t, c.id(), in.ID)
	require.Equal(c.t, c.p.CycleID, in.CycleID)
	require.Equal(c.t, account.Live, in.Environment)
	require.Equal(c.t, c.p, in.Plan)
	require.Equal(c.t, billing.Intent{Plan: c.p, PlanHash: c.p.Hash(), State: billing.IntentPlanned}, in.Intent)
	require.Empty(c.t, in.GivenUp)
	c.stands(billing.Writing, "")
	old, err := c.l.Superseded(c.t.Context(), c.p.CycleID)
	require.NoError(c.t, err)
	require.Empty(c.t, old)
	_, err = c.l.Intent(c.t.Context(), "nobody.2026-10")
	c.code("intent_not_found", err)
}

func pinOnce(c *contract) {
	for range 2 {
		c.pin("in_1" + c.id())
	}
	c.code("pinned_elsewhere", c.l.Pin(c.t.Context(), c.id(), "in_2"+c.id(), c.at))
	in := c.intent()
	require.Equal(c.t, billing.IntentPinned, in.State)
	known, err := c.l.Known(c.t.Context(), []string{c.id(), "nobody"})
	require.NoError(c.t, err)
	require.Equal(c.t, map[string]invoicing.Known{c.id(): {State: billing.IntentPinned, InvoiceID: "in_1" + c.id()}}, known)
}

func giveUp(c *contract) {
	ctx, first := c.t.Context(), "in_1"+c.id()
	require.NoError(c.t, c.l.Unpin(ctx, c.id(), "", c.at), "nothing was pinned: another generation")
	c.code("moved_on", c.l.Unpin(ctx, c.id(), first, c.at))
	c.pin(first)
	c.code("moved_on", c.l.Unpin(ctx, c.id(), "", c.at))
	c.code("moved_on", c.l.Unpin(ctx, c.id(), "in_other", c.at))
	require.NoError(c.t, c.l.NextFinalize(ctx, c.id(), c.at))
	require.NoError(c.t, c.l.Unpin(ctx, c.id(), first, c.at))
	in := c.intent()
	require.Equal(c.t, billing.Intent{Plan: c.p, PlanHash: c.p.Hash(), State: billing.IntentPlanned, Generation: 2}, in.Intent)
	require.Equal(c.t, []string{first}, in.GivenUp)
	require.NoError(c.t, c.l.Forget(ctx, c.id(), first))
	require.NoError(c.t, c.l.Forget(ctx, c.id(), first))
	require.Empty(c.t, c.intent().GivenUp)
}

// claim: a draft that was verified is not given up while it may be finalized.
func claim(c *contract) {
	ctx, id := c.t.Context(), "in_1"+c.id()
	c.code("moved_on", c.verify(id))
	c.pin(id)
	c.code("moved_on", c.verify("in_other"))
	require.NoError(c.t, c.verify(id))
	require.Equal(c.t, billing.IntentVerified, c.intent().State)
	c.code("moved_on", c.l.Unpin(ctx, c.id(), id, c.at))
	c.code("moved_on", c.l.Unpin(ctx, c.id(), id, c.at.Add(invoicing.ClaimFor-time.Second)))
	require.NoError(c.t, c.l.Unpin(ctx, c.id(), id, c.at.Add(invoicing.ClaimFor)))
	require.Equal(c.t, billing.IntentPlanned, c.intent().State)
	c.code("moved_on", c.verify(id))
}

func finalized(c *contract) {
	ctx, id := c.t.Context(), "in_1"+c.id()
	c.code("not_pinned", c.save(billing.IntentFinalized, id))
	c.pin(id)
	require.NoError(c.t, c.verify(id))
	require.NoError(c.t, c.save(billing.IntentFinalized, id))
	in := c.intent()
	require.Equal(c.t, billing.IntentFinalized, in.State)
	require.Equal(c.t, "N-1", in.Number)
	require.Equal(c.t, c.p.TotalMinor(), *in.StripeTotal, "without tax")
	c.code("already_final", c.l.Unpin(ctx, c.id(), id, c.at.Add(time.Hour)))
	c.code("moved_on", c.verify(id))
	require.NoError(c.t, c.save(billing.IntentReleased, id))
	require.NoError(c.t, c.save(billing.IntentFinalized, id), "a slower worker takes nothing back")
	require.Equal(c.t, billing.IntentReleased, c.intent().State)
	require.NoError(c.t, c.l.Move(ctx, c.p.CycleID, billing.Invoiced, "", c.at))
	c.stands(billing.Invoiced, "")
	require.True(c.t, fault.Is(c.l.Move(ctx, c.p.CycleID, billing.Writing, "", c.at), fault.Conflict))
}

func counters(c *contract) {
	ctx := c.t.Context()
	for i := 1; i <= 3; i++ {
		n, since, err := c.l.CountIndeterminate(ctx, c.id(), c.at.Add(time.Duration(i)*time.Minute))
		require.NoError(c.t, err)
		require.Equal(c.t, i, n)
		require.True(c.t, since.Equal(c.at.Add(time.Minute)), since)
	}
	c.pin("in_1" + c.id())
	n, since, err := c.l.CountIndeterminate(ctx, c.id(), c.at.Add(time.Hour))
	require.NoError(c.t, err)
	require.Equal(c.t, 1, n, "a pin begins the count anew")
	require.True(c.t, since.Equal(c.at.Add(time.Hour)))
	for range 2 {
		require.NoError(c.t, c.l.NextFinalize(ctx, c.id(), c.at))
	}
	require.Equal(c.t, 2, c.intent().FinalizeN)
	require.NoError(c.t, c.l.LogCalls(ctx, c.id(), []invoicing.Call{{Operation: "invoice.get", RequestID: "req_1", Outcome: "ok"}}, c.at))
}

func escalate(c *contract) {
	ctx, id := c.t.Context(), "in_1"+c.id()
	c.pin(id)
	c.code("moved_on", c.l.Escalate(ctx, c.p.CycleID, "", "nothing: was seen", c.at))
	c.code("moved_on", c.l.Escalate(ctx, c.p.CycleID, "in_other", "another: was seen", c.at))
	c.stands(billing.Writing, "")
	require.NoError(c.t, c.l.Escalate(ctx, c.p.CycleID, id, "foreign_item: ii_1", c.at))
	c.stands(billing.NeedsHuman, "foreign_item: ii_1")
	require.Equal(c.t, billing.IntentHuman, c.intent().State)
	c.code("already_final", c.l.Unpin(ctx, c.id(), id, c.at))
	c.code("not_pinned", c.save(billing.IntentFinalized, id))
	c.code("moved_on", c.verify(id))
}

func (c *contract) note() audit.Entry {
	return audit.New(access.Operator("kim"), c.at, audit.CycleResumed, "cycle", c.p.CycleID).In(c.p.AccountID, account.Live)
}

func (c *contract) resume(reissue bool) (billing.CycleState, string) {
	c.t.Helper()
	state, reason, err := c.l.Resume(c.t.Context(), invoicing.Resumption{CycleID: c.p.CycleID, Reason: "mended", Reissue: reissue}, c.note())
	require.NoError(c.t, err)
	c.stands(state, reason)
	return state, reason
}

func resumed(c *contract) {
	ctx, id := c.t.Context(), "in_1"+c.id()
	require.NoError(c.t, c.l.Escalate(ctx, c.p.CycleID, "", "two_invoices", c.at))
	state, _ := c.resume(false)
	require.Equal(c.t, billing.Writing, state)
	require.Equal(c.t, billing.IntentPlanned, c.intent().State)
	c.pin(id)
	require.NoError(c.t, c.verify(id))
	require.NoError(c.t, c.l.Escalate(ctx, c.p.CycleID, id, "foreign_item", c.at))
	c.resume(false)
	require.Equal(c.t, billing.IntentPinned, c.intent().State)
	require.NoError(c.t, c.save(billing.IntentFinalized, id))
	require.NoError(c.t, c.l.Escalate(ctx, c.p.CycleID, id, "invoice_differs", c.at))
	c.resume(false)
	in := c.intent()
	require.Equal(c.t, billing.IntentFinalized, in.State)
	require.Equal(c.t, id, in.InvoiceID)
}

func reissued(c *contract) {
	ctx, id := c.t.Context(), "in_1"+c.id()
	c.pin(id)
	require.NoError(c.t, c.save(billing.IntentFinalized, id))
	require.NoError(c.t, c.l.Escalate(ctx, c.p.CycleID, id, "invoice_voided", c.at))
	c.resume(true)
	in := c.intent()
	require.Equal(c.t, billing.Intent{Plan: c.p, PlanHash: c.p.Hash(), State: billing.IntentPlanned, Generation: 1}, in.Intent)
	require.Equal(c.t, []string{id}, in.GivenUp)
	require.Nil(c.t, in.StripeTotal)
}

// superseded: another payer was named, and later the first one again.
func superseded(c *contract) {
	ctx, first, firstInvoice := c.t.Context(), c.p, "in_1"+c.id()
	c.pin(firstInvoice)
	require.NoError(c.t, c.l.Escalate(ctx, c.p.CycleID, firstInvoice, "payer_deleted", c.at))
	second := planFor(first.AccountID, first.Key.Customer+"new")
	require.NoError(c.t, c.l.Readdress(ctx, second, c.at))
	c.stands(billing.NeedsHuman, "payer_deleted")
	state, reason := c.resume(false)
	require.Equal(c.t, []any{billing.Blocked, billing.UnmetPayerChanged}, []any{state, reason})
	_, err := c.l.Intent(ctx, c.p.CycleID)
	c.code("intent_not_found", err)
	require.NoError(c.t, c.l.Readdress(ctx, second, c.at))
	c.stands(billing.Writing, "")
	require.Equal(c.t, second.Key.ID(), c.intent().ID)
	old, err := c.l.Superseded(ctx, c.p.CycleID)
	require.NoError(c.t, err)
	require.Len(c.t, old, 1)
	require.Equal(c.t, first, old[0].Plan)
	require.Equal(c.t, firstInvoice, old[0].InvoiceID)
	c.code("pinned_elsewhere", c.l.Pin(ctx, first.Key.ID(), firstInvoice, c.at))
	require.NoError(c.t, c.l.Retire(ctx, first.Key.ID(), c.at))
	old, err = c.l.Superseded(ctx, c.p.CycleID)
	require.NoError(c.t, err)
	require.Empty(c.t, old)

	require.NoError(c.t, c.l.Move(ctx, c.p.CycleID, billing.Blocked, billing.UnmetPayerEmail, c.at))
	require.NoError(c.t, c.l.Readdress(ctx, first, c.at))
	in := c.intent()
	require.Equal(c.t, first.Key.ID(), in.ID)
	require.Equal(c.t, []any{billing.IntentPlanned, "", 1}, []any{in.State, in.InvoiceID, in.Generation})
	require.Equal(c.t, []string{firstInvoice}, in.GivenUp)
}

func refusals(c *contract) {
	ctx := c.t.Context()
	for id, code := range map[string]string{c.p.CycleID: "not_waiting", "nobody.2026-10": "cycle_not_found"} {
		_, _, err := c.l.Resume(ctx, invoicing.Resumption{CycleID: id, Reason: "because"}, c.note())
		c.code(code, err)
	}
	rival := planFor(c.p.AccountID+"-rival", c.p.Key.Customer)
	rival.Key.IssuerConnection = c.p.Key.IssuerConnection
	require.Error(c.t, c.l.Begin(ctx, account.Live, rival, c.at), "nobody gets two invoices for one period")
}
