package access

import (
	"slices"
	"strings"

	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
)

// Scope is where somebody may act: in which environments, and in which accounts of
// them. The zero value is nowhere, so that a forgotten scope shows nothing.
type Scope struct {
	// AllAccounts includes those that do not exist yet; Accounts is empty then.
	AllAccounts bool
	// Accounts are account IDs, sorted.
	Accounts     []string
	Environments []account.Environment
}

// Everything is the scope of the whole installation.
func Everything() Scope {
	return Scope{AllAccounts: true, Environments: []account.Environment{account.Live, account.Test}}
}

// NewScope validates a scope. No account means every account; at least one
// environment is required.
func NewScope(accounts, environments []string) (Scope, error) {
	var s Scope
	for _, name := range environments {
		env, err := account.ParseEnvironment(name)
		if err != nil {
			return Scope{}, err
		}
		s.Environments = append(s.Environments, env)
	}
	if len(s.Environments) == 0 {
		return Scope{}, fault.InvalidField("environments", "environment_missing", "at least one environment is required").Fix(`Use "live", "test" or both`)
	}
	for _, id := range accounts {
		if err := account.CheckID("accounts", id); err != nil {
			return Scope{}, err
		}
	}
	s.Accounts = append(s.Accounts, accounts...)
	slices.Sort(s.Accounts)
	s.Accounts = slices.Compact(s.Accounts)
	slices.Sort(s.Environments)
	s.Environments = slices.Compact(s.Environments)
	s.AllAccounts = len(s.Accounts) == 0
	return s, nil
}

// Place is what a request touches: an environment and the accounts that are
// concerned. A place without accounts is one that no account has yet, such as a new
// connection; a place without an environment is the installation itself.
type Place struct {
	Accounts    []string
	Environment account.Environment
}

// InAccount is the place of one account.
func InAccount(id string, env account.Environment) Place {
	return Place{Accounts: []string{id}, Environment: env}
}

// Installation is the place of what belongs to no environment: users, sign-in, the
// audit log's own chain.
func Installation() Place { return Place{} }

// Covers reports whether the place lies inside the scope: its environment (both for
// the installation) and every one of its accounts (all accounts when it has none).
func (s Scope) Covers(p Place) bool {
	switch {
	case p.Environment == "":
		return s.Whole()
	case !s.Reaches(p.Environment):
		return false
	case s.AllAccounts:
		return true
	}
	return len(p.Accounts) > 0 && !slices.ContainsFunc(p.Accounts, func(id string) bool { return !slices.Contains(s.Accounts, id) })
}

// Reaches reports whether the scope has a part in an environment.
func (s Scope) Reaches(env account.Environment) bool { return slices.Contains(s.Environments, env) }

// Whole reports whether the scope is the whole installation.
func (s Scope) Whole() bool {
	return s.AllAccounts && s.Reaches(account.Live) && s.Reaches(account.Test)
}

// Contains reports whether everything in the other scope is in this one: nobody
// gives more than they have.
func (s Scope) Contains(other Scope) bool {
	if len(other.Environments) == 0 || slices.ContainsFunc(other.Environments, func(e account.Environment) bool { return !s.Reaches(e) }) {
		return false
	}
	if s.AllAccounts {
		return true
	}
	return !other.AllAccounts && !slices.ContainsFunc(other.Accounts, func(id string) bool { return !slices.Contains(s.Accounts, id) })
}

// EnvironmentNames lists the environments as texts.
func (s Scope) EnvironmentNames() []string {
	out := make([]string, len(s.Environments))
	for i, e := range s.Environments {
		out[i] = e.String()
	}
	return out
}

// String says the scope in words.
func (s Scope) String() string {
	accounts := "every account"
	if !s.AllAccounts {
		accounts = strings.Join(s.Accounts, ", ")
	}
	switch {
	case len(s.Environments) == 0, accounts == "":
		return "nowhere"
	case len(s.Environments) == 1:
		return accounts + ", " + s.Environments[0].String() + " only"
	default:
		return accounts + ", live and test"
	}
}
