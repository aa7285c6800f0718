// Package preview says what a cycle would come to if it ran now: the same collection,
// estimate, judgement, price and invoice plan as the cycle's, without its last step and
// without storing any of it.
//
// What a preview and a cycle, or two previews, differ in is said by bucket and snapshot.
package preview

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/period"
)

// Bucket is where revenue ended: on a snapshot or in a named bucket.
type Bucket struct {
	Bucket      string `json:"bucket"`
	SnapshotID  string `json:"snapshot_id,omitempty"`
	Currency    string `json:"currency"`
	AmountMinor int64  `json:"amount_minor"`
	Events      int    `json:"events"`
}

// Line is one snapshot, billed or withheld. Amounts are minor units.
type Line struct {
	SnapshotID    string `json:"snapshot_id"`
	CaseID        string `json:"case_id"`
	Verdict       string `json:"verdict"`
	HeadlineCode  string `json:"headline_code,omitempty"`
	Units         int64  `json:"units"`
	ObservedMinor int64  `json:"observed_minor"`
	MeasuredMinor int64  `json:"measured_minor"`
	BaseMinor     int64  `json:"base_minor"`
	FeeMinor      int64  `json:"fee_minor"`
}

// Preview is what a cycle comes to.
type Preview struct {
	CycleID     string              `json:"cycle_id"`
	AccountID   string              `json:"account_id"`
	Environment account.Environment `json:"environment"`
	Period      string              `json:"period"`
	// AsOf is up to when facts and decisions were looked at.
	AsOf time.Time `json:"as_of"`
	// Over and Settled: the period has ended, and may be billed. Before that the figures are provisional.
	Over        bool   `json:"over"`
	Settled     bool   `json:"settled"`
	InputDigest string `json:"input_digest"`
	// InvoiceHash is the digest of the invoice plan, its case IDs among it.
	InvoiceHash string `json:"invoice_hash"`
	// Digest is over everything that does not say when it was looked at: unit tables,
	// buckets, lines and total. Case IDs hash the moment as well.
	Digest     string             `json:"digest"`
	State      billing.CycleState `json:"state"`
	Reason     string             `json:"reason,omitempty"`
	Currency   string             `json:"currency"`
	TotalMinor int64              `json:"total_minor"`
	Lines      []Line             `json:"lines"`
	Buckets    []Bucket           `json:"buckets"`
	// WaitsFor are earlier cycles that are not finished: their marks are unknown, and the
	// price is as if they had billed nothing.
	WaitsFor []string `json:"waits_for,omitempty"`
	// Accrual is the same price as a low, an expected and a high figure; Contract and Interval
	// are what they are of.
	Accrual  billing.Accrual  `json:"-"`
	Contract billing.Contract `json:"-"`
	Interval period.Interval  `json:"-"`
	// Frozen: the cycle has frozen its inputs, so that its own figures count.
	Frozen bool `json:"-"`
	// Compared is the comparison with the stored cycle, or with an earlier preview.
	Compared *Comparison `json:"compared,omitempty"`
}

// Measured is a collection that was judged and not stored.
type Measured struct {
	CycleID     string
	Environment account.Environment
	AsOf        time.Time
	End         time.Time
	SettledAt   time.Time
	InputDigest string
	Buckets     []Bucket
	Readouts    []lift.Readout
}

// Priced is an invoice that was planned and not stored.
type Priced struct {
	InvoiceHash string
	State       billing.CycleState
	Reason      string
	Currency    string
	TotalMinor  int64
	Rows        []billing.Row
	WaitsFor    []string
	Accrual     billing.Accrual
	Contract    billing.Contract
	Interval    period.Interval
}

// Service is the use case; its functions are the steps of a cycle, wired to what stores
// nothing.
type Service struct {
	Environment func(ctx context.Context, accountID string) (account.Environment, error)
	Measure     func(ctx context.Context, accountID string, m period.Month) (Measured, error)
	Price       func(ctx context.Context, accountID string, m period.Month, asOf time.Time, readouts []lift.Readout) (Priced, error)
	// Stored is the cycle as it stands; ok is false before its inputs were frozen.
	Stored func(ctx context.Context, cycleID string) (p Preview, ok bool, err error)
	// Revisions are the computations of a cycle, oldest first, not compared yet.
	Revisions func(ctx context.Context, cycleID string) ([]Revision, error)
	Clock     clock.Clock
}

// Run previews an account's period, and compares it with the cycle when there is one.
func (s *Service) Run(ctx context.Context, by access.Principal, accountID, month string) (Preview, error) {
	m, err := period.Parse(month)
	if err != nil {
		return Preview{}, err
	}
	if err := access.RequirePermission(by, access.RunCycle); err != nil {
		return Preview{}, err
	}
	env, err := s.Environment(ctx, accountID)
	if err != nil {
		return Preview{}, err
	}
	if err := access.Require(by, access.RunCycle, accountID, env); err != nil {
		return Preview{}, err
	}
	got, err := s.Measure(ctx, accountID, m)
	if err != nil {
		return Preview{}, err
	}
	price, err := s.Price(ctx, accountID, m, got.AsOf, got.Readouts)
	if err != nil {
		return Preview{}, err
	}
	p := Preview{
		CycleID: got.CycleID, AccountID: accountID, Environment: got.Environment, Period: m.String(), AsOf: got.AsOf, Over: !got.AsOf.Before(got.End),
		Settled: !got.AsOf.Before(got.SettledAt), InputDigest: got.InputDigest, InvoiceHash: price.InvoiceHash, State: price.State, Reason: price.Reason,
		Currency: price.Currency, TotalMinor: price.TotalMinor, Lines: linesOf(got.Readouts, price.Rows), Buckets: got.Buckets, WaitsFor: price.WaitsFor,
		Accrual: price.Accrual, Contract: price.Contract, Interval: price.Interval,
	}
	p.Digest = p.digest()
	stored, ok, err := s.Stored(ctx, p.CycleID)
	if err != nil || !ok {
		return p, err
	}
	stored.Digest = stored.digest()
	c := Compare(stored, p)
	p.Compared, p.Frozen = &c, true
	return p, nil
}

func linesOf(readouts []lift.Readout, rows []billing.Row) []Line {
	priced := map[string]billing.Row{}
	for _, r := range rows {
		priced[r.SnapshotID] = r
	}
	out := []Line{}
	for _, r := range readouts {
		if r.SnapshotID == lift.SnapshotPooled {
			continue
		}
		row := priced[r.SnapshotID]
		l := Line{
			SnapshotID: r.SnapshotID, CaseID: r.CaseID, Verdict: "withheld", Units: int64(r.Estimate.Units), ObservedMinor: r.Estimate.SumMinor,
			MeasuredMinor: row.PointMinor, BaseMinor: row.DeltaMinor, FeeMinor: row.Fee,
		}
		if r.Verdict.Passed {
			l.Verdict = "passed"
		} else {
			l.HeadlineCode = string(r.Verdict.Headline)
		}
		out = append(out, l)
	}
	slices.SortFunc(out, func(a, b Line) int { return strings.Compare(a.SnapshotID, b.SnapshotID) })
	return out
}

// digest is over what a preview says, without when it was said.
func (p Preview) digest() string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s %s %d\n", p.CycleID, p.InputDigest, p.Currency, p.TotalMinor)
	for _, l := range p.Lines {
		l.CaseID = ""
		fmt.Fprintf(h, "%+v\n", l)
	}
	for _, b := range sorted(p.Buckets) {
		fmt.Fprintf(h, "%+v\n", b)
	}
	return hex.EncodeToString(h.Sum(nil))
}
