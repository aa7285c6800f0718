package webui_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"

	"github.com/liftbill/liftbill/adapters/webui"
	"github.com/liftbill/liftbill/app/customers"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/account"
)

// everyExport is each address that gives away a file.
var everyExport = []string{
	"/cycles.%s?period=2026-10", "/cycles/acme.2026-10/export.%s", "/cycles/fees.2026-10/export.%s", "/cycles/acme.2026-10/lines/trial-nudge-7/export.%s", "/cycles/fees.2026-10/lines/fee:cap/export.%s",
	"/invoices.%s", "/invoice-lines.%s", "/accounts.%s", "/invoices/acme.2026-10/export.%s", "/invoices/fees.2026-10/export.%s", "/accounts/acme/events.%s", "/accounts/acme/customers.%s", "/connections.%s", "/connections/acme-stripe/doctor.%s", "/events.%s", "/replays.%s", "/snapshots.%s", "/audit.%s?action=contract.created", "/cycles/acme.2026-10/journal.%s", "/breaks.%s?show=all", "/coverage.%s?account=acme", "/adjustments.%s", "/contracts.%s", "/accounts/acme/whatif.%s?share=0.15",
	"/readouts/" + caseGood + "/export.%s", "/readouts/" + caseHarm + "/export.%s", "/accruals.%s", "/accruals.%s?history=all", "/accruals/journal.%s?period=2026-10", "/accruals/journal.%s?period=2026-11&figure=expected",
}

// file is an export as somebody reads it back.
type file struct {
	head   map[string][][]string // by the first cell
	header []string
	rows   [][]string
	table  string // the bytes below the head
	digest string
}

// download reads an export strictly: RFC 4180 with as many fields on every line.
func download(t *testing.T, e *echo.Echo, path string) file {
	t.Helper()
	w := httptest.NewRecorder()
	e.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	require.Equal(t, http.StatusOK, w.Code, "%s: %s", path, w.Body.String())
	require.Equal(t, "text/csv; charset=utf-8", w.Header().Get("Content-Type"))
	require.Regexp(t, `^attachment; filename="liftbill-[a-z0-9.-]+-20261104T093000Z\.csv"$`, w.Header().Get("Content-Disposition"))
	body := w.Body.String()
	require.NotRegexp(t, `[^\r]\n`, body, "lines end as RFC 4180 says")
	lines, err := csv.NewReader(strings.NewReader(body)).ReadAll()
	require.NoError(t, err, path)
	f := file{head: map[string][][]string{}, digest: w.Header().Get("Report-Digest")}
	n := 0
	for ; strings.HasPrefix(lines[n][0], "#"); n++ {
		f.head[lines[n][0]] = append(f.head[lines[n][0]], lines[n][1:])
		_, body, _ = strings.Cut(body, "\r\n") // no cell of the head holds a line break
	}
	f.header, f.rows, f.table = lines[n], lines[n+1:], body
	return f
}

func (f file) column(t *testing.T, name string) []string {
	t.Helper()
	for i, h := range f.header {
		if h == name {
			var out []string
			for _, r := range f.rows {
				out = append(out, r[i])
			}
			return out
		}
	}
	t.Fatalf("no column %s in %v", name, f.header)
	return nil
}

// Every export says what it is, who took it and what was selected, and its control totals
// and its digest are those of the rows that it holds.
func TestEveryExportCanBeChecked(t *testing.T) {
	t.Parallel()
	e := newDoor(fixture(), &door{caller: signedIn()}, webui.Options{})
	for _, pattern := range everyExport {
		path := strings.Replace(pattern, "%s", "csv", 1)
		f := download(t, e, path)
		require.Len(t, f.head["#report"], 1, path)
		require.Contains(t, strings.Join(f.head["#run"][0], " "), "2026-11-04T09:30:00Z by")
		require.Equal(t, strconv.Itoa(len(f.rows)), f.head["#rows"][0][0], path)
		require.NotEmpty(t, f.rows, path)
		for _, total := range f.head["#control total"] {
			name, currency, env := total[0], strings.ToLower(total[2]), ""
			if len(total) > 4 {
				env = total[4]
			}
			apart := "environment"
			if slices.Contains(f.header, "mode") {
				apart = "mode"
			}
			require.Equal(t, slices.Contains(f.header, apart), env != "", "%s: live and test are summed apart", path)
			values, want := f.column(t, name), total[1]
			if currency != "" {
				values, want = f.column(t, name+"_minor"), total[3]
			}
			var sum int64
			for i, v := range values {
				if v == "" || (currency != "" && !strings.EqualFold(f.cell("currency", i, currency), currency)) || f.cell(apart, i, "") != env {
					continue
				}
				n, err := strconv.ParseInt(v, 10, 64)
				require.NoError(t, err, path)
				sum += n
			}
			require.Equal(t, want, strconv.FormatInt(sum, 10), "%s: %v", path, total)
		}
		again := download(t, e, path)
		require.Equal(t, f.digest, again.digest, "the same rows give the same digest")
		require.Equal(t, f.digest, "sha256:"+f.head["#digest"][0][1])
		sum := sha256.Sum256([]byte(f.table))
		require.Equal(t, f.digest, "sha256:"+hex.EncodeToString(sum[:]), "anybody can check the digest with the file alone")
	}
}

// cell is that of a row by the name of its column; a report without the column has the same
// for all rows.
func (f file) cell(name string, row int, otherwise string) string {
	if i := slices.Index(f.header, name); i >= 0 {
		return f.rows[row][i]
	}
	return otherwise
}

// The file holds what the page shows, and the filters reach the same rows.
func TestExportIsWhatIsShown(t *testing.T) {
	t.Parallel()
	l := fixture()
	e := newDoor(l, &door{caller: signedIn()}, webui.Options{})
	f := download(t, e, "/cycles.csv?period=2026-10&state=invoiced&account=acme&environment=live")
	require.Equal(t, reconcile.CyclesFilter{Scope: signedIn().Scope, Period: "2026-10", State: "invoiced", AccountID: "acme", Environment: "live", Limit: 500}, l.cyclesAsked)
	require.Equal(t, [][]string{{"period", "2026-10"}, {"state", "invoiced"}, {"account", "acme"}, {"environment", "live"}}, trim(f.head["#parameter"]))
	require.Equal(t, []string{"4120.50", "980.00", "0.00", "1234.56"}, f.column(t, "engine"), "major units without grouping")
	require.Equal(t, []string{"412050", "98000", "0", "123456"}, f.column(t, "engine_minor"))
	require.Equal(t, []string{"412050", "97500", "", ""}, f.column(t, "stripe_minor"), "what is not known is empty and not zero")
	require.Equal(t, "2026-09-30T22:00:00Z", f.column(t, "period_start")[0])
	page := open(t, e, "/cycles?period=2026-10&state=invoiced")
	require.Contains(t, page.links, "/cycles.csv?period=2026-10&state=invoiced")

	nobody := open(t, newEcho(fixture()), "/cycles?period=2026-10")
	require.NotContains(t, nobody.html, ".csv", "who may not export is shown no button")

	line := download(t, e, "/cycles/acme.2026-10/lines/trial-nudge-7/export.csv")
	require.Contains(t, line.column(t, "stored_result"), "412050")
	require.NotContains(t, line.column(t, "holds"), "false")

	l.next = "c2" // a second page, which repeats the first one's rows here
	f = download(t, e, "/invoices.csv?status=open")
	require.Len(t, f.rows, 4, "an export goes through all pages")
	require.Equal(t, "open", l.invoicesAsked.Status)
	require.Len(t, fixture().invoices, 2)
}

func trim(lines [][]string) [][]string {
	var out [][]string
	for _, l := range lines {
		out = append(out, l[:2])
	}
	return out
}

// A workbook has numbers as numbers, totals as formulas, and a header that stays.
func TestWorkbook(t *testing.T) {
	t.Parallel()
	e := newDoor(fixture(), &door{caller: signedIn()}, webui.Options{})
	for _, pattern := range everyExport {
		w := httptest.NewRecorder()
		e.ServeHTTP(w, httptest.NewRequest(http.MethodGet, strings.Replace(pattern, "%s", "xlsx", 1), nil))
		require.Equal(t, http.StatusOK, w.Code, pattern)
		book, err := excelize.OpenReader(bytes.NewReader(w.Body.Bytes()))
		require.NoError(t, err, pattern)
		require.Equal(t, []string{"Report", "Data"}, book.GetSheetList())
		require.NoError(t, book.Close())
	}
	w := httptest.NewRecorder()
	e.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/cycles/acme.2026-10/export.xlsx", nil))
	book, err := excelize.OpenReader(bytes.NewReader(w.Body.Bytes()))
	require.NoError(t, err)
	rows, err := book.GetRows("Data")
	require.NoError(t, err)
	at := 0
	for i, name := range rows[0] {
		if name == "amount" {
			at = i + 1
		}
	}
	name, err := excelize.CoordinatesToCellName(at, 2)
	require.NoError(t, err)
	value, err := book.GetCellValue("Data", name, excelize.Options{RawCellValue: true})
	require.NoError(t, err)
	require.Equal(t, "4120.50", value, "as it stands, through no float")
	kind, err := book.GetCellType("Data", name)
	require.NoError(t, err)
	require.Contains(t, []excelize.CellType{excelize.CellTypeUnset, excelize.CellTypeNumber}, kind, "a number, not text")
	total, err := excelize.CoordinatesToCellName(at, len(rows))
	require.NoError(t, err)
	formula, err := book.GetCellFormula("Data", total)
	require.NoError(t, err)
	require.Regexp(t, `^SUM\([A-Z]+2:[A-Z]+4\)$`, formula)
	sum, err := book.CalcCellValue("Data", total)
	require.NoError(t, err)
	require.Equal(t, "4120.5", sum, "what a spreadsheet comes to")
	panes, err := book.GetPanes("Data")
	require.NoError(t, err)
	require.True(t, panes.Freeze)
	require.NoError(t, book.Close())
}

// Text that somebody else chose does not become a formula of a spreadsheet.
func TestExportRunsNothing(t *testing.T) {
	t.Parallel()
	l := fixture()
	for i, name := range []string{`=HYPERLINK("http://x","y")`, "+1", "@SUM(A1)", "-2+3"} {
		l.cycles[i].AccountName = name
	}
	names := download(t, newDoor(l, &door{caller: signedIn()}, webui.Options{}), "/cycles.csv").column(t, "account_name")
	for _, n := range names {
		require.True(t, strings.HasPrefix(n, "'"), n)
	}
}

func TestExportErrors(t *testing.T) {
	t.Parallel()
	e := newDoor(fixture(), &door{caller: signedIn()}, webui.Options{})
	require.Equal(t, http.StatusNotFound, open(t, e, "/cycles.ods").status, "a format that there is not")
	require.Equal(t, http.StatusBadRequest, open(t, e, "/invoices.csv?from=x").status)
	require.Equal(t, http.StatusNotFound, open(t, e, "/accounts/nobody/customers.csv").status)
	l := fixture()
	for len(l.cycles) < 600 {
		l.cycles = append(l.cycles, l.cycles...)
	}
	l.next = "again" // a list without an end
	p := open(t, newDoor(l, &door{caller: signedIn()}, webui.Options{}), "/cycles.csv")
	require.Contains(t, p.text, "more than 100000 rows")
}

// The page of a line says what the use case found, with the difference to what was expected.
func TestLinePage(t *testing.T) {
	t.Parallel()
	e := newEcho(fixture())
	p := open(t, e, "/cycles/acme.2026-10/lines/trial-nudge-7?expected=4,110.50")
	require.Contains(t, p.text, "Why Trial nudge, version 7 is 4,120.50 USD")
	require.Contains(t, p.text, "✓ Everything agrees.")
	require.Equal(t, "20,602.50", p.row(t, "Base of this period the mark")[2])
	require.Equal(t, "0.20", p.row(t, "as agreed in acme-2026")[2])
	require.Contains(t, p.text, "Expected 4,110.50 USD : 10.00 more than expected.")
	require.Contains(t, p.text, "It would take a base of 20,552.50: 50.00 of lift less than there is.")
	require.Contains(t, open(t, e, "/cycles/acme.2026-10").links, "/cycles/acme.2026-10/lines/trial-nudge-7")
	require.Contains(t, open(t, e, "/cycles/acme.2026-10/lines/trial-nudge-7?expected=four").text, "is not an amount")

	l := fixture()
	tie := l.tieOuts["acme.2026-10"]
	tie.Lines[0].FeeMinor++
	l.tieOuts["acme.2026-10"] = tie
	p = open(t, newEcho(l), "/cycles/acme.2026-10/lines/trial-nudge-7")
	require.Contains(t, p.text, "This does not add up")
	require.Contains(t, p.text, "Fee: the line says 4,120.51 USD, step 7 says 4,120.50 USD")
}

func TestOverviewPage(t *testing.T) {
	t.Parallel()
	p := open(t, newEcho(fixture()), "/")
	require.Contains(t, p.text, "1 at Stripe , 4,120.50 USD ; open 3,020.50 USD", "open is what remains, as in the list of invoices")
	require.Contains(t, p.text, "Payment success 95.2 % 1,204 paid, 61 attempts failed")
	require.Contains(t, p.text, "91.6 % of the paid revenue belongs to a snapshot")
	require.Contains(t, p.row(t, "Northwind Traders")[2], "Compare the invoice at Stripe")
	require.Contains(t, p.row(t, "Connection acme-stripe")[2], "1 event set aside")
	require.Contains(t, p.links, "/cycles?environment=live&period=2026-10")
	require.Contains(t, p.row(t, "Acme sandbox")[2], "needs: issuer, payer, contract, plan, snapshot, decisions, events.")
	require.Equal(t, 1, strings.Count(p.text, "Before a month can be billed it needs"), "an account that has everything is not called incomplete")
	empty := open(t, newEcho(&ledger{}), "/")
	require.Contains(t, empty.text, "Nothing is connected yet")
	require.Contains(t, empty.text, "Nothing waits for anybody")
	l := fixture()
	l.board.Waiting, l.board.Unpaid, l.health, l.accounts = nil, nil, nil, l.accounts[:1]
	require.Contains(t, open(t, newEcho(l), "/").text, "Nothing waits for anybody")
	require.Equal(t, account.Live, l.board.Standings[0].Environment)
}

// Filters and sort stand in the address, and so does the next page.
func TestListFilters(t *testing.T) {
	t.Parallel()
	l := fixture()
	l.next = "c2"
	e := newEcho(l)
	p := open(t, e, "/invoices?period=2026-10&status=open&sort=amount&from=10&to=99.50&q=in_1")
	f := l.invoicesAsked
	require.Equal(t, []any{"2026-10", "open", "amount", "10", "99.5", "in_1"}, []any{f.Period, f.Status, f.Sort, f.MinMajor.String(), f.MaxMajor.String(), f.Search})
	require.Contains(t, p.links, "/invoices?cursor=c2&from=10&period=2026-10&q=in_1&sort=amount&status=open&to=99.50")
	require.Contains(t, p.html, `aria-sort="descending"`)
	require.Contains(t, p.html, `id="row-acme.2026-10"`, "a row has an address")
	due := p.row(t, "Acme Inc.")
	require.Equal(t, []string{"1,000.00 USD", "3,020.50 USD", "100.00 USD", "2026-11-01 09:30:00 UTC", "! 3 days"}, due[8:13])
	require.Contains(t, p.links, "/cycles/acme.2026-10/corrections")
	require.Equal(t, []string{"–", "–", "–", "–", "–"}, p.row(t, "Northwind Traders")[8:13], "what was not heard of is not nothing")
	open(t, e, "/invoices?overdue=yes&since=2026-11-01&until=2026-11-30")
	require.Equal(t, []time.Time{now, time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)}, []time.Time{l.invoicesAsked.DueBefore, l.invoicesAsked.From, l.invoicesAsked.To})
	require.Equal(t, http.StatusBadRequest, open(t, e, "/invoices?until=tomorrow").status)
	open(t, e, "/events?connection=acme-stripe&status=dead&q=evt_1&from=2026-11-01&to=2026-11-02")
	require.Equal(t, []string{"acme-stripe", "dead", "evt_1", ""}, []string{l.logAsked.ConnectionID, l.logAsked.Status, l.logAsked.EventID, l.logAsked.Object})
	require.Equal(t, 48.0, l.logAsked.To.Sub(l.logAsked.From).Hours(), "the last day is shown")
	open(t, e, "/accounts/acme/customers?segment=failed_payment&mapped=no&q=cus_1")
	require.Equal(t, []string{"failed_payment", "no", "cus_1"}, []string{string(l.clientsAsked.Segment), l.clientsAsked.Mapped, l.clientsAsked.Search})
	require.Equal(t, http.StatusBadRequest, open(t, e, "/events?from=yesterday").status)
	for _, wrong := range []string{"/invoices?overdue=never", "/invoices.csv?overdue=never", "/invoice-lines.csv?overdue=never", "/events?attention=maybe", "/events.csv?attention=maybe", "/breaks?show=some", "/breaks.csv?show=some", "/connections?environment=prod", "/connections.csv?environment=prod", "/coverage?reason=none", "/coverage.csv?reason=none", "/accruals?history=some", "/accruals.csv?history=some", "/accounts/acme/customers?mapped=perhaps"} {
		p := open(t, e, wrong)
		require.Equal(t, http.StatusBadRequest, p.status, wrong)
		require.Regexp(t, `is (not a|no) `, p.text, wrong)
	}
	require.Contains(t, open(t, e, "/invoices?period=2024-02").html, `value="2024-02" selected`, "a month without an invoice is still the one that is chosen")
}

// Our identifiers and Stripe's stand beside each other.
func TestInvoiceExportNamesBothSides(t *testing.T) {
	t.Parallel()
	e := newDoor(fixture(), &door{caller: signedIn()}, webui.Options{})
	f := download(t, e, "/invoices.csv")
	require.Equal(t, "acme.2026-10", f.column(t, "cycle")[0])
	require.Equal(t, "in_1QHk2vG9RKHgCVdKx01", f.column(t, "invoice_id")[0])
	require.Equal(t, "cus_RkPayer00000001", f.column(t, "payer")[0])
	lines := download(t, e, "/cycles/acme.2026-10/export.csv")
	require.Equal(t, "trial-nudge-7", lines.column(t, "line")[0])
	require.Equal(t, "ii_1QHk2wG9RKHgCVdKz", lines.column(t, "stripe_line")[0])
	require.Equal(t, []string{"15100.08", "26104.91", "1282"}, []string{lines.column(t, "interval_low")[0], lines.column(t, "interval_high")[0], lines.column(t, "effective_sample")[0]})
	require.Contains(t, open(t, e, "/cycles/acme.2026-10").text, "Effective sample 1,282, 95 % interval 15,100.08 USD to 26,104.91 USD · Case")
}

func TestCustomerPage(t *testing.T) {
	t.Parallel()
	p := open(t, newEcho(fixture()), "/accounts/acme/customers/cus_RkA1b2C3d4E5f6")
	require.Contains(t, p.text, "82.505 USD", "a monthly amount is not rounded")
	require.Contains(t, p.text, "297.00 USD went back -99.00 USD")
	require.Equal(t, []string{"2026-08-04 09:30:00 UTC", "2026-08-19 09:30:00 UTC"}, p.row(t, "trialing")[1:3])
	require.Contains(t, p.row(t, "concluded, not told by an event")[0], "active")
	require.Equal(t, "now", p.row(t, "a change in between is not known")[2])
	require.Contains(t, p.links, "/accounts/acme/events?q=cus_RkA1b2C3d4E5f6")
	require.Equal(t, http.StatusNotFound, open(t, newEcho(fixture()), "/accounts/acme/customers/nobody").status)
	require.NotContains(t, p.text, "Never shown itself")
	l := fixture()
	l.clients[0] = customers.Summary{ID: "cus_RkA1b2C3d4E5f6"}
	p = open(t, newEcho(l), "/accounts/acme/customers/cus_RkA1b2C3d4E5f6")
	require.Contains(t, p.text, "Never shown itself. Other objects and facts name this customer")
	require.Contains(t, p.text, "no user is known")
}

func TestReadoutShowsTheYearAndTheWeights(t *testing.T) {
	t.Parallel()
	p := open(t, newEcho(fixture()), "/readouts/"+caseGood)
	require.Contains(t, p.html, "The measured lift of the contract year over 10 periods, from January 2026 to October 2026; the last one is 20,602.50 USD, and 20,602.50 USD of it are billed.", "the drawing is told in words")
	require.Equal(t, []string{"6,400.00 USD", "6,400.00 USD"}, []string{p.row(t, "April 2026")[2], p.row(t, "April 2026")[6]})
	require.Equal(t, []string{"2.5", "", "94", "3.1 %"}, p.row(t, "3.1 %"))
	require.Contains(t, p.links, "/cycles/acme.2026-10/lines/trial-nudge-7")
	l := fixture()
	l.trend, l.weights = l.trend[:1], nil
	p = open(t, newEcho(l), "/readouts/"+caseGood)
	require.NotContains(t, p.text, "The contract year so far", "one month is no year")
}
