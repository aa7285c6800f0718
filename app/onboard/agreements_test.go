package onboard_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
)

func TestAgreements(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready(t)
	_, created, err := w.svc.CreateContract(w.ctx, by, "acme", "c1", terms())
	require.NoError(t, err)
	require.True(t, created)
	_, created, err = w.svc.CreateContract(w.ctx, by, "acme", "c1", terms())
	require.NoError(t, err)
	require.False(t, created)
	other := terms()
	other.Share = "0.3"
	_, _, err = w.svc.CreateContract(w.ctx, by, "acme", "c1", other)
	require.Equal(t, "contract_exists", fault.CodeOf(err))
	_, _, err = w.svc.CreateContract(w.ctx, by, "nobody", "c1", terms())
	require.Equal(t, "account_not_found", fault.CodeOf(err))

	euro := plan(t, "2026-10", 2)
	euro.Currency = "eur"
	twoWay := plan(t, "2026-10", 2)
	twoWay.Settlement = lift.SettlePointTwoWay
	exploring := plan(t, "2026-10", 2)
	exploring.Randomisation, exploring.HoldoutProbability, exploring.SaltCommitment = lift.RandomisedPerDecision, "", ""
	for code, in := range map[string]onboard.PlanInput{
		"salt_malformed":       {ID: "p1", Plan: plan(t, "2026-10", 2), SaltHex: "00ff"},
		"currency_differs":     {ID: "p1", Plan: euro, SaltHex: saltHex},
		"first_period_differs": {ID: "p1", Plan: plan(t, "2026-11", 2), SaltHex: saltHex},
		"settlement_differs":   {ID: "p1", Plan: twoWay, SaltHex: saltHex},
		"plan_randomisation":   {ID: "p1", Plan: exploring, SaltHex: saltHex},
		"id_malformed":         {ID: "P", Plan: plan(t, "2026-10", 2), SaltHex: saltHex},
	} {
		_, _, err := w.svc.SealPlan(w.ctx, by, "acme", in)
		require.Equal(t, code, fault.CodeOf(err))
	}
	in := onboard.PlanInput{ID: "p1", Plan: plan(t, "2026-10", 2), SaltHex: saltHex}
	for repeat := range 2 {
		stored, created, err := w.svc.SealPlan(w.ctx, by, "acme", in)
		require.NoError(t, err)
		require.Equal(t, repeat == 0, created)
		require.NotContains(t, string(stored.SealedSalt), "0123456789abcdef")
	}
	in.Plan.Baseline = "another"
	_, _, err = w.svc.SealPlan(w.ctx, by, "acme", in)
	require.Equal(t, "plan_exists", fault.CodeOf(err))

	// The next contract year has a plan of its own, with a salt that nobody knows yet.
	second := plan(t, "2027-10", 3)
	second.Version = 2
	otherSalt := strings.Repeat("5a", 16)
	for code, in := range map[string]onboard.PlanInput{
		"plan_exists":          {ID: "p1", Plan: second, SaltHex: otherSalt},
		"salt_repeated":        {ID: "p2", Plan: second, SaltHex: saltHex},
		"plan_version_order":   {ID: "p2", Plan: plan(t, "2027-10", 3), SaltHex: otherSalt},
		"first_period_differs": {ID: "p2", Plan: func() lift.Plan { p := second; p.FirstPeriod = "2027-11"; return p }(), SaltHex: otherSalt},
	} {
		_, _, err := w.svc.SealPlan(w.ctx, by, "acme", in)
		require.Equal(t, code, fault.CodeOf(err))
	}
	for repeat := range 2 {
		_, created, err := w.svc.SealPlan(w.ctx, by, "acme", onboard.PlanInput{ID: "p2", Plan: second, SaltHex: otherSalt})
		require.NoError(t, err)
		require.Equal(t, repeat == 0, created)
	}
	third := plan(t, "2028-10", 3)
	third.Version = 3
	_, _, err = w.svc.SealPlan(w.ctx, by, "acme", onboard.PlanInput{ID: "p3", Plan: third, SaltHex: strings.Repeat("5b", 16)})
	require.NoError(t, err)
	plans, err := w.svc.PlansOf(w.ctx, []string{"nobody", "acme"})
	require.NoError(t, err)
	require.Len(t, plans, 1)
	var years []string
	for _, p := range plans["acme"] {
		years = append(years, p.Plan.Plan().FirstPeriod)
	}
	require.Equal(t, []string{"2026-10", "2027-10", "2028-10"}, years)
}

// A plan without a holdout has no salt, and a contract that settles both ways needs a
// plan that does.
func TestPlanWithoutHoldout(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ready(t)
	both := terms()
	both.Settlement = lift.SettlePointTwoWay
	_, _, err := w.svc.CreateContract(w.ctx, by, "acme", "c1", both)
	require.NoError(t, err)
	p := plan(t, "2026-10", 2)
	p.Randomisation, p.HoldoutProbability, p.SaltCommitment = lift.RandomisedPerDecision, "", ""
	_, _, err = w.svc.SealPlan(w.ctx, by, "acme", onboard.PlanInput{ID: "p1", Plan: p})
	require.Equal(t, "settlement_differs", fault.CodeOf(err))
	p.Settlement = lift.SettlePointTwoWay
	for repeat := range 2 {
		stored, created, err := w.svc.SealPlan(w.ctx, by, "acme", onboard.PlanInput{ID: "p1", Plan: p})
		require.NoError(t, err)
		require.Equal(t, repeat == 0, created)
		require.Empty(t, stored.Plan.Plan().SaltCommitment)
	}
}
