package postgres

import (
	"context"
	"encoding/json"
	"time"

	"gorm.io/gorm"

	app "github.com/liftbill/liftbill/app/mapping"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/mapping"
)

// pointedAt are the customers of a connection of whom nothing was said, with the users that
// their aids point at: how many, and one of them. A customer without any is left out.
const pointedAt = `
	SELECT a.customer_id, coalesce(e.users, 0) AS email_users, coalesce(e.user_id, '') AS email_user,
		coalesce(d.users, 0) AS domain_users, coalesce(d.user_id, '') AS domain_user
	FROM customer_aids a
	LEFT JOIN LATERAL (SELECT count(*) AS users, min(u.user_id) AS user_id FROM user_aids u
		WHERE u.connection_id = a.connection_id AND u.kind = 'email' AND u.hash = a.email_hash) e ON true
	LEFT JOIN LATERAL (SELECT count(*) AS users, min(u.user_id) AS user_id FROM user_aids u
		WHERE u.connection_id = a.connection_id AND u.kind = 'domain' AND u.hash = a.domain_hash) d ON true
	WHERE a.connection_id = ? AND a.customer_id > ? AND e.users + d.users > 0 AND NOT EXISTS (
		SELECT 1 FROM mapping_spans m WHERE m.connection_id = a.connection_id AND m.subject_id = a.customer_id AND m.valid_to = 'infinity')
	ORDER BY a.customer_id LIMIT ?`

type pointedRow struct {
	CustomerID              string
	EmailUsers, DomainUsers int
	EmailUser, DomainUser   string
}

// scanned bounds how many candidates one page looks at in one statement.
const scanned = 1000

// Suggestions lists suggestions by customer.
func (r *MappingReader) Suggestions(ctx context.Context, f app.SuggestionsFilter) (app.Page[app.Suggestion], error) {
	var page app.Page[app.Suggestion]
	var err error
	if f.State == app.Open {
		page, err = openSuggestions(ctx, r.db.gorm, f)
	} else {
		page, err = decidedSuggestions(ctx, r.db.gorm, f)
	}
	if err != nil {
		return page, err
	}
	return page, worthOf(ctx, r.db.gorm, f.ConnectionID, page.Items)
}

// openSuggestions follow from what is stored now; what a person decided is left out.
func openSuggestions(ctx context.Context, tx *gorm.DB, f app.SuggestionsFilter) (app.Page[app.Suggestion], error) {
	var page app.Page[app.Suggestion]
	after := f.Cursor
	for {
		var rows []pointedRow
		if err := tx.WithContext(ctx).Raw(pointedAt, f.ConnectionID, after, scanned).Scan(&rows).Error; err != nil {
			return page, wrap(err)
		}
		found := suggestionsOf(f.ConnectionID, rows)
		decided, err := decisionsOn(ctx, tx, f.ConnectionID, found)
		if err != nil {
			return page, err
		}
		for _, s := range found {
			if _, ok := decided[s.ID]; ok {
				continue
			}
			if len(page.Items) == f.Limit {
				page.NextCursor = page.Items[f.Limit-1].Customer
				return page, nil
			}
			page.Items = append(page.Items, s)
		}
		if len(rows) < scanned {
			return page, nil
		}
		after = rows[len(rows)-1].CustomerID
	}
}

func suggestionsOf(connectionID string, rows []pointedRow) []app.Suggestion {
	var out []app.Suggestion
	for _, r := range rows {
		user, by, ok := mapping.Suggest(mapping.Candidates{Users: r.EmailUsers, User: r.EmailUser}, mapping.Candidates{Users: r.DomainUsers, User: r.DomainUser})
		if ok {
			out = append(out, app.Suggestion{
				ID: mapping.SuggestionID(connectionID, r.CustomerID, user, by), ConnectionID: connectionID, Customer: r.CustomerID, User: user, By: by, State: app.Open,
			})
		}
	}
	return out
}

type verdictRow struct {
	SuggestionID, CustomerID, UserID, Source, Decision, DecidedBy, Reason string
	DecidedAt                                                             time.Time
}

func (r verdictRow) suggestion(connectionID string) app.Suggestion {
	at := r.DecidedAt.UTC()
	return app.Suggestion{
		ID: r.SuggestionID, ConnectionID: connectionID, Customer: r.CustomerID, User: r.UserID, By: mapping.Source(r.Source), State: r.Decision,
		DecidedBy: r.DecidedBy, Reason: r.Reason, DecidedAt: &at,
	}
}

const decisionSelect = `SELECT DISTINCT ON (suggestion_id) suggestion_id, customer_id, user_id, source, decision, decided_by, reason, decided_at
	FROM suggestion_decisions WHERE connection_id = ?`

func decisionsOn(ctx context.Context, tx *gorm.DB, connectionID string, found []app.Suggestion) (map[string]verdictRow, error) {
	out := map[string]verdictRow{}
	if len(found) == 0 {
		return out, nil
	}
	ids := make([]string, len(found))
	for i, s := range found {
		ids[i] = s.ID
	}
	var rows []verdictRow
	err := tx.WithContext(ctx).Raw(decisionSelect+` AND suggestion_id IN ? ORDER BY suggestion_id, seq DESC`, connectionID, ids).Scan(&rows).Error
	for _, r := range rows {
		out[r.SuggestionID] = r
	}
	return out, wrap(err)
}

func decidedSuggestions(ctx context.Context, tx *gorm.DB, f app.SuggestionsFilter) (app.Page[app.Suggestion], error) {
	var page app.Page[app.Suggestion]
	var rows []verdictRow
	err := tx.WithContext(ctx).Raw(`SELECT * FROM (`+decisionSelect+` AND suggestion_id > ? ORDER BY suggestion_id, seq DESC) d
		WHERE decision = ? ORDER BY suggestion_id LIMIT ?`, f.ConnectionID, f.Cursor, f.State, f.Limit+1).Scan(&rows).Error
	if len(rows) > f.Limit {
		rows = rows[:f.Limit]
		page.NextCursor = rows[f.Limit-1].SuggestionID
	}
	for _, r := range rows {
		page.Items = append(page.Items, r.suggestion(f.ConnectionID))
	}
	return page, wrap(err)
}

// worthOf adds what the customers' facts come to.
func worthOf(ctx context.Context, tx *gorm.DB, connectionID string, items []app.Suggestion) error {
	if len(items) == 0 {
		return nil
	}
	customers := make([]string, len(items))
	for i, s := range items {
		customers[i] = s.Customer
	}
	var rows []struct {
		CustomerID, Currency string
		Facts                int64
		AmountMinor          *int64
	}
	err := tx.WithContext(ctx).Raw(`SELECT customer_id, currency, count(*) AS facts, sum(amount_minor) FILTER (WHERE kind IN ?)::bigint AS amount_minor
		FROM reward_events WHERE connection_id = ? AND customer_id IN ? AND kind NOT IN ('customer_mapping', 'customer_deleted')
		GROUP BY customer_id, currency ORDER BY customer_id, currency`, moneyKinds(), connectionID, customers).Scan(&rows).Error
	for _, r := range rows {
		for i := range items {
			if items[i].Customer != r.CustomerID {
				continue
			}
			items[i].Facts += r.Facts
			if r.AmountMinor != nil {
				items[i].Amounts = append(items[i].Amounts, app.Amount{Currency: r.Currency, Minor: *r.AmountMinor})
			}
		}
	}
	return wrap(err)
}

// Suggestion finds one by its ID: decided, or open now.
func (m mapper) Suggestion(ctx context.Context, connectionID, id string) (app.Suggestion, error) {
	decided, err := decisionsOn(ctx, m.tx, connectionID, []app.Suggestion{{ID: id}})
	if err != nil {
		return app.Suggestion{}, err
	}
	if d, ok := decided[id]; ok {
		return d.suggestion(connectionID), nil
	}
	after := ""
	for {
		var rows []pointedRow
		if err := m.tx.WithContext(ctx).Raw(pointedAt, connectionID, after, scanned).Scan(&rows).Error; err != nil {
			return app.Suggestion{}, wrap(err)
		}
		for _, s := range suggestionsOf(connectionID, rows) {
			if s.ID == id {
				return s, nil
			}
		}
		if len(rows) < scanned {
			return app.Suggestion{}, fault.New(fault.NotFound, "suggestion_not_found", "connection %s has no suggestion %q", connectionID, id).
				Fix("List the open suggestions: the customer may have a user by now")
		}
		after = rows[len(rows)-1].CustomerID
	}
}

// SaveDecision appends what a person said.
func (m mapper) SaveDecision(ctx context.Context, s app.Suggestion, linkID string, by app.Decision, at time.Time) error {
	return wrap(m.tx.WithContext(ctx).Exec(`
		INSERT INTO suggestion_decisions (connection_id, suggestion_id, customer_id, user_id, source, decision, link_id, decided_by, reason, decided_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		s.ConnectionID, s.ID, s.Customer, s.User, string(s.By), s.State, linkID, by.Who(), by.Reason, at).Error)
}

// amounts reads a JSON object of minor units by currency.
func amounts(doc string) ([]app.Amount, error) {
	var rows []struct {
		Currency string `json:"currency"`
		Minor    int64  `json:"minor"`
	}
	if err := json.Unmarshal([]byte(doc), &rows); err != nil {
		return nil, err
	}
	var out []app.Amount
	for _, r := range rows {
		out = append(out, app.Amount{Currency: r.Currency, Minor: r.Minor})
	}
	return out, nil
}
