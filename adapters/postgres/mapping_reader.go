package postgres

import (
	"context"
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

// ownedFacts are a connection's facts of a time with their owners. What names no customer
// because it is about a customer (mapping itself) is none, and our own invoices are nobody's.
const ownedFacts = `
	WITH facts AS MATERIALIZED (
		SELECT ` + factColumns + `, r.kind, r.amount_minor, r.currency FROM reward_events r` + factJoins + `
		WHERE r.connection_id = ? AND r.effective_at >= ? AND r.effective_at < ? AND NOT r.historic
			AND r.kind NOT IN ('customer_mapping', 'customer_deleted')),
	owned AS MATERIALIZED (
		SELECT f.customer_id, f.currency, CASE WHEN f.kind IN ? THEN f.amount_minor END AS amount_minor, ` + ownerUser + ` AS user_id, ` + ownerSource + ` AS source,
			CASE
				WHEN f.customer_id = '' THEN 'no_customer'
				WHEN ` + ownerState + ` = 'conflict' THEN 'conflict'
				WHEN ` + ownerUser + ` <> '' AND k.user_id IS NULL AND n.leave_out_suggested AND ` + ownerSource + ` IN ('email', 'domain') THEN 'left_out'
				WHEN ` + ownerUser + ` <> '' THEN ''
				WHEN ` + ownerState + ` = 'unlinked' THEN 'unlinked'
				ELSE 'never_mapped' END AS reason
		FROM facts f` + ownerJoins + ` WHERE NOT f.own_invoice)`

// interval is the filter's month in the time zone of the contract that the connection's
// revenue is measured under; without a period all time.
func (r *MappingReader) interval(ctx context.Context, f app.PeriodFilter) (period.Interval, error) {
	if f.Period == "" {
		return period.Interval{Start: time.Time{}, End: time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)}, nil
	}
	var accountID string
	err := r.db.gorm.WithContext(ctx).Raw(`SELECT id FROM accounts WHERE source_connection = ?`, f.ConnectionID).Scan(&accountID).Error
	if err != nil {
		return period.Interval{}, wrap(err)
	}
	return r.db.NewReader().interval(ctx, accountID, f.Period)
}

// Quarantine sums the facts without a user by reason, and pages their customers.
func (r *MappingReader) Quarantine(ctx context.Context, f app.PeriodFilter) (app.Quarantine, error) {
	var out app.Quarantine
	in, err := r.interval(ctx, f)
	if err != nil {
		return out, err
	}
	args := []any{f.ConnectionID, in.Start, in.End, moneyKinds()}
	var sums []struct {
		Reason, Amounts string
		Facts           int64
	}
	err = r.db.gorm.WithContext(ctx).Raw(ownedFacts+`
		SELECT coalesce(reason, '') AS reason, sum(facts)::bigint AS facts,
			coalesce(jsonb_agg(jsonb_build_object('currency', currency, 'minor', minor) ORDER BY currency) FILTER (WHERE minor IS NOT NULL), '[]')::text AS amounts
		FROM (SELECT reason, currency, count(*) AS facts, sum(amount_minor)::bigint AS minor FROM owned WHERE reason <> ''
			GROUP BY GROUPING SETS ((reason, currency), (currency))) s GROUP BY reason ORDER BY reason NULLS FIRST`, args...).Scan(&sums).Error
	if err != nil {
		return out, wrap(err)
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
	return out, r.quarantined(ctx, f, args, &out)
}

// quarantined lists the customers, by ID and reason.
func (r *MappingReader) quarantined(ctx context.Context, f app.PeriodFilter, args []any, out *app.Quarantine) error {
	id, reason := "", ""
	if f.Cursor != "" {
		var err error
		if id, reason, err = parseCursor(f.Cursor); err != nil {
			return err
		}
	}
	var rows []struct {
		CustomerID, Reason, Amounts string
		Facts                       int64
	}
	err := r.db.gorm.WithContext(ctx).Raw(ownedFacts+`
		SELECT customer_id, reason, sum(facts)::bigint AS facts,
			coalesce(jsonb_agg(jsonb_build_object('currency', currency, 'minor', minor) ORDER BY currency) FILTER (WHERE minor IS NOT NULL), '[]')::text AS amounts
		FROM (SELECT customer_id, reason, currency, count(*) AS facts, sum(amount_minor)::bigint AS minor FROM owned WHERE reason <> ''
			GROUP BY customer_id, reason, currency) s
		WHERE (customer_id, reason) > (?, ?) GROUP BY customer_id, reason ORDER BY customer_id, reason LIMIT ?`,
		append(append([]any{}, args...), id, reason, f.Limit+1)...).Scan(&rows).Error
	if err != nil {
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
	args := []any{f.ConnectionID, out.Interval.Start, out.Interval.End, moneyKinds()}
	var rows []struct {
		What, Name    string
		Mapped, Total int64
	}
	err = r.db.gorm.WithContext(ctx).Raw(ownedFacts+`
		SELECT 'customers' AS what, '' AS name, count(*) FILTER (WHERE mapped) AS mapped, count(*) AS total
		FROM (SELECT bool_and(reason = '') AS mapped FROM owned WHERE customer_id <> '' GROUP BY customer_id) c
		UNION ALL SELECT 'facts', '', count(*) FILTER (WHERE reason = ''), count(*) FROM owned
		UNION ALL SELECT 'source', source, count(*), count(*) FROM owned WHERE reason = '' GROUP BY source
		UNION ALL SELECT 'revenue', currency, coalesce(sum(amount_minor) FILTER (WHERE reason = ''), 0)::bigint, sum(amount_minor)::bigint
			FROM owned WHERE amount_minor IS NOT NULL GROUP BY currency
		ORDER BY what, name`, args...).Scan(&rows).Error
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
	return out, wrap(err)
}

var _ app.Reader = (*MappingReader)(nil)
