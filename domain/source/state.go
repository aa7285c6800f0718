package source

import "time"

// What is read again, and how late is too late.
const (
	// Overlap is read again before the high-water mark, because events of one moment do
	// not become visible in one moment.
	Overlap = 10 * time.Minute
	// Settle is left alone: events of the last minute may still appear.
	Settle = time.Minute
	// Retention is how long Stripe keeps events.
	Retention = 30 * 24 * time.Hour
	// Reach is how far back events are asked for.
	Reach = Retention - time.Hour
	// WarnAfter is the age of the high-water mark from which events are about to be lost.
	WarnAfter = 25 * 24 * time.Hour
	// Grace is how long a webhook may take before its event counts as missed.
	Grace = 10 * time.Minute
)

// Whole is the start of a history of which nothing is left out.
var Whole = time.Unix(0, 0).UTC()

// Task is one way of looking at a source's events.
type Task string

// The tasks, each wider than the one before.
const (
	// TaskPull fetches what is new.
	TaskPull Task = "pull"
	// TaskHourly compares the last two hours.
	TaskHourly Task = "hourly_check"
	// TaskDaily compares the last three days.
	TaskDaily Task = "daily_check"
)

// reach is how far a task looks back at least.
var reach = map[Task]time.Duration{TaskPull: Overlap, TaskHourly: 2 * time.Hour, TaskDaily: 72 * time.Hour}

// every is the pause between two runs of a check.
var every = map[Task]time.Duration{TaskHourly: time.Hour, TaskDaily: 24 * time.Hour}

// Purpose is what the reads of a task are for.
func (t Task) Purpose() Purpose {
	if t == TaskPull {
		return ForPull
	}
	return ForCheck
}

// Reason says why a source was not looked at, or not to the end.
type Reason struct {
	// Code is stable; Message and Action are for people.
	Code, Message, Action string
	At                    time.Time
}

// State is where a source stands.
type State struct {
	Settings
	// ConnectedAt is when the connection was made; events before it are history.
	ConnectedAt time.Time
	// Webhook reports that the connection has an endpoint.
	Webhook bool
	// HighWater is the instant up to which Stripe's events were read without a hole.
	HighWater time.Time
	// Idle counts fetches in a row that brought nothing new.
	Idle int
	// Failures counts runs in a row that failed; RetryAt keeps the next one off.
	Failures int
	RetryAt  time.Time
	Problem  Reason
	// Next times of the three tasks; zero is at once.
	NextPull, NextHourly, NextDaily time.Time
	// Resume is where a check that was cut short goes on, ResumeTask which one it was;
	// zero when there is none. A fetch goes on at the high-water mark.
	Resume     time.Time
	ResumeTask Task
}

// NewState is the state of a connection that was just made. It begins where the
// connection does, and checks once there is something to check.
func NewState(connectedAt time.Time) State {
	return State{
		Settings: DefaultSettings(), ConnectedAt: connectedAt, HighWater: connectedAt, NextPull: connectedAt,
		NextHourly: connectedAt.Add(every[TaskHourly]), NextDaily: connectedAt.Add(every[TaskDaily]),
	}
}

// Pulls reports whether events are fetched between the checks.
func (s State) Pulls() bool { return s.Enabled && (s.Pull == PullAlways || !s.Webhook) }

// Due is the widest task that is due; it stands for the narrower ones.
func (s State) Due(now time.Time) (Task, bool) {
	if !s.Enabled || now.Before(s.RetryAt) {
		return "", false
	}
	switch {
	case !now.Before(s.NextDaily):
		return TaskDaily, true
	case !now.Before(s.NextHourly):
		return TaskHourly, true
	case s.Pulls() && !now.Before(s.NextPull):
		return TaskPull, true
	}
	return "", false
}

// NextAt is when the source is due next; zero when it never is.
func (s State) NextAt() time.Time {
	if !s.Enabled {
		return time.Time{}
	}
	next := earlier(s.NextHourly, s.NextDaily)
	if s.Pulls() {
		next = earlier(next, s.NextPull)
	}
	if next.Before(s.RetryAt) {
		return s.RetryAt
	}
	return next
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// Window is what a task has to read: [From, To) in whole seconds, as Stripe counts.
type Window struct{ From, To time.Time }

// Empty reports that there is nothing to read yet.
func (w Window) Empty() bool { return !w.From.Before(w.To) }

// Window is the task's at now. It never reaches behind the connection's beginning or
// behind what Stripe keeps.
func (s State) Window(t Task, now time.Time) Window {
	to := now.Add(-Settle).Truncate(time.Second)
	from := earlier(s.HighWater.Add(-Overlap), to.Add(-reach[t]))
	bounds := []time.Time{s.ConnectedAt.Add(-Overlap), now.Add(-Reach)}
	if s.ResumeTask == t {
		bounds = append(bounds, s.Resume)
	}
	for _, bound := range bounds {
		if from.Before(bound) {
			from = bound
		}
	}
	return Window{From: from.Truncate(time.Second), To: to}
}

// Lost is the stretch that Stripe no longer tells, because the source was not looked at for too
// long: nothing, one gap, or two where the endpoint was made in between. since is when it was
// made; zero without one.
func (s State) Lost(now, since time.Time) []Gap {
	kept := now.Add(-Reach).Truncate(time.Second)
	switch {
	case !s.HighWater.Before(kept):
		return nil
	case since.IsZero() || !since.Before(kept):
		return []Gap{{From: s.HighWater, To: kept}}
	case !since.After(s.HighWater):
		return []Gap{{From: s.HighWater, To: kept, Delivered: true}}
	}
	return []Gap{{From: s.HighWater, To: since}, {From: since, To: kept, Delivered: true}}
}

// Late reports that events are about to be lost.
func (s State) Late(now time.Time) bool { return now.Sub(s.HighWater) > WarnAfter }

// Lag is how far the source is behind; never negative.
func (s State) Lag(now time.Time) time.Duration { return max(0, now.Sub(s.HighWater)) }

// maxIdle is how many doublings an idle source's interval takes at most.
const maxIdle = 2

// tightFactor stretches the interval when the read allowance runs short.
const tightFactor = 4

// Done is the state after a task was carried out at now. fresh counts the events that
// were new; rest is where it goes on, when the window was too large for one run and the
// source stays due, and zero otherwise.
func (s State) Done(t Task, now time.Time, fresh int, rest time.Time, b Budget) State {
	s.Failures, s.RetryAt, s.Problem = 0, time.Time{}, Reason{}
	s.Resume, s.ResumeTask = time.Time{}, ""
	if !rest.IsZero() {
		if t != TaskPull {
			s.Resume, s.ResumeTask = rest, t
		}
		return s
	}
	if t == TaskDaily {
		s.NextDaily = now.Add(every[TaskDaily])
	}
	if t != TaskPull {
		s.NextHourly = now.Add(every[TaskHourly])
	}
	s.Idle++
	if fresh > 0 {
		s.Idle = 0
	}
	pause := s.Interval << min(s.Idle, maxIdle)
	if b.Tight() {
		pause *= tightFactor
	}
	s.NextPull = now.Add(pause)
	return s
}

// Bounds of the pause after a failure.
const (
	firstRetry = time.Minute
	lastRetry  = time.Hour
)

// Failed is the state after a run that failed at now. after is what Stripe asked for,
// 0 when it named nothing.
func (s State) Failed(now time.Time, why Reason, after time.Duration) State {
	why.At = now
	s.Problem = why
	s.RetryAt = now.Add(max(after, Backoff(s.Failures)))
	s.Failures++
	return s
}

// Backoff is the pause after so many failures in a row: a minute, doubling to an hour.
func Backoff(failures int) time.Duration {
	return min(firstRetry<<min(failures, 10), lastRetry)
}
