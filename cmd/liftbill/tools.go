package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/liftbill/liftbill/adapters/postgres"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/fault"
)

// withApp runs a command that needs the wired process.
func withApp(cmd *cobra.Command, fn func(ctx context.Context, a *app) error) error {
	cfg, err := loadConfig()
	if err != nil {
		return err
	}
	log, err := cfg.logger(cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	a, err := openApp(cmd.Context(), cfg, log)
	if err != nil {
		return err
	}
	defer a.close(cmd.Context())
	return fn(cmd.Context(), a)
}

// printJSON writes one document to stdout.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

func newMigrate() *cobra.Command {
	return &cobra.Command{
		Use: "migrate", Short: "Bring the database to the newest schema", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig()
			if err != nil {
				return err
			}
			if cfg.DatabaseURL == "" {
				return fault.InvalidField("DATABASE_URL", "database_url_missing", "the address of PostgreSQL is required").
					Fix("Set it to postgres://user:password@host:5432/database")
			}
			db, err := postgres.Open(cmd.Context(), cfg.DatabaseURL, postgres.Options{MaxConns: 4})
			if err != nil {
				return err
			}
			n, err := db.Migrate(cmd.Context())
			if err == nil && n > 0 {
				err = migrated(cmd.Context(), cfg, db, n)
			}
			if closeErr := db.Close(); err == nil {
				err = closeErr
			}
			if err == nil {
				fmt.Fprintf(cmd.OutOrStdout(), "%d migrations applied; the schema is up to date\n", n)
			}
			return err
		},
	}
}

// migrated writes down who brought the schema up to date; before it, there may have
// been no log to write to.
func migrated(ctx context.Context, cfg Config, db *postgres.DB, n int) error {
	clk, err := cfg.clock()
	if err != nil {
		return err
	}
	a := &app{db: db, clock: clk}
	return a.append(ctx, a.did(audit.SchemaMigrated, "schema", "").Changed(nil, audit.Facts{"migrations": strconv.Itoa(n)}))
}

func newSchedules() *cobra.Command {
	group := &cobra.Command{Use: "schedules", Short: "Temporal Schedules of the billing calendars, the sources and the nightly reconciliation"}
	group.AddCommand(&cobra.Command{
		Use: "ensure", Short: "Make the Schedule of every calendar that a contract names, and those of the sources and the nightly reconciliation", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withApp(cmd, func(ctx context.Context, a *app) error {
				s, err := a.scheduler(ctx)
				if err != nil {
					return err
				}
				defer s.Close()
				if err := a.append(ctx, a.did(audit.SchedulesEnsured, "schedules", "")); err != nil {
					return err
				}
				return a.ensureSchedules(ctx, s)
			})
		},
	})
	return group
}

// check is one line of the doctor's report.
type check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

func newDoctor() *cobra.Command {
	var asJSON, keys bool
	cmd := &cobra.Command{
		Use: "doctor", Short: "Check the configuration and everything that it points at", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			checks := diagnose(cmd.Context(), keys)
			failed := 0
			for _, c := range checks {
				if !c.OK {
					failed++
				}
			}
			if asJSON {
				if err := printJSON(cmd.OutOrStdout(), checks); err != nil {
					return err
				}
			} else {
				for _, c := range checks {
					mark := "ok  "
					if !c.OK {
						mark = "FAIL"
					}
					fmt.Fprintf(cmd.OutOrStdout(), "%s  %-16s %s\n", mark, c.Name, c.Detail)
				}
			}
			if failed > 0 {
				return exitError{exitEnvironment, fmt.Errorf("%d of %d checks failed", failed, len(checks))}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	cmd.Flags().BoolVar(&keys, "keys", false, "ask Stripe what each connection's key may do")
	return cmd
}

// diagnose checks each part on its own, so that one failure does not hide another.
func diagnose(ctx context.Context, keys bool) []check {
	cfg, err := loadConfig()
	if err != nil {
		return []check{{"configuration", false, err.Error()}}
	}
	report := func(name string, err error, ok string) check {
		if err != nil {
			return check{name, false, err.Error()}
		}
		return check{name, true, ok}
	}
	_, boxErr := cfg.box()
	clk, clockErr := cfg.clock()
	log, logErr := cfg.logger(io.Discard)
	out := []check{report("encryption key", boxErr, "32 bytes, not shown"), report("log level", logErr, cfg.LogLevel)}
	if clockErr != nil {
		out = append(out, report("clock", clockErr, ""))
	} else {
		out = append(out, check{"clock", true, clk.Now().Format("2006-01-02 15:04:05 UTC")})
	}
	if boxErr != nil || clockErr != nil || logErr != nil {
		return out
	}
	a, err := openApp(ctx, cfg, log)
	out = append(out, report("database", err, "answers"))
	if err != nil {
		return out
	}
	defer a.close(ctx)
	target := os.Getenv("TEMPORAL_ADDRESS")
	if target == "" {
		target = "localhost:7233"
	}
	s, err := a.scheduler(ctx)
	out = append(out, report("temporal", err, target+" answers"))
	if err == nil {
		s.Close()
	}
	conns, err := a.db.Connections(ctx, access.Everything())
	out = append(out, report("connections", err, fmt.Sprintf("%d stored, keys sealed", len(conns))))
	admin, err := a.access().AnyAdmin(ctx)
	if err == nil && !admin {
		err = fault.New(fault.NotFound, "admin_missing", "there is no administrator").Fix("Make one: liftbill admin create")
	}
	out = append(out, report("administrator", err, "there is one"))
	_, err = a.gate()
	out = append(out, report("sign-in", err, signInWords(cfg)))
	return append(out, a.diagnoseConnections(ctx, conns, keys)...)
}

// signInWords says how people sign in, and how what they send travels.
func signInWords(cfg Config) string {
	out := "by password and link"
	if cfg.OIDCIssuer != "" {
		out += ", and through " + cfg.OIDCIssuer
	}
	if cfg.tls() {
		return out + "; over TLS"
	}
	return out + "; on this machine only, without TLS"
}
