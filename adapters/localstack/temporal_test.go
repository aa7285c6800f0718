package localstack

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// stand returns a stand-in for the temporaldev binary.
func stand(t *testing.T, behaviour string) string {
	t.Helper()
	return script(t, "exec env "+helperEnv+"=temporaldev:"+behaviour+" "+os.Args[0]+` "$@"`)
}

func TestTemporalStartsStopsAndStartsAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var log lines
	opts := TemporalOptions{Binary: stand(t, "fine"), DataDir: dir, Log: log.add}
	for range 2 {
		s, err := EnsureTemporal(t.Context(), opts)
		require.NoError(t, err)
		require.Contains(t, log.String(), "Temporal 9.9.9: ready on "+s.Address+", web console "+s.UIURL)
		require.Contains(t, commandLine(t.Context(), s.proc.Pid()), "--db-filename "+filepath.Join(dir, "temporal-9.9.9.db"))
		_, err = EnsureTemporal(t.Context(), opts)
		require.ErrorContains(t, err, "another liftbill")
		require.NoError(t, s.Stop())
		requireEnds(t, s.proc.Pid())
	}
}

func TestTemporalTriesAgainWhenItsPortIsLost(t *testing.T) {
	t.Parallel()
	s, err := EnsureTemporal(t.Context(), TemporalOptions{Binary: stand(t, "port-lost-once"), DataDir: t.TempDir()})
	require.NoError(t, err)
	require.NoError(t, s.Stop())
}

func TestTemporalFailuresArePlain(t *testing.T) {
	t.Parallel()
	_, err := EnsureTemporal(t.Context(), TemporalOptions{Binary: stand(t, "broken"), DataDir: t.TempDir()})
	require.ErrorContains(t, err, "the Temporal server could not start (exit status 1): temporaldev: the disk is full")
	_, err = EnsureTemporal(t.Context(), TemporalOptions{Binary: script(t, "echo hello"), DataDir: t.TempDir()})
	require.ErrorContains(t, err, "no usable temporaldev binary")
	_, err = EnsureTemporal(t.Context(), TemporalOptions{Binary: "/no/such/binary", DataDir: t.TempDir()})
	require.ErrorContains(t, err, "LIFTBILL_TEMPORALDEV=/no/such/binary can't be run")
	_, err = EnsureTemporal(t.Context(), TemporalOptions{SourceDir: t.TempDir(), DataDir: t.TempDir()})
	require.ErrorContains(t, err, "run inside a checkout of liftbill")

	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := l.Addr().(*net.TCPAddr).Port
	_, err = EnsureTemporal(t.Context(), TemporalOptions{Binary: stand(t, "fine"), DataDir: t.TempDir(), UIPort: port})
	require.ErrorContains(t, err, "Temporal's web console: port "+strconv.Itoa(port)+" is taken")

	given := l.Addr().String()
	s, err := EnsureTemporal(t.Context(), TemporalOptions{Address: given})
	require.NoError(t, err)
	require.Equal(t, given, s.Address)
	require.Nil(t, s.Done())
	require.NoError(t, s.Stop())
	require.NoError(t, l.Close())
	_, err = EnsureTemporal(t.Context(), TemporalOptions{Address: given})
	require.ErrorContains(t, err, "TEMPORAL_ADDRESS="+given+" does not answer")
}

// TestTemporalIsBuiltOnce builds a small program in the server's place.
func TestTemporalIsBuiltOnce(t *testing.T) {
	t.Parallel()
	source, cache := t.TempDir(), t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(source, name), []byte(text), 0o600))
	}
	write("go.mod", "module example.com/temporaldev\n\ngo 1.26.0\n")
	write("go.sum", "")
	write("main.go", "package main\n\nfunc main() { println(\"one\") }\n")
	var log lines
	opts := TemporalOptions{SourceDir: source, CacheDir: cache, Log: log.add}
	first, err := temporalBinary(t.Context(), opts)
	require.NoError(t, err)
	require.Contains(t, log.String(), "Temporal: built in")
	info, err := os.Stat(first)
	require.NoError(t, err)

	write("main_test.go", "package main\n")
	again, err := temporalBinary(t.Context(), opts)
	require.NoError(t, err)
	require.Equal(t, first, again)
	infoAgain, err := os.Stat(again)
	require.NoError(t, err)
	require.Equal(t, info.ModTime(), infoAgain.ModTime(), "the cached build is used")

	write("main.go", "package main\n\nfunc main() { broken }\n")
	_, err = temporalBinary(t.Context(), opts)
	require.ErrorContains(t, err, "undefined: broken")
	_, err = os.Stat(first)
	require.NoError(t, err, "a failed build leaves the earlier one")
}

func TestBuildWithoutAHome(t *testing.T) {
	for _, home := range []string{"", filepath.Join(t.TempDir(), "missing")} {
		t.Setenv("HOME", home)
		t.Setenv("TMPDIR", t.TempDir())
		for _, name := range []string{"XDG_CACHE_HOME", "GOCACHE", "GOPATH"} {
			t.Setenv(name, "")
		}
		cache, err := cacheDir("")
		require.NoError(t, err)
		require.Equal(t, os.Getenv("TMPDIR"), filepath.Dir(filepath.Dir(cache)))
		env := buildEnv(cache)
		require.Contains(t, env, "GOCACHE="+filepath.Join(cache, "go-build"))
		require.Contains(t, env, "GOPATH="+filepath.Join(cache, "go"))
	}
}

func TestBuildStepIsSaid(t *testing.T) {
	t.Parallel()
	log := filepath.Join(t.TempDir(), "build.log")
	require.Contains(t, buildStep(log), "linking")
	text := "go: downloading example.com/a v1.2.3\n"
	require.NoError(t, os.WriteFile(log, []byte(text), 0o600))
	require.Equal(t, "downloading example.com/a v1.2.3", buildStep(log))
	require.NoError(t, os.WriteFile(log, []byte(text+"internal/a\nexample.com/a\n"), 0o600))
	require.Equal(t, "2 packages compiled, latest example.com/a", buildStep(log))
}

func TestBuildsOfOtherSourcesArePruned(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"a", "b", "c"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "temporaldev-"+name), nil, 0o700))
	}
	removeOldBuilds(filepath.Join(dir, "temporaldev-c"))
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.Len(t, left, 2)
}
