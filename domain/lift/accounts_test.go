package lift_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/liftbill/liftbill/domain/lift"
)

// seen is a decision about a user, logged under a unit.
func seen(unit, user, snapshot string, arm lift.Arm, days float64) lift.Exposure {
	e := exposure(unit, snapshot, arm, days)
	e.UserID = user
	return e
}

func link(customer, user string, days float64) lift.Link {
	return lift.Link{CustomerID: customer, UserID: user, From: at(days)}
}

func accountPlan(t require.TestingT) lift.Plan {
	p := plan(t)
	p.Unit = lift.UnitAccount
	return p
}

func unitsOf(t lift.UnitTable) []string {
	var out []string
	for _, r := range t.Rows {
		out = append(out, fmt.Sprintf("%s %s %d", r.UnitID, r.Arm, r.YMinor))
	}
	return out
}

// TestAccountsAreUnitsThatKnewEachOther: b and a share a customer that both were linked
// to before a was exposed; d shares one with c, but was linked only after c was exposed.
func TestAccountsAreUnitsThatKnewEachOther(t *testing.T) {
	t.Parallel()
	exposures := []lift.Exposure{
		seen("b", "bob", "s", lift.ArmHoldout, 5), seen("a", "ann", "s", lift.ArmPolicy, 20),
		seen("c", "cyd", "s", lift.ArmPolicy, 8), seen("d", "dan", "s", lift.ArmHoldout, 30),
	}
	links := []lift.Link{link("cus_1", "bob", 0), link("cus_1", "ann", 4), link("cus_2", "cyd", 0), link("cus_2", "dan", 9), link("cus_3", "stranger", 0), link("cus_4", "", 0)}
	revenue := []lift.Revenue{{Key: "1", UnitID: "a", AmountMinor: 100, At: at(21)}, {Key: "2", UnitID: "b", AmountMinor: 10, At: at(22)},
		{Key: "3", UnitID: "a", AmountMinor: 1, At: at(6)}, {Key: "4", UnitID: "d", AmountMinor: 7, At: at(31)}}
	j, err := lift.Join(accountPlan(t), exposures, revenue, links)
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"b holdout 111", "c policy 0", "d holdout 7"}, unitsOf(j.Pooled),
		"the account has the name and the arm of its first exposure, and the revenue of all its users from then on")
	require.Equal(t, []string{"b", "d"}, j.Crossover, "b was seen in both arms, d met its account too late")
	require.Equal(t, "b", j.UnitOf("a"))
	require.Equal(t, "d", j.UnitOf("d"))

	// With unit user nothing merges, and a customer in both arms is crossover.
	j, err = lift.Join(plan(t), exposures, revenue, links)
	require.NoError(t, err)
	require.Len(t, j.Pooled.Rows, 4)
	require.Equal(t, []string{"a", "b", "c", "d"}, j.Crossover)
	exposures[1].Arm, exposures[3].Arm = lift.ArmHoldout, lift.ArmPolicy
	j, err = lift.Join(plan(t), exposures, revenue, links)
	require.NoError(t, err)
	require.Empty(t, j.Crossover, "one arm per customer")
}

// TestAUserWhoMovesIsCrossover: a user of one account who appears under another later
// merges nothing, and the account that it moved to counts.
func TestAUserWhoMovesIsCrossover(t *testing.T) {
	t.Parallel()
	j, err := lift.Join(accountPlan(t), []lift.Exposure{
		seen("acme", "ann", "s", lift.ArmPolicy, 1), seen("beta", "bob", "s", lift.ArmPolicy, 2), seen("beta", "ann", "s", lift.ArmPolicy, 9),
	}, nil, nil)
	require.NoError(t, err)
	require.Len(t, j.Pooled.Rows, 2)
	require.Equal(t, []string{"beta"}, j.Crossover)
}

// TestAccountsDoNotDependOnTheOrder: chains of customers end in the same accounts
// whatever comes first, every cent stays, and a unit is in one account only.
func TestAccountsDoNotDependOnTheOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		var exposures []lift.Exposure
		var links []lift.Link
		var revenue []lift.Revenue
		unit := func() int { return rapid.IntRange(0, 7).Draw(rt, "unit") }
		for i := range rapid.IntRange(1, 20).Draw(rt, "decisions") {
			u := unit()
			exposures = append(exposures, seen(fmt.Sprint("u", u), fmt.Sprint("p", u), "s", lift.ArmPolicy, float64(rapid.IntRange(10, 30).Draw(rt, "day"))))
			revenue = append(revenue, lift.Revenue{Key: fmt.Sprint(i), UnitID: fmt.Sprint("u", unit()), AmountMinor: int64(i), At: at(40)})
		}
		for range rapid.IntRange(0, 12).Draw(rt, "links") {
			links = append(links, link(fmt.Sprint("c", rapid.IntRange(0, 4).Draw(rt, "customer")), fmt.Sprint("p", unit()), float64(rapid.IntRange(0, 40).Draw(rt, "from"))))
		}
		j, err := lift.Join(accountPlan(rt), exposures, revenue, links)
		require.NoError(rt, err)
		rng := rand.New(rand.NewPCG(5, rapid.Uint64().Draw(rt, "shuffle")))
		rng.Shuffle(len(exposures), func(a, b int) { exposures[a], exposures[b] = exposures[b], exposures[a] })
		rng.Shuffle(len(links), func(a, b int) { links[a], links[b] = links[b], links[a] })
		again, err := lift.Join(accountPlan(rt), exposures, revenue, links)
		require.NoError(rt, err)
		require.Equal(rt, unitsOf(j.Pooled), unitsOf(again.Pooled))
		require.Equal(rt, j.Crossover, again.Crossover)
		for i := range exposures {
			root := j.UnitOf(exposures[i].UnitID)
			require.Equal(rt, root, j.UnitOf(root))
		}
	})
}

// TestFeaturesAreOfTheFirstExposureToAnySnapshot: what is known when a unit meets its
// second snapshot may be an effect of the first.
func TestFeaturesAreOfTheFirstExposureToAnySnapshot(t *testing.T) {
	t.Parallel()
	j, err := lift.Join(plan(t), []lift.Exposure{exposure("u", "s1", lift.ArmPolicy, 10), exposure("u", "s2", lift.ArmPolicy, 40)}, nil, nil)
	require.NoError(t, err)
	for _, tab := range append(j.Tables, j.Pooled) {
		require.Equal(t, []float64{10, 1}, tab.Rows[0].Features, tab.SnapshotID)
	}
	require.Equal(t, at(40), j.Tables[1].Rows[0].FirstExposure)
}
