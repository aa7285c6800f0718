package pipelinetest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/internal/campaign/pgledger"
)

// Lines gives a bill n lines.
func Lines(n int) func(*Bill) {
	return func(b *Bill) {
		b.Plan.Lines = nil
		for i := range n {
			b.Plan.Lines = append(b.Plan.Lines, planLine(fmt.Sprintf("snap-%03d", i), int64(1_000+i)))
		}
		b.Seal()
	}
}

// Charged lets a bill be charged automatically to a payer who has a payment method.
func Charged(t testing.TB, charged bool) func(*Bill) {
	return func(b *Bill) {
		t.Helper()
		if !charged {
			return
		}
		b.Plan.CollectionMethod, b.Plan.DaysUntilDue = billing.ChargeAutomatically, 0
		b.Operator(t, http.MethodPost, "/v1/customers/"+b.Plan.Key.Customer, url.Values{"invoice_settings[default_payment_method]": {"pm_card_visa"}})
		b.Seal()
	}
}

// Seal writes the plan's hash into its metadata, after a change.
func (b *Bill) Seal() {
	b.Plan.Metadata["lb_key"] = b.Plan.Key.StripeKey()
	b.Plan.Metadata["lb_plan_sha256"] = b.Plan.Hash()
}

// NewPayer makes another customer, without an e-mail address when none is given, and
// names it as the account's payer.
func (b *Bill) NewPayer(t testing.TB, email string) {
	t.Helper()
	form := url.Values{"name": {"another payer"}}
	if email != "" {
		form.Set("email", email)
	}
	b.SetPayer(t, b.Operator(t, http.MethodPost, "/v1/customers", form)["id"].(string))
}

// SetPayer names the account's payer and addresses the plan to it.
func (b *Bill) SetPayer(t testing.TB, customer string) {
	t.Helper()
	_, err := b.Ledger.SQL.Exec(t.Context(), `UPDATE accounts SET payer_customer = $1 WHERE id = $2`, customer, b.Plan.AccountID)
	require.NoError(t, err)
	b.Plan.Key.Customer = customer
	b.Seal()
}

// Repropose proposes the blocked cycle again, as its next run does.
func (b *Bill) Repropose(t testing.TB) {
	t.Helper()
	require.NoError(t, pgledger.New(b.Ledger.DB, b.Ledger.SQL).Readdress(t.Context(), b.Plan, b.Clock.Now()))
}

// Operator sends a request as somebody else who works on a company's issuer account.
func (d *Deployment) Operator(t testing.TB, c *Company, method, path string, form url.Values) map[string]any {
	t.Helper()
	key, err := d.Fake.AddKey(stripefake.KeySpec{Account: c.IssuerID, Mode: c.Environment.String()})
	require.NoError(t, err)
	status, out := atStripe(d.Fake, key.Secret, method, path, form)
	require.Less(t, status, 300, "%s %s: %v", method, path, out)
	return out
}

// WantPayer leaves the bill's account without a payer and says how one is to be found.
func (b *Bill) WantPayer(t testing.TB, name, email string) {
	t.Helper()
	sealed, err := b.Ledger.Box.Seal(onboard.PayerContext(b.Plan.AccountID), []byte(email))
	require.NoError(t, err)
	for _, q := range []struct {
		sql  string
		args []any
	}{
		{`UPDATE accounts SET payer_customer = NULL WHERE id = $1`, []any{b.Plan.AccountID}},
		{`INSERT INTO payer_wishes (account_id, environment, name, sealed_email, created_at) VALUES ($1, 'live', $2, $3, $4)`, []any{b.Plan.AccountID, name, sealed, b.Clock.Now()}},
	} {
		_, err := b.Ledger.SQL.Exec(t.Context(), q.sql, q.args...)
		require.NoError(t, err)
	}
}

// Payer is the account's payer, empty when it has none.
func (b *Bill) Payer(t testing.TB) string {
	t.Helper()
	var id string
	require.NoError(t, b.Ledger.SQL.QueryRow(t.Context(), `SELECT coalesce(payer_customer, '') FROM accounts WHERE id = $1`, b.Plan.AccountID).Scan(&id))
	return id
}

// CompleteSetup is the payer who enters a card on a set-up page.
func (b *Bill) CompleteSetup(t testing.TB, pageURL string) error {
	t.Helper()
	return b.Fake.CompleteCheckout(stripeAccount, stripefake.Live, pageURL[strings.LastIndex(pageURL, "/")+1:], "pm_card_visa")
}

// Proof is the proof of live mode of the bill's issuer.
func (b *Bill) Proof(t testing.TB) account.LiveProof {
	t.Helper()
	conn, key, err := b.Ledger.connectionKey(t.Context(), b.Plan.Key.IssuerConnection)
	require.NoError(t, err)
	proof, err := account.ProveLive(conn, key, account.Observation{Livemode: true, LivemodeSeen: true})
	require.NoError(t, err)
	return proof
}

// NextMonth is the same account's bill of the following month, at the same Stripe.
func (b *Bill) NextMonth(t testing.TB) *Bill {
	t.Helper()
	next := *b
	next.Plan = planFor(b.Plan.AccountID, b.Plan.Key.Customer)
	next.Plan.Key.Period, next.Plan.CycleID = "2026-11", b.Plan.AccountID+".2026-11"
	next.Plan.PeriodStart, next.Plan.PeriodEnd = b.Plan.PeriodEnd, b.Plan.PeriodEnd+30*24*60*60
	next.Seal()
	doc, err := json.Marshal(next.Plan)
	require.NoError(t, err)
	p, k := next.Plan, next.Plan.Key
	for _, q := range []struct {
		sql  string
		args []any
	}{
		{`INSERT INTO cycles (id, account_id, environment, period, period_start, period_end, contract_id, plan_id, state, opened_at, updated_at)
			VALUES ($1, $2, 'live', $3, to_timestamp($4), to_timestamp($5), $2 || '-contract', $2 || '-plan', 'writing', $6, $6)`,
			[]any{p.CycleID, p.AccountID, k.Period, p.PeriodStart, p.PeriodEnd, b.Clock.Now()}},
		{`INSERT INTO cycle_charges (cycle_id, environment, line, position, kind, description, amount_minor, billed_minor) VALUES ($1, 'live', 'fee:all', 1, 'adjustment', 'all lines', $2, $2)`,
			[]any{p.CycleID, p.TotalMinor()}},
		{`INSERT INTO invoices (cycle_id, environment, currency, total_minor, plan, plan_hash, created_at) VALUES ($1, 'live', $2, $3, $4, $5, $6)`,
			[]any{p.CycleID, k.Currency, p.TotalMinor(), string(doc), p.Hash(), b.Clock.Now()}},
		{pgledger.ApprovedSQL, []any{p.CycleID, "live", p.Hash(), p.TotalMinor(), b.Clock.Now()}},
		{`INSERT INTO writeback_intents (id, cycle_id, environment, livemode, account_id, issuer_connection, customer, currency, period, part, plan_hash, total_minor, state, created_at, updated_at)
			VALUES ($1, $2, 'live', true, $3, $4, $5, $6, $7, $8, $9, $10, 'planned', $11, $11)`,
			[]any{k.ID(), p.CycleID, p.AccountID, k.IssuerConnection, k.Customer, k.Currency, k.Period, k.Part, p.Hash(), p.TotalMinor(), b.Clock.Now()}},
	} {
		_, err := b.Ledger.SQL.Exec(t.Context(), q.sql, q.args...)
		require.NoError(t, err)
	}
	next.foreign = next.Objects(t)
	return &next
}
