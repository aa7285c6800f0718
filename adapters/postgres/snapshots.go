package postgres

import (
	"context"
	"time"

	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/domain/account"
)

type snapshotRow struct {
	AccountID   string `gorm:"primaryKey"`
	ID          string `gorm:"primaryKey"`
	Environment string
	Name        string
	ShippedAt   time.Time
}

func (snapshotRow) TableName() string { return "policy_snapshots" }

func (r snapshotRow) domain() onboard.Snapshot {
	return onboard.Snapshot{ID: r.ID, AccountID: r.AccountID, Environment: account.Environment(r.Environment), Name: r.Name, ShippedAt: r.ShippedAt.UTC()}
}

func (s agreements) Snapshot(ctx context.Context, accountID, id string) (onboard.Snapshot, error) {
	var r snapshotRow
	if err := s.tx.WithContext(ctx).Take(&r, "account_id = ? AND id = ?", accountID, id).Error; err != nil {
		return onboard.Snapshot{}, notFound(err, "snapshot", id)
	}
	return r.domain(), nil
}

func (s agreements) Snapshots(ctx context.Context, accountID string) ([]onboard.Snapshot, error) {
	var rows []snapshotRow
	if err := s.tx.WithContext(ctx).Order("id").Find(&rows, "account_id = ?", accountID).Error; err != nil {
		return nil, wrap(err)
	}
	out := make([]onboard.Snapshot, len(rows))
	for i, r := range rows {
		out[i] = r.domain()
	}
	return out, nil
}

func (s agreements) InsertSnapshot(ctx context.Context, sn onboard.Snapshot) error {
	return wrap(s.tx.WithContext(ctx).Create(&snapshotRow{
		AccountID: sn.AccountID, ID: sn.ID, Environment: sn.Environment.String(), Name: sn.Name, ShippedAt: sn.ShippedAt,
	}).Error)
}

// LockSnapshots serialises those who ship snapshots to one account.
func (s agreements) LockSnapshots(ctx context.Context, accountID string) error {
	return wrap(s.tx.WithContext(ctx).Exec("SELECT 1 FROM accounts WHERE id = ? FOR NO KEY UPDATE", accountID).Error)
}
