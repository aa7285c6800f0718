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
	"github.com/liftbill/liftbill/domain/fault"
)

func newMonth() *cobra.Command {
	group := &cobra.Command{Use: "month", Short: "Close an account's month, open it again, or see what keeps it from being closed"}
	group.AddCommand(monthStatus(), monthClose(), monthReopen())
	return group
}

// errMonthOpen is the answer to the question whether a month is closed.
var errMonthOpen = errors.New("the month is not closed")

func monthStatus() *cobra.Command {
	var f cycleFlags
	return f.bind(&cobra.Command{
		Use: "status", Short: "Show whether a month is closed, and what is in the way; exits 1 while it is open", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withApp(cmd, func(ctx context.Context, a *app) error {
				closed, err := a.showMonth(ctx, cmd.OutOrStdout(), f)
				if err == nil && !closed {
					err = exitError{exitFailed, errMonthOpen}
				}
				return err
			})
		},
	})
}

func monthClose() *cobra.Command {
	var f cycleFlags
	return f.bind(&cobra.Command{
		Use: "close", Short: "Close a month that was compared and that nothing keeps open; exits 1 and says why where it cannot be", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withApp(cmd, func(ctx context.Context, a *app) error {
				if err := a.reconciler().Close(ctx, operator(), f.account, f.period); err != nil {
					return err
				}
				_, err := a.showMonth(ctx, cmd.OutOrStdout(), f)
				return err
			})
		},
	})
}

func monthReopen() *cobra.Command {
	var f cycleFlags
	var reason string
	cmd := f.bind(&cobra.Command{
		Use: "reopen", Short: "Open a closed month again, with a reason; who closed it cannot", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withApp(cmd, func(ctx context.Context, a *app) error {
				if err := a.reconciler().ReopenMonth(ctx, operator(), f.account, f.period, reason); err != nil {
					return err
				}
				_, err := a.showMonth(ctx, cmd.OutOrStdout(), f)
				return err
			})
		},
	})
	cmd.Flags().StringVar(&reason, "reason", "", "a sentence that an auditor understands in a year")
	return cmd
}

// monthView is a month as the command line prints it.
type monthView struct {
	Account    string        `json:"account"`
	Period     string        `json:"period"`
	State      string        `json:"state"`
	Cycle      string        `json:"cycle_state"`
	Blocking   int           `json:"blocking"`
	Run        int64         `json:"run,omitempty"`
	ComparedAt time.Time     `json:"compared_at,omitzero"`
	Obstacle   string        `json:"obstacle,omitempty"`
	Detail     string        `json:"detail,omitempty"`
	History    []monthChange `json:"history"`
}

type monthChange struct {
	Action string    `json:"action"`
	Actor  string    `json:"actor"`
	Reason string    `json:"reason,omitempty"`
	At     time.Time `json:"at"`
}

func monthOf(m reconcile.MonthStatus) monthView {
	v := monthView{
		Account: m.AccountID, Period: m.Period, State: m.State(), Cycle: m.CycleState, Blocking: len(m.Blocking()), Run: m.RunID, ComparedAt: m.ComparedAt, History: []monthChange{},
	}
	if m.Obstacle != nil {
		v.Obstacle, v.Detail = fault.CodeOf(m.Obstacle), m.Obstacle.Error()
	}
	for _, c := range m.Closings {
		v.History = append(v.History, monthChange{string(c.Action), c.Actor.ID, c.Reason, c.At})
	}
	return v
}

func (a *app) showMonth(ctx context.Context, out io.Writer, f cycleFlags) (closed bool, err error) {
	m, err := a.reconciler().MonthStatus(ctx, f.account, f.period)
	if err != nil {
		return false, err
	}
	v := monthOf(m)
	if f.asJSON {
		return m.Closed(), printJSON(out, v)
	}
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintf(w, "%s\t%s\t%s\tcycle %s\n", v.Account, v.Period, v.State, v.Cycle)
	if v.Detail != "" {
		fmt.Fprintf(w, "cannot be closed: %s\n", v.Detail)
	}
	for _, c := range v.History {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", stamp(c.At), c.Action, c.Actor, c.Reason)
	}
	return m.Closed(), w.Flush()
}
