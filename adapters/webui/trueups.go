package webui

import (
	"context"
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"

	app "github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/app/trueups"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/fault"
)

// TrueUps looks at contracts that have ended; *trueups.Service is it.
type TrueUps interface {
	Ended(ctx context.Context, scope access.Scope, accountID string) ([]trueups.Ended, error)
	Outstanding(ctx context.Context, by access.Principal, accountID string) (trueups.Outstanding, error)
	Close(ctx context.Context, by access.Principal, accountID, reason string) ([]trueups.Credit, error)
}

// endedView is what finance sees of contracts that have ended, where no cycle takes up what
// comes after the last settlement.
type endedView struct {
	// Others are some that can be chosen; nil when one is.
	Others []crumb
	// Due is the chosen one's, and CreditMinor what of it is owed to the payer, not negative.
	Due         *trueups.Outstanding
	CreditMinor int64
	PostURL     string // empty where nothing is due, or the caller may not
	Problem     string
}

// endedOf looks at the chosen account when its contract has ended, and otherwise names those
// whose contracts have; nil where there is nothing to say.
func (s *Server) endedOf(c echo.Context, f reconcile.AdjustmentsFilter, problem string) (*endedView, error) {
	ctx := c.Request().Context()
	ended, err := s.trueups.Ended(ctx, f.Scope, f.AccountID)
	if err != nil {
		return nil, err
	}
	v := endedView{Problem: problem}
	for _, e := range ended {
		if f.AccountID == "" {
			v.Others = append(v.Others, crumb{e.AccountName, query("/adjustments", "account", e.AccountID)})
			continue
		}
		caller := app.From(ctx)
		due, err := s.trueups.Outstanding(ctx, caller.Principal, e.AccountID)
		if err != nil {
			return nil, err
		}
		v.Due, v.CreditMinor = &due, max(0, -due.DueMinor)
		if due.DueMinor < 0 && caller.Kind == access.User && caller.Can(access.RunCycle) {
			v.PostURL = "/accounts/" + url.PathEscape(e.AccountID) + "/true-ups"
		}
	}
	if v.Due == nil && len(v.Others) == 0 && problem == "" {
		return nil, nil //nolint:nilnil // there is nothing to show
	}
	return &v, nil
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
