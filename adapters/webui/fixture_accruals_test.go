package webui_test

import (
	"context"
	"time"

	"github.com/liftbill/liftbill/app/accrual"
	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/period"
)

func (l *ledger) SnapshotDetail(_ context.Context, accountID, id string) (reconcile.SnapshotDetail, error) {
	if accountID == "acme" && id == "fresh-1" {
		return reconcile.SnapshotDetail{Snapshot: reconcile.Snapshot{AccountID: "acme", AccountName: "Acme Inc.", Environment: account.Live, ID: id, Name: "Fresh", ShippedAt: now}}, nil
	}
	if accountID != "acme" || id != "trial-nudge-7" {
		return reconcile.SnapshotDetail{}, fault.New(fault.NotFound, "snapshot_not_found", "account %s has no snapshot %q", accountID, id)
	}
	month := func(period, verdict, headline string, lift float64, mark int64) reconcile.SnapshotMonth {
		return reconcile.SnapshotMonth{
			Period: period, CycleID: "acme.2026-10", CaseID: caseGood, Verdict: verdict, Headline: headline, Currency: "usd", Explanation: "Words of " + period + ".", Units: 6_000, HoldoutUnits: 2_994,
			Lift: lift, Bound: lift / 2, ESS: 2_994, BaseMinor: mark, FeeMinor: mark / 5, MarkMinor: mark,
		}
	}
	d := reconcile.SnapshotDetail{
		Snapshot:  reconcile.Snapshot{AccountID: "acme", AccountName: "Acme Inc.", Environment: account.Live, ID: id, Name: "Trial nudge, version 7", ShippedAt: now.AddDate(0, -9, 0), Period: "2026-10", CaseID: caseGood, Verdict: "passed", Currency: "usd", Readouts: 2, BilledMinor: ptr[int64](2_060_250), FeeMinor: ptr[int64](412_050)},
		Decisions: 10_800, First: ptr(now.AddDate(0, -1, 0)), Last: ptr(now.Add(-time.Hour)), Sampled: 10_800,
		Months:       []reconcile.SnapshotMonth{month("2026-10", "passed", "", 2_060_250.7, 2_060_250), month("2026-09", "withheld", "LCB_NOT_POSITIVE", 1_000, 0)},
		Refused:      []reconcile.RefusedEdit{{At: now.Add(-time.Hour), Action: "snapshot.shipped", Actor: "Ada Byron", Reason: "snapshot_exists", Before: `{"name":"Trial nudge, version 7"}`, After: `{"name":"Something else"}`}},
		Propensities: []reconcile.PropensityCount{{Holdout: true, From: 0.2, Decisions: 2_000}, {From: 0.7, Decisions: 8_000}, {From: 0.8, Decisions: 800}},
	}
	if l.retired {
		d.RetiredAt, d.RetiredReason, d.RetiredBy, d.Late = ptr(now.Add(-24*time.Hour)), "replaced by version 8", "user:ada", 12
	}
	return d, nil
}

func (l *ledger) ShipSnapshot(_ context.Context, _ access.Principal, accountID string, in onboard.SnapshotInput) (onboard.Snapshot, bool, error) {
	l.shipped = append(l.shipped, accountID+" "+in.ID+" "+in.Name)
	return onboard.Snapshot{}, true, l.refusal
}

func (l *ledger) RetireSnapshot(_ context.Context, _ access.Principal, accountID string, in onboard.RetirementInput) (onboard.Retirement, bool, error) {
	l.shipped = append(l.shipped, accountID+" "+in.SnapshotID+" retired "+in.Reason+" "+in.RetiredAt.Format(time.RFC3339))
	return onboard.Retirement{}, true, l.refusal
}

func (l *ledger) Accruals(_ context.Context, f accrual.Filter) (accrual.Page, error) {
	l.accrualsAsked = f
	page := accrual.Page{NextCursor: l.more(f.Cursor)}
	items := l.accruals
	if f.Cursor != "" && f.Cursor == l.next {
		items = l.accrualsNext
	}
	for _, a := range items {
		final := a.State.Terminal()
		if (f.AccountID == "" || f.AccountID == a.AccountID) && (f.Period == "" || f.Period == a.Period) && (f.Environment == "" || f.Environment == string(a.Environment)) && (f.Closed == "" || (f.Closed == "closed") == final) {
			page.Items = append(page.Items, a)
		}
	}
	return page, l.err
}

func (l *ledger) Run(_ context.Context, _ access.Principal, accountID, month string) (accrual.Accrual, error) {
	l.accrueAsked = accountID + " " + month
	return accrual.Accrual{AccountID: accountID, Period: month}, l.refusal
}

// accrualsOf are those of an open and of a final month.
func accrualsOf() []accrual.Accrual {
	a := accrual.Accrual{
		AccountID: "acme", AccountName: "Acme Inc.", Environment: account.Live, Period: "2026-11", TimeZone: "Europe/Berlin", Run: "night/2026-11-04", AsOf: now.Add(-7 * time.Hour), By: "system:accruals",
		Interval: period.Interval{Start: time.Date(2026, 10, 31, 23, 0, 0, 0, time.UTC), End: time.Date(2026, 11, 30, 23, 0, 0, 0, time.UTC)}, WaitsFor: []string{}, Digest: "41aa", InputDigest: "0c7e",
		Accrual: billing.Accrual{Currency: "usd", Phase: billing.PhaseFull, Low: billing.Accrued{PerformanceMinor: 12_000, FixedMinor: 5_000}, Expected: billing.Accrued{PerformanceMinor: 20_000, FixedMinor: 5_000}, HighMinor: 33_000},
	}
	b := a
	b.Period, b.Over, b.State, b.RealisedMinor, b.AsOf = "2026-10", true, billing.Invoiced, ptr[int64](412_050), now.AddDate(0, 0, -3)
	b.Interval = period.Interval{Start: time.Date(2026, 9, 30, 22, 0, 0, 0, time.UTC), End: a.Interval.Start}
	b.Low, b.Expected, b.HighMinor = billing.Accrued{PerformanceMinor: 310_000}, billing.Accrued{PerformanceMinor: 400_000}, 500_000
	c := a
	c.AccountID, c.AccountName, c.Currency, c.Held = "northwind", "Northwind Traders", "eur", billing.HeldBelowMinimum
	return []accrual.Accrual{a, c, b}
}

func (l *ledger) Snapshots(_ context.Context, f reconcile.SnapshotsFilter) (reconcile.Page[reconcile.Snapshot], error) {
	return reconcile.Page[reconcile.Snapshot]{NextCursor: l.more(f.Cursor), Items: []reconcile.Snapshot{
		{AccountID: "acme", AccountName: "Acme Inc.", Environment: account.Live, ID: "trial-nudge-7", Name: "Trial nudge, version 7", ShippedAt: now.AddDate(0, -9, 0), Period: "2026-12-settlement", CaseID: caseGood, Verdict: "passed", Currency: "usd", Readouts: 10, BilledMinor: ptr[int64](2_060_250), FeeMinor: ptr[int64](412_050)},
		{AccountID: "acme", AccountName: "Acme Inc.", Environment: account.Live, ID: "fresh-1", Name: "Fresh", ShippedAt: now},
	}}, l.err
}
