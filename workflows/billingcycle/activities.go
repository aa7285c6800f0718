package billingcycle

import (
	"context"

	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/period"
	"github.com/liftbill/liftbill/workflows/wferr"
	"github.com/liftbill/liftbill/workflows/wire"
)

// Ledger says which accounts a period has and how they stand.
type Ledger interface {
	ListAccounts(ctx context.Context, of billing.Cohort, after string, limit int) ([]string, error)
	Counts(ctx context.Context, of billing.Cohort) (total int, byState map[billing.CycleState]int, err error)
}

// Activities are the cycle's questions to the ledger.
type Activities struct{ Ledger Ledger }

// ListAccounts pages through the accounts of a period.
func (a *Activities) ListAccounts(ctx context.Context, in wire.ListAccountsInput) ([]string, error) {
	m, err := period.Parse(in.Period)
	if err != nil {
		return nil, wferr.From(err)
	}
	ids, err := a.Ledger.ListAccounts(ctx, billing.Cohort{Environment: in.Environment, Calendar: in.Calendar, Period: m, AsOf: in.AsOf}, in.After, in.Limit)
	return ids, wferr.From(err)
}

// CycleCounts says how a period stands.
func (a *Activities) CycleCounts(ctx context.Context, in wire.CountsInput) (wire.Counts, error) {
	m, err := period.Parse(in.Period)
	if err != nil {
		return wire.Counts{}, wferr.From(err)
	}
	total, byState, err := a.Ledger.Counts(ctx, billing.Cohort{Environment: in.Environment, Calendar: in.Calendar, Period: m, AsOf: in.AsOf})
	if err != nil {
		return wire.Counts{}, wferr.From(err)
	}
	out := wire.Counts{Total: total, ByState: map[string]int{}}
	for state, n := range byState {
		out.ByState[string(state)] = n
		switch {
		case state.Terminal():
			out.Finished += n
		case state.Waits():
			out.Waiting += n
		}
	}
	return out, nil
}
