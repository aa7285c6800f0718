package httpapi

import (
	"context"
	"io"
	"iter"
	"log/slog"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/liftbill/liftbill/app/audit"
	"github.com/liftbill/liftbill/app/decisions"
	"github.com/liftbill/liftbill/app/golive"
	"github.com/liftbill/liftbill/app/ingest"
	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/app/preview"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/app/sourcesync"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

// Onboard sets accounts up; *onboard.Service is it.
type Onboard interface {
	Connect(ctx context.Context, by access.Principal, in onboard.ConnectionInput) (account.Connection, bool, error)
	RegisterWebhook(ctx context.Context, by access.Principal, connectionID string) (onboard.Endpoint, bool, error)
	CreateAccount(ctx context.Context, by access.Principal, in onboard.AccountInput) (account.Account, bool, error)
	CreateContract(ctx context.Context, by access.Principal, accountID, id string, terms billing.Terms) (billing.Contract, bool, error)
	AmendContract(ctx context.Context, by access.Principal, accountID, id string, terms billing.Terms) (billing.Contract, bool, error)
	ContractVersions(ctx context.Context, accountID string) (billing.Versions, error)
	SealedPlans(ctx context.Context, accountID string) ([]onboard.StoredPlan, error)
	SealPlan(ctx context.Context, by access.Principal, accountID string, in onboard.PlanInput) (onboard.StoredPlan, bool, error)
	ShipSnapshot(ctx context.Context, by access.Principal, accountID string, in onboard.SnapshotInput) (onboard.Snapshot, bool, error)
	RetireSnapshot(ctx context.Context, by access.Principal, accountID string, in onboard.RetirementInput) (onboard.Retirement, bool, error)
	NamePayer(ctx context.Context, by access.Principal, in onboard.PayerInput) (onboard.Payer, error)
}

// Invoicing takes people's decisions about invoices; *invoicing.Service is it.
type Invoicing interface {
	Resume(ctx context.Context, by access.Principal, in invoicing.Resumption) (invoicing.Outcome, error)
	SetupLink(ctx context.Context, by access.Principal, in invoicing.SetupRequest) (invoicing.SetupLink, error)
}

// Deciding takes decisions about cycles; *invoicing.Decisions is it.
type Deciding interface {
	Decide(ctx context.Context, by access.Principal, w invoicing.Wish) (invoicing.Standing, error)
	Start(ctx context.Context, by access.Principal, accountID, month string) (invoicing.Started, error)
	RunOf(ctx context.Context, env account.Environment, accountID, period string) billing.RunState
}

// Previews computes what cycles would come to; *preview.Service is it.
type Previews interface {
	Run(ctx context.Context, by access.Principal, accountID, month string) (preview.Preview, error)
	History(ctx context.Context, cycleID string) ([]preview.Revision, error)
}

// Corrections are what is wrong with finalized invoices; *invoicing.Service is it.
type Corrections interface {
	CorrectionsOf(ctx context.Context, cycleID string) ([]invoicing.Correction, error)
	ProposeCorrection(ctx context.Context, by access.Principal, w invoicing.Wanted) (invoicing.Correction, error)
	ApproveCorrection(ctx context.Context, by access.Principal, id string) (invoicing.Correction, error)
	WithdrawCorrection(ctx context.Context, by access.Principal, id, reason string) (invoicing.Correction, error)
	RetryCorrection(ctx context.Context, by access.Principal, id, reason string) (invoicing.Correction, error)
}

// GoLive opens and closes the writing of accounts; *golive.Service is it.
type GoLive interface {
	Status(ctx context.Context, by access.Principal, accountID string) (golive.Status, error)
	Open(ctx context.Context, by access.Principal, in golive.Opening) (golive.Status, error)
	Close(ctx context.Context, by access.Principal, accountID, reason string) (golive.Status, error)
}

// Connections lists the connections of a scope without their keys, in any order.
type Connections interface {
	Connections(ctx context.Context, scope access.Scope) ([]account.Connection, error)
}

// Ingest takes webhooks in; *ingest.Service is it.
type Ingest interface {
	Receive(ctx context.Context, d ingest.Delivery) (ingest.Receipt, error)
}

// Decisions takes the decision log in; *decisions.Service is it.
type Decisions interface {
	Append(ctx context.Context, by access.Principal, accountID string, rows iter.Seq[decisions.Row]) (decisions.Result, error)
}

// Reconcile answers finance's questions; *reconcile.Service is it.
type Reconcile interface {
	Cycles(ctx context.Context, f reconcile.CyclesFilter) (reconcile.Page[reconcile.CycleSummary], error)
	TieOut(ctx context.Context, cycleID string) (reconcile.TieOut, error)
	Readout(ctx context.Context, caseID string) (reconcile.Readout, error)
	Readouts(ctx context.Context, accountID string, f reconcile.CyclesFilter) (reconcile.Page[reconcile.Readout], error)
	RewardEvents(ctx context.Context, f reconcile.RewardEventsFilter) (reconcile.Page[reconcile.RewardEvent], error)
	RewardEvent(ctx context.Context, accountID, id string) (reconcile.RewardEventDetail, error)
	AccountList(ctx context.Context, f reconcile.AccountsFilter) (reconcile.Page[reconcile.Overview], error)
	Account(ctx context.Context, scope access.Scope, id string) (reconcile.AccountDetail, error)
	Snapshots(ctx context.Context, f reconcile.SnapshotsFilter) (reconcile.Page[reconcile.Snapshot], error)
	Invoices(ctx context.Context, f reconcile.InvoicesFilter) (reconcile.Page[reconcile.InvoiceRow], error)
	Invoice(ctx context.Context, cycleID string) (reconcile.InvoiceDetail, error)
	Adjustments(ctx context.Context, f reconcile.AdjustmentsFilter) (reconcile.Page[reconcile.Adjustment], error)
	Approvals(ctx context.Context, f reconcile.ApprovalsFilter) (reconcile.Page[reconcile.Approval], error)
	SnapshotDetail(ctx context.Context, accountID, id string) (reconcile.SnapshotDetail, error)
}

// Sources keeps connections in step; *sourcesync.Service is it.
type Sources interface {
	Status(ctx context.Context, connectionID string) (sourcesync.Status, error)
	Configure(ctx context.Context, by access.Principal, connectionID string, change sourcesync.Change) (sourcesync.Connection, error)
	RequestBackfill(ctx context.Context, by access.Principal, connectionID string, start time.Time) (sourcesync.Backfill, bool, error)
}

// Audit reads the audit log; *audit.Service is it.
type Audit interface {
	Entries(ctx context.Context, f audit.Filter) (audit.Page, error)
}

// Services are the use cases behind the routes. All fields but Edge are required.
type Services struct {
	Access      Access
	Audit       Audit
	Idempotency Idempotency
	Edge        Edge
	Onboard     Onboard
	Connections Connections
	Ingest      Ingest
	Decisions   Decisions
	Reconcile   Reconcile
	Breaks      Breaks
	Invoicing   Invoicing
	Deciding    Deciding
	Previews    Previews
	Accruals    Accruals
	GoLive      GoLive
	Corrections Corrections
	Sources     Sources
	Connecting  Connecting
	Mapping     Mapping
	Operate     Operate
	TrueUps     Closings
	Replays     Replays
	Replaying   Replaying
	Customers   Customers
	Notices     Notices
	// ParseDecisions reads NDJSON rows as they arrive (decisionlog.Parse).
	ParseDecisions func(io.Reader) iter.Seq[decisions.Row]
	// Ready fails when a dependency of the process does not answer.
	Ready func(context.Context) error
}

// Server serves the API. It implements the generated StrictServerInterface.
type Server struct {
	Services
	log        *slog.Logger
	limits     *limits
	deliveries deliveries
}

var _ StrictServerInterface = (*Server)(nil)

// New makes the server of the services.
func New(services Services, logger *slog.Logger) *Server {
	return &Server{Services: services, log: logger, limits: newLimits(services.Edge.PerSecond)}
}

// Register mounts the API, the webhook route and the API reference on e. The
// request ID, the recovery of panics, Guard and the permission table cover everything
// on e but the webhook route, so pages mounted beside the API are protected as well;
// errors of the API's own routes are problems, others go to the error handler that e had.
func (s *Server) Register(e *echo.Echo) {
	others := e.HTTPErrorHandler
	e.HTTPErrorHandler = func(err error, c echo.Context) {
		if ownRoute(c.Request().URL.Path) {
			s.answerProblem(err, c)
			return
		}
		others(err, c)
	}
	e.Binder = strictBinder{}
	e.Pre(s.webhooksApart)
	e.Use(requestID, s.safeHeaders, recovered, Guard(s.Edge), readable, s.permitted)
	RegisterHandlers(limitedRoutes{e, s}, NewStrictHandler(s, nil))
	s.registerReference(e)
}

// limitedRoutes adds the limits and the idempotency keys to every route that takes a
// body. (A group would also answer for every path that it does not know, those of the
// pages included.)
type limitedRoutes struct {
	*echo.Echo
	s *Server
}

// POST implements EchoRouter.
func (l limitedRoutes) POST(path string, h echo.HandlerFunc, m ...echo.MiddlewareFunc) *echo.Route {
	return l.Echo.POST(path, h, append(m, limited, l.s.idempotent)...)
}

// PATCH implements EchoRouter.
func (l limitedRoutes) PATCH(path string, h echo.HandlerFunc, m ...echo.MiddlewareFunc) *echo.Route {
	return l.Echo.PATCH(path, h, append(m, limited)...)
}

// ownRoute reports whether a path belongs to the API and not to the pages.
func ownRoute(path string) bool {
	if strings.HasPrefix(path, "/v1/") {
		return true
	}
	switch path {
	case "/v1", "/healthz", "/readyz", "/metrics", "/openapi.json", "/openapi.yaml":
		return true
	}
	return false
}

// Healthz answers as long as the process does.
func (s *Server) Healthz(context.Context, HealthzRequestObject) (HealthzResponseObject, error) {
	return Healthz200JSONResponse{Status: "ok"}, nil
}

// Readyz answers whether the dependencies do.
func (s *Server) Readyz(ctx context.Context, _ ReadyzRequestObject) (ReadyzResponseObject, error) {
	if err := s.Ready(ctx); err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "not_ready", "a dependency does not answer").Fix("Run liftbill doctor")
	}
	return Readyz200JSONResponse{Status: "ready"}, nil
}
