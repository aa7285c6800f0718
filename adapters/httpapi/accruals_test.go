package httpapi_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/accrual"
	"github.com/liftbill/liftbill/app/reconcile"
	domain "github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

// figures answers with one accrual and keeps what was asked.
type figures struct{ asked accrual.Filter }

func (f *figures) Accruals(_ context.Context, q accrual.Filter) (accrual.Page, error) {
	f.asked = q
	a, _ := f.Run(context.Background(), domain.Principal{}, "acme", "2026-10")
	realised := int64(25_000)
	a.State, a.RealisedMinor = billing.Invoiced, &realised
	return accrual.Page{Items: []accrual.Accrual{a}, NextCursor: "x~y"}, nil
}

func (f *figures) Run(_ context.Context, _ domain.Principal, accountID, month string) (accrual.Accrual, error) {
	if month == "2026-09" {
		return accrual.Accrual{}, fault.New(fault.Conflict, "accrual_closed", "it is frozen")
	}
	return accrual.Accrual{
		AccountID: accountID, Environment: account.Live, Period: month, AsOf: at, Run: "night/2026-10-30", By: "system:accruals",
		Accrual: billing.Accrual{Currency: "usd", Phase: billing.PhaseFull, Low: billing.Accrued{PerformanceMinor: 10_000}, Expected: billing.Accrued{PerformanceMinor: 15_000, FixedMinor: 5_000}, HighMinor: 30_000,
			Lines: []billing.AccruedLine{{SnapshotID: "a", HasEstimate: true, PointMinor: 75_000, BoundMinor: 50_000, UpperMinor: 100_000, ExpectedMinor: 15_000}}},
	}, nil
}

func TestAccrualsThroughTheAPI(t *testing.T) {
	t.Parallel()
	f := &figures{}
	e := newServer(t, &fakes{accruals: f})
	w, body := serve(t, e, request(http.MethodGet, "/v1/accruals?account=acme&period=2026-10&environment=live&closed=closed&history=true&limit=7&cursor=a~b", ""))
	require.Equal(t, http.StatusOK, w.Code, w.Body.String())
	f.asked.Scope = domain.Scope{}
	require.Equal(t, accrual.Filter{AccountID: "acme", Period: "2026-10", Environment: "live", Closed: "closed", History: true, Cursor: "a~b", Limit: 7}, f.asked)
	require.Equal(t, "x~y", body["next_cursor"])
	item := body["items"].([]any)[0].(map[string]any)
	formatted := func(name string) string { return item[name].(map[string]any)["formatted"].(string) }
	require.Equal(t, []string{"100.00 USD", "200.00 USD", "300.00 USD", "250.00 USD", "50.00 USD"}, []string{formatted("low"), formatted("expected"), formatted("high"), formatted("realised"), formatted("off")})
	require.Equal(t, []any{true, "acme.2026-10", false}, []any{item["within"], item["cycle_id"], item["over"]})
	w, body = serve(t, e, request(http.MethodPost, "/v1/accounts/acme/accruals", `{"period":"2026-10"}`))
	require.Equal(t, http.StatusCreated, w.Code, w.Body.String())
	require.NotContains(t, body, "realised", "the month is open")
	w, body = serve(t, e, request(http.MethodPost, "/v1/accounts/acme/accruals", `{"period":"2026-09"}`))
	require.Equal(t, []any{http.StatusConflict, "accrual_closed"}, []any{w.Code, body["code"]})
}

func TestSnapshotsThroughTheAPI(t *testing.T) {
	t.Parallel()
	e := newServer(t, &fakes{detail: func(accountID, id string) (reconcile.SnapshotDetail, error) {
		return reconcile.SnapshotDetail{
			Snapshot: reconcile.Snapshot{AccountID: accountID, ID: id, Environment: account.Live, Name: "S", ShippedAt: at}, Decisions: 5, Late: 2,
			Months:  []reconcile.SnapshotMonth{{Period: "2026-10", CycleID: "acme.2026-10", Verdict: "passed", Currency: "usd", Lift: 1_000.7, Bound: -0.2, BaseMinor: 1_000}},
			Refused: []reconcile.RefusedEdit{{At: at, Actor: "Ada", Action: "snapshot.shipped", Reason: "snapshot_exists", After: `{"name":"T"}`}},
		}, nil
	}})
	w, body := serve(t, e, request(http.MethodGet, "/v1/accounts/acme/snapshots/s1", ""))
	require.Equal(t, http.StatusOK, w.Code, w.Body.String())
	require.Equal(t, []any{"s1", 5.0, 2.0}, []any{body["id"], body["decisions"], body["decisions_after_retirement"]})
	month := body["months"].([]any)[0].(map[string]any)
	require.Equal(t, "10.00 USD", month["measured"].(map[string]any)["formatted"], "rounded down")
	require.Equal(t, "-0.01 USD", month["bound"].(map[string]any)["formatted"])
	require.Equal(t, "Ada", body["refused_edits"].([]any)[0].(map[string]any)["actor"])
	w, body = serve(t, e, request(http.MethodPost, "/v1/accounts/acme/snapshots/s1/retire", `{"retired_at":"2026-11-01T00:00:00Z","reason":"replaced"}`))
	require.Equal(t, http.StatusCreated, w.Code, w.Body.String())
	require.Equal(t, []any{"s1", "2026-11-01T00:00:00Z", "replaced", "user:ada"}, []any{body["snapshot_id"], body["retired_at"], body["reason"], body["retired_by"]})
}
