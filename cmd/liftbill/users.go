package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/liftbill/liftbill/adapters/webui"
	"github.com/liftbill/liftbill/app/access"
	domain "github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/fault"
)

// operator is who works on this command line, as the audit log names it. Under sudo it
// is who called sudo.
func operator() domain.Principal {
	name := os.Getenv("SUDO_USER")
	if u, err := user.Current(); err == nil {
		name = cmp.Or(name, u.Username)
	}
	return domain.Operator(name)
}

func newAdmin() *cobra.Command {
	group := &cobra.Command{Use: "admin", Short: "The first administrator"}
	var email, name string
	var withPassword, asJSON bool
	cmd := &cobra.Command{
		Use: "create --email E --name N", Short: "Make the first administrator and print a link that signs them in once", Args: cobra.NoArgs,
		Long: "Works as long as there is no administrator. Without --password it prints a link that signs the new administrator\n" +
			"in once, within an hour; with it, a password is asked for, or read from the first line of standard input.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withApp(cmd, func(ctx context.Context, a *app) error {
				password := ""
				if withPassword {
					var err error
					if password, err = askPassword(cmd); err != nil {
						return err
					}
				}
				u, err := a.access().CreateFirstAdmin(ctx, operator(), email, name, password)
				if err != nil {
					return err
				}
				if withPassword {
					return printUser(cmd, u, "", asJSON, a)
				}
				return a.printLink(ctx, cmd, u, 0, "", asJSON)
			})
		},
	}
	cmd.Flags().StringVar(&email, "email", "", "e-mail address, the name at the sign-in")
	cmd.Flags().StringVar(&name, "name", "", "name of the person")
	cmd.Flags().BoolVar(&withPassword, "password", false, "set a password now instead of printing a link")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	required(cmd, "email", "name")
	group.AddCommand(cmd)
	return group
}

// required marks flags that were defined just before.
func required(cmd *cobra.Command, names ...string) {
	for _, name := range names {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err)
		}
	}
}

// askPassword asks twice on a terminal, and reads one line of anything else.
func askPassword(cmd *cobra.Command) (string, error) {
	in, ok := cmd.InOrStdin().(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		line, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", err
		}
		return strings.TrimRight(line, "\r\n"), nil
	}
	var texts [2]string
	for i, prompt := range []string{"Password: ", "Once more: "} {
		fmt.Fprint(cmd.ErrOrStderr(), prompt)
		raw, err := term.ReadPassword(int(in.Fd()))
		fmt.Fprintln(cmd.ErrOrStderr())
		if err != nil {
			return "", err
		}
		texts[i] = string(raw)
	}
	if texts[0] != texts[1] {
		return "", fault.InvalidField("password", "password_differs", "the two passwords differ").Fix("Try again")
	}
	return texts[0], nil
}

// userDocument is what commands print of a user.
type userDocument struct {
	ID           string     `json:"id"`
	Email        string     `json:"email"`
	Name         string     `json:"name"`
	Roles        []string   `json:"roles"`
	Accounts     []string   `json:"accounts"`
	Environments []string   `json:"environments"`
	Disabled     bool       `json:"disabled"`
	SignIn       string     `json:"sign_in,omitempty"`
	Until        *time.Time `json:"sign_in_until,omitempty"`
}

func documentOf(u domain.UserAccount) userDocument {
	return userDocument{ID: u.ID, Email: u.Email, Name: u.Name, Roles: u.Roles.Names(), Accounts: append([]string{}, u.Scope.Accounts...), Environments: u.Scope.EnvironmentNames(), Disabled: !u.Enabled()}
}

func printUser(cmd *cobra.Command, u domain.UserAccount, done string, asJSON bool, a *app) error {
	if asJSON {
		return printJSON(cmd.OutOrStdout(), documentOf(u))
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s (%s): %s; %s%s\nsign in at %s/sign-in\n", u.Name, u.Email, u.Roles, u.Scope, done, strings.TrimRight(a.cfg.pagesURL(), "/"))
	return err
}

// printLink makes a sign-in link and prints it.
func (a *app) printLink(ctx context.Context, cmd *cobra.Command, u domain.UserAccount, life time.Duration, next string, asJSON bool) error {
	link, until, err := a.access().CreateLink(ctx, operator(), u.ID, life)
	if err != nil {
		return err
	}
	address := webui.LinkURL(a.cfg.pagesURL(), link, next)
	if asJSON {
		d := documentOf(u)
		d.SignIn, d.Until = address, &until
		return printJSON(cmd.OutOrStdout(), d)
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s (%s): %s; %s\nsign in once, until %s:\n%s\n", u.Name, u.Email, u.Roles, u.Scope, until.Format(time.RFC3339), address)
	return err
}

func newUser() *cobra.Command {
	group := &cobra.Command{Use: "user", Short: "People who sign in"}
	group.AddCommand(userCreate(), userList(), userLink(), userSet(), userSignOut())
	return group
}

func userCreate() *cobra.Command {
	var in access.UserInput
	var asJSON bool
	cmd := &cobra.Command{
		Use: "create --email E --name N --role R", Short: "Let a person in and print a link that signs them in once", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withApp(cmd, func(ctx context.Context, a *app) error {
				u, err := a.access().CreateUser(ctx, operator(), in)
				if err != nil {
					return err
				}
				return a.printLink(ctx, cmd, u, 0, "", asJSON)
			})
		},
	}
	cmd.Flags().StringVar(&in.Email, "email", "", "e-mail address, the name at the sign-in")
	cmd.Flags().StringVar(&in.Name, "name", "", "name of the person")
	cmd.Flags().StringSliceVar(&in.Roles, "role", nil, "viewer, finance, approver or admin; may be repeated")
	cmd.Flags().StringSliceVar(&in.Accounts, "account", nil, "only these accounts; none for every account")
	cmd.Flags().StringSliceVar(&in.Environments, "environment", []string{"live", "test"}, "live, test or both")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	required(cmd, "email", "name", "role")
	return cmd
}

func userList() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list", Short: "List the users", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withApp(cmd, func(ctx context.Context, a *app) error {
				all, err := a.access().Users(ctx, operator())
				if err != nil {
					return err
				}
				if asJSON {
					out := []userDocument{}
					for _, u := range all {
						out = append(out, documentOf(u))
					}
					return printJSON(cmd.OutOrStdout(), out)
				}
				w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
				for _, u := range all {
					state := ""
					if !u.Enabled() {
						state = "disabled"
					}
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", u.Email, u.Name, u.Roles, u.Scope, state)
				}
				return w.Flush()
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	return cmd
}

// withUser runs fn with the user of an e-mail address.
func withUser(cmd *cobra.Command, email string, fn func(ctx context.Context, a *app, u domain.UserAccount) error) error {
	return withApp(cmd, func(ctx context.Context, a *app) error {
		u, err := a.access().UserByEmail(ctx, operator(), email)
		if err != nil {
			return err
		}
		return fn(ctx, a, u)
	})
}

func userLink() *cobra.Command {
	var email string
	var life time.Duration
	var asJSON bool
	cmd := &cobra.Command{
		Use: "link --email E", Short: "Print a link that signs a user in once, also one who forgot the password or is locked out", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withUser(cmd, email, func(ctx context.Context, a *app, u domain.UserAccount) error {
				return a.printLink(ctx, cmd, u, life, "", asJSON)
			})
		},
	}
	cmd.Flags().StringVar(&email, "email", "", "the user's e-mail address")
	cmd.Flags().DurationVar(&life, "expires", domain.LinkLife, "how long the link works, a minute to seven days")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	required(cmd, "email")
	return cmd
}

func userSet() *cobra.Command {
	var email, name string
	var roles, accounts, environments []string
	var disabled, asJSON bool
	cmd := &cobra.Command{
		Use: "set --email E", Short: "Change a user's name, roles or scope, or disable the user; what is not given stays", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withUser(cmd, email, func(ctx context.Context, a *app, u domain.UserAccount) error {
				in := access.UserChange{Name: u.Name, Roles: u.Roles.Names(), Accounts: u.Scope.Accounts, Environments: u.Scope.EnvironmentNames(), Disabled: !u.Enabled()}
				set := cmd.Flags().Changed
				if set("name") {
					in.Name = name
				}
				if set("role") {
					in.Roles = roles
				}
				if set("account") {
					in.Accounts = accounts
				}
				if set("environment") {
					in.Environments = environments
				}
				if set("disabled") {
					in.Disabled = disabled
				}
				changed, err := a.access().UpdateUser(ctx, operator(), u.ID, in)
				if err != nil {
					return err
				}
				done := ""
				if !changed.Enabled() {
					done = "; disabled"
				}
				return printUser(cmd, changed, done, asJSON, a)
			})
		},
	}
	cmd.Flags().StringVar(&email, "email", "", "the user's e-mail address")
	cmd.Flags().StringVar(&name, "name", "", "name of the person")
	cmd.Flags().StringSliceVar(&roles, "role", nil, "viewer, finance, approver or admin; may be repeated")
	cmd.Flags().StringSliceVar(&accounts, "account", nil, `only these accounts; --account "" for every account`)
	cmd.Flags().StringSliceVar(&environments, "environment", nil, "live, test or both")
	cmd.Flags().BoolVar(&disabled, "disabled", false, "keep the user out; --disabled=false lets them in again")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	required(cmd, "email")
	return cmd
}

func userSignOut() *cobra.Command {
	var email string
	cmd := &cobra.Command{
		Use: "sign-out --email E", Short: "End every session of a user", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withUser(cmd, email, func(ctx context.Context, a *app, u domain.UserAccount) error {
				return a.access().SignOutEverywhere(ctx, operator(), u.ID)
			})
		},
	}
	cmd.Flags().StringVar(&email, "email", "", "the user's e-mail address")
	required(cmd, "email")
	return cmd
}
