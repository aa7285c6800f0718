package webui_test

import (
	"context"
	"errors"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/webui"
	"github.com/liftbill/liftbill/app/trueups"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/fault"
)

// closings are the contracts that have ended.
type closings struct{ l *ledger }

func (c closings) Ended(_ context.Context, f trueups.EndedFilter) (trueups.EndedPage, error) {
	if c.l.due == nil || c.l.follows || f.AccountID != "" && f.AccountID != "acme" || f.Environment == "test" {
		return trueups.EndedPage{}, nil
	}
	return trueups.EndedPage{Items: []trueups.Ended{{AccountID: "acme", AccountName: "Acme Inc.", SettlementCycle: "acme.2026-12-settlement"}}, More: c.l.next != ""}, nil
}

func (c closings) Outstanding(context.Context, access.Principal, string) (trueups.Outstanding, error) {
	if c.l.dueErr != nil {
		return trueups.Outstanding{}, c.l.dueErr
	}
	return *c.l.due, nil
}

func (c closings) Close(_ context.Context, by access.Principal, accountID, reason string) ([]trueups.Credit, error) {
	c.l.started = by.ID + "|" + accountID + "|" + reason
	return nil, c.l.refusal
}

// TestTrueUpsOfEndedContractsAreSeen: the adjustments name the contracts that have ended; for a
// chosen one they say what is owed to the payer and what settles it, and whoever may has it
// proposed there.
func TestTrueUpsOfEndedContractsAreSeen(t *testing.T) {
	t.Parallel()
	l, d := fixture(), &door{caller: signedIn()}
	e := newDoor(l, d, webui.Options{})
	const account, chosen, form = "/adjustments?account=acme", "/adjustments?account=acme&due=1", "/accounts/acme/true-ups"
	require.NotContains(t, open(t, e, "/adjustments").text, "Contracts that have ended")
	l.due = &trueups.Outstanding{AccountID: "acme", AccountName: "Acme Inc.", SettlementCycle: "acme.2026-12-settlement", Currency: "usd", Open: true, State: trueups.Booked, DueMinor: -1_234}
	require.Contains(t, open(t, e, "/adjustments").links, account)
	require.NotContains(t, open(t, e, "/adjustments").text, "there are more")
	require.NotContains(t, open(t, e, "/adjustments?environment=test").text, "Contracts that have ended", "it is a live one")
	l.next = "more"
	require.Contains(t, open(t, e, "/adjustments").text, "there are more: choose any other account in the filter above")
	l.next = ""
	l.dueErr = fault.New(fault.Unavailable, "temporarily_gone", "the database does not answer").Fix("Try again")
	p := open(t, e, account)
	require.Contains(t, p.links, chosen, "it is worked out for whoever asks")
	require.NotContains(t, p.text, "What is due is not known")
	require.NotContains(t, p.links, form)
	for told, err := range map[string]error{"The database does not answer. Try again.": l.dueErr, "Request": errors.New("secret")} {
		l.dueErr = err
		p = open(t, e, chosen)
		require.Equal(t, 200, p.status)
		require.Contains(t, p.text, "a pilot was free", "the list stays")
		require.Contains(t, p.text, "What is due is not known. "+told)
		require.NotContains(t, p.text, "secret")
	}
	l.dueErr = nil
	for role, may := range map[access.Role]bool{access.Viewer: false, access.Approver: false, access.Finance: true} {
		d.caller.Roles = access.Roles{role}
		p := open(t, e, chosen)
		require.Contains(t, p.text, "12.34 USD is owed to the payer")
		require.Contains(t, p.text, "liftbill cycle trueup --account acme")
		if may {
			require.Contains(t, p.links, form)
		} else {
			require.NotContains(t, p.links, form, role)
		}
	}
	d.caller.Roles = access.Roles{access.Finance}
	w := send(t, e, "POST", form, url.Values{"reason": {"it ended"}})
	require.Equal(t, 303, w.Code)
	require.Equal(t, "/adjustments?account=acme&state=proposed", w.Header().Get("Location"))
	require.Equal(t, d.caller.ID+"|acme|it ended", l.started)
	l.refusal = fault.New(fault.Conflict, "cycles_follow", "account acme has cycles after its settlement")
	w = send(t, e, "POST", form, url.Values{"reason": {"it ended"}})
	require.Equal(t, 422, w.Code)
	require.Contains(t, w.Body.String(), "has cycles after its settlement")
	require.NotContains(t, w.Body.String(), "is owed to the payer", "a refusal works nothing out")
	require.Contains(t, w.Body.String(), form, "and can be sent again")
	l.follows = true
	w = send(t, e, "POST", form, url.Values{"reason": {"it ended"}})
	require.Equal(t, 422, w.Code)
	require.Contains(t, w.Body.String(), "has cycles after its settlement", "also where the account is no ended one any more")
	require.NotContains(t, open(t, e, "/adjustments").text, "Contracts that have ended")
	l.follows = false

	l.due.DueMinor, l.due.State = 0, trueups.NothingNew
	p = open(t, e, chosen)
	require.Contains(t, p.text, "Nothing is owed to the payer.")
	require.NotContains(t, p.links, form)
	l.due.State, l.due.Reason = trueups.NotMeasured, "the holdout has no payer left"
	require.Contains(t, open(t, e, chosen).text, "The holdout has no payer left. Agree with the payer")
	l.due.Open, l.due.Reason = false, ""
	require.Contains(t, open(t, e, chosen).text, "true the year up no more")
}
