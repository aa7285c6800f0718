package reconcile_test

import (
	"crypto/sha256"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/app/ingest"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/recon"
	"github.com/liftbill/liftbill/internal/pipelinetest"
)

// machine is who reconciles by itself.
var machine = access.Machine("reconcile")

// planted is a month with one break of every type in it.
type planted struct {
	*pipelinetest.Deployment
	acme, borealis, cedar *pipelinetest.Company
	// want is what each account's run must find: by type, the money at stake.
	want map[string]map[recon.Type]int64
	// taxed is an invoice of which Stripe says that it holds tax, orphans are what a sweep removes.
	taxed   string
	orphans []string
	// session is that of somebody who looks at the pages.
	session string
}

func (p *planted) sql(t *testing.T, sql string, args ...any) {
	t.Helper()
	tag, err := p.SQL.Exec(t.Context(), sql, args...)
	require.NoError(t, err)
	require.NotZero(t, tag.RowsAffected(), sql)
}

func (p *planted) at(t *testing.T, c *pipelinetest.Company, method, path string, form url.Values) map[string]any {
	t.Helper()
	return pipelinetest.AtStripe(t, p.Fake, c.Operator, method, path, form)
}

// invoice makes an invoice of 10.00 at the company's Stripe account and pays it.
func (p *planted) invoice(t *testing.T, c *pipelinetest.Company, user, currency string, pay, metadata url.Values) string {
	t.Helper()
	form := url.Values{"email": {user + "@example.com"}, "payment_method": {"pm_card_visa"}, "invoice_settings[default_payment_method]": {"pm_card_visa"}, "metadata[user_id]": {user}}
	customer := p.at(t, c, http.MethodPost, "/v1/customers", form)["id"].(string)
	form = url.Values{"customer": {customer}, "currency": {currency}, "auto_advance": {"false"}, "pending_invoice_items_behavior": {"exclude"}}
	for k, v := range metadata {
		form[k] = v
	}
	id := p.at(t, c, http.MethodPost, "/v1/invoices", form)["id"].(string)
	p.at(t, c, http.MethodPost, "/v1/invoiceitems", url.Values{"customer": {customer}, "invoice": {id}, "amount": {"1000"}, "currency": {currency}})
	p.at(t, c, http.MethodPost, "/v1/invoices/"+id+"/finalize", url.Values{})
	p.at(t, c, http.MethodPost, "/v1/invoices/"+id+"/pay", pay)
	return id
}

// plant makes the month. What is planted behind the program's back is what no part of it
// would do.
func plant(t *testing.T) *planted {
	t.Helper()
	p := &planted{want: map[string]map[recon.Type]int64{}}
	var own string
	p.Deployment, _ = pipelinetest.LiveMonth(t, func(d *pipelinetest.Deployment, all []*pipelinetest.Company) {
		p.Deployment, p.acme, p.borealis, p.cedar = d, all[0], all[1], all[2]
		p.invoice(t, p.borealis, "ext-euro", "eur", nil, nil)
		p.invoice(t, p.borealis, "ext-cash", "usd", url.Values{"paid_out_of_band": {"true"}}, nil)
		own = p.invoice(t, p.borealis, "ext-own", "usd", nil, url.Values{"metadata[lb_key]": {"lb:of-another-deployment"}})
	})
	require.NoError(t, p.DrainAll(t.Context(), ""))
	p.plantInSource(t, own)
	p.plantInFrozen(t)
	p.plantInIssuer(t)
	p.session = p.Person(t, "finn@example.com", "Finn", "finance")
	return p
}

// payments are invoices of October at a company with their cash, oldest first; the last
// one was paid at the end of the month. Each is of a mapped customer and was not returned.
func (p *planted) payments(t *testing.T, c *pipelinetest.Company) (ids []string, minor []int64) {
	t.Helper()
	rows, err := p.SQL.Query(t.Context(), `SELECT r.invoice_id, r.amount_minor FROM reward_events r WHERE r.connection_id = $1 AND r.kind = 'revenue_confirmation' AND r.currency = 'usd'
		AND r.effective_at >= '2026-10-02' AND r.effective_at < '2026-11-01' AND NOT EXISTS (SELECT 1 FROM reward_events x WHERE x.connection_id = r.connection_id AND x.amount_minor < 0 AND x.charge_id = r.charge_id)
		AND EXISTS (SELECT 1 FROM mapping_spans s WHERE s.connection_id = r.connection_id AND s.subject_id = r.customer_id AND s.state = 'linked') ORDER BY r.effective_at, r.invoice_id`, c.ID+"-stripe")
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var id string
		var m int64
		require.NoError(t, rows.Scan(&id, &m))
		ids, minor = append(ids, id), append(minor, m)
	}
	require.NoError(t, rows.Err())
	require.Greater(t, len(ids), 12)
	return ids, minor
}

// insertFact books a revenue fact that nothing at Stripe stands behind.
const insertFact = `INSERT INTO reward_events (connection_id, environment, fact_key, kind, is_reward, object_id, customer_id, invoice_id, amount_minor, currency, effective_at, event_id, recorded_at)
	SELECT connection_id, environment, $3, kind, is_reward, $4, customer_id, $4, $5, currency, effective_at, event_id, recorded_at FROM reward_events WHERE connection_id = $1 AND invoice_id = $2 AND kind = 'revenue_confirmation' LIMIT 1`

// plantInSource is about what borealis earned; its month is not billed.
func (p *planted) plantInSource(t *testing.T, own string) {
	t.Helper()
	ids, minor := p.payments(t, p.borealis)
	conn := "borealis-stripe"
	want := map[recon.Type]int64{recon.UnmappedCustomer: 2900, recon.FXMissing: 1000, recon.OutOfBand: 1000, recon.ExpectedMissing: 0}
	p.want["borealis"] = want
	take := func(i int) (string, int64) { return ids[i], minor[i] }

	id, m := take(0)
	p.sql(t, `DELETE FROM fact_keys WHERE connection_id = $1 AND fact_key = 'revenue_confirmation:' || $2`, conn, id)
	p.sql(t, `DELETE FROM reward_events WHERE connection_id = $1 AND invoice_id = $2 AND kind = 'revenue_confirmation'`, conn, id)
	want[recon.MissingInLedger] = m
	id, _ = take(1)
	p.sql(t, insertFact, conn, id, "revenue_confirmation:in_ghost", "in_ghost", 1234)
	want[recon.MissingInStripe] = 1234
	id, _ = take(2)
	p.sql(t, `UPDATE reward_events SET amount_minor = amount_minor - 100 WHERE connection_id = $1 AND invoice_id = $2 AND kind = 'revenue_confirmation'`, conn, id)
	want[recon.AmountDiffers] = 100
	id, m = take(3)
	p.sql(t, `UPDATE reward_events SET currency = 'gbp' WHERE connection_id = $1 AND invoice_id = $2 AND kind = 'revenue_confirmation'`, conn, id)
	want[recon.CurrencyDiffers] = m
	p.taxed, _ = take(4)
	want[recon.TaxDiffers] = 190
	id, m = take(len(ids) - 1)
	p.sql(t, `UPDATE reward_events SET effective_at = '2026-11-01 00:00:30Z' WHERE connection_id = $1 AND invoice_id = $2 AND kind = 'revenue_confirmation'`, conn, id)
	want[recon.Timing] = m
	id, m = take(5)
	p.sql(t, insertFact, conn, id, "revenue_confirmation:"+id+":again", id, m)
	want[recon.DuplicateReward] = m
	p.sql(t, insertFact, conn, ids[6], "revenue_confirmation:"+own, own, 1000)
	want[recon.SelfRevenue] = 1000

	var refund string
	require.NoError(t, p.SQL.QueryRow(t.Context(), `SELECT object_id, -amount_minor FROM reward_events WHERE connection_id = $1 AND kind = 'refund' AND effective_at < '2026-11-01' ORDER BY 1 LIMIT 1`, conn).Scan(&refund, &m))
	p.sql(t, `DELETE FROM fact_keys WHERE connection_id = $1 AND fact_key = 'refund:' || $2`, conn, refund)
	p.sql(t, `DELETE FROM reward_events WHERE connection_id = $1 AND object_id = $2 AND kind = 'refund'`, conn, refund)
	want[recon.ReversalNotApplied] = m

	// A webhook endpoint that somebody removed: a cancellation never arrives.
	var endpoint, sub string
	require.NoError(t, p.SQL.QueryRow(t.Context(), `SELECT stripe_id FROM webhook_endpoints WHERE connection_id = $1`, conn).Scan(&endpoint))
	p.at(t, p.borealis, http.MethodDelete, "/v1/webhook_endpoints/"+endpoint, nil)
	require.NoError(t, p.SQL.QueryRow(t.Context(), `SELECT id FROM stripe_subscriptions WHERE connection_id = $1 AND status = 'active' ORDER BY id LIMIT 1`, conn).Scan(&sub))
	p.at(t, p.borealis, http.MethodDelete, "/v1/subscriptions/"+sub, nil)
	want[recon.StateMismatch], want[recon.StaleWebhook] = 0, 0
}

// plantInFrozen is about what the test account's frozen month rests on.
func (p *planted) plantInFrozen(t *testing.T) {
	t.Helper()
	conn := "cedar-test-stripe"
	ids, minor := p.payments(t, p.cedar)
	p.sql(t, `CREATE TABLE kept AS SELECT * FROM reward_events WHERE connection_id = $1 AND invoice_id = $2 AND kind = 'revenue_confirmation'`, conn, ids[0])
	p.sql(t, `DELETE FROM reward_events WHERE connection_id = $1 AND invoice_id = $2 AND kind = 'revenue_confirmation'`, conn, ids[0])
	p.BillMonth(t, p.cedar)
	p.sql(t, `UPDATE kept SET recorded_at = recorded_at + interval '1 year'`)
	p.sql(t, `INSERT INTO reward_events SELECT * FROM kept`)
	p.sql(t, `UPDATE decisions SET propensity = array_fill(0::double precision, ARRAY[cardinality(propensity)]) WHERE (tableoid, ctid) = (SELECT tableoid, ctid FROM decisions
		WHERE account_id = 'cedar-test' AND ts >= '2026-10-02' AND ts < '2026-10-30' ORDER BY ts LIMIT 1)`)
	p.sql(t, `INSERT INTO event_replays (account_id, period, equal, report, run_by, run_at) VALUES ('cedar-test', '2026-10', false, '{}', 'the test', $1)`, p.Clock.Now())
	body := []byte(`{"id":"evt_live","object":"event","type":"invoice.paid","livemode":true}`)
	sealed, err := p.Box.Seal(ingest.BodyContext(conn), body)
	require.NoError(t, err)
	_, err = p.DB.NewInbox(p.Box).Append(t.Context(), ingest.StoredEvent{
		ConnectionID: conn, Environment: account.Test, EventID: "evt_live", Type: "invoice.paid", ObjectID: "in_live", APIVersion: "2023-10-16", Created: time.Date(2026, 10, 9, 0, 0, 0, 0, time.UTC),
		Livemode: true, SealedBody: sealed, BodySHA256: sha256.Sum256(body), ReceivedAt: p.Clock.Now(), Status: ingest.Quarantined, Reason: ingest.ReasonModeMismatch,
	})
	require.NoError(t, err)
	p.want["cedar-test"] = map[recon.Type]int64{
		recon.UnmappedCustomer: 2900, recon.RewardWithoutDecision: 2900, recon.LateEvent: minor[0], recon.DecisionWithoutPropensity: 0, recon.ReplayDiffers: 0, recon.ModeLeak: 0,
	}
}

// plantInIssuer is about acme's invoice.
func (p *planted) plantInIssuer(t *testing.T) {
	t.Helper()
	ids, minor := p.payments(t, p.acme)
	p.BillMonth(t, p.acme)
	var invoice, customer, key string
	var total int64
	require.NoError(t, p.SQL.QueryRow(t.Context(), `SELECT w.invoice_id, w.customer, (i.plan::json -> 'Metadata' ->> 'lb_key'), w.total_minor FROM writeback_intents w JOIN invoices i ON i.cycle_id = w.cycle_id WHERE w.cycle_id = $1`,
		p.acme.CycleID()).Scan(&invoice, &customer, &key, &total))
	p.at(t, p.acme, http.MethodPost, "/v1/invoices/"+invoice, url.Values{"metadata[lb_cycle]": {"2031-01"}})
	made := func(finalize bool) (invoice, item string) {
		id := p.at(t, p.acme, http.MethodPost, "/v1/invoices", url.Values{"customer": {customer}, "currency": {"usd"}, "auto_advance": {"false"}, "collection_method": {"send_invoice"},
			"days_until_due": {"30"}, "pending_invoice_items_behavior": {"exclude"}, "metadata[lb_key]": {key}})["id"].(string)
		item = p.at(t, p.acme, http.MethodPost, "/v1/invoiceitems", url.Values{"customer": {customer}, "invoice": {id}, "amount": {"777"}, "currency": {"usd"}, "metadata[lb_key]": {key}})["id"].(string)
		if finalize {
			p.at(t, p.acme, http.MethodPost, "/v1/invoices/"+id+"/finalize", url.Values{})
		}
		return id, item
	}
	made(true)
	draft, draftItem := made(false)
	item := p.at(t, p.acme, http.MethodPost, "/v1/invoiceitems", url.Values{"customer": {customer}, "amount": {"55"}, "currency": {"usd"}, "metadata[lb_key]": {key}})["id"].(string)
	p.orphans = []string{"/v1/invoiceitems/" + draftItem, "/v1/invoices/" + draft, "/v1/invoiceitems/" + item}

	require.NoError(t, p.Fake.Advance(30*time.Minute)) // what comes now comes after the freeze
	charge := func(i int) string {
		return p.at(t, p.acme, http.MethodGet, "/v1/invoices/"+ids[i], nil)["charge"].(string)
	}
	p.at(t, p.acme, http.MethodPost, "/v1/refunds", url.Values{"charge": {charge(0)}, "amount": {"300"}})
	_, err := p.Fake.OpenDispute(stripefake.DisputeSpec{Account: "acct_acme", Mode: stripefake.Live, Charge: charge(1)})
	require.NoError(t, err)
	require.NoError(t, p.Fake.DeliverWebhooks(t.Context()))
	require.NoError(t, p.DrainAll(t.Context(), "acme-stripe"))
	_, err = p.SQL.Exec(t.Context(), `BEGIN; SET LOCAL session_replication_role = replica; UPDATE readouts SET manifest = manifest || ' ' WHERE cycle_id = 'acme.2026-10' AND snapshot_id = 'b-other-words'; COMMIT`)
	require.NoError(t, err)
	p.want["acme"] = map[recon.Type]int64{
		recon.UnmappedCustomer: 2900, recon.RewardWithoutDecision: 2900, recon.MetadataAltered: 0, recon.DuplicateInvoice: 777, recon.OrphanDraft: 777, recon.OrphanPendingItem: 55,
		recon.RefundAfterInvoice: 300, recon.OpenDispute: minor[1], recon.DigestDiffers: 0, recon.ForeignLine: 40, recon.LineCount: total,
	}
}
