package httpapi

import (
	"context"
	"time"

	"github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/reconcile"
	domain "github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/recon"
)

// Breaks are the differences to Stripe and the work on them; *reconcile.Reconciler is it.
type Breaks interface {
	Reconcile(ctx context.Context, by domain.Principal, accountID, month string, beat func(doing string)) (reconcile.Outcome, error)
	Summary(ctx context.Context, accountID, month string) (reconcile.Summary, error)
	Breaks(ctx context.Context, f reconcile.BreaksFilter) (reconcile.Page[reconcile.BreakView], error)
	Break(ctx context.Context, id string) (reconcile.BreakView, error)
	Assign(ctx context.Context, by domain.Principal, id, owner string) (reconcile.BreakView, error)
	Note(ctx context.Context, by domain.Principal, id, text, link string) (reconcile.BreakView, error)
	Resolve(ctx context.Context, by domain.Principal, id string, why recon.Reason, text string) (reconcile.BreakView, error)
	RequestForce(ctx context.Context, by domain.Principal, id string, why recon.Reason, text string) (reconcile.BreakView, error)
	Force(ctx context.Context, by domain.Principal, id string, agree bool, text string) (reconcile.BreakView, error)
	Reopen(ctx context.Context, by domain.Principal, id, text string) (reconcile.BreakView, error)
	Compare(ctx context.Context, by domain.Principal, connectionID, object, id string) (reconcile.Comparison, error)
	Tolerance(ctx context.Context, accountID string) (recon.Tolerance, error)
	SetTolerance(ctx context.Context, by domain.Principal, accountID string, t recon.Tolerance, reason string) error
	MonthStatus(ctx context.Context, accountID, month string) (reconcile.MonthStatus, error)
	Close(ctx context.Context, by domain.Principal, accountID, month string) error
	ReopenMonth(ctx context.Context, by domain.Principal, accountID, month, reason string) error
}

// ListBreaks lists breaks.
func (s *Server) ListBreaks(ctx context.Context, r ListBreaksRequestObject) (ListBreaksResponseObject, error) {
	p := r.Params
	page, err := s.Breaks.Breaks(ctx, reconcile.BreaksFilter{
		Scope: access.From(ctx).Principal.Scope, AccountID: p.Account, Environment: p.Environment, Period: p.Period, Type: p.Type, State: p.State, Pending: p.Pending, Severity: p.Severity,
		Owner: p.Owner, Age: p.Age, MinMinor: p.MinMinor, Search: p.Q, Cursor: p.Cursor, Limit: p.Limit,
	})
	if err != nil {
		return nil, err
	}
	return ListBreaks200JSONResponse{Items: convertAll(page.Items, toBreak), NextCursor: page.NextCursor}, nil
}

// GetBreak reads one break with its history.
func (s *Server) GetBreak(ctx context.Context, r GetBreakRequestObject) (GetBreakResponseObject, error) {
	b, err := s.Breaks.Break(ctx, r.Break)
	return GetBreak200JSONResponse(toBreak(b)), err
}

// AssignBreak gives a break to somebody.
func (s *Server) AssignBreak(ctx context.Context, r AssignBreakRequestObject) (AssignBreakResponseObject, error) {
	b, err := s.Breaks.Assign(ctx, access.From(ctx).Principal, r.Break, r.Body.Owner)
	return AssignBreak200JSONResponse(toBreak(b)), err
}

// NoteBreak adds a remark to a break.
func (s *Server) NoteBreak(ctx context.Context, r NoteBreakRequestObject) (NoteBreakResponseObject, error) {
	b, err := s.Breaks.Note(ctx, access.From(ctx).Principal, r.Break, r.Body.Text, r.Body.Link)
	return NoteBreak200JSONResponse(toBreak(b)), err
}

// ResolveBreak settles a break.
func (s *Server) ResolveBreak(ctx context.Context, r ResolveBreakRequestObject) (ResolveBreakResponseObject, error) {
	b, err := s.Breaks.Resolve(ctx, access.From(ctx).Principal, r.Break, recon.Reason(r.Body.Reason), r.Body.Text)
	return ResolveBreak200JSONResponse(toBreak(b)), err
}

// RequestForceBreak asks a second person to settle a break.
func (s *Server) RequestForceBreak(ctx context.Context, r RequestForceBreakRequestObject) (RequestForceBreakResponseObject, error) {
	b, err := s.Breaks.RequestForce(ctx, access.From(ctx).Principal, r.Break, recon.Reason(r.Body.Reason), r.Body.Text)
	return RequestForceBreak200JSONResponse(toBreak(b)), err
}

// ForceBreak is the second person's answer.
func (s *Server) ForceBreak(ctx context.Context, r ForceBreakRequestObject) (ForceBreakResponseObject, error) {
	b, err := s.Breaks.Force(ctx, access.From(ctx).Principal, r.Break, r.Body.Agree, r.Body.Text)
	return ForceBreak200JSONResponse(toBreak(b)), err
}

// ReopenBreak opens a break again.
func (s *Server) ReopenBreak(ctx context.Context, r ReopenBreakRequestObject) (ReopenBreakResponseObject, error) {
	b, err := s.Breaks.Reopen(ctx, access.From(ctx).Principal, r.Break, r.Body.Text)
	return ReopenBreak200JSONResponse(toBreak(b)), err
}

// RunReconciliation compares a month with Stripe now.
func (s *Server) RunReconciliation(ctx context.Context, r RunReconciliationRequestObject) (RunReconciliationResponseObject, error) {
	out, err := s.Breaks.Reconcile(ctx, access.From(ctx).Principal, r.Account, r.Period, func(string) {})
	if err != nil {
		return nil, err
	}
	return RunReconciliation200JSONResponse(toReconRun(&out.Run)), nil
}

// GetReconciliation tells whether a month ties out.
func (s *Server) GetReconciliation(ctx context.Context, r GetReconciliationRequestObject) (GetReconciliationResponseObject, error) {
	sum, err := s.Breaks.Summary(ctx, r.Account, r.Period)
	if err != nil {
		return nil, err
	}
	return GetReconciliation200JSONResponse{
		AccountID: sum.AccountID, Period: sum.Period, Ties: sum.Ties, Blocking: sum.Blocking, Complete: toReconRun(sum.Complete), Newest: toReconRun(sum.Newest),
		Lines: convertAll(sum.TieOut.Lines, toTieOutLine),
		Counts: convertAll(sum.Counts, func(c reconcile.BreakCount) BreakCount {
			return BreakCount{Type: string(c.Type), State: string(c.State), Age: string(c.Age), Count: c.Count, AtStake: toMoney(c.AmountMinor, c.Currency)}
		}),
	}, nil
}

// GetTolerance reads what may differ.
func (s *Server) GetTolerance(ctx context.Context, r GetToleranceRequestObject) (GetToleranceResponseObject, error) {
	t, err := s.Breaks.Tolerance(ctx, r.Account)
	return GetTolerance200JSONResponse(toTolerance(t)), err
}

// StateTolerance states what may differ.
func (s *Server) StateTolerance(ctx context.Context, r StateToleranceRequestObject) (StateToleranceResponseObject, error) {
	t := recon.Tolerance{LineMinor: r.Body.PerObjectMinor, BatchMinor: r.Body.PerPeriodMinor, CutOff: time.Duration(min(r.Body.CutOffMinutes, 1<<20)) * time.Minute}
	err := s.Breaks.SetTolerance(ctx, access.From(ctx).Principal, r.Account, t, r.Body.Reason)
	return StateTolerance200JSONResponse(toTolerance(t)), err
}

// CompareWithStripe compares one object with Stripe now.
func (s *Server) CompareWithStripe(ctx context.Context, r CompareWithStripeRequestObject) (CompareWithStripeResponseObject, error) {
	c, err := s.Breaks.Compare(ctx, access.From(ctx).Principal, r.ID, string(r.Body.Object), r.Body.ObjectID)
	if err != nil {
		return nil, err
	}
	return CompareWithStripe200JSONResponse{
		ConnectionID: c.ConnectionID, Object: c.Object, ObjectID: c.ID, At: c.At, InLedger: c.InLedger, AtStripe: c.AtStripe,
		Fields: convertAll(c.Fields, func(f recon.Field) ComparedField {
			return ComparedField{Name: f.Name, Ledger: f.Ours, Stripe: f.Theirs, Equal: f.Equal}
		}),
	}, nil
}

func toTolerance(t recon.Tolerance) Tolerance {
	return Tolerance{PerObjectMinor: t.LineMinor, PerPeriodMinor: t.BatchMinor, CutOffMinutes: int(t.CutOff / time.Minute)}
}

func toReconRun(r *reconcile.Run) ReconciliationRun {
	if r == nil {
		return ReconciliationRun{}
	}
	out := ReconciliationRun{
		ID: r.ID, AccountID: r.AccountID, Period: r.Period, State: ReconciliationRunState(r.State), RequestedBy: r.RequestedBy, StartedAt: r.StartedAt,
		Reads: r.Reads, Objects: r.Objects, Found: r.Found, Fresh: r.Fresh, Code: r.Code, Message: r.Message, NextAction: r.Next,
	}
	if r.FinishedAt != nil {
		out.FinishedAt = *r.FinishedAt
	}
	return out
}

func toTieOutLine(l recon.TieOutLine) TieOutLine {
	m := func(minor int64) Money { return toMoney(minor, l.Currency) }
	return TieOutLine{
		Line: TieOutLineLine(l.Line), Currency: l.Currency, Ledger: m(l.LeftMinor), Stripe: m(l.RightMinor), Difference: m(l.DifferenceMinor), Explained: m(l.ExplainedMinor),
		Open: m(l.OpenMinor), Remaining: m(l.RemainingMinor), Unfound: m(l.UnfoundMinor), LedgerObjects: l.LeftObjects, StripeObjects: l.RightObjects,
	}
}

func toSide(s recon.Side) BreakSide {
	out := BreakSide{Source: s.Source, ID: s.ID, Counted: s.CountedMinor}
	if s.AmountMinor != nil {
		out.Amount = toMoney(*s.AmountMinor, s.Currency)
	}
	return out
}

func toBreak(b reconcile.BreakView) Break {
	rule := b.Rule()
	out := Break{
		ID: b.ID, AccountID: b.AccountID, AccountName: b.AccountName, Environment: Environment(b.Environment), Period: b.Period, Type: string(b.Type), Title: rule.Title,
		Invariant: rule.Invariant, Severity: BreakSeverity(rule.Severity), Effect: string(rule.Effect), Line: string(b.Line), Subject: b.Subject,
		Left: toSide(b.Left), Right: toSide(b.Right), Difference: toMoney(b.Difference(b.Currency), b.Currency), AtStake: toMoney(b.AmountMinor, b.Currency),
		CustomerID: b.CustomerID, State: BreakState(b.State), Pending: b.State.Pending(), Blocks: b.State.Pending() && rule.Severity.Blocks(), Owner: b.Owner, Reason: string(b.Reason),
		Age: string(b.Age), FirstSeen: b.FirstSeen, LastSeen: b.LastSeen, Detail: b.Detail, NextAction: rule.NextAction, RequestedBy: b.RequestedBy.ID, ForcedBy: b.ForcedBy.ID,
	}
	for _, c := range b.History {
		out.History = append(out.History, BreakChange{
			Action: string(c.Action), FromState: string(c.From), ToState: string(c.To), Actor: c.Actor.ID, At: c.At, Reason: string(c.Reason), Text: c.Text, Link: c.Link,
			Owner: c.Owner, LeftMinor: c.LeftMinor, RightMinor: c.RightMinor,
		})
	}
	return out
}
