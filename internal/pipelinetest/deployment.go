package pipelinetest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/decisionlog"
	"github.com/liftbill/liftbill/adapters/httpapi"
	"github.com/liftbill/liftbill/adapters/postgres"
	"github.com/liftbill/liftbill/adapters/stripeapi"
	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/audit"
	"github.com/liftbill/liftbill/app/customers"
	"github.com/liftbill/liftbill/app/decisions"
	"github.com/liftbill/liftbill/app/golive"
	"github.com/liftbill/liftbill/app/idempotency"
	"github.com/liftbill/liftbill/app/ingest"
	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/app/mapping"
	"github.com/liftbill/liftbill/app/measure"
	"github.com/liftbill/liftbill/app/notify"
	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/app/operate"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/app/replay"
	"github.com/liftbill/liftbill/app/sourcesync"
	"github.com/liftbill/liftbill/app/trueups"
	domain "github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/internal/assembly"
	"github.com/liftbill/liftbill/internal/httpclient"
)

// Deployment is the whole program in one process: the real use cases on the real
// adapters, with its HTTP API on loopback, and a Stripe that reaches it there.
type Deployment struct {
	*Ledger
	Fake  *stripefake.Server
	Clock Clock
	// URL is the address of the HTTP API.
	URL string

	stripe *stripeapi.Client
	http   *http.Client
}

// NewDeployment starts one whose clock shows the given time.
func NewDeployment(t testing.TB, start time.Time) *Deployment {
	t.Helper()
	d := &Deployment{Ledger: NewLedger(t), Fake: stripefake.Start(t, stripefake.Options{Start: start}), http: httpclient.New(time.Minute)}
	d.Clock = Clock{d.Fake}
	var err error
	d.stripe, err = stripeapi.New(stripeapi.Config{
		APIBase: d.Fake.URL, LiveRate: stripeapi.Unlimited, TestRate: stripeapi.Unlimited, Clock: d.Clock,
		Logger: slog.New(slog.DiscardHandler), ConnectionKey: d.connectionKey,
		Writing:     d.DB.NewGoLive().Switch,
		OwnInvoices: d.DB.OwnInvoices,
		KeyRefused:  func(ctx context.Context, id string) { require.NoError(t, d.Onboard().KeyRefused(ctx, id)) },
	})
	require.NoError(t, err)
	e := echo.New()
	api := httptest.NewServer(e)
	t.Cleanup(api.Close)
	d.URL = api.URL
	d.pages(t, e)
	httpapi.New(d.services(), slog.New(slog.DiscardHandler)).Register(e)
	return d
}

func (d *Deployment) services() httpapi.Services {
	inbox, log, setUp := d.DB.NewInbox(d.Box), d.DB.NewEventLog(), d.Onboard()
	return httpapi.Services{
		Access:      openDoor{d.gate()},
		Audit:       &audit.Service{Reader: d.DB.AuditReader()},
		Idempotency: &idempotency.Service{Store: d.DB.IdempotencyKeys(), Box: d.Box, Clock: d.Clock},
		Onboard:     setUp, Connecting: setUp, Replays: &replay.Reports{Archive: d.DB.NewReplays()},
		Replaying: &replay.Starts{Desk: d.DB.NewReplays(), Clock: d.Clock}, TrueUps: d.TrueUps(),
		Mapping:     &mapping.Service{Work: d.DB.Mapping(), Reader: d.DB.NewMappingReader(), Clock: d.Clock},
		Operate:     &operate.Service{Log: log, Queue: log, Figures: log, Box: d.Box, Clock: d.Clock, BodyContext: ingest.BodyContext},
		Connections: d.DB, Decisions: &decisions.Service{Work: d.DB.Decisions(), Clock: d.Clock},
		Ingest:    &ingest.Service{Endpoints: inbox, Verifier: stripeapi.Verifier{}, Inbox: inbox, Box: d.Box, Clock: d.Clock},
		Reconcile: d.Reconcile(), Breaks: d.Reconciler(), Customers: &customers.Service{Reader: d.DB.NewCustomerReader(), Clock: d.Clock},
		Sources: d.Sources(), GoLive: d.GoLive(), Corrections: d.Invoicing(), Invoicing: d.Invoicing(), Deciding: d.Deciding(), Previews: d.Previews(), Accruals: d.Accruals(), ParseDecisions: decisionlog.Parse, Ready: d.DB.Ping,
		Notices: d.Notices(),
	}
}

// Onboard sets connections up and looks after them.
func (d *Deployment) Onboard() *onboard.Service {
	return &onboard.Service{
		Work: d.DB.Onboarding(), Prober: stripeapi.NewProber(d.stripe), Registrar: stripeapi.NewRegistrar(d.stripe),
		Locks: d.DB, Box: d.Box, Clock: d.Clock, PublicURL: d.URL,
	}
}

// SecondPerson is the token of an approver, who is nobody else.
const SecondPerson = "second-person"

// Approve lets the second person approve the invoice of a cycle that waits for that.
func (d *Deployment) Approve(t testing.TB, cycleID string) {
	t.Helper()
	var tie httpapi.TieOut
	d.Get(t, "/v1/cycles/"+cycleID, &tie)
	if tie.Cycle.State == string(billing.AwaitingApproval) {
		d.PostAs(t, SecondPerson, "/v1/cycles/"+cycleID+"/decisions", httpapi.CycleDecide{Action: string(billing.ActApprove), InvoiceHash: tie.InvoiceHash}, nil)
	}
}

// openDoor takes every other token for an operator's, of both environments: what callers may
// do is tested elsewhere.
type openDoor struct{ *access.Service }

// AuthenticateToken lets everybody in who sends one.
func (openDoor) AuthenticateToken(_ context.Context, text, requestID string) (access.Caller, error) {
	p := domain.Operator("pipeline")
	if text == SecondPerson {
		p = domain.Principal{Kind: domain.User, ID: "user:second", Name: "second", Person: "second", Roles: domain.Roles{domain.Approver}, Scope: domain.Everything()}
	}
	p.RequestID = requestID
	return access.Caller{Principal: p}, nil
}

// Reconcile answers finance's questions.
func (d *Deployment) Reconcile() *reconcile.Service {
	return &reconcile.Service{Reader: d.DB.NewReader(), Places: d.Measure()}
}

// Measure turns a month into readouts.
func (d *Deployment) Measure() *measure.Service {
	return &measure.Service{
		Ledger: d.DB.NewCycles(), Planner: d.DB.NewCycles(), Tracer: d.DB.NewCycles(), Source: stripeapi.NewSourceReader(d.stripe), Drainer: d,
		Box: d.Box, Clock: d.Clock, SaltContext: onboard.SaltContext, Build: map[string]string{"test": "pipeline"},
	}
}

// TrueUps looks again at settled years.
func (d *Deployment) TrueUps() *trueups.Service {
	return &trueups.Service{Ledger: d.DB.NewTrueUps(), Clock: d.Clock}
}

// Invoicing drafts and writes invoices.
func (d *Deployment) Invoicing() *invoicing.Service {
	ledger := d.DB.NewInvoicing()
	return &invoicing.Service{
		Ledger: ledger, Pricing: ledger, Writers: stripeapi.NewWriters(d.stripe), Clock: d.Clock, Payments: ledger, Corrections: d.DB.NewCorrections(), Credits: stripeapi.NewCredits(d.stripe),
		Book: d.DB.NewPayerBook(d.Box), Payers: stripeapi.NewPayers(d.stripe), Setups: stripeapi.NewSetups(d.stripe),
	}
}

// Deciding takes decisions about cycles; no run is told.
func (d *Deployment) Deciding() *invoicing.Decisions {
	return &invoicing.Decisions{Work: d.DB.Deciding(), Clock: d.Clock, Changes: assembly.Changes(d.Previews())}
}

// Notices tells people what waits, through the given channels.
func (d *Deployment) Notices(channels ...notify.Channel) *notify.Service {
	return &notify.Service{Ledger: d.DB.NewNotices(), Channels: channels, Clock: d.Clock, Log: slog.New(slog.DiscardHandler)}
}

// GoLive opens and closes the writing of accounts.
func (d *Deployment) GoLive() *golive.Service {
	return &golive.Service{Ledger: d.DB.NewGoLive(), Source: stripeapi.NewSourceReader(d.stripe), Clock: d.Clock}
}

// Classifier books what was received.
func (d *Deployment) Classifier() *ingest.Classifier {
	return &ingest.Classifier{Work: d.DB.Classification(), Source: stripeapi.NewSourceReader(d.stripe), Reads: d.DB.Reads(), Box: d.Box, Clock: d.Clock}
}

// Sources keeps source accounts in step.
func (d *Deployment) Sources() *sourcesync.Service {
	return &sourcesync.Service{
		Source: stripeapi.NewSourceReader(d.stripe), Ledger: d.DB.NewSources(), Box: d.Box, Clock: d.Clock,
		Log: slog.New(slog.DiscardHandler), BodyContext: ingest.BodyContext,
	}
}

// DrainAll fetches and classifies all that there is, as the worker does before a month
// is closed.
func (d *Deployment) DrainAll(ctx context.Context, connectionID string) error {
	if connectionID != "" {
		if err := d.DB.Running(ctx, connectionID); err != nil {
			return err
		}
		if err := d.Sources().Refresh(ctx, connectionID); err != nil {
			return err
		}
	}
	c := d.Classifier()
	if _, err := c.Drain(ctx); err != nil {
		return err
	}
	_, err := c.ReadPending(ctx, connectionID)
	return err
}

// Post sends a request to the API: a reader as a decision log, anything else as JSON.
func (d *Deployment) Post(t testing.TB, path string, in, out any) {
	t.Helper()
	d.PostAs(t, "pipeline", path, in, out)
}

// PostAs is Post with the token of somebody else.
func (d *Deployment) PostAs(t testing.TB, token, path string, in, out any) {
	t.Helper()
	body, kind := io.Reader(http.NoBody), "application/json"
	switch v := in.(type) {
	case nil:
	case io.Reader:
		body, kind = v, "application/x-ndjson"
	default:
		raw, err := json.Marshal(in)
		require.NoError(t, err)
		body = bytes.NewReader(raw)
	}
	d.call(t, token, http.MethodPost, path, body, kind, out)
}

// Get reads from the API.
func (d *Deployment) Get(t testing.TB, path string, out any) {
	t.Helper()
	d.call(t, "pipeline", http.MethodGet, path, http.NoBody, "", out)
}

func (d *Deployment) call(t testing.TB, token, method, path string, body io.Reader, kind string, out any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, d.URL+path, body)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+token)
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	res, err := d.http.Do(req)
	require.NoError(t, err)
	raw, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Less(t, res.StatusCode, 300, "%s %s: %s", method, path, raw)
	if out != nil {
		require.NoError(t, json.Unmarshal(raw, out), "%s", raw)
	}
}

// Replays derive a frozen month once more from its raw events, wired as in the program.
func (d *Deployment) Replays() *replay.Service[*postgres.Scratch] {
	return assembly.Replays(d.DB, d.Clock, d.Box)
}
