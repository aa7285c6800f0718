package access_test

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/domain/access"
)

var update = flag.Bool("update", false, "rewrite docs/permissions.md")

// targets say in words where a permission must hold.
var targets = map[access.What]string{
	access.WholeInstallation: "the whole installation", access.Filtered: "shows what lies in the scope", access.Checked: "what the body names",
}

// TestPermissionsPage keeps docs/permissions.md equal to the table: whoever changes who
// may do what changes a page that reviewers read. Rewrite it with
// go test ./domain/access -update.
func TestPermissionsPage(t *testing.T) {
	t.Parallel()
	path := filepath.Join("..", "..", "docs", "permissions.md")
	page := permissionsPage()
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(page), 0o600))
	}
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, page, string(raw), "run: go test ./domain/access -update, and read what changes")
}

func permissionsPage() string {
	var b strings.Builder
	b.WriteString("# Who may do what\n\nWritten by a test from [the permission table](../domain/access/table.go), and held equal to it.\n[access](access.md) explains roles, scopes and tokens.\n\n## Roles\n\n| permission |")
	for _, r := range access.AllRoles() {
		fmt.Fprintf(&b, " %s |", r)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(access.AllRoles())) + "\n")
	for _, p := range access.AllPermissions() {
		fmt.Fprintf(&b, "| `%s` |", p)
		for _, r := range access.AllRoles() {
			mark := " "
			if (access.Roles{r}).Allow(p) {
				mark = "yes"
			}
			fmt.Fprintf(&b, " %s |", mark)
		}
		b.WriteString("\n")
	}
	b.WriteString("\n## Routes\n\n| route | roles | where | notes |\n|---|---|---|---|\n")
	routes := access.Routes()
	slices.SortFunc(routes, func(a, b string) int { return cmp.Or(strings.Compare(pathOf(a), pathOf(b)), strings.Compare(a, b)) })
	for _, route := range routes {
		rule, _ := access.RuleOf(route)
		if rule.Public {
			fmt.Fprintf(&b, "| `%s` | everybody |  |  |\n", route)
			continue
		}
		where := targets[rule.Target]
		if rule.Param != "" {
			where = fmt.Sprintf("%s `{%s}`", rule.Target, rule.Param)
		}
		var notes []string
		if rule.Page {
			notes = append(notes, "page")
		}
		if rule.Export {
			notes = append(notes, "audited as an export")
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", route, access.RolesWith(rule.Permission), where, strings.Join(notes, ", "))
	}
	return b.String()
}

func pathOf(route string) string {
	_, path, _ := strings.Cut(route, " ")
	return path
}
