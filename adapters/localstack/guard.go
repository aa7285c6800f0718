package localstack

import (
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"syscall"
)

// guard is a small shell that waits for the end of its standard input and then
// signals the child. The system closes our end of the pipe when we end.
type guard struct {
	cmd   *exec.Cmd
	stdin io.Closer
}

func newGuard(pid int, signal syscall.Signal) (*guard, error) {
	script := "cat >/dev/null; kill -" + strconv.Itoa(int(signal)) + " " + strconv.Itoa(pid) + " 2>/dev/null"
	cmd := exec.Command("/bin/sh", "-c", script)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("guard process %d: %w", pid, err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("guard process %d: %w", pid, err)
	}
	return &guard{cmd: cmd, stdin: stdin}, nil
}

// release ends the guard without a signal to the child, whose process id may
// soon belong to somebody else. Releasing no guard does nothing.
func (g *guard) release() {
	if g == nil {
		return
	}
	_ = syscall.Kill(-g.cmd.Process.Pid, syscall.SIGKILL)
	_ = g.stdin.Close()
	_ = g.cmd.Wait()
}
