package httpapi_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/sourcesync"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/source"
)

// status is a source about which everything can be said.
func status(id string) (sourcesync.Status, error) {
	c := sourcesync.Connection{Connection: account.Connection{ID: id, Environment: account.Live}, State: source.NewState(at.AddDate(0, -1, 0)), SyncStart: source.Whole}
	c.Horizon = source.Horizon{Start: at.AddDate(0, -2, 0), Gaps: []source.Gap{{From: at.AddDate(0, 0, -9), To: at.AddDate(0, 0, -8), Listed: true}}}
	c.HighWater = at.Add(-90 * time.Second)
	return sourcesync.Status{
		Health: sourcesync.Health{
			Connection: c, Budget: source.Budget{Used: 12, Transactions: 30}, LastPull: &sourcesync.RunView{Task: source.TaskPull, At: at, Seen: 3, New: 2},
			MissedDay: 1, MissedTotal: 5, Missed: []sourcesync.MissedEvent{{EventID: "evt_1", Type: "invoice.paid", Created: at, FoundAt: at}}, Gaps: c.Horizon.Gaps, PendingReads: 4,
			Backfill: &sourcesync.BackfillView{
				Backfill: sourcesync.Backfill{ID: "b", ConnectionID: id, Kind: sourcesync.Requested, State: sourcesync.BackfillFailed, Reason: source.Reason{Code: "stripe_permission", Message: "no", Action: "grant", At: at}, Resource: sourcesync.Charges, Start: source.Whole, Until: at},
				Progress: []sourcesync.ResourceProgress{{Resource: sourcesync.Customers, Until: at, Windows: 2, Pages: 3, Objects: 250, Facts: 9}},
			},
		},
		Verdict: sourcesync.Warning, Why: source.Reason{Code: "stripe_permission", Message: "no", Action: "grant", At: at}, Lag: 90 * time.Second, NextAt: at,
	}, nil
}

func TestSyncIsShown(t *testing.T) {
	t.Parallel()
	e := newServer(t, &fakes{status: status})
	w, body := serve(t, e, request(http.MethodGet, "/v1/connections/acme/sync", ""))
	require.Equal(t, http.StatusOK, w.Code, w.Body.String())
	raw, err := json.Marshal(body)
	require.NoError(t, err)
	require.JSONEq(t, `{"connection_id":"acme","environment":"live","state":"warning","reason":{"code":"stripe_permission","message":"no","action":"grant","at":"2026-11-04T09:00:00Z"},
		"enabled":true,"pull":"auto","pulling":true,"interval_seconds":300,"connected_at":"2026-10-04T09:00:00Z","sync_start":"1970-01-01T00:00:00Z","events_horizon":"2026-09-04T09:00:00Z",
		"high_water":"2026-11-04T08:58:30Z","lag_seconds":90,"next_at":"2026-11-04T09:00:00Z","last_pull":{"task":"pull","at":"2026-11-04T09:00:00Z","seen":3,"new":2,"missed":0},
		"missed":{"last_day":1,"total":5,"newest":[{"event_id":"evt_1","type":"invoice.paid","created":"2026-11-04T09:00:00Z","found_at":"2026-11-04T09:00:00Z"}]},
		"gaps":[{"from":"2026-10-26T09:00:00Z","to":"2026-10-27T09:00:00Z","listed":true}],"reads":{"used":12,"limit":15000,"days":30},"pending_events":0,"pending_reads":4,"failed_reads":0,
		"backfill":{"id":"b","connection_id":"acme","kind":"requested","state":"failed","reason":{"code":"stripe_permission","message":"no","action":"grant","at":"2026-11-04T09:00:00Z"},
			"start":"1970-01-01T00:00:00Z","until":"2026-11-04T09:00:00Z","resource":"charges","progress":[{"resource":"customers","until":"2026-11-04T09:00:00Z","windows":2,"pages":3,"objects":250,"facts":9}]}}`, string(raw))

	e = newServer(t, &fakes{status: func(id string) (sourcesync.Status, error) {
		s := sourcesync.Status{Verdict: sourcesync.OK}
		s.ID = id
		return s, nil
	}})
	_, body = serve(t, e, request(http.MethodGet, "/v1/connections/acme/sync", ""))
	for _, absent := range []string{"reason", "last_pull", "last_check", "backfill", "sync_start", "next_at"} {
		require.NotContains(t, body, absent)
	}
}

func TestSyncIsChanged(t *testing.T) {
	t.Parallel()
	var got sourcesync.Change
	e := newServer(t, &fakes{status: status, configure: func(c sourcesync.Change) error {
		got = c
		if c.Interval != nil && *c.Interval > source.MaxInterval {
			return fault.InvalidField("interval_seconds", "interval_out_of_range", "too long")
		}
		return nil
	}})
	patch := func(body string) (int, map[string]any) {
		w, out := serve(t, e, request(http.MethodPatch, "/v1/connections/acme/sync", body))
		return w.Code, out
	}
	code, _ := patch(`{"enabled":false}`)
	require.Equal(t, http.StatusOK, code)
	require.False(t, *got.Enabled)
	require.Nil(t, got.Pull)
	require.Nil(t, got.Interval)
	code, _ = patch(`{"pull":"always","interval_seconds":900}`)
	require.Equal(t, http.StatusOK, code)
	require.Nil(t, got.Enabled)
	require.Equal(t, source.PullAlways, *got.Pull)
	require.Equal(t, 15*time.Minute, *got.Interval)
	code, out := patch(`{"interval_seconds":9223372036854775807}`)
	require.Equal(t, http.StatusBadRequest, code)
	require.Equal(t, "interval_seconds", out["field"])
	code, out = patch(`{"interval":900}`)
	require.Equal(t, http.StatusBadRequest, code)
	require.Equal(t, "field_unknown", out["code"])
	r := request(http.MethodPatch, "/v1/connections/acme/sync", `{"enabled":false}`)
	r.Header.Set("Content-Type", "text/plain")
	w, _ := serve(t, e, r)
	require.Equal(t, http.StatusUnsupportedMediaType, w.Code, "no form of another page changes anything")
}

func TestBackfillIsRequested(t *testing.T) {
	t.Parallel()
	var start time.Time
	created := true
	e := newServer(t, &fakes{backfill: func(s time.Time) (sourcesync.Backfill, bool, error) {
		start = s
		if s.After(at) {
			return sourcesync.Backfill{}, false, fault.InvalidField("start", "start_in_the_future", "no")
		}
		return sourcesync.Backfill{ID: "acme-backfill-1", ConnectionID: "acme", Kind: sourcesync.Requested, State: sourcesync.BackfillRunning, Resource: sourcesync.Events, Until: at}, created, nil
	}})
	w, body := serve(t, e, request(http.MethodPost, "/v1/connections/acme/backfill", `{}`))
	require.Equal(t, http.StatusCreated, w.Code, w.Body.String())
	require.True(t, start.IsZero())
	require.Equal(t, "acme-backfill-1", body["id"])
	require.Empty(t, body["progress"])
	created = false
	w, _ = serve(t, e, request(http.MethodPost, "/v1/connections/acme/backfill", `{"start":"2026-01-01T00:00:00Z"}`))
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), start)
	w, body = serve(t, e, request(http.MethodPost, "/v1/connections/acme/backfill", `{"start":"2027-01-01T00:00:00Z"}`))
	require.Equal(t, http.StatusBadRequest, w.Code)
	require.Equal(t, "start", body["field"])
	w, _ = serve(t, e, request(http.MethodPost, "/v1/connections/acme/backfill", `{"start":"yesterday"}`))
	require.Equal(t, http.StatusBadRequest, w.Code)
}
