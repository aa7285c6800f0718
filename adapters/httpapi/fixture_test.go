package httpapi_test

import (
	"context"
	"encoding/json"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/httpapi"
	"github.com/liftbill/liftbill/app/decisions"
	"github.com/liftbill/liftbill/app/ingest"
	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/app/notify"
	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/app/replay"
	"github.com/liftbill/liftbill/app/sourcesync"
	domain "github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
)

var at = time.Date(2026, 11, 4, 9, 0, 0, 0, time.UTC)

// fakes stands in for every use case; each test sets the functions it needs.
type fakes struct {
	connect     func(onboard.ConnectionInput) (account.Connection, bool, error)
	contract    func(billing.Terms) (billing.Contract, bool, error)
	amend       func(string, billing.Terms) (billing.Contract, bool, error)
	versions    billing.Versions
	plans       []onboard.StoredPlan
	seal        func(onboard.PlanInput) (onboard.StoredPlan, bool, error)
	snapshot    func(onboard.SnapshotInput) (onboard.Snapshot, bool, error)
	receive     func(context.Context, ingest.Delivery) (ingest.Receipt, error)
	append      func(iter.Seq[decisions.Row]) (decisions.Result, error)
	cycles      func(reconcile.CyclesFilter) (reconcile.Page[reconcile.CycleSummary], error)
	tieOut      func(string) (reconcile.TieOut, error)
	readout     func(string) (reconcile.Readout, error)
	events      func(reconcile.RewardEventsFilter) (reconcile.Page[reconcile.RewardEvent], error)
	event       func(id string) (reconcile.RewardEventDetail, error)
	invoices    func(reconcile.InvoicesFilter) (reconcile.Page[reconcile.InvoiceRow], error)
	accounts    []reconcile.Overview
	snapshots   []reconcile.Snapshot
	adjustments []reconcile.Adjustment
	approvals   []reconcile.Approval

	accountsAsked    reconcile.AccountsFilter
	snapshotsAsked   reconcile.SnapshotsFilter
	adjustmentsAsked reconcile.AdjustmentsFilter
	approvalsAsked   reconcile.ApprovalsFilter

	connections []account.Connection
	connecting  httpapi.Connecting
	mapping     httpapi.Mapping
	operate     httpapi.Operate
	replays     []replay.Report
	replaying   httpapi.Replaying
	closings    httpapi.Closings
	invoice     func(cycleID string) (reconcile.InvoiceDetail, error)
	corrections httpapi.Corrections
	notices     func(notify.Filter) (notify.Page, error)
	customers   httpapi.Customers
	deciding    httpapi.Deciding
	previews    httpapi.Previews
	accruals    httpapi.Accruals
	detail      func(accountID, id string) (reconcile.SnapshotDetail, error)
	ready       error
	status      func(string) (sourcesync.Status, error)
	configure   func(sourcesync.Change) error
	backfill    func(time.Time) (sourcesync.Backfill, bool, error)
	payer       func(onboard.PayerInput) (onboard.Payer, error)
	resume      func(invoicing.Resumption) (invoicing.Outcome, error)
	link        func(invoicing.SetupRequest) (invoicing.SetupLink, error)
}

func (f *fakes) NamePayer(_ context.Context, _ domain.Principal, in onboard.PayerInput) (onboard.Payer, error) {
	return f.payer(in)
}
func (f *fakes) Resume(_ context.Context, _ domain.Principal, in invoicing.Resumption) (invoicing.Outcome, error) {
	return f.resume(in)
}
func (f *fakes) SetupLink(_ context.Context, _ domain.Principal, in invoicing.SetupRequest) (invoicing.SetupLink, error) {
	return f.link(in)
}

func (f *fakes) Status(_ context.Context, id string) (sourcesync.Status, error) { return f.status(id) }
func (f *fakes) Configure(_ context.Context, _ domain.Principal, _ string, c sourcesync.Change) (sourcesync.Connection, error) {
	return sourcesync.Connection{}, f.configure(c)
}
func (f *fakes) RequestBackfill(_ context.Context, _ domain.Principal, _ string, start time.Time) (sourcesync.Backfill, bool, error) {
	return f.backfill(start)
}

func (f *fakes) Replays(context.Context, replay.Filter) (replay.Page, error) {
	return replay.Page{Items: f.replays}, nil
}

func (f *fakes) Notices(_ context.Context, in notify.Filter) (notify.Page, error) {
	return f.notices(in)
}

func (f *fakes) Connect(_ context.Context, _ domain.Principal, in onboard.ConnectionInput) (account.Connection, bool, error) {
	return f.connect(in)
}
func (f *fakes) RegisterWebhook(_ context.Context, _ domain.Principal, id string) (onboard.Endpoint, bool, error) {
	return onboard.Endpoint{ID: "we-" + id, ConnectionID: id, Environment: account.Live, SealedSecret: []byte("whsec_x"), CreatedAt: at}, true, nil
}
func (f *fakes) CreateAccount(_ context.Context, _ domain.Principal, in onboard.AccountInput) (account.Account, bool, error) {
	a, err := account.New(in.ID, account.Environment(in.Environment), in.Name)
	return a, err == nil, err
}
func (f *fakes) CreateContract(_ context.Context, _ domain.Principal, _, _ string, t billing.Terms) (billing.Contract, bool, error) {
	return f.contract(t)
}
func (f *fakes) AmendContract(_ context.Context, _ domain.Principal, _, id string, t billing.Terms) (billing.Contract, bool, error) {
	return f.amend(id, t)
}
func (f *fakes) ContractVersions(context.Context, string) (billing.Versions, error) {
	return f.versions, nil
}
func (f *fakes) SealedPlans(context.Context, string) ([]onboard.StoredPlan, error) {
	return f.plans, nil
}
func (f *fakes) SealPlan(_ context.Context, _ domain.Principal, _ string, in onboard.PlanInput) (onboard.StoredPlan, bool, error) {
	return f.seal(in)
}
func (f *fakes) ShipSnapshot(_ context.Context, _ domain.Principal, _ string, in onboard.SnapshotInput) (onboard.Snapshot, bool, error) {
	return f.snapshot(in)
}
func (f *fakes) RetireSnapshot(_ context.Context, _ domain.Principal, account string, in onboard.RetirementInput) (onboard.Retirement, bool, error) {
	return onboard.Retirement{AccountID: account, SnapshotID: in.SnapshotID, Environment: "live", RetiredAt: in.RetiredAt, Reason: in.Reason, By: "user:ada"}, true, nil
}
func (f *fakes) SnapshotDetail(_ context.Context, accountID, id string) (reconcile.SnapshotDetail, error) {
	return f.detail(accountID, id)
}
func (f *fakes) Connections(context.Context, domain.Scope) ([]account.Connection, error) {
	return f.connections, nil
}
func (f *fakes) Receive(ctx context.Context, d ingest.Delivery) (ingest.Receipt, error) {
	return f.receive(ctx, d)
}
func (f *fakes) Append(_ context.Context, _ domain.Principal, _ string, rows iter.Seq[decisions.Row]) (decisions.Result, error) {
	return f.append(rows)
}
func (f *fakes) Cycles(_ context.Context, q reconcile.CyclesFilter) (reconcile.Page[reconcile.CycleSummary], error) {
	return f.cycles(q)
}
func (f *fakes) TieOut(_ context.Context, id string) (reconcile.TieOut, error) { return f.tieOut(id) }
func (f *fakes) Readout(_ context.Context, id string) (reconcile.Readout, error) {
	return f.readout(id)
}
func (f *fakes) Readouts(context.Context, string, reconcile.CyclesFilter) (reconcile.Page[reconcile.Readout], error) {
	return reconcile.Page[reconcile.Readout]{}, nil
}
func (f *fakes) RewardEvent(_ context.Context, _, id string) (reconcile.RewardEventDetail, error) {
	return f.event(id)
}
func (f *fakes) RewardEvents(_ context.Context, q reconcile.RewardEventsFilter) (reconcile.Page[reconcile.RewardEvent], error) {
	return f.events(q)
}
func (f *fakes) Invoices(_ context.Context, q reconcile.InvoicesFilter) (reconcile.Page[reconcile.InvoiceRow], error) {
	return f.invoices(q)
}
func (f *fakes) Invoice(_ context.Context, id string) (reconcile.InvoiceDetail, error) {
	return f.invoice(id)
}
func (f *fakes) AccountList(_ context.Context, q reconcile.AccountsFilter) (reconcile.Page[reconcile.Overview], error) {
	f.accountsAsked = q
	return reconcile.Page[reconcile.Overview]{Items: f.accounts, NextCursor: "n3"}, nil
}
func (f *fakes) Account(_ context.Context, _ domain.Scope, id string) (reconcile.AccountDetail, error) {
	return reconcile.AccountDetail{Overview: reconcile.Overview{ID: id}, Decisions: 7, StripeEvents: 9}, nil
}
func (f *fakes) Snapshots(_ context.Context, q reconcile.SnapshotsFilter) (reconcile.Page[reconcile.Snapshot], error) {
	f.snapshotsAsked = q
	return reconcile.Page[reconcile.Snapshot]{Items: f.snapshots}, nil
}
func (f *fakes) Adjustments(_ context.Context, q reconcile.AdjustmentsFilter) (reconcile.Page[reconcile.Adjustment], error) {
	f.adjustmentsAsked = q
	return reconcile.Page[reconcile.Adjustment]{Items: f.adjustments}, nil
}
func (f *fakes) Approvals(_ context.Context, q reconcile.ApprovalsFilter) (reconcile.Page[reconcile.Approval], error) {
	f.approvalsAsked = q
	return reconcile.Page[reconcile.Approval]{Items: f.approvals}, nil
}

// lines is the simplest parser: one row for each line, none of them refused.
func lines(r io.Reader) iter.Seq[decisions.Row] {
	return func(yield func(decisions.Row) bool) {
		buf, number := make([]byte, 1024), 0
		for {
			n, err := r.Read(buf)
			for range strings.Count(string(buf[:n]), "\n") {
				number++
				if !yield(decisions.Row{Number: number}) {
					return
				}
			}
			if err != nil {
				return
			}
		}
	}
}

func newServer(t *testing.T, f *fakes) *echo.Echo {
	t.Helper()
	e := echo.New()
	e.HideBanner = true
	httpapi.New(httpapi.Services{
		Access: newGate(), Audit: gateAudit{}, Onboard: f, Connections: f, Ingest: f, Decisions: f, Reconcile: f, Customers: f.customers, Sources: f, Invoicing: f, Connecting: f.connecting,
		Deciding: f.deciding, Previews: f.previews, Accruals: f.accruals,
		Mapping: f.mapping, Operate: f.operate, Replays: f, Replaying: f.replaying, TrueUps: f.closings, Corrections: f.corrections, Notices: f, ParseDecisions: lines, Idempotency: newKeys(), Ready: func(context.Context) error { return f.ready },
	}, slog.New(slog.DiscardHandler)).Register(e)
	return e
}

// request builds one from this machine, as curl would.
func request(method, path, body string) *http.Request {
	r := httptest.NewRequest(method, "http://127.0.0.1:8080"+path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+goodToken)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

func serve(t *testing.T, e *echo.Echo, r *http.Request) (*httptest.ResponseRecorder, map[string]any) {
	t.Helper()
	w := httptest.NewRecorder()
	e.ServeHTTP(w, r)
	var out map[string]any
	if w.Body.Len() > 0 && strings.Contains(w.Header().Get("Content-Type"), "json") {
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &out), w.Body.String())
	}
	return w, out
}
