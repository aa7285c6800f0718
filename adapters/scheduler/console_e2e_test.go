//go:build e2e

package scheduler_test

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/liftbill/liftbill/adapters/httpapi"
	"github.com/liftbill/liftbill/adapters/scheduler"
	"github.com/liftbill/liftbill/adapters/webui"
	app "github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/internal/pipelinetest"
	"github.com/liftbill/liftbill/workflows/wire"
)

// console is an operator's browser at Temporal's real web console, beside our pages.
type console struct {
	*testing.T
	browser context.Context
	s       *scheduler.Scheduler
	d       *pipelinetest.Deployment
	pages   string
	ui      string
}

// openConsole starts headless Chromium with a profile of its own.
func openConsole(t *testing.T) context.Context {
	t.Helper()
	profile, err := os.MkdirTemp("", "liftbill-console-")
	require.NoError(t, err)
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.WSURLReadTimeout(2*time.Minute), chromedp.DisableGPU, chromedp.UserDataDir(profile), chromedp.Flag("disable-component-update", true), chromedp.WindowSize(1440, 1000))
	if os.Geteuid() == 0 {
		opts = append(opts, chromedp.NoSandbox)
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), opts...)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		cancel()
		stop()
		require.Eventually(t, func() bool { return os.RemoveAll(profile) == nil }, time.Minute, 100*time.Millisecond)
	})
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate("about:blank")))
	bounded, done := context.WithTimeout(ctx, 5*time.Minute)
	t.Cleanup(done)
	return bounded
}

// pagesAt serves our pages to somebody who has signed in.
func pagesAt(t *testing.T, d *pipelinetest.Deployment, ui string) string {
	t.Helper()
	e := echo.New()
	caller := app.Caller{Principal: access.Principal{Kind: access.User, ID: "user_kim", Name: "Kim", Person: "user_kim", Roles: access.Roles{access.Finance, access.Approver}, Scope: access.Everything()}, Session: access.Given("session")}
	e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			c.SetRequest(c.Request().WithContext(app.With(c.Request().Context(), caller)))
			return next(c)
		}
	})
	pages, err := webui.New(d.PageServices(), webui.Options{TemporalUI: ui}, d.Clock, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	pages.Register(e)
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	return server.URL
}

func (c *console) open(address string) {
	c.Helper()
	require.NoError(c, chromedp.Do(c.browser, chromedp.Navigate(address)))
}

// clickLink clicks the first link whose address or text holds the given one, in this tab.
func (c *console) clickLink(part string) {
	c.Helper()
	js := `(() => { const a = [...document.querySelectorAll("a")].find((a) => decodeURIComponent(a.href).includes(` + quote(part) + `) || a.textContent.replaceAll("\u00a0", " ").includes(` + quote(part) + `)); if (!a) return false; a.removeAttribute("target"); a.click(); return true })()`
	c.until(js, "a link with "+part)
}

// until waits for a script to say true.
func (c *console) until(js, what string) {
	c.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		if ok, err := chromedp.Run(c.browser, chromedp.Evaluate[bool](js)); err == nil && ok {
			return
		}
		select {
		case <-deadline.C:
			c.shot("console-failing")
			seen, err := chromedp.Run(c.browser, chromedp.Evaluate[string](`location.href + " " + document.body.innerText.replace(/\s+/g, " ")`))
			require.FailNow(c, "the browser does not show "+what, "%v %s", err, seen)
		case <-tick.C:
		}
	}
}

// shows waits until the page shows all of the texts.
func (c *console) shows(texts ...string) {
	c.Helper()
	for _, text := range texts {
		c.until(`document.body.innerText.includes(`+quote(text)+`)`, text)
	}
}

// details waits until the details of a run show all of the texts. The console draws them in
// frames of their own.
func (c *console) details(texts ...string) {
	c.Helper()
	for _, text := range texts {
		c.until(`[...document.querySelectorAll("iframe")].some((f) => (f.srcdoc + (f.contentDocument?.body?.innerText || "")).includes(`+quote(text)+`))`, text)
	}
}

func (c *console) at(part string) {
	c.Helper()
	c.until(`decodeURIComponent(location.href).includes(`+quote(part)+`)`, part)
}

func quote(s string) string { return "`" + strings.ReplaceAll(s, "`", "\\`") + "`" }

// shot keeps a picture; LIFTBILL_SHOTS names the folder (docs/img has those of the page).
func (c *console) shot(name string) {
	c.Helper()
	dir := os.Getenv("LIFTBILL_SHOTS")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(c.browser, chromedp.FullScreenshot(100))
	require.NoError(c, err)
	require.NoError(c, os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600))
}

// bill starts an account's bill, as a tick does.
func (c *console) bill(co *pipelinetest.Company) {
	c.Helper()
	_, err := c.s.StartBill(c.Context(), wire.BillInput{Environment: co.Environment, AccountID: co.ID, Period: pipelinetest.Month})
	require.NoError(c, err)
}

// TestConsoleForOperators follows docs/temporal.md in Temporal's own web console: the saved
// questions, and the way from a cycle's page to what its run tells.
func TestConsoleForOperators(t *testing.T) {
	t.Parallel()
	s, ui := connectWithConsole(t)
	d, companies := pipelinetest.LiveMonth(t)
	c := &console{T: t, browser: openConsole(t), s: s, d: d, ui: ui, pages: pagesAt(t, d, ui)}
	acme, borealis, cedar := companies[0], companies[1], companies[2]
	// One waits for a person, one is a shadow month, and one fails: its key is gone.
	d.Post(t, "/v1/accounts/borealis/go-live", httpapi.GoLiveChange{Reason: "not yet"}, nil)
	require.NoError(t, d.Fake.RevokeKey(c.keyOf(cedar)))
	stop := workLinked(t, s, d, d.Invoicing(), c.pages)
	defer stop()
	for _, co := range []*pipelinetest.Company{acme, borealis, cedar} {
		c.bill(co)
	}
	c.savedQuestions()
	c.runOf(acme)
	c.approve(acme)
	c.replay(acme)
	c.reset(acme)
	c.pageOf(acme)
}

func (c *console) keyOf(co *pipelinetest.Company) string {
	c.Helper()
	sealed, err := c.d.DB.SealedConnection(c.Context(), co.ID+"-stripe")
	require.NoError(c, err)
	key, err := c.d.Box.Open("connection-key:"+co.ID+"-stripe", sealed.SealedKey)
	require.NoError(c, err)
	return string(key)
}

// savedQuestions opens each saved question from our page.
func (c *console) savedQuestions() {
	c.Helper()
	for _, q := range []struct{ text, want, shot string }{
		{"waiting for approval", wire.BillWorkflowID(account.Live, "acme", pipelinetest.Month), "console-waiting"},
		{"withheld", wire.BillWorkflowID(account.Live, "borealis", pipelinetest.Month), "console-withheld"},
		{"failed", wire.BillWorkflowID(account.Test, "cedar-test", pipelinetest.Month), "console-failed"},
	} {
		require.Eventually(c, func() bool {
			res, err := c.s.Client().ListWorkflow(c.Context(), &workflowservice.ListWorkflowExecutionsRequest{Query: `WorkflowId = "` + q.want + `" AND BillingOutcome IN ("awaiting_approval", "withheld", "failed")`})
			return err == nil && len(res.GetExecutions()) == 1
		}, patience, 200*time.Millisecond, q.want)
		c.open(c.pages + "/cycles?period=" + pipelinetest.Month)
		c.clickLink(q.text + " ↗")
		c.at(c.ui + "/namespaces/default/workflows")
		c.shows(q.want)
		c.shot(q.shot)
	}
}

// runOf goes from a cycle's page to its run, and looks at what the run tells.
func (c *console) runOf(co *pipelinetest.Company) {
	c.Helper()
	c.open(c.pages + "/cycles/" + co.CycleID())
	id := wire.BillWorkflowID(co.Environment, co.ID, pipelinetest.Month)
	c.clickLink(`WorkflowId = "` + id)
	c.at(c.ui + "/namespaces/default/workflows")
	c.shows(id)
	c.clickLink("/workflows/" + id + "/")
	c.at("/workflows/" + id + "/")
	c.clickLink("/user-metadata")
	c.at("/user-metadata")
	c.details("awaiting_approval", "decide until")
	c.shot("console-run")
}
