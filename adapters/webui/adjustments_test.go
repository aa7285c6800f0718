package webui_test

import (
	"context"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/webui"
	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

func (l *ledger) Adjustments(_ context.Context, f reconcile.AdjustmentsFilter) (reconcile.Page[reconcile.Adjustment], error) {
	l.adjustedAsked = f
	if l.accounts == nil {
		return reconcile.Page[reconcile.Adjustment]{}, l.err
	}
	page := reconcile.Page[reconcile.Adjustment]{NextCursor: l.more(f.Cursor), Items: []reconcile.Adjustment{
		{Key: "acme.2026-10.c1", AccountID: "acme", AccountName: "Acme Inc.", Environment: account.Live, OriginCycle: "acme.2026-10", OriginPeriod: "2026-10", Line: "trial-nudge-7", Cause: "correction", Kind: "credit_before_payment", Reason: "a pilot was free", State: "proposed", Currency: "usd", AmountMinor: -10_000, By: "Finn", RecordedAt: now},
		{Key: "acme.2026-09.c1", AccountID: "acme", AccountName: "Acme Inc.", Environment: account.Live, OriginCycle: "acme.2026-10", OriginPeriod: "2026-09", Line: "trial-nudge-7", Cause: "refund", Kind: "true_up", State: "applied", Currency: "usd", AmountMinor: -2_000, RevenueMinor: ptr[int64](-9_900), LiftMinor: ptr[int64](-10_000), BookedBy: "acme.2026-10", SettlementCycle: "acme.2026-10", SettledCase: caseGood, RemeasuredCase: caseAgain, AppliedCycle: "acme.2026-10", AppliedPeriod: "2026-10", RecordedAt: now.Add(-time.Hour)},
	}}
	if l.alsoTest {
		page.Items = append(page.Items, reconcile.Adjustment{Key: "sandbox.2026-09.c1", AccountID: "sandbox", AccountName: "Acme sandbox", Environment: account.Test, OriginCycle: "sandbox.2026-09", OriginPeriod: "2026-09", Cause: "refund", Kind: "true_up", State: "due", Currency: "usd", AmountMinor: -700, RecordedAt: now})
	}
	return page, l.err
}

func (l *ledger) CorrectionsOf(context.Context, string) ([]invoicing.Correction, error) {
	return []invoicing.Correction{{ID: "acme.2026-10.c1", CycleID: "acme.2026-10", Number: 1, Kind: billing.CorrectBefore, Line: "trial-nudge-7", AmountMinor: 10_000, Currency: "usd", Reason: "a pilot was free", State: invoicing.CorrectionProposed, ProposedBy: "Finn", ProposedAt: now}}, l.err
}
func (l *ledger) ProposeCorrection(_ context.Context, _ access.Principal, w invoicing.Wanted) (invoicing.Correction, error) {
	l.wanted = w
	return invoicing.Correction{}, l.refusal
}
func (l *ledger) ApproveCorrection(_ context.Context, _ access.Principal, id string) (invoicing.Correction, error) {
	l.worked = append(l.worked, "approve|"+id)
	return invoicing.Correction{}, l.refusal
}
func (l *ledger) WithdrawCorrection(_ context.Context, _ access.Principal, id, reason string) (invoicing.Correction, error) {
	l.worked = append(l.worked, "withdraw|"+id+"|"+reason)
	return invoicing.Correction{}, l.refusal
}

func TestAdjustments(t *testing.T) {
	t.Parallel()
	l := fixture()
	e := newDoor(l, &door{caller: signedIn()}, webui.Options{})
	p := open(t, e, "/adjustments?account=acme&period=2026-10&cause=refund&state=applied")
	require.Equal(t, reconcile.AdjustmentsFilter{Scope: access.Everything(), AccountID: "acme", OriginPeriod: "2026-10", Cause: "refund", State: "applied", Limit: 100}, l.adjustedAsked)
	require.Equal(t, []string{"-99.00 USD", "-100.00 USD", "-20.00 USD"}, p.row(t, "true up")[7:10])
	require.Equal(t, "0.00 USD", p.row(t, "true up")[11], "nothing was carried on, which is known")
	require.Equal(t, "–", p.row(t, "credit before payment")[11])
	require.Equal(t, "-120.00 USD", p.row(t, "Total USD")[9])
	require.Contains(t, p.links, "/cycles/acme.2026-10/corrections")
	require.Contains(t, p.links, "/cycles/acme.2026-10/lines/trial-nudge-7")
	require.Equal(t, []string{caseGood, caseAgain}, p.row(t, "true up")[15:17])
	require.Equal(t, []string{"–", "–"}, p.row(t, "credit before payment")[15:17], "a person's correction measures nothing")
	require.Contains(t, p.links, "/readouts/"+caseAgain)
	again := open(t, e, "/readouts/"+caseAgain)
	require.Contains(t, again.text, "Measured again: the year's lift still passes")
	require.Contains(t, again.text, "Look 2 at the settled year")
	require.NotContains(t, again.text, "Base of this cycle", "nothing is billed on it")
	for _, link := range []string{"/readouts/" + caseGood, "/adjustments?account=acme", "/cycles/acme.2026-10", "/v1/readouts/" + caseAgain + "/manifest"} {
		require.Contains(t, again.links, link)
	}
	p = open(t, e, "/adjustments?environment=live&state=due")
	require.Equal(t, "live", l.adjustedAsked.Environment)
	require.Contains(t, p.links, "/adjustments.csv?environment=live&state=due", "the filter is passed on")
	require.Contains(t, p.text, "Real money")
	l.alsoTest = true
	p = open(t, e, "/adjustments")
	require.Equal(t, []string{"-120.00 USD", "-7.00 USD"}, []string{p.row(t, "Total USD LIVE")[9], p.row(t, "Total USD TEST")[9]}, "live and test never meet")
	l.accounts = nil
	require.Contains(t, open(t, e, "/adjustments").text, "Nothing was adjusted")
}

func TestCorrectionsOnThePage(t *testing.T) {
	t.Parallel()
	l, d := fixture(), &door{caller: signedIn()}
	d.caller.Roles = access.Roles{access.Finance}
	e := newDoor(l, d, webui.Options{})
	const at = "/cycles/acme.2026-10/corrections"
	p := open(t, e, at)
	require.Contains(t, p.html, `action="`+at+`/1/withdraw"`)
	require.NotContains(t, p.html, `action="`+at+`/1/approve"`, "who proposes does not approve")
	require.Contains(t, p.html, `value="trial-nudge-7"`)
	require.Equal(t, 303, send(t, e, "POST", at, url.Values{"line": {"trial-nudge-7"}, "amount": {"100.00"}, "how": {"credit"}, "reason": {"a pilot was free"}}).Code)
	require.Equal(t, invoicing.Wanted{CycleID: "acme.2026-10", Line: "trial-nudge-7", TooMuchMinor: 10_000, Reason: "a pilot was free"}, l.wanted)
	send(t, e, "POST", at, url.Values{"line": {"trial-nudge-7"}, "amount": {"-5"}, "how": {"next_cycle"}, "reason": {"x"}})
	require.Equal(t, invoicing.Wanted{CycleID: "acme.2026-10", Line: "trial-nudge-7", TooMuchMinor: -500, Reason: "x", NextCycle: true}, l.wanted)
	send(t, e, "POST", at, url.Values{"how": {"void"}, "reason": {"wrong payer"}})
	require.Equal(t, invoicing.Wanted{CycleID: "acme.2026-10", Reason: "wrong payer", Void: true}, l.wanted)
	require.Equal(t, 422, send(t, e, "POST", at, url.Values{"line": {"trial-nudge-7"}, "amount": {"some"}}).Code)
	require.Equal(t, 303, send(t, e, "POST", at+"/1/withdraw", url.Values{"reason": {"a mistake"}}).Code)
	require.Equal(t, 303, send(t, e, "POST", at+"/1/approve", nil).Code)
	require.Equal(t, []string{"withdraw|" + billing.CorrectionID("acme.2026-10", 1) + "|a mistake", "approve|" + billing.CorrectionID("acme.2026-10", 1)}, l.worked)
	require.Equal(t, 404, send(t, e, "POST", at+"/one/approve", nil).Code)
	l.refusal = fault.New(fault.Forbidden, "four_eyes", "whoever proposed it does not approve it")
	require.Equal(t, 422, send(t, e, "POST", at+"/1/approve", nil).Code)
	d.caller.Roles = access.Roles{access.Approver}
	require.Contains(t, open(t, e, at).html, `action="`+at+`/1/approve"`)
}
