package localstack

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// lines collects progress.
type lines struct {
	mu   sync.Mutex
	text string
}

func (l *lines) add(s string) { l.mu.Lock(); l.text += s + "\n"; l.mu.Unlock() }

func (l *lines) String() string { l.mu.Lock(); defer l.mu.Unlock(); return l.text }

func execute(t *testing.T, url, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer func() { _ = conn.Close(t.Context()) }()
	_, err = conn.Exec(t.Context(), sql)
	require.NoError(t, err)
}

func query(t *testing.T, url, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer func() { _ = conn.Close(t.Context()) }()
	var s string
	require.NoError(t, conn.QueryRow(t.Context(), sql).Scan(&s))
	return s
}

// A durable cluster keeps PostgreSQL's own settings; what it had committed is there after
// a crash, at the same address.
func TestCrashedClusterRecovers(t *testing.T) {
	t.Parallel()
	dir := publicDir(t)
	port, err := FreePort()
	require.NoError(t, err)
	opts := PostgresOptions{DataDir: dir, Port: port, Durable: true}
	first, err := EnsurePostgres(t.Context(), opts)
	require.NoError(t, err)
	for _, setting := range []string{"fsync", "synchronous_commit", "full_page_writes"} {
		require.Equal(t, "on", query(t, first.URL(""), "SHOW "+setting))
	}
	require.FileExists(t, filepath.Join(first.BinDir(), "initdb"))
	execute(t, first.URL(""), "CREATE TABLE kept AS SELECT 'committed' AS text")
	pid := first.Pid()
	require.NoError(t, first.Crash())
	requireEnds(t, pid)
	second, err := EnsurePostgres(t.Context(), opts)
	require.NoError(t, err)
	require.Equal(t, first.URL(""), second.URL(""))
	require.Equal(t, "committed", query(t, second.URL(""), "SELECT text FROM kept"))
	log, err := os.ReadFile(filepath.Join(dir, "postgres.log"))
	require.NoError(t, err)
	require.Contains(t, string(log), "not properly shut down")
	require.NoError(t, second.Stop())

	given, err := EnsurePostgres(t.Context(), PostgresOptions{DatabaseURL: second.URL("")})
	require.Error(t, err, "it was stopped")
	require.Nil(t, given)
	require.Error(t, (&Postgres{}).Crash(), "a server of somebody else's is left alone")
	require.Zero(t, (&Postgres{}).Pid())
}

func TestPrivateClusterKeepsDataAndOutlivesLeftovers(t *testing.T) {
	t.Parallel()
	dir := publicDir(t)
	var log lines
	first, err := EnsurePostgres(t.Context(), PostgresOptions{DataDir: dir, Log: log.add})
	require.NoError(t, err)
	require.Contains(t, log.String(), "creating a private cluster in "+dir)
	require.Equal(t, "127.0.0.1", query(t, first.URL(""), "SHOW listen_addresses"))
	require.Equal(t, "liftbill", query(t, first.URL(""), "SELECT current_database()"))
	require.NoError(t, first.EnsureDatabase(t.Context(), "side"))
	require.NoError(t, first.EnsureDatabase(t.Context(), "side"), "it exists")
	require.Equal(t, "side", query(t, first.URL("side"), "SELECT current_database()"))
	_, err = pgx.Connect(t.Context(), strings.Replace(first.URL(""), ":"+first.config.Password+"@", ":wrong@", 1))
	require.ErrorContains(t, err, "password authentication failed")

	_, err = EnsurePostgres(t.Context(), PostgresOptions{DataDir: dir})
	require.ErrorContains(t, err, "another liftbill (process "+strconv.Itoa(os.Getpid())+") is using "+dir)
	require.NoError(t, first.Stop())
	requireEnds(t, first.proc.Pid())

	// A crash may leave a lock file whose number belongs to somebody else now,
	// and an initdb that did not finish.
	data, err := filepath.Glob(filepath.Join(dir, "pgdata-*"))
	require.NoError(t, err)
	require.Len(t, data, 1)
	stale := strconv.Itoa(os.Getpid()) + "\n" + data[0] + "\n1700000000\n5432\n\n127.0.0.1\n"
	require.NoError(t, os.WriteFile(filepath.Join(data[0], "postmaster.pid"), []byte(stale), 0o600))
	require.NoError(t, os.Mkdir(data[0]+".new", 0o700))
	second, err := EnsurePostgres(t.Context(), PostgresOptions{DataDir: dir})
	require.NoError(t, err)
	require.Equal(t, "1", query(t, second.URL("side"), "SELECT count(*)::text FROM pg_database WHERE datname = 'side'"))
	require.NoError(t, second.Stop())

	require.NoError(t, os.Remove(filepath.Join(dir, "postgres.password")))
	_, err = EnsurePostgres(t.Context(), PostgresOptions{DataDir: dir})
	require.ErrorContains(t, err, "delete the folder to begin anew")
}

func TestKilledParentLeavesAClusterThatStartsAgain(t *testing.T) {
	t.Parallel()
	dir := publicDir(t)
	parent, postmaster := helper(t, "parent-of-postgres:"+dir)
	require.NoError(t, parent.Process.Kill())
	// At once: the orphan may still be stopping.
	p, err := EnsurePostgres(t.Context(), PostgresOptions{DataDir: dir})
	require.NoError(t, err)
	requireEnds(t, postmaster)
	require.Equal(t, "1", query(t, p.URL(""), "SELECT '1'"))

	// The server itself may be killed, with its helpers left for a moment.
	require.NoError(t, p.proc.cmd.Process.Kill())
	<-p.Done()
	require.NoError(t, p.Stop())
	p, err = EnsurePostgres(t.Context(), PostgresOptions{DataDir: dir})
	require.NoError(t, err)
	require.NoError(t, p.Stop())
}

func TestGivenURLIsHonoured(t *testing.T) {
	t.Parallel()
	own, err := EnsurePostgres(t.Context(), PostgresOptions{DataDir: publicDir(t)})
	require.NoError(t, err)
	defer func() { require.NoError(t, own.Stop()) }()

	given, err := EnsurePostgres(t.Context(), PostgresOptions{DatabaseURL: own.URL("")})
	require.NoError(t, err)
	require.Equal(t, own.URL(""), given.URL(""))
	require.Nil(t, given.Done())
	require.NoError(t, given.Stop(), "stopping it leaves the server alone")
	require.Equal(t, "1", query(t, own.URL(""), "SELECT '1'"))

	c := own.config
	words := "host=127.0.0.1 port=" + strconv.Itoa(int(c.Port)) + " user=liftbill password=" + c.Password + " dbname=liftbill sslmode=disable"
	given, err = EnsurePostgres(t.Context(), PostgresOptions{DatabaseURL: words})
	require.NoError(t, err)
	require.Equal(t, "postgres", query(t, given.URL("postgres"), "SELECT current_database()"))

	port, err := FreePort()
	require.NoError(t, err)
	_, err = EnsurePostgres(t.Context(), PostgresOptions{DatabaseURL: "postgres://u:secret@127.0.0.1:" + strconv.Itoa(port) + "/x"})
	require.ErrorContains(t, err, "the given database at 127.0.0.1:"+strconv.Itoa(port))
	require.ErrorContains(t, err, "unset the URL")
	require.NotContains(t, err.Error(), "secret")
	_, err = EnsurePostgres(t.Context(), PostgresOptions{DatabaseURL: "postgres://%zz"})
	require.ErrorContains(t, err, "can't be read")
}

func TestTakenPortIsSaid(t *testing.T) {
	t.Parallel()
	own, err := EnsurePostgres(t.Context(), PostgresOptions{DataDir: publicDir(t)})
	require.NoError(t, err)
	defer func() { require.NoError(t, own.Stop()) }()
	port := int(own.config.Port)
	_, err = EnsurePostgres(t.Context(), PostgresOptions{DataDir: publicDir(t), Port: port})
	require.ErrorContains(t, err, "PostgreSQL: port "+strconv.Itoa(port)+" is taken")
}

// only makes a machine that has nothing but the named programs.
func only(root bool, programs map[string]string) host {
	return host{root: root, lookPath: func(name string) (string, error) {
		if path, ok := programs[name]; ok {
			return path, nil
		}
		return "", exec.ErrNotFound
	}}
}

func TestMissingPostgresNamesTheRemedy(t *testing.T) {
	t.Parallel()
	no := script(t, "exit 1")
	for name, c := range map[string]struct {
		host host
		want string
	}{
		"ordinary user with apt": {only(false, map[string]string{"apt-get": no}), "Install it: sudo apt-get update && sudo apt-get install"},
		"root with apt":          {only(true, map[string]string{"apt-get": no}), "Install it: apt-get update && apt-get install"},
		"Homebrew":               {only(false, map[string]string{"brew": no}), "brew install postgresql"},
		"Docker without engine":  {only(false, map[string]string{"docker": no}), "system's package manager"},
		"nothing":                {only(false, nil), "Or set DATABASE_URL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := EnsurePostgres(t.Context(), PostgresOptions{DataDir: publicDir(t), host: c.host})
			require.ErrorContains(t, err, "no PostgreSQL was found on this machine")
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "\n")
		})
	}
}

func TestUnusableBinaries(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := EnsurePostgres(t.Context(), PostgresOptions{DataDir: publicDir(t), BinDir: dir})
	require.ErrorContains(t, err, "PG_BIN="+dir+" does not hold usable PostgreSQL binaries")
	old := "#!/bin/sh\necho 'postgres (PostgreSQL) 12.4'\n"
	for _, name := range []string{"initdb", "postgres"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(old), 0o755))
	}
	h := only(false, nil)
	h.binGlobs = []string{dir}
	_, err = EnsurePostgres(t.Context(), PostgresOptions{DataDir: publicDir(t), host: h})
	require.ErrorContains(t, err, "PostgreSQL 12 is too old: 15 or newer is needed")
}

func TestInstallRunsAptOnceAllowed(t *testing.T) {
	t.Parallel()
	record := filepath.Join(t.TempDir(), "record")
	h := only(true, map[string]string{"apt-get": script(t, `echo "$DEBIAN_FRONTEND $@" >> `+record)})
	h.aptConf = filepath.Join(t.TempDir(), "etc", "createcluster.conf")
	var log lines
	opts := PostgresOptions{DataDir: publicDir(t), host: h, Log: log.add}
	_, err := EnsurePostgres(t.Context(), opts)
	require.Error(t, err)
	_, err = os.Stat(record)
	require.ErrorIs(t, err, fs.ErrNotExist, "not without permission")

	opts.AllowInstall = true
	_, err = EnsurePostgres(t.Context(), opts)
	require.ErrorContains(t, err, "apt-get installed PostgreSQL, and yet")
	b, err := os.ReadFile(record)
	require.NoError(t, err)
	require.Equal(t, "noninteractive update\nnoninteractive install -y --no-install-recommends postgresql\n", string(b))
	b, err = os.ReadFile(h.aptConf)
	require.NoError(t, err)
	require.Equal(t, "create_main_cluster = false\n", string(b))
	require.Contains(t, log.String(), "installing it")
	require.NoError(t, noSystemCluster(h.aptConf), "an existing file stands")

	h.lookPath = only(true, map[string]string{"apt-get": script(t, "echo no network; exit 100")}).lookPath
	opts.host = h
	_, err = EnsurePostgres(t.Context(), opts)
	require.ErrorContains(t, err, "no network")
}

func TestDockerIsUsedWhenItsEngineAnswers(t *testing.T) {
	t.Parallel()
	record := filepath.Join(t.TempDir(), "record")
	h := only(false, map[string]string{"docker": script(t, `echo "$@" >> `+record+`; [ "$1" != run ] || { echo no such image; exit 125; }`)})
	dir := publicDir(t)
	_, err := EnsurePostgres(t.Context(), PostgresOptions{DataDir: dir, host: h})
	require.ErrorContains(t, err, "no such image")
	b, err := os.ReadFile(record)
	require.NoError(t, err)
	calls := strings.Split(strings.TrimSpace(string(b)), "\n")
	name := containerName(dir)
	require.Equal(t, []string{"info", "rm --force " + name}, calls[:2])
	require.Contains(t, calls[2], "run --rm --name "+name+" --publish 127.0.0.1:")
	require.Contains(t, calls[2], " postgres:16 -c ")
}

func TestUnreachableDataDirIsReplaced(t *testing.T) {
	t.Parallel()
	nobody := &User{Name: "nobody", UID: 61234, GID: 61234}
	closed := t.TempDir() // its parent is ours alone
	fallback := publicDir(t)
	var log lines
	opts := PostgresOptions{DataDir: filepath.Join(closed, "demo"), FallbackDir: fallback, Log: log.add}
	got, err := prepareDir(opts, nobody)
	require.NoError(t, err)
	require.Equal(t, fallback, filepath.Dir(got))
	require.Contains(t, log.String(), "can't reach "+opts.DataDir+", using "+got)
	again, err := prepareDir(opts, nobody)
	require.NoError(t, err)
	require.Equal(t, got, again)

	opts.FallbackDir = closed
	_, err = prepareDir(opts, nobody)
	require.ErrorContains(t, err, "reaches neither")
	opts.DataDir = filepath.Join(fallback, "open")
	got, err = prepareDir(opts, nobody)
	require.NoError(t, err)
	require.Equal(t, opts.DataDir, got)
}

func TestOwnDirRefusesALink(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, OwnDir(filepath.Join(dir, "mine"), 0o700))
	require.NoError(t, OwnDir(filepath.Join(dir, "mine"), 0o755))
	require.NoError(t, os.Symlink(dir, filepath.Join(dir, "link")))
	err := OwnDir(filepath.Join(dir, "link"), 0o700)
	require.ErrorContains(t, err, "not a folder of this user")
	require.NotErrorIs(t, err, fs.ErrExist)
}
