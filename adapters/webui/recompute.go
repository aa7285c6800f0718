package webui

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	app "github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/app/replay"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

// Replaying has months derived again; *replay.Starts is it.
type Replaying interface {
	Start(ctx context.Context, by access.Principal, accountID, month string) (replay.Started, error)
	RunOf(ctx context.Context, env account.Environment, accountID, month string) replay.Run
}

// againView is whether the month of a readout was derived again, and how it can be.
type againView struct {
	Last             *replay.Report
	State            StateView
	ListURL, PostURL string
	May              bool
	Problem          string
}

// runNote says how the newest run behind a list stands.
type runNote struct {
	State         StateView
	Says          string
	Failed        bool
	URL, AgainURL string
}

// replaysURL lists the replays of a month of an account.
func replaysURL(accountID, period string) string {
	return query("/replays", "account", accountID, "period", period)
}

// againOf loads the newest replay of a readout's month; nil for a readout that no replay derives:
// one of a settlement, one that was measured again, and one that another one took the place of.
func (s *Server) againOf(c echo.Context, r reconcile.Readout, problem string) (*againView, error) {
	if !monthly(r.Period) || r.TrueUp != nil || r.Superseded {
		return nil, nil //nolint:nilnil // there is nothing to show
	}
	caller := app.From(c.Request().Context())
	page, err := s.replays.Replays(c.Request().Context(), replay.Filter{Scope: scopeOf(c), AccountID: r.AccountID, Period: r.Period, Limit: 1})
	v := againView{ListURL: replaysURL(r.AccountID, r.Period), PostURL: "/readouts/" + r.CaseID + "/recompute", May: caller.Kind == access.User && caller.Can(access.RunCycle), Problem: problem}
	if len(page.Items) > 0 {
		v.Last, v.State = &page.Items[0], resultState[page.Items[0].Equal]
	}
	return &v, err
}

// recompute starts the replay of a readout's month, or finds the one that runs, and leads to
// the list. A refusal is shown on the readout's page.
func (s *Server) recompute(c echo.Context) error {
	ctx := c.Request().Context()
	r, err := s.reconcile.Readout(ctx, c.Param("case"))
	if err != nil {
		return err
	}
	_, err = s.replaying.Start(ctx, app.From(ctx).Principal, r.AccountID, r.Period)
	if text, ok := refusal(err, fault.Unavailable); ok { // Temporal does not answer
		return s.showReadout(c, http.StatusUnprocessableEntity, r, text)
	}
	if err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, replaysURL(r.AccountID, r.Period))
}

// replayRun is how the newest run of the chosen month stands, while its report is not in the
// list; nil where no month is chosen, and where Temporal says nothing.
func (s *Server) replayRun(c echo.Context, f replay.Filter, accounts []reconcile.Overview) *runNote {
	if f.AccountID == "" || f.Period == "" {
		return nil
	}
	for _, a := range accounts {
		if a.ID != f.AccountID {
			continue
		}
		again := c.Request().URL.RequestURI()
		run := s.replaying.RunOf(c.Request().Context(), a.Environment, f.AccountID, f.Period)
		url := s.workflowURL(run.WorkflowID)
		switch run.State {
		case billing.RunRunning:
			return &runNote{State: StateView{"running", "●", "busy"}, Says: "A replay of this month runs now; its report appears here when it is over.", AgainURL: again, URL: url}
		case billing.RunFailed, billing.RunTimedOut:
			return &runNote{State: StateView{"failed", "✕", "bad"}, Says: "The newest replay of this month failed and left no report. Its run says why; when the cause is gone, start it again.", Failed: true, URL: url}
		case billing.RunTerminated, billing.RunCanceled:
			return &runNote{State: StateView{"stopped", "–", "calm"}, Says: "Somebody stopped the newest replay of this month; it left no report.", URL: url}
		case billing.RunUnknown, billing.RunCompleted, billing.RunNone:
		}
	}
	return nil
}
