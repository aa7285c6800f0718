package webui

import (
	"net/url"
	"strings"

	"github.com/liftbill/liftbill/domain/billing"
)

// consoleLink is a saved question to the visibility of Temporal's web console.
type consoleLink struct{ Text, URL string }

// consoleLinks are the questions that operators ask of a period, every one when it is
// empty; none without a console. docs/temporal.md lists the same.
func (s *Server) consoleLinks(period string) []consoleLink {
	if s.options.TemporalUI == "" {
		return nil
	}
	of := ""
	if period != "" && period != everyPeriod {
		of = ` AND BillingPeriod = "` + period + `"`
	}
	bills := func(state billing.CycleState) string {
		return `WorkflowType = "AccountBill" AND BillingOutcome = "` + string(state) + `"` + of
	}
	const running = ` AND ExecutionStatus = "Running"`
	var out []consoleLink
	for _, q := range []struct{ text, query string }{
		{"waiting for approval", bills(billing.AwaitingApproval) + running},
		{"held", bills(billing.Held) + running},
		{"failed", `WorkflowType = "AccountBill" AND BillingOutcome = "failed"` + of},
		{"withheld", bills(billing.Withheld)},
		{"blocked, or for a person", `WorkflowType = "AccountBill" AND BillingOutcome IN ("blocked", "needs_human")` + of},
		{"replays that differ", `WorkflowType = "BillingReplay" AND BillingOutcome = "different"` + of},
	} {
		out = append(out, consoleLink{q.text, s.asked(q.query)})
	}
	return out
}

// runURL is one run in Temporal's web console; empty without a console or a run.
func (s *Server) runURL(workflowID, runID string) string {
	if s.options.TemporalUI == "" || workflowID == "" || runID == "" {
		return ""
	}
	return s.options.TemporalUI + "/namespaces/" + url.PathEscape(s.options.TemporalNamespace) + "/workflows/" + url.PathEscape(workflowID) + "/" + url.PathEscape(runID) + "/history"
}

// asked is the list of the console that answers a question.
func (s *Server) asked(question string) string {
	return s.options.TemporalUI + "/namespaces/" + url.PathEscape(s.options.TemporalNamespace) + "/workflows?query=" +
		strings.ReplaceAll(url.QueryEscape(question), "+", "%20")
}
