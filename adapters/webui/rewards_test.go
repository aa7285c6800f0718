package webui_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/webui"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/fault"
)

func TestRewardEventsSayWhereTheyWereJoined(t *testing.T) {
	t.Parallel()
	l := fixture()
	e := newDoor(l, &door{caller: signedIn()}, webui.Options{})
	p := open(t, e, "/accounts/acme/events")
	paid := p.row(t, "99.00 USD")
	require.Contains(t, paid[0], "2026-11-04 07:30:00 UTC")
	require.Contains(t, paid[0], "08:30:00 Europe/Berlin", "the contract's own time stands below")
	require.Equal(t, "✓ joined trial-nudge-7 policy, none at 0.25", paid[3])
	require.Contains(t, paid[8], "invoice.paid")
	require.Equal(t, "webhook", paid[9])
	require.Contains(t, p.row(t, "49.00 USD")[3], "out of the window")
	require.Contains(t, p.row(t, "29.00 USD")[3], "no user")
	require.Equal(t, "read", p.row(t, "29.00 USD")[9], "no event told it")
	require.Contains(t, p.links, eventPath("paid:in_2", 2))
	require.Contains(t, p.text, "LIVE")

	open(t, e, "/accounts/acme/events?from=2026-10-01&to=2026-10-31&state=money&joined=unmapped&currency=usd&amount_from=1.50&amount_to=20&type=invoice.paid&source=pull&sort=effective_asc")
	require.Empty(t, cmp.Diff(reconcile.RewardEventsFilter{
		AccountID: "acme", From: "2026-10-01", To: "2026-10-31", State: "money", Joined: "unmapped", Currency: "usd", Type: "invoice.paid", Source: "pull", Sort: "effective_asc",
		Min: ptr(decimal.RequireFromString("1.50")), Max: ptr(decimal.RequireFromString("20")), Places: true, Limit: 100,
	}, l.eventsAsked, cmp.Comparer(decimal.Decimal.Equal)))
	require.Equal(t, http.StatusBadRequest, open(t, e, "/accounts/acme/events?amount_from=much").status)
	l.events, l.next = nil, "further"
	p = open(t, e, "/accounts/acme/events?joined=no")
	require.Contains(t, p.text, "Nothing so far")
	require.Contains(t, p.links, "/accounts/acme/events?cursor=further&joined=no", "an empty page of a filter without an index goes on")
}

func TestRewardEventPage(t *testing.T) {
	t.Parallel()
	l := fixture()
	everything := signedIn()
	everything.Roles = access.AllRoles()
	e := newDoor(l, &door{caller: everything}, webui.Options{})
	p := open(t, e, eventPath("paid:in_2", 2))
	require.Equal(t, http.StatusOK, p.status)
	require.Contains(t, p.text, "The latest decision about the unit user-10423 at or before the event is of 2026-10-30 09:30:00 UTC, for the snapshot trial-nudge-7.")
	require.Contains(t, p.text, "As October 2026 froze it, revision 1")
	require.Contains(t, p.text, "attribution window of 30 days")
	require.Contains(t, p.row(t, "dec-01HQ8")[1], "the latest before the event")
	require.Contains(t, p.row(t, "dec-01HQ7")[1], "the first for its snapshot")
	require.Contains(t, p.row(t, "dec-01HQ9")[1], "after the event")
	require.Equal(t, []string{"policy", "none at 0.25", "none 0.25, nudge 0.75", "none"}, p.row(t, "dec-01HQ8")[3:7])
	for _, link := range []string{"/cycles/acme.2026-10/lines/trial-nudge-7", "/cycles/acme.2026-10", "/accounts/acme/snapshots/trial-nudge-7", "/accounts/acme/customers/cus_RkA1b2C3d4E5f6"} {
		require.Contains(t, p.links, link)
	}
	for _, said := range []string{"Monthly worth before", "4900", "Unconfirmed", "yes", "paid:in_2"} {
		require.Contains(t, p.text, said)
	}
	require.Contains(t, open(t, e, eventPath("paid:in_3", 3)).text, "The customer was joined to no user, so that no decision can be found.")
	require.Contains(t, open(t, e, eventPath("refund:re_1", 1)).text, "before the event.")
	require.Equal(t, http.StatusNotFound, open(t, e, eventPath("nothing", 1)).status)
	viewer := signedIn()
	viewer.Roles = access.Roles{access.Viewer}
	reader := newDoor(l, &door{caller: viewer}, webui.Options{})
	require.NotContains(t, open(t, reader, eventPath("paid:in_2", 2)).text, "Classify again", "who may not is not offered it")

	send := func(step, reason string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPost, eventPath("paid:in_2", 2)+"/"+step, strings.NewReader(url.Values{"reason": {reason}}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r)
		return w
	}
	for _, step := range []string{"replay", "refetch"} {
		w := send(step, "looks wrong")
		require.Equal(t, http.StatusSeeOther, w.Code, w.Body.String())
		require.Equal(t, eventPath("paid:in_2", 2)+"?done="+step, w.Header().Get("Location"))
		require.Contains(t, open(t, e, w.Header().Get("Location")).text, "under the same keys")
	}
	require.Equal(t, []string{"replay acme-stripe evt_1QHk3aG9RKHgCVdK2bce looks wrong", "refetch acme-stripe in_1QHbbbG9RKHgCVdKbbb looks wrong"}, l.steps)
	require.Equal(t, http.StatusNotFound, send("anything", "x").Code)
	l.refusal = fault.InvalidField("reason", "reason_missing", "say why, in 1 to 1000 characters")
	w := send("refetch", "<b>kept</b>")
	require.Equal(t, http.StatusUnprocessableEntity, w.Code)
	require.Contains(t, w.Body.String(), "Say why, in 1 to 1000 characters.")
	require.Equal(t, 1, strings.Count(w.Body.String(), "&lt;b&gt;kept&lt;/b&gt;"), "what was typed is not lost, and stands in its own form alone")
	require.NotRegexp(t, `<input[^>]* value="[^>]* value="`, w.Body.String())

	r := httptest.NewRequest(http.MethodPost, eventPath("paid:in_3", 3)+"/replay", nil)
	w = httptest.NewRecorder()
	e.ServeHTTP(w, r)
	require.Equal(t, http.StatusNotFound, w.Code, "what no event told cannot be classified again")
}

func TestNDJSON(t *testing.T) {
	t.Parallel()
	e := newDoor(fixture(), &door{caller: signedIn()}, webui.Options{})
	table := download(t, e, "/accounts/acme/events.csv")
	w := httptest.NewRecorder()
	e.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/accounts/acme/events.ndjson", nil))
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, "application/x-ndjson", w.Header().Get("Content-Type"))
	require.Equal(t, table.digest, w.Header().Get("Report-Digest"), "the digest is that of the same rows")
	top, below, _ := strings.Cut(w.Body.String(), "\n")
	var head struct {
		Report struct {
			Head        [][]string
			LinesSHA256 string `json:"lines_sha256"`
		}
	}
	require.NoError(t, json.Unmarshal([]byte(top), &head))
	require.Equal(t, "#report", head.Report.Head[0][0])
	require.Equal(t, sum(below), head.Report.LinesSHA256)
	lines := strings.Split(strings.TrimSuffix(below, "\n"), "\n")
	require.Len(t, lines, len(table.rows))
	for i, line := range lines {
		var row map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &row))
		for k, name := range table.header {
			switch v := row[name].(type) {
			case nil:
				require.Empty(t, table.rows[i][k], name)
			case string:
				require.Equal(t, table.rows[i][k], v, name)
			case float64:
				require.Equal(t, table.rows[i][k], strconv.FormatInt(int64(v), 10), name)
			}
		}
	}
}

func sum(text string) string {
	digest := sha256.Sum256([]byte(text))
	return hex.EncodeToString(digest[:])
}
