package projectcheck_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	linkPattern    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	headingPattern = regexp.MustCompile(`(?m)^#{1,6}\s+(.+?)\s*$`)
	notInAnchors   = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	codeFence      = regexp.MustCompile("(?s)```.*?```")
)

// anchors are the fragments under which the headings of a page can be reached.
func anchors(markdown string) []string {
	var out []string
	for _, m := range headingPattern.FindAllStringSubmatch(codeFence.ReplaceAllString(markdown, ""), -1) {
		out = append(out, strings.ReplaceAll(notInAnchors.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-"))
	}
	return out
}

// TestDocumentLinksResolve follows every relative link of every page, to the heading.
func TestDocumentLinksResolve(t *testing.T) {
	t.Parallel()
	root := moduleRoot(t)
	read := func(path string) string {
		raw, err := os.ReadFile(path)
		require.NoError(t, err)
		return string(raw)
	}
	for _, page := range sourceFiles(t, ".md") {
		text := codeFence.ReplaceAllString(read(filepath.Join(root, page)), "")
		for _, m := range linkPattern.FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			path, anchor, _ := strings.Cut(m[1], "#")
			target := filepath.Join(root, page)
			if path != "" {
				target = filepath.Join(root, filepath.Dir(page), filepath.FromSlash(path))
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s, which is not there", page, m[1])
				continue
			}
			if anchor != "" && !slices.Contains(anchors(read(target)), anchor) {
				t.Errorf("%s links to %s, and there is no such heading", page, m[1])
			}
		}
	}
}

// TestReadmeShowsTheTwoCommands holds the front page to its promise.
func TestReadmeShowsTheTwoCommands(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(filepath.Join(moduleRoot(t), "README.md"))
	require.NoError(t, err)
	require.Contains(t, string(raw), "make demo\n")
	require.Contains(t, string(raw), "make test\n")
	ci, err := os.ReadFile(filepath.Join(moduleRoot(t), ".ci", "run"))
	require.NoError(t, err)
	require.Contains(t, string(ci), "\nmake test\n", "the pipeline must run the very command of the front page")
}

var envPattern = regexp.MustCompile("env:\"([A-Z_]+)\"")

// TestEveryVariableIsDocumented wants each field of the configuration in the table of
// the front page or in that of a page that it leads to: docs/access.md, docs/accruals.md,
// docs/operations.md.
func TestEveryVariableIsDocumented(t *testing.T) {
	t.Parallel()
	root := moduleRoot(t)
	config, err := os.ReadFile(filepath.Join(root, "cmd", "liftbill", "config.go"))
	require.NoError(t, err)
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	require.NoError(t, err)
	text := string(readme)
	for _, page := range []string{"access.md", "accruals.md", "operations.md"} {
		raw, err := os.ReadFile(filepath.Join(root, "docs", page))
		require.NoError(t, err)
		text += string(raw)
	}
	names := envPattern.FindAllStringSubmatch(string(config), -1)
	require.NotEmpty(t, names)
	for _, m := range names {
		require.Contains(t, text, "| `"+m[1]+"`", "neither README.md nor docs/access.md, accruals.md or operations.md documents %s", m[1])
	}
}
