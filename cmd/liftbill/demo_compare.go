package main

import (
	"context"
	"fmt"

	"github.com/liftbill/liftbill/adapters/httpapi"
)

// compare reconciles the last month with Stripe, as the nightly Schedule would: what the
// pages list as breaks is what the simulated businesses left behind. A comparison that could
// not be made is told; the invoices do not depend on it.
func (w *world) compare(ctx context.Context, p *progress) error {
	m := w.stack.months[len(w.stack.months)-1]
	p.step("comparing %s with Stripe", m.Name())
	found, ties := 0, 0
	for _, c := range w.companies {
		base := "/v1/accounts/" + c.id + "/reconciliations/" + m.String()
		if err := w.post(ctx, c.env, base+"/run", nil, nil); err != nil {
			if ctx.Err() != nil {
				return err
			}
			p.note(fmt.Sprintf("%s could not be compared: %v", c.id, err))
			continue
		}
		var s httpapi.Reconciliation
		if err := w.get(ctx, c.env, base, &s); err != nil {
			return err
		}
		for _, n := range s.Counts {
			found += n.Count
		}
		if s.Ties {
			ties++
		}
	}
	p.done("%d of %d accounts tie out at 0.00; %d breaks to look at", ties, len(w.companies), found)
	return nil
}
