package sourcesync

import (
	"context"
	"fmt"
	"time"

	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/source"
)

// Verdict is how a source is doing, in one word.
type Verdict string

// The verdicts, from bad to good.
const (
	// Failing: Stripe refuses.
	Failing Verdict = "failing"
	// Warning: it works, and a person should look.
	Warning Verdict = "warning"
	// Waiting: it goes on by itself.
	Waiting Verdict = "waiting"
	// Paused and Off are a person's decision.
	Paused Verdict = "paused"
	Off    Verdict = "off"
	OK     Verdict = "ok"
)

// Status is a source's health with what to make of it.
type Status struct {
	Health
	Verdict Verdict
	Why     source.Reason
	// NextAt is when it is looked at next; zero is never.
	NextAt time.Time
	Lag    time.Duration
}

// Status tells how a source is doing.
func (s *Service) Status(ctx context.Context, connectionID string) (Status, error) {
	now := s.Clock.Now()
	h, err := s.Ledger.Health(ctx, connectionID, now)
	if err != nil {
		return Status{}, err
	}
	out := Status{Health: h, Lag: h.Lag(now), NextAt: h.State.NextAt()}
	out.Verdict, out.Why = h.judge(now)
	if h.Connection.Paused {
		out.NextAt = time.Time{}
	}
	return out, nil
}

// paused says why a connection stands still.
func paused(c Connection, now time.Time) source.Reason {
	action := "Resume the connection: POST /v1/connections/" + c.ID + "/resume"
	if c.PausedReason == account.PauseKeyRevoked || c.PausedReason == account.PauseDisconnected {
		action = "Give the connection another key: POST /v1/connections/" + c.ID + "/key"
	}
	return source.Reason{Code: reasonPaused, Message: "the connection is paused: " + c.PausedReason, Action: action, At: now}
}

// judge names the worst that there is to say.
func (h Health) judge(now time.Time) (Verdict, source.Reason) {
	say := func(code, action, format string, a ...any) source.Reason {
		return source.Reason{Code: code, Message: fmt.Sprintf(format, a...), Action: action, At: now}
	}
	lost := false
	for _, g := range h.Gaps {
		lost = lost || !g.Listed
	}
	switch {
	case h.Connection.Paused:
		return Paused, paused(h.Connection, now)
	case !h.Enabled:
		return Off, say(reasonOff, "Switch it on: PATCH /v1/connections/"+h.ID+"/sync", "synchronisation is switched off")
	case h.Failures > 0:
		return Failing, h.Problem
	case h.Problem.Code != "":
		return Waiting, h.Problem
	case h.Backfill != nil && h.Backfill.State == BackfillFailed:
		return Warning, h.Backfill.Reason
	case lost:
		return Warning, say("events_lost", "Nothing: lists are being read instead", "events older than 30 days were not fetched in time")
	case h.Late(now):
		return Warning, say("events_about_to_be_lost", "Let a worker run", "events were not read for 25 days; Stripe keeps them for 30")
	case h.PendingReads > 0 && h.Budget.Left(source.ForMoney) == 0:
		return Warning, say(reasonBudget, "Nothing: they are read as the days roll on", "%d objects wait, because the read allowance of the last 30 days is used up", h.PendingReads)
	case h.FailedReads > 0:
		return Warning, say("reads_failed", "See the objects' next actions", "%d objects could not be read", h.FailedReads)
	case h.MissedDay > 0:
		return Warning, say("webhook_missing", "See in the Stripe Dashboard (Developers, Webhooks) whether the endpoint is enabled and sent these types", "%d events of the last day did not arrive by themselves and were fetched", h.MissedDay)
	}
	return OK, source.Reason{}
}
