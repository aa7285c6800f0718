package httpapi

import (
	"context"

	"github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/domain/billing"
)

// ListCorrections lists the corrections of a cycle's invoice.
func (s *Server) ListCorrections(ctx context.Context, r ListCorrectionsRequestObject) (ListCorrectionsResponseObject, error) {
	all, err := s.Corrections.CorrectionsOf(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	return ListCorrections200JSONResponse{Items: convertAll(all, toCorrection)}, nil
}

// ProposeCorrection says what is wrong with a finalized invoice.
func (s *Server) ProposeCorrection(ctx context.Context, r ProposeCorrectionRequestObject) (ProposeCorrectionResponseObject, error) {
	c, err := s.Corrections.ProposeCorrection(ctx, access.From(ctx).Principal, invoicing.Wanted{
		CycleID: r.ID, Reason: r.Body.Reason, Void: r.Body.Void, Line: r.Body.Line, TooMuchMinor: r.Body.TooMuchMinor, NextCycle: r.Body.NextCycle,
	})
	if err != nil {
		return nil, err
	}
	return ProposeCorrection201JSONResponse(toCorrection(c)), nil
}

// ApproveCorrection lets a correction be carried out.
func (s *Server) ApproveCorrection(ctx context.Context, r ApproveCorrectionRequestObject) (ApproveCorrectionResponseObject, error) {
	c, err := s.Corrections.ApproveCorrection(ctx, access.From(ctx).Principal, billing.CorrectionID(r.ID, r.Number))
	if err != nil {
		return nil, err
	}
	return ApproveCorrection200JSONResponse(toCorrection(c)), nil
}

// WithdrawCorrection takes a proposed correction back.
func (s *Server) WithdrawCorrection(ctx context.Context, r WithdrawCorrectionRequestObject) (WithdrawCorrectionResponseObject, error) {
	c, err := s.Corrections.WithdrawCorrection(ctx, access.From(ctx).Principal, billing.CorrectionID(r.ID, r.Number), r.Body.Reason)
	if err != nil {
		return nil, err
	}
	return WithdrawCorrection200JSONResponse(toCorrection(c)), nil
}

// RetryCorrection lets a stopped correction be tried again.
func (s *Server) RetryCorrection(ctx context.Context, r RetryCorrectionRequestObject) (RetryCorrectionResponseObject, error) {
	c, err := s.Corrections.RetryCorrection(ctx, access.From(ctx).Principal, billing.CorrectionID(r.ID, r.Number), r.Body.Reason)
	if err != nil {
		return nil, err
	}
	return RetryCorrection200JSONResponse(toCorrection(c)), nil
}

func toCorrection(c invoicing.Correction) Correction {
	return Correction{
		Number: c.Number, CycleID: c.CycleID, StripeInvoiceID: c.InvoiceID, Kind: string(c.Kind), Effect: c.Kind.Effect(), Line: c.Line,
		TooMuch: toMoney(c.AmountMinor, c.Currency), Reason: c.Reason, State: string(c.State), Detail: c.Detail, ProposedBy: c.ProposedBy,
		ProposedAt: c.ProposedAt, ApprovedBy: c.ApprovedBy, CreditNoteID: c.StripeID,
	}
}
