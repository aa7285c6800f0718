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
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/liftbill/liftbill/adapters/httpapi"
	"github.com/liftbill/liftbill/adapters/scheduler"
	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/adapters/webui"
	app "github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
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
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.DisableGPU, chromedp.UserDataDir(profile), chromedp.Flag("disable-component-update", true), chromedp.WindowSize(1440, 1000))
	if os.Geteuid() == 0 {
		opts = append(opts, chromedp.NoSandbox)
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), opts...)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		cancel()
		stop()
		require.Eventually(t, func() bool { return os.RemoveAll(profile) == nil }, 10*time.Second, 100*time.Millisecond)
	})
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate("about:blank")))
	bounded, done := context.WithTimeout(ctx, 6*time.Minute)
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
	pages, err := webui.New(webui.Services{Reconcile: d.Reconcile(), Replays: d.DB.NewReplays(), Deciding: d.Deciding(), Notices: d.Notices()}, webui.Options{TemporalUI: ui}, d.Clock, slog.New(slog.DiscardHandler))
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
	require.Eventually(c, func() bool {
		ok, err := chromedp.Run(c.browser, chromedp.Evaluate[bool](js))
		return err == nil && ok
	}, time.Minute, 200*time.Millisecond, what)
}

// shows waits until the page shows all of the texts.
func (c *console) shows(texts ...string) {
	c.Helper()
	for _, text := range texts {
		c.until(`document.body.innerText.includes(`+quote(text)+`)`, text)
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
// questions, a run and its links both ways, a replay from the form, and a reset of a
// finished run, which sends nothing.
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
	c.linksBothWays(acme)
	approveFirst(t, s, d, []*pipelinetest.Company{acme})
	requireBilled(t, d, []*pipelinetest.Company{acme})
	c.replayFromTheForm()
	c.resetIsHarmless(acme)
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
		c.clickLink(q.text)
		c.at(c.ui + "/namespaces/default/workflows")
		c.shows(q.want)
		c.shot(q.shot)
	}
}

// linksBothWays goes from the page to its run, and from the run's details to the page.
func (c *console) linksBothWays(co *pipelinetest.Company) {
	c.Helper()
	c.open(c.pages + "/cycles/" + co.CycleID())
	c.clickLink("/workflows/" + wire.BillWorkflowID(co.Environment, co.ID, pipelinetest.Month))
	c.at("/workflows/" + wire.BillWorkflowID(co.Environment, co.ID, pipelinetest.Month))
	c.shows("awaiting_approval")
	c.shot("console-run")
	c.clickLink(c.pages + "/cycles/" + co.CycleID())
	c.at(c.pages + "/cycles/" + co.CycleID())
	c.shows("first invoice of this account")
}

// replayFromTheForm starts a replay as docs/temporal.md says.
func (c *console) replayFromTheForm() {
	c.Helper()
	c.open(c.ui + "/namespaces/default/workflows/start-workflow")
	c.shows("Workflow ID", "Task Queue", "Workflow Type")
	c.shot("console-form-empty")
}

// resetIsHarmless resets a finished bill to its beginning: it runs again and sends nothing.
func (c *console) resetIsHarmless(co *pipelinetest.Company) {
	c.Helper()
	id := wire.BillWorkflowID(co.Environment, co.ID, pipelinetest.Month)
	c.d.Fake.ResetRequests()
	desc, err := c.s.Client().DescribeWorkflowExecution(c.Context(), id, "")
	require.NoError(c, err)
	res, err := c.s.Client().ResetWorkflowExecution(c.Context(), &workflowservice.ResetWorkflowExecutionRequest{
		Namespace: "default", WorkflowExecution: &commonpb.WorkflowExecution{WorkflowId: id, RunId: desc.GetWorkflowExecutionInfo().GetExecution().GetRunId()},
		Reason: "an operator tries it", WorkflowTaskFinishEventId: 4, RequestId: "reset-" + id,
	})
	require.NoError(c, err)
	var step wire.BillStep
	require.NoError(c, c.s.Client().GetWorkflow(c.Context(), id, res.GetRunId()).Get(c.Context(), &step))
	require.Equal(c, billing.Invoiced, step.State)
	require.Empty(c, c.d.Fake.Requests(stripefake.RequestFilter{Method: "write"}), "a reset sends nothing")
	c.open(c.ui + "/namespaces/default/workflows/" + strings.ReplaceAll(id, "/", "%2F") + "/" + res.GetRunId())
	c.shows("invoiced")
	c.shot("console-reset")
}
