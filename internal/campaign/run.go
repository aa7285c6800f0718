package campaign

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/internal/campaign/audit"
)

// End is how a schedule ended.
type End string

// The ends.
const (
	Billed  End = "billed"  // by itself
	Mended  End = "mended"  // a person had to do something first, then it was billed
	Waits   End = "waits"   // for a person, who cannot undo at Stripe what was done there
	Dropped End = "dropped" // a person took it back, and nothing of it is left
	Refused End = "refused" // nothing was written, because something is not live
	Stuck   End = "stuck"   // none of these
)

// Result is what became of a schedule.
type Result struct {
	Schedule Schedule
	End      End
	// Reason is why it waited for a person, also when that was mended later.
	Reason   string
	Findings []audit.Finding
	// Requests are those of the program's own key; Hits the faults that struck them.
	Requests int
	Hits     map[string]int
	Deaths   int
	Acted    bool
}

// Wrong reports whether the schedule found a defect.
func (r Result) Wrong() bool { return r.End == Stuck || len(r.Findings) > 0 }

// Run carries a schedule out on a ledger, with a mutant's defect if one is given.
func Run(ctx context.Context, s Schedule, ledger Ledger, mutant *Mutant) (Result, error) {
	w, err := newWorld(ctx, s, ledger, mutant)
	if err != nil {
		return Result{}, err
	}
	defer w.fake.Close()
	dead := &deaths{plan: s.Deaths}
	w.tap = dead
	out := Result{Schedule: s, Hits: map[string]int{}}
	if s.Class == NotLive {
		err = w.refuse(ctx, &out)
	} else {
		err = w.bill(ctx, &out, dead)
	}
	if err != nil {
		return out, err
	}
	for _, r := range w.ourRequests() {
		out.Requests++
		if r.Fault != "" {
			out.Hits[r.Fault]++
		}
	}
	out.Deaths = dead.hits
	out.Acted = s.Act != nil && out.Requests > s.Act.At
	if len(w.problems) > 0 {
		return out, fmt.Errorf("%s: %v", s, w.problems)
	}
	return out, nil
}

// refuse demands that nothing is written.
func (w *world) refuse(ctx context.Context, out *Result) error {
	_, err := w.driver(w.process).Drive(ctx, w.plan.CycleID)
	out.End = Refused
	if !fault.Is(err, fault.Forbidden) {
		out.End, out.Reason = Stuck, fmt.Sprint(err)
	}
	return w.judge(out, audit.Waiting)
}

// bill drives the cycle to its end, with a person's help where the schedule has one of
// its operators do what needs it.
func (w *world) bill(ctx context.Context, out *Result, dead *deaths) error {
	if err := w.driveAll(ctx, dead); err != nil {
		return err
	}
	if w.taken {
		if over, err := w.goOn(ctx, out, dead); err != nil || over {
			return err
		}
	}
	state, reason, err := w.settle(ctx)
	if err != nil {
		return err
	}
	if (state == billing.NeedsHuman || state == billing.Blocked) && w.permitted(reason) {
		out.Reason = endOf(reason)
		if err := w.judge(out, audit.Waiting); err != nil {
			return err
		}
		ok, err := w.mend(ctx, reason)
		if err != nil {
			return err
		}
		if !ok {
			out.End = Waits
			return nil
		}
		out.End = Mended
		if state, reason, err = w.settle(ctx); err != nil {
			return err
		}
	} else {
		out.End = Billed
	}
	if state != billing.Invoiced {
		out.End, out.Reason = Stuck, fmt.Sprintf("%s %s", state, reason)
		return w.judge(out, audit.Waiting)
	}
	if err := w.later(ctx); err != nil {
		return err
	}
	return w.judge(out, audit.Billed)
}

// driveAll lets every worker of the schedule carry the cycle out.
func (w *world) driveAll(ctx context.Context, dead *deaths) error {
	if w.s.Workers == 1 {
		_, err := w.driver(w.process).Drive(ctx, w.plan.CycleID)
		return foreignError(err)
	}
	rng := rand.New(rand.NewPCG(w.s.Seed, 3)) //nolint:gosec // a schedule is drawn from a seed on purpose
	order := newTurns(rng, w.s.Workers, w.s.Stall, func() { w.pause(0) })
	errs := make([]error, w.s.Workers)
	var wg sync.WaitGroup
	for i := range w.s.Workers {
		wg.Go(func() {
			defer order.leave()
			mine := *w // a tap of its own; everything else is shared
			mine.tap = turn{order, i, dead}
			_, errs[i] = w.driver(mine.process).Drive(ctx, w.plan.CycleID)
		})
	}
	wg.Wait()
	return foreignError(errors.Join(errs...))
}

// foreignError lets only through what is none of the write-back's own endings.
func foreignError(err error) error {
	var f *fault.Error
	if err == nil || errors.Is(err, ErrStuck) || errors.As(err, &f) {
		return nil
	}
	return err
}

// settle runs the cycle again, without faults, until it stands still: what the next
// tick or a person who runs it again would do.
func (w *world) settle(ctx context.Context) (billing.CycleState, string, error) {
	w.fake.ClearFaults()
	w.tap = nil
	for range 3 {
		state, reason, err := w.ledger.Stands(ctx, w.plan.CycleID)
		if err != nil || state != billing.Writing {
			return state, reason, err
		}
		if _, err = w.driver(w.process).Drive(ctx, w.plan.CycleID); foreignError(err) != nil {
			return state, reason, err
		}
	}
	return w.ledger.Stands(ctx, w.plan.CycleID)
}

// permitted reports whether the schedule does something after which a cycle may wait.
func (w *world) permitted(reason string) bool {
	var ends []string
	if w.s.Act != nil {
		ends = actOf(w.s.Act.What).ends
	}
	if w.s.Unlabel {
		ends = append(slices.Clone(ends), actOf("clears the invoice's metadata").ends...)
	}
	return slices.Contains(ends, endOf(reason)) && billing.NextAction(billing.NeedsHuman, reason)+billing.NextAction(billing.Blocked, reason) != ""
}

// mend does what the reason's next action says and lets the cycle go on.
func (w *world) mend(ctx context.Context, reason string) (ok bool, err error) {
	w.quiet = true // whoever cleared our metadata has stopped
	w.wire.mu.Lock()
	w.wire.before = nil
	w.wire.mu.Unlock()
	a := actOf("clears the invoice's metadata")
	if w.s.Act != nil {
		a = actOf(w.s.Act.What)
	}
	reissue, ok := a.mend(w)
	if !ok {
		return false, nil
	}
	w.recordForeign()
	if err := w.ledger.Readdress(ctx, w.plan, w.Now()); err != nil {
		return false, err
	}
	if state, _, err := w.ledger.Stands(ctx, w.plan.CycleID); err != nil || state != billing.NeedsHuman {
		return true, err
	}
	s := w.process()
	out, err := s.Resume(ctx, access.Operator("a person"), invoicing.Resumption{CycleID: w.plan.CycleID, Reason: "mended: " + endOf(reason), Reissue: reissue})
	if err != nil {
		return false, err
	}
	if out.State == billing.Blocked {
		return true, w.ledger.Readdress(ctx, w.plan, w.Now())
	}
	return true, nil
}

// later lets everything happen at Stripe that may still come, then sweeps as the next
// cycle does.
func (w *world) later(ctx context.Context) error {
	if err := w.fake.Advance(60 * 24 * time.Hour); err != nil {
		return err
	}
	_, err := w.process().Sweep(ctx, w.plan.CycleID)
	return err
}

// judge hands the evidence to the auditor.
func (w *world) judge(out *Result, by func(audit.Order, audit.Evidence) []audit.Finding) error {
	ev, err := w.evidence()
	if err != nil {
		return err
	}
	for _, f := range by(w.order, ev) {
		if f.Kind == audit.DraftLeft && (w.s.Unlabel || (w.s.Act != nil && actOf(w.s.Act.What).leavesDraft)) && w.unknown() {
			continue // nobody can tell that it is ours; it is empty and is never sent
		}
		if f.Kind == audit.DraftLeft && out.End == Dropped && w.late() {
			continue
		}
		if f.Kind == audit.Missing && w.voidedAfterwards(ev) {
			continue
		}
		if f.Kind == audit.Foreign && w.s.Act != nil && w.s.Act.What == "adds an item" && w.setFree() {
			continue // added in the very moment in which the emptied draft was deleted
		}
		if f.Kind == audit.Foreign && w.s.Act != nil && w.s.Act.What == "clears an item's metadata" && strings.HasSuffix(f.Text, "is gone") {
			continue // it was ours, and was on a list to be deleted when it lost its label
		}
		out.Findings = append(out.Findings, f)
	}
	return nil
}

// setFree reports whether the items that the operator added to a draft of ours hang on
// nothing now, because the draft is gone: Stripe keeps them for the payer's next invoice.
func (w *world) setFree() bool {
	n := 0
	for _, o := range w.objects() {
		if o.Object == "invoiceitem" && o.Description == operatorsOwn {
			if n++; o.Invoice != nil {
				return false
			}
		}
	}
	return n > 0
}

// voidedAfterwards reports whether the operator voided the invoice when it was released
// and everything was done with it.
func (w *world) voidedAfterwards(ev audit.Evidence) bool {
	if w.s.Act == nil || w.s.Act.What != "voids" {
		return false
	}
	for _, o := range w.ours("void") {
		for _, r := range ev.Requests {
			if r.Ours && r.Method == "POST" && r.Path == "/v1/invoices/"+o.ID && r.Status == 200 && o.Subtotal == w.plan.TotalMinor() {
				return true
			}
		}
	}
	return false
}

// unknown reports whether every draft that is left is empty and carries no key.
func (w *world) unknown() bool {
	for _, o := range w.ours("draft") {
		if o.Metadata["lb_key"] != "" || len(w.itemsOf(o.ID)) > 0 {
			return false
		}
	}
	return true
}

func (w *world) driver(process func() *invoicing.Service) Driver {
	return Driver{Process: process, Pause: w.pause}
}

// pause is what happens between two attempts.
func (w *world) pause(d time.Duration) {
	if err := w.fake.Advance(d + w.s.Wait); err != nil {
		w.problems = append(w.problems, err.Error())
	}
	if w.s.Unlabel && !w.quiet {
		w.unlabel()
	}
	if w.s.Skew {
		*w.skew = []time.Duration{0, time.Hour, -time.Hour, 26 * time.Hour, -26 * time.Hour, 400 * 24 * time.Hour}[w.rng.IntN(6)]
	}
}
