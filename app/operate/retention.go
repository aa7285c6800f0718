package operate

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/period"
)

// Partition is one month of stored events.
type Partition struct {
	Name     string
	From, To time.Time
	Events   int64
	// Bodies and Bytes are what is there to erase.
	Bodies, Bytes int64
	// Waiting are events that are not classified yet.
	Waiting int64
	// Attention are dead and quarantined events: their bodies are kept.
	Attention int64
	// Connections whose events lie in it.
	Connections []string
}

// Year is one contract year of an account, as far as retention has to know it.
type Year struct {
	AccountID    string
	ConnectionID string
	FirstPeriod  period.Month
	Zone         *time.Location
	// Final are the periods of the account whose cycle is finished.
	Final map[string]bool
	// AttributionDays run after the year until its settlement.
	AttributionDays int
	CloseLagDays    int
}

// Archive keeps raw bodies.
type Archive interface {
	// Partitions lists the months of stored events, oldest first. Events whose time lies
	// outside every month are in none.
	Partitions(ctx context.Context) ([]Partition, error)
	// Agreements lists the contract of every account; Year's fields are of the contract.
	Agreements(ctx context.Context) ([]Year, error)
	// EraseBodies erases the bodies of a partition, but those of events that wait for
	// somebody, and gives the space back. Rows, digests and facts stay. It returns how many
	// bodies were erased and kept. It fails as Unavailable when the month is in use.
	EraseBodies(ctx context.Context, p Partition) (erased, kept int64, err error)
	// LogErasure keeps what was erased, and the note in the same transaction.
	LogErasure(ctx context.Context, p Partition, erased, kept int64, olderThan time.Time, who string, at time.Time, note audit.Entry) error
}

// Retention erases raw bodies that nobody needs any more.
type Retention struct {
	Archive Archive
	Clock   clock.Clock
}

// Step is what becomes of one month.
type Step struct {
	Partition
	Erase bool
	// Why says why it is kept, or that it is old enough.
	Why string
	// Erased and Kept count bodies, after the fact.
	Erased, Kept int64
}

// yearMonths is a contract year.
const yearMonths = 12

// Apply erases the bodies of every month that is at least months old and belongs to no open
// contract year of any account. Zero months keep everything. A dry run changes nothing.
func (r *Retention) Apply(ctx context.Context, by access.Principal, months int, dryRun bool) ([]Step, error) {
	if months < 0 || months > 1200 {
		return nil, fault.InvalidField("months", "months_range", "bodies are kept 1 to 1200 months, or for ever (0)")
	}
	if err := access.Require(by, access.WriteSetup, "", ""); err != nil {
		return nil, err
	}
	parts, err := r.Archive.Partitions(ctx)
	if err != nil {
		return nil, err
	}
	years, err := r.Archive.Agreements(ctx)
	if err != nil {
		return nil, err
	}
	now := r.Clock.Now()
	steps := plan(parts, years, months, now)
	if dryRun {
		return steps, nil
	}
	for i := range steps {
		s := &steps[i]
		if !s.Erase {
			continue
		}
		if s.Erased, s.Kept, err = r.Archive.EraseBodies(ctx, s.Partition); err != nil {
			return steps, err
		}
		note := audit.New(by, now, audit.BodiesErased, "events", s.Name).
			Changed(nil, audit.Facts{"erased": strconv.FormatInt(s.Erased, 10), "kept": strconv.FormatInt(s.Kept, 10), "months": strconv.Itoa(months)})
		if err := r.Archive.LogErasure(ctx, s.Partition, s.Erased, s.Kept, olderThan(months, now), by.Label(), now, note); err != nil {
			return steps, err
		}
	}
	return steps, nil
}

// olderThan is the first instant of the oldest month that is kept for its age.
func olderThan(months int, now time.Time) time.Time {
	return period.Of(now, time.UTC).Add(-months).In(time.UTC).Start
}

// plan decides about every month, by rule.
func plan(parts []Partition, years []Year, months int, now time.Time) []Step {
	open := map[string]time.Time{}
	for _, y := range years {
		since := y.openSince(now)
		if at, ok := open[y.ConnectionID]; !ok || since.Before(at) {
			open[y.ConnectionID] = since
		}
	}
	out := make([]Step, len(parts))
	for i, p := range parts {
		out[i] = Step{Partition: p}
		out[i].Erase, out[i].Why = judge(p, open, months, now)
	}
	return out
}

func judge(p Partition, open map[string]time.Time, months int, now time.Time) (bool, string) {
	switch {
	case months == 0:
		return false, "everything is kept"
	case p.To.After(olderThan(months, now)):
		return false, fmt.Sprintf("younger than %d months", months)
	case p.Waiting > 0:
		return false, fmt.Sprintf("%d events are not classified yet", p.Waiting)
	}
	for _, c := range p.Connections {
		if since, ok := open[c]; ok && p.To.After(since) {
			return false, fmt.Sprintf("a contract year of connection %s that began %s is open", c, since.Format(time.DateOnly))
		}
	}
	if p.Bodies-p.Attention <= 0 {
		return false, "nothing is left to erase"
	}
	return true, fmt.Sprintf("older than %d months, and no contract year that it belongs to is open", months)
}

// openSince is when the oldest contract year began that is not over: every month of a year
// that is over is finished, and so is its settlement.
func (y Year) openSince(now time.Time) time.Time {
	for first := y.FirstPeriod; ; first = first.Add(yearMonths) {
		end := first.Add(yearMonths - 1).In(y.Zone).End
		settled := end.AddDate(0, 0, y.AttributionDays+y.CloseLagDays)
		if !settled.Before(now) || !y.finished(first) {
			return first.In(y.Zone).Start
		}
	}
}

func (y Year) finished(first period.Month) bool {
	for n := range yearMonths {
		if !y.Final[first.Add(n).String()] {
			return false
		}
	}
	return y.Final[first.Add(yearMonths-1).Settlement().String()]
}
