package billing_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

var payer = billing.PayerPlan{IssuerConnection: "vendor", AccountID: "acme", Name: "Acme Inc.", Email: "payables@acme.example"}

func TestPayerKeys(t *testing.T) {
	t.Parallel()
	require.Regexp(t, `^lb:payer:[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, payer.Key())
	renamed := payer
	renamed.Name, renamed.Email = "Acme", "other@acme.example"
	require.Equal(t, payer.Key(), renamed.Key(), "the account's, whatever it is called")
	setup := billing.PayerSetup{IssuerConnection: "vendor", AccountID: "acme", Customer: "cus_1", Currency: "usd"}
	seen := map[string]bool{payer.Key(): true, setup.Key(): true}
	require.Len(t, seen, 2)
	for _, other := range []string{
		billing.PayerPlan{IssuerConnection: "vendor", AccountID: "other"}.Key(), billing.PayerPlan{IssuerConnection: "second", AccountID: "acme"}.Key(),
		billing.PayerSetup{IssuerConnection: "vendor", AccountID: "acme", Customer: "cus_2"}.Key(),
	} {
		require.False(t, seen[other])
		seen[other] = true
	}
	_, ok := billing.IntentOf(payer.Key())
	require.False(t, ok, "it is no intent's")
	id, ok := billing.IntentOf(billing.IntentKey{}.StripeKey())
	require.True(t, ok)
	require.Equal(t, billing.IntentKey{}.ID(), id)
	_, ok = billing.IntentOf("another")
	require.False(t, ok)
}

func TestPayerPlanRefusals(t *testing.T) {
	t.Parallel()
	require.NoError(t, payer.Validate())
	for _, bad := range []string{"", "a", "@b.c", "a@", "a@b", "a b@c.d", "a@b.c, d@e.f", "Acme <a@b.c>", "a@b@c.d", strings.Repeat("a", 512) + "@b.c", "a@b.c\n"} {
		p := payer
		p.Email = bad
		err := p.Validate()
		require.Equal(t, "email_malformed", fault.CodeOf(err), bad)
		if bad != "" && bad != "a" {
			require.NotContains(t, err.Error(), bad)
		}
	}
	for _, bad := range []string{"", "  ", strings.Repeat("x", 257)} {
		p := payer
		p.Name = bad
		require.Equal(t, "name_length", fault.CodeOf(p.Validate()))
	}
}

// Nobody but a live account at its own proven issuer gets a permission to write.
func TestAuthorizePayerAndSetup(t *testing.T) {
	t.Parallel()
	setup := billing.PayerSetup{IssuerConnection: "vendor", AccountID: "acme", Customer: "cus_1", Currency: "usd"}
	c, err := billing.AuthorizePayer(proof(t, "vendor"), account.Live, payer)
	require.NoError(t, err)
	require.True(t, c.Valid())
	require.Equal(t, payer, c.Plan())
	p, err := billing.AuthorizeSetup(proof(t, "vendor"), account.Live, setup)
	require.NoError(t, err)
	require.True(t, p.Valid())
	require.Equal(t, setup, p.Setup())
	require.False(t, billing.PayerCreation{}.Valid())
	require.False(t, billing.SetupPermission{}.Valid())
	for _, c := range []struct {
		proof account.LiveProof
		env   account.Environment
		code  string
	}{
		{proof(t, "vendor"), account.Test, "test_mode_write"}, {proof(t, "vendor"), "", "test_mode_write"},
		{proof(t, "another"), account.Live, "mode_violation"}, {account.LiveProof{}, account.Live, "mode_violation"},
	} {
		_, err := billing.AuthorizePayer(c.proof, c.env, payer)
		require.Equal(t, c.code, fault.CodeOf(err))
		_, err = billing.AuthorizeSetup(c.proof, c.env, setup)
		require.Equal(t, c.code, fault.CodeOf(err))
	}
	_, err = billing.AuthorizePayer(proof(t, "vendor"), account.Live, billing.PayerPlan{IssuerConnection: "vendor"})
	require.Error(t, err)
	_, err = billing.AuthorizeSetup(proof(t, "vendor"), account.Live, billing.PayerSetup{IssuerConnection: "vendor"})
	require.Equal(t, "payer_missing", fault.CodeOf(err))
}
