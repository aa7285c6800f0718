package account_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
)

const secretPart = "4f8d2c1b9a7e6053unit"

func key(t require.TestingT, text string) account.SecretKey {
	k, err := account.ParseSecretKey(text)
	require.NoError(t, err)
	return k
}

func TestKeyShapes(t *testing.T) {
	t.Parallel()
	for prefix, want := range map[string]struct {
		env        account.Environment
		restricted bool
	}{
		"sk_live_": {account.Live, false}, "rk_live_": {account.Live, true}, "sk_test_": {account.Test, false}, "rk_test_": {account.Test, true},
	} {
		k := key(t, " \t"+prefix+secretPart+"\n")
		require.Equal(t, prefix+secretPart, k.Reveal(), "what a paste adds around it is dropped")
		require.Equal(t, want.env, k.Environment())
		require.Equal(t, want.restricted, k.Restricted())
	}
}

// Each refusal says what was pasted and what to paste, and never repeats it.
func TestKeyRefusals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, code, says string }{
		{"", "key_missing", "is required"}, {"  \n", "key_missing", "is required"},
		{"pk_live_" + secretPart, "key_publishable", "publishable key"}, {"pk_test_" + secretPart, "key_publishable", "publishable key"},
		{"whsec_" + secretPart, "key_webhook_secret", "webhook signing secret"},
		{"sk_org_live_" + secretPart, "key_organization", "organization keys"},
		{"rk_live_" + secretPart + " " + secretPart, "key_unreadable", "character"},
		{"rk_live_" + secretPart + "\x00", "key_unreadable", "character"},
		{"rk_live_" + secretPart + "é", "key_unreadable", "character"},
		{"\"rk_live_" + secretPart + "\"", "key_unreadable", "not a Stripe secret key"},
		{"rk_live_", "key_unreadable", "not a Stripe secret key"}, {"rk_live_abc", "key_unreadable", "not a Stripe secret key"},
		{"RK_LIVE_" + secretPart, "key_unreadable", "not a Stripe secret key"}, {"rk_prod_" + secretPart, "key_unreadable", "not a Stripe secret key"},
		{"rak_" + secretPart, "key_unreadable", "not a Stripe secret key"}, {secretPart, "key_unreadable", "not a Stripe secret key"},
	} {
		k, err := account.ParseSecretKey(c.text)
		require.Equal(t, c.code, fault.CodeOf(err), c.text)
		require.True(t, fault.Is(err, fault.Invalid))
		require.ErrorContains(t, err, "secret_key: ")
		require.ErrorContains(t, err, c.says)
		require.ErrorContains(t, err, "rk_")
		require.NotContains(t, err.Error(), secretPart)
		require.Empty(t, k.Reveal())
	}
}

func TestPublishableKey(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		env  account.Environment
		code string
	}{
		{"", account.Live, ""}, {" pk_live_" + secretPart + " ", account.Live, ""}, {"pk_test_" + secretPart, account.Test, ""},
		{"pk_test_" + secretPart, account.Live, "key_mode_mismatch"}, {"pk_live_" + secretPart, account.Test, "key_mode_mismatch"},
		{"rk_live_" + secretPart, account.Live, "key_secret_in_publishable"}, {"sk_test_" + secretPart, account.Test, "key_secret_in_publishable"},
		{secretPart, account.Live, "key_mode_mismatch"},
	} {
		err := account.CheckPublishableKey(c.text, c.env)
		if c.code == "" {
			require.NoError(t, err)
			continue
		}
		require.Equal(t, c.code, fault.CodeOf(err))
		require.ErrorContains(t, err, "publishable_key: ")
		require.NotContains(t, err.Error(), secretPart)
	}
}

// No formatter, logger or encoder gets at the text, wherever the key stands.
func TestKeysHideThemselves(t *testing.T) {
	t.Parallel()
	k := key(t, "rk_live_"+secretPart)
	type inside struct{ key account.SecretKey }
	type Exported struct{ Key account.SecretKey }
	values := []any{k, &k, inside{k}, &inside{k}, Exported{k}, []account.SecretKey{k}, map[string]account.SecretKey{"a": k}, []inside{{k}}, fmt.Errorf("no: %v", k)}
	var all strings.Builder
	for _, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%f", "%T", "%p", "%10s", "%z"} {
			fmt.Fprintf(&all, verb+"\n", v)
		}
		var buf bytes.Buffer
		slog.New(slog.NewJSONHandler(&buf, nil)).Info("x", slog.Any("key", v))
		slog.New(slog.NewTextHandler(&buf, nil)).Info("x", slog.Any("key", v))
		all.Write(buf.Bytes())
	}
	raw, err := json.Marshal([]any{k, Exported{k}, map[string]any{"k": &k}})
	require.NoError(t, err)
	all.Write(raw)
	for i := 0; i+8 <= len(secretPart); i++ {
		require.NotContains(t, all.String(), secretPart[i:i+8])
		require.NotContains(t, strings.ToLower(all.String()), fmt.Sprintf("%x", secretPart[i:i+8]))
	}
	require.Equal(t, "rk_live_…unit", k.Masked())
	require.Equal(t, `"rk_live_…unit"`, string(must(json.Marshal(k))))
	require.Equal(t, "account.SecretKey(rk_live_…unit)", fmt.Sprintf("%#v", k))
	require.Equal(t, "(no key)", account.SecretKey{}.String())
	require.Equal(t, "sk_test_…", key(t, "sk_test_abcd").Masked(), "the end of a short key is most of it")
}

func must(raw []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return raw
}

// Only a live, issuing connection with a live key, seen live by Stripe, is proven:
// one of sixteen combinations.
func TestProveLiveTruthTable(t *testing.T) {
	t.Parallel()
	proven := 0
	for bits := range 16 {
		declared, prefix, issuer, seen := bits&1 != 0, bits&2 != 0, bits&4 != 0, bits&8 != 0
		c := account.Connection{ID: "acme", Environment: account.EnvironmentOf(declared), Roles: account.Roles{Source: true, Issuer: issuer}}
		k := key(t, "rk_"+account.EnvironmentOf(prefix).String()+"_"+secretPart)
		proof, err := account.ProveLive(c, k, account.Observation{StripeAccountID: "acct_1", Livemode: seen, LivemodeSeen: true})
		if declared && prefix && issuer && seen {
			require.NoError(t, err)
			require.Equal(t, "acme", proof.ConnectionID())
			proven++
			continue
		}
		require.True(t, fault.Is(err, fault.Forbidden), "%04b", bits)
		require.Equal(t, "mode_violation", fault.CodeOf(err))
		require.Equal(t, account.LiveProof{}, proof)
		require.NotContains(t, err.Error(), secretPart)
	}
	require.Equal(t, 1, proven)
	live := account.Connection{ID: "acme", Environment: account.Live, Roles: account.Roles{Issuer: true}}
	_, err := account.ProveLive(live, key(t, "sk_live_"+secretPart), account.Observation{Livemode: true})
	require.Equal(t, "mode_violation", fault.CodeOf(err), "what was not seen proves nothing")
	_, err = account.ProveLive(live, account.SecretKey{}, account.Observation{Livemode: true, LivemodeSeen: true})
	require.Error(t, err)
}
