// Package replay derives a frozen month once more from the raw events as they were
// received, in tables of its own, and compares what comes out: the facts, the links of
// customers to users, the unit tables, the input digest and the case IDs.
//
// Nothing of it reaches the ledger, and nothing is sent anywhere.
package replay

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/period"
)

// Frozen is what the ledger holds of a month.
type Frozen struct {
	CycleID      string
	AccountID    string
	ConnectionID string
	Environment  account.Environment
	Watermark    time.Time
	InputDigest  string
	Units        map[string]string // digest by snapshot
	Cases        map[string]string // case ID by snapshot
	Links        map[string]string // user by fact that this month attributed first
	// Erased are events of the contract year, up to the watermark, whose body is gone. What
	// older ones told is taken as it is stored.
	Erased int64
}

// Ledger reads what is stored and keeps what was found.
type Ledger interface {
	// Frozen returns NotFound when the month has no cycle, Conflict when it is not frozen.
	Frozen(ctx context.Context, cycleID string) (Frozen, error)
	// SaveReplay keeps a report, and the note in the same transaction, and numbers it.
	SaveReplay(ctx context.Context, r Report, note audit.Entry) (id int64, err error)
}

// Stage is a place of its own for one replay.
type Stage interface {
	// Events and Taken count what was put on it: events to classify, and facts that no stored
	// body tells again and that are taken as they are stored.
	Events() int64
	Taken() int64
	// Settle makes the statements stand in the order in which they were recorded.
	Settle(ctx context.Context) error
	// Facts compares the facts with the ledger's, and shows the first difference by key.
	Facts(ctx context.Context) (FactDifference, error)
	Close(ctx context.Context) error
}

// FactDifference counts facts by how they differ.
type FactDifference struct {
	Equal, Missing, New, Changed int64
	// First is the first one that differs: what is stored and what the replay gave, each
	// empty when it is not there.
	Key, Stored, Replayed string
}

// Rebuilt is what the replayed facts come to.
type Rebuilt struct {
	InputDigest string
	Units       map[string]string
	Cases       map[string]string
	Links       map[string]string
}

// Service runs replays. S is the stage of the store.
type Service[S Stage] struct {
	Ledger Ledger
	// Prepare puts a month's raw events on a stage of their own.
	Prepare func(ctx context.Context, f Frozen) (S, error)
	// Classify classifies what is on the stage.
	Classify func(ctx context.Context, stage S, f Frozen) error
	// Rebuild computes the month from the facts on the stage.
	Rebuild func(ctx context.Context, stage S, f Frozen) (Rebuilt, error)
	Clock   clock.Clock
}

// inputCheck is the name of the check of the input digest.
const inputCheck = "input digest"

// Check compares one thing.
type Check struct {
	Name     string `json:"name"`
	Equal    bool   `json:"equal"`
	Stored   string `json:"stored"`
	Replayed string `json:"replayed"`
}

// Digests are one digest as the ledger has it, and as the replay gave it; empty where a report
// is older than the digest.
type Digests struct {
	Ledger string `json:"ledger"`
	Replay string `json:"replay"`
}

// Ask is which month is replayed, and what asks for it.
type Ask struct {
	AccountID, Period string
	// For is who had it started, where a machine runs it; they say so themselves.
	For string
	// WorkflowID and WorkflowRunID are those of the Temporal run; empty without one.
	WorkflowID, WorkflowRunID string
}

// Report is what a replay found.
type Report struct {
	// ID is its number, from 1; 0 before it is kept.
	ID          int64               `json:"id,omitempty"`
	AccountID   string              `json:"account_id"`
	Environment account.Environment `json:"environment"`
	Period      string              `json:"period"`
	CycleID     string              `json:"cycle_id"`
	Watermark   time.Time           `json:"watermark"`
	// Events were classified again; Taken facts came from reads of Stripe's objects, or from
	// events before the contract year whose body was erased: no stored body repeats them.
	Events int64 `json:"events"`
	Taken  int64 `json:"facts_taken"`
	Facts  int64 `json:"facts_equal"`
	Equal  bool  `json:"equal"`
	// Difference is the first one, in words; empty when all is equal.
	Difference string `json:"difference,omitempty"`
	// Inputs is the digest of all that the month was measured from, Outputs that of its case
	// IDs by snapshot.
	Inputs  Digests `json:"inputs,omitzero"`
	Outputs Digests `json:"outputs,omitzero"`
	Checks  []Check `json:"checks"`
	RunBy   string  `json:"run_by"`
	// RunAt is when it began, FinishedAt when it was over; zero in a report of before that was
	// kept.
	RunAt         time.Time `json:"run_at"`
	FinishedAt    time.Time `json:"finished_at,omitzero"`
	WorkflowID    string    `json:"workflow_id,omitempty"`
	WorkflowRunID string    `json:"workflow_run_id,omitempty"`
}

// Took is how long the replay took; false where it was not kept.
func (r Report) Took() (time.Duration, bool) {
	return r.FinishedAt.Sub(r.RunAt), !r.FinishedAt.IsZero()
}

// Run replays an account's month.
func (s *Service[S]) Run(ctx context.Context, by access.Principal, ask Ask) (Report, error) {
	m, err := period.Parse(ask.Period)
	if err != nil {
		return Report{}, err
	}
	if err := access.RequirePermission(by, access.RunCycle); err != nil {
		return Report{}, err
	}
	f, err := s.Ledger.Frozen(ctx, billing.CycleID(ask.AccountID, m))
	if err != nil {
		return Report{}, err
	}
	if err := access.Require(by, access.RunCycle, ask.AccountID, f.Environment); err != nil {
		return Report{}, err
	}
	if f.Erased > 0 {
		return Report{}, fault.New(fault.Conflict, "bodies_erased", "the raw bodies of %d events of the contract year up to %s were erased: the month cannot be derived from them any more", f.Erased, f.Watermark.Format(time.RFC3339)).
			Fix("The frozen inputs can still be estimated again: their digests are stored")
	}
	r := Report{
		AccountID: ask.AccountID, Environment: f.Environment, Period: ask.Period, CycleID: f.CycleID, Watermark: f.Watermark, RunBy: by.Label(), RunAt: s.Clock.Now(),
		WorkflowID: ask.WorkflowID, WorkflowRunID: ask.WorkflowRunID,
	}
	if ask.For != "" {
		r.RunBy += ", for " + ask.For
	}
	if err := s.onStage(ctx, f, &r); err != nil {
		return r, err
	}
	r.Equal, r.FinishedAt = r.Difference == "", s.Clock.Now()
	note := audit.New(by, r.FinishedAt, audit.MonthReplayed, "cycle", r.CycleID).In(r.AccountID, r.Environment).
		Changed(nil, audit.Facts{"equal": strconv.FormatBool(r.Equal), "difference": r.Difference})
	r.ID, err = s.Ledger.SaveReplay(ctx, r, note)
	return r, err
}

func (s *Service[S]) onStage(ctx context.Context, f Frozen, r *Report) (err error) {
	stage, err := s.Prepare(ctx, f)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := stage.Close(context.WithoutCancel(ctx)); err == nil {
			err = closeErr
		}
	}()
	r.Events, r.Taken = stage.Events(), stage.Taken()
	if err := s.Classify(ctx, stage, f); err != nil {
		return err
	}
	if err := stage.Settle(ctx); err != nil {
		return err
	}
	facts, err := stage.Facts(ctx)
	if err != nil {
		return err
	}
	r.facts(facts)
	got, err := s.Rebuild(ctx, stage, f)
	if err != nil {
		return err
	}
	r.each("link of a fact", f.Links, got.Links)
	r.each("unit table", f.Units, got.Units)
	r.Inputs, r.Outputs = Digests{f.InputDigest, got.InputDigest}, Digests{outputsOf(f.Cases), outputsOf(got.Cases)}
	r.check(inputCheck, f.InputDigest, got.InputDigest)
	r.each("case ID", f.Cases, got.Cases)
	return nil
}

// outputsOf is the digest of case IDs: SHA-256 over one line "snapshot case" each, by snapshot.
func outputsOf(cases map[string]string) string {
	sum := sha256.New()
	for _, snapshot := range slices.Sorted(maps.Keys(cases)) {
		fmt.Fprintf(sum, "%s %s\n", snapshot, cases[snapshot])
	}
	return hex.EncodeToString(sum.Sum(nil))
}

func (r *Report) facts(d FactDifference) {
	r.Facts = d.Equal
	r.Checks = append(r.Checks, Check{Name: "reward facts", Equal: d.Missing+d.New+d.Changed == 0,
		Stored: fmt.Sprint(d.Equal + d.Missing + d.Changed), Replayed: fmt.Sprint(d.Equal + d.New + d.Changed)})
	if d.Key != "" {
		r.differs("reward fact "+d.Key, d.Stored, d.Replayed)
	}
}

// each compares two maps, and adds one check for all equal entries and one for each other.
func (r *Report) each(what string, stored, replayed map[string]string) {
	keys := slices.Sorted(maps.Keys(stored))
	for k := range replayed {
		if _, ok := stored[k]; !ok {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	equal := 0
	for _, k := range keys {
		if stored[k] == replayed[k] {
			equal++
			continue
		}
		r.check(what+" "+k, stored[k], replayed[k])
	}
	if equal > 0 {
		n := fmt.Sprintf("%d equal", equal)
		r.Checks = append(r.Checks, Check{Name: what, Equal: true, Stored: n, Replayed: n})
	}
}

func (r *Report) check(what, stored, replayed string) {
	r.Checks = append(r.Checks, Check{Name: what, Equal: stored == replayed, Stored: stored, Replayed: replayed})
	if stored != replayed {
		r.differs(what, stored, replayed)
	}
}

func (r *Report) differs(what, stored, replayed string) {
	if r.Difference != "" {
		return
	}
	show := func(v string) string {
		if v == "" {
			return "nothing"
		}
		return v
	}
	r.Difference = fmt.Sprintf("%s: the ledger has %s, the replay gives %s", what, show(stored), show(replayed))
}
