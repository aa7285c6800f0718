package campaign

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestExtent holds the constants of a plan to what an undisturbed run really makes, so
// that no request and no call is left out of it.
func TestExtent(t *testing.T) {
	t.Parallel()
	s := Schedule{Class: Single, Lines: 2, Currency: "usd", Workers: 1}
	w, err := newWorld(t.Context(), s, NewMemory(), nil)
	require.NoError(t, err)
	defer w.fake.Close()
	counted := &deaths{}
	w.tap = counted
	_, err = w.driver(w.process).Drive(t.Context(), w.plan.CycleID)
	require.NoError(t, err)
	require.Len(t, w.ourRequests(), baseRequests)
	require.Equal(t, baseCalls, counted.n)
}
