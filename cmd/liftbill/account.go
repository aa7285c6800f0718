package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

// decision is why something is decided, and how the answer is shown.
type decision struct {
	reason string
	asJSON bool
}

func (d *decision) bind(cmd *cobra.Command, required ...string) *cobra.Command {
	cmd.Args = cobra.NoArgs
	cmd.Flags().BoolVar(&d.asJSON, "json", false, "print one JSON document")
	for _, name := range required {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // the flags are defined by the callers
		}
	}
	return cmd
}

// because adds the reason, which most decisions need.
func (d *decision) because(cmd *cobra.Command, required ...string) *cobra.Command {
	cmd.Flags().StringVar(&d.reason, "reason", "", "why; it is kept for ever")
	return d.bind(cmd, append(required, "reason")...)
}

// say prints an answer as one JSON document or as a line.
func (d *decision) say(cmd *cobra.Command, v any, format string, args ...any) error {
	if d.asJSON {
		return printJSON(cmd.OutOrStdout(), v)
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), format+"\n", args...)
	return err
}

func newAccount() *cobra.Command {
	group := &cobra.Command{Use: "account", Short: "The vendor's customers"}
	payer := &cobra.Command{Use: "payer", Short: "Who pays for an account"}
	payer.AddCommand(payerSet(), payerCreate(), payerSetupLink())
	group.AddCommand(payer, newGoLive())
	return group
}

func payerSet() *cobra.Command {
	var d decision
	var in onboard.PayerInput
	cmd := &cobra.Command{
		Use: "set", Short: "Name a customer of the issuer as the payer, also in place of another one",
		Long: "Finalized invoices keep their addressee; a cycle that is not finished is addressed anew when it\nis run (after: liftbill cycle resume, if it needs a person).",
		RunE: func(cmd *cobra.Command, _ []string) error { return namePayer(cmd, d, in) },
	}
	cmd.Flags().StringVar(&in.AccountID, "account", "", "the account's ID")
	cmd.Flags().StringVar(&in.Customer, "customer", "", "the customer's ID at the issuer (cus_…)")
	return d.because(cmd, "account", "customer")
}

func payerCreate() *cobra.Command {
	var d decision
	var in onboard.PayerInput
	cmd := &cobra.Command{
		Use: "create", Short: "Have the payer found at the issuer, or created there once, by the next cycle",
		Long: "The next cycle of a live account takes the customer whose metadata entry lb_account names the\naccount, or creates one. A customer with the same address and without the entry is never taken:\nname it with set.",
		RunE: func(cmd *cobra.Command, _ []string) error { return namePayer(cmd, d, in) },
	}
	cmd.Flags().StringVar(&in.AccountID, "account", "", "the account's ID")
	cmd.Flags().StringVar(&in.Name, "name", "", "the payer's name, as it stands on the invoice")
	cmd.Flags().StringVar(&in.Email, "email", "", "the payer's e-mail address; it is stored encrypted")
	return d.because(cmd, "account", "name", "email")
}

func namePayer(cmd *cobra.Command, d decision, in onboard.PayerInput) error {
	return withApp(cmd, func(ctx context.Context, a *app) error {
		in.Reason = d.reason
		p, err := a.onboard().NamePayer(ctx, operator(), in)
		if err != nil {
			return err
		}
		if p.Wanted {
			return d.say(cmd, p, "%s: the next cycle finds the payer or creates it", p.Account.ID)
		}
		return d.say(cmd, p, "%s: %s pays", p.Account.ID, p.Account.PayerCustomer)
	})
}

func payerSetupLink() *cobra.Command {
	var d decision
	var in invoicing.SetupRequest
	cmd := &cobra.Command{
		Use: "setup-link", Short: "Make a page of Stripe's on which the payer enters a payment method",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withApp(cmd, func(ctx context.Context, a *app) error {
				link, err := a.invoicing().SetupLink(ctx, operator(), in)
				if err != nil {
					return err
				}
				return d.say(cmd, link, "%s\n(for %s, until %s)", link.URL, link.Customer, link.ExpiresAt.Format(time.RFC3339))
			})
		},
	}
	cmd.Flags().StringVar(&in.AccountID, "account", "", "the account's ID")
	cmd.Flags().StringVar(&in.SuccessURL, "success-url", "", "where the payer goes afterwards (https)")
	cmd.Flags().StringVar(&in.CancelURL, "cancel-url", "", "where the payer goes after giving up; the same by default")
	return d.bind(cmd, "account", "success-url")
}

func newConnection() *cobra.Command {
	group := &cobra.Command{Use: "connection", Short: "Connections to Stripe accounts"}
	pause, pauseFlags := switchTo("pause", "Store its events without classifying them; read and write nothing through it", func(ctx context.Context, s *onboard.Service, id string, d decision) (account.Connection, error) {
		return s.Pause(ctx, operator(), id, d.reason)
	})
	resume, resumeFlags := switchTo("resume", "Take a pause back, once Stripe accepts the key", func(ctx context.Context, s *onboard.Service, id string, d decision) (account.Connection, error) {
		return s.Resume(ctx, operator(), id)
	})
	on, onFlags := switchTo("writing-on", "Write invoices through it", func(ctx context.Context, s *onboard.Service, id string, d decision) (account.Connection, error) {
		return s.SwitchWriting(ctx, operator(), id, true, d.reason)
	})
	off, offFlags := switchTo("writing-off", "Write no invoices through it; everything else goes on", func(ctx context.Context, s *onboard.Service, id string, d decision) (account.Connection, error) {
		return s.SwitchWriting(ctx, operator(), id, false, d.reason)
	})
	group.AddCommand(pauseFlags.because(pause, "connection"), resumeFlags.bind(resume, "connection"), onFlags.because(on, "connection"), offFlags.because(off, "connection"))
	return group
}

func switchTo(use, short string, do func(ctx context.Context, s *onboard.Service, id string, d decision) (account.Connection, error)) (*cobra.Command, *decision) {
	d, id := &decision{}, ""
	cmd := &cobra.Command{
		Use: use, Short: short,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withApp(cmd, func(ctx context.Context, a *app) error {
				conn, err := do(ctx, a.onboard(), id, *d)
				if err != nil {
					return err
				}
				return d.say(cmd, conn, "%s: %s", conn.ID, standing(conn))
			})
		},
	}
	cmd.Flags().StringVar(&id, "connection", "", "the connection's ID")
	return cmd, d
}

func standing(c account.Connection) string {
	switch {
	case c.Paused:
		return "paused"
	case c.WriteBackOff:
		return "running, writing off"
	default:
		return "running"
	}
}

// cycleResume takes a cycle out of needs_human.
func cycleResume() *cobra.Command {
	var d decision
	var f cycleFlags
	var reissue bool
	cmd := &cobra.Command{
		Use: "resume", Short: "Say that a person has looked and a cycle that needs one may go on",
		Long: "It sends nothing: the next run (liftbill cycle run) looks at Stripe and goes on from what it finds,\nor stops again.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withApp(cmd, func(ctx context.Context, a *app) error {
				id, err := f.cycleID()
				if err != nil {
					return err
				}
				out, err := a.invoicing().Resume(ctx, operator(), invoicing.Resumption{CycleID: id, Reason: d.reason, Reissue: reissue})
				if err != nil {
					return err
				}
				return d.say(cmd, out, "%s: %s %s; run it again (liftbill cycle run)", id, out.State, billing.NextAction(out.State, out.Reason))
			})
		},
	}
	cmd.Flags().StringVar(&f.account, "account", "", "the account's ID")
	cmd.Flags().StringVar(&f.period, "period", "", "the month, YYYY-MM")
	cmd.Flags().BoolVar(&reissue, "reissue", false, "give the pinned invoice up and make another one, once the old one counts for nothing at Stripe")
	return d.because(cmd, "account", "period")
}

// cycleSweep removes what came late to the payer of a finished cycle.
func cycleSweep() *cobra.Command {
	var f cycleFlags
	return f.bind(&cobra.Command{
		Use: "sweep", Short: "Remove drafts and pending items of finished cycles that came late to a cycle's payer at Stripe", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withApp(cmd, func(ctx context.Context, a *app) error {
				if !a.cfg.StripeLive {
					return fault.New(fault.Conflict, "live_writes_off", "this process may not write to Stripe").Fix("Set LIFTBILL_STRIPE_LIVE=true")
				}
				id, err := f.cycleID()
				if err != nil {
					return err
				}
				swept, err := a.invoicing().Sweep(ctx, id)
				if err != nil {
					return err
				}
				if f.asJSON {
					return printJSON(cmd.OutOrStdout(), swept)
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %d drafts and %d pending items removed\n", id, swept.Drafts, swept.Items)
				return err
			})
		},
	})
}
