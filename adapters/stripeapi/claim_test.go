package stripeapi_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/domain/fault"
)

// TestAClaimThatIsOverFinalizesNothing: another worker may be emptying the draft.
func TestAClaimThatIsOverFinalizesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, everything())
	p := plan(w.customer("live"))
	out := openWriter(t, w, p)
	draft, err := out.CreateDraft(t.Context(), 0)
	require.NoError(t, err)
	w.tap.take()
	for _, claimed := range []time.Time{start.Add(-invoicing.ClaimFor / 2), start.Add(-960 * time.Hour), start.Add(invoicing.ClaimFor)} {
		_, err := out.Finalize(t.Context(), draft.ID, 0, claimed)
		requireFault(t, err, fault.Unavailable, "moved_on")
	}
	require.Empty(t, w.tap.take(), "nothing was sent")
	_, err = out.Finalize(t.Context(), draft.ID, 0, start.Add(-invoicing.ClaimFor/2+time.Second))
	require.NoError(t, err)
}
