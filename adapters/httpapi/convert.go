package httpapi

import (
	"encoding/json"
	"fmt"
	"math"

	"github.com/liftbill/liftbill/app/customers"
	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/money"
)

// toMoney shows minor units. A currency that is not in the table (no row yet)
// shows the plain number rather than nothing.
func toMoney(minor int64, currency string) Money {
	a, err := money.New(minor, money.Currency(currency))
	if err != nil {
		return Money{Minor: minor, Currency: currency, Formatted: fmt.Sprint(minor)}
	}
	return Money{Minor: minor, Currency: currency, Formatted: a.String()}
}

// toOptional leaves an unknown amount out.
func toOptional(minor *int64, currency string) Money {
	if minor == nil {
		return Money{}
	}
	return toMoney(*minor, currency)
}

// finite is null in JSON for a number that JSON can't write.
func finite(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

func toConnection(c account.Connection) Connection {
	return Connection{
		ID: c.ID, Environment: Environment(c.Environment), Roles: append([]string{}, c.Roles.Names()...), StripeAccountID: c.StripeAccountID,
		PublishableKey: c.PublishableKey, UserIDKey: c.UserIDKey, KeyMask: c.KeyMask,
		Paused: c.Paused, PausedReason: c.PausedReason, PausedBy: c.PausedBy, PausedAt: c.PausedAt, WriteBackOff: c.WriteBackOff,
	}
}

func toOverview(o reconcile.Overview) AccountOverview {
	out := AccountOverview{
		ID: o.ID, Environment: Environment(o.Environment), Name: o.Name,
		SourceConnection: o.SourceConnection, IssuerConnection: o.IssuerConnection, PayerCustomer: o.PayerCustomer,
		ContractID: o.ContractID, PlanID: o.PlanID, Snapshots: o.Snapshots, HasDecisions: o.HasDecisions,
		HasEvents: o.HasEvents, PendingEvents: o.PendingEvents, DeadEvents: o.DeadEvents, Figures: toFigures(o.Figures),
	}
	if o.LastEventAt != nil {
		out.LastEventAt = *o.LastEventAt
	}
	if risk, err := lift.KnownRisk(o.Rule()); err == nil { // no contract has no rule
		out.Basis, out.Settlement, out.KnownRisk = string(risk.Rule.Basis), string(risk.Rule.Settlement), toKnownRisk(risk)
	}
	return out
}

func toFigures(f reconcile.AccountFigures) AccountFigures {
	out := AccountFigures{
		RevenuePeriod: f.Period, Invoices: f.Invoices, Decisions: f.Decisions, CountedAt: orZero(f.CountedAt),
		Worth: convertAll(f.Worth, func(w reconcile.Worth) Worth {
			return Worth{
				Currency: w.Currency, Mrr: w.MRR.String(), NetMrr: w.NetMRR.String(), Arr: customers.Annual(w.MRR).String(), NetArr: customers.Annual(w.NetMRR).String(), Unknown: w.Unknown, Undiscounted: w.Undiscounted,
			}
		}),
	}
	if f.Period != "" {
		out.Revenue = toMoney(f.RevenueMinor, f.Currency)
	}
	return out
}

func toPlan(p onboard.StoredPlan) (Plan, error) {
	out := Plan{ID: p.ID, AccountID: p.AccountID, Environment: Environment(p.Environment), Hash: p.Plan.Hash(), SealedAt: p.Plan.At()}
	if err := json.Unmarshal(p.Plan.JSON(), &out.Plan); err != nil {
		return Plan{}, fmt.Errorf("decode sealed plan %s: %w", p.ID, err)
	}
	return out, nil
}

func toCheck(c reconcile.Check) Check {
	return Check{Code: c.Code, Status: c.Status, Value: c.Value, Threshold: c.Threshold, Explain: c.Explain}
}

func toReadout(r reconcile.Readout) Readout {
	return Readout{
		CaseID: r.CaseID, PreviousCaseID: r.PreviousCaseID, CycleID: r.CycleID, AccountID: r.AccountID, AccountName: r.AccountName,
		Environment: Environment(r.Environment), SnapshotID: r.SnapshotID, SnapshotName: r.SnapshotName, Period: r.Period,
		Currency: r.Currency, Units: r.Units, HoldoutUnits: r.HoldoutUnits, Observed: toMoney(r.ObservedMinor, r.Currency),
		Estimate: Estimate{
			Lift: finite(r.Lift), Counterfactual: finite(r.Counterfactual), StandardError: finite(r.SE),
			VarianceClusterRobust: finite(r.VarianceCR), VarianceBaseline: finite(r.VarianceB), VarianceNoEffect: finite(r.Variance0),
			IntervalLow: finite(r.IntervalLow), IntervalHigh: finite(r.IntervalHigh), Bound: finite(r.Bound),
			Z: r.Z, EffectiveSampleSize: finite(r.ESS),
		},
		Verdict: r.Verdict, HeadlineCode: r.HeadlineCode, Explanation: r.Explanation, Checks: convertAll(r.Checks, toCheck),
		PlanHash: r.PlanHash, Estimator: r.Estimator, InputDigest: r.InputDigest, Watermark: r.Watermark,
		Revision: r.Revision, Superseded: r.Superseded, Revisions: convertAll(r.Revisions, toRevision),
		Billed: r.Billed, Base: toMoney(r.BaseMinor, r.Currency), Fee: toMoney(r.FeeMinor, r.Currency), TrueUp: toReadoutTrueUp(r.TrueUp),
	}
}

func toReadoutTrueUp(t *reconcile.ReadoutTrueUp) ReadoutTrueUp {
	if t == nil {
		return ReadoutTrueUp{}
	}
	return ReadoutTrueUp{SettlementCycleID: t.SettlementCycle, SettledCaseID: t.SettledCase, BookingCycleID: t.BookedBy, Look: t.Look, At: t.At}
}
