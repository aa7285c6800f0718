package replay

import (
	"context"

	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/period"
)

// Started is a replay that was asked for.
type Started struct {
	CycleID, WorkflowID string
	// Already: it was running before.
	Already bool
}

// Run is the newest run of a month's replay.
type Run struct {
	WorkflowID string
	// RunID tells it from earlier ones of the same workflow; empty where Temporal knows of none.
	RunID string
	State billing.RunState
}

// Standing is how the replays of a month stand.
type Standing struct {
	CycleID     string
	Environment account.Environment
	Run         Run
}

// Desk knows which months can be replayed, and writes down who asked.
type Desk interface {
	// Replayable is the environment of a frozen cycle: NotFound when there is none, Conflict
	// when it is not frozen.
	Replayable(ctx context.Context, cycleID string) (account.Environment, error)
	Asked(ctx context.Context, note audit.Entry) error
}

// Runs are the replays' runs on the workers.
type Runs interface {
	// StartReplay starts the run of a month, or finds the open one; by is who asked.
	StartReplay(ctx context.Context, env account.Environment, accountID, period, by string) (Started, error)
	// LookReplay is what Temporal says of the newest run of a month.
	LookReplay(ctx context.Context, env account.Environment, accountID, period string) (Run, error)
}

// Starts has replays run by the workers, and waits for none. A month has one run at a time.
type Starts struct {
	Desk Desk
	// Runs may be nil: then the process starts no replays.
	Runs  Runs
	Clock clock.Clock
}

// Start starts the replay of an account's month, or finds the one that runs.
func (s *Starts) Start(ctx context.Context, by access.Principal, accountID, month string) (Started, error) {
	m, err := period.Parse(month)
	if err != nil {
		return Started{}, err
	}
	if err := access.RequirePermission(by, access.RunCycle); err != nil {
		return Started{}, err
	}
	id := billing.CycleID(accountID, m)
	env, err := s.Desk.Replayable(ctx, id)
	if err != nil {
		return Started{}, err
	}
	if err := access.Require(by, access.RunCycle, accountID, env); err != nil {
		return Started{}, err
	}
	if s.Runs == nil {
		return Started{}, fault.New(fault.Unavailable, "temporal_missing", "this process starts no replays").Fix("Use liftbill cycle replay")
	}
	if err := s.Desk.Asked(ctx, audit.New(by, s.Clock.Now(), audit.ReplayAsked, "cycle", id).In(accountID, env)); err != nil {
		return Started{}, err
	}
	out, err := s.Runs.StartReplay(ctx, env, accountID, m.String(), by.Label())
	out.CycleID = id
	return out, err
}

// Standing is how the newest replay of an account's month stands: NotFound without a cycle,
// Conflict when its inputs are not frozen. What a run found is in the reports.
func (s *Starts) Standing(ctx context.Context, accountID, month string) (Standing, error) {
	m, err := period.Parse(month)
	if err != nil {
		return Standing{}, err
	}
	id := billing.CycleID(accountID, m)
	env, err := s.Desk.Replayable(ctx, id)
	if err != nil {
		return Standing{}, err
	}
	return Standing{CycleID: id, Environment: env, Run: s.RunOf(ctx, env, accountID, m.String())}, nil
}

// RunOf is what Temporal says of the newest replay of a month; its state is unknown where it
// does not answer, which hides nothing that is stored.
func (s *Starts) RunOf(ctx context.Context, env account.Environment, accountID, month string) Run {
	if s.Runs == nil {
		return Run{}
	}
	run, err := s.Runs.LookReplay(ctx, env, accountID, month)
	if err != nil {
		return Run{}
	}
	return run
}
