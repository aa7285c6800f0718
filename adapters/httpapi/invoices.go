package httpapi

import (
	"context"

	"github.com/liftbill/liftbill/app/reconcile"
)

// GetInvoice reads one invoice with all that became of it.
func (s *Server) GetInvoice(ctx context.Context, r GetInvoiceRequestObject) (GetInvoiceResponseObject, error) {
	d, err := s.Reconcile.Invoice(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	corrections, err := s.Corrections.CorrectionsOf(ctx, d.CycleID)
	if err != nil {
		return nil, err
	}
	out := toInvoiceDetail(d)
	out.Corrections = convertAll(corrections, toCorrection)
	return GetInvoice200JSONResponse(out), nil
}

func toInvoiceDetail(d reconcile.InvoiceDetail) InvoiceDetail {
	out := InvoiceDetail{
		Invoice: toInvoice(d.InvoiceRow), Environment: Environment(d.Environment), WritebackID: d.ID, Revision: d.Revision,
		InputDigest: d.InputDigest, ContractID: d.ContractID, ContractHash: d.ContractHash, PoNumber: d.Plan.PONumber, Metadata: map[string]string{},
		Lines: convertAll(d.Lines, func(l reconcile.InvoiceLine) InvoiceLine {
			return InvoiceLine{
				Line: l.Line, Kind: l.Kind, Description: l.Description, SnapshotID: l.Snapshot, CaseID: l.CaseID, ReadoutSha256: l.ReadoutDigest,
				Amount: toMoney(l.AmountMinor, d.Currency), StripeLineID: l.StripeID, StripeAmount: toOptional(l.StripeMinor, d.Currency),
				Difference: toOptional(overPlan(l), d.Currency),
			}
		}),
		Attempts: convertAll(d.Attempts, toAttempt),
		Charges: convertAll(d.Charges, func(c reconcile.InvoiceCharge) InvoiceCharge {
			return InvoiceCharge{
				ID: c.ID, Status: c.Status, FailureCode: c.FailureCode, PaymentMethod: c.PaymentMethod, CreatedAt: orZero(c.CreatedAt),
				Amount: toOptional(c.AmountMinor, c.Currency), Refunded: toOptional(c.RefundedMinor, c.Currency),
			}
		}),
		Disputes: convertAll(d.Disputes, func(x reconcile.InvoiceDispute) InvoiceDispute {
			return InvoiceDispute{
				ID: x.ID, ChargeID: x.ChargeID, Status: x.Status, Reason: x.Reason, CreatedAt: orZero(x.CreatedAt), EvidenceDueAt: orZero(x.EvidenceDueAt),
				Amount: toOptional(x.AmountMinor, x.Currency),
			}
		}),
	}
	for _, e := range d.Metadata() {
		out.Metadata[e.Key] = e.Value
	}
	return out
}

// overPlan is by how much a line at Stripe is over the planned one; nil before it was written.
func overPlan(l reconcile.InvoiceLine) *int64 {
	if l.StripeMinor == nil {
		return nil
	}
	by := *l.StripeMinor - l.AmountMinor
	return &by
}

func toAttempt(a reconcile.Attempt) Attempt {
	return Attempt{At: a.At, Operation: a.Operation, Outcome: a.Outcome, RequestID: a.RequestID}
}
