package localstack

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// helperEnv makes this test binary play another part: a parent to be killed,
// or a stand-in for temporaldev.
const helperEnv = "LOCALSTACK_TEST_HELPER"

func TestMain(m *testing.M) {
	part, argument, _ := strings.Cut(os.Getenv(helperEnv), ":")
	switch part {
	case "":
		os.Exit(m.Run())
	case "parent-of-sleep":
		p, err := Start(ProcessOptions{Name: "sleep", Path: "/bin/sleep", Args: []string{"300"}})
		announce(p.Pid(), err)
	case "parent-of-postgres":
		p, err := EnsurePostgres(context.Background(), PostgresOptions{DataDir: argument})
		if err != nil {
			announce(0, err)
		}
		announce(p.proc.Pid(), nil)
	case "temporaldev":
		os.Exit(fakeTemporal(argument))
	}
}

// announce prints what the test waits for and then waits to be killed.
func announce(pid int, err error) {
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	fmt.Println("pid", pid)
	select {}
}

// fakeTemporal behaves like temporaldev as far as its supervisor can tell.
func fakeTemporal(behaviour string) int {
	fs := flag.NewFlagSet("temporaldev", flag.ContinueOnError)
	version := fs.Bool("version", false, "")
	uiPort := fs.String("ui-port", "", "")
	db := fs.String("db-filename", "", "")
	for _, name := range []string{"ip", "port", "namespace"} {
		fs.String(name, "", "")
	}
	fs.Bool("watch-stdin", false, "")
	fs.Func("search-attribute", "", func(string) error { return nil })
	if err := fs.Parse(os.Args[1:]); err != nil {
		return 2
	}
	if *version {
		fmt.Println("temporaldev server=9.9.9 ui=1.1.1")
		return 0
	}
	if _, err := os.Stat(*db); behaviour == "port-lost-once" && err != nil {
		_ = os.WriteFile(*db, nil, 0o600)
		fmt.Println("temporaldev: port 1 on 127.0.0.1 is taken: stop the program that uses it")
		return 1
	}
	if behaviour == "broken" {
		fmt.Println("temporaldev: the disk is full")
		return 1
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	_ = http.ListenAndServe(net.JoinHostPort(loopback, *uiPort), handler)
	return 1
}

// helper starts this binary in another part and returns the pid it announces.
func helper(t *testing.T, part string) (parent *exec.Cmd, child int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), helperEnv+"="+part)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	_, err = fmt.Fscanf(out, "pid %d\n", &child)
	require.NoError(t, err)
	return cmd, child
}

// publicDir is a temporary folder that another user may enter, too.
func publicDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "localstack-test-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755))
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// script writes an executable shell script.
func script(t *testing.T, body string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "script")
	// A child that is being started beside this would hold the open file until it is another
	// program, and a file that is open for writing cannot be run (golang.org/issue/22315).
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o755))
	return path
}

func requireEnds(t *testing.T, pid int) {
	t.Helper()
	require.Eventually(t, func() bool { return !alive(pid) }, time.Minute, 10*time.Millisecond, "process %d still runs", pid)
}
