package webui

import (
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	app "github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/recon"
)

// closeView is how a month stands as a whole: whether both sides agree, what is in the way,
// and whether it is closed.
type closeView struct {
	Closed               bool
	Closings             []closingView
	ComparedAt           string
	Newest               *reconcile.Run
	Failed               bool
	Ties                 bool
	Lines                []recon.TieOutLine
	Open, Blocking       int
	Stakes               []stakeView
	BreaksURL, BlocksURL string
	AllURL               string
	// FileURL is the tie-out as CSV, RunURL compares the month, CloseURL closes it; empty where
	// there is nothing to close.
	FileURL, RunURL, CloseURL string
	MayClose, MayRun          bool
	Problem, Done             string
}

type closingView struct {
	recon.Closing
	State StateView
}

// stakeView is the money that pending breaks are about, in one currency.
type stakeView struct {
	Currency string
	Minor    int64
	Count    int
}

// monthly reports whether a period can be compared: a contract year's settlement cannot.
func monthly(period string) bool { return len(period) == len("2026-10") }

// closeOf loads how a cycle's month stands; nil for a settlement, which is no month.
func (s *Server) closeOf(c echo.Context, t reconcile.TieOut) (*closeView, error) {
	if !monthly(t.Period) {
		return nil, nil //nolint:nilnil // there is nothing to show
	}
	v, err := s.monthOf(c, t.AccountID, t.Period)
	if err != nil {
		return nil, err
	}
	v.RunURL, v.CloseURL = "/cycles/"+t.ID+"/reconcile", "/cycles/"+t.ID+"/close"
	return v, nil
}

// monthOf loads how a month of an account stands, whether it has a cycle or not.
func (s *Server) monthOf(c echo.Context, accountID, period string) (*closeView, error) {
	ctx := c.Request().Context()
	sum, err := s.breaks.Summary(ctx, accountID, period)
	if err != nil {
		return nil, err
	}
	closings, err := s.breaks.Closings(ctx, accountID, period)
	if err != nil {
		return nil, err
	}
	caller, at := app.From(ctx), []string{"account", accountID, "period", period}
	v := &closeView{
		FileURL: "/v1/accounts/" + accountID + "/reconciliations/" + period + "/tie-out.csv",
		Ties:    sum.Ties, Lines: sum.TieOut.Lines, Blocking: sum.Blocking, Newest: sum.Newest, Failed: sum.Newest != nil && sum.Newest.State == reconcile.Failed,
		BreaksURL: query("/breaks", at...), BlocksURL: query("/breaks", append(at, "show", showBlocking)...), AllURL: query("/breaks", append(at, "show", showAll)...),
		MayClose: caller.Can(access.DecideCycle), MayRun: caller.Can(access.RunSync),
	}
	if sum.Complete != nil {
		v.ComparedAt = stampOf(sum.Complete.FinishedAt)
	}
	for _, n := range sum.Counts {
		if !n.State.Pending() {
			continue
		}
		v.Open += n.Count
		i := 0
		for i < len(v.Stakes) && v.Stakes[i].Currency != n.Currency {
			i++
		}
		if i == len(v.Stakes) {
			v.Stakes = append(v.Stakes, stakeView{Currency: n.Currency})
		}
		v.Stakes[i].Count += n.Count
		v.Stakes[i].Minor += n.AmountMinor
	}
	for _, x := range closings {
		view := closingView{x, StateView{Name: string(x.Action), Icon: "✓", Tone: "good"}}
		if v.Closed = x.Action == recon.Closed; !v.Closed {
			view.State.Icon, view.State.Tone = "!", "busy"
		}
		v.Closings = append(v.Closings, view)
	}
	return v, nil
}

// closeMonth compares, closes or reopens the month of a cycle. A refusal is shown on its page.
func (s *Server) closeMonth(c echo.Context) error {
	ctx, form := c.Request().Context(), posted(c)
	by := app.From(ctx).Principal
	t, err := s.reconcile.TieOut(ctx, c.Param("id"))
	if err != nil {
		return err
	}
	switch form.Get("action") {
	case "close":
		err = s.breaks.Close(ctx, by, t.AccountID, t.Period)
	case "reopen":
		err = s.breaks.ReopenMonth(ctx, by, t.AccountID, t.Period, form.Get("reason"))
	default:
		err = fault.InvalidField("action", "action_unknown", "%q is nothing that can be done to a month", form.Get("action"))
	}
	return s.monthDone(c, err)
}

// runMonth compares a month with Stripe now.
func (s *Server) runMonth(c echo.Context) error {
	ctx := c.Request().Context()
	t, err := s.reconcile.TieOut(ctx, c.Param("id"))
	if err != nil {
		return err
	}
	_, err = s.breaks.Reconcile(ctx, app.From(ctx).Principal, t.AccountID, t.Period, func(string) {})
	return s.monthDone(c, err)
}

func (s *Server) monthDone(c echo.Context, err error) error {
	if text, ok := refusal(err, fault.Unavailable); ok {
		return s.showCycle(c, http.StatusUnprocessableEntity, c.Param("id"), looked{month: text})
	}
	if err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, "/cycles/"+c.Param("id")+"#month")
}

// cycleBulk approves the marked cycles, or closes their months, each by itself. What was
// approved is what the list showed: a mark carries the digest of its invoice. A cycle with a
// break that blocks is not approved together with others; who approves it has its page before them.
func (s *Server) cycleBulk(c echo.Context) error {
	form := posted(c)
	picks, action := form["pick"], form.Get("action")
	if len(picks) == 0 || len(picks) > maxBulk || (action != "approve" && action != "close") {
		return s.showCycles(c, http.StatusUnprocessableEntity, "", "Mark 1 to "+count(maxBulk)+" cycles, and choose what to do with them.")
	}
	var told []string
	done := 0
	for _, pick := range picks {
		id, hash, _ := strings.Cut(pick, "|")
		err := s.cyclePick(c, action, id, hash)
		text, ok := refusal(err)
		switch {
		case ok:
			told = append(told, id+": "+text)
		case fault.Is(err, fault.NotFound):
			told = append(told, id+": There is no such cycle.")
		case err != nil:
			return err
		default:
			done++
		}
	}
	status, said := http.StatusOK, ""
	if done > 0 {
		said = plural(done, "cycle") + " " + map[string]string{"approve": "approved", "close": "closed"}[action] + "."
	}
	if len(told) > 0 {
		status = http.StatusUnprocessableEntity
	}
	return s.showCycles(c, status, said, strings.Join(told, " "))
}

func (s *Server) cyclePick(c echo.Context, action, id, hash string) error {
	ctx := c.Request().Context()
	by := app.From(ctx).Principal
	t, err := s.reconcile.TieOut(ctx, id)
	if err != nil {
		return err
	}
	if !by.Scope.Covers(access.Place{Accounts: []string{t.AccountID}, Environment: t.Environment}) {
		return access.Hidden(access.Cycle, id)
	}
	if action == "close" {
		return s.breaks.Close(ctx, by, t.AccountID, t.Period)
	}
	if t.BlockingBreaks > 0 {
		return fault.New(fault.Conflict, "cycle_has_breaks", "%s of this month block; it is not approved together with others", plural(t.BlockingBreaks, "break")).Fix("Resolve them, or open the cycle and approve it by itself")
	}
	_, err = s.deciding.Decide(ctx, by, invoicing.Wish{CycleID: id, Action: billing.ActApprove, PlanHash: hash})
	return err
}
