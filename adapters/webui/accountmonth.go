package webui

import (
	"net/http"

	"github.com/labstack/echo/v4"

	app "github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/period"
)

// accountMonthView is a month that was compared and has no cycle.
type accountMonthView struct {
	AccountID, AccountName, Environment, Period string
	Month                                       *closeView
}

// monthURL is where a month of an account stands: its cycle, or the month by itself.
func monthURL(accountID, period string) string { return "/accounts/" + accountID + "/months/" + period }

// accountMonth leads to the cycle of a month, and shows the month where there is none: breaks
// are found in months that are running, and in those that nobody bills.
func (s *Server) accountMonth(c echo.Context) error {
	m, err := period.ParseMonth(c.Param("period"))
	if err != nil {
		return err
	}
	id := billing.CycleID(c.Param("id"), m)
	_, err = s.reconcile.TieOut(c.Request().Context(), id)
	switch {
	case fault.Is(err, fault.NotFound):
		return s.showAccountMonth(c, http.StatusOK, m, "")
	case err != nil:
		return err
	}
	return c.Redirect(http.StatusSeeOther, "/cycles/"+id+"#month")
}

func (s *Server) showAccountMonth(c echo.Context, status int, m period.Month, problem string) error {
	o, err := s.accountOf(c)
	if err != nil {
		return err
	}
	v := accountMonthView{AccountID: o.ID, AccountName: o.Name, Environment: o.Environment.String(), Period: m.String()}
	if v.Month, err = s.monthOf(c, o.ID, v.Period); err != nil {
		return err
	}
	v.Month.RunURL, v.Month.Problem = monthURL(o.ID, v.Period)+"/reconcile", problem
	return s.render(c, status, "accountmonth", frame{Title: o.Name + ", " + month(v.Period), Active: "cycles", Environment: v.Environment, Page: v})
}

// runAccountMonth compares a month with Stripe now. A refusal is shown on its page.
func (s *Server) runAccountMonth(c echo.Context) error {
	m, err := period.ParseMonth(c.Param("period"))
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	_, err = s.breaks.Reconcile(ctx, app.From(ctx).Principal, c.Param("id"), m.String(), func(string) {})
	if text, ok := refusal(err, fault.Unavailable); ok {
		return s.showAccountMonth(c, http.StatusUnprocessableEntity, m, text)
	}
	if err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, monthURL(c.Param("id"), m.String()))
}
