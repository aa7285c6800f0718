package webui

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	app "github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/app/replay"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/fault"
)

// Replays lists the reports of months that were derived again; *replay.Reports is it.
type Replays interface {
	Replays(ctx context.Context, f replay.Filter) (replay.Page, error)
}

// resultState is how the result of a replay looks.
var resultState = map[bool]StateView{true: {replay.Equal, "✓", "good"}, false: {replay.Different, "✕", "bad"}}

func replayFilter(c echo.Context) replay.Filter {
	p := func(name string) string { return strings.TrimSpace(c.QueryParam(name)) }
	return replay.Filter{Scope: scopeOf(c), AccountID: p("account"), Period: p("period"), Result: p("result"), Cursor: p("cursor"), Limit: listLimit}
}

func (s *Server) replayList(c echo.Context, f replay.Filter) (list, []reconcile.Overview, error) {
	ctx := c.Request().Context()
	accounts, err := s.reconcile.Accounts(ctx, f.Scope)
	if err != nil {
		return list{}, nil, err
	}
	periods, err := s.reconcile.Periods(ctx, f.Scope)
	return list{
		Name: "replays", Heading: "Replays", Lead: "Can I prove it? Months that were derived again from the stored events, and compared digest by digest with what the ledger has. Choose an account and a month to run one, or use liftbill cycle replay, or POST /v1/accounts/{account}/replays.", Path: "/replays", Active: "replays", Version: 2,
		Filters: []field{
			{Name: "result", Label: "Result", Value: f.Result, Choices: choices("Every result", f.Result, []string{replay.Equal, replay.Different}, words)},
			{Name: "account", Label: "Account", Value: f.AccountID, Choices: choices("Every account", f.AccountID, idsOf(accounts), func(id string) string { return nameOf(accounts, id) })},
			{Name: "period", Label: "Month", Value: f.Period, Choices: choices("Every month", f.Period, withChosen(periods, f.Period), month)},
		},
		Columns: []column{
			{Name: "account"}, {Name: "period"}, {Name: "run"}, {Name: "result"}, {Name: "first_difference"},
			{Name: "inputs_ledger"}, {Name: "inputs_replay"}, {Name: "outputs_ledger"}, {Name: "outputs_replay"},
			{Name: "run_at", Kind: columnTime}, {Name: "duration_ms", Kind: columnCount}, {Name: "run_by"}, {Name: "workflow"},
			{Name: "events", Kind: columnCount, Sum: true}, {Name: "facts_equal", Kind: columnCount, Sum: true}, {Name: "facts_taken", Kind: columnCount, Sum: true}, {Name: "cycle"}, {Name: "environment"},
		},
		Labels: []string{
			"Account", "Month", "Run", "Result", "First difference", "Inputs, ledger", "Inputs, replay", "Outputs, ledger", "Outputs, replay",
			"Run at", "Duration, ms", "Run by", "In Temporal", "Events", "Facts equal", "Facts taken as stored", "Cycle", "Environment",
		},
		Empty: "No replay yet", EmptyHint: "A replay derives a frozen month again and compares every digest.",
	}, accounts, err
}

// replayRow marks a digest that differs, so that nobody has to read 64 digits twice.
func (s *Server) replayRow(accounts []reconcile.Overview) func(replay.Report) row {
	return func(r replay.Report) row {
		state := resultState[r.Equal]
		var took any
		if d, ok := r.Took(); ok {
			took = d.Milliseconds()
		}
		digest := func(v string, of replay.Digests) cell {
			x := cell{Value: v, Mono: true}
			if of.Ledger != of.Replay {
				x.Sub = "differs"
			}
			return x
		}
		return row{Key: rowKey("replay-", r.ID), Cells: []cell{
			{Value: nameOf(accounts, r.AccountID), URL: query("/cycles", "period", r.Period, "account", r.AccountID), Env: string(r.Environment)}, {Value: r.Period, Sub: month(r.Period)}, {Value: strconv.FormatInt(r.ID, 10)},
			{Value: state.Name, State: &state}, {Value: r.Difference}, digest(r.Inputs.Ledger, replay.Digests{}), digest(r.Inputs.Replay, r.Inputs), digest(r.Outputs.Ledger, replay.Digests{}), digest(r.Outputs.Replay, r.Outputs),
			{Value: r.RunAt.UTC()}, {Value: took}, {Value: r.RunBy}, {Value: r.WorkflowID, URL: s.runURL(r.WorkflowID, r.WorkflowRunID), External: true, Mono: true},
			{Value: r.Events}, {Value: r.Facts}, {Value: r.Taken}, {Value: r.CycleID, URL: "/cycles/" + r.CycleID, Mono: true}, {Value: string(r.Environment)},
		}}
	}
}

func (s *Server) replayPage(c echo.Context) error {
	return s.showReplays(c, http.StatusOK, replayFilter(c), "")
}

func (s *Server) showReplays(c echo.Context, status int, f replay.Filter, problem string) error {
	l, accounts, err := s.replayList(c, f)
	if err != nil {
		return err
	}
	page, err := s.replays.Replays(c.Request().Context(), f)
	if err != nil {
		return err
	}
	l.Run, l.Problem = s.replayRun(c, f, accounts), problem
	if caller := app.From(c.Request().Context()); f.AccountID != "" && f.Period != "" && caller.Kind == access.User && caller.Can(access.RunCycle) {
		l.Replay = &replayForm{PostURL: monthURL(f.AccountID, f.Period) + "/replay", Of: nameOf(accounts, f.AccountID) + ", " + month(f.Period)}
	}
	for _, r := range page.Items {
		l.Rows = append(l.Rows, s.replayRow(accounts)(r))
	}
	return s.showWith(c, status, l, f.Cursor, page.NextCursor)
}

// replayForm starts the replay of the chosen month.
type replayForm struct{ PostURL, Of string }

// replayMonth starts the replay of a month, or finds the one that runs, and leads to the list.
// A refusal is shown there.
func (s *Server) replayMonth(c echo.Context) error {
	ctx, id, month := c.Request().Context(), c.Param("id"), c.Param("period")
	_, err := s.replaying.Start(ctx, app.From(ctx).Principal, id, month)
	if text, ok := refusal(err, fault.Unavailable); ok { // Temporal does not answer
		return s.showReplays(c, http.StatusUnprocessableEntity, replay.Filter{Scope: scopeOf(c), AccountID: id, Period: month, Limit: listLimit}, text)
	}
	if err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, replaysURL(id, month))
}

func (s *Server) replayExport(c echo.Context) error {
	if err := checkFormat(c); err != nil {
		return err
	}
	f := replayFilter(c)
	l, accounts, err := s.replayList(c, f)
	if err != nil {
		return err
	}
	return sendAll(s, c, l, s.replayRow(accounts), func(cursor string, n int) ([]replay.Report, string, error) {
		f.Cursor, f.Limit = cursor, n
		page, err := s.replays.Replays(c.Request().Context(), f)
		return page.Items, page.NextCursor, err
	})
}
