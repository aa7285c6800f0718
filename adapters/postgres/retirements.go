package postgres

import (
	"context"
	"time"

	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
)

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
