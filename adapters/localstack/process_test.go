package localstack

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPortTakenNamesPortAndRemedy(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)

	err = PortFree("127.0.0.1:" + port)
	require.ErrorContains(t, err, "port "+port+" is taken")
	require.ErrorContains(t, err, "choose another port")
	require.NotContains(t, err.Error(), "\n")
	require.ErrorContains(t, PortFree("nonsense"), "no host:port")

	free, err := FreePort()
	require.NoError(t, err)
	require.NoError(t, PortFree(net.JoinHostPort("127.0.0.1", strconv.Itoa(free))))
}

func TestStopAsksFirst(t *testing.T) {
	t.Parallel()
	log := filepath.Join(t.TempDir(), "deep", "child.log")
	p, err := Start(ProcessOptions{
		Name: "child", Path: "/bin/sh", LogFile: log,
		Args: []string{"-c", `trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.02; done`},
	})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return p.Tail(1) == "up" }, time.Minute, 5*time.Millisecond)
	require.NoError(t, p.Err())
	require.NoError(t, p.Stop())
	require.NoError(t, p.Stop(), "a second stop does nothing")
	require.Equal(t, "up\nbye", p.Tail(10))
	requireEnds(t, p.Pid())
}

func TestStopKillsTheWholeGroupOfAStubbornChild(t *testing.T) {
	t.Parallel()
	log := filepath.Join(t.TempDir(), "child.log")
	p, err := Start(ProcessOptions{
		Name: "stubborn", Path: "/bin/sh", LogFile: log, StopTimeout: 100 * time.Millisecond,
		Args: []string{"-c", `trap '' TERM; sleep 300 & echo $!; wait; wait`},
	})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return p.Tail(1) != "" }, time.Minute, 5*time.Millisecond)
	grandchild, err := strconv.Atoi(p.Tail(1))
	require.NoError(t, err)
	require.ErrorContains(t, p.Stop(), "stubborn did not stop within 100ms")
	requireEnds(t, grandchild)
}

func TestChildThatEndsByItself(t *testing.T) {
	t.Parallel()
	p, err := Start(ProcessOptions{
		Name: "child", Path: "/bin/sh", Args: []string{"-c", "echo the reason; exit 3"}, LogFile: filepath.Join(t.TempDir(), "l"),
	})
	require.NoError(t, err)
	<-p.Done()
	require.ErrorContains(t, p.Err(), "exit status 3")
	require.ErrorContains(t, p.failure(), "the reason")
	require.NoError(t, p.Stop())
}

func TestMissingProgramIsPlain(t *testing.T) {
	t.Parallel()
	_, err := Start(ProcessOptions{Name: "nothing", Path: "/no/such/program"})
	require.ErrorContains(t, err, "the program /no/such/program")
	closed := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(closed, nil, 0o600))
	_, err = Start(ProcessOptions{Name: "nothing", Path: closed})
	require.ErrorContains(t, err, "may not be used by this user")
}

func TestKilledParentTakesItsChildAlong(t *testing.T) {
	t.Parallel()
	parent, child := helper(t, "parent-of-sleep")
	require.True(t, alive(child))
	require.NoError(t, parent.Process.Kill())
	requireEnds(t, child)
}

func TestGuardSignalsWhenItsParentIsGone(t *testing.T) {
	t.Parallel()
	p, err := Start(ProcessOptions{Name: "sleep", Path: "/bin/sleep", Args: []string{"300"}})
	require.NoError(t, err)
	g, err := newGuard(p.Pid(), syscall.SIGTERM)
	require.NoError(t, err)
	require.NoError(t, g.stdin.Close()) // what the system does for a dead parent
	<-p.Done()
	g.release()

	p, err = Start(ProcessOptions{Name: "sleep", Path: "/bin/sleep", Args: []string{"300"}})
	require.NoError(t, err)
	g, err = newGuard(p.Pid(), syscall.SIGTERM)
	require.NoError(t, err)
	g.release()
	require.True(t, alive(p.Pid()), "a released guard leaves the child alone")
	require.NoError(t, p.Stop())
}

func TestGroupStopsTheLatestFirst(t *testing.T) {
	t.Parallel()
	var g Group
	var order []int
	boom := errors.New("boom")
	for i := range 3 {
		g.Add(func() error {
			order = append(order, i)
			if i == 1 {
				return boom
			}
			return nil
		})
	}
	require.ErrorIs(t, g.Stop(), boom)
	require.Equal(t, []int{2, 1, 0}, order)
	require.NoError(t, g.Stop(), "nothing is stopped twice")
}

func TestLockDirNamesTheOwner(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	path := filepath.Join(t.TempDir(), "x.lock")
	held, err := lockDir(ctx, path, "the folder")
	require.NoError(t, err)
	_, err = lockDir(ctx, path, "the folder")
	require.ErrorContains(t, err, "another liftbill (process "+strconv.Itoa(os.Getpid())+") is using the folder")
	held.Release()
	held, err = lockDir(ctx, path, "the folder")
	require.NoError(t, err)
	held.Release()
}
