package webui

import (
	"cmp"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/liftbill/liftbill/app/reconcile"
)

func (s *Server) cyclesExport(c echo.Context) error {
	if err := checkFormat(c); err != nil {
		return err
	}
	q, err := cyclesFilter(c)
	if err != nil {
		return err
	}
	if q.Period == everyPeriod {
		q.Period = ""
	}
	all, err := everything(func(cursor string, n int) ([]reconcile.CycleSummary, string, error) {
		q.Cursor, q.Limit = cursor, n
		page, err := s.reconcile.Cycles(c.Request().Context(), q)
		return page.Items, page.NextCursor, err
	})
	if err != nil {
		return err
	}
	r := report{
		Name: "cycles", Title: "Close board", Version: 4,
		Parameters: []parameter{{"period", cmp.Or(c.QueryParam("period"), everyPeriod)}, {"state", q.State}, {"account", q.AccountID}, {"environment", q.Environment}, {"mode", q.Mode}, {"breaks", q.Breaks}, {"currency", q.Currency}, {"from", c.QueryParam("from")}, {"to", c.QueryParam("to")}, {"sort", q.Sort}},
		Columns: []column{
			{Name: "cycle"}, {Name: "account"}, {Name: "account_name"}, {Name: "environment"}, {Name: "period"}, {Name: "period_start", Kind: columnTime}, {Name: "period_end", Kind: columnTime}, {Name: "time_zone"},
			{Name: "state"}, {Name: "reason"}, {Name: "next_action"}, {Name: "basis"}, {Name: "currency"}, {Name: "lift_billed", Kind: columnMoney, Sum: true}, {Name: "lines", Kind: columnCount, Sum: true},
			{Name: "withheld", Kind: columnCount, Sum: true}, {Name: "engine", Kind: columnMoney, Sum: true}, {Name: "stripe", Kind: columnMoney, Sum: true}, {Name: "difference", Kind: columnMoney, Sum: true},
			{Name: "invoice_id"}, {Name: "invoice_number"}, {Name: "updated_at", Kind: columnTime},
			{Name: "open_breaks", Kind: columnCount, Sum: true}, {Name: "blocking_breaks", Kind: columnCount, Sum: true}, {Name: "breaks_at_stake", Kind: columnMoney, Sum: true},
			{Name: "approver"}, {Name: "due_at", Kind: columnTime}, {Name: "closed_at", Kind: columnTime}, {Name: "closed_by"},
			{Name: "contract"}, {Name: "contract_version", Kind: columnCount}, {Name: "revision", Kind: columnCount}, {Name: "withheld_lift", Kind: columnMoney, Sum: true}, {Name: "true_ups", Kind: columnMoney, Sum: true}, {Name: "found_later", Kind: columnMoney, Sum: true}, {Name: modeColumn},
		},
	}
	for _, i := range all {
		r.Rows = append(r.Rows, []any{
			i.ID, i.AccountID, i.AccountName, string(i.Environment), i.Period, i.PeriodStart, i.PeriodEnd, i.TimeZone, string(i.State), i.Reason, i.NextAction, i.Basis, i.Currency,
			cashOf(i.LiftMinor, i.Currency), int64(i.Lines), int64(i.WithheldLines), cashOf(i.EngineMinor, i.Currency), cash{i.StripeMinor, i.Currency}, cash{i.DifferenceMinor, i.Currency},
			i.StripeInvoiceID, i.InvoiceNumber, i.UpdatedAt,
			int64(i.OpenBreaks), int64(i.BlockingBreaks), cashOf(i.BreaksMinor, i.Currency), i.Approver, dueOf(i), timeOf(i.ClosedAt), i.ClosedBy,
			i.ContractID, int64(i.ContractVersion), int64(i.Revision), cashOf(i.WithheldMinor, i.Currency), cashOf(i.TrueUpMinor, i.Currency), cashOf(i.LaterMinor, i.Currency), i.Mode(),
		})
	}
	return s.send(c, r)
}

// dueOf is when the invoice is due; zero where nothing is.
func dueOf(c reconcile.CycleSummary) time.Time {
	if c.Payment == nil {
		return time.Time{}
	}
	return timeOf(c.Payment.DueAt)
}

// cycleExport has one row per line of the tie-out, measured or not; on pages it is the
// cycle's statement.
func (s *Server) cycleExport(c echo.Context) error {
	if err := checkFormat(c); err != nil {
		return err
	}
	t, err := s.reconcile.TieOut(c.Request().Context(), c.Param("id"))
	if err != nil {
		return err
	}
	r := report{
		Name: "lines-" + t.ID, Title: "Lines of " + t.AccountName + ", " + month(t.Period), Version: 2,
		Parameters: []parameter{{"cycle", t.ID}, {"revision", strconv.Itoa(t.Revision)}, {"contract_hash", t.ContractHash}, {"share", t.Share}, {"plan_hash", t.PlanHash}, {"input_digest", t.InputDigest}, {"state", string(t.State)}, {"environment", string(t.Environment)}},
		Columns: []column{
			{Name: "line"}, {Name: "kind"}, {Name: "name"}, {Name: "verdict"}, {Name: "reason"}, {Name: "explanation"}, {Name: "users", Kind: columnCount, Sum: true}, {Name: "holdout", Kind: columnCount, Sum: true},
			{Name: "observed", Kind: columnMoney, Sum: true}, {Name: "measured_lift", Kind: columnMoney, Sum: true}, {Name: "lower_bound", Kind: columnMoney}, {Name: "billed_before", Kind: columnMoney, Sum: true},
			{Name: "base", Kind: columnMoney, Sum: true}, {Name: "deferred", Kind: columnMoney, Sum: true}, {Name: "waived", Kind: columnMoney, Sum: true}, {Name: "amount", Kind: columnMoney, Sum: true},
			{Name: "invoiced", Kind: columnMoney, Sum: true}, {Name: "stripe", Kind: columnMoney, Sum: true}, {Name: "case_id"}, {Name: "stripe_line"},
			{Name: "interval_low", Kind: columnMoney}, {Name: "interval_high", Kind: columnMoney}, {Name: "effective_sample", Kind: columnCount},
		},
	}
	cur := t.Currency
	for _, l := range t.Lines {
		r.Rows = append(r.Rows, []any{
			l.SnapshotID, "lift", l.SnapshotName, l.Verdict, l.HeadlineCode, l.Explanation, l.Units, l.HoldoutUnits, cashOf(l.ObservedMinor, cur), cashOf(l.MeasuredMinor, cur), cashOf(l.BoundMinor, cur),
			cashOf(l.HighWaterFrom, cur), cashOf(l.BaseMinor, cur), cashOf(l.DeferredMinor, cur), cashOf(l.WaivedMinor, cur), cashOf(l.FeeMinor, cur), cashOf(l.BilledMinor, cur), cash{l.StripeMinor, cur}, l.CaseID, l.StripeLineID,
			estimated(l.ESS > 0, l.IntervalLow, cur), estimated(l.ESS > 0, l.IntervalHigh, cur), known(l.ESS > 0, int64(l.ESS)),
		})
	}
	for _, f := range t.Charges {
		r.Rows = append(r.Rows, []any{
			f.Line, f.Kind, f.Description, "", "", "", nil, nil, nil, nil, nil, nil, nil, nil, nil, cashOf(f.AmountMinor, cur), cashOf(f.BilledMinor, cur), cash{f.StripeMinor, cur}, "", f.StripeLineID, nil, nil, nil,
		})
	}
	return s.send(c, r, statement(t)...)
}

// estimated is an estimate in minor units, rounded down as the ledger does; nothing where there
// is none.
func estimated(is bool, v float64, currency string) any {
	if !is || math.IsNaN(v) || math.Abs(v) > 1e15 {
		return nil
	}
	return cashOf(int64(math.Floor(v)), currency)
}

// lineExport has the figures of the explanation in their order.
func (s *Server) lineExport(c echo.Context) error {
	if err := checkFormat(c); err != nil {
		return err
	}
	e, err := s.reconcile.Explain(c.Request().Context(), c.Param("id"), c.Param("line"))
	if err != nil {
		return err
	}
	agrees := "everything agrees"
	if len(e.Problems) > 0 {
		agrees = strings.Join(e.Problems, "; ")
	}
	r := report{
		Name: "line-" + e.ID, Title: "Why " + e.Title + " has its amount", Version: 1,
		Parameters: []parameter{{"cycle", e.ID}, {"revision", strconv.Itoa(e.Revision)}, {"line", e.Key}, {"contract", e.ContractID}, {"contract_hash", e.ContractHash}, {"input_digest", e.InputDigest}, {"on the invoice", major(e.BilledMinor, e.Currency)}, {"checked", agrees}},
		Columns: []column{
			{Name: "part"}, {Name: "sign"}, {Name: "figure"}, {Name: "note"}, {Name: "amount", Kind: columnMoney}, {Name: "exact_minor"}, {Name: "number"},
			{Name: "step"}, {Name: "formula"}, {Name: "inputs"}, {Name: "stored_result"}, {Name: "recomputed"}, {Name: "holds"},
		},
	}
	for _, p := range e.Parts {
		for _, f := range p.Figures {
			row := []any{p.Title, string(f.Sign), figureOf(e, f).Label, f.Note, cash{f.Minor, e.Currency}, f.Exact, f.Text, "", "", "", "", "", ""}
			if st := f.Step; st != nil {
				holds := "as stored"
				if st.Arithmetic {
					holds = strconv.FormatBool(st.Holds)
				}
				row = append(row[:7:7], strconv.Itoa(st.Number), st.Formula, st.Inputs, st.Result(), st.Recomputed.Result, holds)
			}
			r.Rows = append(r.Rows, row)
		}
	}
	return s.send(c, r)
}

// connections shows how events flow through each of them.
func (s *Server) connections(c echo.Context) error {
	health, err := s.operate.Health(c.Request().Context(), scopeOf(c), "")
	if err != nil {
		return err
	}
	env := c.QueryParam("environment")
	l := list{
		Name: "connections", Heading: "Connections", Lead: "Is data flowing, and what was set aside? Figures of the last hour where it says so.", Path: "/connections", Active: "connections", Environment: env,
		Filters: []field{{Name: "environment", Label: "Environment", Value: env, Choices: choices("Live and test", env, []string{"live", "test"}, words)}},
		Columns: []column{
			{Name: "connection"}, {Name: "environment"}, {Name: "state"}, {Name: "says"}, {Name: "endpoint"}, {Name: "last_event_at", Kind: columnTime}, {Name: "last_received_at", Kind: columnTime}, {Name: "oldest_waiting_at", Kind: columnTime},
			{Name: "waiting", Kind: columnCount, Sum: true}, {Name: "set_aside", Kind: columnCount, Sum: true}, {Name: "processed_last_hour", Kind: columnCount, Sum: true}, {Name: "lag_median"}, {Name: "lag_95"}, {Name: "lag_99"}, {Name: "reads_open", Kind: columnCount, Sum: true},
		},
		Labels: []string{"Connection", "Environment", "State", "Why", "Endpoint", "Last event", "Received", "Oldest waiting", "Waiting", "Set aside", "Last hour", "Lag, median", "Lag, 95 %", "Lag, 99 %", "Reads open"},
		Empty:  "No connection yet", EmptyHint: "Connect a Stripe account: POST /v1/connections.",
	}
	for _, h := range health {
		if env != "" && string(h.Environment) != env {
			continue
		}
		v := healthOf(h, s.clock.Now())
		l.Rows = append(l.Rows, row{Key: rowKey(h.ConnectionID), Cells: []cell{
			{Value: h.ConnectionID, URL: "/connections/" + h.ConnectionID}, {Value: string(h.Environment)}, {Value: v.State.Name, State: &v.State}, {Value: v.Says}, {Value: h.Endpoint}, {Value: timeOf(h.LastEvent), Sub: v.Age}, {Value: timeOf(h.LastReceived)}, {Value: timeOf(h.OldestPending)},
			{Value: v.Pending, URL: v.LogURL + "&status=pending"}, {Value: v.Dead, URL: v.LogURL + "&attention=yes"}, {Value: h.LastHour["processed"] + h.LastHour["ignored"]}, {Value: v.P50}, {Value: v.P95}, {Value: v.P99}, {Value: h.OpenReads},
		}})
	}
	if c.Param("format") != "" {
		return s.sendList(c, l)
	}
	return s.show(c, l, "", "")
}

func (s *Server) connectionsExport(c echo.Context) error {
	if err := checkFormat(c); err != nil {
		return err
	}
	return s.connections(c)
}
