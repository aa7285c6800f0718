package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/period"
	"github.com/liftbill/liftbill/domain/recon"
	"github.com/liftbill/liftbill/workflows/wire"
)

func newReconcile() *cobra.Command {
	group := &cobra.Command{Use: "reconcile", Short: "Compare the ledger with Stripe, and work on what differs"}
	group.AddCommand(reconcileRun(), reconcileStatus(), reconcileBreaks(), reconcileResolve())
	return group
}

func reconcileRun() *cobra.Command {
	var f cycleFlags
	var start bool
	cmd := f.bind(&cobra.Command{
		Use: "run", Short: "Compare a month of an account with Stripe now; exits 1 while it does not tie out", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withApp(cmd, func(ctx context.Context, a *app) error {
				if start {
					return a.startReconcile(ctx, cmd.OutOrStdout(), f)
				}
				if _, err := a.reconciler().Reconcile(ctx, operator(), f.account, f.period, func(string) {}); err != nil {
					return err
				}
				return a.showReconciliation(ctx, cmd.OutOrStdout(), f)
			})
		},
	})
	cmd.Flags().BoolVar(&start, "start", false, "have a worker do it, through Temporal, and do not wait")
	return cmd
}

// startReconcile has a worker compare the month.
func (a *app) startReconcile(ctx context.Context, out io.Writer, f cycleFlags) error {
	if _, err := period.ParseMonth(f.period); err != nil {
		return err
	}
	env, err := a.environmentOf(ctx, f.account)
	if err != nil {
		return err
	}
	s, err := a.scheduler(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	res, err := s.StartReconcile(ctx, wire.ReconMonthInput{Environment: env, ReconMonth: wire.ReconMonth{AccountID: f.account, Period: f.period}, By: operator().ID})
	if err != nil {
		return err
	}
	if f.asJSON {
		return printJSON(out, res)
	}
	word := "started"
	if res.Already {
		word = "runs already"
	}
	_, err = fmt.Fprintf(out, "%s %s\n", res.WorkflowID, word)
	return err
}

func reconcileStatus() *cobra.Command {
	var f cycleFlags
	return f.bind(&cobra.Command{
		Use: "status", Short: "Show whether a month ties out, and what is in the way; exits 1 while it does not", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withApp(cmd, func(ctx context.Context, a *app) error { return a.showReconciliation(ctx, cmd.OutOrStdout(), f) })
		},
	})
}

// errOpen is the answer to the question whether a month ties out.
var errOpen = errors.New("the month does not tie out, or something keeps it from being closed")

// reconcileView is a month as the command line prints it.
type reconcileView struct {
	Account  string             `json:"account"`
	Period   string             `json:"period"`
	Ties     bool               `json:"ties"`
	Blocking int                `json:"blocking"`
	Run      int64              `json:"run,omitempty"`
	AsOf     time.Time          `json:"as_of,omitzero"`
	Failed   string             `json:"failed,omitempty"`
	Lines    []reconcileLine    `json:"lines"`
	Breaks   map[recon.Type]int `json:"pending"`
}

type reconcileLine struct {
	Line       string `json:"line"`
	Currency   string `json:"currency"`
	Ledger     int64  `json:"ledger_minor"`
	Stripe     int64  `json:"stripe_minor"`
	Difference int64  `json:"difference_minor"`
	Explained  int64  `json:"explained_minor"`
	Remaining  int64  `json:"remaining_minor"`
}

func (a *app) showReconciliation(ctx context.Context, out io.Writer, f cycleFlags) error {
	s, err := a.reconciler().Summary(ctx, f.account, f.period)
	if err != nil {
		return err
	}
	v := reconcileView{Account: s.AccountID, Period: s.Period, Ties: s.Ties, Blocking: s.Blocking, Lines: []reconcileLine{}, Breaks: map[recon.Type]int{}}
	if s.Complete != nil {
		v.Run, v.AsOf = s.Complete.ID, s.Complete.StartedAt
	}
	if s.Newest != nil && s.Newest.State == reconcile.Failed {
		v.Failed = s.Newest.Code + ": " + s.Newest.Message
	}
	for _, l := range s.TieOut.Lines {
		v.Lines = append(v.Lines, reconcileLine{string(l.Line), l.Currency, l.LeftMinor, l.RightMinor, l.DifferenceMinor, l.ExplainedMinor, l.RemainingMinor})
	}
	for _, c := range s.Counts {
		if c.State.Pending() {
			v.Breaks[c.Type] += c.Count
		}
	}
	if err := v.print(out, f.asJSON); err != nil {
		return err
	}
	if !v.Ties || v.Blocking > 0 {
		return exitError{exitFailed, errOpen}
	}
	return nil
}

func (v reconcileView) print(out io.Writer, asJSON bool) error {
	if asJSON {
		return printJSON(out, v)
	}
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "%s\t%s\trun %d\t%s\t\n", v.Account, v.Period, v.Run, stamp(v.AsOf))
	fmt.Fprintln(w, "line\tcurrency\tledger\tStripe\tdifference\texplained\tremaining\t")
	for _, l := range v.Lines {
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%d\t%d\t\n", l.Line, l.Currency, l.Ledger, l.Stripe, l.Difference, l.Explained, l.Remaining)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, rule := range recon.Rules() {
		if n := v.Breaks[rule.Type]; n > 0 {
			fmt.Fprintf(out, "%d × %s (%s): %s\n", n, rule.Title, rule.Severity, rule.NextAction)
		}
	}
	if v.Failed != "" {
		fmt.Fprintf(out, "the newest run failed: %s\n", v.Failed)
	}
	return nil
}

func reconcileBreaks() *cobra.Command {
	f := reconcile.BreaksFilter{Scope: access.Everything()}
	var asJSON bool
	cmd := &cobra.Command{
		Use: "breaks", Short: "List the breaks, newest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withApp(cmd, func(ctx context.Context, a *app) error {
				page, err := a.reconciler().Breaks(ctx, f)
				if err != nil {
					return err
				}
				return printBreaks(cmd.OutOrStdout(), page, asJSON)
			})
		},
	}
	cmd.Flags().StringVar(&f.AccountID, "account", "", "only this account's")
	cmd.Flags().StringVar(&f.Period, "period", "", "only this month's, YYYY-MM")
	cmd.Flags().StringVar(&f.Type, "type", "", "only this type")
	cmd.Flags().StringVar(&f.State, "state", "", "only in this state")
	cmd.Flags().BoolVar(&f.Pending, "pending", true, "only what still has to be dealt with")
	cmd.Flags().StringVar(&f.Cursor, "cursor", "", "go on behind an earlier page")
	cmd.Flags().IntVar(&f.Limit, "limit", 0, "rows of a page, 1 to 500; 50 when left out")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	return cmd
}

// breakLine is a break as the command line prints it.
type breakLine struct {
	ID       string    `json:"id"`
	Account  string    `json:"account"`
	Period   string    `json:"period"`
	Type     string    `json:"type"`
	Severity string    `json:"severity"`
	State    string    `json:"state"`
	AtStake  int64     `json:"at_stake_minor"`
	Currency string    `json:"currency"`
	Subject  string    `json:"subject"`
	Owner    string    `json:"owner"`
	Age      string    `json:"age_days"`
	Seen     time.Time `json:"first_seen"`
	Detail   string    `json:"detail"`
}

func lineOf(b reconcile.BreakView) breakLine {
	return breakLine{
		b.ID, b.AccountID, b.Period, string(b.Type), string(b.Rule().Severity), string(b.State), b.AmountMinor, b.Currency, b.Subject, b.Owner, string(b.Age), b.FirstSeen, b.Detail,
	}
}

func printBreaks(out io.Writer, page reconcile.Page[reconcile.BreakView], asJSON bool) error {
	lines := make([]breakLine, len(page.Items))
	for i, b := range page.Items {
		lines[i] = lineOf(b)
	}
	if asJSON {
		return printJSON(out, map[string]any{"items": lines, "next_cursor": page.NextCursor})
	}
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	for _, l := range lines {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%d %s\t%s\t%s\n", l.ID, l.Account, l.Period, l.Type, l.Severity, l.State, l.AtStake, l.Currency, l.Subject, l.Detail)
	}
	if page.NextCursor != "" {
		fmt.Fprintf(w, "more: --cursor %s\n", page.NextCursor)
	}
	return w.Flush()
}

func reconcileResolve() *cobra.Command {
	var reason, text string
	var force, asJSON bool
	cmd := &cobra.Command{
		Use: "resolve BREAK", Short: "Settle a break with a reason; a critical one needs a second person, who signs in", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withApp(cmd, func(ctx context.Context, a *app) error {
				r := a.reconciler()
				settle := r.Resolve
				if force {
					settle = r.RequestForce
				}
				b, err := settle(ctx, operator(), args[0], recon.Reason(reason), text)
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(cmd.OutOrStdout(), lineOf(b))
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is %s\n", b.ID, b.State)
				return err
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "explained, cut_off, corrected, accepted or written_off")
	cmd.Flags().StringVar(&text, "text", "", "a sentence that an auditor understands in a year")
	cmd.Flags().BoolVar(&force, "request-force", false, "ask a second person to agree")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	return cmd
}
