// Package projectcheck tests the repository itself: what the documents claim, how
// long files and functions are, and, behind the build tag lint, that every rule of
// the linters fires. It holds tests only.
package projectcheck
