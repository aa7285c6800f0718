package replay_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/replay"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

// desk has one frozen month, and workers that run its replay.
type desk struct {
	refusal, silent error
	asked           []audit.Entry
	running         map[string]string // who asked, by run
}

func (d *desk) Replayable(_ context.Context, id string) (account.Environment, error) {
	if id != "acme.2026-10" {
		return "", fault.New(fault.NotFound, "cycle_not_found", "there is no cycle %q", id)
	}
	return account.Live, d.refusal
}

func (d *desk) Asked(_ context.Context, note audit.Entry) error {
	d.asked = append(d.asked, note)
	return nil
}

func (d *desk) StartReplay(_ context.Context, env account.Environment, accountID, period, by string) (replay.Started, error) {
	if d.silent != nil {
		return replay.Started{}, d.silent
	}
	id := string(env) + "/" + accountID + "/" + period
	_, already := d.running[id]
	if !already {
		d.running[id] = by
	}
	return replay.Started{WorkflowID: id, Already: already}, nil
}

func (d *desk) LookReplay(context.Context, account.Environment, string, string) (replay.Run, error) {
	return replay.Run{WorkflowID: "w", State: billing.RunRunning}, d.silent
}

// TestStartingAReplay: whoever may run cycles of the account starts the one run of its month, is
// written down before it starts, and finds the open run when it is asked for twice; a month that
// cannot be replayed, and a caller who may not, start nothing.
func TestStartingAReplay(t *testing.T) {
	t.Parallel()
	d := &desk{running: map[string]string{}}
	s := &replay.Starts{Desk: d, Runs: d, Clock: clock.Fixed(time.Unix(1, 0))}
	testOnly := anna
	testOnly.Scope = access.Scope{AllAccounts: true, Environments: []account.Environment{account.Test}}
	for code, c := range map[string]struct {
		by             access.Principal
		account, month string
	}{
		access.CodePermission: {access.Principal{}, "acme", "2026-10"}, "period_malformed": {anna, "acme", "October"}, "cycle_not_found": {anna, "nobody", "2026-10"},
		"account_not_found": {testOnly, "acme", "2026-10"},
	} {
		_, err := s.Start(t.Context(), c.by, c.account, c.month)
		require.Equal(t, code, fault.CodeOf(err))
	}
	d.refusal = fault.New(fault.Conflict, "not_collected", "not frozen")
	_, err := s.Start(t.Context(), anna, "acme", "2026-10")
	require.Equal(t, "not_collected", fault.CodeOf(err))
	d.refusal = nil
	_, err = (&replay.Starts{Desk: d, Clock: s.Clock}).Start(t.Context(), anna, "acme", "2026-10")
	require.Equal(t, "temporal_missing", fault.CodeOf(err))
	require.Empty(t, d.asked)
	require.Empty(t, d.running)

	got, err := s.Start(t.Context(), anna, "acme", "2026-10")
	require.NoError(t, err)
	require.Equal(t, replay.Started{CycleID: "acme.2026-10", WorkflowID: "live/acme/2026-10"}, got)
	got, err = s.Start(t.Context(), anna, "acme", "2026-10")
	require.NoError(t, err)
	require.True(t, got.Already)
	require.Equal(t, map[string]string{"live/acme/2026-10": anna.Label()}, d.running)
	require.Len(t, d.asked, 2)
	require.Equal(t, audit.ReplayAsked, d.asked[0].Action)
	require.Equal(t, []string{"acme.2026-10", "acme"}, []string{d.asked[0].ObjectID, d.asked[0].AccountID})

	standing, err := s.Standing(t.Context(), "acme", "2026-10")
	require.NoError(t, err)
	require.Equal(t, replay.Standing{CycleID: "acme.2026-10", Environment: account.Live, Run: replay.Run{WorkflowID: "w", State: billing.RunRunning}}, standing)
	_, err = s.Standing(t.Context(), "acme", "October")
	require.Equal(t, "period_malformed", fault.CodeOf(err))
	_, err = s.Standing(t.Context(), "nobody", "2026-10")
	require.Equal(t, "cycle_not_found", fault.CodeOf(err))

	require.Equal(t, replay.Run{WorkflowID: "w", State: billing.RunRunning}, s.RunOf(t.Context(), account.Live, "acme", "2026-10"))
	d.silent = errors.New("no answer")
	require.Equal(t, replay.Run{}, s.RunOf(t.Context(), account.Live, "acme", "2026-10"))
	require.Equal(t, replay.Run{}, (&replay.Starts{}).RunOf(t.Context(), account.Live, "acme", "2026-10"))
	_, err = s.Start(t.Context(), anna, "acme", "2026-10")
	require.ErrorContains(t, err, "no answer")
}
