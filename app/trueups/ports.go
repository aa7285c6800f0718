// Package trueups looks at settled contract years again: what refunds, disputes and late
// events came since, what the sealed plan measures with them, and what is due of it, by
// month, line and cause. It writes down what is due; the price of a cycle takes it up.
package trueups

import (
	"context"
	"time"

	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/ope"
	"github.com/liftbill/liftbill/domain/period"
)

// Booking is the cycle that looks at the years that were settled before it.
type Booking struct {
	CycleID     string
	Environment account.Environment
	// End is the end of its period, Watermark up to when its facts were recorded.
	End       time.Time
	Watermark time.Time
	// Settlements are the settlement cycles before it, ascending.
	Settlements []string
	// Closing: no cycle follows the settlement, which books for itself what a person credits.
	Closing bool
}

// Head is a frozen unit table of the settlement without its units.
type Head struct {
	SnapshotID string
	Layout     ope.Layout
	Inputs     lift.Inputs
	Evidence   lift.Evidence
}

// Year is a settled contract year as its settlement and the looks since left it.
type Year struct {
	SettlementCycle string
	Account         account.Account
	Contract        billing.Contract
	Plan            lift.SealedPlan
	// Period is the settlement.
	Period     period.Month
	Interval   period.Interval
	YearToDate period.Interval
	Watermark  time.Time
	Heads      []Head
	// Bill is what the settlement's price was made of.
	Bill billing.BillInput
	// Fees and Lines are what the year's cycles came to, see billing.TrueUpInput.
	Fees  map[string]int64
	Lines map[billing.LineKind]int64
	// Looks counts those before, the last of which was up to Seen; BookedBy are the cycles
	// that took them.
	Looks    int
	Seen     time.Time
	BookedBy map[string]bool
	// Taken are the facts that count by now, by key, as they were first taken.
	Taken map[string]Fact
	// Booked is what the looks made due, by snapshot, and in all.
	Booked      map[string]int64
	BookedMinor int64
}

// Late is an event that the settlement could not see, with what it is.
type Late struct {
	lift.Late
	Cause billing.AdjustmentReason
}

// Fact is what a look changes of one event's part in the year.
type Fact struct {
	Key        string
	UnitID     string
	SnapshotID string
	Cause      billing.AdjustmentReason
	// Origin is the month of the payment; the settlement for one of the run-off.
	Origin period.Month
	At     time.Time
	// AmountMinor is the event's, or its negative where a later year measures it after all.
	AmountMinor int64
}

// Line is what one look found of one month, line and cause.
type Line struct {
	billing.TrueUpCell
	Facts       int
	HappenedAt  time.Time
	AmountMinor int64
	// AdjustmentID is empty where nothing is due.
	AdjustmentID string
}

// State is what came of a look.
type State string

// The states of a look.
const (
	// Booked: something came, and what is due of it, which may be nothing, is written down.
	Booked State = "booked"
	// NothingNew: nothing came since the look before.
	NothingNew State = "nothing_new"
	// NotMeasured: with what came the sealed plan gives no estimate. Nothing was taken up.
	NotMeasured State = "not_measured"
	// Proposed: no cycle follows; what is due waits for a person as credits of the year's
	// invoices.
	Proposed State = "proposed"
)

// Credit is a correction of one line of one of the year's invoices, which somebody else
// approves.
type Credit struct {
	CorrectionID string
	CycleID      string
	Line         string
	Kind         billing.CorrectionKind
	AmountMinor  int64
	Currency     string
}

// Ended is an account whose contract has ended, by its last settlement.
type Ended struct{ AccountID, AccountName, SettlementCycle string }

// EndedFilter selects accounts whose contracts have ended. Empty fields select all; an empty
// scope selects nothing.
type EndedFilter struct {
	Scope                  access.Scope
	AccountID, Environment string
}

// EndedPage is the first few of them.
type EndedPage struct {
	Items []Ended
	// More: others have ended too.
	More bool
}

// Look is one look at a settled year.
type Look struct {
	ID      string
	Year    Year
	CycleID string
	// Number counts the year's looks from 1.
	Number    int
	Watermark time.Time
	State     State
	Reason    string
	Facts     []Fact
	Lines     []Line
	Readouts  []lift.Readout
	billing.TrueUpResult
}

// Ledger stores looks.
type Ledger interface {
	// Booking loads a cycle that is collected, with the settlements before it.
	Booking(ctx context.Context, cycleID string) (Booking, error)
	// Planned is the booking of a cycle that need not be there yet.
	Planned(ctx context.Context, accountID string, m period.Month, asOf time.Time) (Booking, error)
	// Closing is the booking of an account whose last settled year no other one with a sealed
	// plan follows, up to now: what is recorded from here on is for the next one. Conflict
	// while cycles follow, or when no year is settled. Whoever only looks freezes nothing.
	Closing(ctx context.Context, accountID string, at time.Time, freeze bool) (Booking, error)
	// Ended lists accounts that Closing takes, by ID. One whose contract trues its last settled
	// year up no more at a moment is left out, unless it is named.
	Ended(ctx context.Context, f EndedFilter, at time.Time, limit int) ([]Ended, error)
	// Year loads a settled year.
	Year(ctx context.Context, settlementCycle string) (Year, error)
	// Late lists the events of the source connection, recorded up to the watermark, of
	// payments in the year and its run-off, that the settlement could not see.
	Late(ctx context.Context, y Year, watermark time.Time) ([]Late, error)
	// Exposures are the decisions that the settlement read, and those since, recorded up to
	// the watermark; and whose the customers are.
	Exposures(ctx context.Context, y Year, watermark time.Time) (year, later []lift.Exposure, links []lift.Link, err error)
	// Units streams the frozen units of a cycle's snapshot.
	Units(ctx context.Context, cycleID, snapshotID string) lift.Source
	// Save stores a look and what is due of it in one transaction. A look of the same cycle
	// that is there already stays as it is; when another cycle looked since the year was
	// loaded, the answer is Unavailable, and the next attempt loads it again.
	Save(ctx context.Context, l Look, at time.Time) error
	// SaveClosing stores a look that a person asked for, and proposes its lines as corrections
	// of the year's released invoices, newest first, each within what is left of its line. What
	// no invoice has left is not stored, so that a later look finds it again.
	SaveClosing(ctx context.Context, l Look, note audit.Entry) ([]Credit, error)
}

// Progress is told how far a long step is.
type Progress func(done, total int, what string)
