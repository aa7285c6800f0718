package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/shopspring/decimal"
	"gorm.io/gorm"

	"github.com/liftbill/liftbill/app/mapping"
	"github.com/liftbill/liftbill/app/sourcesync"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/reward"
	"github.com/liftbill/liftbill/domain/source"
)

type backfillRow struct {
	ID           string `gorm:"primaryKey"`
	ConnectionID string
	Environment  string
	Kind         string
	State        string
	Starts       time.Time
	Until        time.Time
	Resource     string
	Reason       *string
	DoneAt       *time.Time
	Epoch        int
}

func (backfillRow) TableName() string { return "backfills" }

func (r backfillRow) domain() (sourcesync.Backfill, error) {
	why, err := reasonOf(r.Reason)
	return sourcesync.Backfill{
		ID: r.ID, ConnectionID: r.ConnectionID, Kind: sourcesync.Kind(r.Kind), State: sourcesync.BackfillState(r.State),
		Start: r.Starts.UTC(), Until: r.Until.UTC(), Resource: sourcesync.Resource(r.Resource), Reason: why, DoneAt: instant(r.DoneAt), Epoch: r.Epoch,
	}, err
}

// Backfill returns a backfill.
func (s *Sources) Backfill(ctx context.Context, id string) (sourcesync.Backfill, error) {
	var r backfillRow
	if err := s.db.gorm.WithContext(ctx).Take(&r, "id = ?", id).Error; err != nil {
		return sourcesync.Backfill{}, notFound(err, "backfill", id)
	}
	return r.domain()
}

// OpenBackfill returns the connection's open backfill or makes one.
func (s *Sources) OpenBackfill(ctx context.Context, b sourcesync.Backfill, at time.Time, note audit.Entry) (out sourcesync.Backfill, created bool, err error) {
	err = s.db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		c, _, err := s.load(ctx, tx, b.ConnectionID)
		if err != nil {
			return err
		}
		if out, created, err = openBackfill(tx, c, b, at); err != nil {
			return err
		}
		if err := startRewards(tx, b, at); err != nil {
			return err
		}
		return auditLog{tx}.Append(ctx, note)
	})
	return out, created, wrap(err)
}

// startRewards moves the start of what is rewarded, never forth. What was history until
// now, and is no longer, becomes rewardable.
func startRewards(tx *gorm.DB, b sourcesync.Backfill, at time.Time) error {
	res := tx.Exec(`UPDATE source_syncs SET sync_start = ?, updated_at = ? WHERE connection_id = ? AND (sync_start IS NULL OR sync_start > ?)`,
		b.Start, at, b.ConnectionID, b.Start)
	if res.Error != nil || res.RowsAffected == 0 {
		return res.Error
	}
	return tx.Exec(`UPDATE reward_events SET historic = false WHERE connection_id = ? AND historic AND effective_at >= ?`, b.ConnectionID, b.Start).Error
}

// openBackfill makes a backfill, or lets the open one go on. An open one that wants less
// begins again with what both want.
func openBackfill(tx *gorm.DB, c sourcesync.Connection, b sourcesync.Backfill, at time.Time) (sourcesync.Backfill, bool, error) {
	if err := tx.Exec(`SELECT 1 FROM source_syncs WHERE connection_id = ? FOR UPDATE`, b.ConnectionID).Error; err != nil {
		return b, false, err
	}
	var open backfillRow
	if err := tx.Limit(1).Find(&open, "connection_id = ? AND state <> 'done'", b.ConnectionID).Error; err != nil {
		return b, false, err
	}
	if open.ID == "" {
		var before int
		if err := tx.Raw(`SELECT count(*) FROM backfills WHERE connection_id = ?`, b.ConnectionID).Scan(&before).Error; err != nil {
			return b, false, err
		}
		b.ID = fmt.Sprintf("%s-backfill-%d", b.ConnectionID, before+1)
		err := tx.Exec(`INSERT INTO backfills (id, connection_id, environment, kind, state, starts, until, resource, requested_at, updated_at)
			VALUES (?, ?, ?, ?, 'running', ?, ?, ?, ?, ?)`, b.ID, b.ConnectionID, c.Environment.String(), string(b.Kind), b.Start, b.Until, string(b.Resource), at, at).Error
		return b, true, err
	}
	wider := b.Start.Before(open.Starts) || (b.Kind == sourcesync.Requested && open.Kind == string(sourcesync.ForGap)) || b.Kind == sourcesync.ForGap
	if wider {
		if err := tx.Exec(`DELETE FROM backfill_windows WHERE backfill_id = ?`, open.ID).Error; err != nil {
			return b, false, err
		}
		if b.Start.Before(open.Starts) {
			open.Starts = b.Start
		}
		if b.Kind == sourcesync.Requested {
			open.Kind = string(b.Kind)
		}
		open.Until, open.Resource = b.Until, string(b.Resource)
		open.Epoch++
	}
	open.State, open.Reason = string(sourcesync.BackfillRunning), nil
	err := tx.Exec(`UPDATE backfills SET state = ?, reason = NULL, kind = ?, starts = ?, until = ?, resource = ?, epoch = ?, updated_at = ? WHERE id = ?`,
		open.State, open.Kind, open.Starts, open.Until, open.Resource, open.Epoch, at, open.ID).Error
	if err != nil {
		return b, false, err
	}
	out, err := open.domain()
	return out, false, err
}

// historyAgain has the history of a connection read once more, where it was read before: objects
// that only lists told have no event that could be. It returns the backfill, if there is one. One
// that is being read, or has stopped, begins at the beginning in the state that it has; otherwise a
// new one does no more than those before it: the horizon is not this one's to move.
func historyAgain(tx *gorm.DB, of mapping.Settings, at time.Time) (string, error) {
	if err := tx.Exec(`SELECT 1 FROM source_syncs WHERE connection_id = ? FOR UPDATE`, of.ConnectionID).Error; err != nil {
		return "", err
	}
	var read struct {
		Starts    *time.Time
		Requested bool
		Open      *string
	}
	err := tx.Raw(`SELECT min(starts) AS starts, coalesce(bool_or(kind = 'requested'), false) AS requested, max(id) FILTER (WHERE state <> 'done') AS open
		FROM backfills WHERE connection_id = ?`, of.ConnectionID).Scan(&read).Error
	if err != nil || read.Starts == nil {
		return "", err
	}
	until := at.Truncate(time.Second)
	if read.Open != nil {
		res := tx.Exec(`UPDATE backfills SET starts = ?, until = ?, resource = ?, epoch = epoch + 1, updated_at = ? WHERE id = ? AND state <> 'done'`,
			read.Starts, until, string(sourcesync.Events), at, *read.Open)
		if res.Error != nil {
			return "", res.Error
		}
		if res.RowsAffected > 0 {
			return *read.Open, tx.Exec(`DELETE FROM backfill_windows WHERE backfill_id = ?`, *read.Open).Error
		} // it ended this very moment, so that another one begins
	}
	c := sourcesync.Connection{Connection: account.Connection{ID: of.ConnectionID, Environment: of.Environment}}
	b := sourcesync.Backfill{
		ConnectionID: c.ID, Kind: sourcesync.ForGap, State: sourcesync.BackfillRunning, Start: read.Starts.UTC(), Until: until, Resource: sourcesync.Events,
	}
	if read.Requested {
		b.Kind = sourcesync.Requested
	}
	b, _, err = openBackfill(tx, c, b, at)
	return b.ID, err
}

type windowRow struct {
	BackfillID  string
	Resource    string
	WindowStart time.Time
	WindowEnd   time.Time
	AfterID     string
	Pages       int
	Objects     int
	Done        bool
}

// LastWindow is the newest window of a resource.
func (s *Sources) LastWindow(ctx context.Context, backfillID string, r sourcesync.Resource) (sourcesync.Window, bool, error) {
	var row windowRow
	err := s.db.gorm.WithContext(ctx).Raw(`SELECT backfill_id, resource, window_start, window_end, after_id, pages, objects, done FROM backfill_windows
		WHERE backfill_id = ? AND resource = ? ORDER BY window_start DESC LIMIT 1`, backfillID, string(r)).Scan(&row).Error
	w := sourcesync.Window{
		Resource: r, Window: source.Window{From: row.WindowStart.UTC(), To: row.WindowEnd.UTC()},
		After: row.AfterID, Pages: row.Pages, Objects: row.Objects, Done: row.Done,
	}
	return w, row.BackfillID != "", wrap(err)
}

// SaveWindow remembers how far a window was read.
func (s *Sources) SaveWindow(ctx context.Context, b sourcesync.Backfill, w sourcesync.Window, at time.Time) error {
	return wrap(saveWindow(s.db.gorm.WithContext(ctx), b, w, 0, at))
}

// saveWindow is the last statement of its transaction: whoever begins a backfill again locks it
// behind the rows that a page books, and so does this.
func saveWindow(tx *gorm.DB, b sourcesync.Backfill, w sourcesync.Window, facts int, at time.Time) error {
	return unlessBegun(tx.Exec(`
		INSERT INTO backfill_windows (backfill_id, resource, window_start, window_end, after_id, pages, objects, facts, done, updated_at)
		SELECT id, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM backfills WHERE id = ? AND epoch = ? FOR SHARE
		ON CONFLICT (backfill_id, resource, window_start) DO UPDATE SET window_end = excluded.window_end, after_id = excluded.after_id,
			pages = excluded.pages, objects = excluded.objects, facts = backfill_windows.facts + excluded.facts, done = excluded.done, updated_at = excluded.updated_at`,
		string(w.Resource), w.From, w.To, w.After, w.Pages, w.Objects, facts, w.Done, at, b.ID, b.Epoch))
}

// unlessBegun makes a write that found no backfill of its epoch the error that the backfill has
// begun again.
func unlessBegun(res *gorm.DB) error {
	if res.Error == nil && res.RowsAffected == 0 {
		return sourcesync.ErrBegunAgain
	}
	return res.Error
}

// SavePage books a page of a list.
func (s *Sources) SavePage(ctx context.Context, b sourcesync.Backfill, p sourcesync.Page, at time.Time) (sourcesync.Booked, error) {
	var out observed
	err := s.db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		var err error
		out, err = s.observe(ctx, tx, b.ConnectionID, p.Observations, listed, at)
		if err != nil {
			return err
		}
		if err := savePlans(tx, b.ConnectionID, p.Plans); err != nil {
			return err
		}
		return saveWindow(tx, b, p.Window, out.facts, at)
	})
	return sourcesync.Booked{Facts: out.facts, Duplicates: out.duplicates, Beyond: out.beyond}, wrap(err)
}

// listed is the lineage of what was read off a list.
func listed(o reward.Observation) string { return "bf:" + o.Envelope.ObjectID }

func savePlans(tx *gorm.DB, connectionID string, plans []reward.BilledPlan) error {
	for _, p := range plans {
		err := tx.Exec(`
			INSERT INTO billed_plans (connection_id, subscription_id, invoice_id, customer_id, currency, billed_from, signature, monthly_minor, known, trial)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?::numeric, ?, ?) ON CONFLICT DO NOTHING`,
			connectionID, p.Subscription, p.Invoice, p.Customer, p.Currency, p.From, p.Signature, p.MonthlyMinor.String(), p.Known, p.Trial).Error
		if err != nil {
			return err
		}
	}
	return nil
}

// Histories lists the billed plans of whole subscriptions.
func (s *Sources) Histories(ctx context.Context, connectionID, after string, limit int) ([][]reward.BilledPlan, error) {
	var rows []struct {
		SubscriptionID, InvoiceID, CustomerID, Currency, Signature, MonthlyMinor string
		BilledFrom                                                               time.Time
		Known, Trial                                                             bool
	}
	err := s.db.gorm.WithContext(ctx).Raw(`
		WITH page AS (SELECT DISTINCT subscription_id FROM billed_plans WHERE connection_id = ? AND subscription_id > ? ORDER BY subscription_id LIMIT ?)
		SELECT subscription_id, invoice_id, customer_id, currency, signature, monthly_minor::text AS monthly_minor, billed_from, known, trial
		FROM billed_plans JOIN page USING (subscription_id) WHERE connection_id = ? ORDER BY subscription_id, billed_from, invoice_id`,
		connectionID, after, limit, connectionID).Scan(&rows).Error
	if err != nil {
		return nil, wrap(err)
	}
	var out [][]reward.BilledPlan
	for _, r := range rows {
		worth, err := decimal.NewFromString(r.MonthlyMinor)
		if err != nil {
			return nil, err
		}
		p := reward.BilledPlan{
			Subscription: r.SubscriptionID, Customer: r.CustomerID, Invoice: r.InvoiceID, Currency: r.Currency, From: r.BilledFrom.UTC(),
			Signature: r.Signature, MonthlyMinor: worth, Known: r.Known, Trial: r.Trial,
		}
		if n := len(out); n > 0 && out[n-1][0].Subscription == p.Subscription {
			out[n-1] = append(out[n-1], p)
			continue
		}
		out = append(out, []reward.BilledPlan{p})
	}
	return out, nil
}

// BookChanges books inferred plan changes.
func (s *Sources) BookChanges(ctx context.Context, b sourcesync.Backfill, facts []reward.Fact, w sourcesync.Window, at time.Time) (sourcesync.Booked, error) {
	var out observed
	err := s.db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		rows := make([]factRow, len(facts))
		for i, f := range facts {
			rows[i] = rowOf(b.ConnectionID, "bf:"+f.ObjectID, f)
		}
		var err error
		if out, err = s.bookObserved(ctx, tx, rows, at); err != nil {
			return err
		}
		return saveWindow(tx, b, w, out.facts, at)
	})
	return sourcesync.Booked{Facts: out.facts, Duplicates: out.duplicates, Beyond: out.beyond}, wrap(err)
}

// Enter moves a backfill to its next resource.
func (s *Sources) Enter(ctx context.Context, b sourcesync.Backfill, r sourcesync.Resource, at time.Time) error {
	err := s.db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if b.Resource == sourcesync.Events {
			if err := leaveEvents(tx, b, at); err != nil {
				return err
			}
		}
		return unlessBegun(tx.Exec(`UPDATE backfills SET resource = ?, updated_at = ? WHERE id = ? AND epoch = ?`, string(r), at, b.ID, b.Epoch))
	})
	return wrap(err)
}

// leaveEvents draws the line: events are stored from the first window on, and what lies
// before it, or in a gap, is concluded from the lists that come now.
func leaveEvents(tx *gorm.DB, b sourcesync.Backfill, at time.Time) error {
	if b.Kind == sourcesync.Requested {
		err := tx.Exec(`
			UPDATE source_syncs SET listed = true, updated_at = ?,
				events_horizon = least(events_horizon, (SELECT min(window_start) FROM backfill_windows WHERE backfill_id = ? AND resource = ?))
			WHERE connection_id = ?`, at, b.ID, string(sourcesync.Events), b.ConnectionID).Error
		if err != nil {
			return err
		}
	}
	return tx.Exec(`UPDATE source_gaps SET listed = true WHERE connection_id = ?`, b.ConnectionID).Error
}

// CloseBackfill ends a backfill.
func (s *Sources) CloseBackfill(ctx context.Context, b sourcesync.Backfill, to sourcesync.BackfillState, why source.Reason, at time.Time) error {
	text, err := reasonText(why)
	if err != nil {
		return err
	}
	var done *time.Time
	if to == sourcesync.BackfillDone {
		done = &at
	}
	return wrap(unlessBegun(s.db.gorm.WithContext(ctx).Exec(`UPDATE backfills SET state = ?, reason = ?::jsonb, done_at = ?, updated_at = ?
		WHERE id = ? AND epoch = ? AND state = 'running'`, string(to), text, done, at, b.ID, b.Epoch)))
}
