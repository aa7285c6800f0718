package postgres

import (
	"context"
	"strconv"
	"time"

	"gorm.io/gorm"

	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/app/secret"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
)

// PayerBook implements invoicing.PayerBook. E-mail addresses are sealed where they lie.
type PayerBook struct {
	db  *DB
	box secret.Box
}

var _ invoicing.PayerBook = (*PayerBook)(nil)

// NewPayerBook opens what is known of payers.
func (db *DB) NewPayerBook(box secret.Box) *PayerBook { return &PayerBook{db, box} }

// PayerWish loads the wish of the account that a cycle bills.
func (b *PayerBook) PayerWish(ctx context.Context, cycleID string) (invoicing.PayerWish, error) {
	var r struct {
		AccountID, Environment          string
		IssuerConnection, PayerCustomer *string
		Name                            *string
		SealedEmail                     []byte
		Generation, Indeterminate       int
		FirstTried                      *time.Time
	}
	err := b.db.gorm.WithContext(ctx).Raw(`SELECT a.id AS account_id, a.environment, a.issuer_connection, a.payer_customer, p.name, p.sealed_email,
			coalesce(p.generation, 0) AS generation, coalesce(p.indeterminate, 0) AS indeterminate, p.first_tried
		FROM cycles c JOIN accounts a ON a.id = c.account_id LEFT JOIN payer_wishes p ON p.account_id = a.id WHERE c.id = ?`, cycleID).Scan(&r).Error
	if err != nil {
		return invoicing.PayerWish{}, wrap(err)
	}
	if r.AccountID == "" || (r.Name == nil && r.PayerCustomer == nil) {
		return invoicing.PayerWish{}, fault.New(fault.NotFound, "payer_wish_not_found", "nobody said how the payer of cycle %s is to be found", cycleID)
	}
	out := invoicing.PayerWish{
		Plan:        billing.PayerPlan{IssuerConnection: text(r.IssuerConnection), AccountID: r.AccountID, Name: text(r.Name)},
		Environment: account.Environment(r.Environment), Customer: text(r.PayerCustomer), Generation: r.Generation, Indeterminate: r.Indeterminate,
	}
	if r.FirstTried != nil {
		out.FirstTried = r.FirstTried.UTC()
	}
	if r.Name == nil {
		return out, nil
	}
	email, err := b.box.Open(onboard.PayerContext(r.AccountID), r.SealedEmail)
	out.Plan.Email = string(email)
	return out, err
}

// TryPayer records the first create before it is sent.
func (b *PayerBook) TryPayer(ctx context.Context, accountID string, at time.Time) error {
	return wrap(b.db.gorm.WithContext(ctx).Exec(`UPDATE payer_wishes SET first_tried = coalesce(first_tried, ?) WHERE account_id = ?`, at, accountID).Error)
}

// CountPayer counts lost creates of the present generation.
func (b *PayerBook) CountPayer(ctx context.Context, accountID string, at time.Time) (int, time.Time, error) {
	var lost struct {
		Indeterminate int
		LostSince     time.Time
	}
	err := b.db.gorm.WithContext(ctx).Raw(`UPDATE payer_wishes SET indeterminate = indeterminate + 1, lost_since = coalesce(lost_since, ?)
		WHERE account_id = ? RETURNING indeterminate, lost_since`, at, accountID).Scan(&lost).Error
	return lost.Indeterminate, lost.LostSince.UTC(), wrap(err)
}

// NextPayer begins a generation.
func (b *PayerBook) NextPayer(ctx context.Context, accountID string, _ time.Time) error {
	return wrap(b.db.gorm.WithContext(ctx).Exec(`UPDATE payer_wishes SET generation = generation + 1, indeterminate = 0, lost_since = NULL WHERE account_id = ?`, accountID).Error)
}

// PinPayer is a compare-and-set from NULL.
func (b *PayerBook) PinPayer(ctx context.Context, accountID, customer, how string, at time.Time) (string, error) {
	out := customer
	err := b.db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		var r accountRow
		if err := tx.Raw("SELECT * FROM accounts WHERE id = ? FOR NO KEY UPDATE", accountID).Scan(&r).Error; err != nil {
			return err
		}
		if r.PayerCustomer != nil {
			out = *r.PayerCustomer
			return nil
		}
		if err := tx.Exec("UPDATE accounts SET payer_customer = ? WHERE id = ?", customer, accountID).Error; err != nil {
			return err
		}
		return intervene(tx, account.Environment(r.Environment), "account "+accountID, "payer "+how, "", customer, "liftbill", "as the account's payer was asked for", at)
	})
	return out, wrap(err)
}

// SetupOf is where the set-up of the account's present payer stands.
func (b *PayerBook) SetupOf(ctx context.Context, accountID string) (invoicing.Setup, error) {
	var r struct {
		ID, Environment                 string
		IssuerConnection, PayerCustomer *string
		Currency                        string
		Number                          int
		SessionID                       string
		Done                            bool
	}
	err := b.db.gorm.WithContext(ctx).Raw(`SELECT a.id, a.environment, a.issuer_connection, a.payer_customer,
			coalesce((SELECT c.terms::jsonb->>'currency' FROM contracts c WHERE c.account_id = a.id ORDER BY c.version DESC LIMIT 1), '') AS currency,
			coalesce(s.number, 0) AS number, coalesce(s.session_id, '') AS session_id, coalesce(s.done, false) AS done
		FROM accounts a LEFT JOIN LATERAL (SELECT * FROM payer_setups p WHERE p.account_id = a.id AND p.customer = a.payer_customer
			ORDER BY p.number DESC LIMIT 1) s ON true WHERE a.id = ?`, accountID).Scan(&r).Error
	if err != nil {
		return invoicing.Setup{}, wrap(err)
	}
	if r.ID == "" {
		return invoicing.Setup{}, fault.New(fault.NotFound, "account_not_found", "there is no account %q", accountID)
	}
	return invoicing.Setup{
		Permit:      billing.PayerSetup{IssuerConnection: text(r.IssuerConnection), AccountID: r.ID, Customer: text(r.PayerCustomer), Currency: r.Currency},
		Environment: account.Environment(r.Environment), Number: r.Number, SessionID: r.SessionID, Done: r.Done,
	}, nil
}

// NextSetup counts a page before it is made.
func (b *PayerBook) NextSetup(ctx context.Context, accountID, customer string, note audit.Entry) (int, error) {
	var n int
	err := b.db.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		err := tx.Raw(`INSERT INTO payer_setups (account_id, environment, customer, number, who, created_at)
		SELECT a.id, a.environment, ?, 1 + coalesce((SELECT max(number) FROM payer_setups p WHERE p.account_id = a.id AND p.customer = ?), 0), ?, ?
		FROM accounts a WHERE a.id = ? RETURNING number`, customer, customer, note.Actor.Label(), note.At, accountID).Scan(&n).Error
		if err != nil {
			return err
		}
		return auditLog{tx}.Append(ctx, note.Changed(nil, audit.Facts{"customer": customer, "page": strconv.Itoa(n)}))
	})
	return n, wrap(err)
}

// SaveSetup remembers the page of a number.
func (b *PayerBook) SaveSetup(ctx context.Context, accountID, customer string, number int, sessionID string, done bool, _ time.Time) error {
	return wrap(b.db.gorm.WithContext(ctx).Exec(`UPDATE payer_setups SET session_id = ?, done = ? WHERE account_id = ? AND customer = ? AND number = ?`,
		sessionID, done, accountID, customer, number).Error)
}

// LogPayerCalls appends the answered requests about an account's payer.
func (b *PayerBook) LogPayerCalls(ctx context.Context, accountID string, calls []invoicing.Call, at time.Time) error {
	for _, c := range calls {
		err := b.db.gorm.WithContext(ctx).Exec(`INSERT INTO payer_attempts (account_id, at, operation, outcome, request_id) VALUES (?, ?, ?, ?, ?)`,
			accountID, at, c.Operation, c.Outcome, c.RequestID).Error
		if err != nil {
			return wrap(err)
		}
	}
	return nil
}
