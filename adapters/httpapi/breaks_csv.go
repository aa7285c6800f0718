package httpapi

import (
	"bytes"
	"context"
	"encoding/csv"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/money"
	"github.com/liftbill/liftbill/domain/recon"
)

// table is a CSV answer: RFC 4180, UTF-8, texts that no spreadsheet takes for formulas.
type table struct {
	name string
	rows [][]string
}

func (t table) write(w http.ResponseWriter) error {
	var b bytes.Buffer
	out := csv.NewWriter(&b)
	out.UseCRLF = true
	if err := out.WriteAll(t.rows); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="`+t.name+`"`)
	_, err := w.Write(b.Bytes())
	return err
}

// VisitExportBreaksResponse implements ExportBreaksResponseObject.
func (t table) VisitExportBreaksResponse(w http.ResponseWriter) error { return t.write(w) }

// VisitExportTieOutResponse implements ExportTieOutResponseObject.
func (t table) VisitExportTieOutResponse(w http.ResponseWriter) error { return t.write(w) }

// cell keeps a spreadsheet from computing what somebody else wrote.
func cell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

func minorCell(v int64) string { return strconv.FormatInt(v, 10) }

// majorCell is an amount in major units, empty without a currency.
func majorCell(minor int64, currency string) string {
	a, err := money.New(minor, money.Currency(currency))
	if err != nil {
		return ""
	}
	exp, _ := a.Currency().Exponent()
	return a.Major().StringFixed(exp)
}

func sideCells(s recon.Side) []string {
	if s.AmountMinor == nil {
		return []string{cell(s.Source), cell(s.ID), "", ""}
	}
	return []string{cell(s.Source), cell(s.ID), minorCell(*s.AmountMinor), s.Currency}
}

// ExportBreaks hands out the breaks of a filter as a table.
func (s *Server) ExportBreaks(ctx context.Context, r ExportBreaksRequestObject) (ExportBreaksResponseObject, error) {
	p := r.Params
	f := reconcile.BreaksFilter{
		Scope: access.From(ctx).Principal.Scope, AccountID: p.Account, Environment: p.Environment, Period: p.Period, Type: p.Type, State: p.State, Pending: p.Pending, Severity: p.Severity,
		Owner: p.Owner, Age: p.Age, MinMinor: p.MinMinor, Search: p.Q, Limit: reconcile.MaxLimit,
	}
	out := table{name: "breaks.csv", rows: [][]string{{
		"break", "account", "environment", "period", "type", "severity", "effect", "line", "subject", "customer", "left_source", "left_id", "left_minor", "left_currency",
		"right_source", "right_id", "right_minor", "right_currency", "difference_minor", "difference", "at_stake_minor", "at_stake", "currency",
		"state", "owner", "reason", "age_days", "first_seen", "last_seen", "detail",
	}}}
	difference, stake, n := map[string]int64{}, map[string]int64{}, 0
	for {
		page, err := s.Breaks.Breaks(ctx, f)
		if err != nil {
			return nil, err
		}
		for _, b := range page.Items {
			d := b.Difference(b.Currency)
			difference[b.Currency], stake[b.Currency], n = difference[b.Currency]+d, stake[b.Currency]+b.AmountMinor, n+1
			row := []string{b.ID, b.AccountID, b.Environment.String(), b.Period, string(b.Type), string(b.Rule().Severity), string(b.Rule().Effect), string(b.Line), cell(b.Subject), cell(b.CustomerID)}
			row = append(append(row, sideCells(b.Left)...), sideCells(b.Right)...)
			out.rows = append(out.rows, append(row, minorCell(d), majorCell(d, b.Currency), minorCell(b.AmountMinor), majorCell(b.AmountMinor, b.Currency), b.Currency,
				string(b.State), cell(b.Owner), string(b.Reason), string(b.Age), b.FirstSeen.Format(time.RFC3339), b.LastSeen.Format(time.RFC3339), cell(b.Detail)))
		}
		if f.Cursor = page.NextCursor; f.Cursor == "" {
			break
		}
	}
	for _, c := range slices.Sorted(maps.Keys(stake)) {
		row := make([]string, len(out.rows[0]))
		row[0], row[18], row[19], row[20], row[21], row[22] = "total of "+strconv.Itoa(n)+" rows", minorCell(difference[c]), majorCell(difference[c], c), minorCell(stake[c]), majorCell(stake[c], c), c
		out.rows = append(out.rows, row)
	}
	return out, nil
}

// ExportTieOut hands out the tie-out of a month as a table.
func (s *Server) ExportTieOut(ctx context.Context, r ExportTieOutRequestObject) (ExportTieOutResponseObject, error) {
	sum, err := s.Breaks.Summary(ctx, r.Account, r.Period)
	if err != nil {
		return nil, err
	}
	run, at := "", ""
	if sum.Complete != nil {
		run, at = minorCell(sum.Complete.ID), sum.Complete.StartedAt.Format(time.RFC3339)
	}
	out := table{name: "tie-out.csv", rows: [][]string{{
		"account", "period", "run", "as_of", "line", "currency", "ledger_minor", "stripe_minor", "difference_minor", "explained_minor", "open_minor", "remaining_minor", "unfound_minor",
		"ledger", "stripe", "difference", "remaining", "ledger_objects", "stripe_objects",
	}}}
	for _, l := range sum.TieOut.Lines {
		major := func(v int64) string { return majorCell(v, l.Currency) }
		out.rows = append(out.rows, []string{
			sum.AccountID, sum.Period, run, at, string(l.Line), l.Currency, minorCell(l.LeftMinor), minorCell(l.RightMinor), minorCell(l.DifferenceMinor), minorCell(l.ExplainedMinor),
			minorCell(l.OpenMinor), minorCell(l.RemainingMinor), minorCell(l.UnfoundMinor), major(l.LeftMinor), major(l.RightMinor), major(l.DifferenceMinor), major(l.RemainingMinor),
			minorCell(l.LeftObjects), minorCell(l.RightObjects),
		})
	}
	return out, nil
}
