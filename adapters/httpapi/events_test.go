package httpapi_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/mapping"
	"github.com/liftbill/liftbill/app/operate"
	"github.com/liftbill/liftbill/app/replay"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	domain "github.com/liftbill/liftbill/domain/mapping"
)

// operator stands in for the use case of looking after events.
type operator struct {
	reread string
	filter operate.EventsFilter
	sel    operate.Selection
	dry    bool
}

var dead = operate.Event{ConnectionID: "acme", Environment: account.Live, EventID: "evt_1", Type: "invoice.paid", Source: "webhook", Created: at, ReceivedAt: at,
	Attempts: 2, Status: "quarantined", Reason: "currency_unknown", BodySHA256: "00ff"}

func (o *operator) Events(_ context.Context, f operate.EventsFilter) (operate.Page[operate.Event], error) {
	o.filter = f
	fine := dead
	fine.Status, fine.Reason, fine.ProcessedAt = "processed", "", &at
	return operate.Page[operate.Event]{Items: []operate.Event{dead, fine}, NextCursor: "n"}, nil
}

func (o *operator) Event(context.Context, string, string) (operate.EventDetail, error) {
	amount := int64(500)
	return operate.EventDetail{Event: dead, Facts: []operate.EventFact{{BookedBy: "evt_0", Key: "k", Kind: "refund", AmountMinor: &amount, Currency: "usd", EffectiveAt: at, RecordedAt: at}}}, nil
}

func (o *operator) Reread(_ context.Context, _ access.Principal, connection, object, reason string) error {
	o.reread = connection + " " + object + " " + reason
	return nil
}
func (o *operator) Reprocess(_ context.Context, _ access.Principal, s operate.Selection, _ string, dry bool) (operate.Reprocessed, error) {
	o.sel, o.dry = s, dry
	return operate.Reprocessed{Events: 3, Left: 1, DryRun: dry}, nil
}

func (o *operator) Health(context.Context, access.Scope, string) ([]operate.Health, error) {
	p95 := 1500 * time.Millisecond
	return []operate.Health{{ConnectionID: "acme", Environment: account.Live, LagP95: &p95, LastEvent: &at, Waiting: map[string]int64{"dead": 1}}, {ConnectionID: "idle"}}, nil
}

func (o *operator) Flow(context.Context, access.Scope, string) (operate.Flow, error) {
	return operate.Flow{Totals: map[string]int64{"processed": 9}, Types: []operate.TypeCount{{Type: "invoice.paid", Events: 2, Facts: map[string]int64{"revenue_confirmation": 1}}}}, nil
}

func TestEventsAreServed(t *testing.T) {
	t.Parallel()
	o := &operator{}
	e := newServer(t, &fakes{operate: o, replays: []replay.Report{{AccountID: "acme", Period: "2026-10", Equal: false, Difference: "input digest: …", Checks: []replay.Check{{Name: "input digest"}}}}})
	_, body := serve(t, e, request(http.MethodGet,
		"/v1/events?connection=acme&type=invoice.paid&status=dead&object=in_1&customer=cus_1&from=2026-10-01T00:00:00Z&to=2026-11-01T00:00:00Z&limit=7&cursor=c", ""))
	require.Empty(t, cmp.Diff(operate.EventsFilter{Selection: operate.Selection{Scope: access.Everything(), ConnectionID: "acme", Type: "invoice.paid", Status: "dead", Object: "in_1", Customer: "cus_1",
		From: time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC), To: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)}, Limit: 7, Cursor: "c"}, o.filter))
	items := body["items"].([]any)
	action := items[0].(map[string]any)["action"].(map[string]any)
	require.Equal(t, "upgrade", action["code"])
	require.NotEmpty(t, action["do"])
	require.NotContains(t, items[1], "action", "a processed event asks for nothing")
	require.NotContains(t, items[0], "processed_at")
	require.Equal(t, "n", body["next_cursor"])

	serve(t, e, request(http.MethodGet, "/v1/dead-letters?connection=acme", ""))
	require.True(t, o.filter.Attention)
	_, body = serve(t, e, request(http.MethodGet, "/v1/connections/acme/events/evt_1", ""))
	require.Equal(t, "evt_0", body["facts"].([]any)[0].(map[string]any)["booked_by"])
	require.Equal(t, "00ff", body["event"].(map[string]any)["body_sha256"])

	w, body := serve(t, e, request(http.MethodPost, "/v1/connections/acme/reprocess", `{"type":"invoice.paid","customer_id":"cus_1","reason":"r","dry_run":true}`))
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, operate.Selection{ConnectionID: "acme", Type: "invoice.paid", Customer: "cus_1"}, o.sel)
	require.True(t, o.dry)
	require.Equal(t, map[string]any{"events": 3.0, "left": 1.0, "dry_run": true}, body)

	_, body = serve(t, e, request(http.MethodGet, "/v1/ingest/health", ""))
	rows := body["items"].([]any)
	require.InDelta(t, 1.5, rows[0].(map[string]any)["lag_p95_seconds"], 0)
	require.Nil(t, rows[1].(map[string]any)["lag_p95_seconds"], "nothing is not zero")
	require.NotContains(t, rows[1], "last_event_at")
	_, body = serve(t, e, request(http.MethodGet, "/v1/connections/acme/flow", ""))
	require.InDelta(t, 9, body["totals"].(map[string]any)["processed"], 0)
	_, body = serve(t, e, request(http.MethodGet, "/v1/replays?account=acme", ""))
	require.Equal(t, "input digest: …", body["items"].([]any)[0].(map[string]any)["difference"])
}

// mapper stands in for the use case of mapping.
type mapper struct {
	settings mapping.Settings
	link     mapping.LinkInput
	by       mapping.Decision
	created  bool
	users    []mapping.UserInput
	decided  string
}

func (m *mapper) Settings(context.Context, string) (mapping.Settings, error) { return m.settings, nil }
func (m *mapper) Change(_ context.Context, to mapping.Settings, by mapping.Decision) (int64, bool, error) {
	m.settings, m.by = to, by
	return 12, true, nil
}

func (m *mapper) Links(context.Context, mapping.LinksFilter) (mapping.Page[mapping.Link], error) {
	return mapping.Page[mapping.Link]{Items: []mapping.Link{{ConnectionID: "acme", Span: domain.Span{Subject: "cus_1", State: domain.Linked, User: "u", LinkID: "l", To: at}}}}, nil
}

func (m *mapper) Link(_ context.Context, in mapping.LinkInput, by mapping.Decision) (mapping.Link, bool, error) {
	m.link, m.by = in, by
	return mapping.Link{ConnectionID: "acme", Span: domain.Span{Subject: in.Customer, State: domain.Linked, User: in.User, LinkID: "l"}}, m.created, nil
}

func (m *mapper) Retract(_ context.Context, _, id string, by mapping.Decision) error {
	m.decided, m.by = "retract "+id, by
	return nil
}

func (m *mapper) UploadUsers(_ context.Context, _ string, users []mapping.UserInput, _ access.Principal) (mapping.Upload, error) {
	m.users = users
	return mapping.Upload{Stored: 1, Rejected: []mapping.BadUser{{Row: 2, Field: "domain", Code: "domain_public", Message: "no"}}}, nil
}

func (m *mapper) Suggestions(context.Context, mapping.SuggestionsFilter) (mapping.Page[mapping.Suggestion], error) {
	return mapping.Page[mapping.Suggestion]{Items: []mapping.Suggestion{{ID: "s", Customer: "cus_1", User: "u", By: domain.Email, State: "open", Facts: 2, Amounts: []mapping.Amount{{Currency: "usd", Minor: 1100}}}}}, nil
}

func (m *mapper) Accept(_ context.Context, _, id string, by mapping.Decision) (mapping.Suggestion, error) {
	m.decided, m.by = "accept "+id, by
	return mapping.Suggestion{ID: id, State: "accepted", DecidedAt: &at}, nil
}

func (m *mapper) Reject(_ context.Context, _, id string, by mapping.Decision) (mapping.Suggestion, error) {
	m.decided, m.by = "reject "+id, by
	return mapping.Suggestion{ID: id, State: "rejected", DecidedAt: &at}, nil
}

func (m *mapper) Quarantine(_ context.Context, f mapping.PeriodFilter) (mapping.Quarantine, error) {
	if f.Period == "" {
		return mapping.Quarantine{}, nil
	}
	sum := []mapping.Amount{{Currency: "eur", Minor: 999}, {Currency: "usd", Minor: 123000}}
	return mapping.Quarantine{Facts: 12, Amounts: sum, Reasons: []mapping.Unmapped{{Reason: "never_mapped", Facts: 12, Amounts: sum}},
		Customers: []mapping.UnmappedCustomer{{Customer: "cus_1", Unmapped: mapping.Unmapped{Reason: "never_mapped", Facts: 12, Amounts: sum}}}}, nil
}

func (m *mapper) Coverage(_ context.Context, f mapping.PeriodFilter) (mapping.Coverage, error) {
	return mapping.Coverage{Period: f.Period, Customers: mapping.Share{Mapped: 1, Total: 2}, Revenue: []mapping.Revenue{{Currency: "jpy", Mapped: 500, Total: 1000}}}, nil
}

func TestMappingIsServed(t *testing.T) {
	t.Parallel()
	m := &mapper{settings: mapping.Settings{ConnectionID: "acme", UserIDKey: "user_id", ByEmail: true}}
	e := newServer(t, &fakes{mapping: m})
	const base = "/v1/connections/acme"
	_, body := serve(t, e, request(http.MethodPost, base+"/mapping", `{"by_domain":true,"reason":"r"}`))
	require.Equal(t, mapping.Settings{ConnectionID: "acme", UserIDKey: "user_id", ByEmail: true, ByDomain: true}, m.settings, "what is left out stays")
	require.InDelta(t, 12, body["events"], 0)
	serve(t, e, request(http.MethodPost, base+"/mapping", `{"by_email":false,"user_id_key":"uid","reason":"r"}`))
	require.Equal(t, mapping.Settings{ConnectionID: "acme", UserIDKey: "uid", ByDomain: true}, m.settings, "a written false is a false")
	_, body = serve(t, e, request(http.MethodGet, base+"/mapping", ""))
	require.Equal(t, "uid", body["user_id_key"])

	w, _ := serve(t, e, request(http.MethodPost, base+"/links", `{"customer_id":"cus_1","user_id":"u","reason":"r"}`))
	require.Equal(t, http.StatusOK, w.Code)
	m.created = true
	w, body = serve(t, e, request(http.MethodPost, base+"/links", `{"customer_id":"cus_1","user_id":"u","valid_from":"2026-10-01T00:00:00Z","reason":"r"}`))
	require.Equal(t, http.StatusCreated, w.Code)
	require.Equal(t, mapping.LinkInput{ConnectionID: "acme", Customer: "cus_1", User: "u", From: time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)}, m.link)
	require.NotContains(t, body, "valid_from", "since the beginning")
	_, body = serve(t, e, request(http.MethodGet, base+"/links?customer=cus_1", ""))
	require.Equal(t, at.Format(time.RFC3339), body["items"].([]any)[0].(map[string]any)["valid_to"])

	for path, decided := range map[string]string{"/links/l/retract": "retract l", "/suggestions/s/accept": "accept s", "/suggestions/s/reject": "reject s"} {
		w, _ = serve(t, e, request(http.MethodPost, base+path, `{"reason":"because"}`))
		require.Less(t, w.Code, 300)
		require.Equal(t, decided, m.decided)
		require.Equal(t, []string{goodToken, "because"}, []string{m.by.By.Name, m.by.Reason})
	}
	_, body = serve(t, e, request(http.MethodPost, base+"/user-aids", `{"users":[{"user_id":"u","email_sha256":"ab"},{"user_id":"v","domain":"gmail.com"}]}`))
	require.Equal(t, []mapping.UserInput{{User: "u", EmailSHA256: "ab"}, {User: "v", Domain: "gmail.com"}}, m.users)
	require.Equal(t, "domain_public", body["rejected"].([]any)[0].(map[string]any)["code"])
	_, body = serve(t, e, request(http.MethodGet, base+"/suggestions", ""))
	require.Equal(t, "11.00 USD", body["items"].([]any)[0].(map[string]any)["amounts"].([]any)[0].(map[string]any)["formatted"])

	_, body = serve(t, e, request(http.MethodGet, base+"/quarantine?period=2026-10", ""))
	require.Equal(t, "12 facts, 9.99 EUR, 1,230.00 USD unmapped", body["summary"])
	require.Equal(t, "cus_1", body["customers"].([]any)[0].(map[string]any)["customer_id"])
	_, body = serve(t, e, request(http.MethodGet, base+"/quarantine", ""))
	require.Equal(t, "nothing is unmapped", body["summary"])
	_, body = serve(t, e, request(http.MethodGet, base+"/coverage?period=2026-10", ""))
	require.Equal(t, "500 JPY", body["revenue"].([]any)[0].(map[string]any)["mapped"].(map[string]any)["formatted"])
	w, _ = serve(t, e, request(http.MethodGet, base+"/coverage", ""))
	require.Equal(t, http.StatusBadRequest, w.Code, "a month is needed")
}
