package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"time"

	"github.com/spf13/cobra"

	"github.com/liftbill/liftbill/adapters/postgres"
	"github.com/liftbill/liftbill/adapters/stripeapi"
	"github.com/liftbill/liftbill/adapters/system"
	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/internal/campaign"
)

// kill runs the sample in which the worker is a process that gets a SIGKILL.
func kill(ctx context.Context, cmd *cobra.Command, f flags, db *store) (wrong int, err error) {
	if f.kills <= 0 {
		return 0, nil
	}
	binary, err := os.Executable()
	if err != nil {
		return 0, err
	}
	deaths := 0
	for _, k := range campaign.Kills(f.seed, f.kills) {
		r, err := campaign.RunKill(ctx, k, db.ledger, startChild(binary, db.url))
		if err != nil {
			return wrong, fmt.Errorf("%s: %w", k, err)
		}
		deaths += r.Deaths
		if r.Wrong() {
			wrong++
			fmt.Fprintf(cmd.OutOrStdout(), "WRONG %s\n  -> %s %s %v\n", k, r.End, r.Reason, r.Findings)
		}
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "\n%d cycles on PostgreSQL whose worker process got a SIGKILL (%d ends of a process): %d wrong\n", f.kills, deaths, wrong)
	return wrong, err
}

// child is a process of this program that carries one cycle out.
type child struct{ cmd *exec.Cmd }

// Kill implements campaign.Child.
func (c child) Kill() error { return c.cmd.Process.Kill() }

// Wait implements campaign.Child.
func (c child) Wait() (ok bool, err error) {
	var exit *exec.ExitError
	switch err := c.cmd.Wait(); {
	case err == nil:
		return true, nil
	case errors.As(err, &exit) && exit.ExitCode() == -1: // killed
		return false, nil
	default:
		return false, err
	}
}

func startChild(binary, databaseURL string) campaign.StartChild {
	return func(ctx context.Context, cycleID, stripeURL string) (campaign.Child, error) {
		cmd := exec.CommandContext(ctx, binary, "child", "--cycle", cycleID, "--stripe", stripeURL) //nolint:gosec // it starts itself
		cmd.Env = append(os.Environ(), "DATABASE_URL="+databaseURL)
		cmd.Stderr = os.Stderr
		return child{cmd}, cmd.Start()
	}
}

// newChild is the worker process: the real ledger and the real Stripe client.
func newChild() *cobra.Command {
	var cycle, stripe string
	cmd := &cobra.Command{
		Use: "child", Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			db, err := postgres.Open(ctx, os.Getenv("DATABASE_URL"), postgres.Options{MaxConns: 2})
			if err != nil {
				return err
			}
			defer db.Close() //nolint:errcheck // the process ends
			client, err := stripeapi.New(stripeapi.Config{
				APIBase: stripe, LiveRate: stripeapi.Unlimited, HTTPTimeout: 10 * time.Second, Clock: system.Clock{}, Logger: slog.New(slog.DiscardHandler), ConnectionKey: issuer,
			})
			if err != nil {
				return err
			}
			s := &invoicing.Service{Ledger: db.NewInvoicing(), Writers: stripeapi.NewWriters(client), Clock: system.Clock{}}
			return campaign.DriveChild(ctx, s, cycle, func(d time.Duration) { <-time.NewTimer(d).C })
		},
	}
	cmd.Flags().StringVar(&cycle, "cycle", "", "the cycle")
	cmd.Flags().StringVar(&stripe, "stripe", "", "the address of the Stripe stand-in")
	return cmd
}

// issuer is the connection of every schedule.
func issuer(_ context.Context, id string) (account.Connection, account.SecretKey, error) {
	key, err := account.ParseSecretKey(campaign.ChildKey)
	return account.Connection{ID: id, Environment: account.Live, Roles: account.Roles{Issuer: true}}, key, err
}
