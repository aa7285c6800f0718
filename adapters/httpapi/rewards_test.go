package httpapi_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
)

func TestRewardEventsThroughTheAPI(t *testing.T) {
	t.Parallel()
	var asked reconcile.RewardEventsFilter
	amount := int64(-4900)
	decision := lift.Exposure{DecisionID: "d-1", UnitID: "u-1", UserID: "u-1", SnapshotID: "nudge", Arm: lift.ArmHoldout, At: at.Add(-48 * time.Hour), Action: "none", Baseline: "none", Actions: []string{"none", "nudge"}, Propensity: []float64{0.2, 0.8}}
	place := lift.Placement{
		Traced:  lift.Traced{Attribution: lift.Attribution{Key: "refund:re_1", SnapshotID: "nudge"}, UnitID: "u-1", Decisions: []lift.Exposure{decision}, Until: at.Add(48 * time.Hour)},
		CycleID: "acme.2026-10", Period: "2026-10", Frozen: true, Revision: 2, Watermark: at, PlanID: "p", PlanHash: "h", Unit: "user", WindowDays: 30, UserID: "u-1", LinkSource: "metadata", LinkID: "l",
	}
	event := reconcile.RewardEvent{
		ConnectionID: "acme", FactKey: "refund:re_1", Kind: "refund", IsReward: true, State: "money", AmountMinor: &amount, Currency: "usd", EffectiveAt: at, EventID: "evt_1",
		Teller: reconcile.Teller{EventID: "evt_1", Type: "refund.created", Source: "webhook"}, Places: []lift.Placement{place},
	}
	o := &operator{}
	e := newServer(t, &fakes{operate: o,
		events: func(f reconcile.RewardEventsFilter) (reconcile.Page[reconcile.RewardEvent], error) {
			asked = f
			return reconcile.Page[reconcile.RewardEvent]{Items: []reconcile.RewardEvent{event, {Kind: "churn", EventID: "read:sub_1"}}}, nil
		},
		event: func(id string) (reconcile.RewardEventDetail, error) {
			if id != event.ID() {
				return reconcile.RewardEventDetail{}, fault.New(fault.NotFound, "reward_event_not_found", "no %s", id)
			}
			return reconcile.RewardEventDetail{RewardEvent: event, ObjectID: "re_1", RecordedAt: at, Detail: `{"mrr_before":"1.5","flags":{"undo":true,"invoice_net":7}}`, FrozenBy: "acme.2026-10", Zone: time.FixedZone("Europe/Berlin", 3600)}, nil
		},
	})
	_, body := serve(t, e, request(http.MethodGet, "/v1/accounts/acme/reward-events?from=2026-10-01&to=2026-10-31&state=money&currency=usd&amount_from=1.5&amount_to=50&type=refund.created&source=webhook&joined=yes&expand=joined", ""))
	require.Empty(t, cmp.Diff(reconcile.RewardEventsFilter{
		AccountID: "acme", From: "2026-10-01", To: "2026-10-31", State: "money", Currency: "usd", Type: "refund.created", Source: "webhook", Joined: "yes", Places: true,
		Min: bound("1.5"), Max: bound("50"),
	}, asked, cmp.Comparer(decimal.Decimal.Equal)))
	items := body["items"].([]any)
	require.Equal(t, map[string]any{"outcome": "joined", "snapshot_id": "nudge", "decision_id": "d-1", "arm": "holdout", "cycle_id": "acme.2026-10", "frozen": true}, items[0].(map[string]any)["joined"])
	require.Equal(t, "read", items[1].(map[string]any)["source"])
	require.NotContains(t, items[1], "joined")
	for _, path := range []string{"amount_from=much", "amount_to=1.005&currency=usd"} {
		w, body := serve(t, e, request(http.MethodGet, "/v1/accounts/acme/reward-events?"+path, ""))
		require.Equal(t, http.StatusBadRequest, w.Code, path)
		require.Contains(t, path, body["field"])
	}

	w, body := serve(t, e, request(http.MethodGet, "/v1/accounts/acme/reward-events/"+url.PathEscape(event.ID()), ""))
	require.Equal(t, http.StatusOK, w.Code, w.Body.String())
	require.Equal(t, event.ID(), body["event"].(map[string]any)["id"])
	require.Equal(t, "2026-11-04T10:00:00+01:00", body["effective_local"])
	require.Equal(t, map[string]any{"mrr_before": "1.5", "flags": map[string]any{"undo": true, "invoice_net": 7.0}}, body["detail"])
	got := body["places"].([]any)[0].(map[string]any)
	require.Equal(t, place.Why(), got["why"])
	require.Equal(t, []any{"acme.2026-10", true, 2.0, "nudge", "u-1", 30.0}, []any{got["cycle_id"], got["frozen"], got["revision"], got["snapshot_id"], got["unit_id"], got["window_days"]})
	d := got["decisions"].([]any)[0].(map[string]any)
	require.Equal(t, []any{"d-1", "holdout", 0.2, true, true}, []any{d["decision_id"], d["arm"], d["chosen_propensity"], d["latest"], d["first"]})
	w, body = serve(t, e, request(http.MethodGet, "/v1/accounts/acme/reward-events/nothing", ""))
	require.Equal(t, http.StatusNotFound, w.Code)
	require.Equal(t, "reward_event_not_found", body["code"])

	w, body = serve(t, e, request(http.MethodPost, "/v1/connections/acme/reads", `{"object_id":"in_1","reason":"differs"}`))
	require.Equal(t, http.StatusOK, w.Code, w.Body.String())
	require.Equal(t, map[string]any{"object_id": "in_1", "object": "invoice"}, body)
	require.Equal(t, "acme in_1 differs", o.reread)
}

func bound(text string) *decimal.Decimal {
	d := decimal.RequireFromString(text)
	return &d
}
