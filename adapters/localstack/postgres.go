package localstack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// oldestPostgres is the first major version whose SQL the product may use.
	oldestPostgres = 15
	// superuser owns a private cluster and its databases.
	superuser = "liftbill"
	// defaultDatabase is the database that a private cluster is made with.
	defaultDatabase = "liftbill"
)

// PostgresOptions says which PostgreSQL to use, or where to keep a private one.
type PostgresOptions struct {
	// DatabaseURL, when given, is used as it is and nothing is started.
	DatabaseURL string
	// DataDir keeps the private cluster, its log and its password.
	DataDir string
	// FallbackDir is used below instead when this process is root and the
	// unprivileged user can't reach DataDir; default /var/lib/liftbill.
	FallbackDir string
	// BinDir holds initdb and postgres; default is $PG_BIN, then a search.
	BinDir string
	// Port of a private server; 0 takes a free one.
	Port int
	// AllowInstall lets root install PostgreSQL with apt-get when nothing else is there.
	AllowInstall bool
	// Durable keeps PostgreSQL's own settings, so that a commit is on the disk before it
	// is answered, as in production. The default trades that for speed.
	Durable bool
	// Log receives one line of progress at a time; nil discards them.
	Log func(string)

	host host // what the machine offers; tests hide parts of it
}

// Postgres is a server that answers.
type Postgres struct {
	config *pgx.ConnConfig
	url    string
	dir    string
	bin    string
	source string
	proc   *Process
	group  Group
}

// EnsurePostgres returns a PostgreSQL server that answers: the one of
// DatabaseURL; otherwise a private cluster of installed binaries; otherwise
// Docker; otherwise, as root and when allowed, binaries that apt-get installs.
func EnsurePostgres(ctx context.Context, opts PostgresOptions) (*Postgres, error) {
	opts = opts.withDefaults()
	if opts.DatabaseURL != "" {
		return givenPostgres(ctx, opts)
	}
	if opts.DataDir == "" {
		return nil, errors.New("start PostgreSQL: no data folder is given")
	}
	bin, err := opts.host.findPostgres(ctx, opts.BinDir)
	switch {
	case err == nil:
		return startCluster(ctx, opts, bin)
	case opts.BinDir != "":
		return nil, err
	case opts.host.dockerAnswers(ctx):
		return startDocker(ctx, opts)
	case opts.AllowInstall && opts.host.canInstall():
		if err := opts.host.installPostgres(ctx, opts); err != nil {
			return nil, err
		}
		if bin, err = opts.host.findPostgres(ctx, ""); err != nil {
			return nil, fmt.Errorf("apt-get installed PostgreSQL, and yet: %w", err)
		}
		return startCluster(ctx, opts, bin)
	default:
		return nil, fmt.Errorf("%w. %s", err, opts.host.remedy())
	}
}

func (o PostgresOptions) withDefaults() PostgresOptions {
	if o.Log == nil {
		o.Log = func(string) {}
	}
	if o.BinDir == "" {
		o.BinDir = os.Getenv("PG_BIN")
	}
	if o.FallbackDir == "" {
		o.FallbackDir = "/var/lib/liftbill"
	}
	if o.host.lookPath == nil {
		o.host = thisHost()
	}
	return o
}

// URL returns the connection string of a database; "" means the main one,
// that is the one DatabaseURL names, or "liftbill".
func (p *Postgres) URL(dbname string) string {
	if dbname == "" {
		return p.url
	}
	u, err := url.Parse(p.url)
	if err != nil || u.Scheme == "" { // keyword=value form: the last one wins
		return p.url + " dbname=" + dbname
	}
	u.Path = "/" + dbname
	return u.String()
}

// Dir is the folder of the private cluster, "" when the server was given.
func (p *Postgres) Dir() string { return p.dir }

// Source says in words where the server comes from.
func (p *Postgres) Source() string { return p.source }

// Done is closed when a server that was started here ends; for a given server
// it never is.
func (p *Postgres) Done() <-chan struct{} {
	if p.proc == nil {
		return nil
	}
	return p.proc.Done()
}

// Pid is the process of a private cluster's server, 0 when something else runs it.
func (p *Postgres) Pid() int {
	if p.bin == "" {
		return 0
	}
	return p.proc.Pid()
}

// BinDir is the folder of a private cluster's programs, "" when something else runs it.
func (p *Postgres) BinDir() string { return p.bin }

// Crash ends the server of a private cluster at once (an immediate shutdown: nothing is
// written any more) and releases its folder. The next start recovers from the log.
func (p *Postgres) Crash() error {
	if p.bin == "" {
		return errors.New("crash PostgreSQL: this server is not ours")
	}
	_ = syscall.Kill(p.proc.Pid(), syscall.SIGQUIT) // it may have ended already
	<-p.proc.Done()
	return p.Stop()
}

// OnStop registers something to undo when Stop is called, before the server
// itself is stopped.
func (p *Postgres) OnStop(undo func() error) { p.group.Add(undo) }

// Stop stops what was started here. The data stays.
func (p *Postgres) Stop() error { return p.group.Stop() }

// EnsureDatabase creates a database unless it exists.
func (p *Postgres) EnsureDatabase(ctx context.Context, name string) error {
	conn, err := pgx.Connect(ctx, p.url)
	if err != nil {
		return fmt.Errorf("create database %s: %w", name, err)
	}
	defer func() { _ = conn.Close(ctx) }()
	_, err = conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize())
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && (pgErr.Code == "42P04" || pgErr.Code == "23505") { // it exists, or another made it just now
		return nil
	}
	if err != nil {
		return fmt.Errorf("create database %s: %w", name, err)
	}
	return nil
}

// givenPostgres checks that a server somebody else runs answers and is new enough.
func givenPostgres(ctx context.Context, opts PostgresOptions) (*Postgres, error) {
	config, err := pgx.ParseConfig(opts.DatabaseURL)
	if err != nil {
		return nil, fmt.Errorf("the given database URL can't be read (want postgres://user:password@host:5432/name): %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	p := &Postgres{config: config, url: opts.DatabaseURL, source: "the given database URL"}
	where := net.JoinHostPort(config.Host, strconv.Itoa(int(config.Port)))
	if err := p.answers(ctx); err != nil {
		return nil, fmt.Errorf("the given database at %s can't be used: %s (start or correct it, or unset the URL to have a private server)", where, innermost(err))
	}
	opts.Log("PostgreSQL: using the given server at " + where)
	return p, nil
}

// innermost is the last cause of a failed connection, on one line.
func innermost(err error) string {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		return pgErr.Message
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err.Error()
	}
	first, _, _ := strings.Cut(err.Error(), "\n")
	return first
}

// answers connects once and checks the version.
func (p *Postgres) answers(ctx context.Context) error {
	conn, err := pgx.ConnectConfig(ctx, p.config)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	var version int
	if err := conn.QueryRow(ctx, "SELECT current_setting('server_version_num')::int").Scan(&version); err != nil {
		return err
	}
	if version/10000 < oldestPostgres {
		return fmt.Errorf("it is PostgreSQL %d, but %d or newer is needed", version/10000, oldestPostgres)
	}
	return nil
}

// awaitReady polls until the server answers, its process ends, or time is up.
func (p *Postgres) awaitReady(ctx context.Context, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for {
		err := p.answers(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.proc.Done():
			return p.proc.failure()
		default:
		}
		if pause(ctx, 20*time.Millisecond) != nil {
			return fmt.Errorf("PostgreSQL did not answer in time: %w; the end of its log: %s", err, p.proc.Tail(5))
		}
	}
}

// setURL fixes the address of a server that runs on a loopback port.
func (p *Postgres) setURL(port int, password, dbname string) error {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(superuser, password),
		Host:     net.JoinHostPort(loopback, strconv.Itoa(port)),
		Path:     "/" + dbname,
		RawQuery: "sslmode=disable",
	}
	p.url = u.String()
	config, err := pgx.ParseConfig(p.url)
	p.config = config
	return err
}

// host is what this machine offers.
type host struct {
	binGlobs []string // folders with PostgreSQL binaries, patterns
	lookPath func(string) (string, error)
	root     bool
	aptConf  string // what keeps Debian's package from starting a server
}

func thisHost() host {
	return host{
		binGlobs: []string{
			"/usr/lib/postgresql/*/bin",          // Debian, Ubuntu
			"/usr/pgsql-*/bin",                   // Red Hat, from postgresql.org
			"/opt/homebrew/opt/postgresql@*/bin", // Homebrew on Apple silicon
			"/usr/local/opt/postgresql@*/bin",    // Homebrew on Intel
			"/Applications/Postgres.app/Contents/Versions/*/bin",
		},
		lookPath: exec.LookPath,
		root:     os.Geteuid() == 0,
		aptConf:  createClusterConf,
	}
}

// remedy is the instruction for a machine that has no PostgreSQL.
func (h host) remedy() string {
	const rest = " Or set DATABASE_URL to a server that runs, PG_BIN to a folder with initdb and postgres, or start Docker."
	_, aptErr := h.lookPath("apt-get")
	_, brewErr := h.lookPath("brew")
	switch {
	case aptErr == nil && h.root:
		return "Install it: apt-get update && apt-get install -y --no-install-recommends postgresql." + rest
	case aptErr == nil:
		return "Install it: sudo apt-get update && sudo apt-get install -y --no-install-recommends postgresql." + rest
	case brewErr == nil:
		return "Install it: brew install postgresql@17." + rest
	default:
		return "Install PostgreSQL with the system's package manager." + rest
	}
}
