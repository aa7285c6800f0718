package webui

import (
	"context"
	"time"

	"github.com/labstack/echo/v4"

	app "github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
)

// Keys tells what the keys of connections may do, and what is wrong with connections;
// *onboard.Service is it. Without ask Stripe is not asked.
type Keys interface {
	KeyReport(ctx context.Context, id string) (onboard.KeyReport, error)
	Diagnose(ctx context.Context, by access.Principal, id string, ask bool) ([]onboard.Check, error)
}

// keyView is what Stripe let a key do when it was asked last.
type keyView struct {
	onboard.KeyReport
	Findings []findingRow
	Counts   map[string]int
}

type findingRow struct {
	account.Finding
	State StateView
}

// severities are how findings look, what asks for something first.
var severities = []struct {
	of   account.Severity
	look StateView
}{
	{account.Missing, StateView{"missing", "✕", "bad"}}, {account.Limited, StateView{"limited", "!", "busy"}}, {account.Broad, StateView{"over-broad", "!", "busy"}},
	{account.Unchecked, StateView{"not found out", "–", "calm"}}, {account.Fine, StateView{"as needed", "✓", "good"}},
}

// keyOf loads the stored report of a connection's key; nil when Stripe was never asked.
func (s *Server) keyOf(ctx context.Context, id string) (*keyView, error) {
	r, err := s.keys.KeyReport(ctx, id)
	if fault.CodeOf(err) == "key_not_checked" {
		return nil, nil //nolint:nilnil // there is nothing to show
	}
	if err != nil {
		return nil, err
	}
	v := keyView{KeyReport: r, Counts: map[string]int{}}
	for _, severity := range severities {
		for _, f := range r.Findings {
			if f.Severity == severity.of {
				v.Findings = append(v.Findings, findingRow{f, severity.look})
				v.Counts[string(f.Severity)]++
			}
		}
	}
	return &v, nil
}

// doctorExport is what the doctor finds of one connection, from what is stored: Stripe is not
// asked for it.
func (s *Server) doctorExport(c echo.Context) error {
	if err := checkFormat(c); err != nil {
		return err
	}
	ctx, id := c.Request().Context(), c.Param("id")
	pulse, err := s.operate.Pulse(ctx, scopeOf(c), id)
	if err != nil {
		return err
	}
	checks, err := s.keys.Diagnose(ctx, app.From(ctx).Principal, id, false)
	if err != nil {
		return err
	}
	key, err := s.keyOf(ctx, id)
	if err != nil {
		return err
	}
	r := report{
		Name: "doctor-" + id, Title: "Doctor's report of connection " + id, Version: 1, Parameters: []parameter{{"connection", id}, {"environment", string(pulse.Environment)}},
		Columns: []column{{Name: "part"}, {Name: "check"}, {Name: "outcome"}, {Name: "detail"}, {Name: "remedy"}, {Name: "count", Kind: columnCount}, {Name: "at", Kind: columnTime}},
		Labels:  []string{"Part", "Check", "Outcome", "What is the case", "What to do", "Count", "At"},
	}
	add := func(part, check, outcome, detail, remedy string, n any, at time.Time) {
		r.Rows = append(r.Rows, []any{part, check, outcome, detail, remedy, n, at})
	}
	for _, k := range checks {
		add("doctor", k.Name, okWord(k.OK), k.Detail, "", nil, time.Time{})
	}
	health := healthOf(pulse.Health, s.clock.Now())
	add("flow", "events", health.State.Name, health.Says, "", nil, timeOf(health.LastEvent))
	add("flow", "waiting", "", "", "", health.Pending, timeOf(health.OldestPending))
	add("flow", "set aside", "", "", "", health.Dead, time.Time{})
	for _, f := range pulse.Failures {
		add("set aside", f.Type, words(f.Status), f.Reason, "", f.Events, time.Time{})
	}
	if err := s.fetchedRows(ctx, id, add); err != nil {
		return err
	}
	if key != nil {
		for _, f := range key.Findings {
			add("key", f.Permission, f.State.Name, f.Message, f.Do, nil, key.CheckedAt)
		}
	}
	return s.send(c, r)
}

// fetchedRows adds how the source of a connection is fetched, and its gaps; nothing for one
// that is no source.
func (s *Server) fetchedRows(ctx context.Context, id string, add func(part, check, outcome, detail, remedy string, n any, at time.Time)) error {
	status, isSource, err := s.sourceOf(ctx, id)
	if err != nil || !isSource {
		return err
	}
	add("fetching", "events read without a hole until", syncTones[status.Verdict].Name, status.Why.Message, status.Why.Action, nil, status.HighWater)
	for _, g := range status.Gaps {
		outcome := "not listed yet"
		if g.Listed {
			outcome = "lists were read instead"
		}
		add("gap", stamp(g.From)+" to "+stamp(g.To), outcome, "", "", nil, g.From)
	}
	return nil
}

// okWord is the outcome of a check.
func okWord(ok bool) string {
	if ok {
		return "ok"
	}
	return "failed"
}
