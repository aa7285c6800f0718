package operate

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/secret"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/reward"
)

// Service is the use case of looking after events.
type Service struct {
	Log     Log
	Queue   Queue
	Figures Figures
	Box     secret.Box
	Clock   clock.Clock
	// BodyContext binds a sealed body to its connection.
	BodyContext func(connectionID string) string
}

// The limits of a page, and the events of one step of classifying again.
const (
	DefaultLimit = 50
	MaxLimit     = 500
	batch        = 20000
)

var statuses = []string{"pending", "processed", "ignored", "quarantined", "dead"}

func (s Selection) check() error {
	if s.Status != "" && !slices.Contains(statuses, s.Status) {
		return fault.InvalidField("status", "filter_unknown", "%q is not a status of an event", s.Status).Fix("Use one of %s", strings.Join(statuses, ", "))
	}
	if !s.From.IsZero() && !s.To.IsZero() && !s.From.Before(s.To) {
		return fault.InvalidField("to", "interval_empty", "the time ends before it begins")
	}
	return nil
}

// Events lists events, newest first.
func (s *Service) Events(ctx context.Context, f EventsFilter) (Page[Event], error) {
	if err := f.check(); err != nil {
		return Page[Event]{}, err
	}
	switch {
	case f.Limit == 0:
		f.Limit = DefaultLimit
	case f.Limit < 1 || f.Limit > MaxLimit:
		return Page[Event]{}, fault.InvalidField("limit", "limit_range", "a page holds 1 to %d rows", MaxLimit)
	}
	if f.Sort != "" && f.Sort != SortOldest {
		return Page[Event]{}, fault.InvalidField("sort", "sort_unknown", "%q is no order of this list", f.Sort).Fix("Use %s, or leave it out", SortOldest)
	}
	return s.Log.Events(ctx, f)
}

// Event returns one event with the facts that it tells, whoever told them first.
func (s *Service) Event(ctx context.Context, connectionID, eventID string) (EventDetail, error) {
	e, err := s.Log.Event(ctx, connectionID, eventID)
	if err != nil {
		return EventDetail{}, err
	}
	out := EventDetail{Event: e.Event}
	body, err := s.Box.Open(s.BodyContext(connectionID), e.SealedBody)
	if e.BodyErased || err != nil {
		out.Facts, err = s.Log.FactsOf(ctx, connectionID, eventID)
		return out, err
	}
	got, err := reward.Classify(body, reward.Config{UserIDKey: e.UserIDKey})
	if err != nil || len(got.Facts) == 0 {
		return out, nil // its reason says why there is none
	}
	keys := make([]string, len(got.Facts))
	for i, f := range got.Facts {
		keys[i] = f.Key
	}
	out.Facts, err = s.Log.Facts(ctx, connectionID, keys)
	return out, err
}

// Reprocessed says what became of a request to classify again.
type Reprocessed struct {
	// Events were put back into the queue, or would be.
	Events int64
	// Left cannot be read again: their body was erased, or they never belonged to the connection.
	Left   int64
	DryRun bool
}

// Reprocess puts the selected events of a connection back into the queue. It may be asked
// for again at any time: facts have natural keys, and nothing is booked twice.
func (s *Service) Reprocess(ctx context.Context, by access.Principal, sel Selection, reason string, dryRun bool) (Reprocessed, error) {
	reason = strings.TrimSpace(reason)
	switch {
	case sel.ConnectionID == "":
		return Reprocessed{}, fault.InvalidField("connection_id", "connection_missing", "name the connection whose events are to be classified again")
	case reason == "" || len(reason) > 1000:
		return Reprocessed{}, fault.InvalidField("reason", "reason_missing", "say why, in 1 to 1000 characters")
	}
	if err := sel.check(); err != nil {
		return Reprocessed{}, err
	}
	env, err := s.mayRun(ctx, by, sel.ConnectionID)
	if err != nil {
		return Reprocessed{}, err
	}
	sel.Scope = by.Scope
	if sel.EventID != "" {
		if _, err := s.Log.Event(ctx, sel.ConnectionID, sel.EventID); err != nil {
			return Reprocessed{}, err
		}
	}
	again, left, err := s.Log.Count(ctx, sel)
	out := Reprocessed{Events: again, Left: left, DryRun: dryRun}
	if err != nil || dryRun {
		return out, err
	}
	out.Events = 0
	for after := int64(0); ; {
		n, last, err := s.Queue.Again(ctx, sel, after, batch)
		out.Events += n
		if err != nil {
			return out, err
		}
		if n < batch {
			break
		}
		after = last
	}
	now := s.Clock.Now()
	note := audit.New(by, now, audit.EventsReprocessed, "connection", sel.ConnectionID).In("", env).Because(reason).
		Changed(nil, audit.Facts{"events": strconv.FormatInt(out.Events, 10), "left": strconv.FormatInt(out.Left, 10)})
	return out, s.Queue.LogRequest(ctx, sel, out.Events, by.Label(), reason, now, note)
}

// mayRun asks again what the edge has asked about the connection's accounts.
func (s *Service) mayRun(ctx context.Context, by access.Principal, connectionID string) (account.Environment, error) {
	if err := access.RequirePermission(by, access.RunSync); err != nil {
		return "", err
	}
	env, err := s.Log.Environment(ctx, connectionID)
	if err == nil && !by.Scope.Reaches(env) {
		err = access.Hidden(access.Connection, connectionID)
	}
	return env, err
}

// Health says how the events of all connections of a scope flow, or of one of them.
func (s *Service) Health(ctx context.Context, scope access.Scope, connectionID string) ([]Health, error) {
	return s.Figures.Health(ctx, scope, connectionID, s.Clock.Now())
}

// typesFor is how far back a connection's types are counted.
const typesFor = 30 * 24 * time.Hour

// Flow is everything that is counted of one connection.
type Flow struct {
	Health
	Totals map[string]int64
	Types  []TypeCount
}

// Flow counts what one connection stored in all, and by type within 30 days.
func (s *Service) Flow(ctx context.Context, scope access.Scope, connectionID string) (Flow, error) {
	all, err := s.Figures.Health(ctx, scope, connectionID, s.Clock.Now())
	if err != nil {
		return Flow{}, err
	}
	if len(all) == 0 {
		return Flow{}, fault.New(fault.NotFound, "connection_not_found", "there is no connection %q", connectionID)
	}
	out := Flow{Health: all[0]}
	if out.Totals, err = s.Figures.Totals(ctx, connectionID); err != nil {
		return out, err
	}
	out.Types, err = s.Figures.Types(ctx, connectionID, s.Clock.Now().Add(-typesFor))
	return out, err
}
