package webui

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"

	app "github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

// Deciding takes what people decide about cycles; *invoicing.Decisions is it.
type Deciding interface {
	Decide(ctx context.Context, by access.Principal, w invoicing.Wish) (invoicing.Standing, error)
}

// choice is one decision that can be taken now.
type choice struct {
	Action  billing.DecisionAction
	Label   string
	Primary bool
}

// labels say what a button does.
var labels = map[billing.DecisionAction]string{
	billing.ActApprove: "Approve this invoice", billing.ActHold: "Hold", billing.ActRelease: "Ask for approval again",
	billing.ActReturn: "Return", billing.ActSkip: "Skip the month",
}

// choicesFor are the decisions that the caller may take about a cycle now.
func choicesFor(c echo.Context, t reconcile.TieOut) []choice {
	caller := app.From(c.Request().Context())
	if caller.Kind != access.User || t.InvoiceHash == "" {
		return nil
	}
	var out []choice
	for _, a := range t.State.Actions() {
		need := access.DecideCycle
		if a == billing.ActApprove {
			need = access.ApproveCycle
		}
		if caller.Can(need) {
			out = append(out, choice{a, labels[a], a == billing.ActApprove})
		}
	}
	return out
}

// decide takes the decision of a form. What was approved is what the page showed: the form
// carries the digest of its invoice. A refusal is shown on the page.
func (s *Server) decide(c echo.Context) error {
	id, form := c.Param("id"), posted(c)
	_, err := s.deciding.Decide(c.Request().Context(), app.From(c.Request().Context()).Principal, invoicing.Wish{
		CycleID: id, Action: billing.DecisionAction(form.Get("action")), PlanHash: form.Get("invoice_hash"), Reason: form.Get("reason"),
	})
	var refused *fault.Error
	if errors.As(err, &refused) && (refused.Kind == fault.Invalid || refused.Kind == fault.Conflict || refused.Kind == fault.Forbidden) {
		text := sentence(refused.Msg)
		if refused.Remedy != "" {
			text += " " + sentence(refused.Remedy)
		}
		return s.showCycle(c, http.StatusUnprocessableEntity, id, text)
	}
	if err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, "/cycles/"+url.PathEscape(id)+"#decisions")
}
