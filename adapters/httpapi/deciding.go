package httpapi

import (
	"context"

	"github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/app/preview"
	"github.com/liftbill/liftbill/app/reconcile"
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

// DecideCycle approves, holds, releases, returns or skips a cycle.
func (s *Server) DecideCycle(ctx context.Context, r DecideCycleRequestObject) (DecideCycleResponseObject, error) {
	out, err := s.Deciding.Decide(ctx, access.From(ctx).Principal, invoicing.Wish{
		CycleID: r.ID, Action: billing.DecisionAction(r.Body.Action), PlanHash: r.Body.InvoiceHash, Reason: r.Body.Reason,
	})
	if err != nil {
		return nil, err
	}
	return DecideCycle200JSONResponse{
		CycleID: out.CycleID, State: string(out.State), Reason: out.Reason, NextAction: out.NextAction(), DecisionID: out.DecisionID, Delivered: out.Delivered,
	}, nil
}

// RunCycle starts a cycle.
func (s *Server) RunCycle(ctx context.Context, r RunCycleRequestObject) (RunCycleResponseObject, error) {
	out, err := s.Deciding.Start(ctx, access.From(ctx).Principal, r.Account, r.Body.Period)
	if err != nil {
		return nil, err
	}
	return RunCycle200JSONResponse{CycleID: out.CycleID, WorkflowID: out.WorkflowID, Already: out.Already}, nil
}

// PreviewCycle computes what a cycle would come to now.
func (s *Server) PreviewCycle(ctx context.Context, r PreviewCycleRequestObject) (PreviewCycleResponseObject, error) {
	p, err := s.Previews.Run(ctx, access.From(ctx).Principal, r.Account, r.Body.Period)
	if err != nil {
		return nil, err
	}
	return PreviewCycle200JSONResponse(toPreview(p)), nil
}

func toPreview(p preview.Preview) Preview {
	out := Preview{
		CycleID: p.CycleID, Environment: Environment(p.Environment), Period: p.Period, AsOf: p.AsOf, Over: p.Over, Settled: p.Settled, InputDigest: p.InputDigest,
		InvoiceHash: p.InvoiceHash, Digest: p.Digest, State: string(p.State), Reason: p.Reason, Total: toMoney(p.TotalMinor, p.Currency), WaitsFor: append([]string{}, p.WaitsFor...),
		Lines: convertAll(p.Lines, func(l preview.Line) PreviewLine {
			return PreviewLine{
				SnapshotID: l.SnapshotID, CaseID: l.CaseID, Verdict: l.Verdict, HeadlineCode: l.HeadlineCode, Units: l.Units, Observed: toMoney(l.ObservedMinor, p.Currency),
				Measured: toMoney(l.MeasuredMinor, p.Currency), Base: toMoney(l.BaseMinor, p.Currency), Fee: toMoney(l.FeeMinor, p.Currency),
			}
		}),
		Buckets: convertAll(p.Buckets, func(b preview.Bucket) Bucket {
			return Bucket{Bucket: b.Bucket, SnapshotID: b.SnapshotID, Amount: toMoney(b.AmountMinor, b.Currency), Events: b.Events}
		}),
	}
	if c := p.Compared; c != nil {
		out.Compared = toComparison(*c)
	}
	return out
}

func toComparison(c preview.Comparison) PreviewComparison {
	return PreviewComparison{
		Equal: c.Equal, SameInputs: c.SameInputs, SameCases: c.SameCases, SameInvoice: c.SameInvoice,
		Changes: convertAll(c.Changes, func(x preview.Change) PreviewChange {
			return PreviewChange{
				What: x.What, Name: x.Name, CountBefore: x.CountBefore, CountAfter: x.CountAfter, Before: toMoney(x.MinorBefore, x.Currency), After: toMoney(x.MinorAfter, x.Currency),
			}
		}),
	}
}

// toRevision is a revision without what changed in it.
func toRevision(r reconcile.Revision) Revision {
	return Revision{
		Number: r.Number, Superseded: r.Superseded, BegunAt: r.BegunAt, Actor: r.Actor, Reason: r.Reason, State: string(r.State), StateReason: r.StateReason,
		Watermark: r.Watermark, InputDigest: r.InputDigest, InvoiceHash: r.InvoiceHash, Total: toMoney(r.TotalMinor, r.Currency),
	}
}
