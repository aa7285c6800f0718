package access_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
)

func TestParseRoles(t *testing.T) {
	t.Parallel()
	r, err := access.ParseRoles([]string{"admin", " viewer", "admin"})
	require.NoError(t, err)
	require.Equal(t, access.Roles{access.Viewer, access.Admin}, r, "ordered, without repeats")
	require.Equal(t, "viewer, admin", r.String())
	for bad, code := range map[string]string{"root": "role_unknown", "": "role_unknown", "Admin": "role_unknown"} {
		_, err := access.ParseRoles([]string{bad})
		require.Equal(t, code, fault.CodeOf(err))
	}
	_, err = access.ParseRoles(nil)
	require.Equal(t, "role_missing", fault.CodeOf(err))
}

// What separates duties: nobody who sets up or changes terms also approves by role, an
// upload token reads nothing, and a viewer changes nothing.
func TestDutiesAreSeparate(t *testing.T) {
	t.Parallel()
	for _, role := range access.AllRoles() {
		r := access.Roles{role}
		if r.Allow(access.ApproveCycle) {
			for _, p := range []access.Permission{access.WriteContract, access.WriteSetup, access.RunCycle, access.ManageAccess, access.ResolveBreak, access.UploadDecisions} {
				require.False(t, r.Allow(p), "%s approves and may %s", role, p)
			}
		}
		require.Equal(t, role == access.Admin, r.Allow(access.ManageAccess))
		require.Equal(t, role == access.Ingest, !r.Allow(access.ReadLedger))
		require.Equal(t, role == access.Ingest, r.Allow(access.UploadDecisions))
	}
	require.Equal(t, []access.Permission{access.OwnAccess, access.UploadDecisions, access.UploadMapping}, access.Roles{access.Ingest}.Permissions())
	require.Equal(t, []access.Permission{access.OwnAccess, access.ReadLedger, access.ReadAudit}, access.Roles{access.Viewer}.Permissions())
	require.Len(t, access.AllRoles().Permissions(), len(access.AllPermissions()), "every permission is somebody's")
	for _, p := range []access.Principal{access.Operator("x"), access.Machine("worker")} {
		require.False(t, p.Can(access.ApproveCycle), "a command line is no second person")
		require.False(t, p.Can(access.ForceBreak))
	}
}

// A page that changes something is never public but for the sign-in, and nothing that
// is asked for without a rule is allowed.
func TestRules(t *testing.T) {
	t.Parallel()
	for _, route := range access.Routes() {
		rule, ok := access.RuleOf(route)
		require.True(t, ok)
		method, path, _ := strings.Cut(route, " ")
		api := strings.HasPrefix(path, "/v1/") || path == "/metrics"
		require.False(t, api && rule.Page, route)
		if rule.Public {
			require.Empty(t, rule.Permission, route)
			require.True(t, method == "GET" || strings.HasPrefix(path, "/sign-in"), route)
			continue
		}
		require.True(t, api || rule.Page, route)
		require.Contains(t, access.AllPermissions(), rule.Permission, route)
		require.NotEmpty(t, access.RolesWith(rule.Permission), route)
		object := slices.Contains([]access.What{access.Account, access.Connection, access.Cycle, access.Readout, access.Break}, rule.Target)
		require.Equal(t, object, rule.Param != "", "%s names its object", route)
		if rule.Param != "" {
			require.Contains(t, path, "{"+rule.Param+"}", route)
		}
		if strings.Contains(path, "/accounts/{") {
			require.Equal(t, access.Account, rule.Target, "%s lies in an account", route)
		}
		if method == "GET" && !strings.HasPrefix(path, "/access") && !strings.HasPrefix(path, "/v1/tokens") && !strings.HasPrefix(path, "/v1/users") {
			require.True(t, access.Roles{access.Viewer}.Allow(rule.Permission) || rule.Export, "%s reads", route)
		}
		require.True(t, rule.Permission != access.Export || rule.Export, "%s gives a file away without an audit row", route)
		if method != "GET" && rule.Permission != access.OwnAccess {
			require.False(t, access.Roles{access.Viewer}.Allow(rule.Permission), "%s changes something", route)
		}
	}
	_, ok := access.RuleOf("GET /v1/nothing")
	require.False(t, ok)
}

func drawScope(t *rapid.T, name string) access.Scope {
	accounts := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c"}), 0, 3).Draw(t, name+" accounts")
	envs := rapid.SliceOfN(rapid.SampledFrom([]string{"live", "test"}), 1, 2).Draw(t, name+" environments")
	s, err := access.NewScope(accounts, envs)
	require.NoError(t, err)
	return s
}

var places = func() []access.Place {
	out := []access.Place{access.Installation()}
	for _, env := range []account.Environment{account.Live, account.Test} {
		out = append(out, access.Place{Environment: env}, access.Place{Environment: env, Accounts: []string{"a", "b"}})
		for _, id := range []string{"a", "b", "c", "d"} {
			out = append(out, access.InAccount(id, env))
		}
	}
	return out
}()

// Containment and cover agree: who contains a scope covers every place of it, and
// nothing covers more than the whole.
func TestScopes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		outer, inner := drawScope(t, "outer"), drawScope(t, "inner")
		for _, p := range places {
			require.True(t, access.Everything().Covers(p))
			require.False(t, access.Scope{}.Covers(p))
			if outer.Contains(inner) && inner.Covers(p) {
				require.True(t, outer.Covers(p), "%s contains %s, which covers %v", outer, inner, p)
			}
			if p.Environment != "" && len(p.Accounts) == 0 {
				require.Equal(t, outer.AllAccounts && outer.Reaches(p.Environment), outer.Covers(p), "what no account has yet is for those who leave none out")
			}
		}
		if !outer.Contains(inner) {
			require.True(t, slices.ContainsFunc(places, func(p access.Place) bool { return inner.Covers(p) && !outer.Covers(p) }), "%s does not contain %s", outer, inner)
		}
		require.True(t, access.Everything().Contains(inner))
		require.True(t, outer.Contains(outer))
		require.False(t, outer.Contains(access.Scope{}), "nowhere is no scope to give")
	})
	_, err := access.NewScope([]string{"A b"}, []string{"live"})
	require.Equal(t, "id_malformed", fault.CodeOf(err))
	_, err = access.NewScope(nil, nil)
	require.Equal(t, "environment_missing", fault.CodeOf(err))
	_, err = access.NewScope(nil, []string{"prod"})
	require.Equal(t, "environment_unknown", fault.CodeOf(err))
	require.Equal(t, "nowhere", access.Scope{}.String())
}

func TestRequire(t *testing.T) {
	t.Parallel()
	live, err := access.NewScope([]string{"acme"}, []string{"live"})
	require.NoError(t, err)
	p := access.Principal{Kind: access.Token, ID: "t", Roles: access.Roles{access.Finance}, Scope: live}
	require.NoError(t, access.Require(p, access.WriteContract, "acme", account.Live))
	for name, tc := range map[string]struct {
		perm account.Environment
		id   string
		want string
	}{
		"another account":     {account.Live, "other", "account_not_found"},
		"another environment": {account.Test, "acme", "account_not_found"},
		"a new account":       {account.Live, "", access.CodeScope},
		"the installation":    {"", "", access.CodeScope},
	} {
		err := access.Require(p, access.WriteContract, tc.id, tc.perm)
		require.Equal(t, tc.want, fault.CodeOf(err), name)
	}
	err = access.Require(p, access.WriteSetup, "other", account.Live)
	require.Equal(t, access.CodePermission, fault.CodeOf(err), "a missing role is no secret")
	require.ErrorContains(t, err, "admin")
	require.Error(t, access.Require(access.Principal{}, access.OwnAccess, "acme", account.Live), "nobody may do nothing")
	require.Equal(t, access.Hidden(access.Account, "x").Error(), access.Require(p, access.WriteContract, "x", account.Live).Error(), "out of scope and missing look the same")
}

func TestFourEyes(t *testing.T) {
	t.Parallel()
	ada := access.Principal{Kind: access.User, ID: "user_a", Person: "user_a", Name: "Ada"}
	adasToken := access.Principal{Kind: access.Token, ID: "tok", Person: "user_a", Name: "ci"}
	bob := access.Principal{Kind: access.User, ID: "user_b", Person: "user_b", Name: "Bob"}
	for name, tc := range map[string]struct {
		approver access.Principal
		made     []access.Actor
		code     string
	}{
		"another person":              {bob, []access.Actor{ada.Actor(), access.Operator("root").Actor()}, ""},
		"oneself":                     {ada, []access.Actor{bob.Actor(), ada.Actor()}, "four_eyes"},
		"oneself through a token":     {ada, []access.Actor{adasToken.Actor()}, "four_eyes"},
		"one's token for oneself":     {adasToken, []access.Actor{ada.Actor()}, "four_eyes"},
		"nobody had a hand in it":     {ada, nil, ""},
		"the command line":            {access.Operator("root"), nil, "approver_not_a_person"},
		"a machine":                   {access.Machine("worker"), nil, "approver_not_a_person"},
		"a token of the command line": {access.Principal{Kind: access.Token, ID: "tok"}, nil, "approver_not_a_person"},
	} {
		err := access.FourEyes(tc.approver, tc.made)
		if tc.code == "" {
			require.NoError(t, err, name)
			continue
		}
		require.Equal(t, tc.code, fault.CodeOf(err), name)
		require.True(t, fault.Is(err, fault.Forbidden), name)
	}
	require.Equal(t, access.Nobody, access.Principal{}.Actor().Kind)
}
