package mutants

import (
	"fmt"
	"strings"
)

// The lines of a page between which its table of mutants lies.
const (
	pageBegins = "<!-- The table up to the next comment is written by make mutants-ingest. -->\n"
	pageEnds   = "<!-- end of the table -->\n"
)

// Table lists mutants that were caught, as Markdown.
func Table(all []Mutant) string {
	var b strings.Builder
	b.WriteString("| bug | taken out, or done wrong | in | the test that failed |\n|---|---|---|---|\n")
	for _, m := range all {
		fmt.Fprintf(&b, "| %d | %s | `%s` | `%s` |\n", m.Bug, m.Name, m.File, m.Test)
	}
	return b.String()
}

// Page is a page with the table in its place.
func Page(page, table string) (string, error) {
	before, rest, begins := strings.Cut(page, pageBegins)
	_, after, ends := strings.Cut(rest, pageEnds)
	if !begins || !ends {
		return "", fmt.Errorf("the page has no place for the table: it wants the line %q and later %q", strings.TrimSpace(pageBegins), strings.TrimSpace(pageEnds))
	}
	return before + pageBegins + "\n" + table + "\n" + pageEnds + after, nil
}
