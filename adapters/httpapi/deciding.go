package httpapi

import (
	"context"

	"github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/domain/billing"
)

// SwitchWriting switches the writing of invoices on a connection.
func (s *Server) SwitchWriting(ctx context.Context, r SwitchWritingRequestObject) (SwitchWritingResponseObject, error) {
	conn, err := s.Connecting.SwitchWriting(ctx, access.From(ctx).Principal, r.ID, r.Body.On, r.Body.Reason)
	if err != nil {
		return nil, err
	}
	return SwitchWriting200JSONResponse(toConnection(conn)), nil
}

// NamePayer says who pays.
func (s *Server) NamePayer(ctx context.Context, r NamePayerRequestObject) (NamePayerResponseObject, error) {
	p, err := s.Onboard.NamePayer(ctx, access.From(ctx).Principal, onboard.PayerInput{
		AccountID: r.Account, Customer: r.Body.Customer, Name: r.Body.Name, Email: r.Body.Email, Reason: r.Body.Reason,
	})
	if err != nil {
		return nil, err
	}
	return NamePayer200JSONResponse{AccountID: p.Account.ID, Customer: p.Account.PayerCustomer, Wanted: p.Wanted}, nil
}

// CreatePayerSetupLink makes a page on which the payer enters a payment method.
func (s *Server) CreatePayerSetupLink(ctx context.Context, r CreatePayerSetupLinkRequestObject) (CreatePayerSetupLinkResponseObject, error) {
	link, err := s.Invoicing.SetupLink(ctx, access.From(ctx).Principal, invoicing.SetupRequest{
		AccountID: r.Account, SuccessURL: r.Body.SuccessURL, CancelURL: r.Body.CancelURL,
	})
	if err != nil {
		return nil, err
	}
	return CreatePayerSetupLink200JSONResponse{AccountID: link.AccountID, Customer: link.Customer, URL: link.URL, ExpiresAt: link.ExpiresAt}, nil
}

// ResumeCycle takes a cycle out of needs_human.
func (s *Server) ResumeCycle(ctx context.Context, r ResumeCycleRequestObject) (ResumeCycleResponseObject, error) {
	out, err := s.Invoicing.Resume(ctx, access.From(ctx).Principal, invoicing.Resumption{CycleID: r.ID, Reason: r.Body.Reason, Reissue: r.Body.Reissue})
	if err != nil {
		return nil, err
	}
	next := billing.NextAction(out.State, out.Reason)
	if next == "" {
		next = "Run the cycle again"
	}
	return ResumeCycle200JSONResponse{CycleID: out.CycleID, State: string(out.State), Reason: out.Reason, NextAction: next}, nil
}
