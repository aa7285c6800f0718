package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/liftbill/liftbill/app/sourcesync"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/source"
)

func newSync() *cobra.Command {
	group := &cobra.Command{Use: "sync", Short: "How a source connection is kept in step with Stripe"}
	group.AddCommand(syncStatus(), syncPull(), syncBackfill(), syncSet())
	return group
}

type syncFlags struct {
	connection string
	asJSON     bool
}

func (f *syncFlags) bind(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().StringVar(&f.connection, "connection", "", "the connection's ID")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print one JSON document")
	if err := cmd.MarkFlagRequired("connection"); err != nil {
		panic(err) // the flag was defined two lines above
	}
	return cmd
}

func syncStatus() *cobra.Command {
	var f syncFlags
	return f.bind(&cobra.Command{
		Use: "status", Short: "Show where a source stands and what to do about it", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withApp(cmd, func(ctx context.Context, a *app) error { return a.showSync(ctx, cmd.OutOrStdout(), f) })
		},
	})
}

// syncView is a source as the command line prints it.
type syncView struct {
	Connection    string           `json:"connection"`
	State         string           `json:"state"`
	Reason        *syncReason      `json:"reason,omitempty"`
	Enabled       bool             `json:"enabled"`
	Pull          string           `json:"pull"`
	Pulling       bool             `json:"pulling"`
	Interval      string           `json:"interval"`
	HighWater     time.Time        `json:"high_water"`
	Lag           string           `json:"lag"`
	NextAt        time.Time        `json:"next_at,omitzero"`
	EventsHorizon time.Time        `json:"events_horizon"`
	SyncStart     time.Time        `json:"sync_start,omitzero"`
	MissedDay     int              `json:"missed_last_day"`
	MissedTotal   int              `json:"missed_total"`
	ReadsUsed     int              `json:"reads_used"`
	ReadsLimit    int              `json:"reads_limit"`
	PendingEvents int              `json:"pending_events"`
	PendingReads  int              `json:"pending_reads"`
	FailedReads   int              `json:"failed_reads"`
	Backfill      *syncBackfillRow `json:"backfill,omitempty"`
}

type syncReason struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Action  string `json:"action,omitempty"`
}

type syncBackfillRow struct {
	ID       string    `json:"id"`
	Kind     string    `json:"kind"`
	State    string    `json:"state"`
	Resource string    `json:"resource"`
	Start    time.Time `json:"start"`
	Objects  int       `json:"objects"`
	Facts    int       `json:"facts"`
}

func viewOf(s sourcesync.Status) syncView {
	v := syncView{
		Connection: s.ID, State: string(s.Verdict), Enabled: s.Enabled, Pull: string(s.Pull), Pulling: s.Pulls(), Interval: s.Interval.String(),
		HighWater: s.HighWater, Lag: s.Lag.Round(time.Second).String(), NextAt: s.NextAt, EventsHorizon: s.Horizon.Start, SyncStart: s.SyncStart,
		MissedDay: s.MissedDay, MissedTotal: s.MissedTotal, ReadsUsed: s.Budget.Used, ReadsLimit: s.Budget.Limit(),
		PendingEvents: s.PendingEvents, PendingReads: s.PendingReads, FailedReads: s.FailedReads,
	}
	if s.Why.Code != "" {
		v.Reason = &syncReason{s.Why.Code, s.Why.Message, s.Why.Action}
	}
	if b := s.Backfill; b != nil {
		row := &syncBackfillRow{ID: b.ID, Kind: string(b.Kind), State: string(b.State), Resource: string(b.Resource), Start: b.Start}
		for _, p := range b.Progress {
			row.Objects, row.Facts = row.Objects+p.Objects, row.Facts+p.Facts
		}
		v.Backfill = row
	}
	return v
}

func (a *app) showSync(ctx context.Context, out io.Writer, f syncFlags) error {
	s, err := a.sources().Status(ctx, f.connection)
	if err != nil {
		return err
	}
	v := viewOf(s)
	if f.asJSON {
		return printJSON(out, v)
	}
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintf(w, "%s\t%s\n", v.Connection, v.State)
	if v.Reason != nil {
		fmt.Fprintf(w, "  because\t%s: %s\n  do\t%s\n", v.Reason.Code, v.Reason.Message, v.Reason.Action)
	}
	way := "webhooks, checked every hour and every day"
	if v.Pulling {
		way = "fetched every " + v.Interval
	}
	fmt.Fprintf(w, "  events\t%s\n  complete until\t%s (%s behind)\n", way, stamp(v.HighWater), v.Lag)
	fmt.Fprintf(w, "  told by events from\t%s\n", stamp(v.EventsHorizon))
	fmt.Fprintf(w, "  found by checks\t%d in the last day, %d in all\n", v.MissedDay, v.MissedTotal)
	fmt.Fprintf(w, "  waiting\t%d events, %d reads (%d failed)\n", v.PendingEvents, v.PendingReads, v.FailedReads)
	fmt.Fprintf(w, "  reads\t%d of at least %d in 30 days\n", v.ReadsUsed, v.ReadsLimit)
	if b := v.Backfill; b != nil {
		fmt.Fprintf(w, "  backfill\t%s %s, at %s, %d objects, %d new facts\n", b.ID, b.State, b.Resource, b.Objects, b.Facts)
	}
	return w.Flush()
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

func syncPull() *cobra.Command {
	var f syncFlags
	return f.bind(&cobra.Command{
		Use: "pull", Short: "Fetch the events of a connection now; a worker classifies them", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withApp(cmd, func(ctx context.Context, a *app) error {
				out, err := a.sources().Fetch(ctx, f.connection)
				if err != nil {
					return err
				}
				if err := a.pulled(ctx, out); err != nil {
					return err
				}
				if f.asJSON {
					err = printJSON(cmd.OutOrStdout(), map[string]any{"connection": out.ConnectionID, "seen": out.Seen, "new": out.New, "pages": out.Pages,
						"code": firstOf(out.Failed.Code, out.Skipped.Code)})
				} else {
					_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d events seen, %d of them new, in %d pages\n", out.Seen, out.New, out.Pages)
				}
				for _, why := range []source.Reason{out.Failed, out.Skipped} {
					if err == nil && why.Code != "" {
						return exitError{exitFailed, fault.New(fault.Unavailable, why.Code, "%s", why.Message).Fix("%s", why.Action)}
					}
				}
				return err
			})
		},
	})
}

// pulled writes down that an operator had events fetched.
func (a *app) pulled(ctx context.Context, out sourcesync.Outcome) error {
	c, err := a.db.SealedConnection(ctx, out.ConnectionID)
	if err != nil {
		return err
	}
	return a.append(ctx, a.did(audit.EventsPulled, "connection", c.ID).In("", c.Environment).Changed(nil, audit.Facts{"seen": strconv.Itoa(out.Seen), "new": strconv.Itoa(out.New)}))
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

func syncBackfill() *cobra.Command {
	var f syncFlags
	var start string
	cmd := f.bind(&cobra.Command{
		Use: "backfill", Short: "Ask for the history of a connection; a worker reads it", Args: cobra.NoArgs,
		Long: "Ask for the history of a connection. A worker reads the events that Stripe still has and, beyond\nthem, the lists of its objects. With --start, facts before that date are kept as history and\nnever rewarded. Asked for again, a backfill that runs or has stopped goes on.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			from, err := parseStart(start)
			if err != nil {
				return err
			}
			return withApp(cmd, func(ctx context.Context, a *app) error {
				b, created, err := a.sources().RequestBackfill(ctx, operator(), f.connection, from)
				if err != nil {
					return err
				}
				if f.asJSON {
					return printJSON(cmd.OutOrStdout(), syncBackfillRow{ID: b.ID, Kind: string(b.Kind), State: string(b.State), Resource: string(b.Resource), Start: b.Start})
				}
				word := "goes on"
				if created {
					word = "will be read"
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s %s; see: liftbill sync status --connection %s\n", b.ID, word, f.connection)
				return err
			})
		},
	})
	cmd.Flags().StringVar(&start, "start", "", "where the rewards begin, YYYY-MM-DD or RFC 3339; empty is the whole history")
	return cmd
}

// parseStart reads a date or a moment, in UTC.
func parseStart(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fault.InvalidField("--start", "date_malformed", "%q is neither a date nor a moment", text).Fix("Write 2026-01-31 or 2026-01-31T00:00:00Z")
}

func syncSet() *cobra.Command {
	var f syncFlags
	var interval time.Duration
	var enabled bool
	var pull string
	cmd := f.bind(&cobra.Command{
		Use: "set", Short: "Change whether, how and how often a connection is read", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var change sourcesync.Change
			if cmd.Flags().Changed("interval") {
				change.Interval = &interval
			}
			if cmd.Flags().Changed("enabled") {
				change.Enabled = &enabled
			}
			if way := source.Pull(pull); cmd.Flags().Changed("pull") {
				change.Pull = &way
			}
			if change == (sourcesync.Change{}) {
				return fault.New(fault.Invalid, "nothing_to_change", "nothing is to be changed").Fix("Give --interval, --enabled or --pull")
			}
			return withApp(cmd, func(ctx context.Context, a *app) error {
				if _, err := a.sources().Configure(ctx, operator(), f.connection, change); err != nil {
					return err
				}
				return a.showSync(ctx, cmd.OutOrStdout(), f)
			})
		},
	})
	cmd.Flags().DurationVar(&interval, "interval", source.DefaultInterval, "between two fetches, 1m to 24h")
	cmd.Flags().BoolVar(&enabled, "enabled", true, "whether the connection is read at all")
	cmd.Flags().StringVar(&pull, "pull", string(source.PullAuto), "auto: fetch while there is no webhook endpoint; always: fetch beside one too")
	return cmd
}
