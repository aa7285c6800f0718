package postgres

import (
	"context"

	"gorm.io/gorm"

	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/domain/fault"
)

// journal keeps what people decided.
type journal struct{ tx *gorm.DB }

func (j journal) Intervene(ctx context.Context, i onboard.Intervention) error {
	return wrap(intervene(j.tx.WithContext(ctx), i.Environment, i.Subject, i.Action, i.Before, i.After, i.Who, i.Reason, i.At))
}

func (s accounts) PayerOf(ctx context.Context, issuerConnection, customer, exceptAccount string) (string, error) {
	var id string
	err := s.tx.WithContext(ctx).Raw(`SELECT id FROM accounts WHERE issuer_connection = ? AND payer_customer = ? AND id <> ? ORDER BY id LIMIT 1`,
		issuerConnection, customer, exceptAccount).Scan(&id).Error
	return id, wrap(err)
}

func (s accounts) SetPayer(ctx context.Context, accountID, customer string) error {
	res := s.tx.WithContext(ctx).Exec(`UPDATE accounts SET payer_customer = ? WHERE id = ?`, nullable(customer), accountID)
	if res.Error == nil && res.RowsAffected == 0 {
		return fault.New(fault.NotFound, "account_not_found", "there is no account %q", accountID)
	}
	return wrap(res.Error)
}

func (s accounts) PutWish(ctx context.Context, w onboard.PayerWish) error {
	return wrap(s.tx.WithContext(ctx).Exec(`INSERT INTO payer_wishes (account_id, environment, name, sealed_email, created_at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (account_id) DO UPDATE SET name = excluded.name, sealed_email = excluded.sealed_email,
			generation = payer_wishes.generation + 1, indeterminate = 0, lost_since = NULL`,
		w.AccountID, w.Environment.String(), w.Name, w.SealedEmail, w.At).Error)
}

func (s connections) SaveWriting(ctx context.Context, id string, on bool) error {
	return wrap(s.tx.WithContext(ctx).Exec(`UPDATE connections SET write_back = ? WHERE id = ?`, on, id).Error)
}
