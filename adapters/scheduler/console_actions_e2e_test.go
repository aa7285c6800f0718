//go:build e2e

package scheduler_test

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/liftbill/liftbill/adapters/httpapi"
	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/internal/pipelinetest"
	"github.com/liftbill/liftbill/workflows/wire"
)

// approve lets somebody approve the invoice on which the run waits, and the run finish.
func (c *console) approve(co *pipelinetest.Company) {
	c.Helper()
	desk := &invoicing.Decisions{Work: c.d.DB.Deciding(), Clock: c.d.Clock, Runs: &teller{s: c.s}}
	ada := access.Principal{Kind: access.User, ID: "ada", Name: "Ada", Person: "ada", Roles: access.Roles{access.Approver}, Scope: access.Everything()}
	_, err := desk.Decide(c.Context(), ada, invoicing.Wish{CycleID: co.CycleID(), Action: billing.ActApprove, PlanHash: c.tie(co).InvoiceHash})
	require.NoError(c, err)
	require.Equal(c, billing.Invoiced, c.ended(co, ""))
}

func (c *console) tie(co *pipelinetest.Company) (t httpapi.TieOut) {
	c.Helper()
	c.d.Get(c.T, "/v1/cycles/"+co.CycleID(), &t)
	return t
}

// ended waits for the end of a run of the bill, the latest one without an ID.
func (c *console) ended(co *pipelinetest.Company, run string) billing.CycleState {
	c.Helper()
	var step wire.BillStep
	require.NoError(c, c.s.Client().GetWorkflow(c.Context(), wire.BillWorkflowID(co.Environment, co.ID, pipelinetest.Month), run).Get(c.Context(), &step))
	return step.State
}

// replay fills in the console's own form as docs/temporal.md says, and looks at the run.
func (c *console) replay(co *pipelinetest.Company) {
	c.Helper()
	const id = "finance-asked-2026-10"
	c.open(c.ui + "/namespaces/default/workflows/start-workflow")
	in := `{"account":"` + co.ID + `","period":"` + pipelinetest.Month + `"}`
	c.typeInto("#workflowId", id)
	c.typeInto("#taskQueue", wire.QueueWorkflows)
	c.typeInto("#workflowType", wire.WorkflowBillingReplay)
	c.typeInto(".cm-content", in)
	c.shot("console-replay-form")
	c.until(`(() => { const b = document.querySelector("[data-testid=start-workflow-button]"); if (!b || b.disabled) return false; b.click(); return true })()`, "a form that can be sent")
	var out wire.ReplayResult
	require.Eventually(c, func() bool {
		_, err := c.s.Client().DescribeWorkflowExecution(c.Context(), id, "")
		return err == nil
	}, time.Minute, 100*time.Millisecond, "the form started nothing")
	require.NoError(c, c.s.Client().GetWorkflow(c.Context(), id, "").Get(c.Context(), &out))
	require.True(c, out.Equal, out.Difference)
	require.NotEmpty(c, out.Checks)
	c.open(c.ui + `/namespaces/default/workflows?query=` + "`WorkflowId`%3D%22" + id + "%22")
	c.clickLink("/workflows/" + id + "/")
	c.at("/workflows/" + id + "/")
	c.clickLink("/user-metadata")
	c.at("/user-metadata")
	c.details("equal", "input digest")
	for _, check := range out.Checks {
		c.details(check.Replayed)
	}
	c.shot("console-replay")
}

// typeInto puts a text into an empty field of the console as the keyboard does, and waits
// until the field shows it.
func (c *console) typeInto(field, text string) {
	c.Helper()
	c.until(`(() => { const f = document.querySelector(`+quote(field)+`); if (!f) return false; f.focus(); return document.activeElement === f && document.execCommand("insertText", false, `+quote(text)+`) })()`, field)
	c.until(`(() => { const f = document.querySelector(`+quote(field)+`); return (f.value ?? f.innerText).replace(/\s/g, "") === `+quote(text)+` })()`, text)
}

// reset resets the finished run of a bill to its first task, to one in its middle and to its
// last: what the run does again changes nothing.
func (c *console) reset(co *pipelinetest.Company) {
	c.Helper()
	id := wire.BillWorkflowID(co.Environment, co.ID, pipelinetest.Month)
	done, err := c.s.Client().DescribeWorkflowExecution(c.Context(), id, "")
	require.NoError(c, err)
	run := done.GetWorkflowExecutionInfo().GetExecution().GetRunId()
	tasks := c.tasks(id, run)
	require.Greater(c, len(tasks), 4)
	before, invoices := c.tie(co), c.invoices(co)
	c.d.Fake.ResetRequests()
	for i, task := range []int64{tasks[0], tasks[len(tasks)/2], tasks[len(tasks)-1]} {
		again, err := c.s.Client().ResetWorkflowExecution(c.Context(), &workflowservice.ResetWorkflowExecutionRequest{
			Namespace: "default", WorkflowExecution: &commonpb.WorkflowExecution{WorkflowId: id, RunId: run},
			Reason: "an operator was curious", WorkflowTaskFinishEventId: task, RequestId: fmt.Sprintf("reset-%d", i),
		})
		require.NoError(c, err)
		require.NotEqual(c, run, again.GetRunId())
		require.Equal(c, billing.Invoiced, c.ended(co, again.GetRunId()), "reset to event %d", task)
	}
	require.Empty(c, c.d.Fake.Requests(stripefake.RequestFilter{Method: "write"}))
	require.Equal(c, invoices, c.invoices(co))
	require.Equal(c, before, c.tie(co))
	c.open(c.ui + `/namespaces/default/workflows?query=` + "`WorkflowId`%3D%22" + id + "%22")
	c.shows("4 COMPLETED", id)
	c.shot("console-reset")
}

// tasks are the events at which a run can be reset.
func (c *console) tasks(id, run string) (events []int64) {
	c.Helper()
	it := c.s.Client().GetWorkflowHistory(c.Context(), id, run, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for it.HasNext() {
		e, err := it.Next()
		require.NoError(c, err)
		if e.GetEventType() == enumspb.EVENT_TYPE_WORKFLOW_TASK_COMPLETED {
			events = append(events, e.GetEventId())
		}
	}
	return events
}

// invoices are those at the issuer that carry our key.
func (c *console) invoices(co *pipelinetest.Company) (ours []string) {
	c.Helper()
	state, err := c.d.Fake.State(co.IssuerID, "live", "invoices")
	require.NoError(c, err)
	for _, raw := range state["invoices"] {
		var inv struct {
			Metadata map[string]string `json:"metadata"`
		}
		require.NoError(c, json.Unmarshal(raw, &inv))
		if inv.Metadata["lb_key"] != "" {
			ours = append(ours, string(raw))
		}
	}
	require.Len(c, ours, 1)
	return ours
}

// pageOf clicks the link in the details of a run, back to the cycle's page. The console opens
// it in a tab of its own, behind which the console's tab takes no more input.
func (c *console) pageOf(co *pipelinetest.Company) {
	c.Helper()
	c.clickLink("/workflows/" + wire.BillWorkflowID(co.Environment, co.ID, pipelinetest.Month) + "/")
	c.clickLink("/user-metadata")
	address := c.pages + "/cycles/" + co.CycleID()
	where := `(() => { for (const f of document.querySelectorAll("iframe")) for (const a of f.contentDocument?.querySelectorAll("a") || []) if (a.href === ` + quote(address) + `) { const o = f.getBoundingClientRect(), r = a.getBoundingClientRect(); return [o.x + r.x + r.width / 2, o.y + r.y + r.height / 2] } return [] })()`
	c.until(where+".length === 2", "the link to the cycle's page")
	at, err := chromedp.Run(c.browser, chromedp.Evaluate[[]float64](where))
	require.NoError(c, err)
	require.NoError(c, chromedp.Do(c.browser, chromedp.MouseClickXY(at[0], at[1])))
	var opened target.ID
	require.Eventually(c, func() bool {
		tabs, err := chromedp.Targets(c.browser)
		for _, tab := range tabs {
			if tab.URL == address {
				opened = tab.TargetID
			}
		}
		return err == nil && opened != ""
	}, time.Minute, 100*time.Millisecond, "the link opens no page")
	tab, done := chromedp.NewContext(c.browser, chromedp.WithTargetID(opened))
	defer done()
	page := *c
	page.browser = tab
	page.shows("acme, October 2026", "invoiced", co.CycleID())
}
