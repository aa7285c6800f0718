package webui

import (
	"context"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/app/replay"
)

// Replays lists the reports of months that were derived again; *replay.Reports is it.
type Replays interface {
	Replays(ctx context.Context, f replay.Filter) (replay.Page, error)
}

// resultState is how the result of a replay looks.
var resultState = map[bool]StateView{true: {replay.Equal, "✓", "good"}, false: {replay.Different, "✕", "bad"}}

func (s *Server) replayList(c echo.Context) (list, replay.Filter, []reconcile.Overview, error) {
	p := func(name string) string { return strings.TrimSpace(c.QueryParam(name)) }
	ctx, scope := c.Request().Context(), scopeOf(c)
	f := replay.Filter{Scope: scope, AccountID: p("account"), Period: p("period"), Result: p("result"), Cursor: p("cursor"), Limit: listLimit}
	accounts, err := s.reconcile.Accounts(ctx, scope)
	if err != nil {
		return list{}, f, nil, err
	}
	periods, err := s.reconcile.Periods(ctx, scope)
	return list{
		Name: "replays", Heading: "Replays", Lead: "Can I prove it? Months that were derived again from the stored events, and compared digest by digest with what the ledger has. Run one from a readout, or with: liftbill cycle replay.", Path: "/replays", Active: "replays", Version: 2,
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
	}, f, accounts, err
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
	l, f, accounts, err := s.replayList(c)
	if err != nil {
		return err
	}
	page, err := s.replays.Replays(c.Request().Context(), f)
	if err != nil {
		return err
	}
	l.Run = s.replayRun(c, f, accounts)
	for _, r := range page.Items {
		l.Rows = append(l.Rows, s.replayRow(accounts)(r))
	}
	return s.show(c, l, f.Cursor, page.NextCursor)
}

func (s *Server) replayExport(c echo.Context) error {
	if err := checkFormat(c); err != nil {
		return err
	}
	l, f, accounts, err := s.replayList(c)
	if err != nil {
		return err
	}
	return sendAll(s, c, l, s.replayRow(accounts), func(cursor string, n int) ([]replay.Report, string, error) {
		f.Cursor, f.Limit = cursor, n
		page, err := s.replays.Replays(c.Request().Context(), f)
		return page.Items, page.NextCursor, err
	})
}
