//go:build e2e

package main_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// demoReport is what the demo's JSON document says about who released which invoice.
type demoReport struct {
	Accounts []struct {
		ID       string `json:"id"`
		Invoices int    `json:"stripe_invoices"`
		Months   []struct {
			State          string `json:"state"`
			RequiresPerson bool   `json:"requires_person"`
			Decisions      []struct {
				Action string `json:"action"`
				By     string `json:"by"`
			} `json:"decisions"`
		} `json:"months"`
	} `json:"accounts"`
}

// requireTwoMonths: people release the first invoice of a live account, its contract's terms
// the second, and a test account has neither.
func (r demoReport) requireTwoMonths(t *testing.T) {
	t.Helper()
	require.Len(t, r.Accounts, 3)
	invoices := map[string]int{}
	for _, a := range r.Accounts {
		invoices[a.ID] = a.Invoices
		require.Len(t, a.Months, 2, a.ID)
		if a.ID == "cedar-test" {
			continue
		}
		first, second := a.Months[0], a.Months[1]
		require.Equal(t, "invoiced", first.State, a.ID)
		require.True(t, first.RequiresPerson, a.ID)
		require.Len(t, first.Decisions, 3, "held, released and approved")
		require.Equal(t, "approve", first.Decisions[2].Action)
		for _, d := range first.Decisions {
			require.Contains(t, d.By, "(user ", "%s: %s", a.ID, d.Action)
		}
		require.NotEqual(t, first.Decisions[1].By, first.Decisions[2].By, "whoever compared it is not the one who approves")
		require.Equal(t, "invoiced", second.State, a.ID)
		require.False(t, second.RequiresPerson, a.ID)
		require.Len(t, second.Decisions, 1, a.ID)
		require.Equal(t, "approve", second.Decisions[0].Action)
		require.Equal(t, "policy:contract", second.Decisions[0].By)
	}
	require.Equal(t, map[string]int{"acme": 2, "borealis": 2, "cedar-test": 0}, invoices)
}
