package sourcesync

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
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
	"github.com/liftbill/liftbill/domain/source"
)

// Service is the use case.
type Service struct {
	Source Source
	Ledger Ledger
	Box    secret.Box
	Clock  clock.Clock
	Log    *slog.Logger
	// BodyContext binds a sealed body to its connection, as the inbox does.
	BodyContext func(connectionID string) string
}

// Codes of the reasons for which a source is not looked at, or not to the end.
const (
	reasonPaused = "connection_paused"
	reasonOff    = "sync_off"
	reasonBudget = "read_budget_exhausted"
	reasonMode   = "livemode_mismatch"
	// reasonModeCode is the code of every error that would mix live and test.
	reasonModeCode = "mode_violation"
)

// pagesPerRun bounds one run, so that one large account keeps no other one waiting.
const pagesPerRun = 50

// Outcome is what a call did.
type Outcome struct {
	ConnectionID string
	Task         source.Task
	// Skipped is why nothing was done, Failed why it was not done to the end; empty codes otherwise.
	Skipped, Failed source.Reason
	// More: the source stays due.
	More              bool
	Seen, New, Missed int
	Pages             int
}

// Sync carries out what is due for a connection: a fetch or a check. What Stripe
// refuses is recorded on the source, with the time of the next attempt, and is no
// error; an error is a ledger that does not answer.
func (s *Service) Sync(ctx context.Context, connectionID string) (Outcome, error) {
	c, err := s.Ledger.Connection(ctx, connectionID)
	if err != nil {
		return Outcome{}, err
	}
	task, due := c.Due(s.Clock.Now())
	if !due {
		return Outcome{ConnectionID: c.ID}, nil
	}
	return s.run(ctx, c, task)
}

// Fetch fetches the events of a connection now, whether it is due or not, until there
// are no more. A connection with a webhook endpoint is fetched as well.
func (s *Service) Fetch(ctx context.Context, connectionID string) (Outcome, error) {
	total := Outcome{ConnectionID: connectionID, Task: source.TaskPull}
	for {
		c, err := s.Ledger.Connection(ctx, connectionID)
		if err != nil {
			return total, err
		}
		out, err := s.run(ctx, c, source.TaskPull)
		total.Seen, total.New, total.Missed, total.Pages = total.Seen+out.Seen, total.New+out.New, total.Missed+out.Missed, total.Pages+out.Pages
		total.Skipped, total.Failed = out.Skipped, out.Failed
		if err != nil || !out.More {
			return total, err
		}
	}
}

// Refresh fetches for a connection that has no other way to its events, before a month
// is closed. Unlike Sync it returns what went wrong: half the events are no month.
func (s *Service) Refresh(ctx context.Context, connectionID string) error {
	c, err := s.Ledger.Connection(ctx, connectionID)
	if err != nil || !c.Pulls() || c.Paused {
		return err
	}
	out, err := s.Fetch(ctx, connectionID)
	if err == nil && out.Failed.Code != "" {
		err = fault.New(fault.Unavailable, out.Failed.Code, "the events of connection %s cannot be fetched: %s", connectionID, out.Failed.Message).Fix("%s", out.Failed.Action)
	}
	return err
}

// Configure stores how a source is looked at. A nil field stays as it is.
func (s *Service) Configure(ctx context.Context, by access.Principal, connectionID string, change Change) (Connection, error) {
	c, err := s.Ledger.Connection(ctx, connectionID)
	if err != nil {
		return c, err
	}
	if err := mayDo(by, access.WriteSetup, c); err != nil {
		return c, err
	}
	before := settingFacts(c.Settings)
	if change.Enabled != nil {
		c.Enabled = *change.Enabled
	}
	if change.Pull != nil {
		c.Pull = *change.Pull
	}
	if change.Interval != nil {
		c.Interval = *change.Interval
	}
	if err := c.Validate(); err != nil {
		return c, err
	}
	now := s.Clock.Now()
	note := audit.New(by, now, audit.SyncConfigured, "connection", c.ID).In("", c.Environment).Changed(before, settingFacts(c.Settings))
	return c, s.Ledger.Configure(ctx, connectionID, c.Settings, now, note)
}

func settingFacts(set source.Settings) audit.Facts {
	return audit.Facts{"enabled": strconv.FormatBool(set.Enabled), "pull": string(set.Pull), "interval": set.Interval.String()}
}

// mayDo asks again what the edge has asked about the connection's accounts.
func mayDo(by access.Principal, perm access.Permission, c Connection) error {
	if err := access.RequirePermission(by, perm); err != nil {
		return err
	}
	if !by.Scope.Reaches(c.Environment) {
		return access.Hidden(access.Connection, c.ID)
	}
	return nil
}

// Change is what a person changes of the settings.
type Change struct {
	Enabled  *bool
	Pull     *source.Pull
	Interval *time.Duration
}

// run carries out one task.
func (s *Service) run(ctx context.Context, c Connection, task source.Task) (Outcome, error) {
	out := Outcome{ConnectionID: c.ID, Task: task}
	now := s.Clock.Now()
	switch {
	case c.Paused:
		out.Skipped = paused(c, now)
		return out, nil
	case !c.Enabled:
		out.Skipped = source.Reason{Code: reasonOff, Message: "synchronisation is switched off", Action: "Switch it on: PATCH /v1/connections/" + c.ID + "/sync", At: now}
		return out, nil
	}
	if gaps := c.Lost(now, c.WebhookSince); len(gaps) > 0 {
		if err := s.Ledger.LoseEvents(ctx, c, gaps, now); err != nil {
			return out, err
		}
		c.HighWater = gaps[len(gaps)-1].To
		s.Log.WarnContext(ctx, "events lost: Stripe keeps them for 30 days, and nobody looked; lists are read instead", slog.String("connection", c.ID),
			slog.Time("from", gaps[0].From), slog.Time("to", c.HighWater), slog.Bool("webhook", c.Webhook))
	}
	budget, err := s.Ledger.Budget(ctx, c.ID, now)
	if err != nil {
		return out, err
	}
	left := budget.Left(task.Purpose())
	if left == 0 {
		out.Skipped = source.Reason{
			Code: reasonBudget, Message: "the read allowance of the last 30 days is used up",
			Action: "Wait, or let Stripe deliver webhooks: POST /v1/connections/" + c.ID + "/webhook-endpoint", At: now,
		}
		return out, s.postpone(ctx, c, out.Skipped, now)
	}
	f := &fetch{s: s, c: c, task: task, budget: budget, pages: min(left, pagesPerRun), run: Run{Task: task, Started: now, Window: c.Window(task, now)}}
	err = f.all(ctx)
	return f.finish(ctx, out, err)
}

// postpone keeps a source off for a while without counting it as a failure.
func (s *Service) postpone(ctx context.Context, c Connection, why source.Reason, now time.Time) error {
	st := c.State
	st.Problem, st.RetryAt = why, now.Add(time.Hour)
	return s.Ledger.SaveRun(ctx, c.ID, st, nil, now)
}

// fetch is one run over a window of events.
type fetch struct {
	s      *Service
	c      Connection
	task   source.Task
	budget source.Budget
	// pages is how many more may be read.
	pages int
	run   Run
	// rest is where a run that was cut short goes on; zero when it reached its end.
	rest time.Time
}

// all reads the window piece by piece, oldest first. Each piece moves the high-water
// mark, so that a run that is cut short has lost nothing.
func (f *fetch) all(ctx context.Context) error {
	left, span := f.run.Window, source.FirstSlice
	for !left.Empty() {
		// A fetch that stopped inside of the overlap would read it again and again.
		if f.pages <= 0 && (f.task != source.TaskPull || left.From.After(f.c.HighWater)) {
			f.rest = left.From
			return nil
		}
		before := f.run.Pages
		read, err := f.piece(ctx, source.SliceOf(left, span))
		if err != nil {
			return err
		}
		left.From, span = read.To, source.NextSlice(span, f.run.Pages-before)
	}
	return nil
}

// piece reads all pages of a piece, which it cuts when the first page shows that it is
// a large one, and returns what it has read. The mark moves in the transaction that
// stores the last page: a crash before it reads the piece again. A piece is read to its
// end even when the run's pages are used up, because half of it counts for nothing.
func (f *fetch) piece(ctx context.Context, w source.Window) (source.Window, error) {
	for after := ""; ; {
		page, err := f.s.Source.Events(ctx, f.c.ID, w.From, w.To, after)
		f.pages--
		if after != "" && cursorGone(err) {
			after = ""
			continue
		}
		if err != nil {
			return w, err
		}
		f.run.Pages++
		cut := false
		if after == "" && page.Next != "" {
			if end, ok := source.Shrink(w, page.Oldest, source.MinSlice); ok {
				w.To, cut = end, true
			}
		}
		last := page.Next == "" && !cut
		if err := f.store(ctx, page.Events, w.To, last); err != nil {
			return w, err
		}
		if last {
			return w, nil
		}
		if after = page.Next; cut {
			after = ""
		}
	}
}

// cursorGone reports that the object behind which a page was to begin is not there any
// more: it was deleted, or Stripe has dropped the event. The window is read again.
func cursorGone(err error) bool {
	return fault.CodeOf(err) == "stripe_reference_missing" || fault.CodeOf(err) == "stripe_not_found"
}

// store keeps what is new of a page.
func (f *fetch) store(ctx context.Context, events [][]byte, end time.Time, last bool) error {
	fresh, err := f.s.unknown(ctx, f.c, events)
	if err != nil {
		return err
	}
	for i := range fresh {
		if fresh[i].Missed = f.missed(fresh[i]); fresh[i].Missed {
			f.run.Missed++
		}
	}
	var mark time.Time
	if last {
		mark = end
	}
	n, err := f.s.Ledger.AppendBatch(ctx, f.c, FromPull, fresh, mark, f.s.Clock.Now())
	f.run.Seen, f.run.New = f.run.Seen+len(events), f.run.New+n
	return err
}

// missed reports whether an event that is not here should have been: by its webhook, or
// by the fetches that have read its time already.
func (f *fetch) missed(e StoredEvent) bool {
	old := e.Created.Before(f.run.Started.Add(-source.Grace))
	if f.c.sent(e.Type) {
		return old && e.Created.After(f.c.WebhookSince)
	}
	return old && e.Created.Before(f.c.HighWater.Add(-source.Overlap))
}

// finish stores what the run came to. What Stripe refused stands on the source.
func (f *fetch) finish(ctx context.Context, out Outcome, err error) (Outcome, error) {
	s, now := f.s, f.s.Clock.Now()
	out.Seen, out.New, out.Missed, out.Pages, out.More = f.run.Seen, f.run.New, f.run.Missed, f.run.Pages, !f.rest.IsZero()
	if countErr := s.Ledger.AddReads(ctx, f.c.ID, s.Source.TakeReads(f.c.ID), now); countErr != nil && err == nil {
		err = countErr
	}
	if f.run.Missed > 0 {
		s.Log.WarnContext(ctx, "webhook_missing: events came late or not at all and were fetched", slog.String("connection", f.c.ID),
			slog.String("task", string(f.task)), slog.Int("events", f.run.Missed))
	}
	if f.c.Late(now) {
		s.Log.WarnContext(ctx, "events are about to be lost: the source was not read for 25 days", slog.String("connection", f.c.ID), slog.Time("high_water", f.c.HighWater))
	}
	if err == nil {
		s.Log.DebugContext(ctx, "source read", slog.String("connection", f.c.ID), slog.String("task", string(f.task)),
			slog.Int("seen", f.run.Seen), slog.Int("new", f.run.New), slog.Int("pages", f.run.Pages))
		return out, s.Ledger.SaveRun(ctx, f.c.ID, f.c.Done(f.task, now, f.run.New, f.rest, f.budget), &f.run, now)
	}
	why, ours := refusal(err)
	if !ours {
		return out, err
	}
	out.Failed = why
	s.Log.WarnContext(ctx, "source not read", slog.String("connection", f.c.ID), slog.String("task", string(f.task)), slog.String("code", why.Code), slog.String("reason", why.Message))
	return out, s.Ledger.SaveRun(ctx, f.c.ID, f.c.Failed(now, why, waitOf(err)), nil, now)
}

// refusal turns an error of Stripe's into a reason; ok is false for an error of another
// origin, which the caller has to hear of.
func refusal(err error) (why source.Reason, ok bool) {
	var e *fault.Error
	if !errors.As(err, &e) || errors.Is(err, context.Canceled) || !(strings.HasPrefix(e.Code, "stripe_") || e.Code == reasonModeCode) {
		return source.Reason{}, false
	}
	return source.Reason{Code: e.Code, Message: e.Msg, Action: e.Remedy}, true
}

// waitOf is the wait that the error asks for; 0 when it names none.
func waitOf(err error) time.Duration {
	var asked interface{ RetryAfter() time.Duration }
	if errors.As(err, &asked) {
		return asked.RetryAfter()
	}
	return 0
}

// unknown describes and seals the events that are not stored yet, oldest first.
func (s *Service) unknown(ctx context.Context, c Connection, raws [][]byte) ([]StoredEvent, error) {
	refs := make([]EventRef, 0, len(raws))
	parsed := make([]reward.Envelope, 0, len(raws))
	for _, raw := range raws {
		env, err := reward.ParseEnvelope(raw)
		if err != nil {
			return nil, fault.New(fault.Unavailable, "stripe_bad_answer", "Stripe listed an event that cannot be read")
		}
		parsed = append(parsed, env)
		refs = append(refs, EventRef{env.ID, env.Created})
	}
	known, err := s.Ledger.Known(ctx, c.ID, refs)
	if err != nil {
		return nil, err
	}
	out := make([]StoredEvent, 0, len(raws))
	for i, env := range parsed {
		if known[env.ID] {
			continue
		}
		sealed, err := s.Box.Seal(s.BodyContext(c.ID), raws[i])
		if err != nil {
			return nil, err
		}
		e := StoredEvent{
			EventID: env.ID, Type: env.Type, ObjectID: env.ObjectID, APIVersion: env.APIVersion, Created: env.Created,
			Livemode: env.Livemode, SealedBody: sealed, BodySHA256: sha256.Sum256(raws[i]),
		}
		if account.EnvironmentOf(env.Livemode) != c.Environment {
			e.Quarantine = reasonMode
		}
		out = append(out, e)
	}
	slices.Reverse(out)
	return out, nil
}
