package httpapi_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/app/preview"
	"github.com/liftbill/liftbill/app/reconcile"
	domain "github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

func TestPayerIsNamedThroughTheAPI(t *testing.T) {
	t.Parallel()
	var given onboard.PayerInput
	e := newServer(t, &fakes{payer: func(in onboard.PayerInput) (onboard.Payer, error) {
		given = in
		return onboard.Payer{Account: account.Account{ID: in.AccountID, PayerCustomer: in.Customer}, Wanted: in.Customer == ""}, nil
	}})
	w, body := serve(t, e, request(http.MethodPost, "/v1/accounts/acme/payer", `{"customer":"cus_2","reason":"moved"}`))
	require.Equal(t, http.StatusOK, w.Code, w.Body.String())
	require.Equal(t, onboard.PayerInput{AccountID: "acme", Customer: "cus_2", Reason: "moved"}, given)
	require.Equal(t, map[string]any{"account_id": "acme", "customer": "cus_2", "wanted": false}, body)
	w, body = serve(t, e, request(http.MethodPost, "/v1/accounts/acme/payer", `{"name":"Acme","email":"a@b.example","reason":"new"}`))
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, true, body["wanted"])
	require.NotContains(t, w.Body.String(), "a@b.example", "the address is write-only")
}

func TestCycleIsResumedThroughTheAPI(t *testing.T) {
	t.Parallel()
	var given invoicing.Resumption
	out := invoicing.Outcome{CycleID: "acme.2026-10", State: billing.Writing}
	e := newServer(t, &fakes{resume: func(in invoicing.Resumption) (invoicing.Outcome, error) {
		given = in
		if in.Reason == "" {
			return invoicing.Outcome{}, fault.InvalidField("reason", "reason_missing", "say why")
		}
		return out, nil
	}})
	w, body := serve(t, e, request(http.MethodPost, "/v1/cycles/acme.2026-10/resume", `{"reason":"looked","reissue":true}`))
	require.Equal(t, http.StatusOK, w.Code, w.Body.String())
	require.Equal(t, invoicing.Resumption{CycleID: "acme.2026-10", Reason: "looked", Reissue: true}, given)
	require.Equal(t, map[string]any{"cycle_id": "acme.2026-10", "state": "writing", "next_action": "Run the cycle again"}, body)
	out.State, out.Reason = billing.Blocked, billing.UnmetPayerEmail
	_, body = serve(t, e, request(http.MethodPost, "/v1/cycles/acme.2026-10/resume", `{"reason":"looked"}`))
	require.Equal(t, billing.NextAction(billing.Blocked, billing.UnmetPayerEmail), body["next_action"])
	w, body = serve(t, e, request(http.MethodPost, "/v1/cycles/acme.2026-10/resume", `{"reason":""}`))
	require.Equal(t, http.StatusBadRequest, w.Code)
	require.Equal(t, "reason", body["field"])
}

// board takes one decision, and starts nothing that it was not asked for.
type board struct{ wish invoicing.Wish }

func (b *board) Decide(_ context.Context, _ domain.Principal, w invoicing.Wish) (invoicing.Standing, error) {
	if b.wish = w; w.PlanHash == "old" {
		return invoicing.Standing{}, fault.New(fault.Conflict, "plan_changed", "not the invoice that was seen").On("plan_hash")
	}
	return invoicing.Standing{CycleID: w.CycleID, State: billing.Approved, DecisionID: w.CycleID + "/1", Delivered: true}, nil
}

func (*board) Start(_ context.Context, _ domain.Principal, accountID, month string) (invoicing.Started, error) {
	return invoicing.Started{CycleID: accountID + "." + month, WorkflowID: "account-bill/live/" + accountID + "/" + month, Already: true}, nil
}

func (*board) Run(_ context.Context, _ domain.Principal, accountID, month string) (preview.Preview, error) {
	return preview.Preview{
		CycleID: accountID + "." + month, Environment: account.Live, Period: month, Currency: "usd", TotalMinor: 500, State: billing.Writing,
		Compared: &preview.Comparison{Changes: []preview.Change{{What: "bucket", Name: "unmapped", Currency: "eur", CountBefore: 2, CountAfter: 1, MinorBefore: 200, MinorAfter: 100}}},
	}, nil
}

func (b *board) RunOf(context.Context, account.Environment, string, string) billing.RunState {
	return billing.RunTerminated
}

func (b *board) History(context.Context, string) ([]preview.Revision, error) {
	changed := preview.Comparison{Changes: []preview.Change{{What: "total", Name: "invoice", Currency: "usd", MinorBefore: 500, MinorAfter: 600}}}
	return []preview.Revision{
		{Number: 1, Superseded: true, State: billing.Returned, Stored: preview.Preview{Currency: "usd", TotalMinor: 500, Lines: []preview.Line{{CaseID: "case-1"}}}},
		{Number: 2, Actor: "kim", Reason: "the mapping was wrong", State: billing.AwaitingApproval, Stored: preview.Preview{Currency: "usd", TotalMinor: 600}, Compared: &changed},
	}, nil
}

// TestACycleWhoseRunEndedSaysSo: a cycle that its run should take further, and that has none
// any more, is shown with what can be done.
func TestACycleWhoseRunEndedSaysSo(t *testing.T) {
	t.Parallel()
	b := &board{}
	e := newServer(t, &fakes{deciding: b, previews: b, tieOut: func(id string) (reconcile.TieOut, error) {
		return reconcile.TieOut{CycleSummary: reconcile.CycleSummary{ID: id, State: billing.Collecting, Currency: "usd", Revision: 1}}, nil
	}})
	w, body := serve(t, e, request(http.MethodGet, "/v1/cycles/acme.2026-10", ""))
	require.Equal(t, http.StatusOK, w.Code, w.Body.String())
	require.Equal(t, []any{"terminated", []any{"retry"}, []any{}}, []any{body["run"], body["next_steps"], body["actions"]})
	require.Contains(t, body["cycle"].(map[string]any)["next_action"], "terminated")
	w, body = serve(t, e, request(http.MethodGet, "/v1/cycles/acme.2026-10/revisions", ""))
	require.Equal(t, http.StatusOK, w.Code, w.Body.String())
	second := body["items"].([]any)[1].(map[string]any)
	require.Equal(t, "the mapping was wrong", second["reason"])
	require.Equal(t, "6.00 USD", second["compared"].(map[string]any)["changes"].([]any)[0].(map[string]any)["after"].(map[string]any)["formatted"])
}

func TestCyclesAreDecidedStartedAndPreviewedThroughTheAPI(t *testing.T) {
	t.Parallel()
	b := &board{}
	e := newServer(t, &fakes{deciding: b, previews: b})
	w, body := serve(t, e, request(http.MethodPost, "/v1/cycles/acme.2026-10/decisions", `{"action":"approve","invoice_hash":"9f","reason":"checked"}`))
	require.Equal(t, http.StatusOK, w.Code, w.Body.String())
	require.Equal(t, invoicing.Wish{CycleID: "acme.2026-10", Action: billing.ActApprove, PlanHash: "9f", Reason: "checked"}, b.wish)
	require.Equal(t, map[string]any{"cycle_id": "acme.2026-10", "state": "approved", "decision_id": "acme.2026-10/1", "delivered": true, "next_action": billing.NextAction(billing.Approved, "")}, body)
	w, body = serve(t, e, request(http.MethodPost, "/v1/cycles/acme.2026-10/decisions", `{"action":"approve","invoice_hash":"old"}`))
	require.Equal(t, []any{http.StatusConflict, "plan_changed"}, []any{w.Code, body["code"]})
	w, body = serve(t, e, request(http.MethodPost, "/v1/accounts/acme/cycles", `{"period":"2026-10"}`))
	require.Equal(t, http.StatusOK, w.Code, w.Body.String())
	require.Equal(t, map[string]any{"cycle_id": "acme.2026-10", "workflow_id": "account-bill/live/acme/2026-10", "already": true}, body)
	w, body = serve(t, e, request(http.MethodPost, "/v1/accounts/acme/previews", `{"period":"2026-10"}`))
	require.Equal(t, http.StatusOK, w.Code, w.Body.String())
	change := body["compared"].(map[string]any)["changes"].([]any)[0].(map[string]any)
	require.Equal(t, "1.00 EUR", change["after"].(map[string]any)["formatted"])
	require.Equal(t, false, body["over"])
}

func TestSetupLinkThroughTheAPI(t *testing.T) {
	t.Parallel()
	var err error
	e := newServer(t, &fakes{link: func(in invoicing.SetupRequest) (invoicing.SetupLink, error) {
		return invoicing.SetupLink{AccountID: in.AccountID, Customer: "cus_1", URL: "https://checkout.stripe.com/c/pay/cs_1", ExpiresAt: at.Add(24 * time.Hour)}, err
	}})
	const ask = `{"success_url":"https://vendor.example/thanks"}`
	w, body := serve(t, e, request(http.MethodPost, "/v1/accounts/acme/payer/setup-link", ask))
	require.Equal(t, http.StatusOK, w.Code, w.Body.String())
	require.Equal(t, "https://checkout.stripe.com/c/pay/cs_1", body["url"])
	err = fault.New(fault.Conflict, "dry_run", "a test account")
	w, body = serve(t, e, request(http.MethodPost, "/v1/accounts/acme/payer/setup-link", ask))
	require.Equal(t, http.StatusConflict, w.Code)
	require.Equal(t, "dry_run", body["code"])
}
