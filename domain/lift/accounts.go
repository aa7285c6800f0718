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
	first  map[string]debut // of each logged unit
	parent map[string]string
	// late are logged units that met another one only later, or, where units are
	// users, that share a customer with a unit of the other arm.
	late map[string]bool
}

// debut is the first exposure of a logged unit.
type debut struct {
	at  time.Time
	arm Arm
}

// meeting ties a logged unit to a hub from an instant on.
type meeting struct {
	unit  string
	known time.Time
}

// hub is a customer or a user with its units, each from the earliest instant on. Nearly
// all have one, so that the first needs no slice.
type hub struct {
	one  meeting
	more []meeting
}

func (h *hub) add(m meeting) {
	if h.one.unit == "" || h.one.unit == m.unit {
		if h.one.unit == "" || m.known.Before(h.one.known) {
			h.one = m
		}
		return
	}
	for i := range h.more {
		if h.more[i].unit == m.unit {
			if m.known.Before(h.more[i].known) {
				h.more[i] = m
			}
			return
		}
	}
	h.more = append(h.more, m)
}

func (h *hub) all() []meeting { return append([]meeting{h.one}, h.more...) }

// mergeUnits applies the rule of the plan's unit. With unit account, units that
// knew each other at the first exposure of any of them become one, named after the
// one that was exposed first (ties by id), whose arm the account then has. With
// unit user nothing merges, but a customer whose users are in both arms is crossover.
func mergeUnits(plan Plan, exposures []Exposure, links []Link) merger {
	m := merger{first: map[string]debut{}, parent: map[string]string{}, late: map[string]bool{}}
	users := map[string]hub{}
	for i := range exposures {
		e := &exposures[i]
		if !e.PropensityOK {
			continue
		}
		if d, seen := m.first[e.UnitID]; !seen || e.At.Before(d.at) || (e.At.Equal(d.at) && e.Arm < d.arm) {
			m.first[e.UnitID] = debut{e.At, e.Arm}
		}
		if e.UserID != "" {
			u := users[e.UserID]
			u.add(meeting{e.UnitID, e.At})
			users[e.UserID] = u
		}
	}
	customers := map[string]hub{}
	for _, l := range links {
		u, ok := users[l.UserID]
		if !ok {
			continue
		}
		c := customers[l.CustomerID]
		for _, unit := range u.all() {
			// A customer is known from the link on, be the user exposed by then or not.
			c.add(meeting{unit.unit, l.From})
		}
		customers[l.CustomerID] = c
	}
	for _, hubs := range []map[string]hub{users, customers} {
		for _, h := range hubs {
			if len(h.more) > 0 {
				m.meet(plan, h.all())
			}
		}
	}
	for unit := range m.parent {
		m.parent[unit] = m.root(unit) // from now on every look-up is one step
	}
	return m
}

// meet applies the rule at a hub where several units meet.
func (m *merger) meet(plan Plan, units []meeting) {
	if plan.Unit == UnitAccount {
		m.join(units)
		return
	}
	arm := m.first[units[0].unit].arm
	if plan.PerDecision() || !slices.ContainsFunc(units, func(u meeting) bool { return m.first[u.unit].arm != arm }) {
		return
	}
	for _, u := range units {
		m.late[u.unit] = true
	}
}

// join merges the units whose tie to a hub was known at the first exposure of any
// of its units; the others are late.
func (m *merger) join(units []meeting) {
	start := m.first[units[0].unit].at
	for _, e := range units[1:] {
		if at := m.first[e.unit].at; at.Before(start) {
			start = at
		}
	}
	known := ""
	for _, e := range units {
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
	for p, ok := m.parent[unit]; ok; p, ok = m.parent[unit] {
		unit = p
	}
	return unit
}

// union names the pair after the unit that was exposed first.
func (m *merger) union(a, b string) {
	a, b = m.root(a), m.root(b)
	if a == b {
		return
	}
	if at := m.first[b].at; at.Before(m.first[a].at) || (at.Equal(m.first[a].at) && b < a) {
		a, b = b, a
	}
	m.parent[b] = a
}
