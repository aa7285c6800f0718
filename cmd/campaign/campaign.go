package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/liftbill/liftbill/adapters/localstack"
	"github.com/liftbill/liftbill/adapters/postgres"
	"github.com/liftbill/liftbill/adapters/system"
	"github.com/liftbill/liftbill/internal/campaign"
	"github.com/liftbill/liftbill/internal/campaign/pgledger"
)

// campaignOf runs everything that the flags ask for.
func campaignOf(cmd *cobra.Command, f flags) error {
	ctx, out := cmd.Context(), cmd.OutOrStdout()
	began := system.Clock{}.Now()
	fmt.Fprintf(out, "campaign: seed %d, %d schedules, %d kills\n", f.seed, f.n, f.kills)
	db, err := openStore(ctx, f)
	if err != nil {
		return err
	}
	defer func() {
		if err := db.close(); err != nil {
			fmt.Fprintln(cmd.ErrOrStderr(), "campaign: the throw-away server:", err)
		}
	}()
	open := func(s campaign.Schedule) campaign.Ledger {
		if db.ledger != nil && f.postgres > 0 && s.Number%f.postgres == 0 && s.OnPostgres() {
			return db.ledger
		}
		return campaign.NewMemory()
	}
	progress := func(t *campaign.Tally) {
		if t.Schedules%1000 == 0 {
			fmt.Fprintf(cmd.ErrOrStderr(), "%6d schedules after %s, %d wrong\n", t.Schedules, system.Clock{}.Now().Sub(began).Round(time.Second), len(t.Wrong))
		}
	}
	tally, err := campaign.All(ctx, campaign.Plan(f.seed, f.n), f.jobs, open, progress)
	if err != nil {
		return err
	}
	if err := tally.Print(out); err != nil {
		return err
	}
	wrong := len(tally.Wrong)
	killed, err := kill(ctx, cmd, f, db)
	if err != nil {
		return err
	}
	wrong += killed
	escaped := 0
	if f.mutants {
		if escaped, err = hunt(ctx, cmd, f); err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "\n%s in all\n", system.Clock{}.Now().Sub(began).Round(time.Second))
	if wrong > 0 || escaped > 0 {
		return fmt.Errorf("%d schedules found a defect, %d mutants were not caught", wrong, escaped)
	}
	return nil
}

// hunt runs the same schedules against every mutant.
func hunt(ctx context.Context, cmd *cobra.Command, f flags) (escaped int, err error) {
	schedules := campaign.Plan(f.seed, max(f.n, campaign.EnoughForMutants))
	var all []campaign.Caught
	for _, m := range campaign.Mutants() {
		c, err := campaign.Hunt(ctx, m, schedules, func() campaign.Ledger { return campaign.NewMemory() })
		if err != nil {
			return 0, err
		}
		if all = append(all, c); c.After == 0 {
			escaped++
		}
	}
	return escaped, campaign.PrintHunt(cmd.OutOrStdout(), all)
}

// store is the PostgreSQL of the sample.
type store struct {
	url    string
	ledger *pgledger.Ledger
	undo   []func() error
}

func (s *store) close() error {
	var all error
	for i := len(s.undo) - 1; i >= 0; i-- {
		all = errors.Join(all, s.undo[i]())
	}
	return all
}

// openStore opens the given database, or one on a throw-away server.
func openStore(ctx context.Context, f flags) (*store, error) {
	s := &store{url: f.database}
	if f.postgres <= 0 && f.kills <= 0 {
		return s, nil
	}
	if s.url == "" {
		dir, err := os.MkdirTemp("", "liftbill-campaign-")
		if err != nil {
			return nil, err
		}
		s.undo = append(s.undo, func() error { return os.RemoveAll(dir) })
		server, err := localstack.EnsurePostgres(ctx, localstack.PostgresOptions{DataDir: filepath.Join(dir, "postgres"), FallbackDir: dir + "-postgres", AllowInstall: true})
		if err != nil {
			return nil, errors.Join(err, s.close())
		}
		s.undo = append(s.undo, func() error { return os.RemoveAll(dir + "-postgres") }, server.Stop)
		if err := server.EnsureDatabase(ctx, "campaign"); err != nil {
			return nil, errors.Join(err, s.close())
		}
		s.url = server.URL("campaign")
	}
	db, err := postgres.Open(ctx, s.url, postgres.Options{MaxConns: 8})
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	s.undo = append(s.undo, db.Close)
	if _, err := db.Migrate(ctx); err != nil {
		return nil, errors.Join(err, s.close())
	}
	pool, err := pgxpool.New(ctx, s.url)
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	s.undo = append(s.undo, func() error { pool.Close(); return nil })
	s.ledger = pgledger.New(db, pool)
	return s, nil
}
