package campaign_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/internal/campaign"
)

// hints say where in a plan a mutant is found out soon: what the line of a schedule holds.
// The campaign itself looks through all of them (make campaign).
var hints = map[string]string{
	"no look-up before a create":             "drop_after at request 1",
	"lines added without a look":             "one fault",
	"no pin":                                 "one fault",
	"the last pin wins":                      "stands still at its call",
	"a draft is finalized without a claim":   "ends at call 35 (late false), 2 workers",
	"what is out of date escalates":          "stands still at its call 9",
	"a cached key is used again":             "500_before at request 2",
	"the key depends on the attempt":         "drop_after at request 12",
	"no verification":                        "429 at request 5",
	"no second look before the release":      "operator: adds an item",
	"released before the second look":        "operator: adds an item",
	"no sweep":                               "500_late at request 2 (6h",
	"drafts deleted without their items":     "drop_after at request 4",
	"a draft is burnt when finalize is lost": "500_late at request 8",
	"no status check before finalize":        "drop_after at request 8",
	"given-up invoices are forgotten":        "metadata cleared between attempts",
	"other people's items are deleted":       "operator: adds an item",
	"what was taken back is left at Stripe":  "operator: has the draft taken back for good",
	"a finalized invoice is taken back":      "operator: has the",
	"a person is never asked":                "clears an item's metadata",
	"the payer's coupon is inherited":        "coupon",
	"pending items are taken in":             "one fault",
	"the draft advances by itself":           "25h",
	"items hang on no invoice":               "one fault",
	"amounts are multiplied by 100":          "one fault",
}

// TestWriteBackMutantsAreCaught is the negative control of the campaign: each variant of
// the write-back lacks one part, the auditor must find each one out, and must not object
// to the whole one under the same schedule.
func TestWriteBackMutantsAreCaught(t *testing.T) {
	t.Parallel()
	plan := campaign.Plan(1, campaign.EnoughForMutants)
	mutants := campaign.Mutants()
	require.Len(t, hints, len(mutants))
	for _, m := range mutants {
		t.Run(m.Name, func(t *testing.T) {
			t.Parallel()
			hint, ok := hints[m.Name]
			require.True(t, ok)
			var likely []campaign.Schedule
			for _, s := range plan {
				if strings.Contains(s.String(), hint) {
					likely = append(likely, s)
				}
			}
			c, err := campaign.Hunt(t.Context(), m, likely, func() campaign.Ledger { return campaign.NewMemory() })
			require.NoError(t, err)
			require.Positive(t, c.After, "none of %d schedules objected", len(likely))
			t.Logf("after %d of %d: %s -> %s %s %v", c.After, len(likely), c.By.Schedule, c.By.End, c.By.Reason, c.By.Findings)
			whole, err := campaign.Run(t.Context(), c.By.Schedule, campaign.NewMemory(), nil)
			require.NoError(t, err)
			require.False(t, whole.Wrong(), "%s %v", whole.Reason, whole.Findings)
		})
	}
}
