package tabular

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTooManyBytes: a table that ends at the limit is refused, not taken for whole.
func TestTooManyBytes(t *testing.T) {
	t.Parallel()
	text := "a,b\n1,2\n3,4\n"
	for limit := range int64(len(text) + 2) {
		rows, err := 0, error(nil)
		var tab *table
		if tab, err = open(strings.NewReader(text), limit); err == nil {
			for ok := true; ok && err == nil; {
				if ok, err = tab.next(); ok {
					rows++
				}
			}
		}
		if limit > int64(len(text)) {
			require.NoError(t, err)
			require.Equal(t, 2, rows)
			continue
		}
		require.ErrorContains(t, err, "too many bytes", "limit %d", limit)
	}
}
