package billingtick

import (
	"context"
	"sort"
	"time"

	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/period"
	"github.com/liftbill/liftbill/workflows/wferr"
	"github.com/liftbill/liftbill/workflows/wire"
)

// Ledger says which months are due.
type Ledger interface {
	DuePeriods(ctx context.Context, env account.Environment, cal billing.Calendar, asOf time.Time) (map[period.Month]int, error)
}

// Starter starts the cycle of a period; one that runs already is no error.
type Starter interface {
	StartCycle(ctx context.Context, in wire.CycleInput) (wire.StartCycleResult, error)
}

// Activities are the tick's question to the ledger and its one effect.
type Activities struct {
	Ledger  Ledger
	Starter Starter
}

// PlanDue lists the due months, oldest first.
func (a *Activities) PlanDue(ctx context.Context, in wire.PlanDueInput) ([]wire.DuePeriod, error) {
	due, err := a.Ledger.DuePeriods(ctx, in.Environment, in.Calendar, in.AsOf)
	if err != nil {
		return nil, wferr.From(err)
	}
	months := make([]period.Month, 0, len(due))
	for m := range due {
		months = append(months, m)
	}
	sort.Slice(months, func(i, j int) bool { return months[i].Before(months[j]) })
	out := make([]wire.DuePeriod, len(months))
	for i, m := range months {
		out[i] = wire.DuePeriod{Period: m.String(), Accounts: due[m]}
	}
	return out, nil
}

// StartCycle starts the run that bills a month.
func (a *Activities) StartCycle(ctx context.Context, in wire.CycleInput) (wire.StartCycleResult, error) {
	res, err := a.Starter.StartCycle(ctx, in)
	return res, wferr.From(err)
}
