package webui

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/shopspring/decimal"

	"github.com/liftbill/liftbill/app/reconcile"
)

// cell is one value of a list, as it is shown and as it is exported. Value is what a
// report takes: string, int64, cash or time.Time; nil is not known.
type cell struct {
	Value    any
	URL, Sub string
	State    *StateView
	Env      string // the badge of an environment beside it
	Mono     bool   // an identifier
	External bool   // the address is another site's
}

// field is one filter of a list.
type field struct {
	Name, Label, Value, Type, Hint string
	Choices                        []Choice
}

// list is a table with filters: the page shows it, a report exports it.
type list struct {
	Name, Heading, Lead string
	Path                string
	Crumbs              []crumb
	Filters             []field
	Filtered            bool
	Columns             []column
	// Labels are the headings of the columns; Sorts are addresses that sort by them.
	Labels           []string
	Sorts            map[int]sortLink
	Rows             []row
	MoreURL          string
	FirstURL         string
	ExportURL        string // without the format; empty when the caller may not export
	Empty, EmptyHint string
	Active           string
	Environment      string
	Notes            []string
	// Bulk is what can be done with marked rows; nil without marks. Done and Problem are what
	// came of it.
	Bulk          *bulk
	Done, Problem string
	// Accrue asks for an accrual; nil where the caller may not, or on another list.
	Accrue *accrualForm
	// Ship ships a snapshot; nil where the caller may not, or on another list.
	Ship *shipForm
	// Ended are contracts that have ended; nil on other lists.
	Ended *endedView
	// Replay starts a replay; nil where the caller may not, or on another list.
	Replay *replayForm
	// Run is the newest run behind the list; nil where none is of interest.
	Run *runNote
	// Links lead to other files of the same selection.
	Links []crumb
	// Version is that of the report: it grows when the columns change; 0 is 1.
	Version int
	// Keep are parameters that the filter form passes on.
	Keep []parameter
}

type crumb struct{ Label, URL string }

// sortLink sorts by a column; on the active one it turns the order round.
type sortLink struct {
	URL               string
	Active, Ascending bool
}

// timeOrder is the order of a list that is sorted by time only: the newest first, or turned
// round.
type timeOrder struct {
	sort      string
	URL       string
	Ascending bool
}

// turn sets the address of the other order.
func (o *timeOrder) turn(oldest string, at func(sort string) string) {
	if o.Ascending {
		oldest = ""
	}
	o.URL = at(oldest)
}

// sorted links the headings of the columns to their orders, the greatest first, or the
// smallest where that is shown already. The order named first is the list's own.
func (l *list) sorted(active string, columns map[int]string, first string) {
	l.Sorts = map[int]sortLink{}
	for i, name := range columns {
		down, up := name, name+"_asc"
		if name == first {
			down = ""
		}
		link := sortLink{Active: active == down || active == up, Ascending: active == up}
		next := down
		if active == down {
			next = up
		}
		link.URL = l.at(l.Path, "sort", next)
		l.Sorts[i] = link
	}
	if active != "" {
		l.Keep = append(l.Keep, parameter{"sort", active})
	}
}

// row is one line; its key is the fragment that opens it.
type row struct {
	Key   string
	Cells []cell
	// Pick is the value of the row's mark.
	Pick string
}

// listView is what the template shows.
type listView struct {
	list
	Heads  []headView
	Lines  []lineCells
	Totals []totalLine
}

type headView struct {
	Label  string
	Number bool
	Sort   *sortLink
}

type lineCells struct {
	Key, Pick string
	Cells     []cellView
}

type cellView struct {
	cell
	Text   string
	Amount *Amount
	Number bool
	None   bool
	Long   bool // a sentence, which may wrap
	Essay  bool // several sentences, which need a column of some width
}

// longText is from how many characters on a cell may wrap, essayText from how many on it gets
// more room.
const (
	longText  = 34
	essayText = 160
)

type totalLine struct {
	// Env is the environment of the rows that are summed; empty where all rows are of one.
	Label, Sub, Env string
	Cells           []cellView
}

func (l list) view() listView {
	v := listView{list: l}
	for i, c := range l.Columns {
		h := headView{Label: l.Labels[i], Number: c.Kind == columnMoney || c.Kind == columnCount}
		if s, ok := l.Sorts[i]; ok {
			h.Sort = &s
		}
		v.Heads = append(v.Heads, h)
	}
	for _, r := range l.Rows {
		line := lineCells{Key: r.Key, Pick: r.Pick}
		for i, c := range r.Cells {
			line.Cells = append(line.Cells, viewCell(l.Columns[i], c))
		}
		v.Lines = append(v.Lines, line)
	}
	v.Totals = l.totals()
	return v
}

func viewCell(col column, c cell) cellView {
	v := cellView{cell: c, Number: col.Kind == columnMoney || col.Kind == columnCount}
	switch x := c.Value.(type) {
	case cash:
		if v.Amount = amountOf(x.Minor, x.Currency); x.Minor == nil {
			v.None = true
		}
	case int64:
		v.Text = count64(x)
	case time.Time:
		v.Text, v.None = stamp(x), x.IsZero()
	case string:
		v.Text, v.None = x, x == ""
	default:
		v.None = true
	}
	v.Long, v.Essay = !c.Mono && len(v.Text) > longText, !c.Mono && len(v.Text) > essayText
	return v
}

// totals has lines for each environment, where the rows have more than one, and in it one
// per currency, and one for what has none.
func (l list) totals() []totalLine {
	r := l.report(nil)
	controls := r.controls()
	var envs []string
	rows := map[string]int{}
	for _, row := range r.Rows {
		env := r.environmentOf(row)
		if rows[env]++; rows[env] == 1 {
			envs = append(envs, env)
		}
	}
	if len(envs) == 0 {
		envs = []string{""}
	}
	slices.Sort(envs)
	var out []totalLine
	for _, env := range envs {
		lines := l.totalsOf(env, controls)
		lines[0].Sub = plural(rows[env], "row")
		if l.MoreURL != "" || l.FirstURL != "" {
			lines[0].Sub += " on this page"
		}
		for i := range lines {
			if len(envs) > 1 {
				lines[i].Env = env
			}
		}
		out = append(out, lines...)
	}
	return out
}

// totalsOf are the lines of one environment, at least one. Counts have no currency: beside
// one currency they share its line, beside several they have a line of their own.
func (l list) totalsOf(env string, controls []control) []totalLine {
	var currencies []string
	for _, c := range controls {
		if c.Environment == env && c.Currency != "" && !slices.Contains(currencies, c.Currency) {
			currencies = append(currencies, c.Currency)
		}
	}
	counts := slices.ContainsFunc(controls, func(c control) bool { return c.Environment == env && c.Currency == "" })
	if len(currencies) == 0 || counts && len(currencies) > 1 {
		currencies = append(currencies, "")
	}
	slices.Sort(currencies)
	var out []totalLine
	for _, currency := range currencies {
		t := totalLine{Label: strings.TrimSpace("Total " + strings.ToUpper(currency))}
		for i, c := range l.Columns {
			v := cellView{Number: c.Kind == columnMoney || c.Kind == columnCount}
			for _, total := range controls {
				switch {
				case total.Column != c.Name || total.Environment != env:
				case c.Kind == columnMoney && total.Currency == currency:
					v.Amount = amountOf(&total.Value, currency)
				case c.Kind == columnCount && (currency == "" || len(currencies) == 1):
					v.Text = count64(total.Value)
				}
			}
			if i > 0 {
				t.Cells = append(t.Cells, v)
			}
		}
		out = append(out, t)
	}
	return out
}

// report is the list as a file.
func (l list) report(parameters []parameter) report {
	r := report{Name: l.Name, Title: l.Heading, Version: max(l.Version, 1), Columns: l.Columns, Labels: l.Labels, Parameters: parameters}
	for _, line := range l.Rows {
		values := make([]any, len(line.Cells))
		for i, c := range line.Cells {
			values[i] = c.Value
		}
		r.Rows = append(r.Rows, values)
	}
	return r
}

// parameters are the filters as an export prints them.
func (l list) parameters() []parameter {
	var out []parameter
	for _, f := range l.Filters {
		out = append(out, parameter{f.Name, f.Value})
	}
	return append(out, l.Keep...)
}

// at is the list's address with its filters and one more pair.
func (l list) at(path string, more ...string) string {
	var pairs []string
	for _, p := range l.parameters() {
		pairs = append(pairs, p.Name, p.Value)
	}
	return query(path, append(pairs, more...)...)
}

// show renders a page of a list. next and cursor are the keys of the next page and of
// this one.
func (s *Server) show(c echo.Context, l list, cursor, next string) error {
	return s.showWith(c, http.StatusOK, l, cursor, next)
}

// showWith is show with another status.
func (s *Server) showWith(c echo.Context, status int, l list, cursor, next string) error {
	if err := l.checked(); err != nil {
		return err
	}
	if next != "" {
		l.MoreURL = l.at(l.Path, "cursor", next)
	}
	if cursor != "" {
		l.FirstURL = l.at(l.Path)
	}
	for _, f := range l.Filters {
		l.Filtered = l.Filtered || f.Value != ""
	}
	l.Filtered = l.Filtered || cursor != ""
	l.ExportURL = l.at(l.Path + ".csv")
	return s.render(c, status, "list", frame{Title: l.Heading, Active: l.Active, Environment: l.Environment, Page: l.view()})
}

// XLSXURL is the same export as a workbook.
func (l list) XLSXURL() string { return l.at(l.Path + ".xlsx") }

// PDFURL is the same export on pages.
func (l list) PDFURL() string { return l.at(l.Path + ".pdf") }

// ResetURL is the list without filters.
func (l list) ResetURL() string {
	var pairs []string
	for _, p := range l.Keep {
		pairs = append(pairs, p.Name, p.Value)
	}
	return query(l.Path, pairs...)
}

// parseMajor reads an amount filter, in the currency that is chosen beside it or in any;
// nil where nothing was typed.
func parseMajor(name, text, currency string) (*decimal.Decimal, error) {
	return reconcile.ParseBound(name, text, currency)
}

func rowKey(parts ...any) string {
	text := fmt.Sprint(parts...)
	return "row-" + strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r == '.' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '-'
	}, text)
}
