package httpapi_test

import (
	"encoding/json"
	"errors"
	"iter"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/decisions"
	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
)

func TestCreateAnswers(t *testing.T) {
	t.Parallel()
	var given onboard.ConnectionInput
	created := true
	e := newServer(t, &fakes{connect: func(in onboard.ConnectionInput) (account.Connection, bool, error) {
		given = in
		return account.Connection{ID: in.ID, Environment: account.Live, Roles: account.Roles{Source: true}, KeyMask: "rk_live_…cret"}, created, nil
	}})
	w, body := serve(t, e, request(http.MethodPost, "/v1/connections", connection))
	require.Equal(t, http.StatusCreated, w.Code)
	require.Equal(t, "rk_live_verysecret", given.SecretKey)
	require.NotContains(t, w.Body.String(), "verysecret", "keys are write-only")
	require.Equal(t, "rk_live_…cret", body["key_mask"])
	created = false
	w, _ = serve(t, e, request(http.MethodPost, "/v1/connections", connection))
	require.Equal(t, http.StatusOK, w.Code)

	w, _ = serve(t, e, request(http.MethodPost, "/v1/connections/acme/webhook-endpoint", ""))
	require.Equal(t, http.StatusCreated, w.Code)
	require.NotContains(t, w.Body.String(), "whsec")
	w, _ = serve(t, e, request(http.MethodPost, "/v1/accounts", `{"id":"acme","environment":"live","name":"Acme","source_connection":"acme"}`))
	require.Equal(t, http.StatusCreated, w.Code)
}

func TestContractTakesDefaults(t *testing.T) {
	t.Parallel()
	e := newServer(t, &fakes{contract: func(terms billing.Terms) (billing.Contract, bool, error) {
		c, err := billing.NewContract("c", "acme", account.Live, 1, terms, at)
		return c, true, err
	}})
	w, body := serve(t, e, request(http.MethodPost, "/v1/accounts/acme/contracts", `{"id":"c","first_period":"2026-10","basis":"proven"}`))
	require.Equal(t, http.StatusCreated, w.Code, w.Body.String())
	require.Equal(t, "0.20", body["share"])
	require.Equal(t, true, body["portfolio_cap"], "the basis decides")
	require.EqualValues(t, 30, body["days_until_due"])
	require.Equal(t, "proven_lift", body["settlement"])
	risk := body["known_risk"].(map[string]any)
	require.Contains(t, risk["statement"], "Known overbilling risk (simulated contract years, proven, proven_lift)")
	require.InDelta(t, 3, risk["null_sticky"], 0)

	w, body = serve(t, e, request(http.MethodPost, "/v1/accounts/acme/contracts", `{"id":"c","first_period":"2026-10","settlement":"proven_then_point"}`))
	require.Equal(t, http.StatusBadRequest, w.Code, "the measured basis bills the point already")
	require.Equal(t, "settlement", body["field"])

	w, body = serve(t, e, request(http.MethodPost, "/v1/accounts/acme/contracts", `{"id":"c","first_period":"2026-10","portfolio_cap":true,"case_ids_in_metadata":false,"collection_method":"charge_automatically"}`))
	require.Equal(t, http.StatusCreated, w.Code, w.Body.String())
	require.Equal(t, true, body["portfolio_cap"])
	require.Equal(t, false, body["case_ids_in_metadata"])
	require.EqualValues(t, 0, body["days_until_due"])

	w, body = serve(t, e, request(http.MethodPost, "/v1/accounts/acme/contracts", `{"id":"c","first_period":"2026-10","days_until_due":0}`))
	require.Equal(t, http.StatusBadRequest, w.Code, "a zero that was written is no default")
	require.Equal(t, "days_until_due", body["field"])
}

func TestPlanIsSealedWithEveryDefault(t *testing.T) {
	t.Parallel()
	e := newServer(t, &fakes{seal: func(in onboard.PlanInput) (onboard.StoredPlan, bool, error) {
		in.Plan.SaltCommitment = strings.Repeat("0", 64)
		sealed, err := in.Plan.Seal(at)
		return onboard.StoredPlan{ID: in.ID, AccountID: "acme", Environment: account.Live, Plan: sealed}, true, err
	}})
	w, body := serve(t, e, request(http.MethodPost, "/v1/accounts/acme/plans",
		`{"id":"p","salt":"00112233445566778899aabbccddeeff","first_period":"2026-10","unit":"user","baseline":"none","holdout_probability":"0.5","thresholds":{"min_units":10}}`))
	require.Equal(t, http.StatusCreated, w.Code, w.Body.String())
	require.NotContains(t, w.Body.String(), "00112233", "the salt is write-only")
	raw, err := json.Marshal(body["plan"])
	require.NoError(t, err)
	var got lift.Plan
	require.NoError(t, json.Unmarshal(raw, &got))
	want := lift.DefaultThresholds()
	want.MinUnits = 10
	require.Empty(t, cmp.Diff(want, got.Thresholds))
	require.Equal(t, "3.290527", got.ErrorBudget.ZLine)
	require.Equal(t, lift.DefaultFolds, got.Folds)
	require.Equal(t, lift.RandomisedHoldout, got.Randomisation)
}

func upload(body string) *http.Request {
	r := request(http.MethodPost, "/v1/accounts/acme/decisions", body)
	r.Header.Set("Content-Type", "application/x-ndjson; charset=utf-8")
	return r
}

func TestUploadAnswers(t *testing.T) {
	t.Parallel()
	bad := []decisions.BadRow{{Row: 17, Field: "propensity", Code: "propensity_sum", Message: "the probabilities sum to 0.9"}}
	for name, tc := range map[string]struct {
		result decisions.Result
		err    error
		status int
		code   string
	}{
		"all good":    {decisions.Result{Accepted: 3}, nil, 200, ""},
		"all known":   {decisions.Result{Duplicates: 3}, nil, 200, ""},
		"some bad":    {decisions.Result{Accepted: 2, Rejected: 1, BadRows: bad}, nil, 200, ""},
		"all bad":     {decisions.Result{Rejected: 3, BadRows: bad}, nil, 422, "rows_rejected"},
		"no rows":     {decisions.Result{}, nil, 400, "body_empty"},
		"no account":  {decisions.Result{}, fault.New(fault.NotFound, "account_unknown", "no"), 404, "account_unknown"},
		"store fails": {decisions.Result{}, errors.New("boom"), 500, "internal"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newServer(t, &fakes{append: func(iter.Seq[decisions.Row]) (decisions.Result, error) { return tc.result, tc.err }})
			w, body := serve(t, e, upload("x\n"))
			require.Equal(t, tc.status, w.Code, w.Body.String())
			if tc.code != "" {
				require.Equal(t, tc.code, body["code"])
				require.NotEmpty(t, body["request_id"])
			}
			if tc.result.Rejected > 0 {
				row := body["rows"].([]any)[0].(map[string]any)
				require.Equal(t, map[string]any{"row": 17.0, "field": "propensity", "code": "propensity_sum", "message": "the probabilities sum to 0.9"}, row)
			}
		})
	}
}

func TestUploadThatBreaksOffSaysWhatIsStored(t *testing.T) {
	t.Parallel()
	e := newServer(t, &fakes{append: func(rows iter.Seq[decisions.Row]) (decisions.Result, error) {
		n := 0
		for range rows {
			n++
		}
		return decisions.Result{Accepted: n}, nil
	}})
	r := upload("x\ny\n")
	r.Body = broken{r.Body}
	w, body := serve(t, e, r)
	require.Equal(t, http.StatusBadRequest, w.Code)
	require.Equal(t, "upload_cut", body["code"])
	require.Contains(t, body["detail"], "2 new")
}

func TestManifestKeepsItsBytes(t *testing.T) {
	t.Parallel()
	manifest := "{\"b\":1,\"a\":\"<&>\"}"
	e := newServer(t, &fakes{readout: func(id string) (reconcile.Readout, error) {
		return reconcile.Readout{CaseID: id, Manifest: manifest}, nil
	}})
	w, _ := serve(t, e, request(http.MethodGet, "/v1/readouts/abc/manifest", ""))
	require.Equal(t, manifest, w.Body.String())
	require.Equal(t, `"abc"`, w.Header().Get("ETag"))
	r := request(http.MethodGet, "/v1/readouts/abc/manifest", "")
	r.Header.Set("If-None-Match", `W/"x", "abc"`)
	w, _ = serve(t, e, r)
	require.Equal(t, http.StatusNotModified, w.Code)
	require.Zero(t, w.Body.Len())
}

func TestReadoutWithoutNumbers(t *testing.T) {
	t.Parallel()
	e := newServer(t, &fakes{readout: func(id string) (reconcile.Readout, error) {
		return reconcile.Readout{CaseID: id, Currency: "usd", Lift: math.NaN(), SE: math.Inf(1), Bound: -1.5, FeeMinor: 412050}, nil
	}})
	w, body := serve(t, e, request(http.MethodGet, "/v1/readouts/abc", ""))
	require.Equal(t, http.StatusOK, w.Code, w.Body.String())
	estimate := body["estimate"].(map[string]any)
	require.Nil(t, estimate["lift"])
	require.Nil(t, estimate["standard_error"])
	require.InDelta(t, -1.5, estimate["bound"], 0)
	require.Equal(t, map[string]any{"minor": 412050.0, "currency": "usd", "formatted": "4,120.50 USD"}, body["fee"])
}

func TestListsPassTheirFiltersOn(t *testing.T) {
	t.Parallel()
	var cycles reconcile.CyclesFilter
	var events reconcile.RewardEventsFilter
	var invoices reconcile.InvoicesFilter
	total, zero, amount := int64(500), int64(0), int64(-500)
	e := newServer(t, &fakes{
		cycles: func(f reconcile.CyclesFilter) (reconcile.Page[reconcile.CycleSummary], error) {
			cycles = f
			return reconcile.Page[reconcile.CycleSummary]{NextCursor: "n", Items: []reconcile.CycleSummary{
				{ID: "a.2026-10", Currency: "usd", State: billing.Invoiced, EngineMinor: 500, StripeMinor: &total, DifferenceMinor: &zero, StripeInvoiceID: "in_1"},
				{ID: "b.2026-10", Currency: "usd", State: billing.Withheld, Shadow: true},
			}}, nil
		},
		invoices: func(f reconcile.InvoicesFilter) (reconcile.Page[reconcile.InvoiceRow], error) {
			invoices = f
			return reconcile.Page[reconcile.InvoiceRow]{NextCursor: "n2", Items: []reconcile.InvoiceRow{{CycleID: "a.2026-10", InvoiceID: "in_1", Currency: "jpy", EngineMinor: 500, Attempts: 3, EvidenceDigest: "9d31"}}}, nil
		},
		events: func(f reconcile.RewardEventsFilter) (reconcile.Page[reconcile.RewardEvent], error) {
			events = f
			return reconcile.Page[reconcile.RewardEvent]{Items: []reconcile.RewardEvent{{Kind: "refund", AmountMinor: &amount, Currency: "usd"}, {Kind: "churn"}}}, nil
		},
	})
	_, body := serve(t, e, request(http.MethodGet, "/v1/cycles?period=2026-10&state=invoiced&account=acme&environment=live&mode=shadow&limit=7&cursor=c", ""))
	require.Empty(t, cmp.Diff(reconcile.CyclesFilter{Scope: access.Everything(), Period: "2026-10", State: "invoiced", AccountID: "acme", Environment: "live", Mode: "shadow", Limit: 7, Cursor: "c"}, cycles))
	items := body["items"].([]any)
	require.Equal(t, "0.00 USD", items[0].(map[string]any)["difference"].(map[string]any)["formatted"])
	require.NotContains(t, items[1], "stripe_total", "empty and zero are different")
	require.Equal(t, []any{"live", "shadow"}, []any{items[0].(map[string]any)["mode"], items[1].(map[string]any)["mode"]})
	require.Equal(t, "n", body["next_cursor"])

	_, body = serve(t, e, request(http.MethodGet, "/v1/invoices?period=2026-10&account=acme&status=open&currency=jpy&min_minor=5&sort=amount&q=in_1&limit=7&cursor=c&from=2026-11-01T00:00:00Z&to=2026-12-01T00:00:00Z&due_before=2026-11-20T00:00:00Z&dispute=lost&metadata=lb_revision%3D2&po_number=PO-1", ""))
	least := int64(5)
	require.Empty(t, cmp.Diff(reconcile.InvoicesFilter{
		Scope: access.Everything(), Period: "2026-10", AccountID: "acme", Status: "open", Search: "in_1", Currency: "jpy", MinMinor: &least, AtStripe: true, Sort: "amount", Cursor: "c", Limit: 7,
		From: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), To: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC), DueBefore: time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC), Dispute: "lost", Metadata: "lb_revision=2", PONumber: "PO-1",
	}, invoices))
	require.Equal(t, "500 JPY", body["items"].([]any)[0].(map[string]any)["engine_total"].(map[string]any)["formatted"])
	require.Equal(t, []any{3.0, "9d31"}, []any{body["items"].([]any)[0].(map[string]any)["attempts"], body["items"].([]any)[0].(map[string]any)["evidence_digest"]})
	require.Equal(t, "n2", body["next_cursor"])

	_, body = serve(t, e, request(http.MethodGet, "/v1/accounts/acme/reward-events?kind=refund&period=2026-10&mapped=no&q=cus_1", ""))
	require.Empty(t, cmp.Diff(reconcile.RewardEventsFilter{AccountID: "acme", Kind: "refund", Period: "2026-10", Mapped: "no", Search: "cus_1"}, events))
	items = body["items"].([]any)
	require.Equal(t, "-5.00 USD", items[0].(map[string]any)["amount"].(map[string]any)["formatted"])
	require.NotContains(t, items[1], "amount")

	_, body = serve(t, e, request(http.MethodGet, "/v1/accounts/acme/readouts", ""))
	require.Equal(t, []any{}, body["items"], "an empty list is []")
}

func TestShortListsArePaged(t *testing.T) {
	t.Parallel()
	e := newServer(t, &fakes{connections: []account.Connection{{ID: "c"}, {ID: "a"}, {ID: "b"}}})
	var seen []string
	cursor := ""
	for range 3 {
		_, body := serve(t, e, request(http.MethodGet, "/v1/connections?limit=1&cursor="+cursor, ""))
		items := body["items"].([]any)
		require.Len(t, items, 1)
		seen = append(seen, items[0].(map[string]any)["id"].(string))
		cursor, _ = body["next_cursor"].(string)
	}
	require.Equal(t, []string{"a", "b", "c"}, seen)
	require.Empty(t, cursor)
	_, body := serve(t, e, request(http.MethodGet, "/v1/connections/b", ""))
	require.Equal(t, "b", body["id"])
	w, body := serve(t, e, request(http.MethodGet, "/v1/connections/x", ""))
	require.Equal(t, http.StatusNotFound, w.Code)
	require.Equal(t, "connection_not_found", body["code"])
}

// What a caller gives arrives at the use case within the caller's scope, and what comes back
// leaves out what is not known.
func TestOverviewsPassTheirFiltersOn(t *testing.T) {
	t.Parallel()
	lift := int64(-250)
	f := &fakes{
		accounts:    []reconcile.Overview{{ID: "acme", HasEvents: true, LastEventAt: &at}},
		snapshots:   []reconcile.Snapshot{{AccountID: "acme", ID: "s-1", ShippedAt: at, Currency: "usd", BilledMinor: &lift}},
		adjustments: []reconcile.Adjustment{{Key: "k", AccountID: "acme", Currency: "jpy", OriginCycle: "acme.2026-09", Line: "s-1", Cause: "refund", AmountMinor: -50, LiftMinor: &lift, State: reconcile.AdjustmentDue}},
		approvals:   []reconcile.Approval{{ID: "a~acme.2026-10", State: "waiting", Subject: "cycle", SubjectID: "acme.2026-10", Action: "approve", AmountMinor: &lift, Currency: "usd", At: at}},
	}
	e := newServer(t, f)
	first := func(path string) map[string]any {
		w, body := serve(t, e, request(http.MethodGet, path, ""))
		require.Equal(t, http.StatusOK, w.Code, w.Body.String())
		return body["items"].([]any)[0].(map[string]any)
	}
	row := first("/v1/accounts?environment=live&q=ac&sort=id_desc&limit=3&cursor=c")
	require.Equal(t, true, row["has_events"])
	require.Empty(t, cmp.Diff(reconcile.AccountsFilter{Scope: access.Everything(), Environment: "live", Search: "ac", Sort: "id_desc", Cursor: "c", Limit: 3}, f.accountsAsked))
	row = first("/v1/snapshots?account=acme&verdict=passed&q=s-1&sort=name_asc&limit=3&cursor=c")
	require.Equal(t, "-2.50 USD", row["billed"].(map[string]any)["formatted"])
	require.NotContains(t, row, "fees")
	require.Empty(t, cmp.Diff(reconcile.SnapshotsFilter{Scope: access.Everything(), AccountID: "acme", Verdict: "passed", Search: "s-1", Sort: "name_asc", Cursor: "c", Limit: 3}, f.snapshotsAsked))
	row = first("/v1/adjustments?account=acme&environment=live&origin_period=2026-09&applied_period=2026-10&cause=refund&state=due&limit=3&cursor=c")
	require.Equal(t, "-50 JPY", row["amount"].(map[string]any)["formatted"])
	require.NotContains(t, row, "applied")
	require.NotContains(t, row, "revenue")
	require.Empty(t, cmp.Diff(reconcile.AdjustmentsFilter{
		Scope: access.Everything(), AccountID: "acme", Environment: "live", OriginPeriod: "2026-09", AppliedPeriod: "2026-10", Cause: "refund", State: "due", Cursor: "c", Limit: 3,
	}, f.adjustmentsAsked))
	row = first("/v1/approvals?state=waiting&subject=cycle&account=acme&environment=live&period=2026-10&limit=3&cursor=c")
	require.Equal(t, "acme.2026-10", row["subject_id"])
	require.Empty(t, cmp.Diff(reconcile.ApprovalsFilter{
		Scope: access.Everything(), State: "waiting", Subject: "cycle", AccountID: "acme", Environment: "live", Period: "2026-10", Cursor: "c", Limit: 3,
	}, f.approvalsAsked))

	_, body := serve(t, e, request(http.MethodGet, "/v1/accounts/acme", ""))
	require.InDelta(t, 9, body["stripe_events"], 0)
	_, body = serve(t, e, request(http.MethodGet, "/v1/accounts/acme/plans", ""))
	require.Equal(t, []any{}, body["items"])
}

func TestTieOut(t *testing.T) {
	t.Parallel()
	e := newServer(t, &fakes{tieOut: func(id string) (reconcile.TieOut, error) {
		if id != "acme.2026-10" {
			return reconcile.TieOut{}, fault.New(fault.NotFound, "cycle_unknown", "there is no cycle %q", id)
		}
		return reconcile.TieOut{CycleSummary: reconcile.CycleSummary{ID: id, Currency: "jpy"}, PaidRevenueMinor: 1000, FinalizedAt: &at,
			Buckets: []reconcile.BucketSum{{Bucket: "snapshot", SnapshotID: "s", AmountMinor: 1000}}, Lines: []reconcile.Line{{FeeMinor: 7}},
			Steps: []reconcile.Step{{Number: 1}}, Attempts: []reconcile.Attempt{{RequestID: "req_1"}}}, nil
	}})
	w, body := serve(t, e, request(http.MethodGet, "/v1/cycles/acme.2026-10", ""))
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, "1,000 JPY", body["paid_revenue"].(map[string]any)["formatted"])
	require.Len(t, body["lines"], 1)
	w, body = serve(t, e, request(http.MethodGet, "/v1/cycles/other", ""))
	require.Equal(t, http.StatusNotFound, w.Code)
	require.Equal(t, "cycle_unknown", body["code"])
}

func TestHealth(t *testing.T) {
	t.Parallel()
	w, _ := serve(t, newServer(t, &fakes{}), request(http.MethodGet, "/readyz", ""))
	require.Equal(t, http.StatusOK, w.Code)
	w, body := serve(t, newServer(t, &fakes{ready: errors.New("dial tcp 10.0.0.9")}), request(http.MethodGet, "/readyz", ""))
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Equal(t, "not_ready", body["code"])
	require.NotContains(t, w.Body.String(), "10.0.0.9")
}
