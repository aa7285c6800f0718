package sourcesync

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/reward"
	"github.com/liftbill/liftbill/domain/source"
)

// stepPages bounds one step of a backfill.
const stepPages = 100

// waits of a backfill that cannot go on.
const (
	budgetWait = 6 * time.Hour
	pausedWait = time.Hour
)

// How far back of a start lists are read. Stripe filters by creation: an invoice may be
// paid long after that, a dispute decided.
const (
	invoiceReach = 400 * 24 * time.Hour
	disputeReach = 400 * 24 * time.Hour
	chargeReach  = 400 * 24 * time.Hour
)

// stripeBegan is before the first object of any account.
var stripeBegan = time.Date(2010, 1, 1, 0, 0, 0, 0, time.UTC)

// Progress is where a backfill stands after a step.
type Progress struct {
	Backfill
	// Wait asks for a pause before the next step; Reason says why.
	Wait time.Duration
	// What this step did.
	Pages, Objects, Facts int
	Window                source.Window
}

// RequestBackfill asks for the history of a connection. A zero start is all of it;
// otherwise facts before start become state that is never rewarded. A start may move
// back and never forth, because that would take rewards away. A backfill that runs, or
// has stopped, goes on. created is false then.
func (s *Service) RequestBackfill(ctx context.Context, by access.Principal, connectionID string, start time.Time) (b Backfill, created bool, err error) {
	c, err := s.Ledger.Connection(ctx, connectionID)
	if err != nil {
		return b, false, err
	}
	if err := mayDo(by, access.RunSync, c); err != nil {
		return b, false, err
	}
	now := s.Clock.Now()
	if start.After(now) {
		return b, false, fault.InvalidField("start", "start_in_the_future", "the start of the history lies in the future").Fix("Give a date in the past, or none for the whole history")
	}
	if start.IsZero() || start.Before(source.Whole) {
		start = source.Whole
	}
	counted := c.SyncStart
	if counted.IsZero() {
		counted = c.ConnectedAt
	}
	if start.After(counted) {
		return b, false, fault.InvalidField("start", "start_later", "rewards are counted from %s on already; a later start would take them away", counted.UTC().Format(time.RFC3339)).
			Fix("Give that moment or an earlier one")
	}
	note := audit.New(by, now, audit.BackfillRequested, "connection", c.ID).In("", c.Environment).Changed(nil, audit.Facts{"start": start.UTC().Format(time.RFC3339)})
	return s.Ledger.OpenBackfill(ctx, Backfill{ConnectionID: c.ID, Kind: Requested, State: BackfillRunning, Start: start.UTC(), Until: now.Truncate(time.Second), Resource: Events}, now, note)
}

// Step carries a backfill on for a number of pages. Every page is booked together with
// the mark of how far it goes, so that a step that dies is repeated from its last page.
// One that the backfill has begun again under is over; the next starts from there.
// beat is called after every page.
func (s *Service) Step(ctx context.Context, backfillID string, beat func(doing string)) (Progress, error) {
	b, err := s.Ledger.Backfill(ctx, backfillID)
	if err != nil || b.State != BackfillRunning {
		return Progress{Backfill: b}, err
	}
	c, err := s.Ledger.Connection(ctx, b.ConnectionID)
	if err != nil {
		return Progress{Backfill: b}, err
	}
	now := s.Clock.Now()
	p := Progress{Backfill: b}
	if c.Paused {
		p.Wait, p.Reason = pausedWait, paused(c, now)
		return p, nil
	}
	budget, err := s.Ledger.Budget(ctx, c.ID, now)
	if err != nil {
		return p, err
	}
	left := min(budget.Left(source.ForBackfill), stepPages)
	if left == 0 {
		p.Wait = budgetWait
		p.Reason = source.Reason{Code: reasonBudget, Message: "seven tenths of the read allowance are used up; the rest is kept for what is new", Action: "Nothing: it goes on by itself", At: now}
		return p, nil
	}
	r := &reading{s: s, c: c, p: &p, pages: left, beat: beat}
	if err = r.forward(ctx); errors.Is(err, ErrBegunAgain) {
		p.Backfill, err = s.Ledger.Backfill(ctx, backfillID)
	}
	if countErr := s.Ledger.AddReads(ctx, c.ID, s.Source.TakeReads(c.ID), s.Clock.Now()); err == nil {
		err = countErr
	}
	return p, err
}

// Abandon stops a backfill that no retry can mend. It goes on when it is asked for again.
func (s *Service) Abandon(ctx context.Context, backfillID string, why source.Reason) error {
	b, err := s.Ledger.Backfill(ctx, backfillID)
	if err != nil || b.State != BackfillRunning {
		return err
	}
	why.At = s.Clock.Now()
	s.Log.WarnContext(ctx, "backfill stopped", slog.String("connection", b.ConnectionID), slog.String("code", why.Code))
	if err := s.Ledger.CloseBackfill(ctx, b, BackfillFailed, why, why.At); !errors.Is(err, ErrBegunAgain) {
		return err
	}
	return nil
}

// reading is one step.
type reading struct {
	s     *Service
	c     Connection
	p     *Progress
	pages int
	beat  func(string)
}

// forward reads resource after resource until the pages are used up or all is read.
func (r *reading) forward(ctx context.Context) error {
	for r.pages > 0 {
		over, err := r.resource(ctx)
		if err != nil {
			return err
		}
		if !over {
			continue
		}
		next, more := following(r.p.Resource)
		if !more {
			now := r.s.Clock.Now()
			if err := r.s.Ledger.CloseBackfill(ctx, r.p.Backfill, BackfillDone, source.Reason{}, now); err != nil {
				return err
			}
			r.p.State, r.p.DoneAt = BackfillDone, now
			r.s.Log.InfoContext(ctx, "backfill done", slog.String("connection", r.c.ID), slog.String("backfill", r.p.ID))
			return nil
		}
		if err := r.s.Ledger.Enter(ctx, r.p.Backfill, next, r.s.Clock.Now()); err != nil {
			return err
		}
		if r.c, err = r.s.Ledger.Connection(ctx, r.c.ID); err != nil { // the horizon may have moved
			return err
		}
		r.p.Resource = next
	}
	return nil
}

func following(r Resource) (Resource, bool) {
	all := Resources()
	if i := slices.Index(all, r); i >= 0 && i+1 < len(all) {
		return all[i+1], true
	}
	return "", false
}

// resource reads a little of the present resource; over reports that it was all.
func (r *reading) resource(ctx context.Context) (over bool, err error) {
	span := r.span()
	w, over, err := r.window(ctx, span)
	if err != nil || over {
		return over, err
	}
	r.p.Window = w.Window
	switch r.p.Resource {
	case Events:
		return false, r.events(ctx, w)
	case PlanChanges:
		return false, r.planChanges(ctx, w)
	default:
		return false, r.list(ctx, w)
	}
}

// span is what of the present resource is of interest.
func (r *reading) span() source.Window {
	w := source.Window{From: stripeBegan, To: r.p.Until}
	since := func(reach time.Duration) time.Time {
		if from := r.p.Start.Add(-reach); from.After(stripeBegan) {
			return from
		}
		return stripeBegan
	}
	switch r.p.Resource {
	case Events:
		// Where lists have spoken already, events would say it again under other keys.
		w.From, w.To = r.s.Clock.Now().Add(-source.Reach).Truncate(time.Second), r.c.Horizon.Start
		if r.c.Horizon.Listed || r.p.Kind == ForGap {
			w.To = w.From
		}
	case Invoices:
		w.From = since(invoiceReach)
	case Charges:
		w.From = since(chargeReach)
	case Disputes:
		w.From = since(disputeReach)
	case Refunds, CreditNotes:
		w.From = since(0)
	default: // customers and subscriptions of any age still live
	}
	return w
}

// window is the one to read: the last one while it is open, otherwise the one behind it.
func (r *reading) window(ctx context.Context, span source.Window) (w Window, over bool, err error) {
	last, any, err := r.s.Ledger.LastWindow(ctx, r.p.ID, r.p.Resource)
	if err != nil {
		return w, false, err
	}
	if any && !last.Done {
		return last, false, nil
	}
	w = Window{Resource: r.p.Resource, Window: span}
	width := source.NextSpan(0, 0)
	switch {
	case r.p.Resource == PlanChanges && any:
		return w, true, nil // one window holds it all
	case r.p.Resource == PlanChanges:
		return w, false, nil
	case any:
		w.From = last.To
		width = source.NextSpan(last.To.Sub(last.From), last.Objects)
	}
	if w.Empty() {
		return w, true, nil
	}
	w.Window = source.SliceOf(w.Window, width)
	return w, false, nil
}

// list reads one page of a list.
func (r *reading) list(ctx context.Context, w Window) error {
	page, err := r.s.Source.Objects(ctx, r.c.ID, w.Resource, w.From, w.To, w.After)
	r.pages--
	if w.After != "" && cursorGone(err) {
		w.After = ""
		return r.s.Ledger.SaveWindow(ctx, r.p.Backfill, w, r.s.Clock.Now())
	}
	if err != nil {
		return err
	}
	if w.After == "" && page.Next != "" {
		if end, ok := source.Shrink(w.Window, page.Oldest, source.MinSpan); ok {
			w.To = end
			return r.s.Ledger.SaveWindow(ctx, r.p.Backfill, w, r.s.Clock.Now())
		}
	}
	p := Page{}
	now := r.s.Clock.Now()
	for _, raw := range page.Objects {
		o, err := reward.Observe(raw, now, reward.Config{UserIDKey: r.c.UserIDKey, ReadEmail: r.c.ReadEmail})
		if err != nil {
			return err
		}
		p.Observations = append(p.Observations, o)
		if w.Resource != Invoices {
			continue
		}
		if plan, ok, err := r.plan(ctx, raw); err != nil {
			return err
		} else if ok {
			p.Plans = append(p.Plans, plan)
		}
	}
	w.After, w.Done = page.Next, page.Next == ""
	w.Pages++
	w.Objects += len(page.Objects)
	p.Window = w
	booked, err := r.s.Ledger.SavePage(ctx, r.p.Backfill, p, now)
	if err != nil {
		return err
	}
	r.did(len(page.Objects), booked.Facts)
	return nil
}

// plan reads the plan off an invoice whose time no event tells, with all of its lines.
func (r *reading) plan(ctx context.Context, raw []byte) (reward.BilledPlan, bool, error) {
	plan, ok := reward.BilledPlanOf(raw)
	if !ok || !r.c.Horizon.Untold(plan.From) || !reward.LinesMissing(raw) {
		return plan, ok && r.c.Horizon.Untold(plan.From), nil
	}
	lines, err := r.s.Source.Lines(ctx, r.c.ID, plan.Invoice)
	r.pages--
	if err != nil {
		return plan, false, err
	}
	plan, ok = reward.BilledPlanOf(raw, lines...)
	return plan, ok, nil
}

// events reads one page of the events before the horizon, which moves back to where
// they begin once the backfill goes on to the lists.
func (r *reading) events(ctx context.Context, w Window) error {
	page, err := r.s.Source.Events(ctx, r.c.ID, w.From, w.To, w.After)
	r.pages--
	if w.After != "" && cursorGone(err) {
		w.After = ""
		return r.s.Ledger.SaveWindow(ctx, r.p.Backfill, w, r.s.Clock.Now())
	}
	if err != nil {
		return err
	}
	if w.After == "" && page.Next != "" {
		if end, ok := source.Shrink(w.Window, page.Oldest, source.MinSlice); ok {
			w.To = end
			return r.s.Ledger.SaveWindow(ctx, r.p.Backfill, w, r.s.Clock.Now())
		}
	}
	fresh, err := r.s.unknown(ctx, r.c, page.Events)
	if err != nil {
		return err
	}
	now := r.s.Clock.Now()
	if _, err := r.s.Ledger.AppendBatch(ctx, r.c, FromBackfill, fresh, time.Time{}, now); err != nil {
		return err
	}
	w.After, w.Done = page.Next, page.Next == ""
	w.Pages++
	w.Objects += len(page.Events)
	if err := r.s.Ledger.SaveWindow(ctx, r.p.Backfill, w, now); err != nil {
		return err
	}
	r.did(len(page.Events), 0)
	return nil
}

// historiesPerPage is how many subscriptions one page of plan changes holds.
const historiesPerPage = 500

// planChanges concludes upgrades and downgrades from the invoices that were read.
func (r *reading) planChanges(ctx context.Context, w Window) error {
	all, err := r.s.Ledger.Histories(ctx, r.c.ID, w.After, historiesPerPage)
	r.pages--
	if err != nil {
		return err
	}
	var facts []reward.Fact
	for _, h := range all {
		facts = append(facts, reward.InferPlanChanges(h)...)
		w.After = h[0].Subscription
	}
	w.Done = len(all) < historiesPerPage
	w.Pages++
	w.Objects += len(all)
	booked, err := r.s.Ledger.BookChanges(ctx, r.p.Backfill, facts, w, r.s.Clock.Now())
	if err != nil {
		return err
	}
	r.did(len(all), booked.Facts)
	return nil
}

func (r *reading) did(objects, facts int) {
	r.p.Pages++
	r.p.Objects += objects
	r.p.Facts += facts
	r.beat(string(r.p.Resource) + " until " + r.p.Window.To.Format(time.RFC3339))
}
