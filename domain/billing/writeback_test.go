package billing_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

// The IDs were computed with Python: uuid.uuid5(namespace, "\0".join(key)), where the
// namespace is 6c696674-6269-4c6c-8077-72697465626b.
func TestIntentIDIsAKnownUUIDv5(t *testing.T) {
	t.Parallel()
	k := billing.IntentKey{IssuerConnection: "acme-live", Customer: "cus_NffrFeUfNV2Hib", Currency: "usd", Period: "2026-10", Part: "1/1"}
	require.Equal(t, "bc7ad24b-e743-5c9d-bb8c-e694b886fb1a", k.ID())
	require.Equal(t, "lb:bc7ad24b-e743-5c9d-bb8c-e694b886fb1a", k.StripeKey())
	require.Equal(t, "6b01d0b2-2f1c-566f-9c8b-17ff226d03f1", billing.IntentKey{}.ID())
	require.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, k.ID())
	seen := map[string]bool{k.ID(): true}
	for _, change := range []func(*billing.IntentKey){
		func(k *billing.IntentKey) { k.IssuerConnection = "acme" }, func(k *billing.IntentKey) { k.Customer = "cus_2" },
		func(k *billing.IntentKey) { k.Currency = "eur" }, func(k *billing.IntentKey) { k.Period = "2026-11" },
		func(k *billing.IntentKey) { k.Part = "1/2" },
		func(k *billing.IntentKey) { k.IssuerConnection, k.Customer = "acme-livecus_NffrFeUfNV2Hib", "" },
	} {
		other := k
		change(&other)
		require.False(t, seen[other.ID()])
		seen[other.ID()] = true
	}
}

func proof(t *testing.T, connection string) account.LiveProof {
	t.Helper()
	key, err := account.ParseSecretKey("rk_live_4f8d2c1b9a7e6053unit")
	require.NoError(t, err)
	p, err := account.ProveLive(account.Connection{ID: connection, Environment: account.Live, Roles: account.Roles{Issuer: true}}, key,
		account.Observation{StripeAccountID: "acct_1", Livemode: true, LivemodeSeen: true})
	require.NoError(t, err)
	return p
}

// Nothing but a live account with the proof of its own issuer gets the permission.
func TestAuthorize(t *testing.T) {
	t.Parallel()
	plan, err := billing.NewInvoicePlan(planInput(t, 2, nil))
	require.NoError(t, err)
	w, err := billing.Authorize(proof(t, "vendor"), account.Live, plan, opened(t, plan))
	require.NoError(t, err)
	require.True(t, w.Valid())
	require.Equal(t, plan, w.Plan())
	hash := w.Plan().Hash()
	plan.Lines[0].AmountMinor++
	w.Plan().Lines[0].AmountMinor += 2
	w.Plan().Metadata["lb_key"] = "another"
	require.Equal(t, hash, w.Plan().Hash(), "what was authorised cannot be changed")
	plan.Lines[0].AmountMinor--
	require.False(t, billing.WriteBack{}.Valid(), "nobody authorised the zero value")

	empty := plan
	empty.Lines = nil
	for name, c := range map[string]struct {
		proof account.LiveProof
		env   account.Environment
		plan  billing.InvoicePlan
		code  string
		kind  fault.Kind
	}{
		"no proof":                   {account.LiveProof{}, account.Live, plan, "mode_violation", fault.Forbidden},
		"proof of another":           {proof(t, "other"), account.Live, plan, "mode_violation", fault.Forbidden},
		"test account":               {proof(t, "vendor"), account.Test, plan, "test_mode_write", fault.Forbidden},
		"no environment":             {proof(t, "vendor"), "", plan, "test_mode_write", fault.Forbidden},
		"no proof and no connection": {account.LiveProof{}, account.Live, billing.InvoicePlan{}, "mode_violation", fault.Forbidden},
		"no lines":                   {proof(t, "vendor"), account.Live, empty, "lines_count", fault.Invalid},
	} {
		w, err := billing.Authorize(c.proof, c.env, c.plan, opened(t, c.plan))
		require.Equal(t, c.code, fault.CodeOf(err), name)
		require.True(t, fault.Is(err, c.kind), name)
		require.False(t, w.Valid(), name)
	}
}

func TestPlanInvariants(t *testing.T) {
	t.Parallel()
	fresh := func() billing.InvoicePlan {
		p, err := billing.NewInvoicePlan(planInput(t, 2, nil))
		require.NoError(t, err)
		return p
	}
	for code, change := range map[string]func(*billing.InvoicePlan){
		"payer_missing":     func(p *billing.InvoicePlan) { p.Key.Customer = "" },
		"lines_count":       func(p *billing.InvoicePlan) { p.Lines = make([]billing.PlanLine, billing.MaxBillableSnapshots+1) },
		"line_not_positive": func(p *billing.InvoicePlan) { p.Lines[1].AmountMinor = 0 },
		"line_repeated":     func(p *billing.InvoicePlan) { p.Lines[1].Line = p.Lines[0].Line },
	} {
		p := fresh()
		change(&p)
		require.Equal(t, code, fault.CodeOf(p.Validate()))
	}
	p := fresh()
	p.Lines[0].AmountMinor = -1
	require.Equal(t, "line_not_positive", fault.CodeOf(p.Validate()))
}

// The whole table: every pair of states is allowed or refused on purpose.
func TestCycleMoves(t *testing.T) {
	t.Parallel()
	all := []billing.CycleState{
		billing.Collecting, billing.Computing, billing.Proposed, billing.Writing, billing.Invoiced, billing.Withheld,
		billing.DryRun, billing.Blocked, billing.NeedsHuman,
	}
	allowed := map[billing.CycleState]map[billing.CycleState]bool{
		billing.Collecting: {billing.Computing: true, billing.NeedsHuman: true}, billing.Computing: {billing.Proposed: true},
		billing.Proposed:   {billing.Writing: true, billing.Withheld: true, billing.DryRun: true, billing.Blocked: true, billing.NeedsHuman: true},
		billing.Writing:    {billing.Invoiced: true, billing.NeedsHuman: true, billing.Blocked: true, billing.Collecting: true},
		billing.Blocked:    {billing.Writing: true, billing.NeedsHuman: true, billing.Collecting: true},
		billing.NeedsHuman: {billing.Writing: true, billing.Blocked: true, billing.Collecting: true},
		billing.Invoiced:   {billing.NeedsHuman: true},
	}
	for _, from := range all {
		for _, to := range all {
			err := from.Move(to)
			if from == to || allowed[from][to] {
				require.NoError(t, err, "%s -> %s", from, to)
				continue
			}
			require.True(t, fault.Is(err, fault.Conflict), "%s -> %s", from, to)
		}
		require.Error(t, from.Move("paid"))
		require.Error(t, billing.CycleState("").Move(from))
		require.Equal(t, from == billing.Invoiced || from == billing.Withheld || from == billing.DryRun, from.Terminal(), from)
		require.Equal(t, from == billing.Blocked || from == billing.NeedsHuman, from.NextAction() != "", from)
	}
	require.Equal(t, "acme.2026-10", billing.CycleID("acme", month(t, "2026-10")))
}
