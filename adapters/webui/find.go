package webui

import (
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/liftbill/liftbill/app/operate"
	"github.com/liftbill/liftbill/app/reconcile"
)

// find leads from an ID of Stripe's to what it is here: an invoice of ours to its page, a
// customer to their page, another object to the facts that are about it, an event to the
// log. What is not known is looked for in the log, which says so.
func (s *Server) find(c echo.Context) error {
	to, err := s.placeOf(c, strings.TrimSpace(c.QueryParam("q")))
	if err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, to)
}

func (s *Server) placeOf(c echo.Context, id string) (string, error) {
	ctx, scope, log := c.Request().Context(), scopeOf(c), query("/events", "q", id)
	if !stripeID.MatchString(id) || strings.HasPrefix(id, "evt_") {
		return log, nil
	}
	if strings.HasPrefix(id, "in_") {
		own, err := s.reconcile.Invoices(ctx, reconcile.InvoicesFilter{Scope: scope, Search: id, Limit: 1})
		if err != nil {
			return "", err
		}
		if len(own.Items) > 0 {
			return invoiceURL(own.Items[0].CycleID), nil
		}
	}
	f := operate.EventsFilter{Selection: operate.Selection{Scope: scope}, Limit: 1}
	if strings.HasPrefix(id, "cus_") {
		f.Customer = id
	} else {
		f.Object = id
	}
	events, err := s.operate.Events(ctx, f)
	if err != nil || len(events.Items) == 0 {
		return log, err
	}
	accounts, err := s.reconcile.Accounts(ctx, scope)
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(accounts, func(a reconcile.Overview) bool { return a.SourceConnection == events.Items[0].ConnectionID })
	switch {
	case i < 0:
		return log, nil
	case strings.HasPrefix(id, "cus_"):
		return customerURL(accounts[i].ID, id), nil
	}
	return query("/accounts/"+accounts[i].ID+"/events", "q", id), nil
}
