package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/liftbill/liftbill/domain/fault"
)

// listsFlags bound the benchmark.
type listsFlags struct {
	events, accounts, runs, pages int
	limit                         time.Duration
	only                          string
	url, dir                      string
	asJSON, explain, keep, asIs   bool
}

// maxListsEvents keeps the benchmark's database below some tens of gigabytes.
const maxListsEvents = 50_000_000

func newBenchLists() *cobra.Command {
	var f listsFlags
	cmd := &cobra.Command{
		Use: "lists", Short: "Every list of the pages and of the API on a database of many reward events", Args: cobra.NoArgs,
		Long: `Lists fills a migrated database with the events, customers, decisions, cycles and invoices of many
accounts over 24 months, and asks every list of the pages and of the API through the program's own
handlers, sign-in and permissions included: the first page, a deep one, each filter and each order.
Routes are those of the router; filters and orders are those of each page's own form and headings, and
those of the API description. Beside them stands the floor: one hundred reward events by their key in
SQL, and a page without a list. It exits with 1 when the p95 of any list reaches the limit.
It uses a database of its own, which it drops at the end unless it is to keep it. The figures are printed
as they are measured.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.events < 1000 || f.events > maxListsEvents || f.accounts < 10 || f.accounts > 5000 || f.runs < 3 || f.runs > 1000 || f.pages < 2 || f.pages > 1000 {
				return fault.InvalidField("events", "bench_range", "1,000 to %d events, 10 to 5,000 accounts, 3 to 1,000 runs, 2 to 1,000 pages", maxListsEvents)
			}
			if f.asIs && f.url == "" {
				return fault.InvalidField("as-is", "bench_no_database", "there is no database to measure as it is").Fix("Name its server with --database-url")
			}
			return benchLists(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), f)
		},
	}
	cmd.Flags().IntVar(&f.events, "events", 10_000_000, "reward events")
	cmd.Flags().IntVar(&f.accounts, "accounts", 500, "accounts, each with its own source and 24 cycles")
	cmd.Flags().IntVar(&f.runs, "runs", 20, "timed requests of each kind")
	cmd.Flags().IntVar(&f.pages, "pages", 50, "how many pages deep the deep page lies, where there are as many")
	cmd.Flags().DurationVar(&f.limit, "limit", 100*time.Millisecond, "what the p95 of every list has to stay below")
	cmd.Flags().StringVar(&f.only, "only", "", "only routes that contain this text")
	cmd.Flags().BoolVar(&f.explain, "explain", false, "print the plan of each list's longest statement (EXPLAIN ANALYZE, BUFFERS)")
	cmd.Flags().StringVar(&f.url, "database-url", "", "a PostgreSQL server; empty starts one")
	cmd.Flags().StringVar(&f.dir, "dir", "var/bench", "where a server that is started keeps its data")
	cmd.Flags().BoolVar(&f.keep, "keep", false, "leave the database in --dir, and use the one that an earlier run has left there")
	cmd.Flags().BoolVar(&f.asIs, "as-is", false, "only measure what an earlier run has left on --database-url: neither migrate nor fill nor drop it")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print one JSON document")
	return cmd
}

// listFigures are the times of one kind of request.
type listFigures struct {
	Route   string `json:"route"`
	What    string `json:"what"`
	Address string `json:"address"`
	P50     int64  `json:"p50_ns"`
	P95     int64  `json:"p95_ns"`
	P99     int64  `json:"p99_ns"`
	Slow    bool   `json:"slow"`
	Plan    string `json:"plan,omitempty"`
}

// line is the figures in milliseconds and what they are of.
func (l listFigures) line() string {
	mark := ""
	if l.Slow {
		mark = "  SLOW"
	}
	return fmt.Sprintf("%s %s %s  %s%s", milliseconds(l.P50), milliseconds(l.P95), milliseconds(l.P99), l.What, mark)
}

func milliseconds(ns int64) string { return fmt.Sprintf("%8.1f", float64(ns)/1e6) }

// listsReport is what the benchmark prints.
type listsReport struct {
	Events   int   `json:"events"`
	Accounts int   `json:"accounts"`
	Runs     int   `json:"runs"`
	SQL      int64 `json:"floor_sql_ns"`
	Page     int64 `json:"floor_page_ns"`
	// Bytes is the size of the database.
	Bytes   int64         `json:"bytes"`
	Figures []listFigures `json:"figures"`
	Slow    int           `json:"slow"`
}

func benchLists(ctx context.Context, out, note io.Writer, f listsFlags) error {
	open := openBenchDatabase
	if f.asIs {
		open = attachBenchDatabase
	}
	b, err := open(ctx, f.url, f.dir, true, f.keep, note)
	if err != nil {
		return err
	}
	defer b.close(ctx)
	began := monotonic()
	seed := &listsSeed{benchDatabase: b, events: f.events, accounts: f.accounts, note: note}
	if !f.asIs {
		if err := seed.fill(ctx); err != nil {
			return err
		}
		fmt.Fprintf(note, "filled in %s\n", (monotonic() - began).Round(time.Second))
	}
	m, err := newListsMeter(ctx, b, f, note)
	if err != nil {
		return err
	}
	defer m.close(ctx)
	got, err := m.measure(ctx)
	if err != nil {
		return err
	}
	if f.asJSON {
		err = printJSON(out, got)
	} else {
		got.print(out, f)
	}
	if err == nil && got.Slow > 0 {
		err = exitError{exitFailed, fmt.Errorf("%d kinds of request reach %s at p95", got.Slow, f.limit)}
	}
	return err
}

func (r listsReport) print(out io.Writer, f listsFlags) {
	fmt.Fprintf(out, "%d reward events, %d accounts, %.1f GiB, %d requests of each kind, milliseconds\n\n", r.Events, r.Accounts, float64(r.Bytes)/(1<<30), r.Runs)
	fmt.Fprintf(out, "     p50      p95      p99\n%s                    floor: 100 reward events by their key, in SQL\n%s                    floor: a page without a list\n", milliseconds(r.SQL), milliseconds(r.Page))
	route := ""
	for _, l := range r.Figures {
		if l.Route != route {
			fmt.Fprintf(out, "\n%s\n", l.Route)
			route = l.Route
		}
		fmt.Fprintln(out, l.line())
		if f.explain && l.Plan != "" {
			fmt.Fprintln(out, l.Plan)
		}
	}
}
