package simulator

import (
	"context"
	"slices"
	"time"

	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/period"
)

// Business is one simulated company. Its units and its ledger are known from New
// on; Stripe learns of them step by step.
type Business struct {
	spec    Spec
	holdout lift.Probability
	horizon time.Time
	units   []*unit
	lives   []*life
	stripe  *client
	prices  []string
	// planHash is what decisions say that they were made under.
	planHash string
}

// New draws the business. It does not touch Stripe yet.
func New(spec Spec, c Client) (*Business, error) {
	h, err := spec.validate()
	if err != nil {
		return nil, err
	}
	last := spec.Months[len(spec.Months)-1]
	b := &Business{spec: spec, holdout: h, horizon: spec.FreshAt(last), stripe: newClient(c)}
	for _, m := range spec.Months {
		for s := range spec.Snapshots {
			for i := range spec.Snapshots[s].Units {
				b.units = append(b.units, b.newUnit(s, m, i))
			}
		}
	}
	number(b.units)
	if spec.Dispute {
		b.pickDispute()
	}
	for _, u := range b.units {
		l := u.payer
		if !u.converts() {
			l = b.abandoned(u.id, u.shown[len(u.shown)-1].at)
		}
		if l != nil {
			b.lives = append(b.lives, l)
		}
	}
	b.addOutsiders()
	return b, nil
}

// Spec is what the business was made from.
func (b *Business) Spec() Spec { return b.spec }

// UnderPlan makes the decisions bear the hash of the sealed plan.
func (b *Business) UnderPlan(hash string) { b.planHash = hash }

// Features lists the names of the logged features in the order for a plan.
func Features() []string { return []string{"mobile_share", "tenure_days", "visits"} }

// Baseline is the action that the holdout gets.
const Baseline = "baseline"

func (b *Business) slot(after time.Time) time.Time { return slotAfter(after, b.spec.zone()) }

// pickDispute gives the surest payer of the first cohort a disputed payment. It
// pays in both worlds, so the dispute says nothing about the policy.
func (b *Business) pickDispute() {
	var found *unit
	for _, u := range b.units {
		if u.cohort == b.spec.Months[0] && u.underBase && u.underOffer && (found == nil || u.u < found.u) {
			found = u
		}
	}
	if found != nil {
		b.disputed(found.payer)
	}
}

// addOutsiders adds the customers that belong to no decision.
func (b *Business) addOutsiders() {
	s := b.spec
	add := func(kind string, m period.Month, n int, from time.Time, spread float64, live func(id string, start time.Time) *life) {
		for i := range n {
			id := identity(s.Seed, kind, 0, m, i)
			b.lives = append(b.lives, live(id, b.slot(from.Add(days(draws(s.Seed, id, "start"), spread)))))
		}
	}
	for i, m := range s.Months {
		from := m.In(s.zone()).Start.Add(48 * time.Hour)
		add("anon", m, s.Unmapped, from, 16, func(id string, at time.Time) *life { return b.outsider(id, false, at) })
		if i == 0 {
			add("walkin", m, s.Outside, from, 16, func(id string, at time.Time) *life { return b.outsider(id, true, at) })
		}
	}
	last := s.Months[len(s.Months)-1]
	add("late", last, s.Tail, last.In(s.zone()).End, s.CloseLag.Hours()/24, b.latecomer)
}

// CreatePayer creates the customer that the outcome invoice will be sent to, in
// the business's own Stripe account.
func (b *Business) CreatePayer(ctx context.Context, name, email string) (string, error) {
	return b.stripe.createPayer(ctx, name, email)
}

// CreatePayer does the same with any key, for instance in the vendor's issuer account.
func CreatePayer(ctx context.Context, c Client, name, email string) (string, error) {
	return newClient(c).createPayer(ctx, name, email)
}

// Step is something that happens at an instant. Steps of the same instant are
// independent of each other; steps of later instants may rest on earlier ones.
type Step struct {
	At   time.Time
	What string
	Do   func(ctx context.Context) error
}

// Steps are the steps of a month in time order: from the end of the previous
// month's tail (the start of the business for the first) to the end of its own.
func (b *Business) Steps(m period.Month) []Step {
	from := b.spec.FreshAt(m.Add(-1))
	if m == b.spec.Months[0] {
		from = b.spec.Start()
	}
	return b.StepsBetween(from, b.spec.FreshAt(m))
}

// StepsBetween are the steps of [from, to) in time order.
func (b *Business) StepsBetween(from, to time.Time) []Step {
	var out []Step
	for _, l := range b.lives {
		acts := slices.Clone(l.acts)
		slices.SortStableFunc(acts, func(a, b act) int { return a.at.Compare(b.at) })
		for len(acts) > 0 {
			// What one customer does at one instant is one step: it happens in order.
			n := 1
			for n < len(acts) && acts[n].at.Equal(acts[0].at) {
				n++
			}
			now := acts[:n]
			acts = acts[n:]
			if now[0].at.Before(from) || !now[0].at.Before(to) {
				continue
			}
			out = append(out, Step{At: now[0].at, What: b.spec.Account + ": " + now[0].kind.String(), Do: func(ctx context.Context) error {
				for _, a := range now {
					if err := b.perform(ctx, l, a); err != nil {
						return fault.Wrap(err, fault.Unavailable, "simulation_step", "%s: customer %s: %s", b.spec.Account, l.id, a.kind)
					}
				}
				return nil
			}})
		}
	}
	slices.SortStableFunc(out, func(a, b Step) int { return a.At.Compare(b.At) })
	return out
}
