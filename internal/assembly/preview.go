package assembly

import (
	"context"
	"time"

	"github.com/liftbill/liftbill/adapters/postgres"
	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/app/measure"
	"github.com/liftbill/liftbill/app/preview"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/period"
)

// Previews wires the steps of a cycle to what stores nothing.
func Previews(db *postgres.DB, clk clock.Clock, measuring *measure.Service, pricing *invoicing.Service, ledger *reconcile.Service) *preview.Service {
	return &preview.Service{
		Clock: clk,
		Environment: func(ctx context.Context, accountID string) (account.Environment, error) {
			acc, err := db.Account(ctx, accountID)
			return acc.Environment, err
		},
		Measure: func(ctx context.Context, accountID string, m period.Month) (preview.Measured, error) {
			got, err := measuring.Preview(ctx, accountID, m)
			out := preview.Measured{
				CycleID: got.Cycle.ID, Environment: got.Cycle.Account.Environment, AsOf: got.Watermark, End: got.Cycle.Interval.End, SettledAt: got.SettledAt,
				InputDigest: got.InputDigest, Readouts: got.Readouts,
			}
			for _, b := range got.Buckets {
				out.Buckets = append(out.Buckets, preview.Bucket{Bucket: b.Name, SnapshotID: b.SnapshotID, Currency: b.Currency, AmountMinor: b.SumMinor, Events: b.Events})
			}
			return out, err
		},
		Price: func(ctx context.Context, accountID string, m period.Month, asOf time.Time, readouts []lift.Readout) (preview.Priced, error) {
			j, p, err := pricing.Preview(ctx, accountID, m, asOf, readouts)
			if err != nil {
				return preview.Priced{}, err
			}
			accrued, err := billing.Accrue(j.BillInput())
			if err != nil {
				return preview.Priced{}, err
			}
			return preview.Priced{
				Accrual: accrued, Contract: j.Contract, Interval: j.Interval,
				InvoiceHash: p.Plan.Hash(), State: p.Next, Reason: p.Reason, Currency: string(j.Contract.Terms.Currency), TotalMinor: p.Priced.Total.Minor(),
				Rows: p.Priced.Rows, WaitsFor: j.OpenBefore,
			}, nil
		},
		Stored: func(ctx context.Context, cycleID string) (preview.Preview, bool, error) {
			t, err := ledger.TieOut(ctx, cycleID)
			if fault.Is(err, fault.NotFound) || (err == nil && t.Watermark.IsZero()) {
				return preview.Preview{}, false, nil
			}
			return storedPreview(t), true, err
		},
	}
}

// storedPreview is a cycle as it stands, in the form of a preview.
func storedPreview(t reconcile.TieOut) preview.Preview {
	out := preview.Preview{CycleID: t.ID, InputDigest: t.InputDigest, InvoiceHash: t.InvoiceHash, Currency: t.Currency, TotalMinor: t.EngineMinor, State: t.State, AsOf: t.Watermark}
	for _, l := range t.Lines {
		out.Lines = append(out.Lines, preview.Line{
			SnapshotID: l.SnapshotID, CaseID: l.CaseID, Verdict: l.Verdict, HeadlineCode: l.HeadlineCode, Units: l.Units, ObservedMinor: l.ObservedMinor,
			MeasuredMinor: l.MeasuredMinor, BaseMinor: l.BaseMinor, FeeMinor: l.FeeMinor,
		})
	}
	for _, b := range t.Buckets {
		out.Buckets = append(out.Buckets, preview.Bucket{Bucket: b.Bucket, SnapshotID: b.SnapshotID, Currency: b.Currency, AmountMinor: b.AmountMinor, Events: b.Events})
	}
	return out
}
