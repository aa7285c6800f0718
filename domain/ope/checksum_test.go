package ope_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/ope"
)

// TestMomentsHaveDigestsByFold: neither order nor workers reach them, and a change of one unit
// changes the digest of its fold only.
func TestMomentsHaveDigestsByFold(t *testing.T) {
	t.Parallel()
	units := world{n: 600, d: 3, h: 0.3, payers: 0.4, seed: 9}.units()
	digests := func(workers int) []string {
		table, err := ope.NewTable(units, 3, 5)
		require.NoError(t, err)
		pass, err := table.Pass(0, workers)
		require.NoError(t, err)
		return pass.Moments().Digests()
	}
	want := digests(1)
	require.Len(t, want, 5)
	require.Equal(t, want, digests(7))
	units[0], units[500] = units[500], units[0]
	require.Equal(t, want, digests(64))
	units[3].Y++
	changed := digests(1)
	for k := range want {
		require.Equal(t, k == ope.FoldOf(units[3].ID, 5), want[k] != changed[k])
	}
}
