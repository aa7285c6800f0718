package onboard_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/audit"
	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	trail "github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/fault"
)

// entries lists what was written down, oldest first.
func (w *world) entries(t *testing.T) []trail.Row {
	t.Helper()
	rows, err := w.log.After(w.ctx, trail.LiveChain, 0, 100)
	require.NoError(t, err)
	_, err = (&audit.Service{Reader: w.log}).Verify(w.ctx, trail.LiveChain, audit.Head{})
	require.NoError(t, err)
	return rows
}

// Every step of a set-up is one row with who, what and the new values; the same step
// again is none, and so is one that is refused.
func TestEveryStepIsWrittenDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	user := access.Principal{Kind: access.User, ID: "user_1", Name: "Ada", Person: "user_1", Roles: access.Roles{access.Admin}, Scope: access.Everything(), RequestID: "req-1"}
	bare := onboard.AccountInput{ID: "acme", Environment: "live", Name: "Acme", SourceConnection: "acme"}
	whole := bare
	whole.IssuerConnection, whole.PayerCustomer = "acme", w.payer
	steps := []func() error{
		func() error { _, _, err := w.svc.Connect(w.ctx, user, input("acme", "live", liveKey)); return err },
		func() error { _, _, err := w.svc.RegisterWebhook(w.ctx, user, "acme"); return err },
		func() error { _, _, err := w.svc.CreateAccount(w.ctx, user, bare); return err },
		func() error { _, _, err := w.svc.CreateAccount(w.ctx, user, whole); return err },
		func() error { _, _, err := w.svc.CreateContract(w.ctx, user, "acme", "c1", terms()); return err },
		func() error {
			next := terms()
			next.Share, next.EffectiveFrom = "0.25", "2026-12"
			_, _, err := w.svc.AmendContract(w.ctx, user, "acme", "c2", next)
			return err
		},
		func() error {
			_, _, err := w.svc.SealPlan(w.ctx, user, "acme", onboard.PlanInput{ID: "p1", Plan: plan(t, "2026-10", 2), SaltHex: saltHex})
			return err
		},
		func() error {
			_, _, err := w.svc.ShipSnapshot(w.ctx, user, "acme", onboard.SnapshotInput{ID: "s1", Name: "S"})
			return err
		},
	}
	for _, step := range steps {
		for range 2 {
			require.NoError(t, step())
		}
	}
	other := terms()
	other.Share = "0.3"
	_, _, err := w.svc.CreateContract(w.ctx, user, "acme", "c1", other)
	require.Equal(t, "contract_exists", fault.CodeOf(err))
	var did []string
	for _, r := range w.entries(t) {
		did = append(did, string(r.Action)+" "+r.ObjectID)
		require.Equal(t, user.Actor(), r.Actor)
		require.Equal(t, "req-1", r.RequestID)
		require.Equal(t, now, r.At)
		require.Equal(t, account.Live, r.Environment)
		require.NotEmpty(t, r.After)
		require.Equal(t, r.Action == trail.AccountFilled || r.Action == trail.ContractAmended, r.Before != "", r.Action)
		for _, secret := range []string{liveKey, saltHex, "whsec_"} {
			require.NotContains(t, string(r.Canonical()), secret)
		}
	}
	require.Equal(t, []string{
		"connection.created acme", "webhook_endpoint.registered we-acme", "account.created acme", "account.filled acme",
		"contract.created c1", "contract.amended c2", "plan.sealed p1", "snapshot.shipped s1",
	}, did)
}

// Whoever calls a use case without the right to is refused by it, whatever stood before.
func TestUseCasesAskAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready(t)
	_, _, err := w.svc.SealPlan(w.ctx, by, "acme", onboard.PlanInput{ID: "p1", Plan: plan(t, "2026-10", 2), SaltHex: saltHex})
	require.NoError(t, err)
	before := len(w.entries(t))
	testOnly, err := access.NewScope(nil, []string{"test"})
	require.NoError(t, err)
	other, err := access.NewScope([]string{"other"}, []string{"live"})
	require.NoError(t, err)
	for name, call := range map[string]func(by access.Principal) error{
		"connect": func(by access.Principal) error {
			_, _, err := w.svc.Connect(w.ctx, by, input("x", "live", otherKey))
			return err
		},
		"create an account": func(by access.Principal) error {
			_, _, err := w.svc.CreateAccount(w.ctx, by, onboard.AccountInput{ID: "x", Environment: "live", Name: "X", SourceConnection: "acme"})
			return err
		},
		"agree": func(by access.Principal) error {
			_, _, err := w.svc.CreateContract(w.ctx, by, "acme", "c1", terms())
			return err
		},
		"amend": func(by access.Principal) error {
			_, _, err := w.svc.AmendContract(w.ctx, by, "acme", "c2", terms())
			return err
		},
		"seal": func(by access.Principal) error {
			_, _, err := w.svc.SealPlan(w.ctx, by, "acme", onboard.PlanInput{ID: "p2", Plan: plan(t, "2026-10", 3), SaltHex: saltHex})
			return err
		},
		"ship": func(by access.Principal) error {
			_, _, err := w.svc.ShipSnapshot(w.ctx, by, "acme", onboard.SnapshotInput{ID: "s", Name: "S"})
			return err
		},
	} {
		for _, p := range []access.Principal{
			{}, {Kind: access.User, ID: "u", Roles: access.Roles{access.Viewer, access.Approver, access.Ingest}, Scope: access.Everything()},
		} {
			require.Equal(t, access.CodePermission, fault.CodeOf(call(p)), name)
		}
		for _, scope := range []access.Scope{{}, testOnly, other} {
			err := call(access.Principal{Kind: access.Token, ID: "t", Roles: access.Roles{access.Admin, access.Finance}, Scope: scope})
			require.Contains(t, []string{access.CodeScope, "account_not_found"}, fault.CodeOf(err), "%s: %s", name, scope)
		}
	}
	_, _, err = w.svc.RegisterWebhook(w.ctx, access.Principal{}, "acme")
	require.Equal(t, access.CodePermission, fault.CodeOf(err))
	_, _, err = w.svc.RegisterWebhook(w.ctx, access.Principal{Roles: access.Roles{access.Admin}, Scope: testOnly}, "acme")
	require.Equal(t, "connection_not_found", fault.CodeOf(err))
	require.Len(t, w.entries(t), before, "what was refused is no entry of a change")
}
