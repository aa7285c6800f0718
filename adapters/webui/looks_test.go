package webui_test

import (
	"context"

	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/app/preview"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
)

func (l *ledger) Start(_ context.Context, _ access.Principal, accountID, month string) (invoicing.Started, error) {
	l.started = accountID + "." + month
	return invoicing.Started{CycleID: l.started}, l.refusal
}
func (l *ledger) RunOf(context.Context, account.Environment, string, string) billing.RunState {
	return l.run
}

// looks is the previews of the ledger.
type looks struct{ l *ledger }

func (p looks) Run(context.Context, access.Principal, string, string) (preview.Preview, error) {
	return preview.Preview{Compared: p.l.changed}, p.l.err
}
func (p looks) History(context.Context, string) ([]preview.Revision, error) {
	return p.l.history, p.l.err
}

func (l *ledger) Decide(_ context.Context, _ access.Principal, w invoicing.Wish) (invoicing.Standing, error) {
	l.wish = w
	return invoicing.Standing{CycleID: w.CycleID}, l.refusal
}
func (l *ledger) Periods(context.Context, access.Scope) ([]string, error) { return l.periods, nil }
