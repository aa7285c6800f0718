package onboard_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/domain/fault"
)

func payerNamed(customer string) onboard.PayerInput {
	return onboard.PayerInput{AccountID: "acme", Customer: customer, Reason: "they moved"}
}

func wanted() onboard.PayerInput {
	return onboard.PayerInput{AccountID: "acme", Name: "Acme Inc.", Email: "payables@acme.example", Reason: "first contract"}
}

func TestNamePayer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready(t)
	next := w.customer(t)
	got, err := w.svc.NamePayer(w.ctx, by, payerNamed(next))
	require.NoError(t, err)
	require.Equal(t, next, got.Account.PayerCustomer)
	require.False(t, got.Wanted)
	_, err = w.svc.NamePayer(w.ctx, by, payerNamed(next))
	require.NoError(t, err, "naming it again changes nothing")
	acc, err := w.db.Account(w.ctx, "acme")
	require.NoError(t, err)
	require.Equal(t, next, acc.PayerCustomer)

	got, err = w.svc.NamePayer(w.ctx, by, wanted())
	require.NoError(t, err)
	require.True(t, got.Wanted)
	acc, err = w.db.Account(w.ctx, "acme")
	require.NoError(t, err)
	require.Empty(t, acc.PayerCustomer, "the next cycle finds or creates it")
	for _, r := range w.fake.Requests(stripefake.RequestFilter{Method: "write"}) {
		require.Equal(t, "secret", r.KeyKind, "%s: naming a payer writes nothing at Stripe", r.Path)
	}
}

func TestNamePayerRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready(t)
	_, _, err := w.svc.Connect(w.ctx, by, input("bare", "live", liveKey))
	require.NoError(t, err)
	_, _, err = w.svc.CreateAccount(w.ctx, by, onboard.AccountInput{ID: "bare", Environment: "live", Name: "Bare", SourceConnection: "bare"})
	require.NoError(t, err)
	_, _, err = w.svc.Connect(w.ctx, by, input("other", "live", liveKey))
	require.NoError(t, err)
	_, _, err = w.svc.CreateAccount(w.ctx, by, onboard.AccountInput{ID: "other", Environment: "live", Name: "Other", SourceConnection: "other", IssuerConnection: "acme"})
	require.NoError(t, err)
	for code, change := range map[string]func(*onboard.PayerInput){
		"payer_missing":     func(in *onboard.PayerInput) { in.Customer = " " },
		"payer_twice":       func(in *onboard.PayerInput) { in.Email = "a@b.c" },
		"payer_unknown":     func(in *onboard.PayerInput) { in.Customer = "cus_nobody" },
		"payer_taken":       func(in *onboard.PayerInput) { in.AccountID = "other" },
		"account_not_found": func(in *onboard.PayerInput) { in.AccountID = "nobody" },
		"issuer_missing":    func(in *onboard.PayerInput) { in.AccountID = "bare" },
		"reason_missing":    func(in *onboard.PayerInput) { in.Reason = strings.Repeat("x", 501) },
	} {
		in := payerNamed(w.payer)
		change(&in)
		_, err := w.svc.NamePayer(w.ctx, by, in)
		require.Equal(t, code, fault.CodeOf(err))
	}
	for code, change := range map[string]func(*onboard.PayerInput){
		"email_malformed": func(in *onboard.PayerInput) { in.Email = "nobody" },
		"name_length":     func(in *onboard.PayerInput) { in.Name = "" },
		"issuer_missing":  func(in *onboard.PayerInput) { in.AccountID = "bare" },
	} {
		in := wanted()
		change(&in)
		_, err := w.svc.NamePayer(w.ctx, by, in)
		require.Equal(t, code, fault.CodeOf(err))
	}
	acc, err := w.db.Account(w.ctx, "acme")
	require.NoError(t, err)
	require.Equal(t, w.payer, acc.PayerCustomer, "nothing was changed on the way")
}

func TestSwitchWriting(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready(t)
	_, err := w.svc.Pause(w.ctx, named("kim"), "acme", "maintenance")
	require.NoError(t, err)
	for _, on := range []bool{false, true} {
		for range 2 { // the second time it is so already
			got, err := w.svc.SwitchWriting(w.ctx, named("kim"), "acme", on, " the tax settings change ")
			require.NoError(t, err)
			require.Equal(t, []bool{true, !on}, []bool{got.Paused, got.WriteBackOff}, "a pause is another matter")
		}
	}
	log, err := w.svc.Log(w.ctx, "acme")
	require.NoError(t, err)
	var kept []onboard.LogEntry
	for _, e := range log {
		if strings.HasPrefix(e.Action, "writing_") {
			kept = append(kept, e)
		}
	}
	require.Equal(t, []onboard.LogEntry{
		{Action: "writing_on", Detail: "the tax settings change", Who: named("kim").Label(), At: now}, {Action: "writing_off", Detail: "the tax settings change", Who: named("kim").Label(), At: now},
	}, kept)
	for code, in := range map[string][2]string{
		"reason_missing": {"acme", ""}, "connection_not_found": {"nobody", "r"},
	} {
		_, err := w.svc.SwitchWriting(w.ctx, by, in[0], false, in[1])
		require.Equal(t, code, fault.CodeOf(err))
	}
	for _, r := range w.fake.Requests(stripefake.RequestFilter{}) {
		require.True(t, r.Method == http.MethodGet || r.KeyKind == "secret", r.Path)
	}
}
