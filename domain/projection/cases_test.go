//go:build cases

package projection_test

import (
	"bufio"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/liftbill/liftbill/domain/projection"
	"github.com/liftbill/liftbill/domain/reward"
)

// TestSharedEventsConverge reads every recorded and derived event below LIFTBILL_CASES:
// each shows its object, and any order of all of them ends the same.
func TestSharedEventsConverge(t *testing.T) {
	t.Parallel()
	root := os.Getenv("LIFTBILL_CASES")
	require.NotEmpty(t, root, "set LIFTBILL_CASES to the folder of the shared cases")
	var all []projection.Observation
	objects := map[string]int{}
	see := func(raw []byte) {
		c, err := reward.Classify(raw, reward.Config{})
		require.NoError(t, err)
		objects[c.Envelope.ObjectType]++
		all = append(all, projection.Observe(c))
	}
	dir := filepath.Join(root, "stripe", "events")
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		require.NoError(t, err)
		switch {
		case d.IsDir() || d.Name() == "INDEX.json" || d.Name() == "expectations.json":
		case strings.HasSuffix(path, ".json"):
			raw, err := os.ReadFile(path)
			require.NoError(t, err)
			see(raw)
		case strings.HasSuffix(path, ".jsonl"):
			f, err := os.Open(path)
			require.NoError(t, err)
			defer f.Close() //nolint:errcheck // a test
			lines := bufio.NewScanner(f)
			lines.Buffer(nil, 1<<20)
			for lines.Scan() {
				see([]byte(lines.Text()))
			}
			require.NoError(t, lines.Err())
		}
		return nil
	}))
	s := fold(all...)
	want := bytes(t, s)
	places := make([]int, len(all))
	for i := range places {
		places[i] = i
	}
	rapid.Check(t, func(t *rapid.T) {
		var order []projection.Observation
		for _, i := range rapid.Permutation(places).Draw(t, "order") {
			order = append(order, all[i])
		}
		if bytes(t, fold(order...)) != want {
			t.Fatal("another order, another state")
		}
	})
	t.Logf("%d events of %v: %d customers, %d subscriptions, %d invoices, %d charges, %d disputes, %d products", len(all), objects,
		len(s.Customers), len(s.Subscriptions), len(s.Invoices), len(s.Charges), len(s.Disputes), len(s.Products))
	undecided := 0
	for _, o := range s.Subscriptions {
		now, ok := o.Now()
		require.True(t, ok)
		require.NotEmpty(t, now.Status)
		require.NotEmpty(t, now.Items, o.ID)
		require.NotEmpty(t, projection.Intervals(projection.Timeline(o)))
		if o.Undecided {
			undecided++
		}
	}
	t.Logf("%d subscriptions undecided", undecided)
	for _, o := range s.Charges {
		now, _ := o.Now()
		require.NotNil(t, now.Amount, o.ID)
	}
	require.NotEmpty(t, s.Products)
}
