package access

import (
	"strings"

	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
)

// Kind is what sort of caller a principal is.
type Kind string

// The kinds of principals.
const (
	// User is a person who signed in.
	User Kind = "user"
	// Token is a program with an API token.
	Token Kind = "token"
	// CLI is an operator on the command line, who could change the database anyway.
	CLI Kind = "cli"
	// System is liftbill itself: the worker and its Schedules.
	System Kind = "system"
	// Nobody is a caller that did not say who it is.
	Nobody Kind = "nobody"
)

// Principal is who acts in a call: the edge makes it from a token or a session and
// hands it to the use cases as a value. The zero value may do nothing.
type Principal struct {
	Kind Kind
	// ID is the user's or the token's ID, "cli:name" or "system:name".
	ID string
	// Name is for people to read.
	Name string
	// Person is the user behind the principal: the user itself, or the one who made
	// the token. Empty when no signed-in person stands behind it.
	Person string
	Roles  Roles
	Scope  Scope
	// RequestID names the HTTP request in which it acts; empty outside of one.
	RequestID string
}

// Operator is the principal of the command line, named after the operating system's
// user. It may do everything but approve: the second pair of eyes signs in.
func Operator(osUser string) Principal {
	osUser = strings.TrimSpace(osUser)
	if osUser == "" {
		osUser = "unknown"
	}
	id := "cli:" + osUser
	return Principal{Kind: CLI, ID: id, Name: id, Roles: Roles{Viewer, Finance, Admin, Ingest}, Scope: Everything()}
}

// Machine is the principal of a part of liftbill that acts by itself.
func Machine(part string) Principal {
	id := "system:" + part
	return Principal{Kind: System, ID: id, Name: id, Roles: Roles{Viewer, Finance, Admin, Ingest}, Scope: Everything()}
}

// Actor is who did something, as audit rows and stored rows keep it.
type Actor struct {
	Kind   Kind
	ID     string
	Name   string
	Person string
}

// Actor is the principal without what it may do.
func (p Principal) Actor() Actor {
	if p.Kind == "" {
		return Actor{Kind: Nobody, ID: string(Nobody)}
	}
	return Actor{Kind: p.Kind, ID: p.ID, Name: p.Name, Person: p.Person}
}

// Label names the principal where a stored row keeps one text about who did something.
func (p Principal) Label() string {
	return p.Actor().Label()
}

// Label names the actor in one text.
func (a Actor) Label() string {
	switch {
	case a.Kind == System:
		return "liftbill"
	case a.Name == "" || a.Name == a.ID:
		return a.ID
	}
	return a.Name + " (" + string(a.Kind) + " " + a.ID + ")"
}

// Can reports whether one of the principal's roles has the permission, wherever.
func (p Principal) Can(perm Permission) bool { return p.Roles.Allow(perm) }

// Require refuses a principal that lacks the permission, or has it in other accounts
// or another environment only. Without an account ID the permission must hold for
// accounts that do not exist yet; without an environment, for the installation.
//
// An account out of scope is answered as one that does not exist, so that nobody
// learns by trying which accounts there are.
func Require(p Principal, perm Permission, accountID string, env account.Environment) error {
	place := Place{Environment: env}
	if accountID != "" {
		place.Accounts = []string{accountID}
	}
	if err := RequirePermission(p, perm); err != nil {
		return err
	}
	switch {
	case p.Scope.Covers(place):
		return nil
	case accountID != "":
		return Hidden(Account, accountID)
	}
	return fault.New(fault.Forbidden, CodeScope, "this needs more than %s", p.Scope).Fix("Use a token or a user whose scope includes it")
}

// The codes of refusals.
const (
	CodePermission = "permission_denied"
	CodeScope      = "scope_denied"
)

// RequirePermission refuses a principal whose roles lack the permission.
func RequirePermission(p Principal, perm Permission) error {
	if p.Can(perm) {
		return nil
	}
	with := RolesWith(perm)
	if len(p.Roles) == 0 {
		return fault.New(fault.Forbidden, CodePermission, "%s is needed for this, and no role was given", perm).Fix("Ask an administrator for one of the roles: %s", with)
	}
	return fault.New(fault.Forbidden, CodePermission, "%s is needed for this, which %s does not include", perm, p.Roles).Fix("Ask an administrator for one of the roles: %s", with)
}

// FourEyes refuses an approver who made or started what is to be approved, and one
// behind whom no signed-in person stands. made is everybody who had a hand in it: who
// changed the contract, who started the cycle.
func FourEyes(approver Principal, made []Actor) error {
	if approver.Person == "" {
		return fault.New(fault.Forbidden, "approver_not_a_person", "%s is not a signed-in person", approver.ID).
			Fix("Sign in, or use a token that a signed-in person made")
	}
	for _, a := range made {
		if a.Person == approver.Person || a.ID == approver.ID {
			return fault.New(fault.Forbidden, "four_eyes", "whoever had a hand in it does not approve it, and %s had", approver.Name).
				Fix("Ask another approver")
		}
	}
	return nil
}
