package postgres

import (
	"context"
	"encoding/json"
	"time"

	app "github.com/liftbill/liftbill/app/mapping"
	"github.com/liftbill/liftbill/domain/mapping"
	"github.com/liftbill/liftbill/domain/period"
)

// MappingReader implements app/mapping's Reader.
type MappingReader struct{ db *DB }

// NewMappingReader opens the read side.
func (db *DB) NewMappingReader() *MappingReader { return &MappingReader{db} }

// Settings returns what a connection maps by.
func (r *MappingReader) Settings(ctx context.Context, connectionID string) (app.Settings, error) {
	return settingsOf(ctx, r.db.gorm, connectionID, "")
}

type linkRow struct {
	ConnectionID, SubjectID, State, UserID, LinkID, Source, EventID, DecidedBy, Reason string
	ValidFrom                                                                          time.Time
	ValidTo                                                                            *time.Time
	Former                                                                             bool
	RecordedAt                                                                         *time.Time
}

const linkSelect = `
	SELECT m.connection_id, m.subject_id, m.valid_from, nullif(m.valid_to, 'infinity') AS valid_to, m.state, m.user_id, m.link_id, m.source, m.event_id, m.former,
		coalesce(s.decided_by, '') AS decided_by, coalesce(s.reason, '') AS reason, s.recorded_at
	FROM mapping_spans m LEFT JOIN mapping_statements s ON s.connection_id = m.connection_id AND s.link_id = m.link_id`

func (r linkRow) link() app.Link {
	l := app.Link{
		ConnectionID: r.ConnectionID, DecidedBy: r.DecidedBy, Reason: r.Reason,
		Span: mapping.Span{
			Subject: r.SubjectID, From: mapping.Instant(r.ValidFrom), State: mapping.State(r.State), User: r.UserID, LinkID: r.LinkID,
			Source: mapping.Source(r.Source), EventID: r.EventID, Former: r.Former,
		},
	}
	if r.ValidTo != nil {
		l.To = r.ValidTo.UTC()
	}
	if r.RecordedAt != nil {
		l.RecordedAt = r.RecordedAt.UTC()
	}
	return l
}

// Links pages by (subject, from).
func (r *MappingReader) Links(ctx context.Context, f app.LinksFilter) (app.Page[app.Link], error) {
	var page app.Page[app.Link]
	var q where
	q.add("m.connection_id = ?", f.ConnectionID)
	q.eq("m.subject_id", f.Subject)
	q.eq("m.user_id", f.User)
	q.eq("m.source", f.Source)
	q.eq("m.state", f.State)
	if f.Cursor != "" {
		id, from, err := parseCursor(f.Cursor)
		if err == nil {
			_, err = time.Parse(time.RFC3339Nano, from)
		}
		if err != nil {
			return page, badCursor(f.Cursor)
		}
		q.add("(m.subject_id, m.valid_from) > (?, ?::timestamptz)", id, from)
	}
	var rows []linkRow
	err := r.db.gorm.WithContext(ctx).Raw(linkSelect+q.sql()+" ORDER BY m.subject_id, m.valid_from LIMIT ?", append(q.args, f.Limit+1)...).Scan(&rows).Error
	if len(rows) > f.Limit {
		rows = rows[:f.Limit]
		last := rows[f.Limit-1]
		page.NextCursor = cursor(last.SubjectID, last.ValidFrom.UTC().Format(time.RFC3339Nano))
	}
	for _, row := range rows {
		page.Items = append(page.Items, row.link())
	}
	return page, wrap(err)
}

// ownedFacts and ownedRows are a connection's facts of a time with their owners. What names no
// customer because it is about a customer (mapping itself) is none, and our own invoices are nobody's.
// Between them stand the joins that find a fact's charge and payment.
const (
	ownedFacts = `facts AS MATERIALIZED (
		SELECT ` + factColumns + `, r.kind, r.amount_minor, r.currency, r.effective_at FROM reward_events r`
	ownedRows = `
		WHERE r.connection_id = @connection AND r.effective_at >= @start AND r.effective_at < @end AND NOT r.historic
			AND r.kind NOT IN ('customer_mapping', 'customer_deleted')),
	owned AS MATERIALIZED (
		SELECT f.customer_id, f.currency, f.effective_at, CASE WHEN f.kind IN @money THEN f.amount_minor END AS amount_minor, ` + ownerUser + ` AS user_id, ` + ownerSource + ` AS source,
			CASE
				WHEN f.customer_id = '' THEN 'no_customer'
				WHEN ` + ownerState + ` = 'conflict' THEN 'conflict'
				WHEN ` + ownerUser + ` <> '' AND k.user_id IS NULL AND n.leave_out_suggested AND ` + ownerSource + ` IN ('email', 'domain') THEN 'left_out'
				WHEN ` + ownerUser + ` <> '' THEN ''
				WHEN ` + ownerState + ` = 'unlinked' THEN 'unlinked'
				ELSE 'never_mapped' END AS reason
		FROM facts f` + ownerJoins + ` WHERE NOT f.own_invoice)`
	// ownedOnce is what is asked of one period, and ownedSpread of several.
	ownedOnce   = `WITH ` + ownedFacts + factJoins + ownedRows + `, spread AS NOT MATERIALIZED (SELECT '' AS period, o.* FROM owned o)`
	ownedSpread = `, spread AS MATERIALIZED (SELECT p.period, o.* FROM owned o JOIN periods p ON o.effective_at >= p.starts AND o.effective_at < p.ends)`
)

// What is asked of the facts of periods: how much of them is mapped, what is not by its reason
// (an empty one is over all reasons), and whose that is.
const (
	coverageRows = `
		SELECT period, 'customers' AS what, '' AS name, count(*) FILTER (WHERE mapped) AS mapped, count(*) AS total
			FROM (SELECT period, bool_and(reason = '') AS mapped FROM spread WHERE customer_id <> '' GROUP BY period, customer_id) c GROUP BY period
		UNION ALL SELECT period, 'facts', '', count(*) FILTER (WHERE reason = ''), count(*) FROM spread GROUP BY period
		UNION ALL SELECT period, 'source', source, count(*), count(*) FROM spread WHERE reason = '' GROUP BY period, source
		UNION ALL SELECT period, 'revenue', currency, coalesce(sum(amount_minor) FILTER (WHERE reason = ''), 0)::bigint, sum(amount_minor)::bigint
			FROM spread WHERE amount_minor IS NOT NULL GROUP BY period, currency`
	unmappedAmounts = `coalesce(jsonb_agg(jsonb_build_object('currency', currency, 'minor', minor) ORDER BY currency) FILTER (WHERE minor IS NOT NULL), '[]')::text AS amounts`
	unmappedReasons = `
		SELECT period, coalesce(reason, '') AS reason, sum(facts)::bigint AS facts, ` + unmappedAmounts + `
		FROM (SELECT period, reason, currency, count(*) AS facts, sum(amount_minor)::bigint AS minor FROM spread WHERE reason <> ''
			GROUP BY GROUPING SETS ((period, reason, currency), (period, currency))) s GROUP BY period, reason`
	unmappedCustomers = `
		SELECT period, customer_id, reason, sum(facts)::bigint AS facts, ` + unmappedAmounts + `
		FROM (SELECT period, customer_id, reason, currency, count(*) AS facts, sum(amount_minor)::bigint AS minor FROM spread WHERE reason <> ''
			GROUP BY period, customer_id, reason, currency) s GROUP BY period, customer_id, reason`
)

// ownedArgs are the parameters of the facts of a connection.
func ownedArgs(connectionID string, in period.Interval) map[string]any {
	return map[string]any{"connection": connectionID, "start": in.Start, "end": in.End, "money": moneyKinds()}
}

// interval is the filter's month in the time zone of the contract that the connection's
// revenue is measured under; without a period all time.
func (r *MappingReader) interval(ctx context.Context, f app.PeriodFilter) (period.Interval, error) {
	if f.Period == "" {
		return allTime(), nil
	}
	var accountID string
	err := r.db.gorm.WithContext(ctx).Raw(`SELECT id FROM accounts WHERE source_connection = ?`, f.ConnectionID).Scan(&accountID).Error
	if err != nil {
		return period.Interval{}, wrap(err)
	}
	return r.db.NewReader().interval(ctx, accountID, f.Period)
}

type (
	coverageRow struct {
		What, Name    string
		Mapped, Total int64
	}
	unmappedRow struct {
		CustomerID, Reason, Amounts string
		Facts                       int64
	}
)

// Quarantine sums the facts without a user by reason, and pages their customers.
func (r *MappingReader) Quarantine(ctx context.Context, f app.PeriodFilter) (app.Quarantine, error) {
	var out app.Quarantine
	in, err := r.interval(ctx, f)
	if err != nil {
		return out, err
	}
	kept, err := keptCoverage(ctx, r.db.gorm, f.ConnectionID, f.Period, in)
	if err != nil {
		return out, err
	}
	var sums []unmappedRow
	if kept == nil {
		err = wrap(r.db.gorm.WithContext(ctx).Raw(ownedOnce+unmappedReasons+` ORDER BY reason NULLS FIRST`, ownedArgs(f.ConnectionID, in)).Scan(&sums).Error)
	} else {
		out.AsOf = &kept.AsOf
		err = json.Unmarshal([]byte(kept.Reasons), &sums)
	}
	if err != nil {
		return out, err
	}
	for _, s := range sums {
		list, err := amounts(s.Amounts)
		if err != nil {
			return out, err
		}
		if s.Reason == "" { // over all reasons
			out.Facts, out.Amounts = s.Facts, list
			continue
		}
		out.Reasons = append(out.Reasons, app.Unmapped{Reason: s.Reason, Facts: s.Facts, Amounts: list})
	}
	err = r.quarantined(ctx, f, in, kept != nil, &out)
	return out, err
}

// quarantined lists the customers, by ID and reason.
func (r *MappingReader) quarantined(ctx context.Context, f app.PeriodFilter, in period.Interval, kept bool, out *app.Quarantine) error {
	args := ownedArgs(f.ConnectionID, in)
	args["id"], args["reason"], args["limit"], args["period"] = "", "", f.Limit+1, f.Period
	if f.Cursor != "" {
		var err error
		if args["id"], args["reason"], err = parseCursor(f.Cursor); err != nil {
			return err
		}
	}
	sql := ownedOnce + ` SELECT customer_id, reason, facts, amounts FROM (` + unmappedCustomers + `) u WHERE (customer_id, reason) > (@id, @reason) ORDER BY customer_id, reason LIMIT @limit`
	if kept {
		sql = `SELECT customer_id, reason, facts, amounts FROM coverage_customers
			WHERE connection_id = @connection AND period = @period AND (customer_id, reason) > (@id, @reason) ORDER BY customer_id, reason LIMIT @limit`
	}
	var rows []unmappedRow
	if err := r.db.gorm.WithContext(ctx).Raw(sql, args).Scan(&rows).Error; err != nil {
		return wrap(err)
	}
	if len(rows) > f.Limit {
		rows = rows[:f.Limit]
		out.NextCursor = cursor(rows[f.Limit-1].CustomerID, rows[f.Limit-1].Reason)
	}
	for _, row := range rows {
		list, err := amounts(row.Amounts)
		if err != nil {
			return err
		}
		out.Customers = append(out.Customers, app.UnmappedCustomer{Customer: row.CustomerID, Unmapped: app.Unmapped{Reason: row.Reason, Facts: row.Facts, Amounts: list}})
	}
	return nil
}

// Coverage sums a month by whether it is joined to a user.
func (r *MappingReader) Coverage(ctx context.Context, f app.PeriodFilter) (app.Coverage, error) {
	out := app.Coverage{ConnectionID: f.ConnectionID, Period: f.Period, BySource: map[string]int64{}}
	var err error
	if out.Interval, err = r.interval(ctx, f); err != nil {
		return out, err
	}
	kept, err := keptCoverage(ctx, r.db.gorm, f.ConnectionID, f.Period, out.Interval)
	if err != nil {
		return out, err
	}
	var rows []coverageRow
	if kept == nil {
		err = wrap(r.db.gorm.WithContext(ctx).Raw(ownedOnce+coverageRows+` ORDER BY what, name`, ownedArgs(f.ConnectionID, out.Interval)).Scan(&rows).Error)
	} else {
		out.AsOf = &kept.AsOf
		err = json.Unmarshal([]byte(kept.Coverage), &rows)
	}
	for _, row := range rows {
		switch row.What {
		case "customers":
			out.Customers = app.Share{Mapped: row.Mapped, Total: row.Total}
		case "facts":
			out.Facts = app.Share{Mapped: row.Mapped, Total: row.Total}
		case "source":
			out.BySource[row.Name] = row.Mapped
		case "revenue":
			out.Revenue = append(out.Revenue, app.Revenue{Currency: row.Name, Mapped: row.Mapped, Total: row.Total})
		}
	}
	return out, err
}

var _ app.Reader = (*MappingReader)(nil)
