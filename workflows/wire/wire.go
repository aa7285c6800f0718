// Package wire holds what both sides of Temporal must agree on: names, IDs, task
// queues, inputs, results and search attributes. It knows neither the SDK nor the
// use cases.
//
// Workflow IDs are derived from what the run is about, so that the same thing has
// the same ID whoever starts it. They are a convenience; the ledger decides.
package wire

import (
	"fmt"
	"strings"
	"time"

	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
)

// Task queues. Only workers with live keys poll the one that may write to Stripe.
const (
	QueueWorkflows  = "billing-workflows"
	QueueCompute    = "billing-compute"
	QueueStripeLive = "billing-stripe-live"
	QueueSource     = "source-sync"
)

// Workflow types.
const (
	WorkflowBillingTick  = "BillingTick"
	WorkflowBillingCycle = "BillingCycle"
	WorkflowAccountBill  = "AccountBill"

	WorkflowBillingReplay = "BillingReplay"

	WorkflowSourceTick     = "SourceTick"
	WorkflowSourceBackfill = "SourceBackfill"

	WorkflowReconNight = "ReconcileNight"
	WorkflowReconMonth = "ReconcileMonth"
)

// Activity types.
const (
	ActivityPlanDue         = "PlanDue"
	ActivityStartCycle      = "StartCycle"
	ActivityListAccounts    = "ListAccounts"
	ActivityCycleCounts     = "CycleCounts"
	ActivityOpenBill        = "OpenBill"
	ActivityCollectRewards  = "CollectRewards"
	ActivityAccumulate      = "AccumulateMoments"
	ActivityComputeReadouts = "ComputeReadouts"
	ActivityTrueUps         = "BookTrueUps"
	ActivityPropose         = "Propose"
	ActivityEnsurePayer     = "EnsurePayer"
	ActivityEnsureDraft     = "EnsureDraft"
	ActivityEnsureLines     = "EnsureLines"
	ActivityFinalizeInvoice = "FinalizeInvoice"
	ActivityDiscardDraft    = "DiscardDraft"
	ActivityReviewApproval  = "ReviewApproval"
	ActivityApplyDecision   = "ApplyDecision"

	ActivityReplayMonth = "ReplayMonth"

	ActivityListSources     = "ListSources"
	ActivitySyncSource      = "SyncSource"
	ActivityStartBackfill   = "StartBackfill"
	ActivityBackfillStep    = "BackfillStep"
	ActivityAbandonBackfill = "AbandonBackfill"

	ActivityListRecon      = "ListReconciliations"
	ActivityReconcileMonth = "CompareMonth"
	ActivityListAccruals   = "ListOpenMonths"
	ActivityAccrueMonth    = "AccrueMonth"
)

// Search attributes (Keyword). Opaque identifiers only: they are never encrypted.
const (
	AttrAccount  = "BillingAccountID"
	AttrPeriod   = "BillingPeriod"
	AttrMode     = "BillingMode"
	AttrOutcome  = "BillingOutcome"
	AttrCalendar = "BillingCalendar"
	AttrSource   = "SourceConnection"
)

// SearchAttributes lists every attribute that the server must know.
func SearchAttributes() []string {
	return []string{AttrAccount, AttrPeriod, AttrMode, AttrOutcome, AttrCalendar, AttrSource}
}

// Queries, signals and updates.
const (
	UpdateDecide       = "decide"
	QueryProgress      = "progress"
	QueryStatus        = "status"
	SignalSlotReleased = "slot-released"
)

// CalendarID is the readable name of a calendar: "europe-berlin-lag3".
func CalendarID(c billing.Calendar) string {
	zone := strings.ToLower(strings.NewReplacer("/", "-", "_", "-", "+", "p").Replace(c.TimeZone))
	return fmt.Sprintf("%s-lag%d", zone, c.CloseLagDays)
}

// ScheduleID is the Schedule of a calendar in an environment.
func ScheduleID(env account.Environment, calendar string) string {
	return "billing/" + env.String() + "/" + calendar
}

// TickWorkflowID is the prefix to which the server appends the nominal time.
func TickWorkflowID(env account.Environment, calendar string) string {
	return "billing-tick/" + env.String() + "/" + calendar
}

// CycleWorkflowID is the run that bills one period of one calendar.
func CycleWorkflowID(env account.Environment, calendar, period string) string {
	return "billing-cycle/" + env.String() + "/" + calendar + "/" + period
}

// BillWorkflowID is the run that bills one account's period.
func BillWorkflowID(env account.Environment, accountID, period string) string {
	return "account-bill/" + env.String() + "/" + accountID + "/" + period
}

// TickInput says for which calendar the Schedule fired.
type TickInput struct {
	Environment account.Environment
	Calendar    billing.Calendar
}

// TickResult says what the tick started.
type TickResult struct {
	AsOf     time.Time
	Started  []string
	Already  []string
	Periods  int
	Accounts int
}

// PlanDueInput asks which months are due at a nominal time.
type PlanDueInput struct {
	Environment account.Environment
	Calendar    billing.Calendar
	AsOf        time.Time
}

// DuePeriod is one month with the number of accounts that are to be billed.
type DuePeriod struct {
	Period   string
	Accounts int
}

// CycleInput starts the billing of one period. The fields below Period carry a
// chain of runs on; they are empty at the start.
type CycleInput struct {
	Environment account.Environment
	Calendar    billing.Calendar
	Period      string
	// AsOf is the nominal time of the tick; zero when started by hand, for the moment of the start.
	AsOf time.Time `json:",omitzero"`
	// Window is the number of bills in flight, PageSize the accounts per run; 0 is the default.
	Window   int
	PageSize int
	// Cursor is the last account that was started.
	Cursor string
	// AllStarted: the list was read to its end.
	AllStarted bool
	Started    int
	// Holding are bills of earlier runs that still hold a slot.
	Holding []string
}

// ListAccountsInput pages through the accounts of a calendar by ID.
type ListAccountsInput struct {
	Environment account.Environment
	Calendar    billing.Calendar
	Period      string
	AsOf        time.Time
	After       string
	Limit       int
}

// StartCycleResult says whether the cycle was started or ran already.
type StartCycleResult struct {
	WorkflowID string
	Already    bool
}

// CountsInput asks how a period stands.
type CountsInput struct {
	Environment account.Environment
	Calendar    billing.Calendar
	Period      string
	AsOf        time.Time
}

// Counts is the number of cycles by state.
type Counts struct {
	Total    int
	Finished int
	Waiting  int // blocked or in need of a person
	ByState  map[string]int
}

// CycleResult is what a period came to.
type CycleResult struct {
	Period string
	Counts Counts
}

// BillInput starts the billing of one account's period.
type BillInput struct {
	Environment account.Environment
	AccountID   string
	Period      string
	// CycleWorkflowID gets the slot back by signal; empty when started by hand.
	CycleWorkflowID string
	// Revision is the cycle's when a person started the run, for its summary; 0 is not known.
	Revision int `json:",omitempty"`
}

// BillStep is the result of every step of a bill: identifiers, counts, digests and amounts.
type BillStep struct {
	CycleID     string
	Environment account.Environment
	State       billing.CycleState
	Reason      string
	InputDigest string
	PlanHash    string
	Cases       []string
	Units       int
	Decisions   int
	Revenue     int
	// Partitions is into how many parts reading the units is worth cutting.
	Partitions int
	Passed     int
	Withheld   int
	Lines      int
	Currency   string
	TotalMinor int64
	InvoiceID  string
	Number     string
	Redo       bool
	// DecisionID is the last decision about the invoice, WaitUntil when the terms decide,
	// Wait how long nothing happens by itself, Reminders how often people were reminded.
	DecisionID string        `json:",omitempty"`
	WaitUntil  time.Time     `json:",omitzero"`
	Wait       time.Duration `json:",omitempty"`
	Reminders  int           `json:",omitempty"`
	// Next is what a person can do now.
	Next string `json:",omitempty"`
	// Revision counts how often the cycle was computed. Leftover: something of an invoice that
	// was taken back may be at Stripe.
	Revision int  `json:",omitempty"`
	Leftover bool `json:",omitempty"`
	// Page is the address of the cycle's page, empty where nobody set one up.
	Page string `json:",omitempty"`
}

// DecideInput tells a bill that the ledger holds a decision about the invoice of a plan.
type DecideInput struct {
	DecisionID string
	PlanHash   string
	// Revises: the decision takes the cycle away from what the run is doing. It is followed at
	// any time, from the ledger.
	Revises bool `json:",omitempty"`
}

// ApplyInput names the decision that a bill is to follow.
type ApplyInput struct {
	CycleID    string
	DecisionID string
}

// OpenBillInput opens an account's cycle.
type OpenBillInput struct {
	AccountID  string
	Period     string
	WorkflowID string
}

// StepInput names the cycle that a step works on.
type StepInput struct{ CycleID string }

// PartInput names one part of a step that is cut into parts, counted from 0.
type PartInput struct {
	CycleID string
	Part    int
	Parts   int
}
