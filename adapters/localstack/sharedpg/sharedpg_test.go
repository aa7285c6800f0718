package sharedpg

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/localstack"
)

// userEnv makes this test binary a second user of the cluster of that key,
// which prints the address and waits to be killed.
const userEnv = "SHAREDPG_TEST_USER"

func TestMain(m *testing.M) {
	if key := os.Getenv(userEnv); key != "" {
		p, err := Ensure(context.Background(), Options{Key: key})
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		fmt.Println(p.URL(""))
		select {}
	}
	// Inherited by the supervisors that these tests start.
	if err := os.Setenv(lingerEnv, "300ms"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

func otherUser(t *testing.T, key string) (cmd *exec.Cmd, url string) {
	t.Helper()
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), userEnv+"="+key)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	_, err = fmt.Fscanln(out, &url)
	require.NoError(t, err)
	return cmd, url
}

// requireNoSupervisor waits until the supervisor has ended: one that was killed lives until
// the kernel gets to it.
func requireNoSupervisor(t *testing.T, dir string) {
	t.Helper()
	require.Eventually(t, func() bool {
		l, err := localstack.TakeLock(t.Context(), filepath.Join(dir, supervisorLock), true, 0)
		l.Release()
		return err == nil
	}, time.Minute, 20*time.Millisecond, "the supervisor still lives")
}

// requireGone waits until the cluster is stopped and its data deleted.
func requireGone(t *testing.T, key, url string) {
	t.Helper()
	dir, err := sharedDir(key)
	require.NoError(t, err)
	requireNoSupervisor(t, dir)
	_, err = pgx.Connect(t.Context(), url)
	require.Error(t, err)
	for _, name := range []string{"data", stateFile} {
		_, err = os.Stat(filepath.Join(dir, name))
		require.ErrorIs(t, err, os.ErrNotExist)
	}
	require.NoError(t, os.RemoveAll(dir))
}

func TestUsersShareOneClusterThatGoesWithTheLast(t *testing.T) {
	t.Setenv("TEST_DATABASE_URL", "")
	key := t.TempDir()
	type result struct {
		p   *localstack.Postgres
		err error
	}
	results := make(chan result)
	for range 2 { // at once: one of them starts it
		go func() {
			p, err := Ensure(t.Context(), Options{Key: key})
			results <- result{p, err}
		}()
	}
	a, b := <-results, <-results
	require.NoError(t, a.err)
	require.NoError(t, b.err)
	other, url := otherUser(t, key)
	require.Equal(t, a.p.URL(""), b.p.URL(""))
	require.Equal(t, a.p.URL(""), url)

	require.NoError(t, a.p.Stop())
	require.NoError(t, b.p.Stop())
	time.Sleep(time.Second)
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err, "the other user still needs it")
	require.NoError(t, conn.Close(t.Context()))

	require.NoError(t, other.Process.Kill())
	requireGone(t, key, url)
}

func TestKilledSupervisorIsReplaced(t *testing.T) {
	t.Setenv("TEST_DATABASE_URL", "")
	key := t.TempDir()
	first, err := Ensure(t.Context(), Options{Key: key})
	require.NoError(t, err)
	dir, err := sharedDir(key)
	require.NoError(t, err)
	b, err := os.ReadFile(filepath.Join(dir, supervisorLock))
	require.NoError(t, err)
	pid, err := strconv.Atoi(string(b))
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	requireNoSupervisor(t, dir)

	second, err := Ensure(t.Context(), Options{Key: key})
	require.NoError(t, err)
	require.NotEmpty(t, second.URL(""))
	require.NoError(t, first.Stop())
	require.NoError(t, second.Stop())
	requireGone(t, key, second.URL(""))
}

func TestGivenURLTakesItsPlace(t *testing.T) {
	t.Setenv("TEST_DATABASE_URL", "postgres://u@127.0.0.1:1/x?sslmode=disable")
	_, err := Ensure(t.Context(), Options{Key: t.TempDir()})
	require.ErrorContains(t, err, "the given database at 127.0.0.1:1")
}

func TestFailureSaysWhy(t *testing.T) {
	t.Setenv("TEST_DATABASE_URL", "")
	t.Setenv("PG_BIN", t.TempDir())
	key := t.TempDir()
	_, err := Ensure(t.Context(), Options{Key: key})
	require.ErrorContains(t, err, "does not hold usable PostgreSQL binaries")
	dir, err := sharedDir(key)
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(dir))
}
