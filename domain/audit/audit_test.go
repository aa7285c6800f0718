package audit_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/fault"
)

var at = time.Date(2026, 10, 3, 9, 0, 0, 123456789, time.UTC)

func someEntry(t *rapid.T) audit.Entry {
	text := func(name string) string { return rapid.StringN(0, 12, 40).Draw(t, name) }
	env := rapid.SampledFrom([]account.Environment{account.Live, account.Test, ""}).Draw(t, "environment")
	e := audit.Entry{
		At:     at.Add(time.Duration(rapid.Int64Range(0, 1<<50).Draw(t, "time"))),
		Actor:  access.Actor{Kind: access.User, ID: text("id"), Name: text("name"), Person: text("person")},
		Action: audit.ContractCreated, Outcome: audit.Done, Object: text("object"), ObjectID: text("object id"), Environment: env, RequestID: text("request"),
		Reason: text("reason"),
	}
	if env != "" {
		e.AccountID = text("account")
	}
	return e.Changed(nil, audit.Facts{text("fact"): text("value")})
}

// A chain verifies as it was written, and after any change of any field, in any row,
// it does not.
func TestChainNoticesEveryChange(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		last := map[audit.Chain]audit.Link{}
		for _, c := range audit.Chains() {
			last[c] = audit.Origin(c)
		}
		var rows []audit.Row
		for range rapid.IntRange(1, 6).Draw(t, "rows") {
			e := someEntry(t)
			row, err := audit.Append(last[e.ChainOf()], e)
			require.NoError(t, err)
			require.NoError(t, row.Follows(last[row.Chain]))
			last[row.Chain] = row.Link
			rows = append(rows, row)
		}
		row := rows[rapid.IntRange(0, len(rows)-1).Draw(t, "which")]
		before := audit.Link{Chain: row.Chain, Seq: row.Seq - 1, Hash: row.Previous}
		require.NoError(t, row.Follows(before))
		changes := []func(*audit.Row){
			func(r *audit.Row) { r.At = r.At.Add(time.Microsecond) }, func(r *audit.Row) { r.Actor.ID += "x" }, func(r *audit.Row) { r.Actor.Kind = access.CLI },
			func(r *audit.Row) { r.Actor.Name += "x" }, func(r *audit.Row) { r.Actor.Person += "x" }, func(r *audit.Row) { r.Action += "x" },
			func(r *audit.Row) { r.Outcome = audit.Refused }, func(r *audit.Row) { r.Object += "x" }, func(r *audit.Row) { r.ObjectID += "x" },
			func(r *audit.Row) { r.AccountID += "x" }, func(r *audit.Row) { r.RequestID += "x" }, func(r *audit.Row) { r.Reason += "x" },
			func(r *audit.Row) { r.Before += "x" }, func(r *audit.Row) { r.After += "x" }, func(r *audit.Row) { r.Seq++ },
			func(r *audit.Row) { r.Previous = append([]byte{}, make([]byte, 31)...) }, func(r *audit.Row) { r.Hash = make([]byte, 32) },
			func(r *audit.Row) { r.Object, r.ObjectID = r.Object+r.ObjectID+"x", "" },
		}
		changes[rapid.IntRange(0, len(changes)-1).Draw(t, "change")](&row)
		require.Equal(t, "audit_broken", fault.CodeOf(row.Follows(before)))
	})
}

// The canonical text is what the documentation says, so that others can repeat it.
func TestCanonicalText(t *testing.T) {
	t.Parallel()
	e := audit.New(access.Operator("ada"), at, audit.ContractCreated, "contract", "c-1").In("acme", account.Live).Changed(nil, audit.Facts{"share": "0.20", "hash": "<&>ü"})
	row, err := audit.Append(audit.Origin(audit.LiveChain), e)
	require.NoError(t, err)
	const want = `{"chain":"live","seq":1,"previous":"0000000000000000000000000000000000000000000000000000000000000000","at":"2026-10-03T09:00:00.123456Z",` +
		`"actor_kind":"cli","actor_id":"cli:ada","actor_name":"cli:ada","person":"","action":"contract.created","outcome":"done","object":"contract","object_id":"c-1",` +
		`"account_id":"acme","environment":"live","request_id":"","reason":"","before":"","after":"{\"hash\":\"<&>ü\",\"share\":\"0.20\"}"}`
	require.Equal(t, want, string(row.Canonical()))
	sum := sha256.Sum256([]byte(want))
	require.Equal(t, hex.EncodeToString(sum[:]), hex.EncodeToString(row.Hash))
	_, err = audit.Append(audit.Origin(audit.TestChain), e)
	require.Equal(t, "audit_chain", fault.CodeOf(err), "a row of live never stands in the chain of test")
}

// Nothing that looks like a secret gets into a row, wherever a caller puts it.
func TestEntriesHoldNoSecrets(t *testing.T) {
	t.Parallel()
	token, err := access.NewToken(account.Live, []byte(strings.Repeat("q", access.TokenBytes)))
	require.NoError(t, err)
	session, err := access.NewSecret([]byte(strings.Repeat("r", access.SecretBytes)))
	require.NoError(t, err)
	for _, secret := range []string{
		"sk_live_4f8d2c1b9a7e6053", "rk_test_4f8d2c1b9a7e6053", "whsec_4f8d2c1b9a7e6053", "sk_org_live_abc123", token.Reveal(), session.Reveal(),
		"eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "$argon2id$v=19$m=65536,t=3,p=1$c2FsdHNhbHQ$aGFzaGhhc2g",
	} {
		e := audit.New(access.Principal{Kind: access.User, ID: secret, Name: "x " + secret}, at, audit.TokenCreated, secret, "("+secret+")").
			In("", account.Live).Because("pasted "+secret+" here").Changed(audit.Facts{"key": secret}, audit.Facts{"note": "a:" + secret})
		row, err := audit.Append(audit.Origin(audit.LiveChain), e)
		require.NoError(t, err)
		require.NotContains(t, string(row.Canonical()), secret)
		require.Contains(t, row.Reason, "[secret]")
		require.Contains(t, row.After, "[secret]")
	}
	row, err := audit.Append(audit.Origin(audit.LiveChain), audit.New(access.Principal{Kind: access.User, ID: "u", Name: "ada@example.com"}, at, audit.UserCreated, "user", "u").
		In("", account.Live).Changed(nil, audit.Facts{"name": "Ada <ada.b+x@mail.example.co.uk>"}))
	require.NoError(t, err)
	require.NotContains(t, string(row.Canonical()), "@")
	harmless := audit.Facts{"mask": "rk_live_…9f3a", "hash": strings.Repeat("0123456789abcdef", 4), "name": "Trial nudge, version 7", "case": "mfzwizltoq2dqnbrgmydcmrtgq", "token": token.ID}
	row, err = audit.Append(audit.Origin(audit.LiveChain), audit.New(access.Operator("a"), at, audit.TokenCreated, "token", token.ID).In("", account.Live).Changed(nil, harmless))
	require.NoError(t, err)
	var got map[string]string
	require.NoError(t, json.Unmarshal([]byte(row.After), &got))
	require.Equal(t, map[string]string(harmless), got)
}

func TestEntriesAreWholeAndBounded(t *testing.T) {
	t.Parallel()
	good := audit.New(access.Operator("a"), at, audit.TokenCreated, "token", "t").In("", account.Live)
	for name, change := range map[string]func(*audit.Entry){
		"no time": func(e *audit.Entry) { e.At = time.Time{} }, "no actor": func(e *audit.Entry) { e.Actor.Kind = "" }, "no action": func(e *audit.Entry) { e.Action = "" },
		"no outcome": func(e *audit.Entry) { e.Outcome = "" }, "an environment that is none": func(e *audit.Entry) { e.Environment = "prod" },
		"an account of no environment": func(e *audit.Entry) { e.AccountID, e.Environment = "acme", "" },
		"an object in the facts":       func(e *audit.Entry) { e.After = strings.Repeat("x", 9000) },
	} {
		e := good
		change(&e)
		_, err := e.Clean()
		require.True(t, fault.Is(err, fault.Internal), name)
	}
	long := good.Because(strings.Repeat("ü", 400) + "\x00\xff\u2028")
	clean, err := long.Clean()
	require.NoError(t, err)
	require.LessOrEqual(t, len(clean.Reason), 504)
	again, err := clean.Clean()
	require.NoError(t, err)
	require.LessOrEqual(t, len(again.Reason), 507, "cleaning again only adds what says that it was cut")
	require.Equal(t, audit.Refused, good.Refusal().Outcome)
	require.Empty(t, good.Changed(nil, audit.Facts{}).After)
}
