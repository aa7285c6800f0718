package postgres

import (
	"slices"

	"gorm.io/gorm"

	"github.com/liftbill/liftbill/app/measure"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/period"
)

// finished is the condition of a cycle c that nothing moves any more.
const finished = "c.state IN ('invoiced', 'withheld', 'dry_run', 'skipped')"

// consumed is the condition of one whose lines count for the months after it. A skipped
// one consumed nothing: what was measured in it stays billable.
const consumed = "c.state IN ('invoiced', 'withheld', 'dry_run')"

// highWater sums what the contract year consumed before a cycle: billed or waived. Only
// finished cycles count; openBefore names the others, whose marks are unknown.
func highWater(tx *gorm.DB, cy measure.Cycle) (map[string]int64, error) {
	var marks []struct {
		SnapshotID string
		Consumed   int64
	}
	err := tx.Raw(`SELECT l.snapshot_id, sum(l.base_minor + l.waived_minor)::bigint AS consumed FROM cycle_lines l JOIN cycles c ON c.id = l.cycle_id
		WHERE c.account_id = ? AND c.period >= ? AND c.period < ? AND `+consumed+` GROUP BY l.snapshot_id`,
		cy.Account.ID, cy.YearStart.String(), cy.Period.String()).Scan(&marks).Error
	out := map[string]int64{}
	for _, m := range marks {
		out[m.SnapshotID] = m.Consumed
	}
	return out, wrap(err)
}

// openBefore names the cycles that have to be finished first: every month of the contract
// year, and whatever was opened in the years before, because caps, balances and holdbacks
// come from there. A settlement runs beside the months of the following year, so that
// either may come first: one that was opened goes before the months that are not priced
// yet, and after those that are.
func openBefore(tx *gorm.DB, cy measure.Cycle) ([]string, error) {
	var rows []struct {
		Period           string
		Finished, Priced bool
	}
	err := tx.Raw(`SELECT c.period, `+finished+` AS finished, EXISTS (SELECT 1 FROM invoices i WHERE i.cycle_id = c.id) AS priced
		FROM cycles c WHERE c.account_id = ? ORDER BY c.period`, cy.Account.ID).Scan(&rows).Error
	if err != nil {
		return nil, wrap(err)
	}
	var out []string
	done, priced := map[string]bool{}, false
	for _, r := range rows {
		priced = priced || (r.Priced && r.Period == cy.Period.String())
	}
	for _, r := range rows {
		done[r.Period] = r.Finished
		earlier := r.Period < cy.YearStart.String() && !(priced && isSettlement(r.Period))
		later := cy.Period.IsSettlement() && r.Period > cy.Period.String() && r.Priced
		if !r.Finished && (earlier || later) {
			out = append(out, cy.Account.ID+"."+r.Period)
		}
	}
	for m := cy.YearStart; m.Before(cy.Period); m = m.Add(1) {
		if !done[m.String()] {
			out = append(out, billing.CycleID(cy.Account.ID, m))
		}
	}
	return out, nil
}

func isSettlement(text string) bool {
	m, err := period.Parse(text)
	return err == nil && m.IsSettlement()
}

// finishedOthers counts what past would list.
func finishedOthers(tx *gorm.DB, cy measure.Cycle) (n int, err error) {
	err = tx.Raw(`SELECT count(*) FROM cycles c WHERE c.account_id = @account AND `+beforeCycle+` AND `+finished, cycleArgs(cy)).Scan(&n).Error
	return n, wrap(err)
}

// beforeCycle is the condition of a cycle c whose lines another one's price depends on:
// the periods before it, and for a settlement what the year after it has by then.
const beforeCycle = "(c.period < @period OR (@settles AND c.period <> @period))"

func cycleArgs(cy measure.Cycle) map[string]any {
	return map[string]any{"account": cy.Account.ID, "period": cy.Period.String(), "settles": cy.Period.IsSettlement(), "lift": string(billing.LineLift)}
}

// past are the finished cycles of an account that the price of one depends on.
func past(tx *gorm.DB, cy measure.Cycle) ([]billing.Past, error) {
	var rows []struct {
		Period, Phase, Kind, Outcome  string
		BaseMinor, AmountMinor, Count int64
	}
	err := tx.Raw(`
		SELECT c.period, i.phase, @lift AS kind, '' AS outcome, sum(l.base_minor)::bigint AS base_minor, sum(l.fee_minor)::bigint AS amount_minor, 0 AS count
		FROM cycles c JOIN invoices i ON i.cycle_id = c.id LEFT JOIN cycle_lines l ON l.cycle_id = c.id
		WHERE c.account_id = @account AND `+beforeCycle+` AND `+consumed+` GROUP BY c.period, i.phase
		UNION ALL
		SELECT c.period, i.phase, f.kind, f.outcome, 0, sum(f.amount_minor)::bigint, sum(f.quantity)::bigint
		FROM cycles c JOIN invoices i ON i.cycle_id = c.id JOIN cycle_charges f ON f.cycle_id = c.id
		WHERE c.account_id = @account AND `+beforeCycle+` AND `+consumed+` GROUP BY c.period, i.phase, f.kind, f.outcome
		ORDER BY period, kind, outcome`,
		cycleArgs(cy)).Scan(&rows).Error
	if err != nil {
		return nil, wrap(err)
	}
	var out []billing.Past
	for _, r := range rows {
		m, err := period.Parse(r.Period)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(out, func(p billing.Past) bool { return p.Period == m.Add(0) && p.Settlement == m.IsSettlement() })
		if i < 0 {
			i = len(out)
			out = append(out, billing.Past{Period: m.Add(0), Settlement: m.IsSettlement(), Phase: billing.PhaseKind(r.Phase), Lines: map[billing.LineKind]int64{}, Outcomes: map[string]int64{}})
		}
		out[i].BaseMinor += r.BaseMinor
		out[i].Lines[billing.LineKind(r.Kind)] += r.AmountMinor
		if r.Outcome != "" {
			out[i].Outcomes[r.Outcome] += r.Count
		}
	}
	return out, nil
}

// outcomes counts, by kind, the outcomes of the contract year up to the cycle's end that
// can be priced: reward events of users for whom the policy decided, within the plan's
// attribution window after the first decision. Users of the holdout never count, and a
// conversion counts when its subscription has paid. What a user does after the first
// decision of the next year, while this one waits for its settlement, is the next year's. What was recorded after the cycle's
// watermark is counted by a later cycle.
func outcomes(tx *gorm.DB, cy measure.Cycle) (map[string]int64, error) {
	if cy.Watermark.IsZero() {
		return nil, fault.New(fault.Conflict, "not_collected", "cycle %s has no watermark", cy.ID)
	}
	var rows []struct {
		Kind string
		N    int64
	}
	err := tx.Raw(`
		WITH `+otherLinks+`, exposed AS MATERIALIZED (
			SELECT user_id, min(ts) AS first FROM decisions
			WHERE account_id = ? AND arm = 'policy' AND ts >= ? AND ts < ? AND recorded_at <= ? GROUP BY user_id),
		again AS MATERIALIZED (
			SELECT user_id, min(ts) AS at FROM decisions WHERE account_id = ? AND ts >= ? AND ts < ? AND recorded_at <= ? GROUP BY user_id),
		facts AS MATERIALIZED (
			SELECT `+factColumns+`, r.kind, r.effective_at FROM reward_events r`+factJoins+`
			WHERE r.connection_id = ? AND r.is_reward AND NOT r.historic AND r.kind IN ? AND r.effective_at >= ? AND r.effective_at < ? AND r.recorded_at <= ?),
		owned AS MATERIALIZED (
			SELECT f.connection_id, f.kind, f.effective_at, f.customer_id, f.subscription_id, `+ownerMeasured+` AS user_id FROM facts f`+ownerJoins+`)
		SELECT o.kind, count(*) AS n
		FROM owned o JOIN exposed e ON e.user_id = o.user_id AND o.effective_at >= e.first AND o.effective_at < e.first + make_interval(days => ?)
		LEFT JOIN again a ON a.user_id = o.user_id
		WHERE (a.at IS NULL OR o.effective_at < a.at) AND (o.kind <> 'conversion' OR EXISTS (
			SELECT 1 FROM reward_events p WHERE p.connection_id = o.connection_id AND p.customer_id = o.customer_id AND p.subscription_id = o.subscription_id
				AND p.kind = 'revenue_confirmation' AND p.amount_minor > 0 AND p.effective_at < ? AND p.recorded_at <= ?))
		GROUP BY o.kind`,
		cy.Replaces, cy.Account.ID, cy.Exposed.Start, cy.Exposed.End, cy.Watermark,
		cy.Account.ID, cy.Exposed.End, cy.YearToDate.End, cy.Watermark,
		cy.Account.SourceConnection, billing.OutcomeKinds(), cy.YearToDate.Start, cy.YearToDate.End, cy.Watermark,
		cy.Plan.Plan().AttributionDays, cy.YearToDate.End, cy.Watermark).Scan(&rows).Error
	out := map[string]int64{}
	for _, r := range rows {
		out[r.Kind] = r.N
	}
	return out, wrap(err)
}
