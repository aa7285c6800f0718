package main

import (
	"context"

	"github.com/liftbill/liftbill/domain/account"
)

// diagnoseConnections says of each connection whether it runs, what its key lacks, and
// whether Stripe delivers to it. With keys Stripe is asked, otherwise what it said last
// time is shown. One that cannot be read does not hide the others.
func (a *app) diagnoseConnections(ctx context.Context, conns []account.Connection, keys bool) []check {
	var out []check
	service := a.onboard()
	for _, c := range conns {
		found, err := service.Diagnose(ctx, operator(), c.ID, keys)
		if err != nil {
			out = append(out, check{"connection " + c.ID, false, err.Error()})
		}
		for _, f := range found {
			out = append(out, check(f))
		}
	}
	return out
}
