package localstack

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// pgBinaries is a folder with initdb and postgres of one version.
type pgBinaries struct {
	dir   string
	major int
}

var versionPattern = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

// findPostgres returns the newest installed server binaries; with an explicit
// folder, those or an error.
func (h host) findPostgres(ctx context.Context, explicit string) (pgBinaries, error) {
	if explicit != "" {
		dir, err := filepath.Abs(explicit)
		if err != nil {
			return pgBinaries{}, fmt.Errorf("PG_BIN=%s: %w", explicit, err)
		}
		bin, err := inspectBinaries(ctx, dir)
		if err != nil {
			return pgBinaries{}, fmt.Errorf("PG_BIN=%s does not hold usable PostgreSQL binaries: %w (correct it, or unset it to search)", explicit, err)
		}
		return bin, nil
	}
	var found []pgBinaries
	tooOld := ""
	for _, dir := range h.binDirs() {
		bin, err := inspectBinaries(ctx, dir)
		if err == nil {
			found = append(found, bin)
		} else if errors.Is(err, errTooOld) {
			tooOld = " (" + dir + ": " + err.Error() + ")"
		}
	}
	if len(found) == 0 {
		return pgBinaries{}, fmt.Errorf("no PostgreSQL was found on this machine%s", tooOld)
	}
	return slices.MaxFunc(found, func(a, b pgBinaries) int { return a.major - b.major }), nil
}

// binDirs lists candidate folders; PATH is the last of them.
func (h host) binDirs() []string {
	var dirs []string
	for _, pattern := range h.binGlobs {
		matches, _ := filepath.Glob(pattern) // only a malformed pattern fails
		dirs = append(dirs, matches...)
	}
	if path, err := h.lookPath("initdb"); err == nil {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(real))
		}
	}
	return dirs
}

var errTooOld = errors.New("too old")

// inspectBinaries asks a server binary for its version.
func inspectBinaries(ctx context.Context, dir string) (pgBinaries, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if _, err := exec.LookPath(filepath.Join(dir, "initdb")); err != nil {
		return pgBinaries{}, err
	}
	out, err := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version").CombinedOutput()
	if err != nil {
		return pgBinaries{}, fmt.Errorf("postgres --version: %w %s", err, strings.TrimSpace(string(out)))
	}
	match := versionPattern.FindSubmatch(out)
	if match == nil {
		return pgBinaries{}, fmt.Errorf("postgres --version says %q", strings.TrimSpace(string(out)))
	}
	major, err := strconv.Atoi(string(match[1]))
	if err != nil {
		return pgBinaries{}, err
	}
	if major < oldestPostgres {
		return pgBinaries{}, fmt.Errorf("PostgreSQL %d is %w: %d or newer is needed", major, errTooOld, oldestPostgres)
	}
	return pgBinaries{dir: dir, major: major}, nil
}
