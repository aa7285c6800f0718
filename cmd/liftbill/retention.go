package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/liftbill/liftbill/app/operate"
	"github.com/liftbill/liftbill/domain/access"
)

func (a *app) retention() *operate.Retention {
	return &operate.Retention{Archive: a.db.NewArchive(), Clock: a.clock}
}

func newRetention() *cobra.Command {
	group := &cobra.Command{Use: "retention", Short: "How long the raw bodies of Stripe's events are kept"}
	var months int
	var dryRun, asJSON bool
	apply := &cobra.Command{
		Use: "apply", Short: "Erase the bodies of months that are old enough and belong to no open contract year; rows, digests and facts stay", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withApp(cmd, func(ctx context.Context, a *app) error {
				steps, err := a.retention().Apply(ctx, operator(), months, dryRun)
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(cmd.OutOrStdout(), retentionJSON(steps, months, dryRun))
				}
				return printRetention(cmd.OutOrStdout(), steps, dryRun)
			})
		},
	}
	apply.Flags().IntVar(&months, "months", 0, "keep the bodies of this many months at least; 0 keeps all")
	apply.Flags().BoolVar(&dryRun, "dry-run", false, "say what would be done and change nothing")
	apply.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	group.AddCommand(apply)
	return group
}

// retentionStep is one month in the JSON of the command.
type retentionStep struct {
	Month     string `json:"month"`
	Events    int64  `json:"events"`
	Bodies    int64  `json:"bodies"`
	Bytes     int64  `json:"bytes"`
	Attention int64  `json:"bodies_needed"`
	Erase     bool   `json:"erase"`
	Why       string `json:"why"`
	Erased    int64  `json:"erased"`
}

type retentionDoc struct {
	Months int             `json:"months"`
	DryRun bool            `json:"dry_run"`
	Steps  []retentionStep `json:"steps"`
}

func retentionJSON(steps []operate.Step, months int, dryRun bool) retentionDoc {
	out := retentionDoc{Months: months, DryRun: dryRun, Steps: []retentionStep{}}
	for _, s := range steps {
		out.Steps = append(out.Steps, retentionStep{s.From.Format("2006-01"), s.Events, s.Bodies, s.Bytes, s.Attention, s.Erase, s.Why, s.Erased})
	}
	return out
}

func printRetention(out io.Writer, steps []operate.Step, dryRun bool) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	for _, s := range steps {
		what := "kept"
		switch {
		case s.Erase && dryRun:
			what = "would be erased"
		case s.Erase:
			what = fmt.Sprintf("%d erased", s.Erased)
		}
		fmt.Fprintf(w, "%s\t%d events\t%d bodies\t%d bytes\t%s\t%s\n", s.From.Format("2006-01"), s.Events, s.Bodies, s.Bytes, what, s.Why)
	}
	if len(steps) == 0 {
		fmt.Fprintln(w, "no month of events is stored")
	}
	return w.Flush()
}

// retainEvery is how often a worker looks whether a month has become old enough.
const retainEvery = 24 * time.Hour

// retain erases what is older than the months until the context ends; with 0 months it
// does nothing.
func (a *app) retain(ctx context.Context, months int) {
	if months <= 0 {
		return
	}
	tick := time.NewTicker(retainEvery)
	defer tick.Stop()
	for {
		steps, err := a.retention().Apply(ctx, access.Machine("worker"), months, false)
		if err != nil && ctx.Err() == nil {
			a.log.ErrorContext(ctx, "retention", slog.Any("error", err))
		}
		for _, s := range steps {
			if s.Erased > 0 {
				a.log.InfoContext(ctx, "bodies erased", slog.String("month", s.From.Format("2006-01")), slog.Int64("bodies", s.Erased))
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
