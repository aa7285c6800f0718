package pipelinetest

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

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
