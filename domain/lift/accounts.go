package lift

import (
	"slices"
	"time"
)

// Link says that a Stripe customer belonged to a user from an instant on.
type Link struct {
	CustomerID string
	// UserID is empty where the link was removed.
	UserID string
	From   time.Time
}

// merger decides which logged units are one unit. Units meet where they share a
// Stripe customer or a user (a hub). What counts is what was known when the first
// of them was exposed: a later meeting may be an effect of the policy, so it merges
// nothing and counts as crossover.
type merger struct {
	first  map[string]time.Time // of each logged unit
	parent map[string]string
	// late are logged units that met another one only later, or, where units are
	// users, that share a customer with a unit of the other arm.
	late map[string]bool
}

// meeting ties a logged unit to a hub from an instant on.
type meeting struct {
	unit  string
	known time.Time
}

// mergeUnits applies the rule of the plan's unit. With unit account, units that
// knew each other at the first exposure of any of them become one, named after the
// one that was exposed first (ties by id), whose arm the account then has. With
// unit user nothing merges, but a customer whose users are in both arms is crossover.
func mergeUnits(plan Plan, exposures []Exposure, links []Link) merger {
	m := merger{first: map[string]time.Time{}, parent: map[string]string{}, late: map[string]bool{}}
	arms, users := map[string]Arm{}, map[string]map[string]time.Time{}
	for i := range exposures {
		e := &exposures[i]
		if !e.PropensityOK {
			continue
		}
		if at, seen := m.first[e.UnitID]; !seen || e.At.Before(at) {
			m.first[e.UnitID], arms[e.UnitID] = e.At, e.Arm
		}
		if e.UserID == "" {
			continue
		}
		if users[e.UserID] == nil {
			users[e.UserID] = map[string]time.Time{}
		}
		if at, seen := users[e.UserID][e.UnitID]; !seen || e.At.Before(at) {
			users[e.UserID][e.UnitID] = e.At
		}
	}
	for _, edges := range hubs(users, links) {
		switch {
		case plan.Unit == UnitAccount:
			m.join(edges)
		case !plan.PerDecision() && slices.ContainsFunc(edges, func(e meeting) bool { return arms[e.unit] != arms[edges[0].unit] }):
			for _, e := range edges {
				m.late[e.unit] = true
			}
		}
	}
	return m
}

// hubs lists the users and customers at which two or more units meet. A user is
// known to a unit from its first decision there, a customer from the link on, be the
// user exposed by then or not.
func hubs(users map[string]map[string]time.Time, links []Link) [][]meeting {
	customers := map[string]map[string]time.Time{}
	for _, l := range links {
		for unit := range users[l.UserID] {
			if customers[l.CustomerID] == nil {
				customers[l.CustomerID] = map[string]time.Time{}
			}
			if known, seen := customers[l.CustomerID][unit]; !seen || l.From.Before(known) {
				customers[l.CustomerID][unit] = l.From
			}
		}
	}
	var out [][]meeting
	for _, all := range []map[string]map[string]time.Time{users, customers} {
		for _, units := range all {
			if len(units) < 2 {
				continue
			}
			edges := make([]meeting, 0, len(units))
			for unit, at := range units {
				edges = append(edges, meeting{unit, at})
			}
			out = append(out, edges)
		}
	}
	return out
}

// join merges the units whose tie to a hub was known at the first exposure of any
// of its units; the others are late.
func (m *merger) join(edges []meeting) {
	start := m.first[edges[0].unit]
	for _, e := range edges[1:] {
		if m.first[e.unit].Before(start) {
			start = m.first[e.unit]
		}
	}
	known := ""
	for _, e := range edges {
		switch {
		case e.known.After(start):
			m.late[e.unit] = true
		case known == "":
			known = e.unit
		default:
			m.union(known, e.unit)
		}
	}
}

// root is the unit that a logged unit is part of.
func (m *merger) root(unit string) string {
	top := unit
	for p, ok := m.parent[top]; ok; p, ok = m.parent[top] {
		top = p
	}
	for unit != top { // the next look-up is one step
		unit, m.parent[unit] = m.parent[unit], top
	}
	return top
}

// union names the pair after the unit that was exposed first.
func (m *merger) union(a, b string) {
	a, b = m.root(a), m.root(b)
	if a == b {
		return
	}
	if m.first[b].Before(m.first[a]) || (m.first[b].Equal(m.first[a]) && b < a) {
		a, b = b, a
	}
	m.parent[b] = a
}
