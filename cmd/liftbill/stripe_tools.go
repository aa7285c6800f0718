package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/liftbill/liftbill/adapters/stripeapi"
	"github.com/liftbill/liftbill/adapters/system"
	"github.com/liftbill/liftbill/app/ingest"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/reward"
)

// maxInput bounds what a command reads from a file or from standard input.
const maxInput = 256 << 20

func readInput(cmd *cobra.Command, name string) ([]byte, error) {
	var r io.Reader = cmd.InOrStdin()
	if name != "-" {
		f, err := os.Open(name) //nolint:gosec // the user names the file to read
		if err != nil {
			return nil, fault.Wrap(err, fault.Invalid, "file_unreadable", "cannot read %s", name)
		}
		defer f.Close() //nolint:errcheck // it was only read
		r = f
	}
	raw, err := io.ReadAll(io.LimitReader(r, maxInput+1))
	if err == nil && len(raw) > maxInput {
		err = fault.New(fault.Invalid, "input_too_large", "%s holds more than %d bytes", name, maxInput)
	}
	return raw, err
}

// classified is one event as `events classify` shows it.
type classified struct {
	ID         string          `json:"id"`
	Type       string          `json:"type"`
	APIVersion string          `json:"api_version"`
	Livemode   bool            `json:"livemode"`
	Signals    []reward.Signal `json:"signals"`
	Facts      []reward.Fact   `json:"facts"`
	Anomaly    string          `json:"anomaly,omitempty"`
}

func newEvents() *cobra.Command {
	group := &cobra.Command{Use: "events", Short: "Stripe events"}
	var asJSON bool
	var userIDKey string
	cmd := &cobra.Command{
		Use: "classify FILE|-", Short: "Say what Stripe events mean, from their payload alone; needs no database", Args: exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			raw, err := readInput(cmd, args[0])
			if err != nil {
				return err
			}
			events, err := classifyAll(raw, reward.Config{UserIDKey: userIDKey})
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), map[string]any{"events": events})
			}
			for _, e := range events {
				fmt.Fprintf(cmd.OutOrStdout(), "%s  %s", e.ID, e.Type)
				for _, s := range e.Signals {
					fmt.Fprintf(cmd.OutOrStdout(), "  %s", s.Kind)
					if s.Amount != nil {
						fmt.Fprintf(cmd.OutOrStdout(), " %d %s", *s.Amount, s.Currency)
					}
				}
				if e.Anomaly != "" {
					fmt.Fprintf(cmd.OutOrStdout(), "  anomaly: %s", e.Anomaly)
				}
				fmt.Fprintln(cmd.OutOrStdout())
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	cmd.Flags().StringVar(&userIDKey, "user-id-key", reward.DefaultUserIDKey, "the customer metadata key that holds the user ID")
	group.AddCommand(cmd, newEventsErase())
	return group
}

// classifyAll takes one event, an array of events, or one event per line.
func classifyAll(raw []byte, cfg reward.Config) ([]classified, error) {
	// Editors may begin a file with a byte order mark. A delivery is judged as it came.
	dec := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(raw, []byte("\ufeff"))))
	var docs []json.RawMessage
	for {
		var doc json.RawMessage
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fault.Wrap(err, fault.Invalid, "event_not_json", "event %d is not JSON", len(docs)+1)
		}
		if trimmed := bytes.TrimSpace(doc); len(trimmed) > 0 && trimmed[0] == '[' {
			var list []json.RawMessage
			if err := json.Unmarshal(doc, &list); err != nil {
				return nil, fault.Wrap(err, fault.Invalid, "event_not_json", "the array cannot be read")
			}
			docs = append(docs, list...)
			continue
		}
		docs = append(docs, doc)
	}
	out := make([]classified, 0, len(docs))
	for i, doc := range docs {
		c, err := reward.Classify(doc, cfg)
		if err != nil {
			return nil, fault.Wrap(err, fault.Invalid, fault.CodeOf(err), "event %d", i+1)
		}
		e := classified{
			ID: c.Envelope.ID, Type: c.Envelope.Type, APIVersion: c.Envelope.APIVersion, Livemode: c.Envelope.Livemode,
			Signals: c.Signals, Facts: c.Facts, Anomaly: c.Anomaly,
		}
		if e.Signals == nil {
			e.Signals = []reward.Signal{}
		}
		if e.Facts == nil {
			e.Facts = []reward.Fact{}
		}
		out = append(out, e)
	}
	return out, nil
}

func exactArgs(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return exitError{exitUsage, fmt.Errorf("%d arguments given, %d expected: %s", len(args), n, cmd.UseLine())}
		}
		return nil
	}
}

func newWebhook() *cobra.Command {
	group := &cobra.Command{Use: "webhook", Short: "Webhook signatures"}
	var secrets []string
	var header string
	var now int64
	cmd := &cobra.Command{
		Use: "verify --secret S --header H FILE|-", Short: "Check a Stripe-Signature as the endpoint does", Args: exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			raw, err := readInput(cmd, args[0])
			if err != nil {
				return err
			}
			at := system.Clock{}.Now()
			if cmd.Flags().Changed("now") {
				at = time.Unix(now, 0).UTC()
			}
			if len(raw) > ingest.MaxBody {
				return exitError{exitFailed, fmt.Errorf("the body has %d bytes; the endpoint takes %d", len(raw), ingest.MaxBody)}
			}
			if err := (stripeapi.Verifier{}).Verify(raw, header, secrets, at); err != nil {
				return exitError{exitFailed, err}
			}
			if _, err := reward.ParseEnvelope(raw); err != nil {
				return exitError{exitFailed, fmt.Errorf("the signature is valid, but the body is no event: %w", err)}
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "valid")
			return err
		},
	}
	cmd.Flags().StringArrayVar(&secrets, "secret", nil, "signing secret; repeat it while one is being rolled")
	cmd.Flags().StringVar(&header, "header", "", "the Stripe-Signature header")
	cmd.Flags().Int64Var(&now, "now", 0, "Unix time to verify at; default is now")
	for _, name := range []string{"secret", "header"} {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // the flag was defined above
		}
	}
	group.AddCommand(cmd)
	return group
}
