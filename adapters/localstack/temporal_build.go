package localstack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// buildPatience is how long to wait for another process's build.
const buildPatience = 30 * time.Minute

// temporalBinary returns the prebuilt binary or a cached build, making it when
// the sources, the Go version or the platform have changed.
func temporalBinary(ctx context.Context, opts TemporalOptions) (string, error) {
	if opts.Binary != "" {
		path, err := exec.LookPath(opts.Binary)
		if err != nil {
			return "", fmt.Errorf("LIFTBILL_TEMPORALDEV=%s can't be run: %w (correct it, or unset it to build the server)", opts.Binary, err)
		}
		return filepath.Abs(path)
	}
	if _, err := os.Stat(filepath.Join(opts.SourceDir, "go.mod")); opts.SourceDir == "" || err != nil {
		return "", fmt.Errorf("there is no source of the Temporal server at %q: run inside a checkout of liftbill, set LIFTBILL_TEMPORALDEV to a built cmd/temporaldev, or TEMPORAL_ADDRESS to a server that runs", opts.SourceDir)
	}
	goTool, err := findGo()
	if err != nil {
		return "", err
	}
	cache, err := cacheDir(opts.CacheDir)
	if err != nil {
		return "", err
	}
	env := buildEnv(cache)
	key, err := buildKey(ctx, goTool, opts.SourceDir, env)
	if err != nil {
		return "", err
	}
	binary := filepath.Join(cache, "temporaldev-"+key)
	if _, err := os.Stat(binary); err == nil {
		return binary, nil
	}
	held, err := TakeLock(ctx, filepath.Join(cache, "build.lock"), true, 0)
	if errors.Is(err, ErrLocked) {
		opts.Log("Temporal: waiting for another process that builds the server")
		held, err = TakeLock(ctx, filepath.Join(cache, "build.lock"), true, buildPatience)
	}
	if err != nil {
		return "", fmt.Errorf("build the Temporal server: %w", err)
	}
	defer held.Release()
	if _, err := os.Stat(binary); err == nil { // the other process made it
		return binary, nil
	}
	return binary, build(ctx, opts, goTool, binary, env)
}

// build compiles under another name and moves the result into place.
func build(ctx context.Context, opts TemporalOptions, goTool, binary string, env []string) error {
	opts.Log("Temporal: building the server, once (about 3 minutes on 2 cores, 250 MB of modules to download)")
	began := time.Now()
	proc, err := Start(ProcessOptions{
		Name: "go build cmd/temporaldev", Path: goTool, Env: env,
		Args:    []string{"build", "-C", opts.SourceDir, "-v", "-buildvcs=false", "-ldflags=-s -w", "-o", binary + ".new", "."},
		LogFile: filepath.Join(filepath.Dir(binary), "build.log"),
	})
	if err != nil {
		return err
	}
	progress := func(took time.Duration) {
		opts.Log(fmt.Sprintf("Temporal: building the server: %s, %s", took, buildStep(proc.opts.LogFile)))
	}
	if err := awaitWithProgress(ctx, proc, progress); err != nil {
		return fmt.Errorf("build the Temporal server: %w (the first build needs the Go module proxy and about 5 GB in %s; whole log: %s)", err, filepath.Dir(binary), proc.opts.LogFile)
	}
	if err := os.Rename(binary+".new", binary); err != nil {
		return fmt.Errorf("build the Temporal server: %w", err)
	}
	removeOldBuilds(binary)
	opts.Log(fmt.Sprintf("Temporal: built in %s", time.Since(began).Round(time.Second)))
	return nil
}

// buildStep says what the build is at. Go names each module that it downloads
// and each package that it compiles, one a line.
func buildStep(logFile string) string {
	b, _ := os.ReadFile(logFile) // progress is not worth an error
	compiled, latest := 0, ""
	for line := range strings.Lines(string(b)) {
		latest = strings.TrimSpace(line)
		if !strings.HasPrefix(latest, "go: ") {
			compiled++
		}
	}
	switch {
	case latest == "":
		return "linking, or looking at what is compiled already"
	case strings.HasPrefix(latest, "go: "):
		return strings.TrimPrefix(latest, "go: ")
	default:
		return fmt.Sprintf("%d packages compiled, latest %s", compiled, latest)
	}
}

// removeOldBuilds keeps the cache to two servers of 150 MB: the present one
// and the one before, which another checkout may use.
func removeOldBuilds(binary string) {
	builds, _ := filepath.Glob(filepath.Join(filepath.Dir(binary), "temporaldev-*"))
	age := func(path string) time.Time {
		info, err := os.Stat(path)
		if err != nil {
			return time.Time{}
		}
		return info.ModTime()
	}
	slices.SortFunc(builds, func(a, b string) int { return age(b).Compare(age(a)) })
	for _, old := range builds[min(2, len(builds)):] {
		_ = os.Remove(old) // a running server keeps its file open
	}
}

// findGo finds the Go command, also where the usual installer puts it without
// changing PATH.
func findGo() (string, error) {
	for _, candidate := range []string{"go", "/usr/local/go/bin/go", "/opt/homebrew/bin/go"} {
		if path, err := exec.LookPath(candidate); err == nil {
			return path, nil
		}
	}
	return "", errors.New("the Temporal server has to be built and there is no Go command: install Go (https://go.dev/dl), set LIFTBILL_TEMPORALDEV to a built cmd/temporaldev, or TEMPORAL_ADDRESS to a server that runs")
}

// cacheDir makes the folder for builds; with neither a home nor a cache folder
// one below the system's temporary folder does.
func cacheDir(wanted string) (string, error) {
	if wanted == "" {
		base, err := os.UserCacheDir()
		if err != nil || (os.Getenv("XDG_CACHE_HOME") == "" && !hasHome()) {
			base = filepath.Join(os.TempDir(), fmt.Sprintf("liftbill-cache-%d", os.Geteuid()))
			if err := OwnDir(base, 0o700); err != nil {
				return "", fmt.Errorf("cache folder: %w", err)
			}
		}
		wanted = filepath.Join(base, "liftbill")
	}
	dir, err := filepath.Abs(wanted)
	if err != nil {
		return "", fmt.Errorf("cache folder: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("the cache folder %s can't be created (set XDG_CACHE_HOME or HOME to a folder of this user): %w", dir, err)
	}
	return dir, nil
}

// buildEnv is our environment with what `go build` can't do without, and
// without what would lead it to another module.
func buildEnv(cache string) []string {
	env := append(os.Environ(), "GOWORK=off")
	if !hasHome() {
		if os.Getenv("GOCACHE") == "" && os.Getenv("XDG_CACHE_HOME") == "" {
			env = append(env, "GOCACHE="+filepath.Join(cache, "go-build"))
		}
		if os.Getenv("GOPATH") == "" {
			env = append(env, "GOPATH="+filepath.Join(cache, "go"))
		}
	}
	return env
}

// hasHome tells whether there is a home folder: service accounts and bare
// containers name none, or one that does not exist.
func hasHome() bool {
	info, err := os.Stat(os.Getenv("HOME"))
	return err == nil && info.IsDir()
}

// buildKey digests what the binary depends on.
func buildKey(ctx context.Context, goTool, dir string, env []string) (string, error) {
	cmd := exec.CommandContext(ctx, goTool, "env", "GOVERSION", "CGO_ENABLED")
	cmd.Dir, cmd.Env = dir, env
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build the Temporal server: go env: %w: %s", err, strings.TrimSpace(string(out)))
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return "", err
	}
	files = append(files, filepath.Join(dir, "go.mod"), filepath.Join(dir, "go.sum"))
	h := sha256.New()
	_, _ = fmt.Fprintln(h, runtime.GOOS, runtime.GOARCH, string(out))
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		f, err := os.Open(path)
		if err != nil {
			return "", fmt.Errorf("build the Temporal server: %w", err)
		}
		_, _ = fmt.Fprintln(h, filepath.Base(path))
		_, err = io.Copy(h, f)
		if err = errors.Join(err, f.Close()); err != nil {
			return "", fmt.Errorf("build the Temporal server: %w", err)
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:8]), nil
}
