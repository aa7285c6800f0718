package billing_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The contracts computed by hand: each term alone, at its bounds and together with
// others. The calculation stands beside every month; docs/contracts.md tells ten of
// them in full.
func TestContractsComputedByHand(t *testing.T) {
	t.Parallel()
	var all []story
	for _, part := range [][]story{storiesOfShares(), storiesOfTiers(), storiesOfCaps(), storiesOfFees(), storiesOfPhases(), storiesOfCorrections(), storiesTogether()} {
		all = append(all, part...)
	}
	require.GreaterOrEqual(t, len(all), 40)
	names := map[string]bool{}
	for _, s := range all {
		require.False(t, names[s.name[:2]], s.name)
		names[s.name[:2]] = true
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			tell(t, s)
		})
	}
}
