package reconcile

import (
	"context"
	"time"

	"github.com/shopspring/decimal"

	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/period"
	"github.com/liftbill/liftbill/domain/recon"
	"github.com/liftbill/liftbill/domain/source"
)

// ObjectPage is one page of a list at Stripe, newest first.
type ObjectPage struct {
	Objects []recon.Object
	// Next continues behind this page; empty at the end.
	Next string
}

// Stripe reads both roles of an account. It cannot write.
type Stripe interface {
	// ReconPage fetches a page of the objects of a kind created in [from, to).
	ReconPage(ctx context.Context, connectionID string, kind recon.Kind, from, to time.Time, after string) (ObjectPage, error)
	// Issued lists the payer's invoices that carry the key, and the invoice of the given
	// ID whatever it carries (empty for none), with their lines; and the payer's pending items.
	Issued(ctx context.Context, connectionID, customer, key, invoiceID string) ([]recon.Issued, []recon.PendingItem, error)
	// NewestEvent is the newest event that Stripe still keeps of the types that we are sent.
	NewestEvent(ctx context.Context, connectionID string) (id string, created time.Time, ok bool, err error)
	// ReconFields reads one object and names its fields as Ledger.Fields does. NotFound
	// when Stripe does not have it.
	ReconFields(ctx context.Context, connectionID, object, id string) (map[string]string, error)
	// TakeReads is the number of requests that were sent since it was last asked.
	TakeReads(connectionID string) int
}

// Scope is what a run is about.
type Scope struct {
	Account  account.Account
	Period   period.Month
	Interval period.Interval
	Currency string
	// Intents are the write-back intents of the period, with their plans.
	Intents   []recon.Intent
	Tolerance recon.Tolerance
	// At is when the run began. Current: the period is the last one that is over, so that
	// what is about today is looked at with it.
	At      time.Time
	Current bool
}

// Window is what the run judges.
func (sc Scope) Window() recon.Window {
	return recon.Window{Period: sc.Interval, Live: sc.Account.Environment == account.Live, ConnectionID: sc.Account.SourceConnection}
}

// Run is one comparison of an account's period.
type Run struct {
	ID                  int64
	AccountID           string
	Environment         account.Environment
	Period              string
	State               RunState
	RequestedBy         string
	StartedAt           time.Time
	FinishedAt          *time.Time
	Reads               int
	Objects             int64
	Found, Fresh        int
	Code, Message, Next string
}

// RunState is how a run stands.
type RunState string

// The states of a run.
const (
	Running  RunState = "running"
	Complete RunState = "complete"
	Failed   RunState = "failed"
)

// Due is an account's period that a nightly run looks at.
type Due struct{ AccountID, Period string }

// Merged is what a complete run makes of the breaks of its period.
type Merged struct {
	Breaks  []recon.Break
	Changes []recon.Change
	// Pull are the objects to be read at the source.
	Pull []recon.Target
	Sums []recon.Sum
	// Found is how many breaks are there, Fresh how many of them were not.
	Found, Fresh int
}

// Ledger is our side. Every method is one transaction.
type Ledger interface {
	// Scope loads what a period of an account is compared with. NotFound for an unknown
	// account, Conflict for one without a contract in the period.
	Scope(ctx context.Context, accountID string, m period.Month) (Scope, error)
	// Account is NotFound for an unknown one.
	Account(ctx context.Context, id string) (account.Account, error)
	// Due lists the periods of an environment's accounts that are looked at at a time, by
	// account and period, behind the given one.
	Due(ctx context.Context, env account.Environment, after Due, at time.Time, limit int) ([]Due, error)
	// Begin makes a run and forgets what earlier ones staged. Conflict while another one
	// works; one that has not worked for a while is taken to be dead.
	// A note is appended to the audit log, unless it is empty.
	Begin(ctx context.Context, sc Scope, by recon.Actor, at time.Time, note audit.Entry) (Run, error)
	// Stage stores objects of a run, and that it works.
	Stage(ctx context.Context, runID int64, objects []recon.Object, at time.Time) error
	// Compare finds the pairs of staged objects and facts that differ, and sums both sides.
	// A pair that is left out is equal in all that recon judges.
	Compare(ctx context.Context, sc Scope, runID int64) (Compared, error)
	// Internals are the facts of our own side.
	Internals(ctx context.Context, sc Scope, c Compared) (recon.Internals, error)
	// HasEvent tells whether an event is stored.
	HasEvent(ctx context.Context, connectionID, eventID string, created time.Time) (bool, error)
	// Finish locks the period's breaks, stores what merge makes of them, and ends the run
	// as complete. Conflict when the run was taken for dead meanwhile.
	Finish(ctx context.Context, sc Scope, run Run, at time.Time, merge func(old []recon.Break) Merged) (Run, error)
	// Fail ends a run that could not see everything; breaks stay as they are.
	Fail(ctx context.Context, run Run, at time.Time) error

	// CountAccount counts an account's decisions and the recurring revenue of its customers, once
	// on a UTC day.
	CountAccount(ctx context.Context, accountID string, at time.Time) error

	// Update changes one break under its lock, and appends the change and, where it makes
	// one, the entry of the audit log. NotFound for an unknown break.
	Update(ctx context.Context, id string, change func(*BreakRow) (recon.Change, audit.Entry, error)) (recon.Break, error)
	// Breaks lists breaks, newest first.
	Breaks(ctx context.Context, f BreaksFilter, at time.Time) (Page[BreakRow], error)
	// Break loads a break with its history, oldest change first.
	Break(ctx context.Context, id string) (BreakRow, []recon.Change, error)
	// Newest is the newest complete run of a period with its sums and the period's breaks,
	// and the newest run of all; nil where there is none.
	Newest(ctx context.Context, accountID, period string) (complete, newest *Run, sums []recon.Sum, breaks []recon.Break, err error)
	// Fields are what the ledger says of an object of a source, by name.
	Fields(ctx context.Context, connectionID, object, id string) (map[string]string, error)

	// Tolerance is the account's newest term; SaveTolerance states another one.
	Tolerance(ctx context.Context, accountID string) (recon.Tolerance, error)
	SaveTolerance(ctx context.Context, accountID string, t recon.Tolerance, note audit.Entry) error

	// Budget is a connection's read allowance; AddReads counts what was read.
	Budget(ctx context.Context, connectionID string, at time.Time) (source.Budget, error)
	AddReads(ctx context.Context, connectionID string, reads int, at time.Time) error
}

// Compared is what both sides of a source amount to.
type Compared struct {
	Pairs []recon.Pair
	Sums  []recon.Sum
	// Facts are revenue facts of the period by currency; Late counts those of all money
	// facts that were recorded after the period was frozen.
	Facts []recon.Money
	Late  int64
	// Frozen are those of Facts that were there when the period was frozen.
	Frozen []recon.Money
	// Doubtful are the starts of stretches with facts of customers who are not somebody's
	// for the whole period.
	Doubtful []time.Time
}

// BreakRow is a break as it is listed.
type BreakRow struct {
	recon.Break
	Environment account.Environment
	AccountName string
	// Notes counts what people wrote about it, with or without a link.
	Notes int
}

// BreaksFilter selects breaks. Empty fields select all; an empty scope selects nothing.
type BreaksFilter struct {
	Scope       access.Scope
	AccountID   string
	Environment string
	Period      string
	Type        string
	State       string
	// Pending leaves out what needs nobody any more.
	Pending  bool
	Severity string
	Owner    string
	Age      string
	// Blocking selects what keeps a month from being closed.
	Blocking bool
	// MinMinor leaves out smaller amounts at stake.
	MinMinor int64
	// Min and Max bound the amount at stake, both inclusive, in major units of each break's
	// own currency; nil is open.
	Min, Max *decimal.Decimal
	Currency string
	// Sort is "" for the newest first, or "amount" for the most at stake first.
	Sort string
	// Search is the ID of an object or a customer on either side.
	Search string
	Cursor string
	Limit  int
}
