// Package mutants shows that tests can fail. A mutant is this module with one protection
// taken out; the test that is named with it must fail on it, and pass without it. The
// working tree is never changed: the go command is given the mutated file as an overlay.
package mutants

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Mutant replaces one text of one file.
type Mutant struct {
	// Bug is the number of the defect of others in docs/stripe-bugs.md.
	Bug int
	// Name says what was taken out, or done wrong, in a few words.
	Name string
	// File is below the module's root, with slashes.
	File string
	// Old is there exactly once; New takes its place.
	Old, New string
	// Test must fail then: a package's folder, a colon and the name of a test.
	Test string
}

// All are the mutants of the ingest and of the write-back's requests, by number.
func All() []Mutant {
	all := slices.Concat(receiving, classification, following, writing)
	slices.SortStableFunc(all, func(a, b Mutant) int { return a.Bug - b.Bug })
	return all
}

// Target is the package and the test function of a mutant.
func (m Mutant) Target() (folder, test string) {
	folder, test, _ = strings.Cut(m.Test, ":")
	return folder, test
}

// Source is the mutated file. It is an error when the text to replace is not there, or
// more than once: the mutant is out of date then, and proves nothing.
func (m Mutant) Source(root string) (string, error) {
	raw, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(m.File))) //nolint:gosec // a file of this module, by a list in this package
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(raw), m.Old); n != 1 || m.Old == m.New {
		return "", fmt.Errorf("mutant %q of bug %d is out of date: its text is %d times in %s", m.Name, m.Bug, n, m.File)
	}
	return strings.Replace(string(raw), m.Old, m.New, 1), nil
}
