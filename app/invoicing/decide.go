package invoicing

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/liftbill/liftbill/app/audit"
	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/uow"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	domain "github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/period"
)

// Wish is what somebody decides about a cycle whose invoice is not begun.
type Wish struct {
	CycleID string
	Action  billing.DecisionAction
	// PlanHash is the digest of the invoice that was seen. An approval needs it.
	PlanHash string
	Reason   string
}

// CycleDecision is a decision as it is kept, for ever.
type CycleDecision struct {
	ID         string
	CycleID    string
	Number     int
	PlanHash   string
	TotalMinor int64
	Action     billing.DecisionAction
	Actor      access.Actor
	Reason     string
	At         time.Time
}

// DecisionID is the natural key of a cycle's nth decision, counted from 1.
func DecisionID(cycleID string, n int) string { return cycleID + "/" + strconv.Itoa(n) }

// Standing is where a cycle stands between its proposal and its write-back.
type Standing struct {
	CycleID     string
	AccountID   string
	Environment account.Environment
	Period      string
	State       billing.CycleState
	Reason      string
	Contracts   []string // the versions of the account's contract
	Approval    *billing.Approval
	// RequiresPerson: the terms may let it expire, and not approve it.
	RequiresPerson bool
	// PlanHash is the digest of the proposed invoice, empty before there is one.
	PlanHash   string
	TotalMinor int64
	Currency   string
	Since      time.Time
	Until      time.Time
	Reminders  int
	Decisions  int
	// DecisionID is the last decision, LastReason what it said.
	DecisionID string
	// Begun: something of the invoice is, or may be, at Stripe. Voided: all of it is void,
	// which no invoice at Stripe ever ceases to be.
	Begun, Voided bool
	Revisable
	// Wait is how long the run sleeps before it looks again.
	Wait time.Duration
	// Delivered: the cycle's run knows of the decision. Otherwise its next one does.
	Delivered bool
}

// NextAction is what a person can do now.
func (s Standing) NextAction() string { return billing.NextActionOf(s.Facts()) }

// Desk is the ledger's side of decisions within a unit of work.
type Desk interface {
	// Standing locks the cycle until the unit of work ends.
	Standing(ctx context.Context, cycleID string) (Standing, error)
	// Decide stores the decision and moves the cycle. The intent of one that is skipped, whose
	// draft is voided or that is computed again is put out of force; the latter also begins
	// the cycle's next revision, and what the present one came to is kept.
	Decide(ctx context.Context, d CycleDecision, to billing.CycleState, reason string, until time.Time) error
	// Remind counts a reminder.
	Remind(ctx context.Context, cycleID string, n int) error
	// Environment is that of an account; NotFound when there is none.
	Environment(ctx context.Context, accountID string) (account.Environment, error)
	// Decision finds a stored decision; NotFound when there is none.
	Decision(ctx context.Context, cycleID, id string) (CycleDecision, error)
}

// DeskStores are what a decision needs in one transaction.
type DeskStores struct {
	Desk  Desk
	Audit audit.Log
}

// Runs tells a cycle's run what was decided.
type Runs interface {
	// Decided wakes the run, or starts one when none is open and again asks for it.
	Decided(ctx context.Context, s Standing, again bool) error
	// Look is what Temporal says of the newest run of a bill.
	Look(ctx context.Context, env account.Environment, accountID, period string) (billing.RunState, error)
	// Start starts the run of a bill, or finds the open one.
	Start(ctx context.Context, env account.Environment, accountID, period string) (Started, error)
}

// Started is a run that was asked for.
type Started struct {
	CycleID    string
	WorkflowID string
	// Already: it was running before.
	Already bool
}

// Decisions takes people's decisions and those of the terms.
type Decisions struct {
	Work  uow.UnitOfWork[DeskStores]
	Clock clock.Clock
	// Runs may be nil: then the next run of the cycle finds the decision.
	Runs Runs
	// Changes may be nil: then nothing is computed again.
	Changes Changes
}

// permitted refuses who may not take the decision.
func permitted(by access.Principal, a billing.DecisionAction, accountID string, env account.Environment) error {
	switch {
	case a == billing.ActApprove:
		return access.Require(by, access.ApproveCycle, accountID, env)
	case a.Revises():
		return access.Require(by, access.RunCycle, accountID, env)
	}
	return access.Require(by, access.DecideCycle, accountID, env)
}

// Decide stores a decision and moves the cycle, in one transaction with its audit row, and
// then tells the cycle's run. A run that cannot be told finds it later.
func (s *Decisions) Decide(ctx context.Context, by access.Principal, w Wish) (Standing, error) {
	w.Reason = strings.TrimSpace(w.Reason)
	if _, err := billing.ParseDecisionAction(string(w.Action)); err != nil {
		return Standing{}, err
	}
	if len(w.Reason) > maxReason || (w.Reason == "" && w.Action.NeedsReason()) {
		return Standing{}, fault.InvalidField("reason", "reason_missing", "say why, in 1 to %d characters", maxReason).Fix("It is kept for ever")
	}
	seen, err := s.lookFirst(ctx, by, w)
	if err != nil {
		return Standing{}, err
	}
	var out Standing
	err = s.Work.Do(ctx, func(ctx context.Context, st DeskStores) error {
		var err error
		if out, err = st.Desk.Standing(ctx, w.CycleID); err != nil {
			return err
		}
		if err := permitted(by, w.Action, out.AccountID, out.Environment); err != nil {
			return err
		}
		if err := s.mayDecide(ctx, st, by, w, out); err != nil {
			return err
		}
		if seen != 0 && out.Revision != seen {
			return fault.New(fault.Conflict, "revised", "somebody else had cycle %s computed again meanwhile", w.CycleID).Fix("Look at it again")
		}
		return s.store(ctx, st, &out, w.Action, by, w.Reason)
	})
	if err != nil {
		return Standing{}, err
	}
	if s.Runs != nil {
		again := out.State == billing.Approved || w.Action == billing.ActRelease || w.Action.Revises()
		out.Revised = w.Action.Revises()
		out.Delivered = s.Runs.Decided(ctx, out, again) == nil
	}
	return out, nil
}

// mayDecide checks what the state, the digest and the four-eyes rule say.
func (s *Decisions) mayDecide(ctx context.Context, st DeskStores, by access.Principal, w Wish, now Standing) error {
	if _, err := w.Action.From(now.State); err != nil {
		return err
	}
	switch {
	case w.Action == billing.ActApprove && w.PlanHash == "":
		return fault.InvalidField("plan_hash", "plan_hash_missing", "an approval names the digest of the invoice that was seen").Fix("Read the cycle and send its invoice_hash")
	case w.PlanHash != "" && w.PlanHash != now.PlanHash:
		return fault.New(fault.Conflict, "plan_changed", "the invoice of cycle %s is not the one that was seen", w.CycleID).On("plan_hash").Fix("Look at it again: its digest is %s", now.PlanHash)
	case w.Action == billing.ActSkip && now.Leftover && !now.Intent && now.State != billing.Blocked:
		return leftover(now)
	case w.Action.Revises():
		return mayRevise(w.Action, now, s.Clock.Now())
	case w.Action == billing.ActSkip && now.Begun && !now.Voided:
		return fault.New(fault.Conflict, "writing_begun", "the invoice of cycle %s may exist at Stripe", w.CycleID).Fix("Meet the named precondition and let it be finished, or void it at Stripe afterwards")
	case w.Action != billing.ActApprove:
		return nil
	}
	made, err := st.Audit.Actors(ctx, "cycle", w.CycleID, domain.CycleStarted, domain.CycleResumed, domain.CycleRecomputed)
	if err != nil {
		return err
	}
	for _, id := range now.Contracts {
		more, err := st.Audit.Actors(ctx, "contract", id, domain.ContractCreated, domain.ContractAmended)
		if err != nil {
			return err
		}
		made = append(made, more...)
	}
	return access.FourEyes(by, made)
}

// store keeps a decision that may be taken, and moves the cycle.
func (s *Decisions) store(ctx context.Context, st DeskStores, now *Standing, a billing.DecisionAction, by access.Principal, reason string) error {
	to, err := a.From(now.State)
	if err != nil {
		return err
	}
	d := CycleDecision{
		ID: DecisionID(now.CycleID, now.Decisions+1), CycleID: now.CycleID, Number: now.Decisions + 1, PlanHash: now.PlanHash, TotalMinor: now.TotalMinor,
		Action: a, Actor: by.Actor(), Reason: reason, At: s.Clock.Now().UTC(),
	}
	before := domain.Facts{"state": string(now.State), "reason": now.Reason}
	now.Until, now.Since, now.Reminders = now.Approval.Deadline(to, d.At), d.At, 0
	was := now.Revision
	action := domain.CycleDecided
	switch a {
	case billing.ActRecompute:
		action, reason, now.Revision = domain.CycleRecomputed, "", now.Revision+1
	case billing.ActVoidDraft:
		reason = ReasonDraftVoided + ": " + reason
	default: // the decision's own reason is the cycle's
	}
	now.State, now.Reason, now.Decisions, now.DecisionID = to, reason, d.Number, d.ID
	if err := st.Desk.Decide(ctx, d, to, reason, now.Until); err != nil {
		return err
	}
	note := domain.New(by, d.At, action, "cycle", now.CycleID).In(now.AccountID, now.Environment).Because(d.Reason)
	after := domain.Facts{"state": string(to), "decision": d.ID, "action": string(a), "plan_hash": d.PlanHash}
	if now.Revision != was {
		before["revision"], after["revision"] = strconv.Itoa(was), strconv.Itoa(now.Revision)
	}
	return st.Audit.Append(ctx, note.Changed(before, after))
}

// Review looks at a cycle that waits for a decision: it lets the terms decide when the
// time is over, and counts a reminder when one is due. Wait is how long nothing happens
// by itself.
func (s *Decisions) Review(ctx context.Context, cycleID string) (Standing, error) {
	var out Standing
	err := s.Work.Do(ctx, func(ctx context.Context, st DeskStores) error {
		var err error
		if out, err = st.Desk.Standing(ctx, cycleID); err != nil || !out.State.Undecided() {
			return err
		}
		now := s.Clock.Now()
		if !out.Until.IsZero() && !now.Before(out.Until) {
			policy := access.Principal{Kind: access.System, ID: billing.PolicyTimeout, Name: billing.PolicyTimeout}
			action := out.Approval.AtDeadline(out.State)
			if out.RequiresPerson {
				action = billing.ActExpire
			}
			return s.store(ctx, st, &out, action, policy, "nobody decided in time")
		}
		every := 24 * time.Hour
		if out.Approval != nil {
			every = time.Duration(out.Approval.RemindDays) * 24 * time.Hour
		}
		if due := int(now.Sub(out.Since) / every); due > out.Reminders {
			out.Reminders = due
			if err := st.Desk.Remind(ctx, cycleID, due); err != nil {
				return err
			}
		}
		if out.Wait = out.Since.Add(time.Duration(out.Reminders+1) * every).Sub(now); !out.Until.IsZero() {
			out.Wait = min(out.Wait, out.Until.Sub(now))
		}
		return nil
	})
	return out, err
}

// Apply tells a run where the cycle stands after a decision. One that the ledger does not
// have was never taken, whoever says so.
func (s *Decisions) Apply(ctx context.Context, cycleID, decisionID string) (Standing, error) {
	var out Standing
	err := s.Work.Do(ctx, func(ctx context.Context, st DeskStores) error {
		if _, err := st.Desk.Decision(ctx, cycleID, decisionID); err != nil {
			return err
		}
		var err error
		out, err = st.Desk.Standing(ctx, cycleID)
		return err
	})
	return out, err
}

// Start starts an account's cycle of a period. Whoever does has a hand in it, and does not
// approve its invoice.
func (s *Decisions) Start(ctx context.Context, by access.Principal, accountID, month string) (Started, error) {
	m, err := period.Parse(month)
	if err != nil {
		return Started{}, err
	}
	if err := access.RequirePermission(by, access.RunCycle); err != nil {
		return Started{}, err
	}
	if s.Runs == nil {
		return Started{}, fault.New(fault.Unavailable, "temporal_missing", "this process starts no cycles").Fix("Use liftbill cycle run")
	}
	id := billing.CycleID(accountID, m)
	var env account.Environment
	err = s.Work.Do(ctx, func(ctx context.Context, st DeskStores) error {
		if env, err = st.Desk.Environment(ctx, accountID); err != nil {
			return err
		}
		if err := access.Require(by, access.RunCycle, accountID, env); err != nil {
			return err
		}
		return st.Audit.Append(ctx, domain.New(by, s.Clock.Now(), domain.CycleStarted, "cycle", id).In(accountID, env))
	})
	if err != nil {
		return Started{}, err
	}
	out, err := s.Runs.Start(ctx, env, accountID, m.String())
	out.CycleID = id
	return out, err
}
