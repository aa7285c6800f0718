package decisions_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/decisions"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/decision"
	"github.com/liftbill/liftbill/domain/fault"
)

var (
	now = time.Date(2026, 10, 3, 9, 0, 0, 0, time.UTC)
	by  = access.Operator("tester")
)

// log keeps decisions in memory as the store does: the first of each ID.
type log struct {
	stored  map[string]decision.Decision
	batches []int
	refused []decisions.Refusal
	fail    error
	audited []audit.Entry
}

func (l *log) Do(ctx context.Context, fn func(context.Context, decisions.Stores) error) error {
	return fn(ctx, decisions.Stores{Log: l, Reader: l, Audit: trail{l}})
}

func (l *log) Account(_ context.Context, id string) (account.Account, error) {
	if id != "acme" {
		return account.Account{}, fault.New(fault.NotFound, "account_not_found", "there is no account %q", id)
	}
	return account.Account{ID: id, Environment: account.Live}, nil
}

func (l *log) SnapshotIDs(context.Context, string) (map[string]bool, error) {
	return map[string]bool{"s-a": true}, nil
}

func (l *log) Append(_ context.Context, a account.Account, rows []decision.Decision, at time.Time) (int, error) {
	if l.fail != nil {
		return 0, l.fail
	}
	if a.ID != "acme" || !at.Equal(now) {
		return 0, errors.New("wrong account or time")
	}
	l.batches = append(l.batches, len(rows))
	n := 0
	for _, r := range rows {
		if _, ok := l.stored[r.ID]; !ok {
			l.stored[r.ID] = r
			n++
		}
	}
	return n, nil
}

func (l *log) Refuse(_ context.Context, a account.Account, rows []decisions.Refusal, at time.Time) error {
	if a.ID != "acme" || !at.Equal(now) {
		return errors.New("wrong account or time")
	}
	l.refused = append(l.refused, rows...)
	return nil
}

// trail keeps audit entries in memory.
type trail struct{ l *log }

func (t trail) Append(_ context.Context, e audit.Entry) error {
	t.l.audited = append(t.l.audited, e)
	return nil
}

func (trail) Actors(context.Context, string, string, ...audit.Action) ([]access.Actor, error) {
	return nil, errors.New("not used here")
}

func newService() (*decisions.Service, *log) {
	l := &log{stored: map[string]decision.Decision{}}
	return &decisions.Service{Work: l, Clock: clock.Fixed(now)}, l
}

func good(id string) decision.Decision {
	return decision.Decision{ID: id, UnitID: "u-" + id, UserID: "user", SnapshotID: "s-a", At: now, Arm: decision.Policy, ArmProbability: 0.5,
		Action: "a", BaselineAction: "a", EligibleActions: []string{"a"}, Propensity: []float64{1}}
}

func many(n int) iter.Seq[decisions.Row] {
	return func(yield func(decisions.Row) bool) {
		for i := range n {
			if !yield(decisions.Row{Number: i + 1, Decision: good(fmt.Sprint(i))}) {
				return
			}
		}
	}
}

// Bad rows are named by number and field; the good ones around them are stored.
func TestBadRowsAreNamedAndGoodOnesKept(t *testing.T) {
	t.Parallel()
	svc, l := newService()
	unknown, nul, twice := good("4"), good("5"), good("1")
	unknown.SnapshotID = "s-z"
	nul.UnitID = "a\x00b"
	rows := []decisions.Row{
		{Number: 1, Decision: good("1")},
		{Number: 2, Err: fault.InvalidField("ts", "field_missing", "the field is missing").Fix("Log it")},
		{Number: 3, Err: errors.New("the line is cut")},
		{Number: 5, Decision: unknown}, {Number: 6, Decision: nul}, {Number: 7, Decision: twice}, {Number: 9, Decision: good("9")},
	}
	res, err := svc.Append(context.Background(), by, "acme", slices.Values(rows))
	require.NoError(t, err)
	require.Equal(t, []int{2, 1, 4}, []int{res.Accepted, res.Duplicates, res.Rejected})
	require.Len(t, l.stored, 2)
	var named []string
	for _, b := range res.BadRows {
		named = append(named, fmt.Sprintf("%d %s %s", b.Row, b.Field, b.Code))
		require.NotEmpty(t, b.Message)
	}
	require.Equal(t, []string{"2 ts field_missing", "3  internal", "5 snapshot_id snapshot_unknown", "6 unit_id text_malformed"}, named)
	require.Equal(t, []decisions.Refusal{
		{DecisionID: "4", UnitID: "u-4", At: now, Field: "snapshot_id", Code: "snapshot_unknown"},
		{DecisionID: "5", At: now, Field: "unit_id", Code: "text_malformed"},
	}, l.refused, "what is known of a refused decision is kept")
	require.Equal(t, "the field is missing. Log it", res.BadRows[0].Message, "the field stands in a column of its own")
}

// An upload of any length goes in batches of 5,000; again, it stores nothing.
func TestUploadsGoInBatches(t *testing.T) {
	t.Parallel()
	svc, l := newService()
	res, err := svc.Append(context.Background(), by, "acme", many(5001))
	require.NoError(t, err)
	require.Equal(t, decisions.Result{Accepted: 5001}, res)
	require.Equal(t, []int{5000, 1}, l.batches)
	res, err = svc.Append(context.Background(), by, "acme", many(5000))
	require.NoError(t, err)
	require.Equal(t, decisions.Result{Duplicates: 5000}, res)
	require.Equal(t, []int{5000, 1, 5000}, l.batches, "no empty batch at the end")
	require.Len(t, l.audited, 1, "what changed nothing is no entry")
	require.Equal(t, `{"accepted":"5001","duplicates":"0","rejected":"0"}`, l.audited[0].After)
	require.Equal(t, "cli:tester", l.audited[0].Actor.ID)
	res, err = svc.Append(context.Background(), by, "acme", many(0))
	require.NoError(t, err)
	require.Equal(t, decisions.Result{}, res)
}

// However many rows are bad, the answer names a hundred and counts all.
func TestTheAnswerIsBounded(t *testing.T) {
	t.Parallel()
	svc, _ := newService()
	res, err := svc.Append(context.Background(), by, "acme", func(yield func(decisions.Row) bool) {
		for i := range 1234 {
			if !yield(decisions.Row{Number: i + 1}) {
				return
			}
		}
	})
	require.NoError(t, err)
	require.Equal(t, 1234, res.Rejected)
	require.Len(t, res.BadRows, 100)
}

func TestAppendStopsWithTheStore(t *testing.T) {
	t.Parallel()
	svc, l := newService()
	_, err := svc.Append(context.Background(), by, "nobody", many(1))
	require.True(t, fault.Is(err, fault.NotFound))
	l.fail = fault.New(fault.Unavailable, "database_unavailable", "later")
	read := 0
	res, err := svc.Append(context.Background(), by, "acme", func(yield func(decisions.Row) bool) {
		for row := range many(20_000) {
			read++
			if !yield(row) {
				return
			}
		}
	})
	require.True(t, fault.Is(err, fault.Unavailable))
	require.Zero(t, res.Accepted)
	require.Equal(t, 5000, read, "it reads no further")
}

// An upload that breaks off after its first batch is audited as far as it came.
func TestABrokenUploadIsAudited(t *testing.T) {
	t.Parallel()
	svc, l := newService()
	res, err := svc.Append(context.Background(), by, "acme", func(yield func(decisions.Row) bool) {
		for row := range many(10_000) {
			if row.Number == 5001 {
				l.fail = fault.New(fault.Unavailable, "database_unavailable", "later")
			}
			if !yield(row) {
				return
			}
		}
	})
	require.True(t, fault.Is(err, fault.Unavailable))
	require.Equal(t, 5000, res.Accepted)
	require.Len(t, l.audited, 1)
	require.Equal(t, "broke off: database_unavailable", l.audited[0].Reason)
	require.Equal(t, `{"accepted":"5000","duplicates":"0","rejected":"0"}`, l.audited[0].After)
}

// Who may not upload here stores nothing.
func TestUploadNeedsThePermission(t *testing.T) {
	t.Parallel()
	svc, l := newService()
	viewer := access.Principal{Kind: access.Token, Roles: access.Roles{access.Viewer}, Scope: access.Everything()}
	_, err := svc.Append(context.Background(), viewer, "acme", many(1))
	require.Equal(t, access.CodePermission, fault.CodeOf(err))
	test := access.Principal{Kind: access.Token, Roles: access.Roles{access.Ingest}, Scope: access.Scope{AllAccounts: true, Environments: []account.Environment{account.Test}}}
	_, err = svc.Append(context.Background(), test, "acme", many(1))
	require.Equal(t, "account_not_found", fault.CodeOf(err), "an account of live does not exist for a token of test")
	require.Empty(t, l.stored)
}
