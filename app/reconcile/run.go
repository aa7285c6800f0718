package reconcile

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/period"
	"github.com/liftbill/liftbill/domain/recon"
	"github.com/liftbill/liftbill/domain/source"
)

// Reconciler compares our ledger with Stripe, keeps the breaks, and lets people work on
// them. It reads at Stripe and changes nothing there; what may be repaired without a
// person it asks others to do.
type Reconciler struct {
	Stripe Stripe
	Ledger Ledger
	Closes Closes
	// Sweep removes what is left of a cycle's intent at the issuer, Fetch asks Stripe for
	// the events of a source that did not arrive. Where one is nil its breaks wait for a person.
	Sweep func(ctx context.Context, cycleID string) error
	Fetch func(ctx context.Context, connectionID string) error
	Clock clock.Clock
	Log   *slog.Logger
	// Lookback is how long before its payment an invoice may have been created: Stripe
	// filters by creation. 0 is DefaultLookback.
	Lookback time.Duration
}

// DefaultLookback is the one of the measurement.
const DefaultLookback = 400 * 24 * time.Hour

// Margin is how far outside the period an object is still looked at, so that what is
// only a cut-off difference is not taken for a loss.
const Margin = 72 * time.Hour

// Grain is what a period under way is cut at; whole months begin and end with one in every
// time zone.
const Grain = 15 * time.Minute

// month31 is how long a month is the last one, at most.
const month31 = 31 * 24 * time.Hour

// Outcome is what a run came to.
type Outcome struct {
	Run
	// Repairs counts the repairs that were asked for, Refused those that nobody could do.
	Repairs, Refused int
}

// Reconcile compares a period of an account with Stripe. It may be run again at any
// time: the same differences are the same breaks. A run that cannot read all of Stripe's
// side (its read allowance is used up, Stripe refuses) concludes nothing.
func (r *Reconciler) Reconcile(ctx context.Context, by access.Principal, accountID, month string, beat func(doing string)) (Outcome, error) {
	m, err := period.ParseMonth(month)
	if err != nil {
		return Outcome{}, err
	}
	at := r.Clock.Now()
	sc, err := r.Ledger.Scope(ctx, accountID, m)
	if err != nil {
		return Outcome{}, err
	}
	// What is on its way is no difference. What is about today and no month is looked at
	// once, with the last month that is over.
	sc.At, sc.Current = at, !at.Before(sc.Interval.End.Add(recon.EventGrace)) && at.Before(sc.Interval.End.Add(month31))
	if latest := at.Add(-recon.EventGrace).Truncate(Grain); sc.Interval.End.After(latest) {
		sc.Interval.End = latest
	}
	if !sc.Interval.Start.Before(sc.Interval.End) {
		return Outcome{}, fault.New(fault.Conflict, "period_not_begun", "%s of account %s has not begun", m, accountID).Fix("Choose a month that has begun")
	}
	if err := access.Require(by, access.RunSync, accountID, sc.Account.Environment); err != nil {
		return Outcome{}, err
	}
	var note audit.Entry
	if by.Kind != access.System { // what liftbill does by itself is on the run
		note = audit.New(by, at, audit.MonthReconciled, "account", accountID).In(accountID, sc.Account.Environment).Changed(nil, audit.Facts{"period": month})
	}
	run, err := r.Ledger.Begin(ctx, sc, actorOf(by), at, note)
	if err != nil {
		return Outcome{}, err
	}
	w := &running{Reconciler: r, sc: sc, run: run, at: at, beat: beat}
	out, err := w.do(ctx)
	if err != nil {
		return out, w.fail(ctx, err)
	}
	return out, r.Ledger.CountAccount(ctx, accountID, at)
}

// actorOf is a principal as breaks keep it.
func actorOf(p access.Principal) recon.Actor { return recon.Actor{ID: p.ID, Person: p.Person} }

// running is one run under way.
type running struct {
	*Reconciler
	sc   Scope
	run  Run
	at   time.Time
	beat func(string)
	// left is what the source's read allowance has left.
	left int
}

func (w *running) do(ctx context.Context) (Outcome, error) {
	b, err := w.Ledger.Budget(ctx, w.sc.Account.SourceConnection, w.at)
	if err != nil {
		return Outcome{}, err
	}
	w.left = b.Left(source.ForCheck)
	if err := w.read(ctx); err != nil {
		return Outcome{}, err
	}
	issued, err := w.issuer(ctx)
	if err != nil {
		return Outcome{}, err
	}
	newest, err := w.newest(ctx)
	if err != nil {
		return Outcome{}, err
	}
	w.beat("comparing both sides")
	c, err := w.Ledger.Compare(ctx, w.sc, w.run.ID)
	if err != nil {
		return Outcome{}, err
	}
	in, err := w.Ledger.Internals(ctx, w.sc, c)
	if err != nil {
		return Outcome{}, err
	}
	in.Newest = newest
	found := issued.findings
	for _, p := range c.Pairs {
		found = append(found, w.sc.Window().Judge(p)...)
	}
	found = append(found, w.sc.Window().JudgeLedger(in, w.at)...)
	if err := w.count(ctx); err != nil {
		return Outcome{}, err
	}
	var repairs []recon.Break
	done, err := w.Ledger.Finish(ctx, w.sc, w.run, w.Clock.Now(), func(old []recon.Break) Merged {
		m := w.merge(old, found)
		m.Sums = append(c.Sums, issued.sums...)
		repairs = toRepair(m.Breaks)
		return m
	})
	if err != nil {
		return Outcome{}, err
	}
	w.run = done
	out := Outcome{Run: done}
	w.repair(ctx, repairs, &out)
	return out, nil
}

// read stages what the source shows.
func (w *running) read(ctx context.Context) error {
	lookback := w.Lookback
	if lookback == 0 {
		lookback = DefaultLookback
	}
	from, to := w.sc.Interval.Start.Add(-lookback), w.sc.Interval.End.Add(Margin)
	for _, kind := range []recon.Kind{recon.Payment, recon.Refund, recon.Dispute} {
		if err := w.list(ctx, kind, from, to); err != nil {
			return err
		}
	}
	if !w.sc.Current {
		return nil
	}
	return w.list(ctx, recon.Subscription, time.Unix(0, 0).UTC(), w.at)
}

// list stages all pages of a list, as far as the read allowance goes: half a list is
// no list.
func (w *running) list(ctx context.Context, kind recon.Kind, from, to time.Time) error {
	source := w.sc.Account.SourceConnection
	for after := ""; ; {
		if w.left <= 0 {
			return fault.New(fault.RateLimited, "read_allowance", "the read allowance of connection %s is used up", source).
				Fix("It grows with the payments of the last 30 days; the next nightly run tries again")
		}
		w.beat("reading " + string(kind) + "s")
		page, err := w.Stripe.ReconPage(ctx, source, kind, from, to, after)
		if e := w.count(ctx); err == nil {
			err = e
		}
		if err != nil {
			return err
		}
		keep := page.Objects[:0]
		for _, o := range page.Objects {
			if w.near(o) {
				keep = append(keep, o)
			}
		}
		w.run.Objects += int64(len(keep))
		if err := w.Ledger.Stage(ctx, w.run.ID, keep, w.Clock.Now()); err != nil {
			return err
		}
		if after = page.Next; after == "" {
			return nil
		}
	}
}

// near leaves out payments that are far from the period. Returns are kept whenever they
// were: what is booked of them in the period may belong to an old one.
func (w *running) near(o recon.Object) bool {
	if o.Kind != recon.Payment {
		return true
	}
	return !o.At.Before(w.sc.Interval.Start.Add(-Margin)) && o.At.Before(w.sc.Interval.End.Add(Margin))
}

// count books the requests that were sent against the read allowance.
func (w *running) count(ctx context.Context) error {
	for _, id := range w.connections() {
		n := w.Stripe.TakeReads(id)
		w.run.Reads += n
		if id == w.sc.Account.SourceConnection {
			w.left -= n
		}
		if err := w.Ledger.AddReads(ctx, id, n, w.at); err != nil {
			return err
		}
	}
	return nil
}

func (w *running) connections() []string {
	out := []string{w.sc.Account.SourceConnection}
	for _, in := range w.sc.Intents {
		if in.ConnectionID != out[0] {
			return append(out, in.ConnectionID)
		}
	}
	return out
}

// issuedSide is what the issuer shows of our invoices.
type issuedSide struct {
	findings []recon.Finding
	sums     []recon.Sum
}

func (w *running) issuer(ctx context.Context) (issuedSide, error) {
	var out issuedSide
	for _, in := range w.sc.Intents {
		w.beat("reading our invoices")
		issued, pending, err := w.Stripe.Issued(ctx, in.ConnectionID, in.Customer, in.Key, in.InvoiceID)
		if err != nil {
			return out, err
		}
		out.findings = append(out.findings, recon.JudgeIntent(in, issued, pending, true, w.at)...)
		out.sums = append(out.sums, recon.IntentSums(in, issued)...)
	}
	return out, nil
}

// newest asks for Stripe's newest event and whether it is here.
func (w *running) newest(ctx context.Context) (*recon.Newest, error) {
	if !w.sc.Current {
		return nil, nil
	}
	id, created, ok, err := w.Stripe.NewestEvent(ctx, w.sc.Account.SourceConnection)
	if err != nil || !ok {
		return nil, err
	}
	here, err := w.Ledger.HasEvent(ctx, w.sc.Account.SourceConnection, id, created)
	return &recon.Newest{EventID: id, Created: created, Here: here}, err
}

// fail remembers why a run concluded nothing, and returns the reason.
func (w *running) fail(ctx context.Context, err error) error {
	w.run.State, w.run.Code, w.run.Message = Failed, fault.CodeOf(err), "the run could not be finished"
	var e *fault.Error
	if errors.As(err, &e) && e.Kind != fault.Internal {
		w.run.Message, w.run.Next = e.Msg, e.Remedy
	}
	// Also when the caller gave up: the run must not look as if it still worked.
	return errors.Join(err, w.Ledger.Fail(context.WithoutCancel(ctx), w.run, w.Clock.Now()))
}
