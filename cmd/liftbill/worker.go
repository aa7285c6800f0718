package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/worker"

	"github.com/liftbill/liftbill/adapters/scheduler"
	"github.com/liftbill/liftbill/app/ingest"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/workflows/accountbill"
	"github.com/liftbill/liftbill/workflows/billingcycle"
	"github.com/liftbill/liftbill/workflows/billingreplay"
	"github.com/liftbill/liftbill/workflows/billingtick"
	reconciling "github.com/liftbill/liftbill/workflows/reconcile"
	"github.com/liftbill/liftbill/workflows/sourcesync"
	"github.com/liftbill/liftbill/workflows/wire"
)

func newWorker() *cobra.Command {
	var keep int
	var classifyOnly bool
	cmd := &cobra.Command{
		Use: "worker", Short: "Run the workflows and classify received events", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			defer quietHeap()()
			return withApp(cmd, func(ctx context.Context, a *app) error {
				if classifyOnly {
					a.log.InfoContext(ctx, "classifying")
					a.ingestEvents(ctx)
					return nil
				}
				go a.retain(ctx, keep)
				return a.work(ctx)
			})
		},
	}
	cmd.Flags().IntVar(&keep, "retention-months", 0, "erase raw bodies of events that are older than this, once a day; 0 keeps all (see: liftbill retention apply --dry-run)")
	cmd.Flags().BoolVar(&classifyOnly, "classify-only", false, "classify received events and run no workflow; needs no Temporal")
	return cmd
}

// stopTimeout lets the longest Stripe call end before the worker does.
const stopTimeout = 35 * time.Second

// How many activities a worker process carries out at once: short ones of the ledger, and
// those that compute.
const (
	ledgerActivities  = 50
	computeActivities = 2
)

// work runs the workers of the process and the classifier until the context ends.
func (a *app) work(ctx context.Context) error {
	channels, err := a.cfg.channels(a)
	if err != nil {
		return err
	}
	s, err := a.scheduler(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	fatal := make(chan error, 4)
	onFatal := func(err error) {
		select {
		case fatal <- err:
		default:
		}
	}
	workers := a.workers(s, onFatal)
	for _, w := range workers {
		if err := w.Start(); err != nil {
			return err
		}
		defer w.Stop()
	}
	if err := a.ensureSchedules(ctx, s); err != nil {
		return err
	}
	go a.keepSchedules(ctx, s)
	go a.ingestEvents(ctx)
	go a.followPayments(ctx)
	go a.summarizeEvents(ctx)
	go a.notifyPeople(ctx, channels)
	go a.keepFigures(ctx)
	if a.cfg.StripeLive {
		go a.carryCorrections(ctx)
	}
	go a.watch(ctx)
	a.log.InfoContext(ctx, "working", slog.Bool("stripe_live", a.cfg.StripeLive))
	select {
	case err := <-fatal:
		return err
	case <-ctx.Done():
		return nil
	}
}

func (a *app) workers(s *scheduler.Scheduler, onFatal func(error)) []worker.Worker {
	measure, inv, cycles := a.measure(), a.invoicing(), a.db.NewCycles()
	ledger := worker.New(s.Client(), wire.QueueWorkflows, worker.Options{WorkerStopTimeout: stopTimeout, OnFatalError: onFatal, MaxConcurrentActivityExecutionSize: ledgerActivities})
	billingtick.Register(ledger, &billingtick.Activities{Ledger: cycles, Starter: s})
	billingcycle.Register(ledger, &billingcycle.Activities{Ledger: cycles})
	accountbill.RegisterLedger(ledger, &accountbill.LedgerActivities{Measure: measure, Drafting: inv, Deciding: a.deciding(), Pages: a.cfg.pagesURL()})
	compute := worker.New(s.Client(), wire.QueueCompute, worker.Options{
		WorkerStopTimeout: stopTimeout, OnFatalError: onFatal, DisableWorkflowWorker: true, MaxConcurrentActivityExecutionSize: computeActivities,
	})
	accountbill.RegisterCompute(compute, &accountbill.ComputeActivities{Measure: measure, TrueUps: a.trueUps()})
	billingreplay.RegisterWorkflow(ledger)
	billingreplay.RegisterCompute(compute, &billingreplay.Activities{Replays: a.replays(), Pages: a.cfg.pagesURL()})
	sources := a.sources()
	sourcesync.RegisterLedger(ledger, &sourcesync.LedgerActivities{Sources: sources.Ledger, Starter: s, Now: a.clock.Now})
	reading := worker.New(s.Client(), wire.QueueSource, worker.Options{
		WorkerStopTimeout: stopTimeout, OnFatalError: onFatal, DisableWorkflowWorker: true, MaxConcurrentActivityExecutionSize: 20,
	})
	sourcesync.RegisterSource(reading, &sourcesync.SourceActivities{Sync: sources})
	compare := &reconciling.Activities{Reconciler: a.reconciler(), Accruals: a.accruals()}
	reconciling.RegisterLedger(ledger, compare)
	reconciling.RegisterSource(reading, compare)
	out := []worker.Worker{ledger, compute, reading}
	if a.cfg.StripeLive {
		live := worker.New(s.Client(), wire.QueueStripeLive, worker.Options{
			WorkerStopTimeout: stopTimeout, OnFatalError: onFatal, DisableWorkflowWorker: true,
			MaxConcurrentActivityExecutionSize: 20, TaskQueueActivitiesPerSecond: 10,
		})
		accountbill.RegisterStripeLive(live, &accountbill.StripeActivities{Writing: inv})
		out = append(out, live)
	}
	return out
}

// ensureSchedules makes the Schedule of every calendar that a contract names, and those
// that look after the sources and compare with Stripe every night.
func (a *app) ensureSchedules(ctx context.Context, s *scheduler.Scheduler) error {
	for _, env := range []account.Environment{account.Live, account.Test} {
		wrote, err := s.EnsureSources(ctx, env)
		if err != nil {
			return err
		}
		if wrote {
			a.log.InfoContext(ctx, "schedule written", slog.String("id", wire.SourceScheduleID(env)))
		}
		if wrote, err = s.EnsureReconcile(ctx, env); err != nil {
			return err
		}
		if wrote {
			a.log.InfoContext(ctx, "schedule written", slog.String("id", wire.ReconScheduleID(env)))
		}
	}
	calendars, err := a.db.NewCycles().Calendars(ctx)
	if err != nil {
		return err
	}
	for env, list := range calendars {
		for _, cal := range list {
			wrote, err := s.Ensure(ctx, env, cal)
			if err != nil {
				return err
			}
			if wrote {
				a.log.InfoContext(ctx, "schedule written", slog.String("id", wire.ScheduleID(env, wire.CalendarID(cal))))
			}
		}
	}
	return nil
}

// scheduleEvery is how soon a new contract's calendar gets its Schedule.
const scheduleEvery = time.Minute

// keepSchedules makes the Schedules of contracts that came after the worker's start.
func (a *app) keepSchedules(ctx context.Context, s *scheduler.Scheduler) {
	tick := time.NewTicker(scheduleEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := a.ensureSchedules(ctx, s); err != nil && ctx.Err() == nil {
				a.log.ErrorContext(ctx, "schedules", slog.Any("error", err))
			}
		}
	}
}

// The pace of the ingest: received events are looked for so often that none waits for
// longer than a moment, and so rarely that an idle database hardly notices. A full
// batch is followed by the next one at once.
const (
	classifyPause = 200 * time.Millisecond
	readPause     = time.Second
	failurePause  = time.Second
)

// ingestEvents classifies received events, and reads beside it what only Stripe knows,
// until the context ends. Reading waits for Stripe and its rate limit; classification
// waits for neither.
func (a *app) ingestEvents(ctx context.Context) {
	c := a.classifier()
	var wg sync.WaitGroup
	wg.Go(func() {
		every(ctx, readPause, func() error {
			_, err := c.ReadDue(ctx)
			if err != nil && ctx.Err() == nil {
				a.log.ErrorContext(ctx, "reading at Stripe", slog.Any("error", err))
			}
			return err
		})
	})
	every(ctx, classifyPause, func() error {
		booked, err := c.CatchUp(ctx)
		a.reportBooked(ctx, booked, err)
		return err
	})
	wg.Wait()
}

// correctionsEvery is how soon an approved correction is carried out.
const correctionsEvery = 10 * time.Second

// carryCorrections carries out what was approved, until the context ends.
func (a *app) carryCorrections(ctx context.Context) {
	inv := a.invoicing()
	every(ctx, correctionsEvery, func() error {
		_, err := inv.CarryCorrections(ctx)
		if err != nil && ctx.Err() == nil {
			a.log.ErrorContext(ctx, "carrying corrections out", slog.Any("error", err))
		}
		return err
	})
}

// paymentsEvery is how often it is looked for invoices of ours that nobody speaks of.
const paymentsEvery = time.Minute

// followPayments asks what became of them, until the context ends.
func (a *app) followPayments(ctx context.Context) {
	inv := a.invoicing()
	every(ctx, paymentsEvery, func() error {
		_, err := inv.FollowPayments(ctx)
		if err != nil && ctx.Err() == nil {
			a.log.ErrorContext(ctx, "following payments", slog.Any("error", err))
		}
		return err
	})
}

// figuresEvery is how often it is looked for sums of large connections that are due.
const figuresEvery = time.Minute

// keepFigures keeps the sums that pages show of them, until the context ends.
func (a *app) keepFigures(ctx context.Context) {
	s := a.figures()
	every(ctx, figuresEvery, func() error {
		_, err := s.Refresh(ctx)
		if err != nil && ctx.Err() == nil {
			a.log.ErrorContext(ctx, "keeping figures", slog.Any("error", err))
		}
		return err
	})
}

// summariesEvery is how soon what is stored can be found by what it is about without being read.
const summariesEvery = time.Minute

// summarizeEvents keeps stored events and facts easy to find, until the context ends.
func (a *app) summarizeEvents(ctx context.Context) {
	every(ctx, summariesEvery, func() error {
		err := a.db.SummarizeEvents(ctx)
		if err != nil && ctx.Err() == nil {
			a.log.ErrorContext(ctx, "summarizing events", slog.Any("error", err))
		}
		return err
	})
}

// every runs fn, again and again with a pause between, until the context ends. fn logs
// its failures; nothing that is pending is lost by them.
func every(ctx context.Context, pause time.Duration, fn func() error) {
	for {
		wait := pause
		if fn() != nil {
			wait = max(pause, failurePause)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

func (a *app) reportBooked(ctx context.Context, b ingest.Booked, err error) {
	switch {
	case ctx.Err() != nil:
	case err != nil:
		a.log.ErrorContext(ctx, "classification", slog.Any("error", err))
	case b.Events > 0:
		a.log.DebugContext(ctx, "classified", slog.Int("events", b.Events), slog.Int("facts", b.Facts), slog.Int("duplicates", b.Duplicates))
	}
}
