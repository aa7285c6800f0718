package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	domain "github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
)

var (
	echoParam = regexp.MustCompile(`:(\w+)`)
	pageLine  = regexp.MustCompile("(?m)^\\| `((?:GET|POST|PUT|PATCH|DELETE) [^`]+)` \\| ([^|]*) \\| ([^|]*) \\|")
)

// served lists every route that the program serves.
func (i *installation) served() []string {
	var out []string
	for _, r := range i.e.Routes() {
		out = append(out, r.Method+" "+echoParam.ReplaceAllString(r.Path, "{$1}"))
	}
	slices.Sort(out)
	return out
}

// TestEveryRouteHasARule compares the router, the API description and the permission
// table: a route that one of them lacks fails here, and is refused at run time.
func TestEveryRouteHasARule(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	served := i.served()
	var spec struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	res := i.ask(i.request(http.MethodGet, "/openapi.json", "", ""))
	require.NoError(t, json.Unmarshal([]byte(res.body), &spec))
	for path, methods := range spec.Paths {
		for method := range methods {
			require.Contains(t, served, strings.ToUpper(method)+" "+path, "the description promises what nobody serves")
		}
	}
	for _, route := range served {
		_, ok := domain.RuleOf(route)
		require.True(t, ok, "%s has no rule: write one into domain/access/table.go", route)
	}
	for _, route := range domain.Routes() {
		require.Contains(t, served, route, "a rule in domain/access/table.go is about a route that nobody serves")
	}
	e := i.e
	e.GET("/v1/zz-forgotten", func(c echo.Context) error { return c.NoContent(http.StatusOK) })
	e.GET("/zz-forgotten", func(c echo.Context) error { return c.NoContent(http.StatusOK) })
	admin := i.session(i.user(domain.Roles{domain.Admin}, domain.Everything()))
	require.Equal(t, "route_unlisted", i.ask(i.browse(http.MethodGet, "/v1/zz-forgotten", admin, nil)).code)
	require.Equal(t, http.StatusForbidden, i.ask(i.browse(http.MethodGet, "/zz-forgotten", admin, nil)).status)
}

// who is one cell of the matrix: a role with a scope.
type who struct {
	role     domain.Role
	scope    domain.Scope
	token    string // of a program
	userID   string // of a person
	accounts []string
}

func (w who) String() string { return string(w.role) + " of " + w.scope.String() }

// sees is the matrix's own idea of a scope, worked out anew.
func (w who) sees(accountID string) bool {
	env := accountEnvironment[accountID]
	return slices.Contains(w.scope.Environments, env) && (len(w.accounts) == 0 || slices.Contains(w.accounts, accountID))
}

func (w who) whole() bool { return len(w.accounts) == 0 && len(w.scope.Environments) == 2 }

// expectation is a line of docs/permissions.md, the page that people review.
type expectation struct {
	everybody bool
	roles     []string
	where     string
}

func expectations(t *testing.T) map[string]expectation {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "docs", "permissions.md"))
	require.NoError(t, err)
	out := map[string]expectation{}
	for _, m := range pageLine.FindAllStringSubmatch(string(raw), -1) {
		roles := strings.TrimSpace(m[2])
		out[m[1]] = expectation{everybody: roles == "everybody", roles: strings.Split(roles, ", "), where: strings.TrimSpace(m[3])}
	}
	return out
}

// examples are the bodies of the API description.
func (i *installation) examples() map[string]string {
	var spec struct {
		Paths map[string]map[string]struct {
			RequestBody struct {
				Content map[string]struct {
					Example any `json:"example"`
				} `json:"content"`
			} `json:"requestBody"`
		} `json:"paths"`
	}
	require.NoError(i.t, json.Unmarshal([]byte(i.ask(i.request(http.MethodGet, "/openapi.json", "", "")).body), &spec))
	out := map[string]string{}
	for path, methods := range spec.Paths {
		for method, op := range methods {
			for _, c := range op.RequestBody.Content {
				text, ok := c.Example.(string)
				if !ok {
					raw, err := json.Marshal(c.Example)
					require.NoError(i.t, err)
					text = string(raw)
				}
				out[strings.ToUpper(method)+" "+path] = text
			}
		}
	}
	return out
}

// matrix walks the routes that pick chooses as every principal, on objects of every
// account, and compares with the page.
func (i *installation) matrix(principals []who, pick func(rule domain.Rule) bool, send func(w who, method, path, body string) answer) int {
	i.t.Helper()
	cells := 0
	want, bodies := expectations(i.t), i.examples()
	for _, route := range i.served() {
		rule, _ := domain.RuleOf(route)
		if rule.Public || !pick(rule) {
			continue
		}
		line, ok := want[route]
		require.True(i.t, ok, "%s is not on docs/permissions.md", route)
		method, path, _ := strings.Cut(route, " ")
		for _, w := range principals {
			may := slices.Contains(line.roles, string(w.role))
			for _, place := range i.placesOf(rule, path) {
				// Without a period neither Stripe nor Temporal is asked.
				body := strings.NewReplacer(`"environment":"live"`, `"environment":"`+place.env.String()+`"`, `rk_live_`, `rk_`+place.env.String()+`_`, `"accounts":["acme"]`, `"accounts":[]`,
					`"period":"2026-10"`, `"period":"none"`).Replace(bodies[route])
				got := send(w, method, place.path, body)
				i.judge(w, route, line.where, place, may, got)
				cells++
			}
		}
	}
	return cells
}

// place is an object that a route is tried on, or the environment of a body.
type place struct {
	path, account string
	env           account.Environment
	missing       bool
}

// placesOf lists the objects that a route's path can name: one of each account, and
// one that does not exist.
func (i *installation) placesOf(rule domain.Rule, path string) []place {
	fill := func(id string) string { return strings.Replace(path, "{"+rule.Param+"}", url.PathEscape(id), 1) }
	var out []place
	for _, id := range []string{accA, accB, accT} {
		object := map[domain.What]string{domain.Account: id, domain.Cycle: id + ".2026-10", domain.Readout: caseID(id), domain.Break: caseID(id), domain.Connection: id + "-stripe"}[rule.Target]
		if object != "" {
			out = append(out, place{fill(object), id, accountEnvironment[id], false})
		}
	}
	switch {
	case rule.Param != "":
		return append(out, place{fill("zz-nothing"), "", account.Live, true})
	case rule.Target == domain.Checked:
		return []place{{strings.Replace(path, "{id}", "zzzzzzzzzzzz", 1), "", account.Live, false}, {strings.Replace(path, "{id}", "zzzzzzzzzzzz", 1), "", account.Test, false}}
	}
	return []place{{strings.Replace(path, "{id}", "zz-nothing", 1), "", "", false}}
}

// refusals are the codes of what the caller may not do. (Stripe's own refusal of a key
// is a 403 as well.)
var refusals = []string{domain.CodePermission, domain.CodeScope, "route_unlisted", "form_stale", "origin_refused"}

// judge compares one answer with what the page says.
func (i *installation) judge(w who, route, where string, p place, may bool, got answer) {
	i.t.Helper()
	cell := w.String() + ": " + route + " on " + p.path
	require.NotEqual(i.t, http.StatusUnauthorized, got.status, cell)
	require.Less(i.t, got.status, 500, "%s: %s", cell, got.body)
	rule, _ := domain.RuleOf(route)
	hidden := got.code == string(rule.Target)+"_not_found"
	switch {
	case !may:
		require.Equal(i.t, domain.CodePermission, got.code, cell)
		require.Equal(i.t, http.StatusForbidden, got.status, cell)
	case p.missing:
		require.True(i.t, hidden, "%s: %d %s", cell, got.status, got.code)
	case p.account != "":
		require.Equal(i.t, !w.sees(p.account), hidden, "%s: %d %s", cell, got.status, got.code)
		require.NotContains(i.t, refusals, got.code, cell)
	case where == "the whole installation":
		require.Equal(i.t, !w.whole(), got.code == domain.CodeScope, "%s: %d %s", cell, got.status, got.code)
	case where == "what the body names" && !strings.Contains(route, "{id}"):
		outside := !slices.Contains(w.scope.Environments, p.env) || len(w.accounts) > 0
		require.Equal(i.t, outside, got.code == domain.CodeScope, "%s: %d %s %s", cell, got.status, got.code, got.body)
	default:
		require.NotContains(i.t, refusals, got.code, cell)
		i.showsNothingElse(w, cell, got)
	}
}

// showsNothingElse looks for accounts that the principal must not learn of.
func (i *installation) showsNothingElse(w who, cell string, got answer) {
	i.t.Helper()
	for id := range accountEnvironment {
		if !w.sees(id) && !slices.Contains(w.accounts, id) { // one's own scope is no secret
			require.NotContains(i.t, got.body, id, cell)
		}
	}
}

// TestAuthorizationMatrixOfTheAPI walks every route of the API × role × account scope ×
// environment, with tokens.
func TestAuthorizationMatrixOfTheAPI(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	var principals []who
	for _, role := range domain.AllRoles() {
		for _, env := range []account.Environment{account.Live, account.Test} {
			own := map[account.Environment]string{account.Live: accA, account.Test: accT}[env]
			for _, accounts := range [][]string{nil, {own}} {
				scope, err := domain.NewScope(accounts, []string{env.String()})
				require.NoError(t, err)
				_, text, err := i.gate.CreateToken(t.Context(), i.cli, tokenInput("m", env.String(), string(role), accounts))
				require.NoError(t, err)
				principals = append(principals, who{role: role, scope: scope, token: text.Reveal(), accounts: accounts})
			}
		}
	}
	cells := i.matrix(principals, func(r domain.Rule) bool { return !r.Page }, func(w who, method, path, body string) answer {
		return i.ask(i.request(method, path, w.token, body))
	})
	require.Greater(t, cells, 900)
	i.listsAreWhole(principals)
	for _, route := range i.served() {
		rule, _ := domain.RuleOf(route)
		method, path, _ := strings.Cut(route, " ")
		if rule.Page || rule.Public {
			continue
		}
		for name, token := range map[string]string{"nobody": "", "garbage": "x", "a token of nobody": someToken(t)} {
			got := i.ask(i.request(method, path, token, ""))
			require.Equal(t, http.StatusUnauthorized, got.status, "%s: %s", name, route)
			require.NotEmpty(t, got.code)
		}
	}
}

// listsAreWhole checks that a list holds what lies in the scope, not only nothing else.
func (i *installation) listsAreWhole(principals []who) {
	i.t.Helper()
	for _, w := range principals {
		for _, path := range []string{"/v1/accounts", "/v1/cycles", "/v1/connections", "/v1/breaks", "/v1/ingest/health", "/metrics"} {
			got := i.ask(i.request(http.MethodGet, path, w.token, ""))
			for id := range accountEnvironment {
				if w.role != domain.Ingest && w.sees(id) {
					require.Contains(i.t, got.body, id, "%s: %s", w, path)
				}
			}
		}
	}
}

// TestAuthorizationMatrixOfThePages walks every page × role × account scope ×
// environment, with sessions.
func TestAuthorizationMatrixOfThePages(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	var principals []who
	for _, role := range domain.AllRoles() {
		for _, envs := range [][]string{{"live"}, {"test"}, {"live", "test"}} {
			for _, accounts := range [][]string{nil, {accA, accT}} {
				scope, err := domain.NewScope(accounts, envs)
				require.NoError(t, err)
				if role == domain.Ingest || (role == domain.Admin && !scope.Whole()) {
					continue // there are no such people: the database refuses them
				}
				principals = append(principals, who{role: role, scope: scope, userID: i.user(domain.Roles{role}, scope), accounts: accounts})
			}
		}
	}
	cells := i.matrix(principals, func(r domain.Rule) bool { return r.Page }, func(w who, method, path, _ string) answer {
		return i.ask(i.browse(method, path, i.session(w.userID), nil))
	})
	require.Greater(t, cells, 500)
	for _, route := range i.served() {
		rule, _ := domain.RuleOf(route)
		method, path, _ := strings.Cut(route, " ")
		if !rule.Page || rule.Public {
			continue
		}
		require.Equal(t, "/sign-in", pathOnly(i.ask(i.browse(method, path, "nobody's", nil)).header.Get("Location")), route)
		_, text, err := i.gate.CreateToken(t.Context(), i.cli, tokenInput("m", "live", "viewer", nil))
		require.NoError(t, err)
		r := i.request(method, path, text.Reveal(), "")
		r.Header.Set("Origin", "http://127.0.0.1:8080")
		require.Equal(t, http.StatusSeeOther, i.ask(r).status, "%s: a token opens no page", route)
	}
	// A session reads the API within its scope and changes nothing there.
	admin := i.session(i.user(domain.Roles{domain.Admin}, domain.Everything()))
	require.Equal(t, http.StatusOK, i.ask(i.browse(http.MethodGet, "/v1/users", admin, nil)).status)
	r := i.request(http.MethodPost, "/v1/tokens", "", `{"name":"x","environment":"live","roles":["admin"]}`)
	r.AddCookie(&http.Cookie{Name: "liftbill_session", Value: admin})
	require.Equal(t, "token_required", i.ask(r).code)
}
