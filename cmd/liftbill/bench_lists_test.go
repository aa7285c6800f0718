package main

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	domain "github.com/liftbill/liftbill/domain/access"
)

// TestEveryListIsMeasured wants each GET route of the router to be a list that the
// benchmark asks, in each of its orders and with each of its filters, a file, or named as
// no list. What has pages is a list, whatever it is called.
func TestEveryListIsMeasured(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	var spec struct{ apiDocument }
	raw := i.ask(i.request(http.MethodGet, "/openapi.json", "", ""))
	require.NoError(t, json.Unmarshal([]byte(raw.body), &spec.apiDocument))
	served := map[string]bool{}
	for _, r := range i.e.Routes() {
		served[r.Method+" "+routeParameter.ReplaceAllString(r.Path, "{$1}")] = true
	}
	for route, reason := range notLists {
		require.True(t, served[route], "%s is in notLists and is not served", route)
		require.NotEmpty(t, reason, route)
		for _, p := range spec.Paths[strings.TrimPrefix(route, "GET ")]["get"].Parameters {
			require.NotEqual(t, "#/components/parameters/Cursor", p.Ref, "%s has pages: it is a list", route)
		}
		file := route + ".{format}"
		require.False(t, served[file] && reason != calculation, "%s has a file of its rows: it is a list", route)
	}
	session := i.session(i.user(domain.Roles{domain.Admin}, domain.Everything()))
	i.exec(`INSERT INTO policy_snapshots (account_id, id, environment, name, shipped_at) VALUES ($1, $2, 'live', 'Offer', now())`, accA, listObjects["snapshot"])
	lists := listRoutes(i.e)
	require.Greater(t, len(lists), 30)
	for _, route := range lists {
		path, err := pathOf(route)
		require.NoError(t, err)
		rule, ok := domain.RuleOf(route)
		require.True(t, ok, route)
		if !rule.Page {
			cases, err := apiCases(spec.apiDocument, route, path)
			require.NoError(t, err)
			require.Equal(t, firstPage, cases[0].What)
			continue
		}
		own := strings.NewReplacer(listsAccount(0)+".2025-06", accA+".2026-10", listsAccount(0), accA).Replace(path)
		page := i.ask(i.browse(http.MethodGet, own, session, nil))
		require.Equal(t, http.StatusOK, page.status, "%s: %s", own, page.body)
		cases, err := pageCases(route, path, page.body)
		require.NoError(t, err)
		for _, m := range regexp.MustCompile(`[?&;]sort=(\w+)`).FindAllStringSubmatch(page.body, -1) {
			require.True(t, slices.ContainsFunc(cases, func(c listCase) bool { return c.What == "sort="+m[1] }), "%s sorts by %s", route, m[1])
		}
	}
}

// TestEveryExportIsDescribed compares the files that programs may fetch with the API
// description, which the pages serve and no generated code.
func TestEveryExportIsDescribed(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	var spec apiDocument
	require.NoError(t, json.Unmarshal([]byte(i.ask(i.request(http.MethodGet, "/openapi.json", "", "")).body), &spec))
	var described, served []string
	for path := range spec.Paths {
		if strings.HasPrefix(path, "/v1/exports/") {
			described = append(described, path)
		}
	}
	for _, r := range i.e.Routes() {
		if strings.HasPrefix(r.Path, "/v1/exports/") {
			served = append(served, routeParameter.ReplaceAllString(r.Path, "{$1}"))
		}
	}
	slices.Sort(described)
	slices.Sort(served)
	require.Equal(t, described, served)
}

// TestExportsAreTheSameFile fetches a list as a page's file and as a program's.
func TestExportsAreTheSameFile(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	session := i.session(i.user(domain.Roles{domain.Finance}, domain.Everything()))
	_, text, err := i.gate.CreateToken(t.Context(), i.cli, tokenInput("exports", "live", "finance", nil))
	require.NoError(t, err)
	for _, path := range []string{"/cycles.csv?environment=live", "/snapshots.xlsx", "/cycles/" + accA + ".2026-10/export.csv", "/accounts/" + accA + "/events.csv"} {
		page := i.ask(i.browse(http.MethodGet, path, session, nil))
		program := i.ask(i.request(http.MethodGet, "/v1/exports"+path, text.Reveal(), ""))
		require.Equal(t, []int{http.StatusOK, http.StatusOK}, []int{page.status, program.status}, program.body)
		require.NotEmpty(t, page.header.Get("Report-Digest"))
		require.Equal(t, page.header.Get("Report-Digest"), program.header.Get("Report-Digest"), path)
	}
	_, text, err = i.gate.CreateToken(t.Context(), i.cli, tokenInput("reads", "live", "viewer", nil))
	require.NoError(t, err)
	refused := i.ask(i.request(http.MethodGet, "/v1/exports/cycles.csv", text.Reveal(), ""))
	require.Equal(t, http.StatusForbidden, refused.status, "who may only read exports nothing")
}
