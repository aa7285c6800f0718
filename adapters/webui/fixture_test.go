package webui_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/shopspring/decimal"

	"github.com/liftbill/liftbill/adapters/webui"
	app "github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/accrual"
	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/customers"
	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/app/operate"
	"github.com/liftbill/liftbill/app/preview"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/app/replay"
	"github.com/liftbill/liftbill/app/trueups"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/projection"
	"github.com/liftbill/liftbill/domain/recon"
)

var now = time.Date(2026, 11, 4, 9, 30, 0, 0, time.UTC)

func ptr[T any](v T) *T { return &v }

// ledger is a month of three accounts, and what a test changes of it.
type ledger struct {
	cycles   []reconcile.CycleSummary
	tieOuts  map[string]reconcile.TieOut
	readouts map[string]reconcile.Readout
	events   []reconcile.RewardEvent
	accounts []reconcile.Overview
	periods  []string
	next     string
	err      error

	board        reconcile.Board
	invoices     []reconcile.InvoiceRow
	health       []operate.Health
	log          []operate.Event
	clients      []customers.Summary
	replays      []replay.Report
	replaysAsked replay.Filter
	told         // of the notices
	trend        []reconcile.TrendPoint
	weights      []reconcile.WeightCount
	breaks       []reconcile.BreakView
	fields       []recon.Field
	month        reconcile.Summary
	closings     []recon.Closing
	summed       *time.Time // of the coverage

	accruals      []accrual.Accrual
	accrualsNext  []accrual.Accrual // of the page behind next
	accrualsAsked accrual.Filter
	accrueAsked   string
	retired       bool
	shipped       []string
	wish          invoicing.Wish
	started       string
	due           *trueups.Outstanding
	dueErr        error
	follows       bool // a plan follows the settled year, so that it is no ended one
	run           billing.RunState
	changed       *preview.Comparison
	history       []preview.Revision
	refusal       error
	alsoTest      bool // an adjustment of a test account is there
	invoicesAsked reconcile.InvoicesFilter
	logAsked      operate.EventsFilter
	clientsAsked  customers.Filter
	cyclesAsked   reconcile.CyclesFilter
	eventsAsked   reconcile.RewardEventsFilter
	breaksAsked   reconcile.BreaksFilter
	adjustedAsked reconcile.AdjustmentsFilter
	wanted        invoicing.Wanted
	changes       string
	worked        []string // what was asked of breaks
	steps         []string // what was asked for a reward event
}

func (l *ledger) Cycles(_ context.Context, f reconcile.CyclesFilter) (reconcile.Page[reconcile.CycleSummary], error) {
	l.cyclesAsked = f
	return reconcile.Page[reconcile.CycleSummary]{Items: l.cycles, NextCursor: l.next}, l.err
}
func (l *ledger) TieOut(_ context.Context, id string) (reconcile.TieOut, error) {
	t, ok := l.tieOuts[id]
	if !ok {
		return t, fault.New(fault.NotFound, "cycle_unknown", "there is no cycle %q", id).Fix("Look for it in the list of cycles")
	}
	return t, nil
}

// explaining is the ledger as the use case reads it.
type explaining struct {
	reconcile.Reader
	l *ledger
}

func (e explaining) TieOut(ctx context.Context, id string) (reconcile.TieOut, error) {
	return e.l.TieOut(ctx, id)
}
func (e explaining) Readout(ctx context.Context, id string) (reconcile.Readout, error) {
	return e.l.Readout(ctx, id)
}
func (l *ledger) Explain(ctx context.Context, id, line string) (reconcile.Explanation, error) {
	return (&reconcile.Service{Reader: explaining{l: l}}).Explain(ctx, id, line)
}
func (l *ledger) Readout(_ context.Context, id string) (reconcile.Readout, error) {
	r, ok := l.readouts[id]
	if !ok {
		return r, fault.New(fault.NotFound, "readout_unknown", "there is no readout %q", id)
	}
	return r, nil
}
func (l *ledger) RewardEvents(_ context.Context, f reconcile.RewardEventsFilter) (reconcile.Page[reconcile.RewardEvent], error) {
	l.eventsAsked = f
	return reconcile.Page[reconcile.RewardEvent]{Items: l.events, NextCursor: l.next}, l.err
}
func (l *ledger) RewardEvent(_ context.Context, _, id string) (reconcile.RewardEventDetail, error) {
	for _, e := range l.events {
		if e.ID() == id {
			e.CustomerID = l.clients[0].ID // one that has a page
			return reconcile.RewardEventDetail{
				RewardEvent: e, ObjectID: e.InvoiceID, RecordedAt: e.EffectiveAt.Add(2 * time.Second), Detail: `{"mrr_before":"4900","flags":{"unconfirmed":true}}`, FrozenBy: "acme.2026-10", Zone: berlin,
			}, nil
		}
	}
	return reconcile.RewardEventDetail{}, fault.New(fault.NotFound, "reward_event_not_found", "there is no fact %q", id)
}
func (l *ledger) Zone(context.Context, string) (*time.Location, error) { return berlin, nil }
func (l *ledger) Reprocess(_ context.Context, _ access.Principal, s operate.Selection, reason string, _ bool) (operate.Reprocessed, error) {
	l.steps = append(l.steps, "replay "+s.ConnectionID+" "+s.EventID+" "+reason)
	return operate.Reprocessed{Events: 1}, l.refusal
}
func (l *ledger) Reread(_ context.Context, _ access.Principal, connection, object, reason string) error {
	l.steps = append(l.steps, "refetch "+connection+" "+object+" "+reason)
	return l.refusal
}

var berlin = time.FixedZone("Europe/Berlin", 3600)

// Accounts tells the wiring only, as the real one does.
func (l *ledger) Accounts(context.Context, access.Scope) ([]reconcile.Overview, error) {
	var out []reconcile.Overview
	for _, a := range l.accounts {
		out = append(out, reconcile.Overview{ID: a.ID, Name: a.Name, Environment: a.Environment, SourceConnection: a.SourceConnection, IssuerConnection: a.IssuerConnection, PayerCustomer: a.PayerCustomer})
	}
	return out, nil
}

func (l *ledger) Overview(context.Context, access.Scope, time.Time) (reconcile.Board, error) {
	return l.board, l.err
}
func (l *ledger) Invoices(_ context.Context, f reconcile.InvoicesFilter) (reconcile.Page[reconcile.InvoiceRow], error) {
	l.invoicesAsked = f
	return reconcile.Page[reconcile.InvoiceRow]{Items: l.invoices, NextCursor: l.more(f.Cursor)}, l.err
}

// Invoice adds to a row of the list what its page shows besides.
func (l *ledger) Invoice(_ context.Context, id string) (reconcile.InvoiceDetail, error) {
	rows := slices.Clone(l.invoices)
	if fees := l.tieOuts["fees.2026-10"]; len(rows) > 0 { // one with fees, which the list leaves out
		row := rows[0]
		row.CycleID, row.EngineMinor, row.StripeMinor = fees.ID, fees.EngineMinor, fees.StripeMinor
		rows = append(rows, row)
	}
	i := slices.IndexFunc(rows, func(r reconcile.InvoiceRow) bool { return r.CycleID == id })
	if i < 0 {
		return reconcile.InvoiceDetail{}, fault.New(fault.NotFound, "invoice_not_found", "nothing of cycle %q was written to Stripe", id)
	}
	return detailOf(rows[i]), nil
}

func (l *ledger) Events(_ context.Context, f operate.EventsFilter) (operate.Page[operate.Event], error) {
	l.logAsked = f
	return operate.Page[operate.Event]{Items: l.log, NextCursor: l.more(f.Cursor)}, l.err
}
func (l *ledger) Health(context.Context, access.Scope, string) ([]operate.Health, error) {
	return l.health, nil
}
func (l *ledger) Replays(_ context.Context, f replay.Filter) (replay.Page, error) {
	l.replaysAsked = f
	return replay.Page{Items: l.replays, NextCursor: l.more(f.Cursor)}, nil
}

func (l *ledger) Trend(context.Context, reconcile.Readout) ([]reconcile.TrendPoint, error) {
	return l.trend, nil
}
func (l *ledger) Weights(context.Context, reconcile.Readout) ([]reconcile.WeightCount, error) {
	return l.weights, nil
}

// more is the next page's cursor: there is one page after the first.
func (l *ledger) more(cursor string) string {
	if cursor == l.next {
		return ""
	}
	return l.next
}

// people are the customers of the ledger.
type people struct{ l *ledger }

func (p people) Customers(_ context.Context, _ string, f customers.Filter) (customers.Page[customers.Summary], error) {
	p.l.clientsAsked = f
	return customers.Page[customers.Summary]{Items: p.l.clients, NextCursor: p.l.more(f.Cursor)}, p.l.err
}
func (p people) Customer(_ context.Context, _, id string, _ time.Time) (customers.Detail, error) {
	for _, c := range p.l.clients {
		if c.ID == id {
			return customers.Detail{
				Summary: c, AsOf: now, Revenue: []customers.Revenue{{Currency: "usd", ConfirmedMinor: 29_700, ReturnedMinor: -9_900, Facts: 4}},
				Subscriptions: []customers.Subscription{{ID: "sub_1QHbbbG9RKHgCVdK", StatusAt: c.Status, Subscription: projection.Subscription{PriceIDs: []string{"price_monthly"}}, Intervals: []projection.Interval{
					{Status: "trialing", From: now.AddDate(0, -3, 0).Unix(), Until: now.AddDate(0, -2, -16).Unix()},
					{Status: "active", From: now.AddDate(0, -2, -16).Unix(), Until: now.AddDate(0, 0, -9).Unix(), Inferred: true}, {Status: "past_due", From: now.AddDate(0, 0, -9).Unix(), Gap: true},
				}}},
				Invoices: []customers.Invoice{{ID: "in_1QHbbbG9RKHgCVdKbbb", Invoice: projection.Invoice{Status: "open", Currency: "usd", Total: ptr[int64](9_900), AmountPaid: ptr[int64](0), AmountRemains: ptr[int64](9_900)}}},
			}, nil
		}
	}
	return customers.Detail{}, fault.New(fault.NotFound, "customer_not_found", "there is no customer %q", id)
}

func newEcho(l *ledger) *echo.Echo {
	return newDoor(l, &door{}, webui.Options{TemporalUI: "http://127.0.0.1:8233/"})
}

func servicesOf(l *ledger, d *door) webui.Services {
	return webui.Services{
		Reconcile: l, Access: d, Audit: d, Operate: l, Customers: people{l}, Replays: l, Deciding: l, Notices: l, Previews: looks{l}, Breaks: differences{l}, Mapping: joins{l}, Accruals: l, Shipping: l, Corrections: l, Agreements: l,
		WhatIf: l, Sources: flows{l}, GoLive: switches{l}, Keys: scopes{l}, Replaying: again{l}, TrueUps: closings{l},
	}
}

// newDoor is newEcho with somebody at the door, whose caller every request has.
func newDoor(l *ledger, d *door, options webui.Options) *echo.Echo {
	s, err := webui.New(servicesOf(l, d), options, clock.Fixed(now), slog.New(slog.DiscardHandler))
	if err != nil {
		panic(err)
	}
	e := echo.New()
	e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			c.SetRequest(c.Request().WithContext(app.With(c.Request().Context(), d.caller)))
			return next(c)
		}
	})
	s.Register(e)
	return e
}

const (
	caseGood = "mfzwizltoq2dqnbrgmydcmrtgq"
	caseNull = "nbswy3dpeb3w64tmmqqho2lume"
	caseHarm = "orsxg5baoruw2zjanfxca5dine"
	// caseAgain is caseGood with what came since.
	caseAgain = "ppsgyai4sqsfuf54p47y3mhnge"
)

func fixture() *ledger {
	cycle := func(id, name string, env account.Environment, state billing.CycleState, engine int64) reconcile.CycleSummary {
		return reconcile.CycleSummary{
			ID: id + ".2026-10", AccountID: id, AccountName: name, Environment: env, Period: "2026-10", State: state, Basis: "measured",
			PeriodStart: time.Date(2026, 9, 30, 22, 0, 0, 0, time.UTC), PeriodEnd: time.Date(2026, 10, 31, 23, 0, 0, 0, time.UTC),
			TimeZone: "Europe/Berlin", Currency: "usd", LiftMinor: engine * 5, Lines: 3, WithheldLines: 2, EngineMinor: engine,
			WorkflowID: "cycle/live/" + id + "/2026-10", UpdatedAt: now.Add(-47 * time.Minute), ContractID: id + "-2026", ContractVersion: 2, Revision: 1,
		}
	}
	acme := cycle("acme", "Acme Inc.", account.Live, billing.Invoiced, 412_050)
	acme.WithheldMinor, acme.LaterMinor = 31_210, -1_262
	acme.StripeMinor, acme.DifferenceMinor, acme.StripeInvoiceID, acme.InvoiceNumber = ptr[int64](412_050), ptr[int64](0), "in_1QHk2vG9RKHgCVdKx01", "ACME-0001"
	northwind := cycle("northwind", "Northwind Traders", account.Live, billing.NeedsHuman, 98_000)
	northwind.Basis, northwind.Currency, northwind.TimeZone = "proven", "eur", "UTC"
	northwind.StripeMinor, northwind.DifferenceMinor, northwind.StripeInvoiceID, northwind.InvoiceNumber = ptr[int64](97_500), ptr[int64](500), "in_1QHk9aG9RKHgCVdKy77", "NW-0004"
	northwind.TrueUpMinor, northwind.Revision = -4_500, 3
	northwind.OpenBreaks, northwind.BlockingBreaks, northwind.BreaksMinor = 3, 1, 2_000
	acme.Approver, acme.ClosedBy, acme.ClosedAt, acme.Payment = "Ada", "user:nina", ptr(now.Add(-time.Minute)), &billing.Payment{Status: "open", DueAt: ptr(now.AddDate(0, 0, 20))}
	northwind.Reason, northwind.NextAction = "the total at Stripe is not the planned one", billing.NeedsHuman.NextAction()
	contoso := cycle("contoso", "Contoso Labs", account.Live, billing.Withheld, 0)
	contoso.Reason, contoso.Lines = "no snapshot passed the guardrail", 2
	sandbox := cycle("sandbox", "Acme sandbox", account.Test, billing.DryRun, 123_456)
	l := &ledger{
		cycles: []reconcile.CycleSummary{acme, northwind, contoso, sandbox}, periods: []string{"2026-10", "2026-09"},
		tieOuts: map[string]reconcile.TieOut{acme.ID: acmeTieOut(acme)}, readouts: map[string]reconcile.Readout{caseGood: goodReadout(), caseNull: nullReadout(), caseHarm: harmReadout(), caseAgain: againReadout()},
	}
	test := acmeTieOut(sandbox)
	test.StripeStatus, test.HostedURL, test.PDFURL, test.FinalizedAt, test.Attempts = "", "", "", nil, nil
	for i := range test.Lines {
		test.Lines[i].StripeMinor, test.Lines[i].StripeLineID = nil, ""
	}
	test.EngineMinor = 412_050
	l.tieOuts[sandbox.ID] = test
	fees, shade := cycle("fees", "Fees Ltd.", account.Live, billing.Invoiced, 330_000), cycle("shade", "Shade GmbH", account.Live, billing.Withheld, 0)
	fees.AccountID, shade.AccountID, shade.Reason = "acme", "acme", "shadow_phase"
	l.tieOuts[fees.ID] = feesTieOut(fees)
	l.tieOuts[shade.ID] = shadowTieOut(shade)
	l.tieOuts[contoso.ID] = reconcile.TieOut{CycleSummary: contoso, Share: "0.20"}
	l.tieOuts[northwind.ID] = reconcile.TieOut{CycleSummary: northwind, Share: "0.20"}
	l.accounts = []reconcile.Overview{
		{ID: "acme", Name: "Acme Inc.", Environment: account.Live, SourceConnection: "acme-stripe", IssuerConnection: "acme-stripe", PayerCustomer: "cus_RkPayer00000001", ContractID: "acme-2026", Basis: lift.BasisMeasured, PlanID: "acme-plan-2026", Snapshots: 3, HasDecisions: true, HasEvents: true, LastEventAt: ptr(now.Add(-3 * time.Minute)), Figures: acmeFigures()},
		{ID: "northwind", Name: "Northwind Traders", Environment: account.Live, SourceConnection: "northwind", IssuerConnection: "vendor", PayerCustomer: "cus_RkPayer00000002", ContractID: "nw-1", Basis: lift.BasisProven, Settlement: lift.SettleProvenThenPoint, PlanID: "nw-plan", Snapshots: 3, HasDecisions: true, HasEvents: true, PendingEvents: 12, DeadEvents: 1, LastEventAt: ptr(now.Add(-time.Hour))},
		{ID: "contoso", Name: "Contoso Labs", Environment: account.Live, SourceConnection: "contoso", IssuerConnection: "contoso", PayerCustomer: "cus_RkPayer00000003", ContractID: "ct-1", Basis: lift.BasisProven, PlanID: "ct-plan", Snapshots: 2, HasDecisions: true, HasEvents: true, LastEventAt: ptr(now.Add(-time.Minute))},
		{ID: "sandbox", Name: "Acme sandbox", Environment: account.Test, SourceConnection: "sandbox-stripe"},
	}
	l.fill(acme, northwind)
	l.breaks, l.month = someBreaks(), aMonth()
	l.closings = []recon.Closing{{Action: recon.Closed, RunID: 6, Actor: recon.Actor{ID: "user:nina"}, At: now.Add(-9 * time.Hour)}, {Action: recon.Reopened, Actor: recon.Actor{ID: "user:omar"}, Reason: "a late letter of the bank", At: now.Add(-8 * time.Hour)}}
	l.accruals = accrualsOf()
	l.events = []reconcile.RewardEvent{
		{ConnectionID: "acme-stripe", FactKey: "refund:re_1", Kind: "refund", IsReward: true, State: "money", Teller: reconcile.Teller{EventID: "evt_1QHk3aG9RKHgCVdK2bcd", Type: "charge.refunded", Source: "pull"}, Places: []lift.Placement{aPlace("refund:re_1", lift.BucketOutOfWindow)}, CustomerID: "cus_RkA1b2C3d4E5f6", UserID: "user-10422", ChargeID: "ch_3QHk2vG9RKHgCVdK0aaa", InvoiceID: "in_1QHaaaG9RKHgCVdKaaa", AmountMinor: ptr[int64](4_900), Currency: "usd", EffectiveAt: now.Add(-time.Hour), EventID: "evt_1QHk3aG9RKHgCVdK2bcd"},
		{ConnectionID: "acme-stripe", FactKey: "paid:in_2", Kind: "revenue_confirmation", IsReward: true, State: "money", Teller: reconcile.Teller{EventID: "evt_1QHk3aG9RKHgCVdK2bce", Type: "invoice.paid", Source: "webhook"}, Places: []lift.Placement{aPlace("paid:in_2", "")}, CustomerID: "cus_RkA1b2C3d4E5f7", UserID: "user-10423", InvoiceID: "in_1QHbbbG9RKHgCVdKbbb", SubscriptionID: "sub_1QHbbbG9RKHgCVdK", AmountMinor: ptr[int64](9_900), Currency: "usd", EffectiveAt: now.Add(-2 * time.Hour), EventID: "evt_1QHk3aG9RKHgCVdK2bce"},
		{ConnectionID: "acme-stripe", FactKey: "paid:in_3", Kind: "revenue_confirmation", IsReward: true, State: "money", Places: []lift.Placement{aPlace("paid:in_3", lift.BucketUnmapped)}, CustomerID: "cus_RkA1b2C3d4E5f8", InvoiceID: "in_1QHcccG9RKHgCVdKccc", AmountMinor: ptr[int64](2_900), Currency: "usd", EffectiveAt: now.Add(-3 * time.Hour), EventID: "evt_1QHk3aG9RKHgCVdK2bcf"},
		{ConnectionID: "acme-stripe", FactKey: "paid:in_own", Kind: "revenue_confirmation", IsReward: true, CustomerID: "cus_RkPayer00000001", InvoiceID: "in_1QHk2vG9RKHgCVdKx01", AmountMinor: ptr[int64](412_050), Currency: "usd", OwnInvoice: true, EffectiveAt: now.Add(-4 * time.Hour), EventID: "evt_1QHk3aG9RKHgCVdK2bcg"},
		{ConnectionID: "acme-stripe", FactKey: "trial:sub_4", Kind: "trial_start", IsReward: true, CustomerID: "cus_RkA1b2C3d4E5f9", UserID: "user-10424", SubscriptionID: "sub_1QHdddG9RKHgCVdK", EffectiveAt: now.Add(-5 * time.Hour), EventID: "evt_1QHk3aG9RKHgCVdK2bch"},
	}
	return l
}

// aPlace is where a payment of user-10423 went.
func aPlace(key string, bucket lift.Bucket) lift.Placement {
	decision := func(id string, at time.Time, action string, p ...float64) lift.Exposure {
		return lift.Exposure{DecisionID: id, UnitID: "user-10423", UserID: "user-10423", SnapshotID: "trial-nudge-7", Arm: lift.ArmPolicy, At: at, Action: action, Baseline: "none", Actions: []string{"none", "nudge"}, Propensity: p, PropensityOK: true, Surface: "web"}
	}
	p := lift.Placement{
		Traced: lift.Traced{Attribution: lift.Attribution{Key: key, SnapshotID: "trial-nudge-7", Bucket: bucket}, UnitID: "user-10423", Latest: 1, First: 0, Until: now.Add(20 * 24 * time.Hour), Decisions: []lift.Exposure{
			decision("dec-01HQ7", now.Add(-10*24*time.Hour), "nudge", 0.2, 0.8), decision("dec-01HQ8", now.Add(-5*24*time.Hour), "none", 0.25, 0.75), decision("dec-01HQ9", now, "nudge", 0.2, 0.8),
		}},
		At: now.Add(-2 * time.Hour), CycleID: "acme.2026-10", Period: "2026-10", Frozen: true, Revision: 1, Watermark: now.Add(-time.Minute), PlanID: "acme-plan-2026", Unit: "user", WindowDays: 30, UserID: "user-10423", LinkSource: "metadata",
	}
	if bucket != "" {
		p.SnapshotID = ""
	}
	if bucket == lift.BucketUnmapped {
		p.Latest, p.First, p.Decisions, p.UnitID, p.UserID, p.Frozen = -1, -1, nil, "", "", false
	}
	return p
}

// fill adds what the overview and the lists show.
func (l *ledger) fill(acme, northwind reconcile.CycleSummary) {
	invoice := func(c reconcile.CycleSummary, state, status string) reconcile.InvoiceRow {
		return reconcile.InvoiceRow{
			CycleID: c.ID, AccountID: c.AccountID, AccountName: c.AccountName, Period: c.Period, State: state, StripeStatus: status, InvoiceID: c.StripeInvoiceID, Number: c.InvoiceNumber, Payer: "cus_RkPayer00000001", Issuer: "acme-stripe",
			Currency: c.Currency, EngineMinor: c.EngineMinor, StripeMinor: c.StripeMinor, DifferenceMinor: c.DifferenceMinor, Lines: 1, Attempts: 5, HostedURL: "https://invoice.stripe.com/i/acct_x/test", FinalizedAt: ptr(now.Add(-46 * time.Minute)), CreatedAt: now, UpdatedAt: now,
		}
	}
	l.invoices = []reconcile.InvoiceRow{invoice(acme, "released", "open"), invoice(northwind, "needs_human", "open")}
	l.invoices[0].Payment = &billing.Payment{Status: "open", PaidMinor: ptr[int64](100_000), RemainingMinor: ptr[int64](302_050), DueAt: ptr(now.AddDate(0, 0, -3))}
	l.invoices[0].CreditedMinor = ptr[int64](10_000)
	l.board = reconcile.Board{
		Period: "2026-10",
		Standings: []reconcile.Standing{
			{Environment: account.Live, Currency: "usd", Cycles: 2, PaidMinor: 10_812_400, AttributedMinor: 9_899_400, UnmappedMinor: 98_000, UndecidedMinor: 515_000, EngineMinor: 412_050, Invoices: 1, InvoicedMinor: 412_050, OpenMinor: 302_050},
			{Environment: account.Live, Currency: "eur", Cycles: 1, PaidMinor: 4_100_000, AttributedMinor: 4_100_000, EngineMinor: 98_000, Invoices: 1, InvoicedMinor: 97_500, Settled: 1, SettledMinor: 97_500},
			{Environment: account.Test, Currency: "usd", Cycles: 1, PaidMinor: 10_812_400, AttributedMinor: 9_899_400, UnmappedMinor: 98_000, UndecidedMinor: 515_000, EngineMinor: 123_456},
		},
		Payments: []reconcile.Payments{{Environment: account.Live, Currency: "usd", Paid: 1_204, PaidMinor: 2_418_800, Failed: 61, Recovered: 22}},
		Waiting:  []reconcile.CycleSummary{northwind}, Unpaid: l.invoices[:1],
	}
	l.health = []operate.Health{
		{ConnectionID: "acme-stripe", Environment: account.Live, Endpoint: "enabled", LastEvent: ptr(now.Add(-time.Minute)), LastReceived: ptr(now.Add(-time.Minute)), Waiting: map[string]int64{"pending": 3, "dead": 1}, LastHour: map[string]int64{"processed": 412, "ignored": 9}, LagP50: ptr(180 * time.Millisecond), LagP95: ptr(2 * time.Second), LagP99: ptr(3 * time.Second)},
		{ConnectionID: "northwind-stripe", Environment: account.Live, Endpoint: "enabled", LastEvent: ptr(now.Add(-3 * time.Hour)), Waiting: map[string]int64{}, LastHour: map[string]int64{}},
		{ConnectionID: "sandbox-stripe", Environment: account.Test, Paused: true, PausedReason: "key_revoked", Waiting: map[string]int64{}, LastHour: map[string]int64{}},
	}
	l.log = []operate.Event{
		{ConnectionID: "acme-stripe", Environment: account.Live, EventID: "evt_1QHk3aG9RKHgCVdK2bcd", Type: "charge.refunded", ObjectID: "ch_3QHk2vG9RKHgCVdK0aaa", Source: "webhook", Created: now.Add(-time.Hour), ReceivedAt: now.Add(-time.Hour), Status: "processed", Attempts: 1, BodySHA256: "8f2c"},
		{ConnectionID: "acme-stripe", Environment: account.Live, EventID: "evt_1QHk3aG9RKHgCVdK2dea", Type: "customer.subscription.updated", ObjectID: "sub_1QHdddG9RKHgCVdK", Source: "pull", Created: now.Add(-2 * time.Hour), ReceivedAt: now.Add(-time.Hour), Status: "dead", Reason: "status_unknown", Attempts: 3, BodySHA256: "0a11"},
	}
	l.clients = []customers.Summary{
		{ID: "cus_RkA1b2C3d4E5f6", Seen: true, UserID: "user-10422", Currency: "usd", Country: "DE", Status: "past_due", PriceIDs: []string{"price_monthly"}, Subscriptions: 1, PaymentMethod: "card", CreatedAt: ptr(now.AddDate(0, -3, 0)), BalanceMinor: ptr[int64](-500), Worth: []customers.Worth{{Currency: "usd", MRR: decimal.RequireFromString("8250.5"), NetMRR: decimal.RequireFromString("8000")}}},
		{ID: "cus_RkA1b2C3d4E5f8"},
	}
	for i, v := range []float64{120_000, 310_000, 290_000, 640_000, 980_000, 1_100_000, 1_420_000, 1_390_000, 1_710_000, 2_060_250.73} {
		mark := []int64{0, 0, 0, 640_000, 980_000, 1_100_000, 1_420_000, 1_420_000, 1_710_000, 2_060_250}[i]
		l.trend = append(l.trend, reconcile.TrendPoint{
			Period: fmt.Sprintf("2026-%02d", i+1), CaseID: caseGood, Verdict: map[bool]string{true: "passed", false: "withheld"}[i > 2], Lift: v, IntervalLow: v - 600_000 - float64(i)*9_000, IntervalHigh: v + 600_000 + float64(i)*9_000, Bound: v - 910_000, MarkMinor: mark,
		})
	}
	l.weights = []reconcile.WeightCount{{Holdout: true, Weight: 2, Units: 2_900}, {Holdout: true, Weight: 2.5, Units: 94}, {Weight: 2, Units: 2_910}, {Weight: 1.67, Units: 96}}
	for i, w := range l.weights {
		each := int64(858)
		if !w.Holdout {
			each = 1_545
		}
		l.weights[i].SumMinor, l.weights[i].Inverse, l.weights[i].WeightedMinor = each*w.Units, w.Weight*float64(w.Units), w.Weight*float64(each*w.Units)
	}
	l.replays = someReplays()
}
