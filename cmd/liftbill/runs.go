package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/liftbill/liftbill/adapters/scheduler"
	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/app/replay"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/internal/assembly"
	"github.com/liftbill/liftbill/workflows/wire"
)

// runs tells Temporal what was decided. It connects when there is something to tell: the
// API works without Temporal, and what it could not tell is found by the cycle's next run.
type runs struct {
	a  *app
	mu sync.Mutex
	s  *scheduler.Scheduler
}

// tellTime bounds how long an answer waits for Temporal.
const tellTime = 5 * time.Second

// Decided wakes the cycle's run, or starts one.
func (r *runs) Decided(ctx context.Context, st invoicing.Standing, again bool) error {
	ctx, cancel := context.WithTimeout(ctx, tellTime)
	defer cancel()
	err := r.tell(ctx, st, again)
	if err != nil {
		r.a.log.WarnContext(ctx, "the cycle's run was not told of a decision; its next look or run finds it", slog.String("decision", st.DecisionID), slog.Any("error", err))
	}
	return err
}

// Start starts the run of a bill.
func (r *runs) Start(ctx context.Context, env account.Environment, accountID, period string) (invoicing.Started, error) {
	ctx, cancel := context.WithTimeout(ctx, tellTime)
	defer cancel()
	s, err := r.connect(ctx)
	if err != nil {
		return invoicing.Started{}, err
	}
	res, err := s.StartBill(ctx, wire.BillInput{Environment: env, AccountID: accountID, Period: period})
	return invoicing.Started{WorkflowID: res.WorkflowID, Already: res.Already}, err
}

// StartReplay starts the replay of a month, and does not wait for what it finds.
func (r *runs) StartReplay(ctx context.Context, env account.Environment, accountID, period, by string) (replay.Started, error) {
	ctx, cancel := context.WithTimeout(ctx, tellTime)
	defer cancel()
	s, err := r.connect(ctx)
	if err != nil {
		return replay.Started{}, err
	}
	res, err := s.BeginReplay(ctx, env, wire.ReplayInput{AccountID: accountID, Period: period, By: by})
	return replay.Started{WorkflowID: res.WorkflowID, Already: res.Already}, err
}

// LookReplay asks for the newest replay of a month.
func (r *runs) LookReplay(ctx context.Context, env account.Environment, accountID, period string) (replay.Run, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	s, err := r.connect(ctx)
	if err != nil {
		return replay.Run{}, err
	}
	state, runID, err := s.LookReplay(ctx, env, accountID, period)
	return replay.Run{WorkflowID: wire.ReplayWorkflowID(env, accountID, period), RunID: runID, State: state}, err
}

// lookTime bounds how long a page waits for what Temporal says of a run.
const lookTime = 2 * time.Second

// Look asks for the newest run of a bill.
func (r *runs) Look(ctx context.Context, env account.Environment, accountID, period string) (billing.RunState, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	s, err := r.connect(ctx)
	if err != nil {
		return billing.RunUnknown, err
	}
	return s.Look(ctx, env, accountID, period)
}

func (r *runs) tell(ctx context.Context, st invoicing.Standing, again bool) error {
	s, err := r.connect(ctx)
	if err != nil {
		return err
	}
	told, err := s.Decided(ctx, st.Environment, st.AccountID, st.Period, wire.DecideInput{DecisionID: st.DecisionID, PlanHash: st.PlanHash, Revises: st.Revised})
	if err != nil || told || !again {
		return err
	}
	_, err = s.StartBill(ctx, wire.BillInput{Environment: st.Environment, AccountID: st.AccountID, Period: st.Period, Revision: st.Revision})
	return err
}

func (r *runs) connect(ctx context.Context) (*scheduler.Scheduler, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.s != nil {
		return r.s, nil
	}
	s, err := r.a.scheduler(ctx)
	if err == nil {
		r.s = s
	}
	return s, err
}

// replaying has the workers replay months.
func (a *app) replaying() *replay.Starts {
	return &replay.Starts{Desk: a.db.NewReplays(), Clock: a.clock, Runs: &runs{a: a}}
}

// deciding takes decisions about cycles and tells their runs.
func (a *app) deciding() *invoicing.Decisions {
	return &invoicing.Decisions{Work: a.db.Deciding(), Clock: a.clock, Runs: &runs{a: a}, Changes: assembly.Changes(a.previews())}
}
