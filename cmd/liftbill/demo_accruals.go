package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/liftbill/liftbill/domain/period"
)

// accrue stores what an open month of every company comes to so far.
func (w *world) accrue(ctx context.Context, m period.Month, p *progress) error {
	p.step("accruing %s before it is closed", m.Name())
	var said []string
	err := w.stack.withDemoApp(ctx, func(a *app) error {
		for _, c := range w.companies {
			got, err := a.accruals().Run(ctx, operator(), c.id, m.String())
			if err != nil {
				return err
			}
			currency := string(got.Currency)
			said = append(said, fmt.Sprintf("%s %s (%s to %s)", c.id, amount(got.Expected.TotalMinor(), currency), amount(got.Low.TotalMinor(), currency), amount(got.HighMinor, currency)))
		}
		return nil
	})
	if err != nil {
		return err
	}
	p.done("%s", strings.Join(said, ", "))
	return nil
}
