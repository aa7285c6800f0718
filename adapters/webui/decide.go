package webui

import (
	"context"
	"net/http"
	"net/url"
	"slices"

	"github.com/labstack/echo/v4"

	app "github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/app/preview"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

// Deciding takes what people decide about cycles; *invoicing.Decisions is it.
type Deciding interface {
	Decide(ctx context.Context, by access.Principal, w invoicing.Wish) (invoicing.Standing, error)
	Start(ctx context.Context, by access.Principal, accountID, month string) (invoicing.Started, error)
	RunOf(ctx context.Context, env account.Environment, accountID, period string) billing.RunState
}

// Previews say what changed; *preview.Service is it.
type Previews interface {
	Run(ctx context.Context, by access.Principal, accountID, month string) (preview.Preview, error)
	History(ctx context.Context, cycleID string) ([]preview.Revision, error)
}

// choice is one decision that can be taken now.
type choice struct {
	Action  billing.NextStep
	Label   string
	Primary bool
}

// labels say what a button does.
var labels = map[billing.NextStep]string{
	billing.NextStep(billing.ActApprove): "Approve this invoice", billing.NextStep(billing.ActHold): "Hold", billing.NextStep(billing.ActRelease): "Ask for approval again",
	billing.NextStep(billing.ActReturn): "Return", billing.NextStep(billing.ActSkip): "Skip the month", billing.NextStep(billing.ActRecompute): "Compute again",
	billing.NextStep(billing.ActVoidDraft): "Take the draft back", billing.StepRetry: "Run again",
}

// elsewhere are the steps that no button takes, with the command that does.
var elsewhere = map[billing.NextStep]string{
	billing.StepResume: "liftbill cycle resume", billing.StepReissue: "liftbill cycle resume --reissue",
}

// choicesFor are the steps that the caller may take about a cycle now, and the commands for
// those that are taken elsewhere.
func choicesFor(c echo.Context, facts billing.CycleFacts) (out []choice, commands []string) {
	caller := app.From(c.Request().Context())
	for _, step := range billing.NextSteps(facts) {
		if command, ok := elsewhere[step]; ok {
			commands = append(commands, command)
			continue
		}
		a, decides := step.Decision()
		if !decides && step != billing.StepRetry {
			continue // an invoice is corrected, not decided upon
		}
		need := access.DecideCycle
		switch {
		case a == billing.ActApprove:
			need = access.ApproveCycle
		case !decides || a.Revises():
			need = access.RunCycle
		}
		if caller.Kind == access.User && caller.Can(need) && caller.Can(access.DecideCycle) && (!decides || facts.Priced) {
			out = append(out, choice{step, labels[step], a == billing.ActApprove})
		}
	}
	return out, commands
}

// decide takes the decision of a form. What was approved is what the page showed: the form
// carries the digest of its invoice. A refusal is shown on the page.
func (s *Server) decide(c echo.Context) error {
	id, form := c.Param("id"), posted(c)
	ctx, by := c.Request().Context(), app.From(c.Request().Context()).Principal
	var err error
	if form.Get("action") == string(billing.StepRetry) {
		var t reconcile.TieOut
		if t, err = s.reconcile.TieOut(ctx, id); err == nil {
			_, err = s.deciding.Start(ctx, by, t.AccountID, t.Period)
		}
	} else {
		_, err = s.deciding.Decide(ctx, by, invoicing.Wish{
			CycleID: id, Action: billing.DecisionAction(form.Get("action")), PlanHash: form.Get("invoice_hash"), Reason: form.Get("reason"),
		})
	}
	var also []fault.Kind
	if form.Get("action") == string(billing.StepRetry) {
		also = append(also, fault.Unavailable) // Temporal does not answer
	}
	if text, ok := refusal(err, also...); ok {
		return s.showCycle(c, http.StatusUnprocessableEntity, id, looked{problem: text})
	}
	if err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, "/cycles/"+url.PathEscape(id)+"#decisions")
}

// looked is what a form of the page of a cycle came to.
type looked struct {
	problem string // why a decision was refused
	month   string // why something that was done to the month was refused
	// changes are what a look at the present data found; nil when nobody looked.
	changes *preview.Comparison
}

// previewCycle compares a cycle with what it would come to now. It stores nothing.
func (s *Server) previewCycle(c echo.Context) error {
	ctx, id := c.Request().Context(), c.Param("id")
	t, err := s.reconcile.TieOut(ctx, id)
	if err != nil {
		return err
	}
	p, err := s.previews.Run(ctx, app.From(ctx).Principal, t.AccountID, t.Period)
	if text, ok := refusal(err, fault.Unavailable); ok { // Stripe does not answer, for one
		return s.showCycle(c, http.StatusUnprocessableEntity, id, looked{problem: text})
	}
	if err != nil {
		return err
	}
	return s.showCycle(c, http.StatusOK, id, looked{changes: p.Compared})
}

// changeRow is one thing that differs.
type changeRow struct {
	What, Name              string
	CountBefore, CountAfter int64
	MinorBefore, MinorAfter int64
	Currency                string
}

func changeRows(c *preview.Comparison) []changeRow {
	if c == nil {
		return nil
	}
	var out []changeRow
	for _, x := range c.Changes {
		out = append(out, changeRow{x.What, x.Name, x.CountBefore, x.CountAfter, x.MinorBefore, x.MinorAfter, x.Currency})
	}
	return out
}

// revisionRow is one revision with what changed in it.
type revisionRow struct {
	preview.Revision
	Changes []changeRow
}

// revisionRows lists the revisions of a cycle that was computed more than once, newest first.
func (s *Server) revisionRows(ctx context.Context, t reconcile.TieOut) ([]revisionRow, error) {
	if t.Revision <= 1 {
		return nil, nil
	}
	all, err := s.previews.History(ctx, t.ID)
	var out []revisionRow
	for _, r := range slices.Backward(all) {
		out = append(out, revisionRow{r, changeRows(r.Compared)})
	}
	return out, err
}
