package account_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
)

// review shows the findings that are not fine, as "severity permission".
func review(t *testing.T, text string, roles account.Roles, change func(map[string]*account.Access)) []string {
	t.Helper()
	key, err := account.ParseSecretKey(text)
	require.NoError(t, err)
	rows := map[string]*account.Access{}
	for _, n := range roles.Needs() {
		a := &account.Access{Row: n.Row, Read: account.Granted, Write: account.Refused}
		if n.Write {
			a.Write = account.Granted
		}
		rows[n.Row] = a
	}
	change(rows)
	var seen []account.Access
	for _, row := range account.Rows() {
		if a := rows[row]; a != nil {
			seen = append(seen, *a)
		}
	}
	var out []string
	for _, f := range account.Review(key, roles, seen) {
		require.NotEmpty(t, f.Message)
		if f.Severity == account.Missing || f.Severity == account.Broad || f.Severity == account.Limited {
			require.NotEmpty(t, f.Do, "every complaint has a remedy")
		}
		if f.Severity != account.Fine {
			out = append(out, string(f.Severity)+" "+f.Permission)
		}
	}
	return out
}

func TestReviewOfAKey(t *testing.T) {
	t.Parallel()
	source, both, issuer := account.Roles{Source: true}, account.Roles{Source: true, Issuer: true}, account.Roles{Issuer: true}
	const restricted, secret = "rk_live_4f8d2c1b9a7e6053unit", "sk_live_4f8d2c1b9a7e6053unit"
	type rows = map[string]*account.Access
	refuse := func(a *account.Access) { a.Read, a.Write = account.Refused, account.Refused }
	for name, c := range map[string]struct {
		key    string
		roles  account.Roles
		change func(rows)
		want   []string
	}{
		"exactly right":      {restricted, both, func(rows) {}, nil},
		"a secret key":       {secret, source, func(rows) {}, []string{"broad everything"}},
		"no events":          {restricted, source, func(r rows) { refuse(r["events"]) }, []string{"missing Events: read"}},
		"no prices":          {restricted, source, func(r rows) { refuse(r["prices"]) }, []string{"limited Prices: read"}},
		"cannot write":       {restricted, issuer, func(r rows) { r["invoices"].Write = account.Refused }, []string{"missing Invoices: write"}},
		"cannot even read":   {restricted, issuer, func(r rows) { refuse(r["invoices"]) }, []string{"missing Invoices: write"}},
		"may write too much": {restricted, source, func(r rows) { r["invoices"].Write = account.Granted }, []string{"broad Invoices: write"}},
		"may read too much":  {restricted, issuer, func(r rows) { r["events"] = &account.Access{Row: "events", Read: account.Granted} }, []string{"broad Events: read"}},
		"a test key is not asked to write": {"rk_test_4f8d2c1b9a7e6053unit", issuer, func(r rows) { r["invoices"].Write = account.Unknown },
			[]string{"unchecked Invoices: write"}},
		"a row that Stripe did not answer": {restricted, source, func(r rows) { delete(r, "balance") }, []string{"unchecked Balance: read"}},
		"cannot register":                  {restricted, source, func(r rows) { refuse(r["webhook_endpoints"]) }, []string{"limited Webhook Endpoints: write"}},
	} {
		require.Equal(t, c.want, review(t, c.key, c.roles, c.change), name)
	}
	require.Contains(t, account.Roles{Source: true, Issuer: true}.Needs()[2].Why, "outcome", "a row that both roles need says both reasons")
}

func TestWebhookSecretsThatArePasted(t *testing.T) {
	t.Parallel()
	got, err := account.ParseWebhookSecret(" whsec_4f8d2c1b9a7e6053\n")
	require.NoError(t, err)
	require.Equal(t, "whsec_4f8d2c1b9a7e6053", got)
	for text, code := range map[string]string{
		"": "secret_missing", "sk_live_4f8d2c1b9a7e6053": "secret_is_key", "rk_test_4f8d2c1b9a7e6053": "secret_is_key", "pk_live_4f8d2c1b9a7e6053": "secret_is_publishable",
		"we_1Nv0FGQ9RKHgCVdK": "secret_is_endpoint", "whsec_short": "secret_unreadable", "whsec_4f8d2c1b 9a7e6053": "secret_unreadable", "4f8d2c1b9a7e60534f8d2c1b9a7e6053": "secret_unreadable",
	} {
		_, err := account.ParseWebhookSecret(text)
		require.Equal(t, code, fault.CodeOf(err), text)
		require.NotContains(t, err.Error(), "4f8d2c1b", "a secret is not repeated")
	}
}
