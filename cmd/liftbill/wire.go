package main

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"runtime/debug"

	"go.temporal.io/sdk/contrib/envconfig"

	"github.com/liftbill/liftbill/adapters/decisionlog"
	"github.com/liftbill/liftbill/adapters/httpapi"
	"github.com/liftbill/liftbill/adapters/postgres"
	"github.com/liftbill/liftbill/adapters/scheduler"
	"github.com/liftbill/liftbill/adapters/stripeapi"
	"github.com/liftbill/liftbill/adapters/system"
	"github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/audit"
	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/customers"
	"github.com/liftbill/liftbill/app/decisions"
	"github.com/liftbill/liftbill/app/figures"
	"github.com/liftbill/liftbill/app/golive"
	"github.com/liftbill/liftbill/app/idempotency"
	"github.com/liftbill/liftbill/app/ingest"
	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/app/mapping"
	"github.com/liftbill/liftbill/app/measure"
	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/app/operate"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/app/replay"
	"github.com/liftbill/liftbill/app/sourcesync"
	"github.com/liftbill/liftbill/app/trueups"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/source"
)

// app is the wiring of one process: adapters behind the ports of the use cases.
type app struct {
	cfg    Config
	log    *slog.Logger
	clock  clock.Clock
	box    *system.SecretBox
	db     *postgres.DB
	stripe *stripeapi.Client
	// passwordCost is what a sign-in costs; tests have a cheaper one.
	passwordCost system.PasswordCost
}

// openApp opens what every process needs and migrates nothing.
func openApp(ctx context.Context, cfg Config, log *slog.Logger) (*app, error) {
	if cfg.DatabaseURL == "" {
		return nil, fault.InvalidField("DATABASE_URL", "database_url_missing", "the address of PostgreSQL is required").
			Fix("Set it to postgres://user:password@host:5432/database, or try: make demo")
	}
	a := &app{cfg: cfg, log: log, passwordCost: system.DefaultCost()}
	var err error
	if a.clock, err = cfg.clock(); err != nil {
		return nil, err
	}
	if a.box, err = cfg.box(); err != nil {
		return nil, err
	}
	if a.db, err = postgres.Open(ctx, cfg.DatabaseURL, postgres.Options{}); err != nil {
		return nil, err
	}
	a.stripe, err = stripeapi.New(stripeapi.Config{
		APIBase: cfg.StripeAPIBase, LiveRate: cfg.StripeRate, TestRate: cfg.StripeRate, Clock: a.clock, Logger: log,
		ConnectionKey: a.connectionKey, KeyRefused: a.keyRefused, Writing: a.db.NewGoLive().Switch,
		OwnInvoices: a.db.OwnInvoices,
	})
	if err != nil {
		return nil, errors.Join(err, a.db.Close())
	}
	return a, nil
}

func (a *app) close(ctx context.Context) {
	if err := a.db.Close(); err != nil {
		a.log.WarnContext(ctx, "database pool did not close cleanly", slog.Any("error", err))
	}
}

func (a *app) connectionKey(ctx context.Context, id string) (account.Connection, account.SecretKey, error) {
	c, err := a.db.SealedConnection(ctx, id)
	if err != nil {
		return account.Connection{}, account.SecretKey{}, err
	}
	if len(c.SealedKey) == 0 {
		return account.Connection{}, account.SecretKey{}, onboard.NoKey(id)
	}
	text, err := a.box.Open(onboard.KeyContext(id), c.SealedKey)
	if err != nil {
		return account.Connection{}, account.SecretKey{}, err
	}
	key, err := account.ParseSecretKey(string(text))
	return c.Connection, key, err
}

// keyRefused pauses the connection whose key Stripe does not accept any more.
func (a *app) keyRefused(ctx context.Context, connectionID string) {
	a.log.WarnContext(ctx, "key refused, connection paused", slog.String("connection", connectionID))
	if err := a.onboard().KeyRefused(ctx, connectionID); err != nil {
		a.log.ErrorContext(ctx, "connection not paused", slog.String("connection", connectionID), slog.Any("error", err))
	}
}

func (a *app) ingest() *ingest.Service {
	inbox := a.db.NewInbox(a.box)
	return &ingest.Service{
		Endpoints: ingest.NewEndpointCache(inbox, system.Clock{}), Verifier: stripeapi.Verifier{}, Inbox: inbox, Box: a.box, Clock: a.clock,
	}
}

func (a *app) classifier() *ingest.Classifier {
	return &ingest.Classifier{
		Work: a.db.Classification(), Source: stripeapi.NewSourceReader(a.stripe), Reads: a.db.Reads(), Box: a.box, Clock: a.clock,
	}
}

// sources keeps the source accounts in step.
func (a *app) sources() *sourcesync.Service {
	return &sourcesync.Service{
		Source: stripeapi.NewSourceReader(a.stripe), Ledger: a.db.NewSources(), Box: a.box, Clock: a.clock, Log: a.log, BodyContext: ingest.BodyContext,
	}
}

// access tells callers apart, without a provider; handler adds it.
func (a *app) access() *access.Service {
	return &access.Service{
		Work: a.db.Access(), Credentials: a.db.Credentials(), Places: a.db.Places(), Passwords: system.NewPasswords(a.passwordCost),
		Entropy: system.Entropy{}, Clock: a.clock, Box: a.box,
	}
}

func (a *app) audit() *audit.Service { return &audit.Service{Reader: a.db.AuditReader()} }

func (a *app) services(gate *access.Service) httpapi.Services {
	return httpapi.Services{
		Access: gate, Audit: a.audit(), Edge: a.cfg.edge(),
		Idempotency: &idempotency.Service{Store: a.db.IdempotencyKeys(), Box: a.box, Clock: a.clock},
		Onboard:     a.onboard(),
		Connections: a.db, Ingest: a.ingest(), Decisions: &decisions.Service{Work: a.db.Decisions(), Clock: a.clock},
		Reconcile: a.reconcile(), Breaks: a.reconciler(), Customers: &customers.Service{Reader: a.db.NewCustomerReader(), Clock: a.clock},
		Sources: a.sources(), Invoicing: a.invoicing(), Deciding: a.deciding(), Previews: a.previews(), Accruals: a.accruals(), ParseDecisions: decisionlog.Parse, Ready: a.db.Ping,
		Connecting: a.onboard(), Mapping: a.mapping(), Operate: a.operate(), GoLive: a.goLive(), Corrections: a.invoicing(), Replays: &replay.Reports{Archive: a.db.NewReplays()},
		Replaying: a.replaying(), TrueUps: a.trueUps(),
		Notices: a.notices(),
	}
}

func (a *app) mapping() *mapping.Service {
	return &mapping.Service{Work: a.db.Mapping(), Reader: a.db.NewMappingReader(), Clock: a.clock}
}

func (a *app) figures() *figures.Service {
	return &figures.Service{Ledger: a.db.NewKeptFigures(), Clock: a.clock}
}

func (a *app) operate() *operate.Service {
	log := a.db.NewEventLog()
	return &operate.Service{Log: log, Queue: log, Figures: log, Box: a.box, Clock: a.clock, BodyContext: ingest.BodyContext}
}

func (a *app) onboard() *onboard.Service {
	return &onboard.Service{
		Work: a.db.Onboarding(), Prober: stripeapi.NewProber(a.stripe), Registrar: stripeapi.NewRegistrar(a.stripe), Locks: a.db,
		Box: a.box, Clock: a.clock, PublicURL: a.cfg.PublicURL,
	}
}

func (a *app) reconcile() *reconcile.Service {
	return &reconcile.Service{Reader: a.db.NewReader(), Places: a.measure()}
}

// reconciler compares the ledger with Stripe. Orphans at the issuer are swept where the
// process may write; elsewhere the nightly run of a worker that may does it.
func (a *app) reconciler() *reconcile.Reconciler {
	r := &reconcile.Reconciler{
		Stripe: stripeapi.NewSourceReader(a.stripe), Ledger: a.db.NewRecon(), Closes: a.db.NewRecon(), Fetch: a.fetchEvents, Clock: a.clock, Log: a.log,
	}
	if a.cfg.StripeLive {
		r.Sweep = func(ctx context.Context, cycleID string) error {
			_, err := a.invoicing().Sweep(ctx, cycleID)
			return err
		}
	}
	return r
}

// fetchEvents asks Stripe for the events of a source that did not arrive.
func (a *app) fetchEvents(ctx context.Context, connectionID string) error {
	out, err := a.sources().Fetch(ctx, connectionID)
	if err != nil {
		return err
	}
	for _, why := range []source.Reason{out.Skipped, out.Failed} {
		if why.Code != "" {
			return fault.New(fault.Unavailable, why.Code, "the events of connection %s cannot be fetched: %s", connectionID, why.Message).Fix("%s", why.Action)
		}
	}
	return nil
}

func (a *app) measure() *measure.Service {
	return &measure.Service{
		Ledger: a.db.NewCycles(), Planner: a.db.NewCycles(), Tracer: a.db.NewCycles(), Source: stripeapi.NewSourceReader(a.stripe), Drainer: drainer{a.db, a.sources(), a.classifier()},
		Box: a.box, Clock: a.clock, SaltContext: onboard.SaltContext, Build: buildInfo(),
	}
}

func (a *app) invoicing() *invoicing.Service {
	ledger := a.db.NewInvoicing()
	s := &invoicing.Service{
		Ledger: ledger, Pricing: ledger, Writers: stripeapi.NewWriters(a.stripe), Clock: a.clock, Payments: ledger, Corrections: a.db.NewCorrections(),
		Book: a.db.NewPayerBook(a.box), Payers: stripeapi.NewPayers(a.stripe),
	}
	if a.cfg.StripeLive {
		s.Setups, s.Credits = stripeapi.NewSetups(a.stripe), stripeapi.NewCredits(a.stripe)
	}
	return s
}

func (a *app) trueUps() *trueups.Service {
	return &trueups.Service{Ledger: a.db.NewTrueUps(), Clock: a.clock}
}

func (a *app) goLive() *golive.Service {
	return &golive.Service{Ledger: a.db.NewGoLive(), Source: stripeapi.NewSourceReader(a.stripe), Clock: a.clock}
}

func (a *app) scheduler(ctx context.Context) (*scheduler.Scheduler, error) {
	opts, err := envconfig.LoadDefaultClientOptions()
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "temporal_config", "Temporal's settings cannot be read")
	}
	return scheduler.Connect(ctx, opts, a.log)
}

// drainer fetches what no webhook brings, classifies all that was received and reads all
// objects that the facts of one connection wait for. The events of a paused connection
// wait, so that nothing can be said of its month.
type drainer struct {
	db *postgres.DB
	s  *sourcesync.Service
	c  *ingest.Classifier
}

func (d drainer) DrainAll(ctx context.Context, connectionID string) error {
	if err := d.db.Running(ctx, connectionID); err != nil {
		return err
	}
	if err := d.s.Refresh(ctx, connectionID); err != nil {
		return err
	}
	if _, err := d.c.Drain(ctx); err != nil {
		return err
	}
	_, err := d.c.ReadPending(ctx, connectionID)
	return err
}

// buildInfo names what computed a readout; it stands beside it and is not hashed.
func buildInfo() map[string]string {
	out := map[string]string{"go": runtime.Version(), "arch": runtime.GOARCH, "os": runtime.GOOS}
	if bi, ok := debug.ReadBuildInfo(); ok {
		out["module"] = bi.Main.Path + "@" + bi.Main.Version
		for _, s := range bi.Settings {
			if s.Key == "vcs.revision" || s.Key == "vcs.modified" {
				out[s.Key] = s.Value
			}
		}
	}
	return out
}
