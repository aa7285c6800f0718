package postgres

import (
	"context"
	"time"

	"github.com/liftbill/liftbill/app/measure"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/period"
)

// refs are the columns of facts as two arrays, which their key is looked up by.
func refs(facts []lift.FactRef) (keys, times []string) {
	for _, f := range facts {
		keys, times = append(keys, f.Key), append(times, instantKey(f.At))
	}
	return keys, times
}

// givenFacts joins facts r to the ones that are asked for, each by its whole key.
const givenFacts = `unnest(CAST(? AS text[]), CAST(? AS timestamptz[])) AS g(fact_key, effective_at)
	CROSS JOIN LATERAL (SELECT * FROM reward_events x WHERE x.connection_id = ? AND x.effective_at = g.effective_at AND x.fact_key = g.fact_key OFFSET 0) r`

// Recorded implements measure.Tracer.
func (c *Cycles) Recorded(ctx context.Context, accountID string, facts []lift.FactRef) (map[string]time.Time, error) {
	a, err := c.db.Account(ctx, accountID)
	if err != nil {
		return nil, err
	}
	keys, times := refs(facts)
	var rows []struct {
		FactKey    string
		RecordedAt time.Time
	}
	err = c.db.gorm.WithContext(ctx).Raw(`SELECT r.fact_key, r.recorded_at FROM `+givenFacts, words(keys), words(times), a.SourceConnection).Scan(&rows).Error
	out := make(map[string]time.Time, len(rows))
	for _, r := range rows {
		out[r.FactKey] = r.RecordedAt.UTC()
	}
	return out, wrap(err)
}

// YearsOf implements measure.Tracer.
func (c *Cycles) YearsOf(ctx context.Context, accountID string) ([]period.Month, error) {
	var names []string
	err := c.db.gorm.WithContext(ctx).Raw(`SELECT DISTINCT first_period FROM measurement_plans WHERE account_id = ? ORDER BY 1`, accountID).Scan(&names).Error
	if err != nil {
		return nil, wrap(err)
	}
	out := make([]period.Month, len(names))
	for i, name := range names {
		if out[i], err = period.ParseMonth(name); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// FrozenOf implements measure.Tracer.
func (c *Cycles) FrozenOf(ctx context.Context, cy measure.Cycle) ([]measure.FrozenCycle, error) {
	var ids []string
	for i := range lift.PeriodsPerYear {
		ids = append(ids, billing.CycleID(cy.Account.ID, cy.YearStart.Add(i)))
	}
	ids = append(ids, billing.CycleID(cy.Account.ID, cy.YearStart.Add(lift.PeriodsPerYear-1).Settlement()))
	var rows []struct {
		ID                   string
		Watermark, PeriodEnd time.Time
	}
	err := c.db.gorm.WithContext(ctx).Raw(`SELECT id, watermark, period_end FROM cycles WHERE id IN ? AND watermark IS NOT NULL ORDER BY period_end DESC`, ids).Scan(&rows).Error
	out := make([]measure.FrozenCycle, len(rows))
	for i, r := range rows {
		out[i] = measure.FrozenCycle{ID: r.ID, Watermark: r.Watermark.UTC(), End: r.PeriodEnd.UTC()}
	}
	return out, wrap(err)
}

// RevenueOf implements measure.Tracer. The unit of a user is looked up beside each fact.
func (c *Cycles) RevenueOf(ctx context.Context, cy measure.Cycle, watermark time.Time, facts []lift.FactRef) ([]measure.TracedRow, error) {
	keys, times := refs(facts)
	rows, err := c.db.gorm.WithContext(ctx).Raw(`
		WITH `+otherLinks+`, facts AS MATERIALIZED (
			SELECT `+factColumns+`, coalesce(r.amount_minor, 0) AS amount_minor, r.currency, r.effective_at, r.historic, r.kind IN ? AND coalesce(r.amount_minor, 0) <> 0 AS money
			FROM `+givenFacts+factJoins+`),
		owned AS MATERIALIZED (
			SELECT f.fact_key, f.amount_minor, f.currency, f.effective_at, f.historic, f.money, f.own_invoice, f.subscription_id <> '' AS subscription,
				`+ownerLink+` AS link_id, `+ownerSource+` AS source, k.user_id IS NOT NULL AS kept, `+ownerMeasured+` AS user_id
			FROM facts f`+ownerJoins+`)
		SELECT f.fact_key, f.amount_minor, f.currency, f.effective_at, f.own_invoice, f.subscription,
			CASE WHEN f.user_id = '' THEN '' ELSE coalesce((SELECT min(d.unit_id) FROM decisions d WHERE d.account_id = ? AND d.user_id = f.user_id AND d.recorded_at <= ?), 'user:' || f.user_id) END,
			f.user_id, f.link_id, f.source, f.kept, f.money, f.historic
		FROM owned f ORDER BY f.effective_at, f.fact_key`,
		cy.Replaces, moneyKinds(), words(keys), words(times), cy.Account.SourceConnection, cy.Account.ID, watermark).Rows()
	if err != nil {
		return nil, wrap(err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells what matters
	var out []measure.TracedRow
	for rows.Next() {
		var r measure.TracedRow
		if err := rows.Scan(&r.Key, &r.AmountMinor, &r.Currency, &r.At, &r.OwnInvoice, &r.Subscription, &r.UnitID,
			&r.Link.UserID, &r.Link.ID, &r.Link.Source, &r.Link.Kept, &r.Money, &r.Historic); err != nil {
			return nil, wrap(err)
		}
		if r.At = r.At.UTC(); r.Link.UserID == "" {
			r.Link = measure.Link{}
		}
		out = append(out, r)
	}
	return out, wrap(rows.Err())
}

// tiedTo walks from units to the users that they decided about, to the customers of these,
// and back, until nothing new is found. Where units are users only the units themselves have
// a say.
const tiedTo = `
	WITH RECURSIVE near AS (
		SELECT 'unit' AS kind, u AS id FROM unnest(CAST(? AS text[])) u
		UNION SELECT x.kind, x.id FROM near n CROSS JOIN LATERAL (
			SELECT 'user' AS kind, d.user_id AS id FROM decisions d WHERE n.kind = 'unit' AND d.account_id = ? AND d.unit_id = n.id
			UNION ALL SELECT 'unit', d.unit_id FROM decisions d WHERE n.kind = 'user' AND d.account_id = ? AND d.user_id = n.id
			UNION ALL SELECT 'customer', s.subject_id FROM mapping_spans s WHERE n.kind = 'user' AND s.connection_id = ? AND s.user_id = n.id AND s.state = 'linked'
			UNION ALL SELECT 'user', s.user_id FROM mapping_spans s WHERE n.kind = 'customer' AND s.connection_id = ? AND s.subject_id = n.id AND s.state = 'linked') x
		WHERE x.id <> '')
	SELECT kind, id FROM near`

// ofUnits are the decisions of given units in a time, each unit's found by its key. As one
// condition on all units, a plan for any arguments reads every decision of the account.
const ofUnits = `unnest(CAST(? AS text[])) u(id) CROSS JOIN LATERAL (
	SELECT d.* FROM decisions d WHERE d.account_id = ? AND d.unit_id = u.id AND d.ts >= ? AND d.ts < ? OFFSET 0) decisions`

// Near implements measure.Tracer.
func (c *Cycles) Near(ctx context.Context, cy measure.Cycle, watermark time.Time, units []string) ([]lift.Exposure, []lift.Link, error) {
	if len(units) == 0 {
		return nil, nil, nil
	}
	var customers []string
	if cy.Plan.Plan().Unit == lift.UnitAccount {
		var tied []struct{ Kind, ID string }
		err := c.db.gorm.WithContext(ctx).Raw(tiedTo, words(units), cy.Account.ID, cy.Account.ID, cy.Account.SourceConnection, cy.Account.SourceConnection).Scan(&tied).Error
		if err != nil {
			return nil, nil, wrap(err)
		}
		units = nil
		for _, t := range tied {
			switch t.Kind {
			case "unit":
				units = append(units, t.ID)
			case "customer":
				customers = append(customers, t.ID)
			}
		}
	}
	exposures, err := c.exposures(ctx, cy, watermark, "decision_id", ofUnits, words(units), cy.Account.ID, cy.YearToDate.Start, cy.YearToDate.End)
	if err != nil || len(customers) == 0 {
		return exposures, nil, err
	}
	links, err := c.links(ctx, cy, " AND s.subject_id = ANY (CAST(? AS text[]))", words(customers))
	return exposures, links, err
}

var _ measure.Tracer = (*Cycles)(nil)
