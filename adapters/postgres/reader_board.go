package postgres

import (
	"context"

	"gorm.io/gorm"

	"github.com/liftbill/liftbill/app/reconcile"
)

// boardFigures completes the cycles of a page with what is looked up by their IDs only: it
// costs what the page holds, whatever the list is filtered and sorted by.
func boardFigures(ctx context.Context, tx *gorm.DB, page []reconcile.CycleSummary) error {
	if len(page) == 0 {
		return nil
	}
	at, ids := map[string]int{}, make([]string, len(page))
	for i, c := range page {
		at[c.ID], ids[i] = i, c.ID
	}
	var rows []struct {
		ID, ContractID                         string
		ContractVersion, Revision              int
		TrueUpMinor, LaterMinor, WithheldMinor int64
	}
	err := tx.WithContext(ctx).Raw(`
		SELECT c.id, c.contract_id, k.version AS contract_version, c.revision,
			coalesce((SELECT sum(f.amount_minor)::bigint FROM cycle_charges f WHERE f.cycle_id = c.id AND f.kind = 'adjustment'), 0) AS true_up_minor,
			coalesce((SELECT sum(j.amount_minor)::bigint FROM adjustments j WHERE j.origin_cycle = c.id), 0) AS later_minor,
			coalesce((SELECT sum(l.deferred_minor + l.waived_minor)::bigint FROM cycle_lines l WHERE l.cycle_id = c.id AND l.fee_minor = 0 AND l.base_minor = 0), 0) AS withheld_minor
		FROM cycles c JOIN contracts k ON k.id = c.contract_id WHERE c.id = ANY (?::text[])`, wordsOf(ids)).Scan(&rows).Error
	for _, r := range rows {
		c := &page[at[r.ID]]
		c.ContractID, c.ContractVersion, c.Revision = r.ContractID, r.ContractVersion, r.Revision
		c.TrueUpMinor, c.LaterMinor, c.WithheldMinor = r.TrueUpMinor, r.LaterMinor, r.WithheldMinor
	}
	return wrap(err)
}
