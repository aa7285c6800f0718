package postgres_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/app/measure"
	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

// refused runs SQL that a rule of the database must refuse, with its SQLSTATE.
func (w *world) refused(state, sql string, args ...any) {
	w.t.Helper()
	err := w.exec(sql, args...)
	var pg *pgconn.PgError
	require.ErrorAs(w.t, err, &pg, "accepted: %s", sql)
	require.Equal(w.t, state, pg.Code, "%s: %s", sql, pg.Message)
}

const (
	check    = "23514"
	foreign  = "23503"
	unique   = "23505"
	restrict = "23001"
)

// Agreements and results are evidence: nobody changes or removes a row.
func TestEvidenceIsAppendOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cy := w.propose("acme", "2026-01", 100_000)
	for _, c := range []struct{ table, set string }{
		{"contracts", "terms = '{}'"}, {"measurement_plans", "plan = '{}'"}, {"policy_snapshots", "name = 'other'"},
		{"readouts", "verdict = 'passed', headline = ''"}, {"invoices", "plan = '{}'"}, {"invoices", "total_minor = total_minor + 1"},
		{"invoices", "plan_hash = 'x'"}, {"invoices", "currency = 'eur'"},
	} {
		require.Positive(t, one[int](w, "SELECT count(*) FROM "+c.table), c.table)
		w.refused(restrict, "UPDATE "+c.table+" SET "+c.set)
		w.refused(restrict, "DELETE FROM "+c.table)
		rows := c.table
		if rows == "readouts" || rows == "invoices" { // the views of the present revision
			rows = "all_" + rows
		}
		w.refused(restrict, "TRUNCATE "+rows+" CASCADE")
	}
	require.Equal(t, 1, one[int](w, "SELECT count(*) FROM invoices WHERE cycle_id = $1", cy.ID))
}

const insertDecision = `INSERT INTO cycle_decisions (id, cycle_id, number, environment, plan_hash, total_minor, action, actor_kind, actor_id, actor_name, person, reason, at)
	VALUES ($1 || '/1', $1, 1, $2, $3, 100, 'approve', 'user', 'u', 'Kim', 'u', '', $4)`

const insertIntent = `INSERT INTO writeback_intents (id, cycle_id, environment, livemode, account_id, issuer_connection, customer, currency, period, part,
	plan_hash, total_minor, state, created_at, updated_at) VALUES ('i', $1, $2, $3, $4, $5, 'cus_1', 'usd', '2026-01', '1/1', 'h', 100, 'planned', now(), now())`

// No row that would drive an invoice can exist for a test account, whoever writes it.
func TestATestAccountCannotGetAnIntent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	test := w.propose("trial", "2026-01", 100_000)
	live := w.open("acme", "2026-01")
	require.Equal(t, "dry_run", string(test.State))
	require.Zero(t, one[int](w, "SELECT count(*) FROM writeback_intents"))
	w.refused(check, insertIntent, test.ID, "test", false, "trial", "trial")
	w.refused(check, insertIntent, test.ID, "test", true, "trial", "trial")
	w.refused(check, insertIntent, test.ID, "live", false, "trial", "trial")
	w.refused(foreign, insertIntent, test.ID, "live", true, "trial", "trial")
	w.refused(foreign, insertIntent, live.ID, "live", true, "acme", "trial")
	w.refused(foreign, insertIntent, live.ID, "live", true, "trial", "acme")
	w.refused(foreign, insertIntent, test.ID, "live", true, "acme", "acme")
	// Calling the test account live does not help: it hangs together with its connection.
	w.refused(foreign, "UPDATE accounts SET environment = 'live' WHERE id = 'trial'")
	w.refused(foreign, "UPDATE connections SET environment = 'live' WHERE id = 'trial'")
	w.refused(foreign, "UPDATE cycles SET environment = 'live', state = 'writing' WHERE id = $1", test.ID)
	w.connect("sandbox", account.Test)
	w.refused(foreign, "UPDATE accounts SET source_connection = 'sandbox' WHERE id = 'acme'")
	w.refused(foreign, "UPDATE accounts SET issuer_connection = 'trial' WHERE id = 'acme'")
	for _, state := range []string{"writing", "invoiced"} {
		w.refused(check, "UPDATE cycles SET state = $1 WHERE id = $2", state, test.ID)
	}
	w.refused(check, "UPDATE cycles SET state = 'dry_run' WHERE id = $1", live.ID)
	w.refused(restrict, insertIntent, live.ID, "live", true, "acme", "acme")
	require.NoError(t, w.exec(insertDecision, live.ID, "live", "other", now))
	w.refused(restrict, insertIntent, live.ID, "live", true, "acme", "acme")
	require.NoError(t, w.exec(`INSERT INTO cycle_decisions (id, cycle_id, number, environment, plan_hash, total_minor, action, actor_kind, actor_id, actor_name, person, reason, at)
		VALUES ($1 || '/2', $1, 2, 'live', 'h', 100, 'approve', 'user', 'u', 'Kim', 'u', '', now())`, live.ID))
	require.NoError(t, w.exec(insertIntent, live.ID, "live", true, "acme", "acme"), "the same row is fine for the live account")
	w.refused(check, "UPDATE writeback_intents SET environment = 'test', livemode = false")
	w.refused(check, "UPDATE writeback_intents SET state = 'finalized'")
}

// The ledger refuses the intent of a test account also when everything above it says that
// it is to be written: the priced cycle that the use case would never make.
func TestTheLedgerRefusesATestAccountsProposal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cy := w.propose("trial", "2026-01", 100_000)
	ledger := w.db.NewInvoicing()
	j, err := ledger.Judged(w.ctx, cy.ID)
	require.NoError(t, err)
	plan := billing.InvoicePlan{Key: billing.IntentKey{IssuerConnection: "trial", Customer: "cus_1", Currency: "usd", Period: "2026-02", Part: "1/1"}, CycleID: "trial.2026-02",
		Lines: []billing.PlanLine{{Line: "s-a", AmountMinor: 100}}}
	second := w.open("trial", "2026-02")
	require.NoError(t, w.exec("UPDATE cycles SET state = 'computing' WHERE id = $1", second.ID))
	j.CycleID, j.State, j.Finished = second.ID, billing.Computing, 1
	_, _, err = ledger.SaveProposal(w.ctx, j, invoicing.Proposal{Plan: plan, Next: billing.Writing, Policy: "policy:contract"}, now)
	require.True(t, fault.Is(err, fault.Conflict), "%v", err)
	require.Zero(t, one[int](w, "SELECT count(*) FROM writeback_intents"))
	require.Equal(t, "computing", one[string](w, "SELECT state FROM cycles WHERE id = $1", second.ID))
	w.refused(check, `INSERT INTO payer_setups (account_id, environment, customer, number, who, created_at) VALUES ('trial', 'test', 'cus_1', 1, 'kim', now())`)
	w.refused(foreign, `INSERT INTO payer_setups (account_id, environment, customer, number, who, created_at) VALUES ('trial', 'live', 'cus_1', 1, 'kim', now())`)
}

// Nobody gets two invoices for one period, whoever the accounts and currencies are.
func TestOneInvoicePerPayerAndPeriod(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cy := w.propose("acme", "2026-01", 100_000)
	w.connect("second", account.Live)
	w.account("second", account.Live)
	require.NoError(t, w.exec("UPDATE accounts SET issuer_connection = 'acme', payer_customer = 'cus_payer_acme' WHERE id = 'second'"))
	blocked := w.propose("second", "2026-01", 50_000)
	require.Equal(t, billing.Blocked, blocked.State)
	require.Equal(t, billing.UnmetPayerBilled, one[string](w, "SELECT reason FROM cycles WHERE id = $1", blocked.ID))
	require.Equal(t, cy.ID, one[string](w, "SELECT cycle_id FROM writeback_intents"))
	w.refused(unique, `INSERT INTO writeback_intents (id, cycle_id, environment, livemode, account_id, issuer_connection, customer, currency, period, part, plan_hash, total_minor, state, created_at, updated_at)
		VALUES ('i', $1, 'live', true, 'second', 'acme', 'cus_payer_acme', 'eur', '2026-01', '1/1', '', 1, 'planned', now(), now())`, blocked.ID)
}

// What people decided stays; an address that was entered is nowhere in plain text.
func TestDecisionsOfPeopleAreKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sealed, err := w.box.Seal(onboard.PayerContext("acme"), []byte("payables@acme.example"))
	require.NoError(t, err)
	require.NoError(t, w.stores(func(st onboard.Stores) error {
		if err := st.Accounts.SetPayer(w.ctx, "acme", ""); err != nil {
			return err
		}
		if err := st.Accounts.PutWish(w.ctx, onboard.PayerWish{AccountID: "acme", Environment: account.Live, Name: "Acme", SealedEmail: sealed, At: now}); err != nil {
			return err
		}
		return st.Journal.Intervene(w.ctx, onboard.Intervention{
			At: now, Who: "kim", Environment: account.Live, Subject: "account acme", Action: "payer wanted", Before: "cus_payer_acme", Reason: "moved",
		})
	}))
	cy := w.open("acme", "2026-01")
	book := w.db.NewPayerBook(w.box)
	wish, err := book.PayerWish(w.ctx, cy.ID)
	require.NoError(t, err)
	require.Equal(t, billing.PayerPlan{IssuerConnection: "acme", AccountID: "acme", Name: "Acme", Email: "payables@acme.example"}, wish.Plan)
	require.NotContains(t, w.dump(), "payables@acme.example")
	for _, want := range []string{"cus_found", "cus_found"} { // of two that found one, the first counts
		got, err := book.PinPayer(w.ctx, "acme", map[bool]string{true: "cus_found", false: "cus_other"}[one[int](w, "SELECT count(*) FROM interventions") == 1], "created", now)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	require.Equal(t, "kim: payer wanted, liftbill: payer created", one[string](w, "SELECT string_agg(who || ': ' || action, ', ' ORDER BY id) FROM interventions"))
	for _, sql := range []string{"UPDATE interventions SET reason = 'another'", "DELETE FROM interventions", "TRUNCATE interventions"} {
		w.refused(restrict, sql)
	}
	w.refused(check, "INSERT INTO interventions (at, who, environment, subject, action, before, after, reason) VALUES (now(), '', 'live', '', '', '', '', 'r')")
}

// A fee for a snapshot that the guardrail withheld cannot be stored.
func TestWithheldSnapshotsCarryNoFee(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cy := w.propose("acme", "2026-01", 100_000)
	for _, snapshot := range []string{"s-b", "s-c"} {
		require.Equal(t, "withheld", one[string](w, "SELECT verdict FROM cycle_lines WHERE cycle_id = $1 AND snapshot_id = $2", cy.ID, snapshot))
		w.refused(check, "UPDATE cycle_lines SET fee_minor = 1 WHERE snapshot_id = $1", snapshot)
		w.refused(check, "UPDATE cycle_lines SET base_minor = 1, high_water_to = high_water_from + 1 WHERE snapshot_id = $1", snapshot)
	}
	for _, set := range []string{"fee_minor = -1", "base_minor = -1", "high_water_to = high_water_to + 1", "deferred_minor = -1"} {
		w.refused(check, "UPDATE cycle_lines SET "+set+" WHERE snapshot_id = 's-a'")
	}
	w.refused(check, `INSERT INTO invoices (cycle_id, environment, currency, total_minor, plan, plan_hash, created_at) VALUES ($1, 'live', 'usd', -1, '', '', now())`, cy.ID)
}

// dump is every text, JSON and binary column of every table, as text and as bytes.
func (w *world) dump() string {
	w.t.Helper()
	rows, err := w.sql.Query(w.ctx, `SELECT table_name, column_name, data_type FROM information_schema.columns
		WHERE table_schema = 'public' AND table_name NOT LIKE 'goose%'`)
	require.NoError(w.t, err)
	type column struct{ Table, Name, Type string }
	columns, err := pgx.CollectRows(rows, pgx.RowToStructByPos[column])
	require.NoError(w.t, err)
	var all strings.Builder
	for _, c := range columns {
		expression := c.Name + "::text"
		if c.Type == "bytea" {
			expression = "encode(" + c.Name + ", 'escape') || ' ' || encode(" + c.Name + ", 'hex')"
		}
		text := one[*string](w, "SELECT string_agg("+expression+", E'\\n') FROM "+c.Table)
		if text != nil {
			all.WriteString(*text)
		}
	}
	return all.String()
}

// Keys, webhook secrets and bodies are nowhere in the database in plain text.
func TestNothingSecretIsStoredInPlain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deliver("evt_plain", "customer.created", day(1), obj{"id": "cus_1", "object": "customer", "created": day(1).Unix(),
		"email": "person@example.com", "metadata": obj{"user_id": "user-a"}}, nil)
	paid := w.invoice("in_card", "cus_1", 2000, day(2))
	paid["description"] = "card 4242424242424242"
	w.deliver("evt_card", "invoice.paid", day(2), paid, nil)
	w.deliver("evt_charge", "charge.failed", day(2), obj{"id": "ch_card", "object": "charge", "customer": "cus_1", "created": day(2).Unix(), "invoice": "in_card",
		"payment_method_details": obj{"type": "card", "card": obj{"number": "4242424242424242", "cvc": "737", "last4": "4242"}}}, nil)
	w.drain()
	w.propose("acme", "2026-01", 100_000)
	all := w.dump()
	require.Contains(t, all, "in_card")
	require.Contains(t, all, "evt_plain", "the dump does read the tables")
	require.Contains(t, all, "rk_live_…unit")
	for _, secret := range []string{"4f8d2c1b9a7e6053", "person@example.com", "a secret of 32 bytes", "4242424242424242", `"737"`, "last4"} {
		require.NotContains(t, all, secret)
		require.NotContains(t, all, id("%x", secret))
	}
	require.Equal(t, account.Live.String(), one[string](w, "SELECT environment FROM stripe_events"))
}

// TestASupersededRevisionIsKeptAsItWas: what an earlier revision came to can neither be changed
// nor added to, no revision begins while an invoice is in force, and the views show what counts.
func TestASupersededRevisionIsKeptAsItWas(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cy := w.propose("acme", "2026-01", 100_000)
	case1 := one[string](w, "SELECT case_id FROM readouts WHERE cycle_id = $1 LIMIT 1", cy.ID)
	w.refused(check, "UPDATE cycles SET revision = 2, state = 'collecting', watermark = NULL WHERE id = $1", cy.ID)
	require.NoError(t, w.exec(`INSERT INTO cycle_decisions (id, cycle_id, number, environment, plan_hash, total_minor, action, actor_kind, actor_id, actor_name, person, reason, at)
		SELECT id || '/9', id, 9, environment, '', 0, 'recompute', 'user', 'fin', 'fin', 'fin', 'a wrong mapping', now() FROM cycles WHERE id = $1`, cy.ID))
	require.NoError(t, w.exec(`INSERT INTO cycle_revisions (cycle_id, environment, revision, decision_id, reason, actor, at, previous_state, previous_reason, previous_watermark, previous_input_digest)
		SELECT id, environment, 2, id || '/9', 'a wrong mapping', 'fin', now(), state, reason, watermark, input_digest FROM cycles WHERE id = $1`, cy.ID))
	if one[int](w, "SELECT count(*) FROM writeback_intents WHERE cycle_id = $1 AND state <> 'superseded'", cy.ID) > 0 {
		w.refused(check, "UPDATE cycles SET revision = 2, state = 'collecting', watermark = NULL WHERE id = $1", cy.ID)
		require.NoError(t, w.exec("UPDATE writeback_intents w SET state = 'superseded', superseded_plan = i.plan FROM invoices i WHERE i.cycle_id = w.cycle_id AND w.cycle_id = $1", cy.ID))
	}
	require.NoError(t, w.exec("UPDATE cycles SET revision = 2, state = 'collecting', watermark = NULL WHERE id = $1", cy.ID))
	for _, table := range []string{"readouts", "cycle_lines", "cycle_steps", "invoices"} {
		require.Zero(t, one[int](w, "SELECT count(*) FROM "+table+" WHERE cycle_id = $1", cy.ID), table)
		require.Positive(t, one[int](w, "SELECT count(*) FROM all_"+table+" WHERE cycle_id = $1 AND revision = 1", cy.ID), table)
	}
	w.refused(restrict, "UPDATE all_cycle_lines SET fee_minor = 0 WHERE cycle_id = $1", cy.ID)
	w.refused(restrict, "DELETE FROM all_cycle_steps WHERE cycle_id = $1", cy.ID)
	w.refused(restrict, "UPDATE all_invoices SET plan = '{}' WHERE cycle_id = $1", cy.ID)
	w.refused(restrict, "DELETE FROM all_readouts WHERE case_id = $1", case1)
	w.refused(restrict, "DELETE FROM cycle_revisions WHERE cycle_id = $1", cy.ID)
	w.refused(restrict, "INSERT INTO all_cycle_steps (cycle_id, revision, number, name, formula, inputs, result) VALUES ($1, 1, 99, 'late', '', '', '')", cy.ID)
	require.NoError(t, w.exec("INSERT INTO cycle_steps (cycle_id, number, name, formula, inputs, result) VALUES ($1, 99, 'new', '', '', '')", cy.ID))
	require.Equal(t, 2, one[int](w, "SELECT revision FROM cycle_steps WHERE cycle_id = $1", cy.ID))
	err := w.db.NewCycles().SaveCollection(w.ctx, cy, measure.Collection{Watermark: now, SourceWatermark: now}, now)
	require.Equal(t, "revised", fault.CodeOf(err), "a worker that comes late stores nothing")
	err = w.db.NewCycles().SaveReadouts(w.ctx, cy, nil, nil, now)
	require.Equal(t, "revised", fault.CodeOf(err))
	revisions, err := w.db.NewReader().Revisions(w.ctx, cy.ID)
	require.NoError(t, err)
	require.Len(t, revisions, 2)
	require.True(t, revisions[0].Superseded)
	require.NotEmpty(t, revisions[0].Lines)
	require.Equal(t, "a wrong mapping", revisions[1].Reason)
	old, err := w.db.NewReader().Readout(w.ctx, case1)
	require.NoError(t, err)
	require.True(t, old.Superseded && !old.Billed)
	spent, err := w.db.NewCycles().LooksSpent(w.ctx, measure.Cycle{ID: cy.ID, Revision: 2})
	require.NoError(t, err)
	require.Equal(t, one[bool](w, `SELECT checks @> '[{"code": "LCB_NOT_POSITIVE", "status": "failed"}]' FROM all_readouts WHERE case_id = $1`, case1), spent[old.SnapshotID])
}
