package postgres

import (
	"context"
	"time"

	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
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

func (s agreements) Retirement(ctx context.Context, accountID, snapshotID string) (onboard.Retirement, error) {
	var rows []struct {
		AccountID, SnapshotID, Environment, Reason, RetiredBy string
		RetiredAt, RecordedAt                                 time.Time
	}
	err := s.tx.WithContext(ctx).Raw(`SELECT * FROM snapshot_retirements WHERE account_id = ? AND snapshot_id = ?`, accountID, snapshotID).Scan(&rows).Error
	switch {
	case err != nil:
		return onboard.Retirement{}, wrap(err)
	case len(rows) == 0:
		return onboard.Retirement{}, fault.New(fault.NotFound, "not_found", "snapshot %s is not retired", snapshotID)
	}
	r := rows[0]
	return onboard.Retirement{
		AccountID: r.AccountID, SnapshotID: r.SnapshotID, Environment: account.Environment(r.Environment), RetiredAt: r.RetiredAt.UTC(), Reason: r.Reason, By: r.RetiredBy, RecordedAt: r.RecordedAt.UTC(),
	}, nil
}

func (s agreements) InsertRetirement(ctx context.Context, r onboard.Retirement) error {
	return wrap(s.tx.WithContext(ctx).Exec(`INSERT INTO snapshot_retirements (account_id, snapshot_id, environment, retired_at, reason, retired_by, recorded_at) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		r.AccountID, r.SnapshotID, r.Environment.String(), r.RetiredAt, r.Reason, r.By, r.RecordedAt).Error)
}

// LockSnapshots serialises those who ship snapshots to one account.
func (s agreements) LockSnapshots(ctx context.Context, accountID string) error {
	return wrap(s.tx.WithContext(ctx).Exec("SELECT 1 FROM accounts WHERE id = ? FOR NO KEY UPDATE", accountID).Error)
}
