// Package scheduler is the client side of Temporal: Schedules, starting cycles,
// looking at runs. It makes one Schedule per calendar and environment and leaves
// an operator's pause and changes alone.
package scheduler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	tlog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"

	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/workflows/wire"
)

// Scheduler talks to one namespace.
type Scheduler struct{ client client.Client }

// Connect dials the server and checks that it answers.
func Connect(ctx context.Context, opts client.Options, logger *slog.Logger) (*Scheduler, error) {
	opts.Logger = tlog.NewStructuredLogger(logger)
	c, err := client.DialContext(ctx, opts)
	if err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "temporal_unreachable", "Temporal at %s does not answer", opts.HostPort).
			Fix("Start it, or correct TEMPORAL_ADDRESS")
	}
	return &Scheduler{client: c}, nil
}

// Client is the connection, for the workers of this process.
func (s *Scheduler) Client() client.Client { return s.client }

// Close ends the connection.
func (s *Scheduler) Close() { s.client.Close() }

// The Schedule fires at 06:00 local, away from the hours that daylight saving
// skips or doubles, once the close lag is over.
const (
	fireHour      = 6
	catchupWindow = 365 * 24 * time.Hour
)

// spec is the calendar's Schedule: the day after the close lag, 06:00 in its zone.
func spec(cal billing.Calendar) client.ScheduleSpec {
	return client.ScheduleSpec{
		Calendars: []client.ScheduleCalendarSpec{{
			DayOfMonth: []client.ScheduleRange{{Start: fireDay(cal)}}, Hour: []client.ScheduleRange{{Start: fireHour}},
			Comment: "after the close lag, at 06:00 local time",
		}},
		TimeZoneName: cal.TimeZone,
	}
}

// fireDay is the day of the month on which the lag is over; lags beyond a month
// fire on day 28, and the ledger says what is settled by then.
func fireDay(cal billing.Calendar) int { return min(cal.CloseLagDays+1, 28) }

// FireTime is the nominal time at which the calendar's Schedule first fires after
// a period that ends at end.
func FireTime(cal billing.Calendar, end time.Time, zone *time.Location) time.Time {
	local := end.In(zone)
	for m := 0; ; m++ {
		t := time.Date(local.Year(), local.Month()+time.Month(m), fireDay(cal), fireHour, 0, 0, 0, zone)
		if !t.Before(end.AddDate(0, 0, cal.CloseLagDays)) {
			return t.UTC()
		}
	}
}

// Ensure makes the Schedule of a calendar or brings its times up to date; it never
// touches an operator's pause. The result says whether it wrote anything.
func (s *Scheduler) Ensure(ctx context.Context, env account.Environment, cal billing.Calendar) (bool, error) {
	id := wire.ScheduleID(env, wire.CalendarID(cal))
	action := &client.ScheduleWorkflowAction{
		ID: wire.TickWorkflowID(env, wire.CalendarID(cal)), Workflow: wire.WorkflowBillingTick, TaskQueue: wire.QueueWorkflows,
		Args: []any{wire.TickInput{Environment: env, Calendar: cal}},
		TypedSearchAttributes: temporal.NewSearchAttributes(
			temporal.NewSearchAttributeKeyKeyword(wire.AttrMode).ValueSet(env.String()),
			temporal.NewSearchAttributeKeyKeyword(wire.AttrCalendar).ValueSet(wire.CalendarID(cal))),
		StaticSummary: fmt.Sprintf("Which months of %s (%s) are due", wire.CalendarID(cal), env),
	}
	want := spec(cal)
	return s.ensure(ctx, client.ScheduleOptions{
		ID: id, Spec: want, Action: action, Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_BUFFER_ALL, CatchupWindow: catchupWindow,
		Note: "liftbill: monthly billing of calendar " + wire.CalendarID(cal),
	}, func(have *client.ScheduleSpec) bool { return sameSpec(have, want) })
}

// ensure creates a Schedule, or gives the one that is there the wanted times unless it has
// them; nothing else of it is touched. The result says whether it wrote anything.
func (s *Scheduler) ensure(ctx context.Context, o client.ScheduleOptions, same func(have *client.ScheduleSpec) bool) (bool, error) {
	_, err := s.client.ScheduleClient().Create(ctx, o)
	switch {
	case err == nil:
		return true, nil
	case !errors.Is(err, temporal.ErrScheduleAlreadyRunning):
		return false, unavailable(err)
	}
	wrote := false
	err = s.client.ScheduleClient().GetHandle(ctx, o.ID).Update(ctx, client.ScheduleUpdateOptions{
		DoUpdate: func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
			if same(in.Description.Schedule.Spec) {
				return nil, temporal.ErrSkipScheduleUpdate
			}
			wrote = true
			sched := in.Description.Schedule
			sched.Spec = &o.Spec
			return &client.ScheduleUpdate{Schedule: &sched}, nil
		},
	})
	return wrote, unavailable(err)
}

// trigger runs a Schedule's action now, after one that runs.
func (s *Scheduler) trigger(ctx context.Context, id string) error {
	return unavailable(s.client.ScheduleClient().GetHandle(ctx, id).Trigger(ctx, client.ScheduleTriggerOptions{Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_BUFFER_ONE}))
}

// run is a workflow that is started by its ID.
type run struct {
	id, summary, workflow string
	in                    any
	attributes            []temporal.SearchAttributeUpdate
}

// start starts a run. One of that ID that is open is reported as already there. A closed
// one does not keep the work from being looked at again: what is finished in the ledger
// is found finished.
func (s *Scheduler) start(ctx context.Context, r run) (wire.StartCycleResult, error) {
	_, err := s.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: r.id, TaskQueue: wire.QueueWorkflows, WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL, WorkflowExecutionErrorWhenAlreadyStarted: true,
		StaticSummary: r.summary, TypedSearchAttributes: temporal.NewSearchAttributes(r.attributes...),
	}, r.workflow, r.in)
	var already *serviceerror.WorkflowExecutionAlreadyStarted
	if errors.As(err, &already) {
		return wire.StartCycleResult{WorkflowID: r.id, Already: true}, nil
	}
	return wire.StartCycleResult{WorkflowID: r.id}, unavailable(err)
}

// keyword is a search attribute of a run.
func keyword(name, value string) temporal.SearchAttributeUpdate {
	return temporal.NewSearchAttributeKeyKeyword(name).ValueSet(value)
}

func sameSpec(have *client.ScheduleSpec, want client.ScheduleSpec) bool {
	if have == nil || have.TimeZoneName != want.TimeZoneName || len(have.Calendars) != 1 {
		return false
	}
	h, w := have.Calendars[0], want.Calendars[0]
	first := func(r []client.ScheduleRange) int {
		if len(r) != 1 {
			return -1
		}
		return r[0].Start
	}
	return first(h.DayOfMonth) == first(w.DayOfMonth) && first(h.Hour) == first(w.Hour) && reflect.DeepEqual(h.Comment, w.Comment)
}

// Backfill runs the Schedule's actions whose nominal time lies in (from, to].
func (s *Scheduler) Backfill(ctx context.Context, env account.Environment, cal billing.Calendar, from, to time.Time) error {
	err := s.client.ScheduleClient().GetHandle(ctx, wire.ScheduleID(env, wire.CalendarID(cal))).Backfill(ctx, client.ScheduleBackfillOptions{
		Backfill: []client.ScheduleBackfill{{Start: from, End: to, Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_BUFFER_ALL}},
	})
	return unavailable(err)
}

// StartCycle starts the run of a period.
func (s *Scheduler) StartCycle(ctx context.Context, in wire.CycleInput) (wire.StartCycleResult, error) {
	cal := wire.CalendarID(in.Calendar)
	return s.start(ctx, run{
		id: wire.CycleWorkflowID(in.Environment, cal, in.Period), summary: fmt.Sprintf("Bill %s, calendar %s (%s)", in.Period, cal, in.Environment),
		workflow: wire.WorkflowBillingCycle, in: in,
		attributes: []temporal.SearchAttributeUpdate{keyword(wire.AttrMode, in.Environment.String()), keyword(wire.AttrPeriod, in.Period), keyword(wire.AttrCalendar, cal)},
	})
}

// StartBill starts one account's bill by hand; one that is open is reported.
func (s *Scheduler) StartBill(ctx context.Context, in wire.BillInput) (wire.StartCycleResult, error) {
	summary := fmt.Sprintf("%s %s (%s), started by hand", in.AccountID, in.Period, in.Environment)
	if in.Revision > 1 {
		summary += fmt.Sprintf(", revision %d", in.Revision)
	}
	return s.start(ctx, run{
		id: wire.BillWorkflowID(in.Environment, in.AccountID, in.Period), summary: summary,
		workflow: wire.WorkflowAccountBill, in: in,
		attributes: []temporal.SearchAttributeUpdate{
			keyword(wire.AttrAccount, in.AccountID), keyword(wire.AttrPeriod, in.Period), keyword(wire.AttrMode, in.Environment.String()), keyword(wire.AttrOutcome, "running"),
		},
	})
}

// WaitCycle waits until the period's run has closed and returns its result.
func (s *Scheduler) WaitCycle(ctx context.Context, workflowID string) (wire.CycleResult, error) {
	var out wire.CycleResult
	err := s.client.GetWorkflow(ctx, workflowID, "").Get(ctx, &out)
	return out, err
}

func unavailable(err error) error {
	if err == nil {
		return nil
	}
	return fault.Wrap(err, fault.Unavailable, "temporal_unavailable", "Temporal refused or did not answer")
}

// TerminateRunning ends every open run. A demo calls it before its worker starts,
// because runs of an earlier demo belong to a database that is gone.
func (s *Scheduler) TerminateRunning(ctx context.Context, reason string) (int, error) {
	n := 0
	var token []byte
	for {
		res, err := s.client.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{Query: "ExecutionStatus = 'Running'", NextPageToken: token})
		if err != nil {
			return n, unavailable(err)
		}
		for _, e := range res.GetExecutions() {
			id := e.GetExecution().GetWorkflowId()
			if strings.HasPrefix(id, "temporal-sys") {
				continue
			}
			err := s.client.TerminateWorkflow(ctx, id, e.GetExecution().GetRunId(), reason)
			var gone *serviceerror.NotFound
			if err != nil && !errors.As(err, &gone) {
				return n, unavailable(err)
			}
			n++
		}
		if token = res.GetNextPageToken(); len(token) == 0 {
			return n, nil
		}
	}
}
