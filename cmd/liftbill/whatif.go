package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/liftbill/liftbill/app/whatif"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/money"
)

// maxTermsBytes bounds what is read as terms.
const maxTermsBytes = 1 << 20

func cycleWhatIf() *cobra.Command {
	var accountID, file string
	var months int
	var asJSON bool
	cmd := &cobra.Command{
		Use: "whatif", Short: "Price past months under other terms; nothing is written anywhere", Args: cobra.NoArgs,
		Long: "Prices the stored readouts of an account's last months as if other terms had been agreed on from the\n" +
			"contract's first month, and compares them with what the months came to. FILE is a JSON object: its\n" +
			"members replace those of the contract's terms (docs/contracts.md), null takes one away, - is stdin.\n" +
			"The database is read in a read-only transaction and Stripe is not spoken to.",
		Example: `  echo '{"share": "0.15", "caps": {"month_minor": 5000000}}' | liftbill cycle whatif --account acme --months 12 --terms -`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			changes, err := readTerms(cmd.InOrStdin(), file)
			if err != nil {
				return err
			}
			return withApp(cmd, func(ctx context.Context, a *app) error {
				answer, err := a.whatif().Price(ctx, accountID, months, changes)
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(cmd.OutOrStdout(), answer)
				}
				return printWhatIf(cmd.OutOrStdout(), answer)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&accountID, "account", "", "the account's ID")
	f.IntVar(&months, "months", 12, "how many of the last priced months to compare")
	f.StringVar(&file, "terms", "", "file with the changed terms as a JSON object, - for stdin")
	f.BoolVar(&asJSON, "json", false, "print one JSON document")
	for _, name := range []string{"account", "terms"} {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // the flag was defined a few lines above
		}
	}
	return cmd
}

func (a *app) whatif() *whatif.Service { return &whatif.Service{Ledger: a.db.NewWhatIf()} }

func readTerms(stdin io.Reader, file string) ([]byte, error) {
	in := stdin
	if file != "-" {
		f, err := os.Open(file) //nolint:gosec // the operator names the file
		if err != nil {
			return nil, fault.Wrap(err, fault.Invalid, "terms_unreadable", "the terms cannot be read").On("terms")
		}
		defer f.Close() //nolint:errcheck // it was only read
		in = f
	}
	raw, err := io.ReadAll(io.LimitReader(in, maxTermsBytes+1))
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "terms_unreadable", "the terms cannot be read").On("terms")
	}
	if len(raw) > maxTermsBytes {
		return nil, fault.InvalidField("terms", "terms_malformed", "the terms are longer than %d bytes", maxTermsBytes)
	}
	return raw, nil
}

func printWhatIf(out io.Writer, a whatif.Answer) error {
	amount := func(minor int64) string {
		v, err := money.New(minor, money.Currency(a.Currency))
		if err != nil {
			return fmt.Sprint(minor)
		}
		return v.String()
	}
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "month\tstate\tas it was\tunder the other terms\tdifference\tlines\t")
	for _, m := range a.Months {
		var lines []string
		for _, l := range m.Lines {
			lines = append(lines, fmt.Sprintf("%s %d", strings.TrimPrefix(l.Line, "fee:"), l.AmountMinor))
		}
		if m.Held != "" {
			lines = append(lines, "("+string(m.Held)+")")
		}
		if m.Shadow || m.OldShadowMinor != 0 {
			lines = append(lines, fmt.Sprintf("(shadow, in no total: would have been %s, now %s)", amount(m.OldShadowMinor), amount(m.NewShadowMinor)))
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t\n", m.Period, m.State, amount(m.OldMinor), amount(m.NewMinor), amount(m.DifferenceMinor), strings.Join(lines, ", "))
	}
	fmt.Fprintf(w, "total\t\t%s\t%s\t%s\t\t\n", amount(a.OldMinor), amount(a.NewMinor), amount(a.DifferenceMinor))
	if err := w.Flush(); err != nil {
		return err
	}
	if a.ShadowMonths > 0 {
		fmt.Fprintf(out, "\n%d of the months are shadow ones: priced and shown, never invoiced, and in no total.\n", a.ShadowMonths)
	}
	if len(a.Months) < a.Asked {
		fmt.Fprintf(out, "\nOnly %d of the %d months that were asked for are priced.\n", len(a.Months), a.Asked)
	}
	if a.HeldBackMinor != 0 || a.BalanceMinor != 0 {
		fmt.Fprintf(out, "\nStill to come under the other terms: %s held back, %s carried forward.\n", amount(a.HeldBackMinor), amount(a.BalanceMinor))
	}
	fmt.Fprintf(out, "\nThe other terms:\n")
	for _, t := range a.Terms {
		fmt.Fprintf(out, "  %s\n", t)
	}
	return nil
}
