package postgres

import (
	"context"
	"encoding/json"
	"time"

	"gorm.io/gorm"

	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/period"
)

// Onboarding is the unit of work of app/onboard.
func (db *DB) Onboarding() Work[onboard.Stores] {
	return Work[onboard.Stores]{db: db, make: func(tx *gorm.DB) onboard.Stores {
		return onboard.Stores{Journal: journal{tx}, Accounts: accounts{tx}, Connections: connections{tx}, Agreements: agreements{tx}, Audit: auditLog{tx}}
	}}
}

type accountRow struct {
	ID               string `gorm:"primaryKey"`
	Environment      string
	Name             string
	SourceConnection string
	IssuerConnection *string
	PayerCustomer    *string
	CreatedAt        time.Time
}

func (accountRow) TableName() string { return "accounts" }

func (r accountRow) domain() account.Account {
	return account.Account{
		ID: r.ID, Environment: account.Environment(r.Environment), Name: r.Name, SourceConnection: r.SourceConnection,
		IssuerConnection: text(r.IssuerConnection), PayerCustomer: text(r.PayerCustomer),
	}
}

type accounts struct{ tx *gorm.DB }

func (s accounts) Account(ctx context.Context, id string) (account.Account, error) {
	var r accountRow
	if err := s.tx.WithContext(ctx).Take(&r, "id = ?", id).Error; err != nil {
		return account.Account{}, notFound(err, "account", id)
	}
	return r.domain(), nil
}

func (s accounts) InsertAccount(ctx context.Context, a account.Account, at time.Time) error {
	return wrap(s.tx.WithContext(ctx).Create(&accountRow{
		ID: a.ID, Environment: a.Environment.String(), Name: a.Name, SourceConnection: a.SourceConnection,
		IssuerConnection: nullable(a.IssuerConnection), PayerCustomer: nullable(a.PayerCustomer), CreatedAt: at,
	}).Error)
}

func (s accounts) FillAccount(ctx context.Context, a account.Account) error {
	res := s.tx.WithContext(ctx).Exec(`UPDATE accounts SET issuer_connection = ?, payer_customer = ? WHERE id = ?
		AND (issuer_connection IS NULL OR issuer_connection = ?) AND (payer_customer IS NULL OR payer_customer = ?)`,
		nullable(a.IssuerConnection), nullable(a.PayerCustomer), a.ID, a.IssuerConnection, a.PayerCustomer)
	if res.Error == nil && res.RowsAffected == 0 {
		return fault.New(fault.Conflict, "account_exists", "account %s has another issuer or payer", a.ID)
	}
	return wrap(res.Error)
}

type connectionRow struct {
	ID              string `gorm:"primaryKey"`
	Environment     string
	RoleSource      bool
	RoleIssuer      bool
	StripeAccountID string
	SealedKey       []byte
	KeyMask         string
	PublishableKey  string
	UserIDKey       string
	Paused          bool
	WriteBack       bool
	PausedReason    string
	PausedBy        string
	PausedAt        *time.Time
	MapByEmail      bool `gorm:"->"`
	MapByDomain     bool `gorm:"->"`
	CreatedAt       time.Time
}

func (connectionRow) TableName() string { return "connections" }

func (r connectionRow) domain() onboard.SealedConnection {
	out := onboard.SealedConnection{
		Connection: account.Connection{
			ID: r.ID, Environment: account.Environment(r.Environment), Roles: account.Roles{Source: r.RoleSource, Issuer: r.RoleIssuer},
			StripeAccountID: r.StripeAccountID, PublishableKey: r.PublishableKey, UserIDKey: r.UserIDKey, KeyMask: r.KeyMask,
			Paused: r.Paused, PausedReason: r.PausedReason, PausedBy: r.PausedBy, WriteBackOff: !r.WriteBack,
		},
		SealedKey: r.SealedKey, CreatedAt: r.CreatedAt.UTC(),
	}
	if r.PausedAt != nil {
		out.PausedAt = r.PausedAt.UTC()
	}
	return out
}

type connections struct{ tx *gorm.DB }

func (s connections) Connection(ctx context.Context, id string) (onboard.SealedConnection, error) {
	var r connectionRow
	if err := s.tx.WithContext(ctx).Take(&r, "id = ?", id).Error; err != nil {
		return onboard.SealedConnection{}, notFound(err, "connection", id)
	}
	return r.domain(), nil
}

func (s connections) InsertConnection(ctx context.Context, c onboard.SealedConnection) error {
	return wrap(s.tx.WithContext(ctx).Create(&connectionRow{
		ID: c.ID, Environment: c.Environment.String(), RoleSource: c.Roles.Source, RoleIssuer: c.Roles.Issuer,
		StripeAccountID: c.StripeAccountID, SealedKey: c.SealedKey, KeyMask: c.KeyMask, PublishableKey: c.PublishableKey,
		UserIDKey: c.UserIDKey, Paused: c.Paused, WriteBack: !c.WriteBackOff, CreatedAt: c.CreatedAt,
	}).Error)
}

type contractRow struct {
	ID           string `gorm:"primaryKey"`
	AccountID    string
	Environment  string
	Version      int
	Terms        string
	TermsHash    string
	TimeZone     string
	CloseLagDays int
	FirstPeriod  string
	// EffectiveFrom stands in the terms as well; the database's rules read it here.
	EffectiveFrom string
	CreatedAt     time.Time
}

func (contractRow) TableName() string { return "contracts" }

func (r contractRow) domain() (billing.Contract, error) {
	var terms billing.Terms
	if err := json.Unmarshal([]byte(r.Terms), &terms); err != nil {
		return billing.Contract{}, fault.Wrap(err, fault.Internal, "contract_unreadable", "contract %s cannot be read", r.ID)
	}
	c, err := billing.NewContract(r.ID, r.AccountID, account.Environment(r.Environment), r.Version, terms, r.CreatedAt)
	if err == nil && (c.Hash != r.TermsHash || c.EffectiveFrom.String() != r.EffectiveFrom) {
		err = fault.New(fault.Internal, "contract_hash", "contract %s does not have its stored hash", r.ID)
	}
	return c, err
}

type agreements struct{ tx *gorm.DB }

// Contract is the newest version, whether it holds already or not.
func (s agreements) Contract(ctx context.Context, accountID string) (billing.Contract, error) {
	var r contractRow
	if err := s.tx.WithContext(ctx).Order("version DESC").Take(&r, "account_id = ?", accountID).Error; err != nil {
		return billing.Contract{}, notFound(err, "contract of account", accountID)
	}
	return r.domain()
}

// Versions are all versions, ascending; none is no error.
func (s agreements) Versions(ctx context.Context, accountID string) (billing.Versions, error) {
	all, err := s.VersionsOf(ctx, []string{accountID})
	return all[accountID], err
}

// VersionsOf are the versions of several accounts, ascending, in one statement.
func (s agreements) VersionsOf(ctx context.Context, accountIDs []string) (map[string]billing.Versions, error) {
	var rows []contractRow
	if err := s.tx.WithContext(ctx).Order("account_id, version").Find(&rows, "account_id = ANY (?)", words(accountIDs)).Error; err != nil {
		return nil, wrap(err)
	}
	out := map[string]billing.Versions{}
	for _, r := range rows {
		c, err := r.domain()
		if err != nil {
			return nil, err
		}
		out[r.AccountID] = append(out[r.AccountID], c)
	}
	return out, nil
}

// LockContract keeps others from adding a version to the account's contract, and from
// opening a cycle of it, until the transaction ends.
func (s agreements) LockContract(ctx context.Context, accountID string) error {
	return wrap(s.tx.WithContext(ctx).Exec("SELECT 1 FROM accounts WHERE id = ? FOR NO KEY UPDATE", accountID).Error)
}

// at is the version that holds in a month.
func (s agreements) at(ctx context.Context, accountID string, m period.Month) (billing.Contract, error) {
	all, err := s.Versions(ctx, accountID)
	if err != nil {
		return billing.Contract{}, err
	}
	if len(all) == 0 {
		return billing.Contract{}, notFound(gorm.ErrRecordNotFound, "contract of account", accountID)
	}
	return all.At(m)
}

// contract loads the very version that a cycle was opened under.
func (s agreements) contract(ctx context.Context, id string) (billing.Contract, error) {
	var r contractRow
	if err := s.tx.WithContext(ctx).Take(&r, "id = ?", id).Error; err != nil {
		return billing.Contract{}, notFound(err, "contract", id)
	}
	return r.domain()
}

func (s agreements) InsertContract(ctx context.Context, c billing.Contract) error {
	terms, err := json.Marshal(c.Terms)
	if err != nil {
		return err
	}
	return wrap(s.tx.WithContext(ctx).Create(&contractRow{
		ID: c.ID, AccountID: c.AccountID, Environment: c.Environment.String(), Version: c.Version, Terms: string(terms), TermsHash: c.Hash,
		TimeZone: c.Terms.TimeZone, CloseLagDays: c.Terms.CloseLagDays, FirstPeriod: c.Terms.FirstPeriod,
		EffectiveFrom: c.EffectiveFrom.String(), CreatedAt: c.CreatedAt,
	}).Error)
}

type planRow struct {
	ID          string `gorm:"primaryKey"`
	AccountID   string
	Environment string
	Version     int
	Plan        string
	PlanHash    string
	SealedAt    time.Time
	SealedSalt  []byte
}

func (planRow) TableName() string { return "measurement_plans" }

func (s agreements) Plan(ctx context.Context, accountID string) (onboard.StoredPlan, error) {
	var r planRow
	if err := s.tx.WithContext(ctx).Order("version DESC").Take(&r, "account_id = ?", accountID).Error; err != nil {
		return onboard.StoredPlan{}, notFound(err, "measurement plan of account", accountID)
	}
	return r.domain()
}

// Plans lists the plans of an account, one for each contract year, ascending.
func (s agreements) Plans(ctx context.Context, accountID string) ([]onboard.StoredPlan, error) {
	all, err := s.PlansOf(ctx, []string{accountID})
	if err != nil {
		return nil, err
	}
	return append([]onboard.StoredPlan{}, all[accountID]...), nil
}

// PlansOf are the plans of several accounts, ascending, in one statement.
func (s agreements) PlansOf(ctx context.Context, accountIDs []string) (map[string][]onboard.StoredPlan, error) {
	var rows []planRow
	if err := s.tx.WithContext(ctx).Order("account_id, first_period").Find(&rows, "account_id = ANY (?)", words(accountIDs)).Error; err != nil {
		return nil, wrap(err)
	}
	out := map[string][]onboard.StoredPlan{}
	for _, r := range rows {
		p, err := r.domain()
		if err != nil {
			return nil, err
		}
		out[r.AccountID] = append(out[r.AccountID], p)
	}
	return out, nil
}

// LockPlans makes those who add plans to an account wait for each other.
func (s agreements) LockPlans(ctx context.Context, accountID string) error {
	return wrap(s.tx.WithContext(ctx).Exec("SELECT 1 FROM accounts WHERE id = ? FOR NO KEY UPDATE", accountID).Error)
}

// planOf is the plan of the contract year that holds a period: a year has an error budget
// of its own.
func (s agreements) planOf(ctx context.Context, accountID string, m period.Month) (onboard.StoredPlan, error) {
	plans, err := s.Plans(ctx, accountID)
	if err != nil {
		return onboard.StoredPlan{}, err
	}
	if p, ok := onboard.PlanOf(plans, m); ok {
		return p, nil
	}
	if len(plans) == 0 {
		return onboard.StoredPlan{}, fault.New(fault.NotFound, "not_found", "measurement plan of account %s does not exist", accountID)
	}
	return onboard.StoredPlan{}, fault.New(fault.Conflict, "plan_missing_for_year", "no measurement plan of account %s covers %s", accountID, m).
		Fix("Seal a plan for that contract year")
}

// plan loads the very version that a cycle was opened under.
func (s agreements) plan(ctx context.Context, id string) (onboard.StoredPlan, error) {
	var r planRow
	if err := s.tx.WithContext(ctx).Take(&r, "id = ?", id).Error; err != nil {
		return onboard.StoredPlan{}, notFound(err, "measurement plan", id)
	}
	return r.domain()
}

func (r planRow) domain() (onboard.StoredPlan, error) {
	sealed, err := lift.RestoreSealed([]byte(r.Plan), r.PlanHash, r.SealedAt)
	return onboard.StoredPlan{
		ID: r.ID, AccountID: r.AccountID, Environment: account.Environment(r.Environment), Plan: sealed, SealedSalt: r.SealedSalt,
	}, err
}

func (s agreements) InsertPlan(ctx context.Context, p onboard.StoredPlan) error {
	return wrap(s.tx.WithContext(ctx).Create(&planRow{
		ID: p.ID, AccountID: p.AccountID, Environment: p.Environment.String(), Version: p.Plan.Plan().Version,
		Plan: string(p.Plan.JSON()), PlanHash: p.Plan.Hash(), SealedAt: p.Plan.At(), SealedSalt: p.SealedSalt,
	}).Error)
}

// Connections lists the connections of the scope without their keys. Who sees some of
// the accounts only sees the connections that serve no other account.
func (db *DB) Connections(ctx context.Context, scope access.Scope) ([]account.Connection, error) {
	var rows []connectionRow
	q := db.gorm.WithContext(ctx).Omit("sealed_key").Order("id")
	var in where
	in.served(scope, "environment", "connections.id")
	for i, cond := range in.conds {
		q = q.Where(cond, in.args[i])
	}
	if err := q.Find(&rows).Error; err != nil {
		return nil, wrap(err)
	}
	out := make([]account.Connection, len(rows))
	for i, r := range rows {
		out[i] = r.domain().Connection
	}
	return out, nil
}

// SealedConnection loads one connection with its sealed key.
func (db *DB) SealedConnection(ctx context.Context, id string) (onboard.SealedConnection, error) {
	return connections{db.gorm}.Connection(ctx, id)
}

// Account loads one account.
func (db *DB) Account(ctx context.Context, id string) (account.Account, error) {
	return accounts{db.gorm}.Account(ctx, id)
}
