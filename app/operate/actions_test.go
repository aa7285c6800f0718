package operate_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/ingest"
	"github.com/liftbill/liftbill/app/operate"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/reward"
)

// everyReason is each reason with which the code sets an event aside.
func everyReason() []string {
	out := append(reward.Anomalies(), ingest.ReasonModeMismatch, ingest.ReasonAccountMismatch, ingest.ReasonNotJSON, ingest.ReasonThin, "body_unreadable", ingest.CodeValueRefused)
	for _, body := range []string{"", "[1]", "{}"} {
		_, err := reward.Classify([]byte(body), reward.Config{})
		out = append(out, fault.CodeOf(err))
	}
	return out
}

func TestEveryReasonHasAnAction(t *testing.T) {
	t.Parallel()
	known := operate.Reasons()
	for _, r := range everyReason() {
		require.Contains(t, known, r)
	}
	require.Len(t, known, len(everyReason()), "no action for what cannot happen")
	a := operate.ActionOf("status_transition_impossible:canceled>active")
	require.Equal(t, known["status_transition_impossible"], a, "details follow the code")
	unknown := operate.ActionOf("of_a_later_version")
	require.Equal(t, operate.LookAtBody, unknown.Code)
}

// The table in the documentation is the table in the code.
func TestActionsAreDocumented(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(filepath.Join("..", "..", "docs", "operations.md"))
	require.NoError(t, err)
	rows := 0
	for line := range strings.Lines(string(raw)) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 6 || !strings.HasPrefix(strings.TrimSpace(cells[1]), "`") {
			continue
		}
		a, ok := operate.Reasons()[strings.Trim(strings.TrimSpace(cells[1]), "`")]
		if !ok {
			continue
		}
		rows++
		require.Equal(t, []string{a.Means, "`" + a.Code + "`", a.Do}, []string{strings.TrimSpace(cells[2]), strings.TrimSpace(cells[3]), strings.TrimSpace(cells[4])})
	}
	require.Len(t, operate.Reasons(), rows, "every reason has its row")
}
