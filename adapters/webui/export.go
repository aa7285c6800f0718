package webui

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/shopspring/decimal"

	app "github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/money"
)

// maxExport bounds the rows of a file; a spreadsheet holds little more.
const maxExport = 100_000

// exportPage is how many rows are read at once.
const exportPage = 500

// columnKind says how a column is written.
type columnKind int

const (
	columnText columnKind = iota
	columnCount
	// columnMoney is written twice: minor units, and major units with their decimals.
	columnMoney
	columnTime
)

// column is one column of a report.
type column struct {
	Name string
	Kind columnKind
	// Sum: the column has a control total, per currency where it is money.
	Sum bool
}

// cash is a cell of money; nil is not known, which is not zero.
type cash struct {
	Minor    *int64
	Currency string
}

func cashOf(minor int64, currency string) cash { return cash{&minor, currency} }

// parameter is what a report was asked for.
type parameter struct{ Name, Value string }

// report is a table that leaves the house. Its rows hold strings, int64, cash and
// time.Time, one per column.
type report struct {
	// Name is that of the file and never changes; Version does, when the columns do.
	Name, Title string
	Version     int
	Parameters  []parameter
	Columns     []column
	// Labels are the headings of the columns on pages; empty takes their names.
	Labels []string
	Rows   [][]any
}

// control is the total of a column over all rows of an environment, or of a mode where the report
// tells those apart; Environment is empty in a report that tells neither.
type control struct {
	Column, Currency, Environment string
	Value                         int64
}

// environmentColumn is the column by which totals are kept apart, modeColumn the one that also
// knows shadow months.
const (
	environmentColumn = "environment"
	modeColumn        = "mode"
)

// apart is the column by which the totals of the report are kept apart.
func (r report) apart() string {
	if slices.ContainsFunc(r.Columns, func(c column) bool { return c.Name == modeColumn }) {
		return modeColumn
	}
	return environmentColumn
}

// environmentOf is the environment of a row, or its mode; empty where the report tells neither.
func (r report) environmentOf(row []any) string {
	name := r.apart()
	for i, c := range r.Columns {
		if c.Name == name {
			env, _ := row[i].(string)
			return env
		}
	}
	return ""
}

// controls sum what can be summed; amounts of two currencies never meet, and those of live,
// test and shadow months neither.
func (r report) controls() []control {
	var out []control
	add := func(name, currency, env string, v int64) {
		for i := range out {
			if out[i].Column == name && out[i].Currency == currency && out[i].Environment == env {
				out[i].Value += v
				return
			}
		}
		out = append(out, control{name, currency, env, v})
	}
	for i, c := range r.Columns {
		if !c.Sum {
			continue
		}
		for _, row := range r.Rows {
			switch v := row[i].(type) {
			case cash:
				if v.Minor != nil {
					add(c.Name, v.Currency, r.environmentOf(row), *v.Minor)
				}
			case int64:
				add(c.Name, "", r.environmentOf(row), v)
			}
		}
	}
	return out
}

// table is the header and the rows as text; the digest is over exactly these bytes.
func (r report) table() [][]string {
	var header []string
	for _, c := range r.Columns {
		if c.Kind == columnMoney {
			header = append(header, c.Name+"_minor")
		}
		header = append(header, c.Name)
	}
	out := [][]string{header}
	for _, row := range r.Rows {
		var cells []string
		for i, c := range r.Columns {
			cells = append(cells, textCells(c, row[i])...)
		}
		out = append(out, cells)
	}
	return out
}

func textCells(c column, cell any) []string {
	switch v := cell.(type) {
	case cash:
		if v.Minor == nil {
			return []string{"", ""}
		}
		return []string{strconv.FormatInt(*v.Minor, 10), major(*v.Minor, v.Currency)}
	case int64:
		return []string{strconv.FormatInt(v, 10)}
	case time.Time:
		if v.IsZero() {
			return []string{""}
		}
		return []string{v.UTC().Format(time.RFC3339Nano)}
	case string:
		return []string{harmless(v)}
	}
	if c.Kind == columnMoney {
		return []string{"", ""}
	}
	return []string{""}
}

// major writes an amount without grouping, with the decimals of its currency.
func major(minor int64, currency string) string {
	exp, known := money.Currency(currency).Exponent()
	if !known {
		return ""
	}
	return decimal.New(minor, -exp).StringFixed(exp)
}

// harmless keeps a spreadsheet from running text that somebody else chose as a formula, and a
// row from passing for a line of the head.
func harmless(s string) string {
	if s != "" && strings.ContainsRune("=+-@#\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

// csv writes lines in RFC 4180's form, all of them with the same number of fields.
func writeCSV(lines [][]string) ([]byte, error) {
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	w.UseCRLF = true
	if err := w.WriteAll(lines); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// head is what an auditor asks of a report: what it is, what was selected, by whom and
// when, how many rows, their control totals, and the digest of the table.
type head struct {
	Lines  [][]string
	Digest string
}

func (r report) head(who string, at time.Time) (head, error) {
	body, err := writeCSV(r.table())
	if err != nil {
		return head{}, err
	}
	sum := sha256.Sum256(body)
	h := head{Digest: hex.EncodeToString(sum[:])}
	add := func(cells ...string) { h.Lines = append(h.Lines, cells) }
	add("#report", r.Title, r.Name, "version "+strconv.Itoa(r.Version))
	add("#run", at.UTC().Format(time.RFC3339), "by", harmless(who))
	for _, p := range r.Parameters {
		if p.Value != "" {
			add("#parameter", p.Name, harmless(p.Value))
		}
	}
	add("#rows", strconv.Itoa(len(r.Rows)))
	for _, c := range r.controls() {
		cells := []string{"#control total", c.Column, strconv.FormatInt(c.Value, 10), "", ""}
		if c.Currency != "" {
			cells = []string{"#control total", c.Column, major(c.Value, c.Currency), strings.ToUpper(c.Currency), strconv.FormatInt(c.Value, 10)}
		}
		if c.Environment != "" {
			cells = append(cells, c.Environment)
		}
		add(cells...)
	}
	add("#digest", "sha256", h.Digest, "of the header line and the rows below, as they stand")
	return h, nil
}

// send writes the report in the format that the address names; sections are how a PDF says
// it, where that is more than the table.
func (s *Server) send(c echo.Context, r report, sections ...section) error {
	format := c.Param("format")
	by, now := app.From(c.Request().Context()), s.clock.Now()
	h, err := r.head(by.Label(), now)
	if err != nil {
		return err
	}
	header := c.Response().Header()
	header.Set(echo.HeaderCacheControl, "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Report-Digest", "sha256:"+h.Digest)
	header.Set(echo.HeaderContentDisposition, `attachment; filename="liftbill-`+r.Name+`-`+now.UTC().Format("20060102T150405Z")+`.`+format+`"`)
	if format == "pdf" {
		pages, err := r.pdf(h, now, sections...)
		if err != nil {
			return err
		}
		return c.Blob(http.StatusOK, "application/pdf", pages)
	}
	if format == "xlsx" {
		book, err := r.workbook(h)
		if err != nil {
			return err
		}
		return c.Blob(http.StatusOK, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", book)
	}
	if format == "ndjson" {
		rows, err := r.ndjson(h)
		if err != nil {
			return err
		}
		return c.Blob(http.StatusOK, "application/x-ndjson", rows)
	}
	lines := r.table()
	width := len(lines[0])
	for _, l := range h.Lines {
		width = max(width, len(l))
	}
	top, err := writeCSV(padded(h.Lines, width))
	if err != nil {
		return err
	}
	body, err := writeCSV(lines)
	if err != nil {
		return err
	}
	return c.Blob(http.StatusOK, "text/csv; charset=utf-8", append(top, body...))
}

// padded gives every line of the head as many fields, so that a strict reader takes it.
func padded(lines [][]string, width int) [][]string {
	out := make([][]string, len(lines))
	for i, l := range lines {
		out[i] = append(append([]string{}, l...), make([]string, width-len(l))...)
	}
	return out
}

// checkFormat answers 404 for a format that there is not.
func checkFormat(c echo.Context) error {
	if !slices.Contains([]string{"csv", "xlsx", "pdf", "ndjson"}, c.Param("format")) {
		return echo.NewHTTPError(http.StatusNotFound)
	}
	return nil
}

// sendAll sends a list with the rows of all its pages.
func sendAll[T any](s *Server, c echo.Context, l list, rowOf func(T) row, page func(cursor string, limit int) ([]T, string, error)) error {
	all, err := everything(page)
	if err != nil {
		return err
	}
	for _, item := range all {
		l.Rows = append(l.Rows, rowOf(item))
	}
	return s.sendList(c, l)
}

// everything reads all pages of a list.
func everything[T any](page func(cursor string, limit int) ([]T, string, error)) ([]T, error) {
	var out []T
	cursor := ""
	for {
		items, next, err := page(cursor, exportPage)
		if err != nil {
			return nil, err
		}
		out = append(out, items...)
		switch {
		case len(out) > maxExport:
			return nil, fault.New(fault.Invalid, "export_too_large", "the selection has more than %d rows", maxExport).Fix("Choose a period or another filter, and export in parts")
		case next == "":
			return out, nil
		}
		cursor = next
	}
}
