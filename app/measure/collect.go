package measure

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"sort"
	"time"

	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/secret"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/period"
)

// Service is the use case.
type Service struct {
	Ledger Ledger
	// Planner is for previews and places, Tracer for places only.
	Planner Planner
	Tracer  Tracer
	Source  Source
	Drainer Drainer
	Box     secret.Box
	Clock   clock.Clock
	// SaltContext binds a sealed salt to its plan.
	SaltContext func(planID string) string
	// Build names compiler, commit and modules; it stands beside a readout, unhashed.
	Build map[string]string
	// PartitionUnits is how many units are worth a worker of their own; 0 is the default.
	// It never changes a bit.
	PartitionUnits int
}

// Summary is what a step reports to its caller: identifiers, counts and digests only.
type Summary struct {
	CycleID     string
	Environment account.Environment
	State       billing.CycleState
	InputDigest string
	Units       int
	Decisions   int
	Revenue     int
	Cases       []string
	Passed      int
	Withheld    int
	// Partitions is into how many parts the units are worth cutting, at least 1.
	Partitions int
	// Revision counts how often the cycle was computed; Leftover: an earlier draft may be at Stripe.
	Revision int
	Leftover bool
}

func (c Cycle) summary() Summary {
	return Summary{CycleID: c.ID, Environment: c.Account.Environment, State: c.State, Revision: c.Revision, Leftover: c.Leftover}
}

// Open makes the cycle's row, or finds it.
func (s *Service) Open(ctx context.Context, accountID string, m period.Month, workflowID string) (Summary, error) {
	c, err := s.Ledger.OpenCycle(ctx, accountID, m, workflowID, s.Clock.Now())
	if err != nil {
		return Summary{}, err
	}
	return c.summary(), nil
}

// Collect drains what was received, compares it with Stripe's own lists, freezes
// the watermark and stores the unit tables. Running it again changes nothing.
func (s *Service) Collect(ctx context.Context, cycleID string, progress Progress) (Summary, error) {
	c, err := s.Ledger.Cycle(ctx, cycleID)
	if err != nil {
		return Summary{}, err
	}
	sum := c.summary()
	if !c.Watermark.IsZero() {
		return s.frozen(ctx, c, sum)
	}
	progress(0, 4, "classifying what was received")
	if err := s.Drainer.DrainAll(ctx, c.Account.SourceConnection); err != nil {
		return sum, err
	}
	progress(1, 4, "comparing with Stripe")
	o, err := s.observe(ctx, c)
	if err != nil {
		return sum, err
	}
	if o.watermark, err = s.Ledger.Freeze(ctx, c.Account, s.Clock.Now()); err != nil {
		return sum, err
	}
	progress(2, 4, "reading decisions and revenue")
	col, err := s.build(ctx, c, o)
	if err != nil {
		return sum, err
	}
	progress(3, 4, "freezing the unit tables")
	if err := s.Ledger.SaveCollection(ctx, c, col, o.watermark); err != nil {
		return sum, err
	}
	sum.State, sum.InputDigest = billing.Computing, col.InputDigest
	return s.frozen(ctx, c, sum)
}

// frozen tells from the frozen tables how much there is to measure.
func (s *Service) frozen(ctx context.Context, c Cycle, sum Summary) (Summary, error) {
	heads, err := s.Ledger.Heads(ctx, c)
	if err != nil {
		return sum, err
	}
	for _, h := range heads {
		if h.SnapshotID == lift.SnapshotPooled {
			sum.Units, sum.Decisions, sum.Revenue = h.Inputs.Units, h.Inputs.Decisions, h.Inputs.Revenue.Events
		}
	}
	sum.Partitions = s.partitions(sum.Units)
	return sum, nil
}

// sourceWatermark is the time up to which the source is known to be complete: now
// when the very newest event at Stripe is stored here, otherwise the time of the
// newest stored one.
func (s *Service) sourceWatermark(ctx context.Context, connectionID string) (time.Time, error) {
	id, created, ok, err := s.Source.NewestEvent(ctx, connectionID)
	if err != nil {
		return time.Time{}, err
	}
	if !ok {
		return s.Clock.Now(), nil
	}
	have, err := s.Ledger.HasEvent(ctx, connectionID, id, created)
	if err != nil {
		return time.Time{}, err
	}
	if have {
		return s.Clock.Now(), nil
	}
	_, stored, err := s.Ledger.NewestEvent(ctx, connectionID)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return time.Time{}, err
	}
	if stored.After(created) {
		stored = created // what came after the missing one does not make it complete
	}
	return stored, nil
}

// observed is what a collection takes from beside the facts and the decision log.
type observed struct {
	watermark, sourceMark time.Time
	stripeNet             map[string]int64
	// mark is what the year billed of a snapshot before, nil when that is not settled.
	mark func(snapshotID string) *int64
	// spent are the snapshots on which an earlier revision used the period's look in vain.
	spent map[string]bool
}

// observe looks at what stands beside the facts: Stripe's own books, up to when the source
// is complete, and what the year has billed.
func (s *Service) observe(ctx context.Context, c Cycle) (o observed, err error) {
	if o.stripeNet, err = s.Source.NetPaid(ctx, c.Account.SourceConnection, c.YearToDate); err != nil {
		return o, err
	}
	if o.sourceMark, err = s.sourceWatermark(ctx, c.Account.SourceConnection); err != nil {
		return o, err
	}
	if o.spent, err = s.Ledger.LooksSpent(ctx, c); err != nil {
		return o, err
	}
	marks, settled, err := s.Ledger.Marks(ctx, c)
	o.mark = func(snapshotID string) *int64 {
		if !settled {
			return nil
		}
		return markOf(marks, snapshotID)
	}
	return o, err
}

func (s *Service) build(ctx context.Context, c Cycle, o observed) (Collection, error) {
	exposures, err := s.Ledger.Exposures(ctx, c, o.watermark)
	if err != nil {
		return Collection{}, err
	}
	rows, err := s.Ledger.Revenue(ctx, c, o.watermark)
	if err != nil {
		return Collection{}, err
	}
	links, err := s.Ledger.Links(ctx, c)
	if err != nil {
		return Collection{}, err
	}
	plan := c.Plan.Plan()
	revenue, outside, paid := scope(rows, c.Contract, plan)
	joined, err := lift.Join(plan, exposures, revenue, links)
	if err != nil {
		return Collection{}, err
	}
	evidence, err := s.evidence(ctx, c, joined, exposures, evidenceInput{o.watermark, o.sourceMark, paid, o.stripeNet, o.spent})
	if err != nil {
		return Collection{}, err
	}
	currency := string(c.Contract.Terms.Currency)
	stripe := o.stripeNet[currency]
	col := Collection{Watermark: o.watermark, SourceWatermark: o.sourceMark, PaidMinor: paid[currency], StripeNetMinor: &stripe}
	digest := sha256.New()
	for _, t := range append(append([]lift.UnitTable{}, joined.Tables...), joined.Pooled) {
		in := lift.InputsOf(joined, t, o.watermark)
		in.SaltHex, in.PreviousHighWaterMinor = evidence.saltHex, o.mark(t.SnapshotID)
		layout, err := t.Layout(plan)
		if err != nil {
			return Collection{}, err
		}
		col.Tables = append(col.Tables, Table{UnitTable: t, Layout: layout, Inputs: in, Evidence: evidence.forTable(t)})
		digest.Write([]byte(t.SnapshotID + "\x00" + in.UnitDigest + "\n"))
	}
	col.InputDigest = hex.EncodeToString(digest.Sum(nil))
	col.Buckets = bucketsOf(joined, outside, currency)
	col.Links = firstLinks(rows)
	return col, tie(col.Buckets, paid)
}

// markOf is what the year billed of one snapshot, or of all for the pooled table.
func markOf(marks map[string]int64, snapshotID string) *int64 {
	mark := marks[snapshotID]
	if snapshotID == lift.SnapshotPooled {
		for _, m := range marks {
			mark += m
		}
	}
	return &mark
}

// tie checks that the buckets of every currency, our own invoices aside, hold what was
// paid in it: no cent is in two places or in none.
func tie(buckets []Bucket, paid map[string]int64) error {
	held := map[string]int64{}
	for _, b := range buckets {
		if b.Name != string(lift.BucketOwnInvoice) {
			held[b.Currency] += b.SumMinor
		}
	}
	for _, sums := range []map[string]int64{held, paid} {
		for currency := range sums {
			if held[currency] != paid[currency] {
				return fault.New(fault.Internal, "buckets_unbalanced", "of %d %s net paid, %d are on snapshots and in buckets", paid[currency], currency, held[currency])
			}
		}
	}
	return nil
}

// firstLinks are the links that this collection attributes facts with for the first
// time: what is said of the customer later does not move them.
func firstLinks(rows []RevenueRow) []FactLink {
	var out []FactLink
	for _, r := range rows {
		if r.Link.UserID != "" && !r.Link.Kept {
			out = append(out, FactLink{FactKey: r.Key, Link: r.Link})
		}
	}
	return out
}

// outside is why the contract does not measure money; empty when it does.
func outside(r RevenueRow, contract billing.Contract, plan lift.Plan) lift.Uncounted {
	switch {
	case r.Currency != string(contract.Terms.Currency):
		return lift.UncountedCurrency
	case plan.Reward.SubscriptionOnly && !r.Subscription && !r.OwnInvoice:
		return lift.UncountedSubscription
	}
	return ""
}

// scope separates what the contract measures from what it does not, by reason and
// currency, and sums what was paid in each currency, our own invoices aside.
func scope(rows []RevenueRow, contract billing.Contract, plan lift.Plan) (in []lift.Revenue, out []OutOfScope, paid map[string]int64) {
	paid = map[string]int64{}
	type kind struct{ reason, currency string }
	elsewhere := map[kind]*OutOfScope{}
	for _, r := range rows {
		k := kind{string(outside(r, contract, plan)), r.Currency}
		if r.OwnInvoice && k.reason != "" {
			k.reason = string(lift.BucketOwnInvoice)
		}
		if !r.OwnInvoice {
			paid[r.Currency] += r.AmountMinor
		}
		if k.reason == "" {
			in = append(in, r.Revenue)
			continue
		}
		o := elsewhere[k]
		if o == nil {
			o = &OutOfScope{Reason: k.reason, Currency: k.currency}
			elsewhere[k] = o
		}
		o.SumMinor += r.AmountMinor
		o.Events++
	}
	for _, o := range elsewhere {
		out = append(out, *o)
	}
	sort.Slice(out, func(i, j int) bool {
		return out[i].Reason+out[i].Currency < out[j].Reason+out[j].Currency
	})
	return in, out, paid
}

func bucketsOf(j lift.Joined, outside []OutOfScope, currency string) []Bucket {
	events := map[string]int{}
	for _, a := range j.Attributions {
		if a.Bucket == "" {
			events[a.SnapshotID]++
		}
	}
	var out []Bucket
	for _, t := range j.Tables {
		out = append(out, Bucket{Name: "snapshot", SnapshotID: t.SnapshotID, Currency: currency, SumMinor: t.SumMinor(), Events: events[t.SnapshotID]})
	}
	for _, b := range lift.Buckets() {
		if t := j.Bucket(b); t.Events > 0 {
			out = append(out, Bucket{Name: string(b), Currency: currency, SumMinor: t.SumMinor, Events: t.Events})
		}
	}
	for _, o := range outside {
		out = append(out, Bucket{Name: o.Reason, Currency: o.Currency, SumMinor: o.SumMinor, Events: o.Events})
	}
	return out
}
