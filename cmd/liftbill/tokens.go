package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/liftbill/liftbill/app/access"
	domain "github.com/liftbill/liftbill/domain/access"
)

func newToken() *cobra.Command {
	group := &cobra.Command{Use: "token", Short: "API tokens of programs"}
	group.AddCommand(tokenCreate(), tokenList(), tokenRotate(), tokenRevoke())
	return group
}

// tokenDocument is what commands print of a token. The secret is there when it was
// just made.
type tokenDocument struct {
	ID          string     `json:"id"`
	Name        string     `json:"name"`
	Environment string     `json:"environment"`
	Roles       []string   `json:"roles"`
	Accounts    []string   `json:"accounts"`
	CreatedAt   time.Time  `json:"created_at"`
	ExpiresAt   *time.Time `json:"expires_at,omitempty"`
	LastUsedAt  *time.Time `json:"last_used_at,omitempty"`
	RevokedAt   *time.Time `json:"revoked_at,omitempty"`
	Secret      string     `json:"secret,omitempty"`
}

func documentOfToken(t domain.APIToken) tokenDocument {
	known := func(at time.Time) *time.Time {
		if at.IsZero() {
			return nil
		}
		return &at
	}
	return tokenDocument{
		ID: t.ID, Name: t.Name, Environment: t.Environment.String(), Roles: t.Roles.Names(), Accounts: append([]string{}, t.Accounts...),
		CreatedAt: t.CreatedAt, ExpiresAt: known(t.ExpiresAt), LastUsedAt: known(t.LastUsedAt), RevokedAt: known(t.RevokedAt),
	}
}

// printToken writes the secret alone to stdout, so that a script can take it, and what
// it is to stderr.
func printToken(cmd *cobra.Command, t domain.APIToken, secret domain.TokenText, asJSON bool) error {
	if asJSON {
		d := documentOfToken(t)
		d.Secret = secret.Reveal()
		return printJSON(cmd.OutOrStdout(), d)
	}
	until := "does not expire"
	if !t.ExpiresAt.IsZero() {
		until = "works until " + t.ExpiresAt.Format(time.RFC3339)
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "token %s, %s: %s; %s; %s. It is shown this once:\n", t.ID, t.Name, t.Roles, t.Scope(), until)
	_, err := fmt.Fprintln(cmd.OutOrStdout(), secret.Reveal())
	return err
}

func tokenCreate() *cobra.Command {
	var in access.TokenInput
	var days int
	var asJSON bool
	cmd := &cobra.Command{
		Use: "create --name N --environment E --role R", Short: "Make a token and print it, once", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withApp(cmd, func(ctx context.Context, a *app) error {
				in.Life = time.Duration(days) * 24 * time.Hour
				if days == 0 {
					in.Life = access.Forever
				}
				t, secret, err := a.access().CreateToken(ctx, operator(), in)
				if err != nil {
					return err
				}
				return printToken(cmd, t, secret, asJSON)
			})
		},
	}
	cmd.Flags().StringVar(&in.Name, "name", "", "what it is for")
	cmd.Flags().StringVar(&in.Environment, "environment", "", "live or test")
	cmd.Flags().StringSliceVar(&in.Roles, "role", nil, "viewer, finance, approver, admin or ingest; may be repeated")
	cmd.Flags().StringSliceVar(&in.Accounts, "account", nil, "only these accounts; none for every account of the environment")
	cmd.Flags().IntVar(&days, "days", int(domain.TokenLife.Hours()/24), "days until it expires, 0 for never")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	required(cmd, "name", "environment", "role")
	return cmd
}

func tokenList() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list", Short: "List the tokens, newest first, without their secrets", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withApp(cmd, func(ctx context.Context, a *app) error {
				all, err := a.access().Tokens(ctx, operator())
				if err != nil {
					return err
				}
				if asJSON {
					out := []tokenDocument{}
					for _, t := range all {
						out = append(out, documentOfToken(t))
					}
					return printJSON(cmd.OutOrStdout(), out)
				}
				w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
				for _, t := range all {
					state := "works"
					if !t.Live(a.clock.Now()) {
						state = "ended"
					}
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", t.ID, t.Name, t.Roles, t.Scope(), state)
				}
				return w.Flush()
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	return cmd
}

func tokenRotate() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "rotate ID", Short: "Replace a token; the old one works for another day", Args: exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withApp(cmd, func(ctx context.Context, a *app) error {
				t, secret, err := a.access().RotateToken(ctx, operator(), args[0])
				if err != nil {
					return err
				}
				return printToken(cmd, t, secret, asJSON)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	return cmd
}

func tokenRevoke() *cobra.Command {
	return &cobra.Command{
		Use: "revoke ID", Short: "End a token at once", Args: exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withApp(cmd, func(ctx context.Context, a *app) error {
				t, err := a.access().RevokeToken(ctx, operator(), args[0])
				if err == nil {
					fmt.Fprintf(cmd.OutOrStdout(), "token %s, %s, works no more\n", t.ID, t.Name)
				}
				return err
			})
		},
	}
}
