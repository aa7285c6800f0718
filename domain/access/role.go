// Package access decides who may do what: roles and their permissions, the one
// table of routes, scopes over accounts and environments, the four-eyes rule, and
// the rules of tokens, passwords, sessions and lock-outs.
//
// It owns decisions and formats and no storage: callers pass time and entropy in.
// table.go is the place where a new operation gets its rule.
package access

import (
	"slices"
	"strings"

	"github.com/liftbill/liftbill/domain/fault"
)

// Role is a bundle of permissions that people and tokens are given.
type Role string

// The roles. None includes another: what a role may do is written in table.go.
const (
	// Viewer reads; an auditor is a viewer.
	Viewer Role = "viewer"
	// Finance works on the close: terms, runs, breaks, exports.
	Finance Role = "finance"
	// Approver releases money and is the second person.
	Approver Role = "approver"
	// Admin sets up accounts, connections, users and tokens, and approves nothing.
	Admin Role = "admin"
	// Ingest uploads decisions and user hashes, and reads nothing.
	Ingest Role = "ingest"
)

// AllRoles lists every role, in the order in which they are shown.
func AllRoles() Roles { return Roles{Viewer, Finance, Approver, Admin, Ingest} }

// Roles is a set of roles, ordered as AllRoles and without repeats.
type Roles []Role

// ParseRoles reads role names; at least one is required.
func ParseRoles(names []string) (Roles, error) {
	var out Roles
	for _, n := range names {
		r := Role(strings.TrimSpace(n))
		if !slices.Contains(AllRoles(), r) {
			return nil, fault.InvalidField("roles", "role_unknown", "%q is not a role", n).Fix("Use one or more of %s", AllRoles())
		}
		out = append(out, r)
	}
	if len(out) == 0 {
		return nil, fault.InvalidField("roles", "role_missing", "at least one role is required").Fix("Use one or more of %s", AllRoles())
	}
	return out.normal(), nil
}

func (r Roles) normal() Roles {
	var out Roles
	for _, role := range AllRoles() {
		if slices.Contains(r, role) {
			out = append(out, role)
		}
	}
	return out
}

// Has reports whether the set holds the role.
func (r Roles) Has(role Role) bool { return slices.Contains(r, role) }

// Allow reports whether one of the roles has the permission.
func (r Roles) Allow(p Permission) bool {
	return slices.ContainsFunc(r, func(role Role) bool { return slices.Contains(granted[role], p) })
}

// Permissions lists what the roles allow together, in the order of the table.
func (r Roles) Permissions() []Permission {
	var out []Permission
	for _, p := range AllPermissions() {
		if r.Allow(p) {
			out = append(out, p)
		}
	}
	return out
}

// Names lists the roles as texts.
func (r Roles) Names() []string {
	out := make([]string, len(r))
	for i, role := range r {
		out[i] = string(role)
	}
	return out
}

// String is the names, separated by commas.
func (r Roles) String() string { return strings.Join(r.Names(), ", ") }

// RolesWith lists the roles that have a permission.
func RolesWith(p Permission) Roles {
	var out Roles
	for _, role := range AllRoles() {
		if slices.Contains(granted[role], p) {
			out = append(out, role)
		}
	}
	return out
}
