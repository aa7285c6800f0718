package main

import (
	"context"
	"sync"

	"go.temporal.io/sdk/worker"

	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/app/measure"
	"github.com/liftbill/liftbill/app/trueups"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/period"
	"github.com/liftbill/liftbill/workflows/accountbill"
	"github.com/liftbill/liftbill/workflows/billingcycle"
	"github.com/liftbill/liftbill/workflows/wire"
)

// emptyLedger is what the workflows need to end: who there is, and who is finished.
// Nothing else happens in its activities.
type emptyLedger struct {
	accounts []string
	mu       sync.Mutex
	finished int
}

func (e *emptyLedger) ListAccounts(_ context.Context, _ billing.Cohort, after string, limit int) ([]string, error) {
	var out []string
	for _, id := range e.accounts { // ascending
		if id > after && len(out) < limit {
			out = append(out, id)
		}
	}
	return out, nil
}

func (e *emptyLedger) Counts(context.Context, billing.Cohort) (int, map[billing.CycleState]int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.accounts), map[billing.CycleState]int{billing.Withheld: e.finished}, nil
}

func (*emptyLedger) Open(_ context.Context, accountID string, m period.Month, _ string) (measure.Summary, error) {
	return measure.Summary{CycleID: billing.CycleID(accountID, m), Environment: account.Live, State: billing.Collecting}, nil
}

func (*emptyLedger) Collect(_ context.Context, cycleID string, _ measure.Progress) (measure.Summary, error) {
	return measure.Summary{CycleID: cycleID, Environment: account.Live, State: billing.Computing, Partitions: 1}, nil
}

func (*emptyLedger) Accumulate(_ context.Context, cycleID string, _, _ int, _ measure.Progress) (measure.Summary, error) {
	return measure.Summary{CycleID: cycleID, Environment: account.Live, State: billing.Computing}, nil
}

func (*emptyLedger) Estimate(_ context.Context, cycleID string, _ measure.Progress) (measure.Summary, error) {
	return measure.Summary{CycleID: cycleID, Environment: account.Live, State: billing.Computing}, nil
}

func (*emptyLedger) Book(_ context.Context, cycleID string, _ trueups.Progress) (trueups.Summary, error) {
	return trueups.Summary{CycleID: cycleID}, nil
}

func (e *emptyLedger) Draft(_ context.Context, cycleID string) (invoicing.Outcome, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.finished++
	return invoicing.Outcome{CycleID: cycleID, State: billing.Withheld}, nil
}

// floor runs the very workflows over activities that do nothing, in this process.
func (s *cycleStack) floor(ctx context.Context) (cycleRound, error) {
	empty := &emptyLedger{accounts: s.accounts}
	ledger := worker.New(s.temporal.Client(), wire.QueueWorkflows, worker.Options{MaxConcurrentActivityExecutionSize: ledgerActivities})
	billingcycle.Register(ledger, &billingcycle.Activities{Ledger: empty})
	accountbill.RegisterLedger(ledger, &accountbill.LedgerActivities{Measure: empty, Drafting: empty})
	compute := worker.New(s.temporal.Client(), wire.QueueCompute, worker.Options{DisableWorkflowWorker: true, MaxConcurrentActivityExecutionSize: computeActivities})
	accountbill.RegisterCompute(compute, &accountbill.ComputeActivities{Measure: empty, TrueUps: empty})
	for _, w := range []worker.Worker{ledger, compute} {
		if err := w.Start(); err != nil {
			return cycleRound{}, err
		}
		defer w.Stop()
	}
	// A period that no account has a contract for: the floor's runs are not the month's.
	return s.round(ctx, s.first.Add(-1), func(context.Context) (int, error) {
		empty.mu.Lock()
		defer empty.mu.Unlock()
		return empty.finished, nil
	}, nil)
}
