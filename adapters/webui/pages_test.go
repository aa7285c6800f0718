package webui_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/webui"

	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/fault"
)

// page is what a reader sees: the text of the page, its tables and its links.
type page struct {
	status int
	html   string
	text   string
	links  []string
	header http.Header
}

var (
	tags  = regexp.MustCompile(`<[^>]*>`)
	space = regexp.MustCompile(`\s+`)
	hrefs = regexp.MustCompile(`(?:href|src|action)="([^"]*)"`)
	rows  = regexp.MustCompile(`(?s)<tr[^>]*>(.*?)</tr>`)
	cells = regexp.MustCompile(`(?s)<t[hd][^>]*>(.*?)</t[hd]>`)
)

func plainText(html string) string {
	unescape := strings.NewReplacer("&#34;", `"`, "&#39;", "'", "&amp;", "&", "&lt;", "<", "&gt;", ">", "&nbsp;", " ", "&#43;", "+")
	return strings.TrimSpace(unescape.Replace(space.ReplaceAllString(tags.ReplaceAllString(html, " "), " ")))
}

func open(t *testing.T, e *echo.Echo, path string) page {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Header.Set("Accept", "text/html")
	w := httptest.NewRecorder()
	e.ServeHTTP(w, r)
	p := page{status: w.Code, html: w.Body.String(), text: plainText(w.Body.String()), header: w.Header()}
	for _, m := range hrefs.FindAllStringSubmatch(p.html, -1) {
		p.links = append(p.links, strings.ReplaceAll(m[1], "&amp;", "&"))
	}
	return p
}

// row returns the cells of the first row that contains the text.
func (p page) row(t *testing.T, text string) []string {
	t.Helper()
	for _, m := range rows.FindAllStringSubmatch(p.html, -1) {
		var out []string
		for _, c := range cells.FindAllStringSubmatch(m[1], -1) {
			out = append(out, plainText(c[1]))
		}
		if strings.Contains(strings.Join(out, " | "), text) {
			return out
		}
	}
	t.Fatalf("no row with %q", text)
	return nil
}

var everyPage = []string{
	"/cycles", "/cycles?period=all", "/cycles/acme.2026-10", "/cycles/sandbox.2026-10", "/cycles/contoso.2026-10", "/cycles/northwind.2026-10",
	"/cycles/fees.2026-10", "/cycles/shade.2026-10",
	"/cycles/acme.2026-10/lines/trial-nudge-7", "/cycles/acme.2026-10/lines/trial-nudge-7?expected=415", "/cycles/acme.2026-10/lines/copy-test-2?expected=x",
	"/", "/invoices", "/invoices/acme.2026-10", "/invoices/northwind.2026-10", "/invoices/fees.2026-10", "/invoices/nothing", "/invoices?status=open&sort=amount&from=10", "/connections", "/connections/acme-stripe", "/connections/acme-stripe?checklist=acme", "/connections/sandbox-stripe", "/connections/acme-stripe?first=wait", "/events", "/events?attention=yes&q=cus_1", "/replays", "/snapshots", "/snapshots?account=acme", "/accounts/acme/snapshots/trial-nudge-7", "/accruals?account=acme", "/accruals", "/accruals?period=2026-10&history=all&months=closed", "/accounts/acme/customers", "/accounts/acme/customers/cus_RkA1b2C3d4E5f6",
	"/accounts/acme/customers/nobody", "/invoices?from=x", "/cycles/fees.2026-10/lines/fee:cap", "/cycles/acme.2026-10/lines/nothing",
	"/readouts/" + caseGood, "/readouts/" + caseNull, "/accounts", "/accounts/acme/events", "/accounts/acme/events?joined=no&currency=usd&amount_from=1", "/accounts/acme/events?amount_from=x", "/cycles/nothing",
	eventPath("paid:in_2", 2), eventPath("paid:in_2", 2) + "?done=replay", eventPath("refund:re_1", 1), eventPath("paid:in_3", 3), eventPath("trial:sub_4", 5), eventPath("nothing", 1),
	"/adjustments", "/adjustments?cause=correction&state=proposed", "/cycles/acme.2026-10/corrections",
	"/contracts", "/contracts?active=2026-10", "/accounts/acme/whatif", "/accounts/acme/whatif?share=0.15&months=3", "/accounts/acme/whatif?fee=x",
	"/accounts/acme/months/2026-09", "/coverage", "/coverage?account=acme&period=2026-10&reason=never_mapped", "/coverage?account=nobody",
	"/breaks", "/breaks?show=all&type=amount_differs&from=10", "/breaks?from=x", "/breaks/" + breakAmount, "/breaks/" + breakGhost, "/breaks/" + breakDone, "/breaks/nothing", "/connections/acme-stripe/compare", "/connections/acme-stripe/compare?object=invoice&object_id=in_1&back=/breaks",
	"/sign-in", "/sign-in/link?link=x", "/you", "/access", "/audit",
}

// eventPath is the page of a fact of so many hours ago.
func eventPath(key string, hours int) string {
	return "/accounts/acme/events/" + url.PathEscape(now.Add(-time.Duration(hours)*time.Hour).Format(time.RFC3339Nano)+"~"+key)
}

func TestEveryPageIsSoundAndSelfContained(t *testing.T) {
	t.Parallel()
	for _, path := range everyPage {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			p := open(t, newEcho(fixture()), path)
			require.NotContains(t, p.html, "ZgotmplZ", "a value was not safe where it stands")
			require.NotContains(t, p.html, "<no value>")
			require.NotContains(t, p.html, " style=", "the policy forbids inline style")
			require.Regexp(t, `<script src="/static/keys.js\?v=[0-9a-f]{12}" defer></script>`, p.html)
			require.Equal(t, 1, strings.Count(p.html, "<script"), "one script of our own, and none inline")
			require.NotRegexp(t, ` on[a-z]+=`, p.html, "no handler stands in the page")
			require.Contains(t, p.text, "As of 2026-11-04 09:30:00 UTC")
			require.Regexp(t, `<html lang="en">`, p.html)
			require.Equal(t, 1, strings.Count(p.html, "<h1>"))
			require.Contains(t, p.header.Get("Content-Security-Policy"), "default-src 'none'")
			require.NotRegexp(t, `(src|<link[^>]*href)="https?:`, p.html, "nothing is loaded from another host")
			for _, tag := range []string{"table", "section", "tbody", "tr", "td", "th", "dl", "div", "a", "svg", "p", "span"} {
				require.Equal(t, len(regexp.MustCompile(`<`+tag+`[ >]`).FindAllString(p.html, -1)), strings.Count(p.html, "</"+tag+">"), "balance of %s", tag)
			}
			for _, link := range p.links {
				if id, ok := strings.CutPrefix(link, "#"); ok {
					require.Contains(t, p.html, `id="`+id+`"`, "#%s leads nowhere", id)
				}
			}
			ids := map[string]bool{}
			for _, m := range regexp.MustCompile(` id="([^"]*)"`).FindAllStringSubmatch(p.html, -1) {
				require.False(t, ids[m[1]], "id %s appears twice", m[1])
				ids[m[1]] = true
			}
			for _, m := range regexp.MustCompile(`<(?:select|input)[^>]*>`).FindAllStringIndex(p.html, -1) {
				if !strings.Contains(p.html[m[0]:m[1]], `type="hidden"`) {
					require.Regexp(t, `<label[^>]*>[^<]*$`, p.html[:m[0]], "every field has a label")
				}
			}
		})
	}
}

func TestInternalLinksAreServed(t *testing.T) {
	t.Parallel()
	e := newEcho(fixture())
	seen := map[string]bool{}
	for _, path := range everyPage {
		p := open(t, e, path)
		for _, link := range p.links {
			link, _, _ = strings.Cut(link, "#")
			if strings.Contains(p.html, `<form method="post" action="`+link+`"`) {
				require.Contains(t, []int{http.StatusOK, http.StatusMethodNotAllowed}, open(t, e, link).status, "%s is posted to", link)
				continue
			}
			if !strings.HasPrefix(link, "/") || seen[link] || strings.HasPrefix(link, "/v1/") || strings.HasPrefix(link, "/docs/") || strings.Contains(link, caseHarm) {
				continue
			}
			seen[link] = true
			require.Less(t, open(t, e, link).status, 400, link)
		}
	}
	require.Greater(t, len(seen), 10)
}

func TestCloseBoard(t *testing.T) {
	t.Parallel()
	l := fixture()
	p := open(t, newEcho(l), "/cycles")
	require.Empty(t, cmp.Diff(reconcile.CyclesFilter{Period: "2026-10", Limit: 200}, l.cyclesAsked), "the newest period is shown first")
	require.Equal(t, []string{"2 312.10 USD", "0.00 USD -12.62 USD found later", "4,120.50 USD", "4,120.50 USD", "0.00 USD ✓"}, p.row(t, "ACME-0001")[4:9])
	require.Contains(t, p.row(t, "ACME-0001")[0], "acme-2026 , version 2, basis measured")
	require.Equal(t, "-45.00 EUR", p.row(t, "NW-0004")[5])
	require.Equal(t, "5.00 EUR ✕", p.row(t, "NW-0004")[8])
	require.Contains(t, p.row(t, "NW-0004")[0], "revision 3")
	require.NotContains(t, p.row(t, "ACME-0001")[0], "revision", "computed once")
	for _, link := range []string{"/adjustments?account=northwind&applied=2026-10", "/adjustments?account=acme&period=2026-10", "/contracts?account=acme", "/cycles/northwind.2026-10#revisions"} {
		require.Contains(t, p.links, link)
	}
	require.Contains(t, p.row(t, "NW-0004")[1], "Compare the invoice at Stripe")
	require.Equal(t, []string{"–", "–", "0", "–"}, p.row(t, "Acme sandbox")[7:11], "nothing written is not zero")
	require.Contains(t, p.row(t, "Acme sandbox")[0], "TEST")

	live := p.row(t, "Total USD LIVE")
	require.Equal(t, []string{"20,602.50 USD", "5", "4 312.10 USD", "0.00 USD -12.62 USD found later", "4,120.50 USD", "4,120.50 USD", "0.00 USD ✓"}, live[2:9], "a total is the sum of its rows, live apart from test")
	require.Equal(t, "1,234.56 USD", p.row(t, "Total USD TEST")[6])
	require.Equal(t, "980.00 EUR", p.row(t, "Total EUR LIVE")[6])
	require.Contains(t, p.links, "http://127.0.0.1:8233/namespaces/default/workflows?query=WorkflowId%20%3D%20%22cycle%2Flive%2Facme%2F2026-10%22")
	require.Contains(t, p.links, "/cycles?period=2026-09")
}

func TestCloseBoardFilters(t *testing.T) {
	t.Parallel()
	l := fixture()
	l.next = "c2"
	p := open(t, newEcho(l), "/cycles?period=all&state=invoiced&account=acme&environment=live&cursor=c1")
	require.Empty(t, cmp.Diff(reconcile.CyclesFilter{State: "invoiced", AccountID: "acme", Environment: "live", Cursor: "c1", Limit: 200}, l.cyclesAsked))
	require.Contains(t, p.links, "/cycles?account=acme&cursor=c2&environment=live&period=all&state=invoiced")
	require.Contains(t, p.links, "/cycles?account=acme&environment=live&period=all&state=invoiced")
	require.Contains(t, p.text, "on this page", "a total of one page says so")
	for _, chosen := range []string{`value="all" selected`, `value="invoiced" selected`, `value="acme" selected`, `value="live" selected`} {
		require.Contains(t, p.html, chosen)
	}
	require.Contains(t, p.html, `<select name="mode"><option value="" selected>`, "an environment is no mode: its shadow months stay when the form is sent")
	require.Contains(t, p.html, `<select name="environment"><option value="">Live and test</option><option value="live" selected>`, "and it stays too")
	require.Contains(t, p.text, "Selected: invoiced; Acme Inc.; live")
	require.NotContains(t, open(t, newEcho(l), "/cycles?mode=live").html, `name="environment"`, "the mode says it")
	p = open(t, newEcho(l), "/cycles?period=all&mode=shadow&sort=state&from=1")
	require.Equal(t, "live", l.accrualsAsked.Environment, "open months are of the same accounts")
	require.Equal(t, []string{"shadow", "state"}, []string{l.cyclesAsked.Mode, l.cyclesAsked.Sort})
	require.Contains(t, p.text, "SHADOW Priced and shown as it would be invoiced.")
	for _, link := range []string{"/cycles?cursor=c2&from=1&mode=shadow&period=all&sort=state", "/cycles?from=1&mode=shadow&period=all&sort=account_asc", "/cycles?from=1&mode=shadow&period=all&sort=state_asc"} {
		require.Contains(t, p.links, link)
	}
	require.Contains(t, p.html, `value="shadow" selected`)
	require.Contains(t, p.html, `<input type="hidden" name="sort" value="state">`, "the form keeps the order")
	l.cycles, l.next = nil, ""
	require.Contains(t, open(t, newEcho(l), "/cycles?state=blocked").text, "No cycle matches")
	require.Contains(t, open(t, newEcho(&ledger{}), "/cycles").text, "No cycles yet")
}

// A shadow month says so in its row and is in no total of what is invoiced, on the page and in
// the file alike.
func TestShadowMonthsOnTheBoard(t *testing.T) {
	t.Parallel()
	l := fixture()
	l.cycles = slices.Clone(l.cycles)
	before := l.cycles[0]
	l.cycles[0].Shadow, l.cycles[0].EngineMinor, l.cycles[0].StripeMinor, l.cycles[0].DifferenceMinor = true, 0, nil, nil
	e := newDoor(l, &door{caller: signedIn()}, webui.Options{})
	p := open(t, e, "/cycles")
	require.Contains(t, p.row(t, before.AccountName)[0], "SHADOW")
	require.Equal(t, "20,602.50 USD", p.row(t, "Total USD SHADOW")[2])
	require.Equal(t, "0.00 USD", p.row(t, "Total USD LIVE")[2], "nothing else that is live and in dollars was billed")
	f := download(t, e, "/cycles.csv?period=2026-10")
	require.Equal(t, "shadow", f.column(t, "mode")[0])
	require.Equal(t, []string{"lift_billed", "20602.50", "USD", "2060250", "shadow"}, f.head["#control total"][0][:5])
}

func TestReadoutPage(t *testing.T) {
	t.Parallel()
	p := open(t, newEcho(fixture()), "/readouts/"+caseGood)
	require.Contains(t, p.text, "Billed: the lift is proven")
	require.Contains(t, p.text, "On the invoice 4,120.50 USD")
	require.Equal(t, []string{"Policy", "3,006", "50.1 %", "–", "15.45 USD"}, p.row(t, "Policy"))
	require.Equal(t, "20,602.50 USD", p.row(t, "Measured lift")[1])
	require.Equal(t, "51,540.50 USD", p.row(t, "Expected without the policy")[1], "with the lift it sums to what was observed")
	require.Contains(t, p.row(t, "V_0")[1], "used")
	require.Contains(t, p.row(t, "PLACEBO_LIFT")[0], "not evaluated")
	require.Contains(t, p.html, "Measured lift 20,602.50 USD, 95 percent interval from 15,026.04 USD to 26,178.96 USD", "the drawing has words")
	require.Contains(t, p.links, "/v1/readouts/"+caseGood+"/manifest")
	require.Contains(t, p.links, "/readouts/"+caseNull)

	p = open(t, newEcho(fixture()), "/readouts/"+caseNull)
	require.Contains(t, p.text, "Withheld: nothing is billed")
	require.Contains(t, p.row(t, "LCB_NOT_POSITIVE")[0], "✕ failed")
}

func TestAccountsAndEvents(t *testing.T) {
	t.Parallel()
	l := fixture()
	l.next = "e2"
	e := newEcho(l)
	p := open(t, e, "/accounts")
	require.Contains(t, p.row(t, "Acme sandbox")[1], "missing: issuer, payer, contract")
	require.Equal(t, "12", p.row(t, "Total LIVE 3 accounts")[15])
	require.Contains(t, p.row(t, "Acme Inc.")[14:15], "arriving")
	require.Contains(t, p.row(t, "Northwind")[12], "proven, proven_then_point")
	require.Contains(t, p.text, "Known overbilling risk of the contracts")
	require.Equal(t, []string{"proven, proven_then_point", "3.0 % (3.4 %)", "51 % (50 %)", "89 % (100 %)"}, p.row(t, "proven, proven_then_point | 3.0"))
	require.NotContains(t, open(t, e, "/accounts?environment=test").text, "Northwind")
	require.Contains(t, open(t, newEcho(&ledger{}), "/accounts").text, "No accounts yet")

	p = open(t, e, "/accounts/acme/events?kind=refund&period=2026-10&mapped=no&q=+cus_1+&cursor=e1")
	require.Empty(t, cmp.Diff(reconcile.RewardEventsFilter{AccountID: "acme", Kind: "refund", Period: "2026-10", Mapped: "no", Search: "cus_1", Cursor: "e1", Limit: 100, Places: true}, l.eventsAsked))
	require.Contains(t, p.links, "/accounts/acme/events?cursor=e2&kind=refund&mapped=no&period=2026-10&q=cus_1")
	require.Equal(t, "4,248.50 USD", p.row(t, "3 events")[2], "a total is the sum of its kind")
	require.Contains(t, p.row(t, "our own invoice")[4], "–")
	l.events, l.log = nil, nil
	for _, path := range []string{"/accounts/acme/events?kind=churn", "/events?type=never.sent"} {
		part := open(t, e, path)
		require.Contains(t, part.text, "Nothing so far", "one page looks at a part of the list only")
		require.Contains(t, strings.Join(part.links, " "), "cursor=e2")
	}
	l.next = ""
	require.Contains(t, open(t, e, "/accounts/acme/events").text, "No events yet")
	require.Contains(t, open(t, e, "/accounts/acme/events?kind=churn").text, "No event matches")
}

func TestErrorPages(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		err    error
		path   string
		status int
		says   string
	}{
		"cycle":       {nil, "/cycles/nope", 404, `There is no cycle "nope".`},
		"account":     {nil, "/accounts/nope/events", 404, "no such page"},
		"route":       {nil, "/nope", 404, "no such page"},
		"bad filter":  {fault.InvalidField("period", "period_malformed", "\"<b>\" is not a month").Fix("Write it as YYYY-MM"), "/cycles?period=%3Cb%3E", 400, `"<b>" is not a month. Write it as YYYY-MM.`},
		"unavailable": {fault.New(fault.Unavailable, "database", "the database does not answer"), "/cycles", 503, "The database does not answer."},
		"bug":         {errors.New("secret detail"), "/cycles", 500, "Something went wrong here"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := fixture()
			l.err = tc.err
			p := open(t, newEcho(l), tc.path)
			require.Equal(t, tc.status, p.status)
			require.Contains(t, p.text, tc.says)
			require.NotContains(t, p.text, "secret detail")
			require.NotContains(t, p.html, "<b>", "what came with the address is escaped")
		})
	}
}

func TestFrame(t *testing.T) {
	t.Parallel()
	e := newEcho(fixture())
	style := regexp.MustCompile(`/static/style\.css\?v=[0-9a-f]{12}`).FindString(open(t, e, "/cycles").html)
	p := open(t, e, style)
	require.Equal(t, http.StatusOK, p.status)
	require.Contains(t, p.header.Get("Cache-Control"), "immutable")
	require.NotContains(t, p.html, "url(", "the sheet loads nothing")
	r := httptest.NewRequest(http.MethodGet, "/nope", nil) // a program, not a browser
	w := httptest.NewRecorder()
	e.ServeHTTP(w, r)
	require.Contains(t, w.Header().Get("Content-Type"), "json")
}

// Every page says in which mode what it shows is: what is about one account, cycle, readout or
// connection has the mode of that, a list of both says so. Pages of access have no mode.
func TestEveryPageSaysItsMode(t *testing.T) {
	t.Parallel()
	e := newDoor(fixture(), &door{caller: worker()}, webui.Options{})
	one := regexp.MustCompile(`^/(cycles/|readouts/|accounts/|connections/|breaks/[a-c]{26}|coverage)`)
	for _, path := range everyPage {
		p := open(t, e, path)
		if strings.HasPrefix(path, "/sign-in") || path == "/you" || path == "/access" {
			require.NotContains(t, p.html, `class="mode `, path)
			continue
		}
		if n := strings.Count(p.html, `class="mode `); n != 1 {
			t.Errorf("%s: %d banners", path, n)
			continue
		}
		if p.status != http.StatusOK {
			continue
		}
		want := "LIVE + TEST"
		switch {
		case strings.Contains(path, "sandbox"):
			want = "TEST Computed"
		case strings.Contains(path, "shade"):
			want = "SHADOW"
		case one.MatchString(path):
			want = "LIVE Real money"
		case strings.HasPrefix(path, "/invoices"):
			want = "LIVE Real money" // a test account has no invoice
		}
		if !strings.Contains(p.text, want) {
			t.Errorf("%s: no %s", path, want)
		}
	}
}
