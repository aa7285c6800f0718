package webui

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	app "github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/app/trueups"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/fault"
)

// TrueUps looks at contracts that have ended; *trueups.Service is it.
type TrueUps interface {
	Ended(ctx context.Context, f trueups.EndedFilter) (trueups.EndedPage, error)
	Outstanding(ctx context.Context, by access.Principal, accountID string) (trueups.Outstanding, error)
	Close(ctx context.Context, by access.Principal, accountID, reason string) ([]trueups.Credit, error)
}

// endedView is what finance sees of contracts that have ended, where no cycle takes up what
// comes after the last settlement.
type endedView struct {
	// Others are some that can be chosen; nil when one is. More: there are others than these.
	Others []crumb
	More   bool
	// Chosen is the one. DueURL works out what is due, which costs what the look of a cycle
	// costs, and so is done for whoever asks; empty where Due says it or DueProblem why not.
	Chosen     *trueups.Ended
	DueURL     string
	Due        *trueups.Outstanding
	DueProblem string
	// CreditMinor is what of it is owed to the payer, not negative.
	CreditMinor int64
	// PostURL proposes the credits; empty where nothing is due, or the caller may not. What was
	// refused can be sent again.
	PostURL string
	Problem string
}

// endedOf looks at the chosen account when its contract has ended, and otherwise names those
// whose contracts have; nil where there is nothing to say.
func (s *Server) endedOf(c echo.Context, l list, f reconcile.AdjustmentsFilter, problem string) (*endedView, error) {
	ctx := c.Request().Context()
	ended, err := s.trueups.Ended(ctx, trueups.EndedFilter{Scope: f.Scope, AccountID: f.AccountID, Environment: f.Environment})
	if err != nil {
		return nil, err
	}
	v := endedView{More: ended.More, Problem: problem}
	for _, e := range ended.Items {
		if f.AccountID == "" {
			v.Others = append(v.Others, crumb{e.AccountName, query("/adjustments", "account", e.AccountID)})
			continue
		}
		v.Chosen = &e
		owed := problem != ""
		if c.QueryParam("due") == "" {
			v.DueURL = l.at("/adjustments", "due", "1")
		} else if owed, err = s.workOut(c, &v); err != nil {
			return nil, err
		}
		if caller := app.From(ctx); owed && caller.Kind == access.User && caller.Can(access.RunCycle) {
			v.PostURL = "/accounts/" + url.PathEscape(e.AccountID) + "/true-ups"
		}
	}
	if v.Chosen == nil && len(v.Others) == 0 && problem == "" {
		return nil, nil //nolint:nilnil // there is nothing to show
	}
	return &v, nil
}

// workOut puts what is due of the chosen one into the view, or why that is not known: the list
// stays. owed says whether the payer has a credit to get.
func (s *Server) workOut(c echo.Context, v *endedView) (owed bool, err error) {
	ctx := c.Request().Context()
	due, err := s.trueups.Outstanding(ctx, app.From(ctx).Principal, v.Chosen.AccountID)
	switch {
	case ctx.Err() != nil:
		return false, err
	case err != nil:
		said, request := viewOf(err), c.Response().Header().Get(echo.HeaderXRequestID)
		if said.Status >= http.StatusInternalServerError {
			s.log.LogAttrs(ctx, slog.LevelError, "what is due was not worked out", slog.String("request_id", request), slog.String("account", v.Chosen.AccountID), slog.String("code", fault.CodeOf(err)), slog.Any("error", err))
		}
		if said.Code == "internal" { // it speaks of a page
			said.Detail = "Request " + request
		}
		v.DueProblem = strings.TrimSpace(sentence(said.Detail) + " " + sentence(said.Remedy))
		return false, nil
	}
	v.Due, v.CreditMinor = &due, max(0, -due.DueMinor)
	return due.DueMinor < 0, nil
}

// proposeTrueUps proposes the credits of the account, and leads to them. A refusal is shown on
// the list.
func (s *Server) proposeTrueUps(c echo.Context) error {
	ctx, id := c.Request().Context(), c.Param("id")
	_, err := s.trueups.Close(ctx, app.From(ctx).Principal, id, posted(c).Get("reason"))
	if text, ok := refusal(err, fault.Unavailable); ok {
		return s.showAdjustments(c, http.StatusUnprocessableEntity, reconcile.AdjustmentsFilter{Scope: scopeOf(c), AccountID: id, Limit: listLimit}, text)
	}
	if err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, query("/adjustments", "account", id, "state", "proposed"))
}
