//go:build e2e

package main_test

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	cdpbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/period"
	"github.com/liftbill/liftbill/internal/pipelinetest"
)

// person is a reader of a deployment who signs in and works.
type person struct {
	*reader
	base string
}

func (p *person) open(path string) {
	p.t.Helper()
	require.NoError(p.t, chromedp.Do(p.ctx, chromedp.Navigate(p.base+path)))
}

func (p *person) seen(selector string) {
	p.t.Helper()
	require.NoError(p.t, chromedp.Do(p.ctx, chromedp.WaitVisible(selector)), selector)
}

// typed empties a field and writes into it.
func (p *person) typed(selector, text string) {
	p.t.Helper()
	require.NoError(p.t, chromedp.Do(p.ctx, chromedp.WaitVisible(selector)), selector)
	evaluate[bool](p.reader, `document.querySelector('`+selector+`').value = "", true`)
	require.NoError(p.t, chromedp.Do(p.ctx, chromedp.SendKeys(selector, text)), selector)
}

// at waits for an address.
func (p *person) at(want string) {
	p.t.Helper()
	require.Eventually(p.t, func() bool {
		got, err := chromedp.Run(p.ctx, chromedp.Location())
		return err == nil && strings.TrimPrefix(got, p.base) == want
	}, time.Minute, 50*time.Millisecond, want)
}

func (p *person) signIn(email string) {
	p.t.Helper()
	p.open("/sign-in?next=/cycles")
	p.typed(`input[name=email]`, email)
	p.typed(`input[name=password]`, pipelinetest.Password)
	p.click(`main form button`)
	p.at("/cycles")
}

func (p *person) signOut() {
	p.t.Helper()
	p.click(`.who button`)
	p.at("/sign-in")
}

// submits presses a button of a form, or follows a link, and waits for the page that answers.
func (p *person) submits(selector string) {
	p.t.Helper()
	evaluate[bool](p.reader, `window.before = true`)
	p.click(selector)
	require.Eventually(p.t, func() bool {
		there, err := chromedp.Run(p.ctx, chromedp.Evaluate[bool](`window.before === undefined && document.readyState === "complete"`))
		return err == nil && there
	}, time.Minute, 50*time.Millisecond, selector)
}

// glimpse is a picture of what the window shows of a long page, from the breaks on.
func (p *person) glimpse(name string) {
	p.t.Helper()
	dir := os.Getenv("LIFTBILL_SHOTS")
	if dir == "" {
		return
	}
	evaluate[bool](p.reader, `document.getElementById("breaks").scrollIntoView(), true`)
	png, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	require.NoError(p.t, err)
	require.NoError(p.t, os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600))
}

// until waits for a text of the page; it may be another page by then.
func (p *person) until(want string) {
	p.t.Helper()
	require.Eventually(p.t, func() bool {
		got, err := chromedp.Run(p.ctx, chromedp.Evaluate[string](`(document.querySelector("main") || document.body).innerText`))
		return err == nil && strings.Contains(strings.Join(strings.Fields(got), " "), want)
	}, time.Minute, 200*time.Millisecond, want)
}

// page is the text of the page in one line.
func (p *person) page() string { return strings.Join(strings.Fields(p.text("main")), " ") }

// monthToClose is October of one account: measured, priced and waiting for approval, with an
// amount that differs and a payment that Stripe does not have: together they cancel out, so
// that only a comparison object by object finds them.
func monthToClose(t *testing.T) (*pipelinetest.Deployment, *pipelinetest.Company) {
	t.Helper()
	d, c := pipelinetest.ApprovalMonth(t)
	require.NoError(t, d.DrainAll(t.Context(), ""))
	var invoice string
	require.NoError(t, d.SQL.QueryRow(t.Context(), `SELECT r.invoice_id FROM reward_events r WHERE r.kind = 'revenue_confirmation' AND r.effective_at >= '2026-10-05' AND r.effective_at < '2026-10-20'
		AND EXISTS (SELECT 1 FROM mapping_spans s WHERE s.connection_id = r.connection_id AND s.subject_id = r.customer_id AND s.state = 'linked')
		AND NOT EXISTS (SELECT 1 FROM reward_events x WHERE x.connection_id = r.connection_id AND x.amount_minor < 0 AND x.charge_id = r.charge_id) ORDER BY r.effective_at LIMIT 1`).Scan(&invoice))
	for _, sql := range []string{
		`UPDATE reward_events SET amount_minor = amount_minor - 1234 WHERE invoice_id = $1 AND kind = 'revenue_confirmation'`,
		`INSERT INTO reward_events (connection_id, environment, fact_key, kind, is_reward, object_id, customer_id, invoice_id, amount_minor, currency, effective_at, event_id, recorded_at)
			SELECT connection_id, environment, 'revenue_confirmation:in_ghost', kind, is_reward, 'in_ghost', customer_id, 'in_ghost', 1234, currency, effective_at, event_id, recorded_at FROM reward_events WHERE invoice_id = $1 AND kind = 'revenue_confirmation'`,
	} {
		tag, err := d.SQL.Exec(t.Context(), sql, invoice)
		require.NoError(t, err)
		require.EqualValues(t, 1, tag.RowsAffected())
	}
	m, err := period.Parse(pipelinetest.Month)
	require.NoError(t, err)
	service, quiet := d.Measure(), func(int, int, string) {}
	_, err = service.Open(t.Context(), c.ID, m, "wf")
	require.NoError(t, err)
	_, err = service.Collect(t.Context(), c.CycleID(), quiet)
	require.NoError(t, err)
	_, err = service.Estimate(t.Context(), c.CycleID(), quiet)
	require.NoError(t, err)
	_, err = d.Invoicing().Draft(t.Context(), c.CycleID())
	require.NoError(t, err)
	return d, c
}

// TestFinanceClosesAMonth drives a real browser from the sign-in to a closed month: Finn
// compares, resolves one break and asks for the other to be accepted; Ada, who is somebody
// else, agrees and approves the invoice; Finn closes the month and takes the files, which
// say what the page says. LIFTBILL_SHOTS=docs/img renews the pictures of docs/finance.md.
func TestFinanceClosesAMonth(t *testing.T) {
	t.Parallel()
	d, c := monthToClose(t)
	d.Person(t, "finn@example.com", "Finn", "finance")
	d.Person(t, "ada@example.com", "Ada", "approver")
	ctx, cancel := context.WithTimeout(browser(t), 8*time.Minute)
	defer cancel()
	p := &person{&reader{t: t, ctx: ctx}, d.URL}
	cycle := "/cycles/" + c.CycleID()
	breaks := "/breaks?" + url.Values{"account": {c.ID}, "period": {pipelinetest.Month}}.Encode()

	p.signIn("finn@example.com")
	require.Contains(t, p.text(`table.board tbody`), "awaiting approval")
	p.submits(`main a[href="` + cycle + `"]`)
	p.seen(`#month`)
	require.Contains(t, p.page(), "Not compared with Stripe yet.")
	p.submits(`form[action="` + cycle + `/reconcile"] button`)
	p.at(cycle + "#month")
	p.until("2 breaks keep the month from being closed.")
	p.glimpse("finance-month-blocked")
	p.submits(`form[action="` + cycle + `/close"] button[value=close]`)
	p.seen(`.problem`)
	require.Contains(t, p.text(`.problem`), "is awaiting approval", "a month is not closed before its cycle is over")

	// The list, by the keyboard: the second row is marked, the first one opened.
	p.open(breaks)
	p.seen(`#bulk`)
	p.shot("finance-breaks")
	require.NoError(t, chromedp.Do(ctx, chromedp.KeyEvent("j"), chromedp.KeyEvent("x")))
	require.Equal(t, 1, evaluate[int](p.reader, `document.querySelectorAll('input[name=pick]:checked').length`))
	p.submits(`#bulk button[value=assign]`)
	p.seen(`.note`)
	require.Contains(t, p.text(`.note`), "1 break assigned.")
	p.resolves()
	p.asks()
	p.signOut()

	p.signIn("ada@example.com")
	p.agrees()
	p.open(cycle)
	p.submits(`button[value=approve]`)
	p.at(cycle + "#decisions")
	require.Contains(t, p.text("main"), "approve")
	inv := d.Invoicing() // what the cycle's run does with an approval
	_, err := inv.Draft(t.Context(), c.CycleID())
	require.NoError(t, err)
	_, err = inv.EnsureDraft(t.Context(), c.CycleID())
	require.NoError(t, err)
	_, err = inv.EnsureLines(t.Context(), c.CycleID())
	require.NoError(t, err)
	_, err = inv.Finalize(t.Context(), c.CycleID())
	require.NoError(t, err)
	p.signOut()

	p.signIn("finn@example.com")
	p.closes(cycle)
	p.takesFiles(cycle)
}

// resolves settles the break that one person may settle.
func (p *person) resolves() {
	p.t.Helper()
	p.open("/breaks?type=amount_differs")
	p.submits(`tbody a[href^="/breaks/"]`)
	p.seen(`#sides`)
	require.Contains(p.t, p.text("#difference"), "-12.34 USD")
	require.NoError(p.t, chromedp.Do(p.ctx, chromedp.KeyEvent("c")))
	p.submits(`main form.filters button`)
	p.seen(`table.compared`)
	require.Contains(p.t, p.page(), "net minor")
	p.shot("finance-compare")
	p.submits(`.crumbs a`)
	p.typed(`form[action$="/resolve"] textarea`, "The bank kept a fee, letter of 3 November")
	p.submits(`form[action$="/resolve"] button`)
	p.seen(`form[action$="/reopen"]`)
	p.until("The bank kept a fee")
}

// asks wants the critical break accepted although it is there.
func (p *person) asks() {
	p.t.Helper()
	p.open("/breaks?type=missing_in_stripe")
	p.submits(`tbody a[href^="/breaks/"]`)
	p.seen(`#sides`)
	require.Contains(p.t, p.text("#at-stake"), "12.34 USD")
	require.Equal(p.t, 0, evaluate[int](p.reader, `document.querySelectorAll('form[action$="/resolve"]').length`), "one person does not resolve it")
	p.typed(`form[action$="/request-force"] textarea`, "A payment of the old account, written off by the board")
	p.submits(`form[action$="/request-force"] button`)
	p.until("You asked for it")
}

// agrees is the second person.
func (p *person) agrees() {
	p.t.Helper()
	p.open("/breaks?type=missing_in_stripe")
	p.submits(`tbody a[href^="/breaks/"]`)
	p.typed(`form[action$="/force"] textarea`, "I have seen the minutes")
	p.shot("finance-second-person")
	p.submits(`form[action$="/force"] button[value=yes]`)
	p.until("I have seen the minutes")
	require.Contains(p.t, p.page(), "forced")
}

// closes compares once more, now that the invoice is written, and closes the month.
func (p *person) closes(cycle string) {
	p.t.Helper()
	p.open(cycle)
	p.submits(`form[action="` + cycle + `/reconcile"] button`)
	p.until("The month ties out at 0.00.")
	for _, remains := range evaluate[[]string](p.reader, `[...document.querySelectorAll('tr[data-line]')].map((r) => r.lastElementChild.innerText.trim())`) {
		require.Regexp(p.t, `^0\.00 USD`, remains)
	}
	require.Contains(p.t, p.text(`#invoice .verdict`), "0.00")
	p.submits(`form[action="` + cycle + `/close"] button[value=close]`)
	p.until("The month is closed.")
	p.glimpse("finance-month-closed")
}

// takesFiles reads the exports back and compares them with the pages.
func (p *person) takesFiles(cycle string) {
	p.t.Helper()
	dir := p.t.TempDir()
	require.NoError(p.t, chromedp.Do(p.ctx, chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, cdpbrowser.SetDownloadBehavior, cdpbrowser.SetDownloadBehaviorParams{Behavior: cdpbrowser.SetDownloadBehaviorBehaviorAllow, DownloadPath: dir})
		return err
	})))
	p.open("/breaks?show=all")
	p.seen(`table.listing`)
	shown := evaluate[[][]string](p.reader, `[...document.querySelectorAll('table.listing tbody tr')].map((r) => [r.id.slice(4), r.cells[0].querySelector('a').innerText.trim(), r.cells[7].innerText.replace(/,/g, '').trim()])`)
	p.click(`main a[data-key="e"]`)
	lines := downloaded(p.t, dir, "liftbill-breaks-*.csv")
	require.Len(p.t, lines, 1+len(shown))
	for i, row := range records(lines) {
		require.Equal(p.t, []string{row["break"], row["type"]}, shown[i][:2])
		if row["at_stake"] != "" {
			require.Equal(p.t, row["at_stake"], shown[i][2])
		}
	}
	p.open("/cycles")
	total := evaluate[[]string](p.reader, `[...document.querySelector('table.board tbody tr').cells].slice(6, 9).map((c) => c.innerText.replace(/,/g, '').trim())`)
	p.click(`main a[data-key="e"]`)
	row := records(downloaded(p.t, dir, "liftbill-cycles-*.csv"))[0]
	require.Equal(p.t, "/cycles/"+row["cycle"], cycle)
	require.Equal(p.t, []string{row["engine"] + " USD", row["stripe"] + " USD"}, total[:2])
	require.Equal(p.t, "0.00", row["difference"])
	require.Equal(p.t, "Ada", row["approver"])
	require.NotEmpty(p.t, row["closed_at"])
	require.Equal(p.t, "0", row["blocking_breaks"])
}

// records are the lines of a table by the names of its columns.
func records(lines [][]string) []map[string]string {
	var out []map[string]string
	for _, line := range lines[1:] {
		m := map[string]string{}
		for i, name := range lines[0] {
			m[name] = line[i]
		}
		out = append(out, m)
	}
	return out
}
