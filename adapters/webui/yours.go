package webui

import (
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	app "github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/recon"
)

// yoursLimit bounds each kind of what the overview lists for the person who looks.
const yoursLimit = 10

// yourRow is one thing that waits for this very person.
type yourRow struct {
	Title, URL, Sub string
	Environment     account.Environment
	State           StateView
	Says            string
	Minor           int64
	Currency        string
	Since           string
}

// yours is what waits for the person who looks: breaks that were assigned to them, and what
// others ask a second person for. What they asked for themselves waits for somebody else.
func (s *Server) yours(c echo.Context) (out []yourRow, more bool, err error) {
	ctx := c.Request().Context()
	caller := app.From(ctx)
	add := func(f reconcile.BreaksFilter, says string) error {
		f.Scope, f.Limit = caller.Scope, yoursLimit
		page, err := s.breaks.Breaks(ctx, f)
		for _, b := range page.Items {
			if b.State != recon.ForceRequested || b.RequestedBy.Person != caller.Person {
				out = append(out, breakOfYours(b, says))
			}
		}
		more = more || page.NextCursor != ""
		return err
	}
	if caller.Can(access.ForceBreak) {
		if err := add(reconcile.BreaksFilter{State: string(recon.ForceRequested)}, "A second person is asked to accept it although it is there."); err != nil {
			return nil, false, err
		}
	}
	if caller.Can(access.ResolveBreak) && caller.Name != "" {
		if err := add(reconcile.BreaksFilter{Owner: caller.Name, Pending: true}, "Assigned to you."); err != nil {
			return nil, false, err
		}
	}
	if caller.Can(access.ApproveCycle) {
		page, err := s.reconcile.Adjustments(ctx, reconcile.AdjustmentsFilter{Scope: caller.Scope, Cause: "correction", State: string(reconcile.AdjustmentProposed), Limit: yoursLimit})
		if err != nil {
			return nil, false, err
		}
		for _, a := range page.Items {
			if a.By != caller.Label() {
				out = append(out, correctionOfYours(a))
			}
		}
		more = more || page.NextCursor != ""
	}
	return slices.CompactFunc(out, func(a, b yourRow) bool { return a.URL == b.URL }), more, nil
}

func breakOfYours(b reconcile.BreakView, says string) yourRow {
	rule := b.Rule()
	return yourRow{
		Title: strings.ToUpper(rule.Title[:1]) + rule.Title[1:], URL: "/breaks/" + b.ID, Sub: b.AccountName + ", " + month(b.Period), Environment: b.Environment, State: breakState(b.State), Says: says,
		Minor: b.AmountMinor, Currency: b.Currency, Since: day(b.FirstSeen),
	}
}

func correctionOfYours(a reconcile.Adjustment) yourRow {
	return yourRow{
		Title: "A correction is proposed", URL: "/cycles/" + a.OriginCycle + "/corrections", Sub: a.AccountName + ", " + month(a.OriginPeriod), Environment: a.Environment,
		State: stateOf(string(a.State)), Says: sentence(a.Reason), Minor: a.AmountMinor, Currency: a.Currency, Since: day(a.RecordedAt),
	}
}
