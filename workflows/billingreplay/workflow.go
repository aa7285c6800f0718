// Package billingreplay derives a frozen month once more from its raw events and says
// whether everything came out as it is stored. It can be started from the web console's
// own form; it writes to nothing but the list of replays.
package billingreplay

import (
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/liftbill/liftbill/workflows/wire"
)

var (
	attrAccount = temporal.NewSearchAttributeKeyKeyword(wire.AttrAccount)
	attrPeriod  = temporal.NewSearchAttributeKeyKeyword(wire.AttrPeriod)
	attrMode    = temporal.NewSearchAttributeKeyKeyword(wire.AttrMode)
	attrOutcome = temporal.NewSearchAttributeKeyKeyword(wire.AttrOutcome)
)

// Workflow replays an account's period. A difference is a result and no failure.
func Workflow(ctx workflow.Context, in wire.ReplayInput) (wire.ReplayResult, error) {
	var out wire.ReplayResult
	if in.AccountID == "" || in.Period == "" {
		workflow.SetCurrentDetails(ctx, usage)
		return out, temporal.NewNonRetryableApplicationError("the input names no account or no period; it is "+example, "InvalidInput", nil)
	}
	tag(ctx, attrAccount.ValueSet(in.AccountID), attrPeriod.ValueSet(in.Period), attrOutcome.ValueSet("running"))
	workflow.SetCurrentDetails(ctx, table(in, out, "replaying"))
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue: wire.QueueCompute, StartToCloseTimeout: time.Hour, HeartbeatTimeout: time.Minute, ScheduleToCloseTimeout: 24 * time.Hour,
		Summary:     "Classify the raw events of " + in.AccountID + ", " + in.Period + " again, and compare",
		RetryPolicy: &temporal.RetryPolicy{InitialInterval: 5 * time.Second, BackoffCoefficient: 2, MaximumInterval: 5 * time.Minute},
	})
	if err := workflow.ExecuteActivity(ctx, wire.ActivityReplayMonth, in).Get(ctx, &out); err != nil {
		tag(ctx, attrOutcome.ValueSet("failed"))
		workflow.SetCurrentDetails(ctx, table(in, out, "failed; when its cause is gone, start it again with the same input"))
		return out, err
	}
	verdict := "equal"
	if !out.Equal {
		verdict = "different"
	}
	tag(ctx, attrOutcome.ValueSet(verdict), attrMode.ValueSet(out.Environment))
	workflow.SetCurrentDetails(ctx, table(in, out, verdict))
	return out, nil
}

const (
	example = `{"account":"acme","period":"2026-10"}`
	usage   = "Start it with the input `" + example + "` (encoding json/plain) on the task queue `" + wire.QueueWorkflows + "`."
)

func tag(ctx workflow.Context, attributes ...temporal.SearchAttributeUpdate) {
	if err := workflow.UpsertTypedSearchAttributes(ctx, attributes...); err != nil {
		workflow.GetLogger(ctx).Warn("search attributes were not set", "error", err)
	}
}

// maxChecks bounds the rows of the details, which hold 20 KB.
const maxChecks = 40

// table shows what was compared, the first difference on top.
func table(in wire.ReplayInput, r wire.ReplayResult, now string) string {
	var md strings.Builder
	row := func(cells ...string) {
		for i, c := range cells {
			cells[i] = strings.NewReplacer("|", "/", "\n", " ").Replace(c)
		}
		md.WriteString("| " + strings.Join(cells, " | ") + " |\n")
	}
	row("replay", in.AccountID+" "+in.Period)
	md.WriteString("|---|---|\n")
	row("now", now)
	if r.CycleID == "" {
		return md.String()
	}
	if r.Page != "" {
		row("page", "["+r.CycleID+"]("+r.Page+")")
	}
	if r.Difference != "" {
		row("first difference", r.Difference)
	}
	row("environment", r.Environment)
	row("frozen at", r.Watermark.UTC().Format("2006-01-02 15:04:05.000000 UTC"))
	row("events classified again", fmt.Sprint(r.Events))
	row("facts equal", fmt.Sprint(r.Facts))
	md.WriteString("\n| compared | ledger | replay |\n|---|---|---|\n")
	for i, c := range r.Checks {
		if i == maxChecks {
			row(fmt.Sprintf("%d more", len(r.Checks)-maxChecks), "", "")
			break
		}
		name := c.Name
		if !c.Equal {
			name = "**" + name + " differs**"
		}
		row(name, c.Stored, c.Replayed)
	}
	return md.String()
}
