package reconcile

import (
	"context"
	"log/slog"

	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/recon"
)

// merge makes of what was there and what was found what is there.
func (w *running) merge(old []recon.Break, found []recon.Finding) Merged {
	at, tolerated := w.Clock.Now(), w.sc.Tolerance.Apply(found)
	byID := map[string]*recon.Break{}
	for i := range old {
		byID[old[i].ID] = &old[i]
	}
	var out Merged
	seen := map[string]bool{}
	for i, f := range found {
		id := f.ID(w.sc.Account.ID, w.sc.Period.String())
		if seen[id] {
			continue
		}
		seen[id] = true
		b := byID[id]
		if b == nil {
			fresh, c := recon.NewBreak(w.sc.Account.ID, w.sc.Period.String(), f, at)
			b, out.Changes, out.Fresh = &fresh, append(out.Changes, c), out.Fresh+1
		} else if c, changed := b.SeenAgain(f, at); changed {
			out.Changes = append(out.Changes, c)
		}
		if term, ok := tolerated[i]; ok {
			if c, changed := b.Tolerate(at, term); changed {
				out.Changes = append(out.Changes, c)
			}
		}
		if f.Rule().Repair == recon.Pull && f.Target.ID != "" {
			if c, changed := b.Repair(at, "asked for "+f.Target.Object+" "+f.Target.ID+" to be read at Stripe"); changed {
				out.Changes, out.Pull = append(out.Changes, c), append(out.Pull, f.Target)
			} else if b.State == recon.Waiting {
				out.Pull = append(out.Pull, f.Target) // it did not help yet
			}
		}
		out.Breaks, out.Found = append(out.Breaks, *b), out.Found+1
	}
	for i := range old {
		if b := &old[i]; !seen[b.ID] {
			if c, changed := b.Unseen(at); changed {
				out.Changes, out.Breaks = append(out.Changes, c), append(out.Breaks, *b)
			}
		}
	}
	return out
}

// toRepair are the breaks whose repair is somebody else's work.
func toRepair(all []recon.Break) []recon.Break {
	var out []recon.Break
	for _, b := range all {
		repair := b.Rule().Repair
		if (repair == recon.Sweep || repair == recon.Fetch) && (b.State == recon.Open || b.State == recon.Assigned || b.State == recon.Waiting) {
			out = append(out, b)
		}
	}
	return out
}

// repair asks for the repairs that others carry out, each target once. One that fails
// leaves the break as it is: the next run, or a person, tries again.
func (w *running) repair(ctx context.Context, all []recon.Break, out *Outcome) {
	done := map[recon.Target]error{}
	for _, b := range all {
		key := b.Target
		if b.Rule().Repair == recon.Fetch {
			key.ID = ""
		}
		err, tried := done[key]
		if !tried {
			err = w.carryOut(ctx, b)
			done[key] = err
		}
		if err != nil {
			out.Refused++
			w.Log.LogAttrs(ctx, slog.LevelWarn, "a repair was not possible", slog.String("break", b.ID), slog.String("type", string(b.Type)), slog.Any("error", err))
			continue
		}
		out.Repairs++
		if b.State == recon.Waiting {
			continue
		}
		_, err = w.Ledger.Update(ctx, b.ID, func(now *BreakRow) (recon.Change, audit.Entry, error) {
			c, ok := now.Repair(w.Clock.Now(), "asked for a "+string(b.Rule().Repair))
			if !ok {
				return c, audit.Entry{}, errUnchanged
			}
			return c, audit.Entry{}, nil
		})
		if err != nil {
			w.Log.LogAttrs(ctx, slog.LevelWarn, "a repair was not noted", slog.String("break", b.ID), slog.Any("error", err))
		}
	}
}

func (w *running) carryOut(ctx context.Context, b recon.Break) error {
	switch b.Rule().Repair {
	case recon.Sweep:
		if w.Sweep == nil {
			return errNobody
		}
		return w.Sweep(ctx, b.Target.ID)
	case recon.Fetch:
		if w.Fetch == nil {
			return errNobody
		}
		return w.Fetch(ctx, b.Target.ConnectionID)
	case recon.Pull, recon.NoRepair:
	}
	return errNobody
}
