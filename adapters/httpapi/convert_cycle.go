package httpapi

import (
	"time"

	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/billing"
)

func toCycle(c reconcile.CycleSummary) Cycle {
	return Cycle{
		ID: c.ID, AccountID: c.AccountID, AccountName: c.AccountName, Environment: Environment(c.Environment), Mode: c.Mode(),
		Period: c.Period, PeriodStart: c.PeriodStart, PeriodEnd: c.PeriodEnd, TimeZone: c.TimeZone, Basis: c.Basis,
		State: string(c.State), Reason: c.Reason, NextAction: c.NextAction, Currency: c.Currency,
		Lift: toMoney(c.LiftMinor, c.Currency), Lines: c.Lines, WithheldLines: c.WithheldLines,
		ContractID: c.ContractID, ContractVersion: c.ContractVersion, Revision: c.Revision, TrueUps: toMoney(c.TrueUpMinor, c.Currency),
		EngineTotal: toMoney(c.EngineMinor, c.Currency), StripeTotal: toOptional(c.StripeMinor, c.Currency),
		Difference: toOptional(c.DifferenceMinor, c.Currency), StripeInvoiceID: c.StripeInvoiceID,
		InvoiceNumber: c.InvoiceNumber, Payment: toPayment(c.Payment, c.Currency), WorkflowID: c.WorkflowID, UpdatedAt: c.UpdatedAt,
	}
}

func toInvoice(i reconcile.InvoiceRow) Invoice {
	return Invoice{
		StripeInvoiceID: i.InvoiceID, Number: i.Number, CycleID: i.CycleID, AccountID: i.AccountID, Period: i.Period,
		State: string(i.CycleState), WritebackState: i.State, IssuerConnection: i.Issuer, Payer: i.Payer, PlanHash: i.PlanHash, EvidenceDigest: i.EvidenceDigest, FinalizedAt: orZero(i.FinalizedAt),
		Lines: i.Lines, Attempts: i.Attempts, EngineTotal: toMoney(i.EngineMinor, i.Currency), StripeTotal: toOptional(i.StripeMinor, i.Currency),
		Difference: toOptional(i.DifferenceMinor, i.Currency), Payment: toPayment(i.Payment, i.Currency),
	}
}

// toPayment leaves out what is not known; an invoice that is not finalized has none.
func toPayment(p *billing.Payment, currency string) Payment {
	if p == nil {
		return Payment{}
	}
	out := Payment{
		Status: p.Status, AmountDue: toOptional(p.DueMinor, currency), AmountPaid: toOptional(p.PaidMinor, currency),
		AmountRemaining: toOptional(p.RemainingMinor, currency), Attempts: p.Attempts, SeenAt: p.SeenAt, HostedURL: p.HostedURL, PdfURL: p.PDFURL,
		NextAttemptAt: orZero(p.NextAttemptAt), DueAt: orZero(p.DueAt), PaidAt: orZero(p.PaidAt), VoidedAt: orZero(p.VoidedAt), UncollectibleAt: orZero(p.GivenUpAt),
	}
	if p.OutOfBandMinor != 0 {
		out.OutOfBand = toMoney(p.OutOfBandMinor, currency)
	}
	return out
}

// orZero is the zero time for none, which is left out.
func orZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

func toTieOut(t reconcile.TieOut, run billing.RunState) TieOut {
	facts := t.Facts(run)
	t.NextAction = billing.NextActionOf(facts)
	out := TieOut{
		Cycle: toCycle(t.CycleSummary), ContractID: t.ContractID, ContractHash: t.ContractHash, Share: t.Share, Terms: append([]string{}, t.Terms...), Phase: t.Phase,
		PlanID: t.PlanID, PlanHash: t.PlanHash, Watermark: t.Watermark, InputDigest: t.InputDigest,
		PaidRevenue: toMoney(t.PaidRevenueMinor, t.Currency), StripeNet: toOptional(t.StripeNetMinor, t.Currency),
		Buckets: convertAll(t.Buckets, toBucket), OtherCurrencies: convertAll(t.Others, func(o reconcile.OtherRevenue) OtherCurrency {
			return OtherCurrency{
				Currency: o.Currency, Sum: toMoney(o.SumMinor(), o.Currency), Buckets: convertAll(o.Buckets, toBucket),
				PaidRevenue: toOptional(o.PaidMinor, o.Currency), StripeNet: toOptional(o.StripeMinor, o.Currency),
			}
		}),
		Lines: convertAll(t.Lines, func(l reconcile.Line) Line { return toLine(l, t.Currency) }),
		Charges: convertAll(t.Charges, func(c reconcile.Charge) Charge {
			return Charge{
				Line: c.Line, Kind: c.Kind, Description: c.Description, Amount: toMoney(c.AmountMinor, t.Currency), Invoiced: toMoney(c.BilledMinor, t.Currency),
				SnapshotID: c.SnapshotID, Quantity: c.Quantity, Origin: c.Origin, StripeLineID: c.StripeLineID, StripeAmount: toOptional(c.StripeMinor, t.Currency),
			}
		}),
		Steps: convertAll(t.Steps, func(s reconcile.Step) Step {
			return Step{Number: s.Number, Name: s.Name, SnapshotID: s.SnapshotID, Formula: s.Formula, Inputs: s.Inputs, Result: s.Result}
		}),
		Warnings: convertAll(t.Warnings, func(w reconcile.Warning) Warning {
			return Warning{Code: w.Code, Message: w.Message, Count: w.Count}
		}),
		Attempts:    convertAll(t.Attempts, toAttempt),
		InvoiceHash: t.InvoiceHash, Reminders: t.Reminders,
		Decisions: convertAll(t.Decisions, func(d reconcile.Decision) CycleDecision {
			return CycleDecision{ID: d.ID, Action: d.Action, InvoiceHash: d.InvoiceHash, Amount: toMoney(d.AmountMinor, t.Currency), Actor: d.Actor, Reason: d.Reason, At: d.At}
		}),
		Actions: decisionsAmong(billing.NextSteps(facts)), NextSteps: convertAll(billing.NextSteps(facts), func(s billing.NextStep) string { return string(s) }), Run: string(run),
		Revision: t.Revision, Revisions: convertAll(t.Revisions, toRevision), DraftLeft: t.AtStripe.Leftover,
		PooledCaseID: t.PooledCaseID, CaseIds: append([]string{}, t.CaseIDs...),
		HostedURL: t.HostedURL, PdfURL: t.PDFURL, StripeStatus: t.StripeStatus,
	}
	out.FinalizedAt, out.RequiresPerson = orZero(t.FinalizedAt), t.RequiresPerson
	if t.Tied != nil {
		out.TieOut = TieOutResult{
			Kind: string(t.Tied.Kind), At: t.TiedAt, Breaks: t.Tied.Breaks(),
			Checks: convertAll(t.Tied.Checks, func(c billing.TieOutCheck) TieOutCheck {
				return TieOutCheck{What: c.What, Ours: c.Ours, Theirs: c.Theirs, Equal: c.Equal}
			}),
		}
	}
	if t.WaitingUntil != nil {
		out.WaitingUntil = *t.WaitingUntil
	}
	return out
}

func toBucket(b reconcile.BucketSum) Bucket {
	return Bucket{Bucket: b.Bucket, SnapshotID: b.SnapshotID, Amount: toMoney(b.AmountMinor, b.Currency), Events: b.Events}
}

func decisionsAmong(steps []billing.NextStep) []string {
	out := []string{}
	for _, s := range steps {
		if a, ok := s.Decision(); ok {
			out = append(out, string(a))
		}
	}
	return out
}

func toLine(l reconcile.Line, currency string) Line {
	return Line{
		SnapshotID: l.SnapshotID, SnapshotName: l.SnapshotName, CaseID: l.CaseID, Billed: l.Billed, Verdict: l.Verdict,
		HeadlineCode: l.HeadlineCode, Explanation: l.Explanation, Units: l.Units, HoldoutUnits: l.HoldoutUnits,
		Observed: toMoney(l.ObservedMinor, currency), Measured: toMoney(l.MeasuredMinor, currency), Bound: toMoney(l.BoundMinor, currency),
		HighWaterFrom: toMoney(l.HighWaterFrom, currency), HighWaterTo: toMoney(l.HighWaterTo, currency),
		Base: toMoney(l.BaseMinor, currency), Deferred: toMoney(l.DeferredMinor, currency), Waived: toMoney(l.WaivedMinor, currency),
		Fee: toMoney(l.FeeMinor, currency), Invoiced: toMoney(l.BilledMinor, currency),
		StripeLineID: l.StripeLineID, StripeAmount: toOptional(l.StripeMinor, currency),
	}
}
