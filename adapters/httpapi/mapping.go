package httpapi

import (
	"context"
	"fmt"
	"strings"

	"github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/mapping"
	domain "github.com/liftbill/liftbill/domain/access"
)

// Mapping joins customers to users; *mapping.Service is it.
type Mapping interface {
	Settings(ctx context.Context, connectionID string) (mapping.Settings, error)
	Change(ctx context.Context, to mapping.Settings, by mapping.Decision) (events int64, changed bool, err error)
	Links(ctx context.Context, f mapping.LinksFilter) (mapping.Page[mapping.Link], error)
	Link(ctx context.Context, in mapping.LinkInput, by mapping.Decision) (mapping.Link, bool, error)
	Retract(ctx context.Context, connectionID, linkID string, by mapping.Decision) error
	UploadUsers(ctx context.Context, connectionID string, users []mapping.UserInput, by domain.Principal) (mapping.Upload, error)
	Suggestions(ctx context.Context, f mapping.SuggestionsFilter) (mapping.Page[mapping.Suggestion], error)
	Accept(ctx context.Context, connectionID, id string, by mapping.Decision) (mapping.Suggestion, error)
	Reject(ctx context.Context, connectionID, id string, by mapping.Decision) (mapping.Suggestion, error)
	Quarantine(ctx context.Context, f mapping.PeriodFilter) (mapping.Quarantine, error)
	Coverage(ctx context.Context, f mapping.PeriodFilter) (mapping.Coverage, error)
}

func toSettings(s mapping.Settings) MappingSettings {
	return MappingSettings{
		UserIDKey: s.UserIDKey, ByEmail: s.ByEmail, ByDomain: s.ByDomain, BySubscription: s.BySubscription, LeaveOutSuggested: s.LeaveOutSuggested,
	}
}

// GetMapping shows what a connection maps by.
func (s *Server) GetMapping(ctx context.Context, r GetMappingRequestObject) (GetMappingResponseObject, error) {
	got, err := s.Mapping.Settings(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	return GetMapping200JSONResponse(toSettings(got)), nil
}

// ChangeMapping changes what a connection maps by; what is left out stays.
func (s *Server) ChangeMapping(ctx context.Context, r ChangeMappingRequestObject) (ChangeMappingResponseObject, error) {
	to, err := s.Mapping.Settings(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	if r.Body.UserIDKey != "" {
		to.UserIDKey = r.Body.UserIDKey
	}
	for given, into := range map[*bool]*bool{
		r.Body.ByEmail: &to.ByEmail, r.Body.ByDomain: &to.ByDomain, r.Body.BySubscription: &to.BySubscription, r.Body.LeaveOutSuggested: &to.LeaveOutSuggested,
	} {
		if given != nil {
			*into = *given
		}
	}
	events, changed, err := s.Mapping.Change(ctx, to, mapping.Decision{By: access.From(ctx).Principal, Reason: r.Body.Reason})
	if err != nil {
		return nil, err
	}
	return ChangeMapping200JSONResponse{Settings: toSettings(to), Changed: changed, Events: events}, nil
}

func toLink(l mapping.Link) Link {
	return Link{
		ID: l.LinkID, ConnectionID: l.ConnectionID, SubjectID: l.Subject, UserID: l.User, State: string(l.State), Source: string(l.Source),
		ValidFrom: l.From, ValidTo: l.To, Former: l.Former, EventID: l.EventID, DecidedBy: l.DecidedBy, Reason: l.Reason, RecordedAt: l.RecordedAt,
	}
}

// ListLinks lists whose customers are.
func (s *Server) ListLinks(ctx context.Context, r ListLinksRequestObject) (ListLinksResponseObject, error) {
	page, err := s.Mapping.Links(ctx, mapping.LinksFilter{
		ConnectionID: r.ID, Subject: r.Params.Customer, User: r.Params.User, Source: r.Params.Source, State: r.Params.State,
		Cursor: r.Params.Cursor, Limit: r.Params.Limit,
	})
	if err != nil {
		return nil, err
	}
	return ListLinks200JSONResponse{Items: convertAll(page.Items, toLink), NextCursor: page.NextCursor}, nil
}

// CreateLink stores a person's statement.
func (s *Server) CreateLink(ctx context.Context, r CreateLinkRequestObject) (CreateLinkResponseObject, error) {
	l, created, err := s.Mapping.Link(ctx, mapping.LinkInput{ConnectionID: r.ID, Customer: r.Body.CustomerID, User: r.Body.UserID, From: r.Body.ValidFrom},
		mapping.Decision{By: access.From(ctx).Principal, Reason: r.Body.Reason})
	switch {
	case err != nil:
		return nil, err
	case created:
		return CreateLink201JSONResponse(toLink(l)), nil
	}
	return CreateLink200JSONResponse(toLink(l)), nil
}

// RetractLink takes a person's statement back.
func (s *Server) RetractLink(ctx context.Context, r RetractLinkRequestObject) (RetractLinkResponseObject, error) {
	if err := s.Mapping.Retract(ctx, r.ID, r.Link, mapping.Decision{By: access.From(ctx).Principal, Reason: r.Body.Reason}); err != nil {
		return nil, err
	}
	return RetractLink200JSONResponse{Status: "retracted"}, nil
}

// UploadUserAids stores the hashes of users.
func (s *Server) UploadUserAids(ctx context.Context, r UploadUserAidsRequestObject) (UploadUserAidsResponseObject, error) {
	up, err := s.Mapping.UploadUsers(ctx, r.ID, convertAll(r.Body.Users, func(u UserAid) mapping.UserInput {
		return mapping.UserInput{User: u.UserID, EmailSHA256: u.EmailSha256, Domain: u.Domain}
	}), access.From(ctx).Principal)
	if err != nil {
		return nil, err
	}
	return UploadUserAids200JSONResponse{Stored: up.Stored, Forgotten: up.Forgotten, Rejected: convertAll(up.Rejected, func(b mapping.BadUser) RejectedRow {
		return RejectedRow{Row: b.Row, Field: b.Field, Code: b.Code, Message: b.Message}
	})}, nil
}

func toAmount(a mapping.Amount) Money { return toMoney(a.Minor, a.Currency) }

func toSuggestion(s mapping.Suggestion) Suggestion {
	return Suggestion{
		ID: s.ID, ConnectionID: s.ConnectionID, CustomerID: s.Customer, UserID: s.User, By: string(s.By), State: s.State,
		DecidedBy: s.DecidedBy, Reason: s.Reason, DecidedAt: orZero(s.DecidedAt), Facts: s.Facts, Amounts: convertAll(s.Amounts, toAmount),
	}
}

// ListSuggestions lists suggestions.
func (s *Server) ListSuggestions(ctx context.Context, r ListSuggestionsRequestObject) (ListSuggestionsResponseObject, error) {
	page, err := s.Mapping.Suggestions(ctx, mapping.SuggestionsFilter{ConnectionID: r.ID, State: r.Params.State, Cursor: r.Params.Cursor, Limit: r.Params.Limit})
	if err != nil {
		return nil, err
	}
	return ListSuggestions200JSONResponse{Items: convertAll(page.Items, toSuggestion), NextCursor: page.NextCursor}, nil
}

// AcceptSuggestion makes a link of a suggestion.
func (s *Server) AcceptSuggestion(ctx context.Context, r AcceptSuggestionRequestObject) (AcceptSuggestionResponseObject, error) {
	out, err := s.Mapping.Accept(ctx, r.ID, r.Suggestion, mapping.Decision{By: access.From(ctx).Principal, Reason: r.Body.Reason})
	if err != nil {
		return nil, err
	}
	return AcceptSuggestion200JSONResponse(toSuggestion(out)), nil
}

// RejectSuggestion keeps a suggestion from being shown again.
func (s *Server) RejectSuggestion(ctx context.Context, r RejectSuggestionRequestObject) (RejectSuggestionResponseObject, error) {
	out, err := s.Mapping.Reject(ctx, r.ID, r.Suggestion, mapping.Decision{By: access.From(ctx).Principal, Reason: r.Body.Reason})
	if err != nil {
		return nil, err
	}
	return RejectSuggestion200JSONResponse(toSuggestion(out)), nil
}

// GetQuarantine shows what has no user.
func (s *Server) GetQuarantine(ctx context.Context, r GetQuarantineRequestObject) (GetQuarantineResponseObject, error) {
	q, err := s.Mapping.Quarantine(ctx, mapping.PeriodFilter{ConnectionID: r.ID, Period: r.Params.Period, Cursor: r.Params.Cursor, Limit: r.Params.Limit})
	if err != nil {
		return nil, err
	}
	return GetQuarantine200JSONResponse{
		Summary: summaryOf(q), Facts: q.Facts, Amounts: convertAll(q.Amounts, toAmount), NextCursor: q.NextCursor, AsOf: orZero(q.AsOf),
		Reasons: convertAll(q.Reasons, func(u mapping.Unmapped) Unmapped {
			return Unmapped{Reason: u.Reason, Facts: u.Facts, Amounts: convertAll(u.Amounts, toAmount)}
		}),
		Customers: convertAll(q.Customers, func(c mapping.UnmappedCustomer) Unmapped {
			return Unmapped{CustomerID: c.Customer, Reason: c.Reason, Facts: c.Facts, Amounts: convertAll(c.Amounts, toAmount)}
		}),
	}, nil
}

// summaryOf is one sentence: "12 facts, 1,230.00 USD unmapped".
func summaryOf(q mapping.Quarantine) string {
	if q.Facts == 0 {
		return "nothing is unmapped"
	}
	parts := []string{fmt.Sprintf("%d facts", q.Facts)}
	if q.Facts == 1 {
		parts[0] = "1 fact"
	}
	for _, a := range q.Amounts {
		parts = append(parts, toAmount(a).Formatted)
	}
	return strings.Join(parts, ", ") + " unmapped"
}

// GetCoverage shows how much of a month is mapped.
func (s *Server) GetCoverage(ctx context.Context, r GetCoverageRequestObject) (GetCoverageResponseObject, error) {
	c, err := s.Mapping.Coverage(ctx, mapping.PeriodFilter{ConnectionID: r.ID, Period: r.Params.Period})
	if err != nil {
		return nil, err
	}
	return GetCoverage200JSONResponse{
		ConnectionID: c.ConnectionID, Period: c.Period, PeriodStart: c.Interval.Start, PeriodEnd: c.Interval.End, BySource: c.BySource, AsOf: orZero(c.AsOf),
		Customers: Share{Mapped: c.Customers.Mapped, Total: c.Customers.Total}, Facts: Share{Mapped: c.Facts.Mapped, Total: c.Facts.Total},
		Revenue: convertAll(c.Revenue, func(v mapping.Revenue) RevenueShare {
			return RevenueShare{Mapped: toMoney(v.Mapped, v.Currency), Total: toMoney(v.Total, v.Currency)}
		}),
	}, nil
}
