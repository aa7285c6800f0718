package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
)

// settings are the program's flags.
type settings struct {
	addr, clockFile, readyFile, accounts, start string
	seed                                        uint64
	concurrency                                 int
	hold                                        bool
}

func command() *cobra.Command {
	var s settings
	cmd := &cobra.Command{
		Use:           "stripefake",
		Short:         "Serve a stateful stand-in for Stripe's API (2023-10-16) on loopback",
		Long:          "stripefake answers Stripe's API under /v1 and its own control API under /_fake.\nAccounts and keys come from --accounts or from POST /_fake/accounts.",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serve(cmd.Context(), s, cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.StringVar(&s.addr, "addr", "127.0.0.1:0", "loopback address to listen on; port 0 picks a free one")
	f.StringVar(&s.clockFile, "clock-file", "", "JSON file that holds the clock and is shared with other processes")
	f.StringVar(&s.start, "start", "", "first time of a new clock (RFC 3339); it then stands still. Default: the present, running")
	f.Uint64Var(&s.seed, "seed", 1, "seed of ids and of faults by chance")
	f.StringVar(&s.readyFile, "ready-file", "", "file to write the URL to once the server listens")
	f.StringVar(&s.accounts, "accounts", "", "JSON file with an array of accounts and their keys")
	f.IntVar(&s.concurrency, "webhook-concurrency", 8, "webhook deliveries in flight per endpoint")
	f.BoolVar(&s.hold, "hold-webhooks", false, "deliver webhooks only when POST /_fake/webhooks/flush asks for it")
	return cmd
}

func options(s settings) (stripefake.Options, error) {
	o := stripefake.Options{Seed: s.seed, WebhookConcurrency: s.concurrency, HoldWebhooks: s.hold}
	var at time.Time
	var err error
	if s.start != "" {
		if at, err = time.Parse(time.RFC3339, s.start); err != nil {
			return o, fmt.Errorf("--start: %w", err)
		}
	}
	switch {
	case s.clockFile != "":
		if o.Clock, err = stripefake.NewFileClock(s.clockFile, at); err != nil {
			return o, fmt.Errorf("--clock-file: %w", err)
		}
	case at.IsZero():
		o.Clock = stripefake.NewRunningClock(at)
	default:
		o.Clock = stripefake.NewClock(at)
	}
	if s.accounts != "" {
		raw, err := os.ReadFile(s.accounts)
		if err != nil {
			return o, fmt.Errorf("--accounts: %w", err)
		}
		if err := json.Unmarshal(raw, &o.Accounts); err != nil {
			return o, fmt.Errorf("--accounts %s: %w", s.accounts, err)
		}
	}
	return o, nil
}

// serve listens, tells where, and shuts down cleanly when ctx ends.
func serve(ctx context.Context, s settings, out io.Writer) error {
	if err := loopbackOnly(s.addr); err != nil {
		return err
	}
	o, err := options(s)
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.addr)
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w", s.addr, err)
	}
	fake := stripefake.New(stripefake.Options{
		Clock: o.Clock, Seed: o.Seed, WebhookConcurrency: o.WebhookConcurrency, HoldWebhooks: o.HoldWebhooks,
	})
	defer fake.Close()
	for _, a := range o.Accounts {
		if _, err := fake.AddAccount(a); err != nil {
			return errors.Join(err, listener.Close())
		}
	}
	fake.URL = "http://" + listener.Addr().String()
	web := &http.Server{Handler: fake, ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- web.Serve(listener) }()
	if err := announce(fake.URL, s.readyFile, out); err != nil {
		return errors.Join(err, web.Close())
	}
	select {
	case err := <-failed:
		return fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := web.Shutdown(grace); err != nil {
		return errors.Join(fmt.Errorf("shutting down: %w", err), web.Close())
	}
	return nil
}

// loopbackOnly refuses to offer the fake to other machines: whoever reaches it
// can make keys.
func loopbackOnly(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("--addr %q: want HOST:PORT, for instance 127.0.0.1:12111", addr)
	}
	if ip := net.ParseIP(host); host == "localhost" || (ip != nil && ip.IsLoopback()) {
		return nil
	}
	return fmt.Errorf("--addr %q: only loopback addresses are allowed", addr)
}

// announce prints the URL and writes it to the ready file in one step, so that
// a reader never sees half of it.
func announce(url, readyFile string, out io.Writer) error {
	if _, err := fmt.Fprintln(out, url); err != nil {
		return fmt.Errorf("printing the URL: %w", err)
	}
	if readyFile == "" {
		return nil
	}
	tmp, err := os.CreateTemp(filepath.Dir(readyFile), ".ready-*")
	if err != nil {
		return fmt.Errorf("--ready-file: %w", err)
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	_, err = tmp.WriteString(url + "\n")
	if err := errors.Join(err, tmp.Close()); err != nil {
		return fmt.Errorf("--ready-file: %w", err)
	}
	if err := os.Rename(tmp.Name(), readyFile); err != nil {
		return fmt.Errorf("--ready-file: %w", err)
	}
	return nil
}
