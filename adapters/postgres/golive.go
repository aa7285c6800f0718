package postgres

import (
	"context"
	"encoding/json"
	"time"

	"gorm.io/gorm"

	"github.com/liftbill/liftbill/app/golive"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/reward"
)

// The switch of an account, joined to a row w that names the account.
const (
	switchColumns = `w.account_id AS switch_account, coalesce(lw.open, false) AS switch_open, coalesce(lw.basis, '') AS switch_basis,
		coalesce(lw.reason, '') AS switch_reason, coalesce(lw.changed_by, '') AS switch_by, lw.changed_at AS switch_at`
	switchJoin = ` LEFT JOIN live_writing lw ON lw.account_id = w.account_id`
)

type switchRow struct {
	SwitchAccount, SwitchBasis, SwitchReason, SwitchBy string
	SwitchOpen                                         bool
	SwitchAt                                           *time.Time
}

func (r switchRow) domain() billing.Switch {
	out := billing.Switch{AccountID: r.SwitchAccount, Open: r.SwitchOpen, Basis: billing.SwitchBasis(r.SwitchBasis), Reason: r.SwitchReason, ChangedBy: r.SwitchBy}
	if r.SwitchAt != nil {
		out.ChangedAt = r.SwitchAt.UTC()
	}
	return out
}

func switchOf(tx *gorm.DB, accountID string) (billing.Switch, error) {
	var r switchRow
	err := tx.Raw(`SELECT `+switchColumns+` FROM (SELECT ?::text AS account_id) w`+switchJoin, accountID).Scan(&r).Error
	return r.domain(), err
}

// clearedInvoices counts the outcome invoices of an account that tied out with Stripe and
// were not voided since.
func clearedInvoices(tx *gorm.DB, accountID string) (n int, err error) {
	err = tx.Raw(`SELECT cleared_invoices(?)`, accountID).Scan(&n).Error
	return n, err
}

// GoLive implements golive.Ledger.
type GoLive struct{ db *DB }

var _ golive.Ledger = (*GoLive)(nil)

// NewGoLive opens what is known of accounts that want to go live.
func (db *DB) NewGoLive() *GoLive { return &GoLive{db} }

// Account loads an account with its switch.
func (g *GoLive) Account(ctx context.Context, id string) (account.Account, billing.Switch, error) {
	acc, err := g.db.Account(ctx, id)
	if err != nil {
		return acc, billing.Switch{}, err
	}
	s, err := switchOf(g.db.gorm.WithContext(ctx), id)
	return acc, s, wrap(err)
}

// Switch is the switch of an account, closed for one that is not there.
func (g *GoLive) Switch(ctx context.Context, accountID string) (billing.Switch, error) {
	s, err := switchOf(g.db.gorm.WithContext(ctx), accountID)
	return s, wrap(err)
}

// Facts loads what the checklist is judged on, all but what Stripe is asked.
func (g *GoLive) Facts(ctx context.Context, acc account.Account) (billing.GoLiveFacts, error) {
	var f billing.GoLiveFacts
	tx := g.db.gorm.WithContext(ctx)
	var source struct {
		Paused        bool
		Heard, Reward *time.Time
	}
	err := tx.Raw(`
		SELECT c.paused,
			greatest((SELECT max(received_at) FROM stripe_events WHERE connection_id = c.id), (s.last_pull ->> 'at')::timestamptz, (s.last_check ->> 'at')::timestamptz) AS heard,
			(SELECT min(effective_at) FROM reward_events WHERE connection_id = c.id AND is_reward AND NOT historic) AS reward
		FROM connections c LEFT JOIN source_syncs s ON s.connection_id = c.id WHERE c.id = ?`, acc.SourceConnection).Scan(&source).Error
	if err != nil {
		return f, wrap(err)
	}
	f.SourcePaused = source.Paused
	if source.Heard != nil {
		f.HeardAt = source.Heard.UTC()
	}
	if source.Reward != nil {
		f.FirstRewardAt = source.Reward.UTC()
	}
	for _, load := range []func(*gorm.DB, account.Account, *billing.GoLiveFacts) error{measuredCycle, provenInvoice, shadowCycle} {
		if err := load(tx, acc, &f); err != nil {
			return f, wrap(err)
		}
	}
	return f, nil
}

// measuredCycle is the newest cycle with readouts.
func measuredCycle(tx *gorm.DB, acc account.Account, f *billing.GoLiveFacts) error {
	var r struct {
		ID, Plan                 string
		PaidMinor, UnmappedMinor int64
	}
	err := tx.Raw(`
		SELECT c.id, p.plan, c.paid_minor, coalesce((SELECT sum(b.amount_minor)::bigint FROM cycle_buckets b WHERE b.cycle_id = c.id AND b.bucket = 'unmapped'
			AND b.currency = p.plan::jsonb ->> 'currency'), 0) AS unmapped_minor
		FROM cycles c JOIN measurement_plans p ON p.id = c.plan_id
		WHERE c.account_id = ? AND c.paid_minor IS NOT NULL ORDER BY c.period DESC LIMIT 1`, acc.ID).Scan(&r).Error
	if err != nil || r.ID == "" {
		return err
	}
	var plan struct {
		Thresholds struct {
			UnmappedShare string `json:"unmapped_share"`
		} `json:"thresholds"`
	}
	if err := json.Unmarshal([]byte(r.Plan), &plan); err != nil {
		return fault.Wrap(err, fault.Internal, "plan_unreadable", "the measurement plan of cycle %s cannot be read", r.ID)
	}
	f.MeasuredCycle, f.PaidMinor, f.UnmappedMinor, f.UnmappedShare = r.ID, r.PaidMinor, r.UnmappedMinor, plan.Thresholds.UnmappedShare
	return nil
}

// provenInvoice is the newest paid invoice of a customer whose cash was booked.
func provenInvoice(tx *gorm.DB, acc account.Account, f *billing.GoLiveFacts) error {
	var r struct {
		InvoiceID, Currency string
		AmountMinor         int64
	}
	err := tx.Raw(`
		SELECT r.invoice_id, r.currency, r.amount_minor FROM reward_events r JOIN stripe_invoices i ON i.connection_id = r.connection_id AND i.id = r.invoice_id
		WHERE r.connection_id = ? AND r.environment = 'live' AND r.kind = ? AND r.amount_minor > 0 AND i.status = 'paid' AND NOT i.own
		ORDER BY r.effective_at DESC, r.invoice_id LIMIT 1`, acc.SourceConnection, reward.RevenueConfirmation.String()).Scan(&r).Error
	f.Invoice.ID, f.Invoice.Currency, f.Invoice.BookedMinor = r.InvoiceID, r.Currency, r.AmountMinor
	return err
}

// shadowCycle is the newest cycle that was computed as a shadow one.
func shadowCycle(tx *gorm.DB, acc account.Account, f *billing.GoLiveFacts) error {
	var r struct {
		ID     string
		Breaks int
	}
	err := tx.Raw(`
		SELECT c.id, t.breaks FROM cycles c JOIN invoices i ON i.cycle_id = c.id JOIN cycle_tieouts t ON t.cycle_id = c.id
		WHERE c.account_id = ? AND i.phase = 'shadow' AND t.kind = 'unwritten' ORDER BY c.period DESC LIMIT 1`, acc.ID).Scan(&r).Error
	f.ShadowCycle, f.ShadowBreaks = r.ID, r.Breaks
	return err
}

// SaveSwitch stores a decision with its audit row.
func (g *GoLive) SaveSwitch(ctx context.Context, s billing.Switch, list []billing.ChecklistItem, note audit.Entry) error {
	if list == nil {
		list = []billing.ChecklistItem{}
	}
	doc, err := json.Marshal(list)
	if err != nil {
		return err
	}
	err = g.db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		err := tx.Exec(`INSERT INTO live_writing (account_id, environment, open, basis, reason, checklist, changed_by, changed_at) VALUES (?, 'live', ?, ?, ?, ?::jsonb, ?, ?)
			ON CONFLICT (account_id) DO UPDATE SET open = excluded.open, basis = excluded.basis, reason = excluded.reason, checklist = excluded.checklist,
				changed_by = excluded.changed_by, changed_at = excluded.changed_at`,
			s.AccountID, s.Open, string(s.Basis), s.Reason, string(doc), s.ChangedBy, s.ChangedAt).Error
		if err != nil {
			return err
		}
		return auditLog{tx}.Append(ctx, note)
	})
	return wrap(err)
}
