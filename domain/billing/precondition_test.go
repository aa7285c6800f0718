package billing_test

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/billing"
)

// Every situation that waits for somebody has a code of its own, says what is the case
// and what to do.
func TestEverySituationHasANextAction(t *testing.T) {
	t.Parallel()
	code := regexp.MustCompile(`^[a-z][a-z_]+$`)
	for state, all := range map[billing.CycleState][]billing.Situation{billing.Blocked: billing.Unmet(), billing.NeedsHuman: billing.Stops()} {
		seen := map[string]bool{}
		for _, s := range all {
			require.Regexp(t, code, s.Code)
			require.False(t, seen[s.Code], s.Code)
			seen[s.Code] = true
			require.NotEmpty(t, s.Means, s.Code)
			require.Equal(t, s.Next, billing.NextAction(state, s.Code))
			require.Equal(t, s.Next, billing.NextAction(state, s.Code+": with details"))
			require.NotEqual(t, state.NextAction(), s.Next)
		}
		require.Equal(t, state.NextAction(), billing.NextAction(state, "something new"))
		require.Equal(t, state.NextAction(), billing.NextAction(state, ""))
	}
	for _, s := range []billing.CycleState{billing.Collecting, billing.Computing, billing.Proposed, billing.Writing, billing.Invoiced, billing.Withheld, billing.DryRun} {
		require.Empty(t, billing.NextAction(s, billing.UnmetPayerEmail))
	}
}
