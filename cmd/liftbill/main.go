// Command liftbill is the billing engine: API, pages, worker and tools in one binary.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	_ "time/tzdata" // period bounds must not depend on the machine's zone files

	"github.com/spf13/cobra"

	"github.com/liftbill/liftbill/domain/fault"
)

// Exit codes of every command.
const (
	exitFailed      = 1 // the checked thing does not hold, or the run failed
	exitUsage       = 2 // the command was called wrongly
	exitEnvironment = 3 // something that the command needs is missing
)

// exitError carries the code of a command that has said everything already.
type exitError struct {
	code int
	err  error
}

func (e exitError) Error() string { return e.err.Error() }
func (e exitError) Unwrap() error { return e.err }

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := newRoot()
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, "liftbill: "+err.Error())
	return exitCode(err)
}

func exitCode(err error) int {
	var e exitError
	switch {
	case errors.As(err, &e):
		return e.code
	case strings.HasPrefix(err.Error(), "unknown command"), strings.HasPrefix(err.Error(), "required flag"):
		return exitUsage // cobra's own, which have no type
	case fault.Is(err, fault.Unavailable):
		return exitEnvironment
	case fault.Is(err, fault.Invalid):
		return exitUsage
	default:
		return exitFailed
	}
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "liftbill",
		Short:         "Bill measured incremental revenue through Stripe",
		Long:          "liftbill measures the incremental revenue of shipped policy snapshots, prices it by contract\nand writes exactly one invoice per customer and month to Stripe.",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return exitError{exitUsage, fmt.Errorf("%w (see %q)", err, cmd.CommandPath()+" --help")}
	})
	root.AddCommand(newDemo(), newServe(), newWorker(), newMigrate(), newSchedules(), newDoctor(), newDecisions(), newAdmin(), newUser(), newToken(), newAudit(), newCycle(), newAccrual(), newReconcile(), newMonth(), newAccount(), newConnection(), newSync(), newEvents(), newWebhook(), newOPE(), newReadout(), newPlan(), newProjections(), newSimulate(), newBench(), newReplay(), newRetention())
	return root
}
