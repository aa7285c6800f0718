package webui

import (
	"context"
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"

	app "github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/billing"
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

// refused says why a decision, or something that was done to the month, was refused.
type refused struct{ Decision, Month string }

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
	if text, ok := refusal(err); ok {
		return s.showCycle(c, http.StatusUnprocessableEntity, id, refused{Decision: text})
	}
	if err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, "/cycles/"+url.PathEscape(id)+"#decisions")
}
