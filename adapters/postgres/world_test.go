package postgres_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/postgres"
	"github.com/liftbill/liftbill/adapters/postgres/postgrestest"
	"github.com/liftbill/liftbill/adapters/system"
	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/ingest"
	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/app/measure"
	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/ope"
	"github.com/liftbill/liftbill/domain/period"
)

var (
	opened = time.Date(2025, 12, 20, 0, 0, 0, 0, time.UTC)
	now    = time.Date(2026, 2, 5, 9, 0, 0, 123456000, time.UTC)
	salt   = []byte("a secret of 32 bytes, revealed!!")
)

func ptr[T any](v T) *T { return &v }

// world is a database with a live account "acme" and a test account "trial", each with
// a contract, a sealed plan and three snapshots.
type world struct {
	t   *testing.T
	ctx context.Context
	db  *postgres.DB
	sql *pgx.Conn
	box *system.SecretBox
	url string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	ctx := context.Background()
	url := postgrestest.URL(t)
	db, err := postgres.Open(ctx, url, postgres.Options{MaxConns: 8})
	require.NoError(t, err)
	conn, err := pgx.Connect(ctx, url)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, conn.Close(ctx))
		require.NoError(t, db.Close())
	})
	box, err := system.NewSecretBox(bytes.Repeat([]byte{3}, system.KeyBytes))
	require.NoError(t, err)
	w := &world{t: t, ctx: ctx, db: db, sql: conn, box: box, url: url}
	w.connect("acme", account.Live)
	w.connect("trial", account.Test)
	w.account("acme", account.Live)
	w.account("trial", account.Test)
	return w
}

func (w *world) stores(fn func(onboard.Stores) error) error {
	return w.db.Onboarding().Do(w.ctx, func(_ context.Context, st onboard.Stores) error { return fn(st) })
}

func (w *world) connect(id string, env account.Environment) {
	w.t.Helper()
	sealed, err := w.box.Seal(onboard.KeyContext(id), []byte("rk_"+env.String()+"_4f8d2c1b9a7e6053unit"))
	require.NoError(w.t, err)
	require.NoError(w.t, w.stores(func(st onboard.Stores) error {
		return st.Connections.InsertConnection(w.ctx, onboard.SealedConnection{
			Connection: account.Connection{
				ID: id, Environment: env, Roles: account.Roles{Source: true, Issuer: true}, StripeAccountID: "acct_" + id,
				UserIDKey: "user_id", KeyMask: "rk_" + env.String() + "_…unit",
			}, SealedKey: sealed, CreatedAt: opened,
		})
	}))
}

func (w *world) account(id string, env account.Environment) {
	w.accountUnder(id, env, func(*billing.Terms) {})
}

// accountUnder is an account with other terms than the defaults.
func (w *world) accountUnder(id string, env account.Environment, change func(*billing.Terms)) {
	w.t.Helper()
	terms := billing.DefaultTerms()
	terms.FirstPeriod = "2026-01"
	change(&terms)
	contract, err := billing.NewContract(id+"-c1", id, env, 1, terms, opened)
	require.NoError(w.t, err)
	first, err := period.Parse("2026-01")
	require.NoError(w.t, err)
	plan, err := lift.DefaultPlan(lift.PlanTerms{Version: 1, First: first, Currency: "usd", Unit: "user", Baseline: "the old paywall",
		HoldoutProbability: "0.2", SaltCommitment: lift.SaltCommitment(salt), Features: []string{"tenure", "seats"}})
	require.NoError(w.t, err)
	sealed, err := plan.Seal(opened)
	require.NoError(w.t, err)
	require.NoError(w.t, w.stores(func(st onboard.Stores) error {
		if err := st.Accounts.InsertAccount(w.ctx, account.Account{
			ID: id, Environment: env, Name: "Account " + id, SourceConnection: id, IssuerConnection: id, PayerCustomer: "cus_payer_" + id,
		}, opened); err != nil {
			return err
		}
		if err := st.Agreements.InsertContract(w.ctx, contract); err != nil {
			return err
		}
		if err := st.Agreements.InsertPlan(w.ctx, onboard.StoredPlan{ID: id + "-p1", AccountID: id, Environment: env, Plan: sealed, SealedSalt: []byte("sealed")}); err != nil {
			return err
		}
		for _, s := range []string{"s-a", "s-b", "s-c"} {
			err := st.Agreements.InsertSnapshot(w.ctx, onboard.Snapshot{ID: s, AccountID: id, Environment: env, Name: "Offer " + s, ShippedAt: opened})
			if err != nil {
				return err
			}
		}
		return nil
	}))
	if env == account.Live {
		require.NoError(w.t, w.exec(`INSERT INTO live_writing (account_id, environment, open, basis, reason, checklist, changed_by, changed_at)
			VALUES ($1, 'live', true, 'override', 'the world of the test', '[]', 'test', $2)`, id, opened))
	}
}

// exec runs SQL as an administrator would.
func (w *world) exec(sql string, args ...any) error {
	_, err := w.sql.Exec(w.ctx, sql, args...)
	return err
}

func one[T any](w *world, sql string, args ...any) T {
	w.t.Helper()
	var v T
	require.NoError(w.t, w.sql.QueryRow(w.ctx, sql, args...).Scan(&v))
	return v
}

// event is a stored event as the inbox gets it.
func (w *world) event(connection, id string, created time.Time, body []byte) ingest.StoredEvent {
	w.t.Helper()
	sealed, err := w.box.Seal(ingest.BodyContext(connection), body)
	require.NoError(w.t, err)
	env := account.Live
	if connection == "trial" {
		env = account.Test
	}
	return ingest.StoredEvent{ConnectionID: connection, Environment: env, EventID: id, Type: "x", ObjectID: "o", APIVersion: "2023-10-16",
		Created: created, Livemode: env.Livemode(), SealedBody: sealed, BodySHA256: sha256.Sum256(body), ReceivedAt: now, Status: ingest.Pending}
}

type obj = map[string]any

// deliver stores a Stripe event of the live account.
func (w *world) deliver(id, kind string, at time.Time, object, previous obj) {
	w.t.Helper()
	data := obj{"object": object}
	if previous != nil {
		data["previous_attributes"] = previous
	}
	body, err := json.Marshal(obj{"id": id, "object": "event", "type": kind, "created": at.Unix(), "livemode": true, "api_version": "2023-10-16", "data": data})
	require.NoError(w.t, err)
	e := w.event("acme", id, at, body)
	e.Type = kind
	e.ObjectID, _ = object["id"].(string)
	isNew, err := w.db.NewInbox(w.box).Append(w.ctx, e)
	require.NoError(w.t, err)
	require.True(w.t, isNew)
}

func (w *world) customer(id, user string, at time.Time) obj {
	return obj{"id": id, "object": "customer", "created": at.Unix(), "metadata": obj{"user_id": user}}
}

func (w *world) invoice(id, customer string, amount int64, paid time.Time) obj {
	return obj{"id": id, "object": "invoice", "customer": customer, "subscription": "sub_" + customer, "currency": "usd", "status": "paid",
		"amount_due": amount, "amount_paid": amount, "total": amount, "total_excluding_tax": amount, "charge": "ch_" + id,
		"metadata": obj{}, "status_transitions": obj{"paid_at": paid.Unix()}}
}

func (w *world) classifier(source ingest.SourceReader) *ingest.Classifier {
	return &ingest.Classifier{Work: w.db.Classification(), Source: source, Reads: w.db.Reads(), Box: w.box, Clock: clock.Fixed(now)}
}

func (w *world) drain() ingest.Booked {
	w.t.Helper()
	b, err := w.classifier(nil).Drain(w.ctx)
	require.NoError(w.t, err)
	return b
}

func (w *world) month(s string) period.Month {
	w.t.Helper()
	m, err := period.Parse(s)
	require.NoError(w.t, err)
	return m
}

// open opens a cycle of the account.
func (w *world) open(accountID, month string) measure.Cycle {
	w.t.Helper()
	c, err := w.db.NewCycles().OpenCycle(w.ctx, accountID, w.month(month), "wf/"+accountID+"/"+month, now.AddDate(2, 0, 0))
	require.NoError(w.t, err)
	return c
}

// estimate passes every check when its bound is above zero.
func estimate(snapshot string, point, se float64) lift.Estimate {
	return lift.Estimate{SnapshotID: snapshot, Units: 3, SumMinor: 9_000_000, Result: ope.Result{
		Units: 20_000, Holdout: 4_000, HoldoutPayers: 900, Observed: 9_000_000, Counterfactual: 9_000_000 - point, T: point,
		VCR: se * se, V: se * se, VB: 1.5, V0: 2.5, SE: se, W: 20_000, R: 1, ESS: 4_000, WeightDominance: 1.0 / 4_000, MinP: 0.2,
		TopUnit: "whale", TopPsi: 5, WithoutTop: &ope.Reduced{T: point, SE: se},
	}}
}

// readouts judges one estimate per snapshot: a proven, b unproven, c harmful.
func (w *world) readouts(cy measure.Cycle, point float64) []lift.Readout {
	w.t.Helper()
	first, err := cy.Plan.Plan().First()
	require.NoError(w.t, err)
	look, _, _ := lift.LookOf(first, cy.Period)
	var out []lift.Readout
	for _, e := range []lift.Estimate{
		estimate("s-a", point, 1000), estimate("s-b", 5_000, 4_000), estimate("s-c", -5_000, 10), estimate(lift.SnapshotPooled, point, 1000),
	} {
		r, err := lift.NewReadout(lift.ReadoutInput{
			AccountID: cy.Account.ID, ContractID: cy.Contract.ID, Period: cy.Period, Plan: cy.Plan, Estimate: e,
			Inputs: lift.Inputs{Units: e.Units, SumMinor: e.SumMinor, Watermark: now, UnitDigest: "digest"},
			Evidence: lift.Evidence{Environment: cy.Account.Environment, Look: look, PeriodStart: cy.Interval.Start, PeriodEnd: cy.Interval.End,
				PlanDue: ptr(cy.YearToDate.Start), DecisionsWithPlan: ptr(9), DecisionsOtherPlan: ptr(0), Decisions: ptr(9), DecisionsWithoutPropensity: ptr(0),
				UnitsWithoutPropensity: ptr(0), ArmMismatches: ptr(0), CrossoverUnits: ptr(0), SourceWatermark: ptr(cy.Interval.End.AddDate(0, 0, 4)),
				DecisionGaps: ptr(0), Books: []lift.Books{{Currency: "usd"}}, UnmappedMinor: ptr(int64(0)), NetMinor: ptr(int64(9_000_000))},
		})
		require.NoError(w.t, err)
		out = append(out, r)
	}
	return out
}

// ada is an approver who did nothing else.
var ada = access.Principal{Kind: access.User, ID: "usr_ada", Name: "Ada", Person: "ada", Roles: access.Roles{access.Approver}, Scope: access.Everything()}

// propose takes a cycle up to its stored proposal. A first invoice that waits for a person
// only because it is one is approved.
func (w *world) propose(accountID, month string, point float64) measure.Cycle {
	w.t.Helper()
	cy := w.proposed(accountID, month, point)
	if cy.State != billing.AwaitingApproval {
		return cy
	}
	if _, free := cy.Contract.Terms.Approval.Policy(one[int64](w, "SELECT total_minor FROM invoices WHERE cycle_id = $1", cy.ID)); !free {
		return cy
	}
	w.approve(cy.ID)
	_, err := w.draft(cy.ID)
	require.NoError(w.t, err)
	cy, err = w.db.NewCycles().Cycle(w.ctx, cy.ID)
	require.NoError(w.t, err)
	return cy
}

// approve lets ada approve what waits.
func (w *world) approve(cycleID string) {
	w.t.Helper()
	_, err := (&invoicing.Decisions{Work: w.db.Deciding(), Clock: clock.Fixed(now)}).Decide(w.ctx, ada, invoicing.Wish{
		CycleID: cycleID, Action: billing.ActApprove, PlanHash: one[string](w, "SELECT plan_hash FROM invoices WHERE cycle_id = $1", cycleID),
	})
	require.NoError(w.t, err)
}

// proposed takes a cycle up to its stored proposal.
func (w *world) proposed(accountID, month string, point float64) measure.Cycle {
	w.t.Helper()
	cycles := w.db.NewCycles()
	cy := w.open(accountID, month)
	require.NoError(w.t, cycles.SaveCollection(w.ctx, cy, measure.Collection{
		Watermark: now, SourceWatermark: now, InputDigest: "inputs", PaidMinor: 9_000_100, StripeNetMinor: ptr(int64(9_000_100)),
		Buckets: []measure.Bucket{{Name: "snapshot", SnapshotID: "s-a", Currency: "usd", SumMinor: 9_000_000, Events: 900}, {Name: "unmapped", Currency: "usd", SumMinor: 100, Events: 1}},
	}, now))
	cy, err := cycles.Cycle(w.ctx, cy.ID)
	require.NoError(w.t, err)
	require.NoError(w.t, cycles.SaveReadouts(w.ctx, cy, w.readouts(cy, point), map[string]string{"go": "x"}, now))
	_, err = (&invoicing.Service{Ledger: w.db.NewInvoicing(), Clock: clock.Fixed(now)}).Draft(w.ctx, cy.ID)
	require.NoError(w.t, err)
	cy, err = cycles.Cycle(w.ctx, cy.ID)
	require.NoError(w.t, err)
	return cy
}

// finish pins and finalizes a cycle's invoice as Stripe would have answered.
func (w *world) finish(cycleID string) invoicing.StoredIntent {
	w.t.Helper()
	ledger := w.db.NewInvoicing()
	in, err := ledger.Intent(w.ctx, cycleID)
	require.NoError(w.t, err)
	id := "in_" + cycleID
	require.NoError(w.t, ledger.Pin(w.ctx, in.ID, id, now))
	var items []invoicing.StripeItem
	for _, l := range in.Plan.Lines {
		items = append(items, invoicing.StripeItem{ID: "ii_" + l.Line, AmountMinor: l.AmountMinor, Metadata: map[string]string{"lb_line": l.Line}})
	}
	require.NoError(w.t, ledger.SaveItems(w.ctx, in.ID, id, items, now))
	require.NoError(w.t, ledger.SaveInvoice(w.ctx, in.ID, billing.IntentReleased, invoicing.StripeInvoice{
		ID: id, Number: "LB-" + cycleID, Status: "open", TotalMinor: in.Plan.TotalMinor() + 19, TotalExcludingTaxMinor: ptr(in.Plan.TotalMinor()),
		HostedURL: "https://invoice.example/1", FinalizedAt: ptr(now),
	}, now))
	require.NoError(w.t, ledger.LogCalls(w.ctx, in.ID, []invoicing.Call{{Operation: "invoice.create", Outcome: "ok", RequestID: "req_1"}}, now))
	require.NoError(w.t, ledger.Move(w.ctx, cycleID, billing.Invoiced, "", now))
	in, err = ledger.Intent(w.ctx, cycleID)
	require.NoError(w.t, err)
	return in
}

func id(format string, args ...any) string { return fmt.Sprintf(format, args...) }
