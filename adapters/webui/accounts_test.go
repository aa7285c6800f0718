package webui_test

import (
	"context"

	"github.com/liftbill/liftbill/app/reconcile"
)

func (l *ledger) AccountList(_ context.Context, f reconcile.AccountsFilter) (reconcile.Page[reconcile.Overview], error) {
	var page reconcile.Page[reconcile.Overview]
	for _, a := range l.accounts {
		if f.Environment == "" || f.Environment == string(a.Environment) {
			page.Items = append(page.Items, a)
		}
	}
	return page, l.err
}
