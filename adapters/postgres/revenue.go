package postgres

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"
	"gorm.io/gorm"

	"github.com/liftbill/liftbill/app/measure"
)

// factColumns and factJoins select facts r with their charge's owner o and, of money that
// goes back, the payment p that it goes back from: it belongs to whoever that belonged to. Of
// several payments of an invoice it is the first, as in paidOnce.
const (
	factColumns = `r.connection_id, r.fact_key, coalesce(nullif(r.customer_id, ''), o.customer_id, '') AS customer_id,
			coalesce(nullif(r.subscription_id, ''), p.subscription_id, '') AS subscription_id, coalesce(p.effective_at, r.effective_at) AS link_at,
			p.fact_key AS paid_key, coalesce(o.own_invoice, false) AS own_invoice`
	factJoins = `
			LEFT JOIN charge_owners o ON o.connection_id = r.connection_id AND o.charge_id = r.charge_id AND r.charge_id <> ''
			LEFT JOIN LATERAL (
				SELECT paid.fact_key, paid.effective_at, paid.subscription_id FROM reward_events paid
				WHERE r.kind <> 'revenue_confirmation' AND r.amount_minor IS NOT NULL AND paid.connection_id = r.connection_id
					AND paid.customer_id = coalesce(nullif(r.customer_id, ''), o.customer_id) AND paid.invoice_id <> ''
					AND paid.invoice_id = coalesce(nullif(r.invoice_id, ''), o.invoice_id) AND paid.kind = 'revenue_confirmation'
				ORDER BY paid.effective_at, paid.fact_key LIMIT 1) p ON true`
)

// ownOnly, paidOnce and factJoinsOnce do as factJoins does for a whole connection: what is
// said of it is read once, and of its payments the first of each invoice, and joined by hashing.
const (
	ownOnly = `mapping_spans AS MATERIALIZED (SELECT * FROM mapping_spans WHERE connection_id = @connection),
		fact_links AS MATERIALIZED (SELECT * FROM fact_links WHERE connection_id = @connection),
		charge_owners AS MATERIALIZED (SELECT * FROM charge_owners WHERE connection_id = @connection)`
	paidOnce = `paid AS MATERIALIZED (
		SELECT DISTINCT ON (customer_id, invoice_id) customer_id, invoice_id, fact_key, effective_at, subscription_id FROM reward_events
		WHERE connection_id = @connection AND kind = 'revenue_confirmation' AND invoice_id <> '' ORDER BY customer_id, invoice_id, effective_at, fact_key)`
	factJoinsOnce = `
			LEFT JOIN charge_owners o ON o.connection_id = r.connection_id AND o.charge_id = r.charge_id AND r.charge_id <> ''
			LEFT JOIN paid p ON r.kind <> 'revenue_confirmation' AND r.amount_minor IS NOT NULL
				AND p.customer_id = coalesce(nullif(r.customer_id, ''), o.customer_id) AND p.invoice_id = coalesce(nullif(r.invoice_id, ''), o.invoice_id)`
)

// ownerJoins complete rows f with the columns above with whose they are, in this order:
// the link that a frozen month attributed the fact with, or its payment; the subscription's
// own user where the connection reads it; the customer's. Each join gives one row at most.
const (
	ownerJoins = `
		JOIN connections n ON n.id = f.connection_id
		LEFT JOIN fact_links k ON k.connection_id = f.connection_id AND k.fact_key = f.fact_key
		LEFT JOIN fact_links b ON b.connection_id = f.connection_id AND b.fact_key = f.paid_key
		LEFT JOIN mapping_spans s ON n.map_by_subscription AND f.subscription_id <> '' AND s.connection_id = f.connection_id
			AND s.subject_id = f.subscription_id AND s.valid_from <= f.link_at AND f.link_at < s.valid_to AND s.state = 'linked'
		LEFT JOIN mapping_spans c ON c.connection_id = f.connection_id AND c.subject_id = f.customer_id
			AND c.valid_from <= f.link_at AND f.link_at < c.valid_to`
	ownerUser   = `coalesce(k.user_id, b.user_id, s.user_id, c.user_id, '')`
	ownerLink   = `coalesce(k.link_id, b.link_id, s.link_id, c.link_id, '')`
	ownerSource = `coalesce(k.source, b.source, s.source, c.source, '')`
	// ownerMeasured is the user whose readout the fact enters: nobody's, where a link that was
	// only suggested is left out.
	ownerMeasured = `CASE WHEN k.user_id IS NULL AND n.leave_out_suggested AND ` + ownerSource + ` IN ('email', 'domain') THEN '' ELSE ` + ownerUser + ` END`
	// ownerState is empty for a customer of whom nothing was said.
	ownerState = `CASE WHEN coalesce(k.user_id, b.user_id) IS NOT NULL THEN 'linked' ELSE coalesce(s.state, c.state, '') END`
)

// otherLinks stands before ownerJoins and leaves the links out that the cycle itself gave,
// where they are to be given anew.
const otherLinks = `fact_links AS NOT MATERIALIZED (SELECT * FROM fact_links WHERE cycle_id <> ?)`

// Revenue lists the money facts with the unit behind their customer. The link that was
// valid at the fact's time counts; a customer that was mapped only later brings its
// earlier facts along. Refunds and disputes find their customer by the charge. The parts
// are materialised and joined by hashing, so that the plan does not rest on statistics,
// which a month that has just been written does not have.
func (c *Cycles) Revenue(ctx context.Context, cy measure.Cycle, watermark time.Time) ([]measure.RevenueRow, error) {
	var out []measure.RevenueRow
	err := c.db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		// Without nested loops the planner thinks the rest dear enough to be compiled, which
		// takes longer than running it.
		for _, set := range []string{`SET LOCAL enable_nestloop = off`, `SET LOCAL jit = off`} {
			if err := tx.Exec(set).Error; err != nil {
				return err
			}
		}
		var err error
		out, err = revenueRows(tx, cy, watermark)
		return err
	})
	return out, wrap(err)
}

func revenueRows(tx *gorm.DB, cy measure.Cycle, watermark time.Time) ([]measure.RevenueRow, error) {
	rows, err := tx.Raw(`
		WITH `+otherLinks+`, facts AS MATERIALIZED (
			SELECT `+factColumns+`, r.amount_minor, r.currency, r.effective_at FROM reward_events r`+factJoins+`
			WHERE r.connection_id = ? AND r.kind IN ? AND r.amount_minor <> 0 AND NOT r.historic
				AND r.effective_at >= ? AND r.effective_at < ? AND r.recorded_at <= ?),
		owned AS MATERIALIZED (
			SELECT f.fact_key, f.amount_minor, f.currency, f.effective_at, f.own_invoice, f.subscription_id <> '' AS subscription,
				`+ownerLink+` AS link_id, `+ownerSource+` AS source, k.user_id IS NOT NULL AS kept,
				`+ownerMeasured+` AS user_id
			FROM facts f`+ownerJoins+`),
		units AS MATERIALIZED (
			SELECT user_id, min(unit_id) AS unit_id FROM decisions WHERE account_id = ? AND recorded_at <= ? GROUP BY user_id)
		SELECT f.fact_key, f.amount_minor, f.currency, f.effective_at, f.own_invoice, f.subscription,
			CASE WHEN f.user_id = '' THEN '' ELSE coalesce(u.unit_id, 'user:' || f.user_id) END AS unit_id, f.user_id, f.link_id, f.source, f.kept
		FROM owned f LEFT JOIN units u ON u.user_id = f.user_id
		ORDER BY f.effective_at, f.fact_key`,
		cy.Replaces, cy.Account.SourceConnection, moneyKinds(), cy.YearToDate.Start, cy.YearToDate.End, watermark, cy.Account.ID, watermark).Rows()
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells what matters
	var out []measure.RevenueRow
	for rows.Next() {
		var r measure.RevenueRow
		if err := rows.Scan(&r.Key, &r.AmountMinor, &r.Currency, &r.At, &r.OwnInvoice, &r.Subscription, &r.UnitID,
			&r.Link.UserID, &r.Link.ID, &r.Link.Source, &r.Link.Kept); err != nil {
			return nil, err
		}
		if r.At = r.At.UTC(); r.Link.UserID == "" {
			r.Link = measure.Link{}
		}
		out = append(out, r)
	}
	return out, rows.Err()
}

// linkBatch bounds one statement's document.
const linkBatch = 5000

// keepLinks writes down the link version of every fact that a freezing cycle attributes
// for the first time.
func keepLinks(ctx context.Context, tx pgx.Tx, cycleID string, links []measure.FactLink) error {
	type row struct {
		FactKey string `json:"fact_key"`
		UserID  string `json:"user_id"`
		LinkID  string `json:"link_id"`
		Source  string `json:"source"`
	}
	for len(links) > 0 {
		n := min(linkBatch, len(links))
		rows := make([]row, n)
		for i, l := range links[:n] {
			rows[i] = row{l.FactKey, l.UserID, l.ID, l.Source}
		}
		links = links[n:]
		doc, err := json.Marshal(rows)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO fact_links (connection_id, fact_key, user_id, link_id, source, cycle_id)
			SELECT a.source_connection, l.fact_key, l.user_id, l.link_id, l.source, c.id
			FROM jsonb_to_recordset($1::jsonb) AS l(fact_key text, user_id text, link_id text, source text), cycles c JOIN accounts a ON a.id = c.account_id
			WHERE c.id = $2 ON CONFLICT DO NOTHING`, string(doc), cycleID)
		if err != nil {
			return err
		}
	}
	return nil
}
