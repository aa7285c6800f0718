package httpapi

import (
	"context"
	"io"
	"iter"
	"log/slog"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/liftbill/liftbill/app/decisions"
	"github.com/liftbill/liftbill/app/ingest"
	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/app/sourcesync"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

// Onboard sets accounts up; *onboard.Service is it.
type Onboard interface {
	Connect(ctx context.Context, in onboard.ConnectionInput) (account.Connection, bool, error)
	RegisterWebhook(ctx context.Context, connectionID string) (onboard.Endpoint, bool, error)
	CreateAccount(ctx context.Context, in onboard.AccountInput) (account.Account, bool, error)
	CreateContract(ctx context.Context, accountID, id string, terms billing.Terms) (billing.Contract, bool, error)
	AmendContract(ctx context.Context, accountID, id string, terms billing.Terms) (billing.Contract, bool, error)
	ContractVersions(ctx context.Context, accountID string) (billing.Versions, error)
	SealPlan(ctx context.Context, accountID string, in onboard.PlanInput) (onboard.StoredPlan, bool, error)
	ShipSnapshot(ctx context.Context, accountID string, in onboard.SnapshotInput) (onboard.Snapshot, bool, error)
}

// Connections lists the connections without their keys, in any order.
type Connections interface {
	Connections(ctx context.Context) ([]account.Connection, error)
}

// Ingest takes webhooks in; *ingest.Service is it.
type Ingest interface {
	Receive(ctx context.Context, d ingest.Delivery) (ingest.Receipt, error)
}

// Decisions takes the decision log in; *decisions.Service is it.
type Decisions interface {
	Append(ctx context.Context, accountID string, rows iter.Seq[decisions.Row]) (decisions.Result, error)
}

// Reconcile answers finance's questions; *reconcile.Service is it.
type Reconcile interface {
	Cycles(ctx context.Context, f reconcile.CyclesFilter) (reconcile.Page[reconcile.CycleSummary], error)
	TieOut(ctx context.Context, cycleID string) (reconcile.TieOut, error)
	Readout(ctx context.Context, caseID string) (reconcile.Readout, error)
	Readouts(ctx context.Context, accountID string, f reconcile.CyclesFilter) (reconcile.Page[reconcile.Readout], error)
	RewardEvents(ctx context.Context, f reconcile.RewardEventsFilter) (reconcile.Page[reconcile.RewardEvent], error)
	Accounts(ctx context.Context) ([]reconcile.Overview, error)
}

// Sources keeps connections in step; *sourcesync.Service is it.
type Sources interface {
	Status(ctx context.Context, connectionID string) (sourcesync.Status, error)
	Configure(ctx context.Context, connectionID string, change sourcesync.Change) (sourcesync.Connection, error)
	RequestBackfill(ctx context.Context, connectionID string, start time.Time) (sourcesync.Backfill, bool, error)
}

// Services are the use cases behind the routes. All fields are required.
type Services struct {
	Onboard     Onboard
	Connections Connections
	Ingest      Ingest
	Decisions   Decisions
	Reconcile   Reconcile
	Breaks      Breaks
	Sources     Sources
	Connecting  Connecting
	Mapping     Mapping
	Operate     Operate
	Replays     Replays
	Customers   Customers
	// ParseDecisions reads NDJSON rows as they arrive (decisionlog.Parse).
	ParseDecisions func(io.Reader) iter.Seq[decisions.Row]
	// Ready fails when a dependency of the process does not answer.
	Ready func(context.Context) error
}

// Server serves the API. It implements the generated StrictServerInterface.
type Server struct {
	Services
	log        *slog.Logger
	deliveries deliveries
}

var _ StrictServerInterface = (*Server)(nil)

// New makes the server of the services.
func New(services Services, logger *slog.Logger) *Server {
	return &Server{Services: services, log: logger}
}

// Register mounts the API, the webhook route and the API reference on e. The
// request ID, the recovery of panics and Guard cover everything on e but the webhook
// route, so pages mounted beside the API are protected as well; errors of the API's
// own routes are problems, others go to the error handler that e had.
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
	e.Use(requestID, safeHeaders, recovered, Guard())
	RegisterHandlers(limitedRoutes{e}, NewStrictHandler(s, nil))
	s.registerReference(e)
}

// limitedRoutes adds the limits to every route that takes a body. (A group would
// also answer for every path that it does not know, those of the pages included.)
type limitedRoutes struct{ *echo.Echo }

// POST implements EchoRouter.
func (l limitedRoutes) POST(path string, h echo.HandlerFunc, m ...echo.MiddlewareFunc) *echo.Route {
	return l.Echo.POST(path, h, append(m, limited)...)
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
	case "/v1", "/healthz", "/readyz", "/openapi.json", "/openapi.yaml":
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
