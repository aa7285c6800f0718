package onboard_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
)

// named is a principal of everything whose label is a name.
func named(who string) access.Principal {
	p := access.Operator(who)
	p.ID, p.Name = who, who
	return p
}

func secret(t *testing.T, text string) account.SecretKey {
	t.Helper()
	key, err := account.ParseSecretKey(text)
	require.NoError(t, err)
	return key
}

func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready(t)
	for code, args := range map[string][2]string{"reason_missing": {"acme", ""}, "connection_not_found": {"nobody", "because"}} {
		_, err := w.svc.Pause(w.ctx, by, args[0], args[1])
		require.Equal(t, code, fault.CodeOf(err))
	}
	conn, err := w.svc.Pause(w.ctx, named("anna"), "acme", "migration of the shop")
	require.NoError(t, err)
	require.Equal(t, []any{true, "migration of the shop", "anna", now}, []any{conn.Paused, conn.PausedReason, conn.PausedBy, conn.PausedAt})
	conn, err = w.svc.Pause(w.ctx, named("ben"), "acme", "again")
	require.NoError(t, err)
	require.Equal(t, "anna", conn.PausedBy, "paused again it keeps its first reason")
	_, created, err := w.svc.Connect(w.ctx, by, input("acme", "live", liveKey))
	require.NoError(t, err, "that it is paused is no part of what was entered")
	require.False(t, created)
	conn, err = w.svc.Resume(w.ctx, named("ben"), "acme")
	require.NoError(t, err)
	require.False(t, conn.Paused)
	require.Empty(t, conn.PausedReason)
	_, err = w.svc.Resume(w.ctx, named("ben"), "acme")
	require.NoError(t, err)
	log, err := w.svc.Log(w.ctx, "acme")
	require.NoError(t, err)
	require.Len(t, log, 2)
	require.Equal(t, onboard.LogEntry{Action: "resumed", Who: "ben", At: now}, log[0])
}

// A revoked key pauses its connection; another key of the same Stripe account lets it run
// again, one of another account or mode does not.
func TestARevokedKeyIsReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready(t)
	require.NoError(t, w.fake.RevokeKey(liveKey))
	require.NoError(t, w.svc.KeyRefused(w.ctx, "acme"))
	require.NoError(t, w.svc.KeyRefused(w.ctx, "acme"), "many requests may tell it")
	_, err := w.svc.Resume(w.ctx, named("anna"), "acme")
	require.Equal(t, "stripe_auth", fault.CodeOf(err), "it cannot run with this key")
	w.fake.MustAccount(stripefake.AccountSpec{ID: "acct_2", Keys: []stripefake.KeySpec{{Mode: "live", Secret: "rk_live_of_somebody_else", Permissions: map[string]string{"*": "read"}}}})
	for text, code := range map[string]string{
		testKey: "key_mode_mismatch", "rk_live_of_somebody_else": "stripe_account_mismatch", liveKey: "stripe_auth", "pk_live_x": "key_publishable",
	} {
		_, err := w.svc.ReplaceKey(w.ctx, named("anna"), "acme", text)
		require.Equal(t, code, fault.CodeOf(err))
		require.NotContains(t, err.Error(), "somebody_else")
	}
	conn, err := w.svc.ReplaceKey(w.ctx, named("anna"), "acme", otherKey)
	require.NoError(t, err)
	require.False(t, conn.Paused)
	require.Equal(t, secret(t, otherKey).Masked(), conn.KeyMask)
	log, err := w.svc.Log(w.ctx, "acme")
	require.NoError(t, err)
	require.Equal(t, "key_replaced", log[0].Action)
	require.NotContains(t, log[0].Detail, "aaaaaaaaaaaaaaaa")
	require.Equal(t, onboard.LogEntry{Action: "paused", Detail: account.PauseKeyRevoked, Who: "liftbill", At: now}, log[1])

	_, err = w.svc.Pause(w.ctx, named("anna"), "acme", "a holiday")
	require.NoError(t, err)
	conn, err = w.svc.ReplaceKey(w.ctx, named("anna"), "acme", otherKey)
	require.NoError(t, err)
	require.True(t, conn.Paused, "what a person paused a person resumes")
}

// Disconnecting deletes the key and the endpoint and nothing else.
func TestDisconnect(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready(t)
	_, _, err := w.svc.RegisterWebhook(w.ctx, by, "acme")
	require.NoError(t, err)
	conn, err := w.svc.Disconnect(w.ctx, named("anna"), "acme")
	require.NoError(t, err)
	require.Equal(t, account.PauseDisconnected, conn.PausedReason)
	require.Empty(t, w.listed(t))
	_, err = w.svc.Resume(w.ctx, named("anna"), "acme")
	require.Equal(t, "connection_disconnected", fault.CodeOf(err))
	_, _, err = w.svc.RegisterWebhook(w.ctx, by, "acme")
	require.Equal(t, "connection_disconnected", fault.CodeOf(err))
	conn, err = w.svc.ReplaceKey(w.ctx, named("anna"), "acme", liveKey)
	require.NoError(t, err)
	require.False(t, conn.Paused)
	_, created, err := w.svc.RegisterWebhook(w.ctx, by, "acme")
	require.NoError(t, err)
	require.True(t, created)

	require.NoError(t, w.fake.RevokeKey(liveKey))
	_, err = w.svc.Disconnect(w.ctx, named("anna"), "acme")
	require.NoError(t, err, "also with a key that can do nothing any more")
}

// The report names what is missing and what is too much, and is kept.
func TestCheckKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const few = "rk_live_few_of_the_test"
	_, err := w.fake.AddKey(stripefake.KeySpec{Account: "acct_1", Mode: "live", Secret: few, Permissions: map[string]string{
		"account": "read", "customer": "read", "subscription": "read", "invoice": "write", "charge": "read", "dispute": "read", "credit_note": "read", "webhook": "write"}})
	require.NoError(t, err)
	_, _, err = w.svc.Connect(w.ctx, by, onboard.ConnectionInput{ID: "acme", Environment: "live", Roles: []string{"source"}, SecretKey: few})
	require.NoError(t, err)
	_, err = w.svc.KeyReport(w.ctx, "acme")
	require.Equal(t, "key_not_checked", fault.CodeOf(err))
	r, err := w.svc.CheckKey(w.ctx, named("anna"), "acme")
	require.NoError(t, err)
	require.False(t, r.OK())
	got := map[string]account.Severity{}
	for _, f := range r.Findings {
		if f.Severity != account.Fine && f.Severity != account.Limited && f.Severity != account.Unchecked {
			got[f.Permission] = f.Severity
		}
	}
	require.Equal(t, map[string]account.Severity{"Events: read": account.Missing, "Invoices: write": account.Broad}, got)
	kept, err := w.svc.KeyReport(w.ctx, "acme")
	require.NoError(t, err)
	require.Equal(t, r, kept)

	conn, err := w.svc.ReplaceKey(w.ctx, named("anna"), "acme", "sk_live_setup_of_the_test")
	require.NoError(t, err)
	require.Equal(t, "sk_live_…test", conn.KeyMask)
	kept, err = w.svc.KeyReport(w.ctx, "acme")
	require.NoError(t, err)
	require.True(t, kept.Replaced, "what is known is of the key before")
	r, err = w.svc.CheckKey(w.ctx, named("anna"), "acme")
	require.NoError(t, err)
	require.True(t, r.OK())
	require.Equal(t, account.Broad, r.Findings[0].Severity)
	require.Contains(t, r.Findings[0].Message, "everything")
}

// Diagnose: what was stored is said without asking Stripe; a pause, a missing permission and a
// key that Stripe refuses are checks that fail, and a connection that is not there is an error.
func TestDiagnose(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready(t)
	found := func(ask bool) map[string]onboard.Check {
		checks, err := w.svc.Diagnose(w.ctx, by, "acme", ask)
		require.NoError(t, err)
		out := map[string]onboard.Check{}
		for _, c := range checks {
			out[c.Name] = c
		}
		return out
	}
	got := found(false)
	require.Len(t, got, 2)
	require.True(t, got["key acme"].OK)
	require.Contains(t, got["key acme"].Detail, "not checked yet")
	require.Contains(t, found(true)["key acme"].Detail, "checked "+now.UTC().Format("2006-01-02 15:04"))
	require.Contains(t, found(false)["key acme"].Detail, "checked "+now.UTC().Format("2006-01-02 15:04"), "the answer was kept")
	require.NoError(t, w.fake.RevokeKey(liveKey))
	require.False(t, found(true)["key acme"].OK)
	_, err := w.svc.Pause(w.ctx, named("anna"), "acme", "migration of the shop")
	require.NoError(t, err)
	got = found(true)
	require.False(t, got["connection acme"].OK)
	require.Contains(t, got["connection acme"].Detail, "anna")
	_, err = w.svc.Diagnose(w.ctx, by, "nobody", false)
	require.Equal(t, "connection_not_found", fault.CodeOf(err))
}
