package httpapi

import (
	"bytes"
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/preview"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/billing"
)

// ListReadouts lists the readouts of an account.
func (s *Server) ListReadouts(ctx context.Context, r ListReadoutsRequestObject) (ListReadoutsResponseObject, error) {
	page, err := s.Reconcile.Readouts(ctx, r.Account, reconcile.CyclesFilter{
		Period: r.Params.Period, AccountID: r.Account, Sort: string(r.Params.Sort), Cursor: r.Params.Cursor, Limit: r.Params.Limit,
	})
	if err != nil {
		return nil, err
	}
	return ListReadouts200JSONResponse{Items: convertAll(page.Items, toReadout), NextCursor: page.NextCursor}, nil
}

// GetReadout reads one readout.
func (s *Server) GetReadout(ctx context.Context, r GetReadoutRequestObject) (GetReadoutResponseObject, error) {
	out, err := s.Reconcile.Readout(ctx, r.CaseID)
	if err != nil {
		return nil, err
	}
	return GetReadout200JSONResponse(toReadout(out)), nil
}

// GetManifest hands out the bytes that the case ID is the hash of.
func (s *Server) GetManifest(ctx context.Context, r GetManifestRequestObject) (GetManifestResponseObject, error) {
	out, err := s.Reconcile.Readout(ctx, r.CaseID)
	if err != nil {
		return nil, err
	}
	etag := strconv.Quote(out.CaseID)
	if strings.Contains(r.Params.IfNoneMatch, etag) {
		return GetManifest304Response{}, nil
	}
	return manifestBytes{etag: etag, body: []byte(out.Manifest)}, nil
}

// manifestBytes writes the manifest as it is; an encoder would change its bytes.
type manifestBytes struct {
	etag string
	body []byte
}

// VisitGetManifestResponse implements GetManifestResponseObject.
func (m manifestBytes) VisitGetManifestResponse(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(m.body)))
	w.Header().Set("ETag", m.etag)
	w.Header().Set("Cache-Control", "private, no-cache")
	w.WriteHeader(http.StatusOK)
	_, err := bytes.NewReader(m.body).WriteTo(w)
	return err
}

// ListCycles lists cycles.
func (s *Server) ListCycles(ctx context.Context, r ListCyclesRequestObject) (ListCyclesResponseObject, error) {
	page, err := s.Reconcile.Cycles(ctx, reconcile.CyclesFilter{
		Scope: access.From(ctx).Scope, Period: r.Params.Period, State: r.Params.State, AccountID: r.Params.Account, Environment: r.Params.Environment,
		Mode: r.Params.Mode, Sort: string(r.Params.Sort), Cursor: r.Params.Cursor, Limit: r.Params.Limit,
	})
	if err != nil {
		return nil, err
	}
	return ListCycles200JSONResponse{Items: convertAll(page.Items, toCycle), NextCursor: page.NextCursor}, nil
}

// GetCycle explains one cycle.
func (s *Server) GetCycle(ctx context.Context, r GetCycleRequestObject) (GetCycleResponseObject, error) {
	t, err := s.Reconcile.TieOut(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	run := billing.RunUnknown
	if t.State.Moving() {
		run = s.Deciding.RunOf(ctx, t.Environment, t.AccountID, t.Period)
	}
	return GetCycle200JSONResponse(toTieOut(t, run)), nil
}

// ListRevisions lists how often a cycle was computed, and what changed.
func (s *Server) ListRevisions(ctx context.Context, r ListRevisionsRequestObject) (ListRevisionsResponseObject, error) {
	all, err := s.Previews.History(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	return ListRevisions200JSONResponse{Items: convertAll(all, func(v preview.Revision) Revision {
		out := Revision{
			Number: v.Number, Superseded: v.Superseded, BegunAt: v.BegunAt, Actor: v.Actor, Reason: v.Reason, State: string(v.State), StateReason: v.StateReason,
			Watermark: v.Stored.AsOf, InputDigest: v.Stored.InputDigest, InvoiceHash: v.Stored.InvoiceHash, Total: toMoney(v.Stored.TotalMinor, v.Stored.Currency),
			CaseIds: convertAll(v.Stored.Lines, func(l preview.Line) string { return l.CaseID }),
		}
		if v.Compared != nil {
			out.Compared = toComparison(*v.Compared)
		}
		return out
	})}, nil
}

// ListInvoices lists the invoices that exist at Stripe.
func (s *Server) ListInvoices(ctx context.Context, r ListInvoicesRequestObject) (ListInvoicesResponseObject, error) {
	p := r.Params
	page, err := s.Reconcile.Invoices(ctx, reconcile.InvoicesFilter{
		Scope: access.From(ctx).Scope, Period: p.Period, AccountID: p.Account, Status: p.Status, Search: p.Q, Currency: p.Currency,
		MinMinor: boundOf(p.MinMinor), MaxMinor: boundOf(p.MaxMinor),
		From: p.From, To: p.To, DueBefore: p.DueBefore, Dispute: p.Dispute, Metadata: p.Metadata, PONumber: p.PoNumber, AtStripe: true, Sort: string(p.Sort), Cursor: p.Cursor, Limit: p.Limit,
	})
	if err != nil {
		return nil, err
	}
	return ListInvoices200JSONResponse{Items: convertAll(page.Items, toInvoice), NextCursor: page.NextCursor}, nil
}

// boundOf is no bound for what was left out; no invoice comes to nothing.
func boundOf(minor int64) *int64 {
	if minor == 0 {
		return nil
	}
	return &minor
}
