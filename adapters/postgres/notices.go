package postgres

import (
	"context"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/liftbill/liftbill/app/notify"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/notice"
)

// Notices implements notify.Ledger.
type Notices struct{ db *DB }

var _ notify.Ledger = (*Notices)(nil)

// NewNotices opens what people are told.
func (db *DB) NewNotices() *Notices { return &Notices{db} }

// Refresh makes the stored notices those that tell derives. It touches only what changed:
// most of the time that is nothing.
func (n *Notices) Refresh(ctx context.Context, at time.Time, tell func([]notice.Cycle, []notice.Month) []notice.Notice) (fresh int, err error) {
	err = n.db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		// Two at a time would settle each other's news.
		if err := tx.Exec("SELECT pg_advisory_xact_lock(hashtextextended('notices', 0))").Error; err != nil {
			return err
		}
		cycles, err := waitingCycles(tx)
		if err != nil {
			return err
		}
		months, err := brokenMonths(tx)
		if err != nil {
			return err
		}
		var open []string
		if err := tx.Raw(`SELECT id FROM notifications WHERE settled_at IS NULL`).Scan(&open).Error; err != nil {
			return err
		}
		before := map[string]bool{}
		for _, id := range open {
			before[id] = true
		}
		for _, x := range tell(cycles, months) {
			if before[x.ID] {
				delete(before, x.ID)
				continue
			}
			if err := openNotice(tx, x, at); err != nil {
				return err
			}
			fresh++
		}
		for id := range before {
			if err := tx.Exec(`UPDATE notifications SET settled_at = ? WHERE id = ?`, at, id).Error; err != nil {
				return err
			}
		}
		return nil
	})
	return fresh, wrap(err)
}

func openNotice(tx *gorm.DB, x notice.Notice, at time.Time) error {
	return tx.Exec(`INSERT INTO notifications (id, kind, environment, account_id, period, cycle_id, role, title, detail, next_action, path, due_at, opened_at)
			VALUES (?, ?, ?, ?, ?, nullif(?, ''), ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET episode = notifications.episode + 1, settled_at = NULL, opened_at = excluded.opened_at,
			title = excluded.title, detail = excluded.detail, next_action = excluded.next_action, due_at = excluded.due_at`,
		x.ID, string(x.Kind), x.Environment.String(), x.AccountID, x.Period, x.CycleID, string(x.Role), x.Title, x.Detail, x.Next, x.Path, optionalTime(x.Due), at).Error
}

func optionalTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// waitingCycles are the cycles that go on only when somebody acts.
func waitingCycles(tx *gorm.DB) ([]notice.Cycle, error) {
	var rows []struct {
		ID, AccountID, AccountName, Period, Environment, State, Reason, Currency string
		WaitingSince, WaitingUntil                                               *time.Time
		RequiresPerson                                                           bool
		Reminders, Decisions                                                     int
		TotalMinor                                                               int64
	}
	err := tx.Raw(`
		SELECT c.id, c.account_id, a.name AS account_name, c.period, c.environment, c.state, c.reason, c.waiting_since, c.waiting_until, c.reminders,
			coalesce(i.requires_person, false) AS requires_person, coalesce(i.currency, '') AS currency, coalesce(i.total_minor, 0) AS total_minor,
			(SELECT count(*) FROM cycle_decisions x WHERE x.cycle_id = c.id) AS decisions
		FROM cycles c JOIN accounts a ON a.id = c.account_id LEFT JOIN invoices i ON i.cycle_id = c.id WHERE c.state IN ? ORDER BY c.id`,
		[]billing.CycleState{billing.AwaitingApproval, billing.Held, billing.Returned, billing.Expired, billing.Blocked, billing.NeedsHuman}).Scan(&rows).Error
	var out []notice.Cycle
	for _, r := range rows {
		c := notice.Cycle{
			ID: r.ID, AccountID: r.AccountID, AccountName: r.AccountName, Period: r.Period, Environment: account.Environment(r.Environment), State: billing.CycleState(r.State),
			Reason: r.Reason, RequiresPerson: r.RequiresPerson, Reminders: r.Reminders, Decisions: r.Decisions, TotalMinor: r.TotalMinor, Currency: r.Currency,
		}
		if r.WaitingSince != nil {
			c.Since = r.WaitingSince.UTC()
		}
		if r.WaitingUntil != nil {
			c.Until = r.WaitingUntil.UTC()
		}
		out = append(out, c)
	}
	return out, err
}

// brokenMonths are the months that breaks keep from being closed.
func brokenMonths(tx *gorm.DB) ([]notice.Month, error) {
	var out []notice.Month
	err := tx.Raw(`SELECT b.account_id, a.name AS account_name, b.period, b.environment, count(*) AS breaks FROM recon_breaks b JOIN accounts a ON a.id = b.account_id
		WHERE b.state IN ('open', 'assigned', 'waiting', 'force_requested') AND b.severity IN ('error', 'critical')
		GROUP BY b.account_id, a.name, b.period, b.environment ORDER BY b.account_id, b.period`).Scan(&out).Error
	return out, err
}

type noticeRow struct {
	ID, Kind, Environment, AccountID, AccountName, Period, CycleID, Role, Title, Detail, NextAction, Path string
	DueAt, SettledAt                                                                                      *time.Time
	OpenedAt                                                                                              time.Time
	Episode, Attempts                                                                                     int
	Recipients                                                                                            string
}

func (r noticeRow) notice() notice.Notice {
	out := notice.Notice{
		ID: r.ID, Kind: notice.Kind(r.Kind), Environment: account.Environment(r.Environment), AccountID: r.AccountID, Period: r.Period, CycleID: r.CycleID,
		Role: access.Role(r.Role), Title: r.Title, Detail: r.Detail, Next: r.NextAction, Path: r.Path,
	}
	if r.DueAt != nil {
		out.Due = r.DueAt.UTC()
	}
	return out
}

const noticeColumns = `n.id, n.kind, n.environment, n.account_id, a.name AS account_name, n.period, coalesce(n.cycle_id, '') AS cycle_id, n.role, n.title, n.detail,
	n.next_action, n.path, n.due_at, n.settled_at, n.opened_at, n.episode`

// Claim takes open notices for a channel. The row of the delivery is made here, so that a
// channel that is set up later starts with what is open then.
func (n *Notices) Claim(ctx context.Context, channel string, limit int, at, until time.Time) ([]notify.Delivery, error) {
	var rows []noticeRow
	err := n.db.gorm.WithContext(ctx).Raw(`
		WITH due AS (
			SELECT n.id, n.episode FROM notifications n LEFT JOIN notification_deliveries d ON d.notification_id = n.id AND d.episode = n.episode AND d.channel = @channel
			WHERE n.settled_at IS NULL AND (d.notification_id IS NULL OR (d.delivered_at IS NULL AND d.next_at <= @at))
			ORDER BY n.opened_at, n.id LIMIT @limit FOR UPDATE OF n SKIP LOCKED),
		taken AS (
			INSERT INTO notification_deliveries AS d (notification_id, episode, channel, next_at) SELECT id, episode, @channel, @until FROM due
			ON CONFLICT (notification_id, episode, channel) DO UPDATE SET next_at = excluded.next_at WHERE d.delivered_at IS NULL AND d.next_at <= @at
			RETURNING d.notification_id, d.attempts)
		SELECT `+noticeColumns+`, t.attempts, coalesce((SELECT string_agg(u.email, ' ' ORDER BY u.email) FROM users u
				WHERE u.disabled_at IS NULL AND n.role = ANY (u.roles) AND n.environment = ANY (u.environments) AND (u.all_accounts OR n.account_id = ANY (u.accounts))), '') AS recipients
		FROM taken t JOIN notifications n ON n.id = t.notification_id JOIN accounts a ON a.id = n.account_id ORDER BY n.opened_at, n.id`,
		map[string]any{"channel": channel, "at": at, "until": until, "limit": limit}).Scan(&rows).Error
	var out []notify.Delivery
	for _, r := range rows {
		out = append(out, notify.Delivery{
			Notice: r.notice(), AccountName: r.AccountName, Episode: r.Episode, Channel: channel, Attempts: r.Attempts, OpenedAt: r.OpenedAt.UTC(), Recipients: strings.Fields(r.Recipients),
		})
	}
	return out, wrap(err)
}

// Delivered notes a success.
func (n *Notices) Delivered(ctx context.Context, d notify.Delivery, at time.Time) error {
	return wrap(n.db.gorm.WithContext(ctx).Exec(`UPDATE notification_deliveries SET attempts = attempts + 1, delivered_at = ?, error = ''
		WHERE notification_id = ? AND episode = ? AND channel = ?`, at, d.ID, d.Episode, d.Channel).Error)
}

// Failed notes a failure.
func (n *Notices) Failed(ctx context.Context, d notify.Delivery, next time.Time, why string) error {
	return wrap(n.db.gorm.WithContext(ctx).Exec(`UPDATE notification_deliveries SET attempts = attempts + 1, next_at = ?, error = ?
		WHERE notification_id = ? AND episode = ? AND channel = ? AND delivered_at IS NULL`, next, why, d.ID, d.Episode, d.Channel).Error)
}

// Rows lists notices, the newest first.
func (n *Notices) Rows(ctx context.Context, f notify.Filter) (notify.Page, error) {
	q := where{}
	q.scoped(f.Scope, "n.environment", "n.account_id")
	q.eq("n.account_id", f.AccountID)
	if len(f.Roles) > 0 {
		q.add("n.role = ANY (?::text[])", wordsOf(f.Roles))
	}
	if !f.Settled {
		q.add("n.settled_at IS NULL")
	}
	if err := q.after(f.Cursor, "(n.opened_at, n.id) < (?::timestamptz, ?)"); err != nil {
		return notify.Page{}, err
	}
	if at, _, ok := strings.Cut(f.Cursor, "~"); ok {
		if _, err := time.Parse(time.RFC3339Nano, at); err != nil {
			return notify.Page{}, badCursor(f.Cursor)
		}
	}
	tx := n.db.gorm.WithContext(ctx)
	var rows []noticeRow
	err := tx.Raw(`SELECT `+noticeColumns+` FROM notifications n JOIN accounts a ON a.id = n.account_id`+q.sql()+` ORDER BY n.opened_at DESC, n.id DESC LIMIT ?`, append(q.args, f.Limit+1)...).Scan(&rows).Error
	if err != nil {
		return notify.Page{}, wrap(err)
	}
	page, err := pageOf(rows, f.Limit, func(r noticeRow) (notify.Row, error) { return noticeView(tx, r) },
		func(last noticeRow) string { return cursor(last.OpenedAt.UTC().Format(time.RFC3339Nano), last.ID) })
	return notify.Page{Items: page.Items, NextCursor: page.NextCursor}, wrap(err)
}

func noticeView(tx *gorm.DB, r noticeRow) (notify.Row, error) {
	out := notify.Row{Notice: r.notice(), AccountName: r.AccountName, Episode: r.Episode, OpenedAt: r.OpenedAt.UTC()}
	if r.SettledAt != nil {
		at := r.SettledAt.UTC()
		out.SettledAt = &at
	}
	err := tx.Raw(`SELECT channel, attempts, delivered_at, error FROM notification_deliveries WHERE notification_id = ? AND episode = ? ORDER BY channel`, r.ID, r.Episode).Scan(&out.Deliveries).Error
	for i, d := range out.Deliveries {
		if d.DeliveredAt != nil {
			at := d.DeliveredAt.UTC()
			out.Deliveries[i].DeliveredAt = &at
		}
	}
	return out, err
}
