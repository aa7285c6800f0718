package postgres

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
)

// remeasured names the readouts behind the true-ups of a page: the one that the year was
// settled with, and the one that was measured with what came since.
func (r *Reader) remeasured(ctx context.Context, page []reconcile.Adjustment) error {
	var looks []string
	look := func(a reconcile.Adjustment) string {
		return strings.TrimSuffix(a.Key, "/"+a.OriginCycle+"/"+a.Line+"/"+a.Cause)
	}
	for _, a := range page {
		if a.SettlementCycle != "" {
			looks = append(looks, look(a))
		}
	}
	if len(looks) == 0 {
		return nil
	}
	var rows []struct{ TrueUpID, SnapshotID, CaseID, SettledCase string }
	err := r.db.gorm.WithContext(ctx).Raw(`SELECT m.true_up_id, m.snapshot_id, m.case_id, coalesce(r.case_id, '') AS settled_case
		FROM true_up_readouts m JOIN true_ups t ON t.id = m.true_up_id LEFT JOIN readouts r ON r.cycle_id = t.settlement_cycle AND r.snapshot_id = m.snapshot_id
		WHERE m.true_up_id = ANY (?::text[])`, wordsOf(looks)).Scan(&rows).Error
	if err != nil {
		return wrap(err)
	}
	cases := map[[2]string][2]string{}
	for _, row := range rows {
		cases[[2]string{row.TrueUpID, row.SnapshotID}] = [2]string{row.SettledCase, row.CaseID}
	}
	for i := range page {
		if a := &page[i]; a.SettlementCycle != "" {
			found := cases[[2]string{look(*a), a.Line}]
			a.SettledCase, a.RemeasuredCase = found[0], found[1]
		}
	}
	return nil
}

// remeasuredReadout loads a readout of a settled year that was measured again. Of it the
// manifest is stored alone: it is restored under the year's plan, which checks its case ID and
// judges it again.
func (r *Reader) remeasuredReadout(ctx context.Context, caseID string) (reconcile.Readout, error) {
	var row struct {
		CaseID, Manifest, PlanID, SettlementCycle, BookingCycle, AccountID, AccountName, Environment, SnapshotName, Currency string
		Number, Revision                                                                                                     int
		RecordedAt                                                                                                           time.Time
	}
	tx := r.db.gorm.WithContext(ctx)
	err := tx.Raw(`SELECT m.case_id, m.manifest, c.plan_id, t.settlement_cycle, t.booking_cycle, t.account_id, a.name AS account_name, t.environment,
			coalesce(s.name, 'All snapshots together') AS snapshot_name, k.terms::jsonb ->> 'currency' AS currency, t.number, c.revision, t.recorded_at
		FROM true_up_readouts m JOIN true_ups t ON t.id = m.true_up_id JOIN cycles c ON c.id = t.settlement_cycle JOIN contracts k ON k.id = c.contract_id JOIN accounts a ON a.id = t.account_id
		LEFT JOIN policy_snapshots s ON s.account_id = t.account_id AND s.id = m.snapshot_id
		WHERE m.case_id = ? ORDER BY t.number LIMIT 1`, caseID).Scan(&row).Error
	switch {
	case err != nil:
		return reconcile.Readout{}, wrap(err)
	case row.CaseID == "":
		return reconcile.Readout{}, fault.New(fault.NotFound, "readout_not_found", "there is no readout with the case ID %q", caseID)
	}
	plan, err := agreements{tx}.plan(ctx, row.PlanID)
	if err != nil {
		return reconcile.Readout{}, wrap(err)
	}
	m, err := lift.RestoreReadout([]byte(row.Manifest), row.CaseID, plan.Plan)
	if err != nil {
		return reconcile.Readout{}, err
	}
	var doc struct {
		Inputs lift.Inputs `json:"inputs"`
	}
	if err := json.Unmarshal([]byte(row.Manifest), &doc); err != nil {
		return reconcile.Readout{}, fault.Wrap(err, fault.Internal, "manifest_unreadable", "the manifest of case %s cannot be read", caseID)
	}
	res := m.Estimate.Result
	v := reconcile.Readout{
		CaseID: m.CaseID, PreviousCaseID: m.PreviousCaseID, CycleID: row.SettlementCycle, AccountID: row.AccountID, AccountName: row.AccountName, Environment: environmentOf(row.Environment),
		SnapshotID: m.SnapshotID, SnapshotName: row.SnapshotName, Period: m.Period.String(), Currency: strings.ToLower(row.Currency), Units: int64(m.Estimate.Units), HoldoutUnits: int64(res.Holdout),
		ObservedMinor: m.Estimate.SumMinor, Lift: res.T, Counterfactual: res.Counterfactual, SE: res.SE, VarianceCR: res.VCR, VarianceB: res.VB, Variance0: res.V0, IntervalLow: m.Low, IntervalHigh: m.High,
		Bound: m.Verdict.LCB, Z: m.Verdict.Z, ESS: res.ESS, Verdict: "withheld", HeadlineCode: string(m.Verdict.Headline), Explanation: m.Verdict.Sentence, PlanHash: plan.Plan.Hash(),
		Estimator: plan.Plan.Plan().EstimatorID, InputDigest: doc.Inputs.UnitDigest, Watermark: doc.Inputs.Watermark, Manifest: row.Manifest, Revision: row.Revision,
		TrueUp: &reconcile.ReadoutTrueUp{SettlementCycle: row.SettlementCycle, SettledCase: m.PreviousCaseID, BookedBy: row.BookingCycle, Look: row.Number, At: row.RecordedAt.UTC()},
	}
	if m.Verdict.Passed {
		v.Verdict = "passed"
	}
	for _, c := range m.Verdict.Checks {
		v.Checks = append(v.Checks, reconcile.Check{Code: string(c.Code), Status: string(c.Status), Value: c.Value, Threshold: c.Threshold, Explain: c.Explain})
	}
	return v, nil
}
