package reconcile

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/money"
	"github.com/liftbill/liftbill/domain/period"
	"github.com/liftbill/liftbill/domain/recon"
)

var (
	errNobody    = fault.New(fault.Unavailable, "repair_unavailable", "nothing here can carry this repair out").Fix("Run it where the write-back worker runs")
	errUnchanged = fault.New(fault.Conflict, "break_changed", "the break has changed meanwhile").Fix("Look at it again")
)

// BreakView is a break as people see it.
type BreakView struct {
	BreakRow
	Age recon.Age
	// History is set for one break only, oldest change first.
	History []recon.Change
}

func (r *Reconciler) view(row BreakRow) BreakView {
	return BreakView{BreakRow: row, Age: recon.AgeOf(row.FirstSeen, r.Clock.Now())}
}

// Breaks lists breaks, newest first.
func (r *Reconciler) Breaks(ctx context.Context, f BreaksFilter) (Page[BreakView], error) {
	var page Page[BreakView]
	if err := f.check(r.Clock.Now()); err != nil {
		return page, err
	}
	var err error
	if f.Limit, err = limit(f.Limit); err != nil {
		return page, err
	}
	rows, err := r.Ledger.Breaks(ctx, f, r.Clock.Now())
	if err != nil {
		return page, err
	}
	page.NextCursor = rows.NextCursor
	for _, row := range rows.Items {
		page.Items = append(page.Items, r.view(row))
	}
	return page, nil
}

// check refuses a filter that can select nothing.
func (f BreaksFilter) check(at time.Time) error {
	if err := checkPeriod(f.Period); err != nil {
		return err
	}
	if f.Environment != "" {
		if _, err := account.ParseEnvironment(f.Environment); err != nil {
			return err
		}
	}
	if f.Type != "" {
		if _, ok := recon.RuleOf(recon.Type(f.Type)); !ok {
			return fault.InvalidField("type", "filter_unknown", "%q is not a type of break", f.Type).Fix("Use one of the types of the API reference, for example amount_differs")
		}
	}
	if f.State != "" && !slices.Contains(recon.States(), recon.State(f.State)) {
		return fault.InvalidField("state", "filter_unknown", "%q is not a state of a break", f.State).Fix("Use one of the states of the API reference, for example open")
	}
	if f.Severity != "" && !slices.Contains([]recon.Severity{recon.Info, recon.Warning, recon.Error, recon.Critical}, recon.Severity(f.Severity)) {
		return fault.InvalidField("severity", "filter_unknown", "%q is not a severity", f.Severity).Fix("Use info, warning, error or critical")
	}
	if f.MinMinor < 0 {
		return fault.InvalidField("min_minor", "filter_range", "an amount at stake is not negative")
	}
	if f.Currency != "" {
		if _, err := money.ParseCurrency(f.Currency); err != nil {
			return err
		}
	}
	if f.Sort != "" && f.Sort != "amount" {
		return fault.InvalidField("sort", "sort_unknown", "%q is no order of this list", f.Sort).Fix("Use amount, or leave it out")
	}
	if f.Age != "" {
		if _, _, err := recon.Age(f.Age).Bounds(at); err != nil {
			return err
		}
	}
	return nil
}

// Break loads one break with its history.
func (r *Reconciler) Break(ctx context.Context, id string) (BreakView, error) {
	row, history, err := r.Ledger.Break(ctx, id)
	if err != nil {
		return BreakView{}, err
	}
	v := r.view(row)
	v.History = history
	return v, nil
}

// actions are what the audit log calls what was done to a break.
var actions = map[recon.Action]audit.Action{
	recon.ToOwner: audit.BreakAssigned, recon.Noted: audit.BreakNoted, recon.Linked: audit.BreakNoted, recon.Resolve: audit.BreakResolved,
	recon.AskForce: audit.BreakForceAsked, recon.Force: audit.BreakForced, recon.Decline: audit.BreakForceDeclined, recon.Reopen: audit.BreakReopened,
}

func breakFacts(b recon.Break) audit.Facts {
	return audit.Facts{"state": string(b.State), "owner": b.Owner, "reason": string(b.Reason), "type": string(b.Type), "at_stake": strconv.FormatInt(b.AmountMinor, 10) + " " + b.Currency}
}

// change lets somebody work on a break, asking again what the edge has asked.
func (r *Reconciler) change(ctx context.Context, by access.Principal, perm access.Permission, id string, fn func(b *recon.Break, who recon.Actor, at time.Time) (recon.Change, error)) (BreakView, error) {
	_, err := r.Ledger.Update(ctx, id, func(row *BreakRow) (recon.Change, audit.Entry, error) {
		at, before := r.Clock.Now(), row.Break
		if err := access.RequirePermission(by, perm); err != nil {
			return recon.Change{}, audit.Entry{}, err
		}
		if !by.Scope.Covers(access.Place{Accounts: []string{row.AccountID}, Environment: row.Environment}) {
			return recon.Change{}, audit.Entry{}, access.Hidden(access.Break, id)
		}
		c, err := fn(&row.Break, actorOf(by), at)
		if err != nil {
			return c, audit.Entry{}, err
		}
		note := audit.New(by, at, actions[c.Action], "break", id).In(row.AccountID, row.Environment).Because(c.Text)
		return c, note.Changed(breakFacts(before), breakFacts(row.Break)), nil
	})
	if err != nil {
		return BreakView{}, err
	}
	return r.Break(ctx, id)
}

// Assign gives a break to somebody; an empty owner gives it back.
func (r *Reconciler) Assign(ctx context.Context, by access.Principal, id, owner string) (BreakView, error) {
	if len(owner) > 200 || strings.ContainsAny(owner, "\r\n") {
		return BreakView{}, fault.InvalidField("owner", "owner_malformed", "an owner is one line of at most 200 characters")
	}
	return r.change(ctx, by, access.ResolveBreak, id, func(b *recon.Break, who recon.Actor, at time.Time) (recon.Change, error) {
		return b.Assign(who, owner, at)
	})
}

// Note adds a remark to a break, with or without a link to a document.
func (r *Reconciler) Note(ctx context.Context, by access.Principal, id, text, link string) (BreakView, error) {
	return r.change(ctx, by, access.ResolveBreak, id, func(b *recon.Break, who recon.Actor, at time.Time) (recon.Change, error) {
		return b.Note(who, text, link, at)
	})
}

// Resolve settles a break that one person may settle.
func (r *Reconciler) Resolve(ctx context.Context, by access.Principal, id string, why recon.Reason, text string) (BreakView, error) {
	return r.change(ctx, by, access.ResolveBreak, id, func(b *recon.Break, who recon.Actor, at time.Time) (recon.Change, error) {
		return b.ResolveWith(who, why, text, at)
	})
}

// RequestForce asks a second person to settle a break that is still there.
func (r *Reconciler) RequestForce(ctx context.Context, by access.Principal, id string, why recon.Reason, text string) (BreakView, error) {
	return r.change(ctx, by, access.ResolveBreak, id, func(b *recon.Break, who recon.Actor, at time.Time) (recon.Change, error) {
		return b.RequestForce(who, why, text, at)
	})
}

// Force is the second person's answer: agreement, or refusal.
func (r *Reconciler) Force(ctx context.Context, by access.Principal, id string, agree bool, text string) (BreakView, error) {
	return r.change(ctx, by, access.ForceBreak, id, func(b *recon.Break, who recon.Actor, at time.Time) (recon.Change, error) {
		if agree {
			return b.ForceBy(who, text, at)
		}
		return b.DeclineForce(who, text, at)
	})
}

// Reopen opens a break that was settled, or is gone, again.
func (r *Reconciler) Reopen(ctx context.Context, by access.Principal, id, text string) (BreakView, error) {
	return r.change(ctx, by, access.ResolveBreak, id, func(b *recon.Break, who recon.Actor, at time.Time) (recon.Change, error) {
		return b.ReopenFor(who, text, at)
	})
}

// Summary is a period as it stands.
type Summary struct {
	AccountID, Period string
	// Complete is the newest run that saw everything, Newest the newest of all; nil where
	// there is none.
	Complete, Newest *Run
	TieOut           recon.TieOut
	// Ties: the newest complete run's sums agree but for what was explained.
	Ties bool
	// Blocking counts the pending breaks that keep the month from being closed.
	Blocking int
	Counts   []BreakCount
}

// BreakCount counts the breaks of a type in a state, with the money at stake by currency.
type BreakCount struct {
	Type        recon.Type
	State       recon.State
	Age         recon.Age
	Currency    string
	Count       int
	AmountMinor int64
}

// Summary says whether a period ties out, and what is in the way.
func (r *Reconciler) Summary(ctx context.Context, accountID, month string) (Summary, error) {
	if _, err := period.ParseMonth(month); err != nil {
		return Summary{}, err
	}
	complete, newest, sums, breaks, err := r.Ledger.Newest(ctx, accountID, month)
	if err != nil {
		return Summary{}, err
	}
	out := Summary{AccountID: accountID, Period: month, Complete: complete, Newest: newest}
	at := r.Clock.Now()
	for _, b := range breaks {
		if b.State.Pending() && b.Rule().Severity.Blocks() {
			out.Blocking++
		}
		c := BreakCount{Type: b.Type, State: b.State, Currency: b.Currency, Age: recon.AgeOf(b.FirstSeen, at)}
		i := slices.IndexFunc(out.Counts, func(o BreakCount) bool {
			return o.Type == c.Type && o.State == c.State && o.Currency == c.Currency && o.Age == c.Age
		})
		if i < 0 {
			i, out.Counts = len(out.Counts), append(out.Counts, c)
		}
		out.Counts[i].Count++
		out.Counts[i].AmountMinor += b.AmountMinor
	}
	if complete != nil {
		out.TieOut = recon.NewTieOut(sums, breaks)
		out.Ties = out.TieOut.Ties()
	}
	return out, nil
}

// SetTolerance states what may differ between us and Stripe for an account.
func (r *Reconciler) SetTolerance(ctx context.Context, by access.Principal, accountID string, t recon.Tolerance, reason string) error {
	if err := t.Check(); err != nil {
		return err
	}
	if reason = strings.TrimSpace(reason); reason == "" {
		return fault.InvalidField("reason", "text_missing", "it is empty").Fix("Name the term of the contract, or who agreed to it")
	}
	acc, err := r.Ledger.Account(ctx, accountID)
	if err != nil {
		return err
	}
	if err := access.Require(by, access.WriteContract, accountID, acc.Environment); err != nil {
		return err
	}
	before, err := r.Ledger.Tolerance(ctx, accountID)
	if err != nil {
		return err
	}
	note := audit.New(by, r.Clock.Now(), audit.ToleranceStated, "account", accountID).In(accountID, acc.Environment).Because(reason)
	return r.Ledger.SaveTolerance(ctx, accountID, t, note.Changed(toleranceFacts(before), toleranceFacts(t)))
}

func toleranceFacts(t recon.Tolerance) audit.Facts {
	return audit.Facts{"per_object_minor": strconv.FormatInt(t.LineMinor, 10), "per_period_minor": strconv.FormatInt(t.BatchMinor, 10), "cut_off": t.CutOff.String()}
}

// Tolerance is what may differ for an account; nothing when no term was stated.
func (r *Reconciler) Tolerance(ctx context.Context, accountID string) (recon.Tolerance, error) {
	return r.Ledger.Tolerance(ctx, accountID)
}

// Due lists what a nightly run looks at.
func (r *Reconciler) Due(ctx context.Context, env account.Environment, after Due, n int) ([]Due, error) {
	return r.Ledger.Due(ctx, env, after, r.Clock.Now(), n)
}
