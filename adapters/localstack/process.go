package localstack

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// defaultStopTimeout is how long a child may take to stop cleanly.
const defaultStopTimeout = 20 * time.Second

// User is an account that a child runs as when this process is root.
type User struct {
	Name     string
	UID, GID uint32
}

// ProcessOptions describes a supervised child.
type ProcessOptions struct {
	Name    string   // what people call it, for messages
	Path    string   // the program
	Args    []string // its arguments, without the program's name
	Dir     string   // working directory
	Env     []string // whole environment; nil means that of this process
	LogFile string   // stdout and stderr; begun anew at each start

	RunAs      *User          // nil: the user of this process
	StopSignal syscall.Signal // asked to stop by; default SIGTERM
	// StopTimeout bounds the clean stop, after which the group is killed.
	StopTimeout time.Duration
	// WatchesStdin says that the child itself stops when its standard input
	// closes, which is the portable way to notice the end of this process.
	WatchesStdin bool
}

// Process is a child in a process group of its own: an interrupt typed at the
// terminal reaches us and not it, and it ends when we end.
type Process struct {
	opts  ProcessOptions
	cmd   *exec.Cmd
	stdin io.Closer
	done  chan struct{}
	err   error // set before done closes

	stopOnce sync.Once
}

// Start starts the child and supervises it until Stop, or its own end.
func Start(opts ProcessOptions) (*Process, error) {
	if opts.StopSignal == 0 {
		opts.StopSignal = syscall.SIGTERM
	}
	if opts.StopTimeout == 0 {
		opts.StopTimeout = defaultStopTimeout
	}
	p := &Process{opts: opts, done: make(chan struct{})}
	p.cmd = exec.Command(opts.Path, opts.Args...)
	p.cmd.Dir, p.cmd.Env = opts.Dir, opts.Env
	p.cmd.SysProcAttr = childAttributes(opts)
	logFile, err := openLog(opts.LogFile)
	if err != nil {
		return nil, err
	}
	defer func() { _ = logFile.Close() }()
	p.cmd.Stdout, p.cmd.Stderr = logFile, logFile
	if opts.WatchesStdin {
		if p.stdin, err = p.cmd.StdinPipe(); err != nil {
			return nil, fmt.Errorf("start %s: %w", opts.Name, err)
		}
	}
	started := make(chan error)
	go p.run(started)
	if err := <-started; err != nil {
		return nil, startError(opts, err)
	}
	return p, nil
}

// run starts the child and waits for it on one operating-system thread: on
// Linux the death signal follows the thread that created the child, and a
// thread that Go retires would take the child with it.
func (p *Process) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := p.cmd.Start(); err != nil {
		started <- err
		return
	}
	guard, err := guardChild(p)
	if err != nil {
		_ = p.cmd.Process.Kill()
	}
	started <- err
	p.err = p.cmd.Wait()
	guard.release()
	close(p.done)
}

// Pid is the child's process id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Done is closed when the child has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err tells how the child ended; it is nil before that and for exit code 0.
func (p *Process) Err() error {
	select {
	case <-p.done:
		return p.err
	default:
		return nil
	}
}

// Stop asks the child to stop, waits, and kills its group when it does not.
// It may be called more than once; a child that has ended is no error.
func (p *Process) Stop() error {
	var err error
	p.stopOnce.Do(func() { err = p.stop() })
	return err
}

func (p *Process) stop() error {
	if p.stdin != nil {
		defer func() { _ = p.stdin.Close() }()
	}
	_ = p.cmd.Process.Signal(p.opts.StopSignal) // it may have ended already
	timer := time.NewTimer(p.opts.StopTimeout)
	defer timer.Stop()
	select {
	case <-p.done:
		return nil
	case <-timer.C:
	}
	_ = syscall.Kill(-p.Pid(), syscall.SIGKILL)
	<-p.done
	return fmt.Errorf("%s did not stop within %s and was killed; its log: %s", p.opts.Name, p.opts.StopTimeout, p.opts.LogFile)
}

// Tail returns the last n lines of the child's log.
func (p *Process) Tail(n int) string { return tail(p.opts.LogFile, n) }

// failure says that the child ended too early, with the end of its log.
func (p *Process) failure() error {
	how := "ended"
	if err := p.Err(); err != nil {
		how = err.Error()
	}
	return fmt.Errorf("%s could not start (%s): %s", p.opts.Name, how, p.Tail(5))
}

// Group stops what was added to it, the latest first.
type Group struct {
	mu    sync.Mutex
	stops []func() error
}

// Add registers the stop function of something that was just started.
func (g *Group) Add(stop func() error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stops = append(g.stops, stop)
}

// Stop stops all in reverse order, whatever fails, and forgets them.
func (g *Group) Stop() error {
	g.mu.Lock()
	stops := g.stops
	g.stops = nil
	g.mu.Unlock()
	var errs []error
	for i := len(stops) - 1; i >= 0; i-- {
		errs = append(errs, stops[i]())
	}
	return errors.Join(errs...)
}

func openLog(path string) (*os.File, error) {
	if path == "" {
		return os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("create the folder of a log file: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open a log file: %w", err)
	}
	return f, nil
}

// tail reads the last n lines of a file; a file that can't be read has none.
func tail(path string, n int) string {
	const window = 64 << 10
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err == nil && info.Size() > window {
		_, _ = f.Seek(-window, io.SeekEnd)
	}
	b, _ := io.ReadAll(f)
	lines := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

func startError(opts ProcessOptions, err error) error {
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("start %s: the program %s (or its folder %q) does not exist", opts.Name, opts.Path, opts.Dir)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("start %s: %s or the folder %q may not be used by %s: %w", opts.Name, opts.Path, opts.Dir, opts.userName(), err)
	default:
		return fmt.Errorf("start %s: %w", opts.Name, err)
	}
}

func (o ProcessOptions) userName() string {
	if o.RunAs == nil {
		return "this user"
	}
	return "user " + o.RunAs.Name
}
