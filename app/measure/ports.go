// Package measure turns a month of decisions and revenue into readouts: collect
// and reconcile the rewards up to a frozen watermark, build the unit tables,
// estimate, judge, store.
//
// Everything after the watermark is a function of what Collect stored, so that a
// retry, a replay and an audit see the same bits.
package measure

import (
	"context"
	"time"

	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/ope"
	"github.com/liftbill/liftbill/domain/period"
)

// Cycle is one account's billing of one period with the agreements that apply.
type Cycle struct {
	ID         string
	Account    account.Account
	Contract   billing.Contract
	PlanID     string
	Plan       lift.SealedPlan
	SealedSalt []byte
	Period     period.Month
	YearStart  period.Month
	Interval   period.Interval // the period
	YearToDate period.Interval // from the contract year's start to the period's end
	Exposed    period.Interval // when decisions expose units: a settlement's run-off exposes nobody
	State      billing.CycleState
	// Revision counts how often the cycle was computed, from 1.
	Revision int
	// Leftover: a superseded intent of the cycle may have something at Stripe.
	Leftover bool
	// Replaces is the cycle itself where a look goes beyond what its own revision froze: a
	// fact that it attributed may be attributed anew.
	Replaces     string
	Watermark    time.Time // zero before collection
	SnapshotName map[string]string
}

// RevenueRow is a money fact joined to its unit. UnitID is empty when the
// customer is not mapped to a user; a user without decisions gives a unit that
// no table has.
type RevenueRow struct {
	lift.Revenue
	Currency     string
	Subscription bool
	// Link is how the customer was joined to the user; empty when it was not.
	Link Link
}

// Link is the version of a customer's link to a user with which a fact was attributed.
type Link struct {
	UserID string
	ID     string
	Source string
	// Kept: an earlier cycle froze the fact with this link, and it keeps it.
	Kept bool
}

// FactLink is a fact with the link that it keeps from now on.
type FactLink struct {
	FactKey string
	Link
}

// OutOfScope is revenue that the contract does not measure, by its reason and currency.
type OutOfScope struct {
	Reason   string // "other_currency" or "no_subscription"
	Currency string
	SumMinor int64
	Events   int
}

// Collection is everything that Collect froze.
type Collection struct {
	Watermark       time.Time
	SourceWatermark time.Time
	InputDigest     string
	PaidMinor       int64
	StripeNetMinor  *int64
	Buckets         []Bucket
	Tables          []Table
	// Links are the facts that are attributed for the first time.
	Links []FactLink
}

// Bucket is where revenue ended. Amounts of different currencies are never summed.
type Bucket struct {
	Name       string
	SnapshotID string
	Currency   string
	SumMinor   int64
	Events     int
}

// Table is one unit table with what is known about it.
type Table struct {
	lift.UnitTable
	Layout   ope.Layout
	Inputs   lift.Inputs
	Evidence lift.Evidence
}

// Head is a frozen unit table without its units.
type Head struct {
	SnapshotID string
	Layout     ope.Layout
	Inputs     lift.Inputs
	Evidence   lift.Evidence
}

// Ledger stores cycles, their frozen inputs and their readouts.
type Ledger interface {
	// OpenCycle makes the cycle or returns the one that is there.
	OpenCycle(ctx context.Context, accountID string, m period.Month, workflowID string, at time.Time) (Cycle, error)
	Cycle(ctx context.Context, id string) (Cycle, error)
	// Freeze gives the watermark: at, or the first moment after the last freeze of the same
	// inputs. What is recorded up to it is committed, and nothing is recorded up to it any more.
	Freeze(ctx context.Context, a account.Account, at time.Time) (time.Time, error)
	// Exposures lists the account's decisions in the year to date recorded up to the watermark,
	// with features in the plan's order; those after Exposed are the next year's.
	Exposures(ctx context.Context, c Cycle, watermark time.Time) ([]lift.Exposure, error)
	// Links lists the users of the customers of the source connection.
	Links(ctx context.Context, c Cycle) ([]lift.Link, error)
	// Incomplete counts the decisions of the interval that were refused for their
	// propensities up to the watermark and never came whole, and names their units.
	Incomplete(ctx context.Context, c Cycle, watermark time.Time) (n int, units []string, err error)
	// Marks is what the contract year billed of each snapshot before the cycle; ok is
	// false while an earlier month is not finished.
	Marks(ctx context.Context, c Cycle) (marks map[string]int64, ok bool, err error)
	// DecisionGaps counts missing sequence numbers; ok is false when the log has none.
	DecisionGaps(ctx context.Context, c Cycle, watermark time.Time) (gaps int, ok bool, err error)
	// Revenue lists the money facts of the source connection in the interval recorded up to the watermark.
	Revenue(ctx context.Context, c Cycle, watermark time.Time) ([]RevenueRow, error)
	// NewestEvent is the creation time of the newest stored event of the connection.
	NewestEvent(ctx context.Context, connectionID string) (id string, created time.Time, err error)
	// HasEvent reports whether the very event is stored.
	HasEvent(ctx context.Context, connectionID, eventID string, created time.Time) (bool, error)
	// LooksSpent are the snapshots of which an earlier revision of the cycle had a bound that
	// was not above zero.
	LooksSpent(ctx context.Context, c Cycle) (map[string]bool, error)
	// SaveCollection freezes the inputs of the cycle's revision and moves the cycle on, in one
	// transaction. A cycle that has a watermark keeps what it has; one that has come to
	// another revision meanwhile is a Conflict.
	SaveCollection(ctx context.Context, c Cycle, col Collection, at time.Time) error
	// Heads lists the frozen unit tables in the order of their snapshots, pooled last.
	Heads(ctx context.Context, c Cycle) ([]Head, error)
	// Units streams the frozen units of a snapshot; it holds a connection while it is read.
	Units(ctx context.Context, c Cycle, snapshotID string) lift.Source
	// SaveMoments keeps what a pass over the buckets from up to to left; buckets without
	// units are kept as such. Again is no change.
	SaveMoments(ctx context.Context, c Cycle, snapshotID string, from, to int, m []lift.BucketMoments) error
	// Moments are the kept moments of the buckets from up to to; whole is false when any of
	// these buckets was not kept.
	Moments(ctx context.Context, c Cycle, h Head, from, to int) (m []lift.BucketMoments, whole bool, err error)
	// PreviousCase is the case ID of the snapshot's readout in the revision before this one,
	// or else of its latest readout before the period; empty for the first.
	PreviousCase(ctx context.Context, c Cycle, snapshotID string) (string, error)
	// SaveReadouts stores readouts under their case IDs, moves the cycle on and drops the
	// kept moments. The same case again is no change; another case for the same snapshot is
	// a Conflict.
	SaveReadouts(ctx context.Context, c Cycle, readouts []lift.Readout, build map[string]string, at time.Time) error
}

// Source re-reads the source account at Stripe, to compare with what was ingested.
type Source interface {
	// NetPaid is the net paid revenue of the interval by currency as Stripe's own lists
	// show it: paid invoices without ours, minus refunds, minus disputes.
	NetPaid(ctx context.Context, connectionID string, in period.Interval) (map[string]int64, error)
	// NewestEvent is the newest event that Stripe has of the types that we ingest.
	NewestEvent(ctx context.Context, connectionID string) (id string, created time.Time, ok bool, err error)
}

// Drainer classifies what is pending and reads what a connection's facts wait for, so
// that a collection misses nothing that was received.
type Drainer interface {
	DrainAll(ctx context.Context, connectionID string) error
}

// Progress is told how far a long step is.
type Progress func(done, total int, what string)
