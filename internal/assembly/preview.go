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
	"github.com/liftbill/liftbill/app/trueups"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/period"
)

// Previews wires the steps of a cycle to what stores nothing.
func Previews(db *postgres.DB, clk clock.Clock, measuring *measure.Service, pricing *invoicing.Service, looking *trueups.Service, ledger *reconcile.Service) *preview.Service {
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
			due, err := looking.Preview(ctx, accountID, m, asOf)
			if err != nil {
				return preview.Priced{}, err
			}
			j, p, err := pricing.Preview(ctx, accountID, m, asOf, readouts, due)
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
		Revisions: func(ctx context.Context, cycleID string) ([]preview.Revision, error) {
			all, err := ledger.Revisions(ctx, cycleID)
			out := make([]preview.Revision, len(all))
			for i, r := range all {
				out[i] = preview.Revision{
					Number: r.Number, Superseded: r.Superseded, BegunAt: r.BegunAt, Actor: r.Actor, Reason: r.Reason, State: r.State, StateReason: r.StateReason,
					Stored: stored(cycleID, r.Lines, r.Buckets),
				}
				p := &out[i].Stored
				p.InputDigest, p.InvoiceHash, p.Currency, p.TotalMinor, p.State, p.AsOf = r.InputDigest, r.InvoiceHash, r.Currency, r.TotalMinor, r.State, r.Watermark
			}
			return out, err
		},
	}
}

// Changes asks previews whether a cycle would come to something else now.
func Changes(previews *preview.Service) invoicing.Changes { return changes{previews} }

type changes struct{ previews *preview.Service }

// Since implements invoicing.Changes.
func (c changes) Since(ctx context.Context, by access.Principal, accountID, month string) (bool, error) {
	p, err := c.previews.Run(ctx, by, accountID, month)
	return err == nil && (p.Compared == nil || !p.Compared.Equal), err
}

// storedPreview is a cycle as it stands, in the form of a preview.
func storedPreview(t reconcile.TieOut) preview.Preview {
	out := stored(t.ID, t.Lines, t.EveryBucket())
	out.InputDigest, out.InvoiceHash, out.Currency, out.TotalMinor, out.State, out.AsOf = t.InputDigest, t.InvoiceHash, t.Currency, t.EngineMinor, t.State, t.Watermark
	return out
}

// stored are the lines and buckets of a cycle in the form of a preview's.
func stored(cycleID string, lines []reconcile.Line, buckets []reconcile.BucketSum) preview.Preview {
	out := preview.Preview{CycleID: cycleID, Lines: []preview.Line{}, Buckets: []preview.Bucket{}}
	for _, l := range lines {
		out.Lines = append(out.Lines, preview.Line{
			SnapshotID: l.SnapshotID, CaseID: l.CaseID, Verdict: l.Verdict, HeadlineCode: l.HeadlineCode, Units: l.Units, ObservedMinor: l.ObservedMinor,
			MeasuredMinor: l.MeasuredMinor, BaseMinor: l.BaseMinor, FeeMinor: l.FeeMinor,
		})
	}
	for _, b := range buckets {
		out.Buckets = append(out.Buckets, preview.Bucket{Bucket: b.Bucket, SnapshotID: b.SnapshotID, Currency: b.Currency, AmountMinor: b.AmountMinor, Events: b.Events})
	}
	return out
}
