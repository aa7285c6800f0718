package main

import (
	"context"

	"github.com/liftbill/liftbill/adapters/httpapi"
	"github.com/liftbill/liftbill/domain/fault"
)

// compare reconciles every month with Stripe, as the nightly Schedule would: what the pages
// list as breaks is what the simulated businesses left behind.
func (w *world) compare(ctx context.Context, p *progress) error {
	p.step("comparing every month with Stripe")
	found, blocking := 0, 0
	for _, c := range w.companies {
		for _, m := range w.stack.months {
			base := "/v1/accounts/" + c.id + "/reconciliations/" + m.String()
			if err := w.post(ctx, c.env, base+"/run", nil, nil); err != nil {
				return err
			}
			var s httpapi.Reconciliation
			if err := w.get(ctx, c.env, base, &s); err != nil {
				return err
			}
			if !s.Ties {
				return fault.New(fault.Internal, "month_does_not_tie", "%s of %s does not tie out", m, c.id)
			}
			for _, n := range s.Counts {
				found += n.Count
			}
			blocking += s.Blocking
		}
	}
	p.done("every month ties out at 0.00; %d breaks to look at, of which %d keep a month from being closed", found, blocking)
	return nil
}
