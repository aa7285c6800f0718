package campaign_test

import (
	"testing"

	"github.com/liftbill/liftbill/internal/campaign"
	"github.com/liftbill/liftbill/internal/campaign/pgledger"
	"github.com/liftbill/liftbill/internal/pipelinetest"
)

// Both ledgers keep one contract, so that what the campaign finds with the fast one holds
// for the real one.
func TestLedgersKeepOneContract(t *testing.T) {
	t.Parallel()
	t.Run("in memory", func(t *testing.T) {
		t.Parallel()
		pipelinetest.HoldToContract(t, func(testing.TB) campaign.Ledger { return campaign.NewMemory() })
	})
	t.Run("in PostgreSQL", func(t *testing.T) {
		t.Parallel()
		pipelinetest.HoldToContract(t, func(t testing.TB) campaign.Ledger {
			l := pipelinetest.NewLedger(t)
			return pgledger.New(l.DB, l.SQL)
		})
	})
}
