package localstack

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// startPatience covers crash recovery on a slow, busy machine.
const startPatience = 60 * time.Second

// cluster is a private cluster in one folder:
//
//	postgres.lock      held while a process uses the folder
//	postgres.password  of the superuser, readable by us only
//	pgdata-16          the data, named by the major version
//	postgres.log       of the latest start
type cluster struct {
	dir  string
	data string
	bin  pgBinaries
	user *User
	log  func(string)
	// durable leaves PostgreSQL's settings as they are.
	durable bool
}

// startCluster creates the cluster on first use and starts it.
func startCluster(ctx context.Context, opts PostgresOptions, bin pgBinaries) (_ *Postgres, err error) {
	user, err := serverUser()
	if err != nil {
		return nil, err
	}
	dir, err := prepareDir(opts, user)
	if err != nil {
		return nil, err
	}
	held, err := lockDir(ctx, filepath.Join(dir, "postgres.lock"), dir)
	if err != nil {
		return nil, err
	}
	c := &cluster{dir: dir, bin: bin, user: user, log: opts.Log, durable: opts.Durable, data: filepath.Join(dir, "pgdata-"+strconv.Itoa(bin.major))}
	p := &Postgres{dir: dir, bin: bin.dir, source: "a private cluster in " + dir}
	p.group.Add(func() error { held.Release(); return nil })
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Stop())
		}
	}()
	password, err := c.password()
	if err != nil {
		return nil, err
	}
	if err := c.create(ctx, password); err != nil {
		return nil, err
	}
	if err := c.clearLeftovers(ctx); err != nil {
		return nil, err
	}
	if err := c.start(ctx, p, opts.Port, password); err != nil {
		return nil, err
	}
	if err := p.EnsureDatabase(ctx, defaultDatabase); err != nil {
		return nil, err
	}
	return p, p.setURL(int(p.config.Port), password, defaultDatabase)
}

// password returns the superuser's password, made once per folder. Other
// users of the machine reach the loopback port too.
func (c *cluster) password() (string, error) {
	path := filepath.Join(c.dir, "postgres.password")
	b, err := os.ReadFile(path)
	if err == nil && len(b) > 0 {
		return string(b), nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read the password of the private cluster: %w", err)
	}
	if _, err := os.Stat(c.data); err == nil {
		return "", fmt.Errorf("the cluster %s exists but its password file %s is missing: delete the folder to begin anew", c.data, path)
	}
	password := rand.Text()
	return password, os.WriteFile(path, []byte(password), 0o600)
}

// create runs initdb under another name and moves the result into place, so
// that an interrupted first start leaves nothing that looks like a cluster.
func (c *cluster) create(ctx context.Context, password string) error {
	if info, err := os.Stat(c.data); err == nil {
		c.runAsOwner(info)
		return nil
	}
	c.log(fmt.Sprintf("PostgreSQL %d: creating a private cluster in %s", c.bin.major, c.dir))
	unfinished := c.data + ".new"
	if err := os.RemoveAll(unfinished); err != nil {
		return fmt.Errorf("remove an unfinished cluster: %w", err)
	}
	if err := os.Mkdir(unfinished, 0o700); err != nil {
		return fmt.Errorf("create the cluster: %w", err)
	}
	secret, err := os.CreateTemp(c.dir, "initdb-*.secret")
	if err != nil {
		return fmt.Errorf("create the cluster: %w", err)
	}
	defer func() { _ = os.Remove(secret.Name()) }()
	_, err = secret.WriteString(password + "\n")
	if err = errors.Join(err, secret.Close()); err != nil {
		return fmt.Errorf("create the cluster: %w", err)
	}
	if c.user != nil {
		for _, path := range []string{unfinished, secret.Name()} {
			if err := os.Chown(path, int(c.user.UID), int(c.user.GID)); err != nil {
				return fmt.Errorf("hand the cluster to user %s: %w", c.user.Name, err)
			}
		}
	}
	proc, err := Start(c.process("initdb", filepath.Join(c.dir, "initdb.log"),
		"-D", unfinished, "-U", superuser, "--auth=scram-sha-256", "--pwfile="+secret.Name(),
		"--encoding=UTF8", "--locale="+locale(), "--no-sync"))
	if err != nil {
		return err
	}
	select {
	case <-proc.Done():
	case <-ctx.Done():
		return errors.Join(ctx.Err(), proc.Stop())
	}
	if proc.Err() != nil {
		return proc.failure()
	}
	if err := os.Rename(unfinished, c.data); err != nil {
		return fmt.Errorf("create the cluster: %w", err)
	}
	return nil
}

// runAsOwner keeps to the user that made an existing cluster: the server
// refuses data that belongs to another.
func (c *cluster) runAsOwner(info os.FileInfo) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if c.user != nil && ok && st.Uid != 0 && st.Uid != c.user.UID {
		c.user = &User{Name: strconv.Itoa(int(st.Uid)), UID: st.Uid, GID: st.Gid}
	}
}

// clearLeftovers deals with what a crashed predecessor left. We hold the
// folder's lock, so a server that still runs on it is an orphan: it may be
// stopping already, and is asked to if not. A postmaster.pid whose number now
// belongs to somebody else would make the server refuse to start.
func (c *cluster) clearLeftovers(ctx context.Context) error {
	pidFile := filepath.Join(c.data, "postmaster.pid")
	b, err := os.ReadFile(pidFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read what an earlier server left: %w", err)
	}
	first, _, _ := strings.Cut(string(b), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil || pid <= 1 || !alive(pid) || !strings.Contains(commandLine(ctx, pid), c.data) {
		if err := os.Remove(pidFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove a stale postmaster.pid: %w", err)
		}
		return nil
	}
	c.log(fmt.Sprintf("PostgreSQL: waiting for an earlier server (process %d) to stop", pid))
	if awaitEnd(ctx, pid, 3*time.Second) {
		return nil
	}
	_ = syscall.Kill(pid, syscall.SIGINT) // fast shutdown
	if awaitEnd(ctx, pid, defaultStopTimeout) {
		return nil
	}
	return fmt.Errorf("an earlier server (process %d) still owns %s: stop it with `kill -INT %d`, or choose another data folder", pid, c.data, pid)
}

// start starts the server, again when a port was lost to somebody else in the
// meantime or when the last processes of a killed server are still going.
func (c *cluster) start(ctx context.Context, p *Postgres, wantedPort int, password string) error {
	const attempts = 10
	for attempt := 1; ; attempt++ {
		port, err := pickPort(wantedPort)
		if err != nil {
			return fmt.Errorf("PostgreSQL: %w", err)
		}
		if err := p.setURL(port, password, "postgres"); err != nil { // the main database may not exist yet
			return err
		}
		opts := c.process("postgres", filepath.Join(c.dir, "postgres.log"), append([]string{"-D", c.data}, serverSettings(port, c.durable)...)...)
		opts.StopSignal = syscall.SIGINT // fast shutdown: does not wait for clients
		if p.proc, err = Start(opts); err != nil {
			return err
		}
		err = p.awaitReady(ctx, startPatience)
		if err == nil {
			p.group.Add(p.proc.Stop)
			c.log(fmt.Sprintf("PostgreSQL %d: ready on port %d, data in %s", c.bin.major, port, c.dir))
			return nil
		}
		transient := strings.Contains(err.Error(), "Address already in use") || strings.Contains(err.Error(), "shared memory block")
		if err = errors.Join(err, p.proc.Stop()); !transient || attempt == attempts {
			return err
		}
		if err := pause(ctx, 300*time.Millisecond); err != nil {
			return err
		}
	}
}

// process describes a program of the cluster. Its environment is bare: the
// caller's may hold PG… variables, and its folder may be closed to the user.
func (c *cluster) process(program, logFile string, args ...string) ProcessOptions {
	return ProcessOptions{
		Name: program, Path: filepath.Join(c.bin.dir, program), Args: args, LogFile: logFile, RunAs: c.user, Dir: "/",
		Env: []string{"PATH=" + c.bin.dir + ":/usr/bin:/bin", "LC_ALL=" + locale(), "HOME=" + c.dir, "TZ=UTC"},
	}
}

// serverSettings trade the safety of data in a power failure for speed, which is right
// for demonstrations and tests only; a durable server keeps PostgreSQL's own.
func serverSettings(port int, durable bool) []string {
	settings := []string{
		"listen_addresses=" + loopback, "unix_socket_directories=", "max_connections=1000", "timezone=UTC", "log_timezone=UTC",
	}
	if !durable {
		settings = append(settings, "fsync=off", "synchronous_commit=off", "full_page_writes=off")
	}
	args := []string{"-p", strconv.Itoa(port)}
	for _, s := range settings {
		args = append(args, "-c", s)
	}
	return args
}

// locale compares by code point, as every machine does alike.
func locale() string {
	if runtime.GOOS == "linux" {
		return "C.UTF-8"
	}
	return "C"
}

func awaitEnd(ctx context.Context, pid int, within time.Duration) bool {
	for deadline := time.Now().Add(within); alive(pid); {
		if time.Now().After(deadline) || pause(ctx, 20*time.Millisecond) != nil {
			return false
		}
	}
	return true
}
