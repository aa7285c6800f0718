package reward_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// statusMatrix is the decision table of status changes, row before and column after;
// "!" is an anomaly and "-" the unchanged status.
const statusMatrix = `
                    incomplete  incomplete_expired  trialing     active                    past_due                      unpaid                        paused               canceled
incomplete          -           activation_failed   trial_start  conversion                conversion                    !                             !                    activation_failed
incomplete_expired  !           -                   !            !                         !                             !                             !                    !
trialing            !           !                   -            trial_expired+conversion  trial_expired+payment_failed  trial_expired+payment_failed  trial_expired+pause  !
active              !           !                   trial_start  -                         payment_failed                churn                         pause                churn
past_due            !           !                   trial_start  payment_recovered         -                             churn                         pause                churn
unpaid              !           !                   trial_start  reactivation              reactivation                  -                             !                    churn_finalised
paused              !           !                   trial_start  resume+conversion         resume                        !                             -                    churn_finalised
canceled            !           !                   !            !                         !                             !                             !                    -
`

func TestStatusMatrix(t *testing.T) {
	t.Parallel()
	lines := strings.Split(strings.TrimSpace(statusMatrix), "\n")
	columns := strings.Fields(lines[0])
	require.Len(t, lines[1:], 8)
	for _, line := range lines[1:] {
		cells := strings.Fields(line)
		for k, want := range cells[1:] {
			before, after := cells[0], columns[k]
			t.Run(before+"_to_"+after, func(t *testing.T) {
				t.Parallel()
				got := updated(t, trialSub(after, nil), obj{"status": before})
				switch want {
				case "!":
					require.Empty(t, got.Facts)
					require.Equal(t, "status_transition_impossible:"+before+">"+after, got.Anomaly)
					require.Len(t, got.NeedsRead, 1, "the object itself decides")
				case "-":
					require.Empty(t, got.Facts)
					require.Empty(t, got.Anomaly)
				default:
					require.Empty(t, got.Anomaly)
					require.Equal(t, strings.Split(want, "+"), kinds(got))
				}
				for _, f := range got.Facts {
					require.Equal(t, f.Kind.IsReward(), f.IsReward)
					require.Equal(t, "cus_1", f.Customer)
					require.NotEmpty(t, f.Key)
					require.False(t, f.EffectiveAt.IsZero())
				}
			})
		}
	}
}

func TestStatusChangeDetails(t *testing.T) {
	t.Parallel()
	t.Run("a conversion waits for money and moves the recurring revenue", func(t *testing.T) {
		t.Parallel()
		f := fact(t, updated(t, trialSub("active", nil), obj{"status": "trialing"}), "conversion")
		require.True(t, f.Flags.Unconfirmed)
		require.Equal(t, "conversion:sub_1:trial:1705276800", f.Key)
		require.Equal(t, at(trialE), f.EffectiveAt)
		require.Equal(t, "0", f.MRRBefore)
		require.Equal(t, "2000", f.MRRAfter)
	})
	t.Run("a direct conversion is keyed by its start", func(t *testing.T) {
		t.Parallel()
		f := fact(t, updated(t, sub("active", nil), obj{"status": "incomplete"}), "conversion")
		require.Equal(t, "conversion:sub_1:direct:1704067200", f.Key)
	})
	t.Run("unpaid is churn that a payment can still revert", func(t *testing.T) {
		t.Parallel()
		f := fact(t, updated(t, sub("unpaid", nil), obj{"status": "past_due"}), "churn")
		require.True(t, f.Flags.NotFinal)
		require.Equal(t, "involuntary", f.Flags.Cause)
		require.Equal(t, "2000", f.MRRBefore)
		require.Equal(t, "0", f.MRRAfter)
	})
	t.Run("a second trial is a re-entry", func(t *testing.T) {
		t.Parallel()
		require.True(t, fact(t, updated(t, trialSub("trialing", nil), obj{"status": "active"}), "trial_start").Flags.Reentry)
		require.False(t, fact(t, updated(t, trialSub("trialing", nil), obj{"status": "paused"}), "trial_start").Flags.Reentry)
	})
	t.Run("a trial that failed to collect says so", func(t *testing.T) {
		t.Parallel()
		require.True(t, fact(t, updated(t, trialSub("past_due", nil), obj{"status": "trialing"}), "payment_failed").Flags.AtTrialEnd)
	})
	t.Run("without the invoice a failure stays a state fact", func(t *testing.T) {
		t.Parallel()
		got := updated(t, sub("past_due", obj{"latest_invoice": nil}), obj{"status": "active"})
		require.Equal(t, []string{"payment_at_risk"}, kinds(got))
		require.Empty(t, got.Signals)
	})
	t.Run("a status nobody knows is quarantined", func(t *testing.T) {
		t.Parallel()
		got := updated(t, sub("hibernating", nil), obj{"status": "active"})
		require.Equal(t, "status_unknown", got.Anomaly)
		require.Len(t, got.NeedsRead, 1)
	})
}
