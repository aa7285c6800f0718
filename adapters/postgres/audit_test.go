package postgres_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/audit"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	trail "github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/fault"
)

func (w *world) note(e trail.Entry) {
	w.t.Helper()
	require.NoError(w.t, w.db.AuditLog().Do(w.ctx, func(ctx context.Context, log audit.Log) error { return log.Append(ctx, e) }))
}

func entry(action trail.Action, id, accountID string, env account.Environment) trail.Entry {
	return trail.New(access.Operator("ada"), now, action, "thing", id).In(accountID, env).Changed(nil, trail.Facts{"a": "ü\"<1>"})
}

func (w *world) verify(chain trail.Chain, anchor audit.Head) (audit.Head, error) {
	return (&audit.Service{Reader: w.db.AuditReader()}).Verify(w.ctx, chain, anchor)
}

// Twenty writers at once make one chain without a gap, and keep the one of the other
// environment waiting for nothing.
func TestConcurrentAppendsMakeOneChain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var wg sync.WaitGroup
	errs := make(chan error, 40)
	for i := range 20 {
		wg.Go(func() {
			for j, env := range []account.Environment{account.Live, account.Test} {
				acc := []string{"acme", "trial"}[j]
				errs <- w.db.AuditLog().Do(w.ctx, func(ctx context.Context, log audit.Log) error {
					return log.Append(ctx, entry("thing.made", fmt.Sprint(i), acc, env))
				})
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
	for _, chain := range []trail.Chain{trail.LiveChain, trail.TestChain} {
		head, err := w.verify(chain, audit.Head{})
		require.NoError(t, err)
		require.EqualValues(t, 20, head.Rows)
		require.Equal(t, hex.EncodeToString(head.Hash), one[string](w, "SELECT encode(hash, 'hex') FROM audit_log WHERE chain = $1 ORDER BY seq DESC LIMIT 1", string(chain)))
	}
	head, err := w.verify(trail.InstallationChain, audit.Head{})
	require.NoError(t, err)
	require.Zero(t, head.Rows)
}

// The log refuses SQL that changes, removes, forks or skips.
func TestAuditLogIsAppendOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.note(entry("thing.made", "1", "acme", account.Live))
	w.note(entry("thing.made", "2", "acme", account.Live))
	w.refused(restrict, "UPDATE audit_log SET reason = 'x'")
	w.refused(restrict, "DELETE FROM audit_log")
	w.refused(restrict, "TRUNCATE audit_log")
	const copied = `INSERT INTO audit_log SELECT chain, $1, at, actor_kind, actor_id, actor_name, person, action, outcome, object, object_id, account_id, environment,
		request_id, reason, before, after, %s, hash FROM audit_log WHERE seq = 2`
	w.refused(restrict, fmt.Sprintf(copied, "previous"), 2)
	w.refused(restrict, fmt.Sprintf(copied, "previous"), 3)
	w.refused(restrict, fmt.Sprintf(copied, "hash"), 4)
	w.refused(check, `INSERT INTO audit_log SELECT 'test', 1, at, actor_kind, actor_id, actor_name, person, action, outcome, object, object_id, account_id, environment,
		request_id, reason, before, after, decode(repeat('00', 32), 'hex'), hash FROM audit_log WHERE seq = 1`)
}

// A transaction that fails leaves no entry, and the chain goes on.
func TestAnEntryGoesWithItsChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	err := w.db.AuditLog().Do(w.ctx, func(ctx context.Context, log audit.Log) error {
		require.NoError(t, log.Append(ctx, entry("thing.made", "1", "acme", account.Live)))
		return fault.New(fault.Conflict, "x", "the change failed")
	})
	require.Equal(t, "x", fault.CodeOf(err))
	w.note(entry("thing.made", "2", "acme", account.Live))
	head, err := w.verify(trail.LiveChain, audit.Head{})
	require.NoError(t, err)
	require.EqualValues(t, 1, head.Rows)
}

// Whoever gets past the triggers is found out: verification names the row.
func TestVerifyFindsWhatWasDone(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ sql, says string }{
		"changed":       {"UPDATE audit_log SET after = '{}' WHERE seq = 3", "row 3 was changed"},
		"actor changed": {"UPDATE audit_log SET actor_id = 'cli:eve' WHERE seq = 3", "row 3 was changed"},
		"moved in time": {"UPDATE audit_log SET at = at + interval '1 microsecond' WHERE seq = 3", "row 3 was changed"},
		"removed":       {"DELETE FROM audit_log WHERE seq = 3", "row 3 is missing"},
		"closed up":     {"DELETE FROM audit_log WHERE seq = 3; UPDATE audit_log SET seq = seq - 1 WHERE seq > 3", "does not hold the hash"},
		"cut off":       {"DELETE FROM audit_log WHERE seq > 4", "ends at row 4"},
		"begun late":    {"DELETE FROM audit_log WHERE seq = 1", "row 1 is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			for i := range 6 {
				w.note(entry("thing.made", fmt.Sprint(i), "acme", account.Live))
			}
			kept, err := w.verify(trail.LiveChain, audit.Head{})
			require.NoError(t, err)
			w.note(entry("thing.made", "later", "acme", account.Live))
			_, err = w.verify(trail.LiveChain, kept)
			require.NoError(t, err, "the log has grown since")
			require.NoError(t, w.exec("ALTER TABLE audit_log DISABLE TRIGGER USER"))
			require.NoError(t, w.exec(tc.sql))
			_, err = w.verify(trail.LiveChain, kept)
			require.True(t, fault.Is(err, fault.Conflict))
			require.ErrorContains(t, err, tc.says)
		})
	}
}

// A chain that was rewritten as a whole is consistent in itself; a head that was kept
// elsewhere shows it.
func TestVerifyAgainstAnAnchor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.note(entry("thing.made", "1", "acme", account.Live))
	kept, err := w.verify(trail.LiveChain, audit.Head{})
	require.NoError(t, err)
	require.NoError(t, w.exec("ALTER TABLE audit_log DISABLE TRIGGER USER"))
	require.NoError(t, w.exec("DELETE FROM audit_log"))
	w.note(entry("thing.made", "another", "acme", account.Live))
	_, err = w.verify(trail.LiveChain, audit.Head{})
	require.NoError(t, err)
	_, err = w.verify(trail.LiveChain, kept)
	require.ErrorContains(t, err, "not the one of the anchor")
}

func TestAuditEntriesAreSelected(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.note(entry("contract.created", "1", "acme", account.Live))
	w.note(entry("contract.created", "2", "trial", account.Test))
	w.note(entry("user.created", "3", "", ""))
	w.note(entry("token.created", "4", "", account.Live))
	other := entry("request.denied", "5", "acme", account.Live).Refusal()
	other.Actor = access.Actor{Kind: access.Token, ID: "tok", Name: "ci", Person: "user_1"}
	other.At = now.Add(time.Hour)
	w.note(other)
	svc := &audit.Service{Reader: w.db.AuditReader()}
	whole := access.Everything()
	for name, tc := range map[string]struct {
		filter audit.Filter
		ids    []string
	}{
		"everything":        {audit.Filter{Scope: whole}, []string{"5", "2", "4", "1", "3"}},
		"nowhere":           {audit.Filter{}, nil},
		"one account":       {audit.Filter{Scope: scope(t, []string{"acme"}, []string{"live", "test"})}, []string{"5", "1"}},
		"one environment":   {audit.Filter{Scope: scope(t, nil, []string{"live"})}, []string{"5", "4", "1"}},
		"action":            {audit.Filter{Scope: whole, Action: "contract.created"}, []string{"2", "1"}},
		"actor":             {audit.Filter{Scope: whole, ActorID: "tok"}, []string{"5"}},
		"object":            {audit.Filter{Scope: whole, Object: "thing", ObjectID: "2"}, []string{"2"}},
		"account":           {audit.Filter{Scope: whole, AccountID: "trial"}, []string{"2"}},
		"another's account": {audit.Filter{Scope: scope(t, []string{"acme"}, []string{"live"}), AccountID: "trial"}, nil},
		"installation":      {audit.Filter{Scope: whole, Environment: "installation"}, []string{"3"}},
		"its own, unseen":   {audit.Filter{Scope: scope(t, nil, []string{"live"}), Environment: "installation"}, nil},
		"refused":           {audit.Filter{Scope: whole, Outcome: "refused"}, []string{"5"}},
		"from":              {audit.Filter{Scope: whole, From: now.Add(time.Minute)}, []string{"5"}},
		"to":                {audit.Filter{Scope: whole, To: now}, nil},
	} {
		page, err := svc.Entries(w.ctx, tc.filter)
		require.NoError(t, err, name)
		var ids []string
		for _, r := range page.Items {
			ids = append(ids, r.ObjectID)
		}
		require.Equal(t, tc.ids, ids, name)
	}
	for limit := 1; limit <= 5; limit++ {
		var ids []string
		for cursor, more := "", true; more; more = cursor != "" {
			page, err := svc.Entries(w.ctx, audit.Filter{Scope: whole, Limit: limit, Cursor: cursor})
			require.NoError(t, err)
			for _, r := range page.Items {
				ids = append(ids, r.ObjectID)
			}
			cursor = page.NextCursor
		}
		require.Equal(t, []string{"5", "2", "4", "1", "3"}, ids)
	}
	for code, f := range map[string]audit.Filter{
		"cursor_malformed": {Cursor: "x"}, "limit_range": {Limit: 501}, "filter_unknown": {Outcome: "maybe"}, "environment_unknown": {Environment: "prod"},
		"interval_empty": {From: now, To: now},
	} {
		_, err := svc.Entries(w.ctx, f)
		require.Equal(t, code, fault.CodeOf(err))
	}
	require.NoError(t, w.db.AuditLog().Do(w.ctx, func(ctx context.Context, log audit.Log) error {
		actors, err := log.Actors(ctx, "thing", "1", "contract.created", "contract.changed")
		require.NoError(t, err)
		require.Empty(t, cmp.Diff([]access.Actor{access.Operator("ada").Actor()}, actors))
		actors, err = log.Actors(ctx, "thing", "5")
		require.NoError(t, err)
		require.Empty(t, actors, "who was refused had no hand in it")
		return nil
	}))
}
