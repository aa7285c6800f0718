package billing

import (
	"slices"
	"strings"
	"time"

	"github.com/liftbill/liftbill/domain/fault"
)

// ApprovalMode is who releases a contract's invoices.
type ApprovalMode string

// The modes.
const (
	// ApprovalAutomatic: the contract releases them. It is what holds without the term.
	ApprovalAutomatic ApprovalMode = "automatic"
	// ApprovalRequired: a person does, who had no hand in them.
	ApprovalRequired ApprovalMode = "required"
)

// ApprovalTimeout is what happens to an invoice that nobody decided about in time.
type ApprovalTimeout string

// The choices.
const (
	TimeoutExpire  ApprovalTimeout = "expire"
	TimeoutApprove ApprovalTimeout = "approve"
)

// Approval says how an invoice is released. Nil means automatically.
type Approval struct {
	Mode ApprovalMode `json:"mode"`
	// AutoBelowMinor releases smaller totals without a person; 0 means none.
	AutoBelowMinor int64 `json:"auto_below_minor,omitempty"`
	// WaitDays is how long people have, RemindDays how often they are reminded.
	WaitDays   int `json:"wait_days,omitempty"`
	RemindDays int `json:"remind_days,omitempty"`
	// OnTimeout is what happens when nobody decided.
	OnTimeout ApprovalTimeout `json:"on_timeout,omitempty"`
}

const (
	defaultWaitDays   = 5
	defaultRemindDays = 1
	maxWaitDays       = 60
	// MaxHold is how long an invoice may be held before it expires.
	MaxHold = maxWaitDays * 24 * time.Hour
)

func (t *Terms) checkApproval() error {
	if t.Approval == nil {
		return nil
	}
	a := *t.Approval
	if a.Mode == "" {
		a.Mode = ApprovalAutomatic
		if a != (Approval{Mode: ApprovalAutomatic}) {
			a.Mode = ApprovalRequired
		}
	}
	if err := oneOf("approval.mode", a.Mode, ApprovalAutomatic, ApprovalRequired); err != nil {
		return err
	}
	if a.Mode == ApprovalAutomatic {
		if a != (Approval{Mode: ApprovalAutomatic}) {
			return fault.InvalidField("approval.mode", "approval_automatic", "what is released automatically waits for nobody").Fix("Use required, or leave the other terms of the approval out")
		}
		t.Approval = nil
		return nil
	}
	if err := t.amount("approval.auto_below_minor", a.AutoBelowMinor); err != nil {
		return err
	}
	if a.WaitDays == 0 {
		a.WaitDays = defaultWaitDays
	}
	if a.RemindDays == 0 {
		a.RemindDays = defaultRemindDays
	}
	if a.WaitDays < 1 || a.WaitDays > maxWaitDays {
		return fault.InvalidField("approval.wait_days", "days_range", "%d days to approve", a.WaitDays).Fix("Write 1 to %d", maxWaitDays)
	}
	if a.RemindDays < 1 || a.RemindDays > maxWaitDays {
		return fault.InvalidField("approval.remind_days", "days_range", "a reminder every %d days", a.RemindDays).Fix("Write 1 to %d", maxWaitDays)
	}
	if a.OnTimeout == "" {
		a.OnTimeout = TimeoutExpire
	}
	if err := oneOf("approval.on_timeout", a.OnTimeout, TimeoutExpire, TimeoutApprove); err != nil {
		return err
	}
	t.Approval = &a
	return nil
}

func (t Terms) approvalWords(add func(string, ...any), amount func(int64) string) {
	a := t.Approval
	if a == nil {
		return
	}
	add("An invoice is released by a person within %d days, otherwise: %s", a.WaitDays, a.OnTimeout)
	if a.AutoBelowMinor > 0 {
		add("An invoice below %s is released automatically", amount(a.AutoBelowMinor))
	}
}

// Policy is the rule of the terms that releases a total without a person, as the
// actor of its decision is named; ok is false when a person is needed.
func (a *Approval) Policy(totalMinor int64) (policy string, ok bool) {
	switch {
	case a == nil:
		return "policy:contract", true
	case totalMinor < a.AutoBelowMinor:
		return "policy:below_limit", true
	}
	return "", false
}

// PolicyTimeout is the actor of what happens when nobody decided in time.
const PolicyTimeout = "policy:timeout"

// DecisionAction is what is decided about a cycle before anything is written.
type DecisionAction string

// The actions.
const (
	ActApprove DecisionAction = "approve"
	ActHold    DecisionAction = "hold"
	ActRelease DecisionAction = "release"
	ActReturn  DecisionAction = "return"
	ActSkip    DecisionAction = "skip"
	// ActRecompute computes the period again, as another revision of the cycle.
	ActRecompute DecisionAction = "recompute"
	// ActVoidDraft takes back an invoice that was begun and is not finalized.
	ActVoidDraft DecisionAction = "void_draft"
	// ActExpire is decided by the terms alone.
	ActExpire DecisionAction = "expire"
)

// decisions says from which states an action leads where.
var decisions = map[DecisionAction]struct {
	to   CycleState
	from []CycleState
}{
	ActApprove: {Approved, []CycleState{AwaitingApproval}},
	ActHold:    {Held, []CycleState{AwaitingApproval, Approved}},
	ActRelease: {AwaitingApproval, []CycleState{Held, Returned, Expired}},
	ActReturn:  {Returned, []CycleState{AwaitingApproval, Approved, Held}},
	ActSkip:    {Skipped, []CycleState{Blocked, NeedsHuman, AwaitingApproval, Held, Returned, Expired}},
	ActExpire:  {Expired, []CycleState{AwaitingApproval, Held}},

	ActRecompute: {Collecting, []CycleState{Writing, Blocked, NeedsHuman, AwaitingApproval, Approved, Held, Returned, Expired}},
	ActVoidDraft: {Returned, []CycleState{Writing, Blocked, NeedsHuman}},
}

// NeedsReason reports whether somebody who takes the decision has to say why.
func (a DecisionAction) NeedsReason() bool { return a != ActApprove && a != ActRelease }

// Revises reports whether the decision takes the cycle away from what its run is doing.
func (a DecisionAction) Revises() bool { return a == ActRecompute || a == ActVoidDraft }

// PeoplesActions are the actions that a person can ask for.
func PeoplesActions() []DecisionAction {
	return []DecisionAction{ActApprove, ActHold, ActRelease, ActReturn, ActSkip, ActRecompute, ActVoidDraft}
}

// ParseDecisionAction reads an action that a person can ask for.
func ParseDecisionAction(text string) (DecisionAction, error) {
	a := DecisionAction(text)
	return a, oneOf("action", a, PeoplesActions()...)
}

// From is the state to which the action takes a cycle that is in the given one.
func (a DecisionAction) From(s CycleState) (CycleState, error) {
	d := decisions[a]
	if slices.Contains(d.from, s) {
		return d.to, nil
	}
	var from []string
	for _, f := range d.from {
		from = append(from, string(f))
	}
	return "", fault.New(fault.Conflict, "cycle_state", "a cycle that is %s cannot be decided upon with %s", s, a).
		Fix("It must be %s", strings.Join(from, " or "))
}

// Actions are what a person can decide about a cycle in the state.
func (s CycleState) Actions() []DecisionAction {
	var out []DecisionAction
	for _, a := range PeoplesActions() {
		if slices.Contains(decisions[a].from, s) {
			out = append(out, a)
		}
	}
	return out
}

// Deadline is until when a cycle that enters the state waits, the zero time for one
// that waits for ever or not at all.
func (a *Approval) Deadline(s CycleState, at time.Time) time.Time {
	switch {
	case s == Held:
		return at.Add(MaxHold)
	case s == AwaitingApproval && a != nil && a.WaitDays > 0:
		return at.AddDate(0, 0, a.WaitDays)
	case s == AwaitingApproval: // the terms ask nobody, and the account's first invoice needs somebody
		return at.AddDate(0, 0, defaultWaitDays)
	}
	return time.Time{}
}

// AtDeadline is what the terms decide about a cycle whose deadline has passed.
func (a *Approval) AtDeadline(s CycleState) DecisionAction {
	if a != nil && s == AwaitingApproval && a.OnTimeout == TimeoutApprove {
		return ActApprove
	}
	return ActExpire
}
