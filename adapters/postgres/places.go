package postgres

import (
	"context"
	"strings"

	app "github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
)

// locate says, for each sort of object that a route can name, how its environment and
// its accounts are found. A new sort of object in domain/access/table.go gets its line
// here.
var locate = map[access.What]string{
	access.Account: "SELECT environment, ARRAY[id] AS accounts FROM accounts WHERE id = ?",
	access.Cycle:   "SELECT environment, ARRAY[account_id] AS accounts FROM cycles WHERE id = ?",
	access.Break:   "SELECT environment, ARRAY[account_id] AS accounts FROM recon_breaks WHERE id = ?",
	access.Readout: `SELECT environment, ARRAY[account_id] AS accounts FROM (SELECT environment, account_id, case_id FROM all_readouts
		UNION ALL SELECT t.environment, t.account_id, m.case_id FROM true_up_readouts m JOIN true_ups t ON t.id = m.true_up_id) r WHERE case_id = ? LIMIT 1`,
	// A connection belongs to every account that is read or billed through it.
	access.Connection: `SELECT environment, ARRAY(SELECT a.id FROM accounts a WHERE c.id IN (a.source_connection, a.issuer_connection) ORDER BY a.id) AS accounts
		FROM connections c WHERE id = ?`,
}

// Places finds where objects lie.
func (db *DB) Places() app.Places { return places{db} }

type places struct{ db *DB }

// Locate implements access.Places.
func (p places) Locate(ctx context.Context, what access.What, id string) (access.Place, error) {
	sql, ok := locate[what]
	if !ok {
		return access.Place{}, fault.New(fault.Internal, "place_unknown", "nobody knows where a %s lies", what)
	}
	if strings.ContainsRune(id, 0) { // no text of the database holds it
		return access.Place{}, fault.New(fault.NotFound, "not_found", "there is no such row")
	}
	var row struct {
		Environment string
		Accounts    words
	}
	if err := p.db.gorm.WithContext(ctx).Raw(sql, id).Scan(&row).Error; err != nil {
		return access.Place{}, wrap(err)
	}
	if row.Environment == "" {
		return access.Place{}, fault.New(fault.NotFound, "not_found", "there is no such row")
	}
	return access.Place{Accounts: row.Accounts, Environment: account.Environment(row.Environment)}, nil
}

// scoped selects what lies in a scope: rows of its environments that belong to one of
// its accounts. Rows without an account, and those of the installation, are for scopes
// that leave no account out; nothing lies in the empty scope. The columns are named by
// the statement.
func (w *where) scoped(s access.Scope, environment, accountID string) {
	if s.Whole() {
		return
	}
	w.add(environment+" = ANY (?::text[])", wordsOf(s.Environments))
	if !s.AllAccounts {
		w.add(accountID+" = ANY (?::text[])", wordsOf(s.Accounts))
	}
}

// served selects the connections of a scope: those of its environments that serve its
// accounts and no other. The columns are named by the statement.
func (w *where) served(s access.Scope, environment, connectionID string) {
	if s.Whole() {
		return
	}
	w.add(environment+" = ANY (?::text[])", wordsOf(s.Environments))
	if !s.AllAccounts {
		served := "FROM accounts a WHERE " + connectionID + " IN (a.source_connection, a.issuer_connection)"
		w.add("EXISTS (SELECT 1 "+served+") AND NOT EXISTS (SELECT 1 "+served+" AND NOT a.id = ANY (?::text[]))", wordsOf(s.Accounts))
	}
}
