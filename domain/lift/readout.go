package lift

import (
	"time"

	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/period"
)

// ReadoutInput is what a readout is made of.
type ReadoutInput struct {
	AccountID  string
	ContractID string
	Period     period.Month
	Plan       SealedPlan
	Estimate   Estimate
	Evidence   Evidence
	Inputs     Inputs
	// PreviousCaseID chains to the readout of the same snapshot before; empty for the first.
	PreviousCaseID string
}

// Readout is the measured lift of one snapshot (or of all, pooled) in one
// period, contract year to date, with its verdict and its case ID.
type Readout struct {
	AccountID      string
	ContractID     string
	SnapshotID     string
	Period         period.Month
	Interval       period.Interval
	Estimate       Estimate
	Low, High      float64 // two-sided 95 % interval for display, minor units
	Verdict        Verdict
	CaseID         string
	PreviousCaseID string

	manifest []byte
	billable *Billable
}

// NewReadout judges the estimate, writes the manifest and derives the case ID.
// It depends on its input only: the same input gives the same ID anywhere.
func NewReadout(in ReadoutInput) (Readout, error) {
	if in.AccountID == "" || in.ContractID == "" || in.Estimate.SnapshotID == "" || in.Period.IsZero() || in.Plan.IsZero() {
		return Readout{}, fault.New(fault.Invalid, "readout_incomplete", "a readout needs an account, a contract, a snapshot, a period and a sealed plan")
	}
	if in.Inputs.Units != in.Estimate.Units || in.Inputs.SumMinor != in.Estimate.SumMinor {
		return Readout{}, fault.New(fault.Invalid, "readout_inputs", "the inputs describe %d units and %d minor units, the estimate %d and %d",
			in.Inputs.Units, in.Inputs.SumMinor, in.Estimate.Units, in.Estimate.SumMinor)
	}
	in.Evidence = in.Evidence.utc()
	in.Inputs.Watermark = in.Inputs.Watermark.UTC()
	v := Judge(in.Estimate, in.Evidence, in.Plan)
	m := Manifest{Schema: ManifestSchema, AccountID: in.AccountID, ContractID: in.ContractID, SnapshotID: in.Estimate.SnapshotID,
		Period: in.Period.String(), PlanHash: in.Plan.Hash(), EstimatorID: in.Plan.plan.EstimatorID, PreviousCaseID: in.PreviousCaseID,
		Inputs: in.Inputs, Evidence: in.Evidence, Refusal: in.Estimate.Refusal,
		Judgement: Judgement{Z: v.Z, LCB: Hex(v.LCB), PointMinor: v.PointMinor, BoundMinor: v.BoundMinor, RoundingEdge: v.RoundingEdge,
			Headline: v.Headline, Sentence: v.Sentence, Checks: v.Checks}}
	if !in.Estimate.Refused() {
		m.Result, m.Moments = FiguresOf(in.Estimate.Result), in.Estimate.Moments
		if in.Estimate.Uncapped != nil {
			m.Uncapped = FiguresOf(*in.Estimate.Uncapped)
		}
		if in.Estimate.Placebo != nil {
			m.Placebo = FiguresOf(*in.Estimate.Placebo)
		}
	}
	raw, err := Canonical(m)
	if err != nil {
		return Readout{}, err
	}
	r := Readout{AccountID: in.AccountID, ContractID: in.ContractID, SnapshotID: in.Estimate.SnapshotID, Period: in.Period,
		Interval: period.Interval{Start: in.Evidence.PeriodStart, End: in.Evidence.PeriodEnd}, Estimate: in.Estimate,
		Verdict: v, CaseID: CaseIDOf(raw), PreviousCaseID: in.PreviousCaseID, manifest: raw}
	if !in.Estimate.Refused() {
		r.Low, r.High = in.Estimate.Interval()
	}
	if b, ok := v.Billable(); ok {
		b.caseID = r.CaseID
		r.billable = &b
	}
	return r, nil
}

// RestoreReadout rebuilds a readout from its stored manifest. It checks the case
// ID and the plan, judges again and refuses a manifest that does not come out
// the same; so a stored verdict cannot be edited into a permission to bill.
func RestoreReadout(manifest []byte, caseID string, plan SealedPlan) (Readout, error) {
	if got := CaseIDOf(manifest); got != caseID {
		return Readout{}, fault.New(fault.Conflict, "case_id_mismatch", "the stored manifest has the case ID %s, not %s", got, caseID)
	}
	var m Manifest
	if err := strictUnmarshal(manifest, &m); err != nil {
		return Readout{}, err
	}
	if m.Schema != ManifestSchema || m.PlanHash != plan.Hash() {
		return Readout{}, fault.New(fault.Conflict, "plan_hash_mismatch", "the manifest of %s belongs to plan %s, not to %s", caseID, m.PlanHash, plan.Hash())
	}
	if (m.Refusal == "") == (m.Result == nil) {
		return Readout{}, fault.New(fault.Invalid, "document_malformed", "the manifest of %s has neither a result nor a refusal, or both", caseID)
	}
	month, err := period.Parse(m.Period)
	if err != nil {
		return Readout{}, err
	}
	e := Estimate{SnapshotID: m.SnapshotID, Units: m.Inputs.Units, SumMinor: m.Inputs.SumMinor, Refusal: m.Refusal}
	if m.Result != nil {
		e.Result, e.Moments = m.Result.result(), m.Moments
	}
	if m.Uncapped != nil {
		r := m.Uncapped.result()
		e.Uncapped = &r
	}
	if m.Placebo != nil {
		r := m.Placebo.result()
		e.Placebo = &r
	}
	again, err := NewReadout(ReadoutInput{AccountID: m.AccountID, ContractID: m.ContractID, Period: month, Plan: plan,
		Estimate: e, Evidence: m.Evidence, Inputs: m.Inputs, PreviousCaseID: m.PreviousCaseID})
	if err != nil {
		return Readout{}, err
	}
	if again.CaseID != caseID {
		return Readout{}, fault.New(fault.Conflict, "verdict_mismatch", "judging the stored figures of %s again gives another verdict", caseID)
	}
	return again, nil
}

// ManifestJSON is a copy of the canonical manifest.
func (r Readout) ManifestJSON() []byte { return append([]byte(nil), r.manifest...) }

// Billable is the permission to bill this readout, bearing its case ID.
func (r Readout) Billable() (Billable, bool) {
	if r.billable == nil {
		return Billable{}, false
	}
	return *r.billable, true
}

// utc puts every instant into UTC, so that the same instant is the same text.
func (e Evidence) utc() Evidence {
	e.PeriodStart, e.PeriodEnd = e.PeriodStart.UTC(), e.PeriodEnd.UTC()
	for _, p := range []**time.Time{&e.PlanDue, &e.SourceWatermark} {
		if *p != nil {
			t := (*p).UTC()
			*p = &t
		}
	}
	return e
}
