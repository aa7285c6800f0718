package replay_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/httpapi"
	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/ingest"
	"github.com/liftbill/liftbill/app/replay"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/period"
	"github.com/liftbill/liftbill/internal/pipelinetest"
)

// freeze collects and estimates an account's month, as its cycle does, at an instant finer
// than the database keeps.
func freeze(t *testing.T, d *pipelinetest.Deployment, accountID string) {
	t.Helper()
	m, err := period.Parse(pipelinetest.Month)
	require.NoError(t, err)
	quiet := func(int, int, string) {}
	service := d.Measure()
	service.Clock = clock.Fixed(d.Clock.Now().Add(123456789 * time.Nanosecond))
	s, err := service.Open(t.Context(), accountID, m, "wf")
	require.NoError(t, err)
	_, err = service.Collect(t.Context(), s.CycleID, quiet)
	require.NoError(t, err)
	_, err = service.Estimate(t.Context(), s.CycleID, quiet)
	require.NoError(t, err)
}

// earlier stores an event of before the contract year: what changed of whose a customer is.
func earlier(t *testing.T, d *pipelinetest.Deployment, accountID string) {
	t.Helper()
	var customer, user string
	require.NoError(t, d.SQL.QueryRow(t.Context(), `SELECT s.subject_id, s.user_id FROM mapping_spans s JOIN reward_events r ON r.connection_id = s.connection_id AND r.customer_id = s.subject_id
		WHERE s.connection_id = $1 AND s.state = 'linked' AND r.kind = 'revenue_confirmation' ORDER BY 1 LIMIT 1`, accountID+"-stripe").Scan(&customer, &user))
	at := time.Date(2026, 9, 20, 12, 0, 0, 0, time.UTC)
	body := fmt.Appendf(nil, `{"id":"evt_earlier","object":"event","type":"customer.updated","created":%d,"livemode":false,"api_version":"2023-10-16","data":{
		"object":{"id":%q,"object":"customer","created":%d,"metadata":{"user_id":%q}},"previous_attributes":{"metadata":{"user_id":"someone-before"}}}}`, at.Unix(), customer, at.Unix(), user)
	sealed, err := d.Box.Seal(ingest.BodyContext(accountID+"-stripe"), body)
	require.NoError(t, err)
	fresh, err := d.DB.NewInbox(d.Box).Append(t.Context(), ingest.StoredEvent{ConnectionID: accountID + "-stripe", Environment: account.Test, EventID: "evt_earlier", Type: "customer.updated",
		ObjectID: customer, APIVersion: "2023-10-16", Created: at, SealedBody: sealed, BodySHA256: sha256.Sum256(body), ReceivedAt: d.Clock.Now(), Status: ingest.Pending})
	require.NoError(t, err)
	require.True(t, fresh)
}

// requireReplayable: a frozen month has its environment and takes a note of who asked; one that
// is not there, or not frozen, says so.
func requireReplayable(t *testing.T, d *pipelinetest.Deployment, accountID, refusal string) {
	t.Helper()
	ledger, id := d.DB.NewReplays(), accountID+"."+pipelinetest.Month
	env, err := ledger.Replayable(t.Context(), id)
	if refusal != "" {
		require.Equal(t, refusal, fault.CodeOf(err))
		return
	}
	require.NoError(t, err)
	require.Equal(t, account.Test, env)
	require.NoError(t, ledger.Asked(t.Context(), audit.New(anna, d.Clock.Now(), audit.ReplayAsked, "cycle", id).In(accountID, env)))
	var noted int
	require.NoError(t, d.SQL.QueryRow(t.Context(), `SELECT count(*) FROM audit_log WHERE action = 'cycle.replay_asked'`).Scan(&noted))
	require.Equal(t, 1, noted)
}

// rows is the whole content of the tables that a classifier writes, as a digest.
func rows(t *testing.T, d *pipelinetest.Deployment) string {
	t.Helper()
	var out string
	require.NoError(t, d.SQL.QueryRow(t.Context(), `SELECT md5(concat(
		(SELECT string_agg(r::text, '' ORDER BY connection_id, fact_key) FROM reward_events r), (SELECT string_agg(p::text, '' ORDER BY seq) FROM event_processing p),
		(SELECT string_agg(m::text, '' ORDER BY seq) FROM mapping_statements m), (SELECT string_agg(s::text, '' ORDER BY s::text) FROM mapping_spans s),
		(SELECT string_agg(k::text, '' ORDER BY k::text) FROM fact_keys k), (SELECT string_agg(o::text, '' ORDER BY o::text) FROM object_reads o),
		(SELECT last_value FROM event_processing_seq_seq), (SELECT last_value FROM mapping_statements_seq_seq), (SELECT string_agg(c::text, '' ORDER BY id) FROM cycles c)))`).Scan(&out))
	return out
}

func schemas(t *testing.T, d *pipelinetest.Deployment) int {
	t.Helper()
	var n int
	require.NoError(t, d.SQL.QueryRow(t.Context(), `SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'liftbill_replay%'`).Scan(&n))
	return n
}

// A month of test subscriptions, and a live one, derived once more from the raw events give
// the same facts, unit tables, digests and case IDs, and leave no trace; what is said after
// the freeze does not matter; whatever was altered is found.
func TestAMonthReplaysToTheSameHashes(t *testing.T) {
	t.Parallel()
	d, companies := pipelinetest.LiveMonth(t)
	companies = companies[1:] // a live one and the test account
	require.NoError(t, d.DrainAll(t.Context(), ""))
	earlier(t, d, companies[1].ID)
	test := companies[1].ID
	requireReplayable(t, d, test, "cycle_not_found")
	m, err := period.Parse(pipelinetest.Month)
	require.NoError(t, err)
	_, err = d.Measure().Open(t.Context(), test, m, "wf")
	require.NoError(t, err)
	requireReplayable(t, d, test, "not_collected")
	for _, c := range companies {
		freeze(t, d, c.ID)
	}
	requireReplayable(t, d, test, "")
	// What comes later than the freeze: another link, another event, an event read again.
	d.Post(t, "/v1/connections/"+test+"-stripe/links", httpapi.LinkCreate{CustomerID: "cus_later", UserID: "u-later", Reason: "a test"}, nil)
	d.Post(t, "/v1/connections/"+test+"-stripe/reprocess", httpapi.ReprocessRequest{Type: "invoice.paid", Reason: "a test"}, nil)
	require.NoError(t, d.DrainAll(t.Context(), ""))

	before := rows(t, d)
	for _, c := range companies {
		r, err := d.Replays().Run(t.Context(), anna, replay.Ask{AccountID: c.ID, Period: pipelinetest.Month})
		require.NoError(t, err)
		require.True(t, r.Equal, r.Difference)
		require.Greater(t, r.Events, int64(1000))
		require.Greater(t, r.Facts, int64(300))
		require.Greater(t, len(r.Checks), 4)
		for _, check := range r.Checks {
			require.True(t, check.Equal, check.Name)
		}
	}
	require.Equal(t, before, rows(t, d), "nothing of a replay reaches the ledger")
	require.Zero(t, schemas(t, d))
	var list httpapi.ReplayList
	d.Get(t, "/v1/replays?account="+test, &list)
	require.Len(t, list.Items, 1)
	require.True(t, list.Items[0].Equal)

	// Bodies of before the contract year may be gone: what they told is taken as it is stored.
	tag, err := d.SQL.Exec(t.Context(), `UPDATE stripe_events SET sealed_body = '' WHERE connection_id = $1 AND created < '2026-10-01'`, test+"-stripe")
	require.NoError(t, err)
	require.Positive(t, tag.RowsAffected())
	r, err := d.Replays().Run(t.Context(), anna, replay.Ask{AccountID: test, Period: pipelinetest.Month})
	require.NoError(t, err)
	require.True(t, r.Equal, r.Difference)
	require.Positive(t, r.Taken)

	// Each alteration lies before the last one on the way from the events to the case.
	for _, c := range []struct{ first, alter string }{
		{"input digest: ", `UPDATE cycles SET input_digest = 'x' WHERE id = left($1, -7) || '.2026-10'`},
		{"unit table a-better-offer: ", `UPDATE cycle_inputs SET inputs = jsonb_set(inputs::jsonb, '{unit_digest}', '"0"')::text
			WHERE cycle_id = left($1, -7) || '.2026-10' AND snapshot_id = 'a-better-offer'`},
		{"reward fact revenue_confirmation:", `UPDATE reward_events SET amount_minor = amount_minor + 1 WHERE fact_key = (SELECT min(fact_key) FROM reward_events
			WHERE connection_id = $1 AND kind = 'revenue_confirmation')`},
	} {
		tag, err := d.SQL.Exec(t.Context(), c.alter, test+"-stripe")
		require.NoError(t, err)
		require.EqualValues(t, 1, tag.RowsAffected(), c.first)
		r, err := d.Replays().Run(t.Context(), anna, replay.Ask{AccountID: test, Period: pipelinetest.Month})
		require.NoError(t, err)
		require.False(t, r.Equal)
		require.True(t, strings.HasPrefix(r.Difference, c.first), r.Difference)
	}
	require.Zero(t, schemas(t, d))

	reportsAreListed(t, d, test)
	_, err = d.SQL.Exec(t.Context(), `UPDATE stripe_events SET sealed_body = '' WHERE connection_id = $1 AND type = 'invoice.paid'`, test+"-stripe")
	require.NoError(t, err)
	_, err = d.Replays().Run(t.Context(), anna, replay.Ask{AccountID: test, Period: pipelinetest.Month})
	require.Equal(t, "bodies_erased", fault.CodeOf(err))
}

// reportsAreListed: by result, account and month, page by page, the newest first.
func reportsAreListed(t *testing.T, d *pipelinetest.Deployment, test string) {
	t.Helper()
	var all, differ httpapi.ReplayList
	d.Get(t, "/v1/replays", &all)
	require.Len(t, all.Items, 6)
	d.Get(t, "/v1/replays?result=different&account="+test+"&period="+pipelinetest.Month+"&limit=2", &differ)
	require.Len(t, differ.Items, 2)
	require.Equal(t, differ.Items, all.Items[:2])
	require.NotEqual(t, differ.Items[1].Inputs.Ledger, differ.Items[1].Inputs.Replay, "the digests are apart")
	require.NotEmpty(t, differ.Items[1].Outputs.Ledger)
	require.False(t, differ.Items[0].FinishedAt.IsZero())
	var last, none httpapi.ReplayList
	d.Get(t, "/v1/replays?result=different&limit=2&cursor="+differ.NextCursor, &last)
	require.Equal(t, last.Items, all.Items[2:3])
	require.Empty(t, last.NextCursor)
	d.Get(t, "/v1/replays?period=2026-01", &none)
	require.Empty(t, none.Items)
	for code, f := range map[string]replay.Filter{"filter_unknown": {Result: "nearly"}, "limit_range": {Limit: 9_999}, "period_malformed": {Period: "October"}, "cursor_malformed": {Cursor: "x"}} {
		_, err := (&replay.Reports{Archive: d.DB.NewReplays()}).Replays(t.Context(), f)
		require.Equal(t, code, fault.CodeOf(err))
	}
}

// TestAnOldReportHasItsInputs: what was kept before digests stood apart has that of its inputs
// among the checks.
func TestAnOldReportHasItsInputs(t *testing.T) {
	t.Parallel()
	page, err := (&replay.Reports{Archive: archive{{Checks: []replay.Check{{Name: "unit table"}, {Name: "input digest", Stored: "a", Replayed: "b"}}}, {}}}).Replays(t.Context(), replay.Filter{})
	require.NoError(t, err)
	require.Equal(t, replay.Digests{Ledger: "a", Replay: "b"}, page.Items[0].Inputs)
	require.Empty(t, page.Items[1].Inputs)
	_, known := page.Items[0].Took()
	require.False(t, known)
}

type archive []replay.Report

func (a archive) Replays(context.Context, replay.Filter) (replay.Page, error) {
	return replay.Page{Items: a}, nil
}

// stage is one in memory.
type stage struct {
	diff   replay.FactDifference
	closed bool
}

func (s *stage) Events() int64                { return 7 }
func (s *stage) Taken() int64                 { return 2 }
func (s *stage) Settle(context.Context) error { return nil }
func (s *stage) Facts(context.Context) (replay.FactDifference, error) {
	return s.diff, nil
}

func (s *stage) Close(context.Context) error {
	s.closed = true
	return nil
}

var anna = access.Operator("anna")

type ledger struct {
	frozen replay.Frozen
	saved  []replay.Report
	noted  []audit.Entry
	err    error
}

func (l *ledger) Frozen(context.Context, string) (replay.Frozen, error) { return l.frozen, l.err }
func (l *ledger) SaveReplay(_ context.Context, r replay.Report, note audit.Entry) (int64, error) {
	l.saved, l.noted = append(l.saved, r), append(l.noted, note)
	return 7, nil
}

func TestReportOfAReplay(t *testing.T) {
	t.Parallel()
	frozen := replay.Frozen{CycleID: "acme.2026-10", Environment: account.Live, InputDigest: "d", Units: map[string]string{"a": "1", "b": "2"}, Cases: map[string]string{"a": "x"}, Links: map[string]string{"f": "u"}}
	same := replay.Rebuilt{InputDigest: "d", Units: frozen.Units, Cases: frozen.Cases, Links: frozen.Links}
	for name, c := range map[string]struct {
		diff   replay.FactDifference
		change func(*replay.Rebuilt)
		want   string
	}{
		"all equal":      {replay.FactDifference{Equal: 3}, func(*replay.Rebuilt) {}, ""},
		"a fact is gone": {replay.FactDifference{Equal: 2, Missing: 1, Key: "k", Stored: "s"}, func(r *replay.Rebuilt) { r.InputDigest = "e" }, "reward fact k: the ledger has s, the replay gives nothing"},
		"a unit table":   {replay.FactDifference{Equal: 3}, func(r *replay.Rebuilt) { r.Units = map[string]string{"a": "1", "b": "3"} }, "unit table b: the ledger has 2, the replay gives 3"},
		"a new snapshot": {replay.FactDifference{Equal: 3}, func(r *replay.Rebuilt) { r.Cases = map[string]string{"a": "x", "z": "y"} }, "case ID z: the ledger has nothing, the replay gives y"},
		"a link":         {replay.FactDifference{Equal: 3}, func(r *replay.Rebuilt) { r.Links = nil }, "link of a fact f: the ledger has u, the replay gives nothing"},
	} {
		l, s, got := &ledger{frozen: frozen}, &stage{diff: c.diff}, same
		c.change(&got)
		service := &replay.Service[*stage]{
			Ledger: l, Clock: clock.Fixed(time.Unix(1, 0)), Prepare: func(context.Context, replay.Frozen) (*stage, error) { return s, nil },
			Classify: func(context.Context, *stage, replay.Frozen) error { return nil }, Rebuild: func(context.Context, *stage, replay.Frozen) (replay.Rebuilt, error) { return got, nil },
		}
		r, err := service.Run(t.Context(), anna, replay.Ask{AccountID: "acme", Period: "2026-10", For: "kim", WorkflowID: "w", WorkflowRunID: "r"})
		require.NoError(t, err, name)
		require.Equal(t, c.want, r.Difference, name)
		require.Equal(t, c.want == "", r.Equal, name)
		require.Equal(t, []int64{7, 2}, []int64{r.Events, r.Taken})
		require.EqualValues(t, 7, r.ID)
		r.ID = 0
		require.Equal(t, []replay.Report{r}, l.saved)
		require.Equal(t, []string{"cli:anna, for kim", "w", "r"}, []string{r.RunBy, r.WorkflowID, r.WorkflowRunID})
		require.Equal(t, replay.Digests{Ledger: "d", Replay: got.InputDigest}, r.Inputs)
		require.Equal(t, name == "a new snapshot", r.Outputs.Ledger != r.Outputs.Replay, name)
		require.Equal(t, audit.MonthReplayed, l.noted[0].Action)
		require.True(t, s.closed)

		service.Rebuild = func(context.Context, *stage, replay.Frozen) (replay.Rebuilt, error) { return got, errors.New("boom") }
		s.closed = false
		_, err = service.Run(t.Context(), anna, replay.Ask{AccountID: "acme", Period: "2026-10", For: "kim", WorkflowID: "w", WorkflowRunID: "r"})
		require.ErrorContains(t, err, "boom")
		require.True(t, s.closed, "the stage is removed whatever happens")
		require.Len(t, l.saved, 1)
	}
	service := &replay.Service[*stage]{Ledger: &ledger{frozen: replay.Frozen{Erased: 3, Environment: account.Live}}, Clock: clock.Fixed(time.Unix(1, 0))}
	testOnly := anna
	testOnly.Scope = access.Scope{AllAccounts: true, Environments: []account.Environment{account.Test}}
	for code, args := range map[string]struct {
		by     access.Principal
		period string
	}{
		"bodies_erased": {anna, "2026-10"}, "period_malformed": {anna, "October"}, access.CodePermission: {access.Principal{}, "2026-10"},
		"account_not_found": {testOnly, "2026-10"},
	} {
		_, err := service.Run(t.Context(), args.by, replay.Ask{AccountID: "acme", Period: args.period})
		require.Equal(t, code, fault.CodeOf(err))
	}
}
