package localstack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/liftbill/liftbill/internal/httpclient"
)

// SearchAttributes are the keyword attributes that liftbill's workflows set.
func SearchAttributes() []string {
	return []string{"BillingAccountID", "BillingCalendar", "BillingMode", "BillingOutcome", "BillingPeriod", "SourceConnection"}
}

// TemporalOptions says which Temporal server to use, or how to have one.
type TemporalOptions struct {
	// Address, when given, is used and nothing is started; default is
	// $TEMPORAL_ADDRESS.
	Address string
	// Binary is a prebuilt temporaldev; default is $LIFTBILL_TEMPORALDEV.
	Binary string
	// SourceDir is the folder of cmd/temporaldev in a checkout; without a
	// prebuilt binary the server is built from there.
	SourceDir string
	// CacheDir keeps the built server; default is liftbill in the user's cache.
	CacheDir string
	// DataDir keeps the histories and the log.
	DataDir string
	// Namespace to have; default "default".
	Namespace string
	// Port and UIPort are the ports of the server and its console; 0 takes free ones.
	Port, UIPort int
	// Log receives one line of progress at a time; nil discards them.
	Log func(string)
}

// Temporal is a server that answers.
type Temporal struct {
	// Address is host:port of the gRPC service.
	Address string
	// UIURL is the web console, "" when the server was given.
	UIURL string
	// Namespace exists and has the search attributes, unless the server was given.
	Namespace string

	proc  *Process
	group Group
}

// EnsureTemporal returns a Temporal server that answers: the given one, or one
// that is built (once, cached) and started with its web console. Histories
// survive a restart.
func EnsureTemporal(ctx context.Context, opts TemporalOptions) (*Temporal, error) {
	opts = opts.withDefaults()
	if opts.Address != "" {
		return givenTemporal(ctx, opts)
	}
	if opts.DataDir == "" {
		return nil, errors.New("start Temporal: no data folder is given")
	}
	dir, err := filepath.Abs(opts.DataDir)
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	opts.DataDir = dir
	if err := makeDir(dir); err != nil {
		return nil, err
	}
	binary, err := temporalBinary(ctx, opts)
	if err != nil {
		return nil, err
	}
	return startTemporal(ctx, opts, binary)
}

func (o TemporalOptions) withDefaults() TemporalOptions {
	if o.Log == nil {
		o.Log = func(string) {}
	}
	if o.Address == "" {
		o.Address = os.Getenv("TEMPORAL_ADDRESS")
	}
	if o.Binary == "" {
		o.Binary = os.Getenv("LIFTBILL_TEMPORALDEV")
	}
	if o.Namespace == "" {
		o.Namespace = "default"
	}
	return o
}

// Done is closed when a server that was started here ends; for a given server
// it never is.
func (t *Temporal) Done() <-chan struct{} {
	if t.proc == nil {
		return nil
	}
	return t.proc.Done()
}

// Stop stops what was started here. The histories stay.
func (t *Temporal) Stop() error { return t.group.Stop() }

// givenTemporal checks that somebody listens at the given address.
func givenTemporal(ctx context.Context, opts TemporalOptions) (*Temporal, error) {
	dialer := net.Dialer{Timeout: 5 * time.Second}
	conn, err := dialer.DialContext(ctx, "tcp", opts.Address)
	if err != nil {
		return nil, fmt.Errorf("TEMPORAL_ADDRESS=%s does not answer: %w (start that server, correct the address, or unset it to have a private server)", opts.Address, err)
	}
	_ = conn.Close()
	opts.Log("Temporal: using the given server at " + opts.Address)
	return &Temporal{Address: opts.Address, Namespace: opts.Namespace}, nil
}

// startTemporal starts the server, again when a free port was lost to somebody
// else in the meantime.
func startTemporal(ctx context.Context, opts TemporalOptions, binary string) (_ *Temporal, err error) {
	held, err := lockDir(ctx, filepath.Join(opts.DataDir, "temporal.lock"), opts.DataDir)
	if err != nil {
		return nil, err
	}
	t := &Temporal{Namespace: opts.Namespace}
	t.group.Add(func() error { held.Release(); return nil })
	defer func() {
		if err != nil {
			err = errors.Join(err, t.Stop())
		}
	}()
	version, err := temporalVersion(ctx, binary)
	if err != nil {
		return nil, err
	}
	// There is no migration between server versions: each has its own file.
	db := filepath.Join(opts.DataDir, "temporal-"+version+".db")
	const attempts = 3
	for attempt := 1; ; attempt++ {
		err := t.start(ctx, opts, binary, db)
		if err == nil {
			opts.Log(fmt.Sprintf("Temporal %s: ready on %s, web console %s", version, t.Address, t.UIURL))
			t.group.Add(t.proc.Stop)
			return t, nil
		}
		// Somebody may take the port after it was picked, before the server or while it starts.
		lost := strings.Contains(err.Error(), "is taken") || strings.Contains(err.Error(), "address already in use")
		if attempt == attempts || !lost {
			return nil, err
		}
	}
}

// start makes one attempt.
func (t *Temporal) start(ctx context.Context, opts TemporalOptions, binary, db string) error {
	port, err := pickPort(opts.Port)
	if err != nil {
		return fmt.Errorf("Temporal: %w", err)
	}
	uiPort, err := pickPort(opts.UIPort)
	if err != nil {
		return fmt.Errorf("Temporal's web console: %w", err)
	}
	args := []string{
		"--ip", loopback, "--port", strconv.Itoa(port), "--ui-port", strconv.Itoa(uiPort),
		"--db-filename", db, "--namespace", opts.Namespace, "--watch-stdin",
	}
	for _, name := range SearchAttributes() {
		args = append(args, "--search-attribute", name+"=Keyword")
	}
	t.proc, err = Start(ProcessOptions{
		Name: "the Temporal server", Path: binary, Args: args, Dir: opts.DataDir,
		LogFile: filepath.Join(opts.DataDir, "temporal.log"), WatchesStdin: true,
	})
	if err != nil {
		return err
	}
	t.Address = net.JoinHostPort(loopback, strconv.Itoa(port))
	t.UIURL = "http://" + net.JoinHostPort(loopback, strconv.Itoa(uiPort))
	if err := t.awaitReady(ctx); err != nil {
		return errors.Join(err, t.proc.Stop())
	}
	return nil
}

// awaitReady asks the console for the namespace. The console answers from the
// gRPC service, and starts only when the search attributes are usable, so one
// answer proves the whole.
func (t *Temporal) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	client := httpclient.New(0)
	defer client.CloseIdleConnections()
	for {
		err := get(ctx, client, t.UIURL+"/api/v1/namespaces/"+t.Namespace)
		if err == nil {
			return nil
		}
		select {
		case <-t.proc.Done():
			return t.proc.failure()
		default:
		}
		if pause(ctx, 25*time.Millisecond) != nil {
			return fmt.Errorf("the Temporal server did not answer in time: %w; the end of its log: %s", err, t.proc.Tail(5))
		}
	}
}

func get(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, resp.Body)
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", url, resp.Status)
	}
	return nil
}

var serverVersionPattern = regexp.MustCompile(`server=([0-9A-Za-z.+-]+)`)

// temporalVersion asks a binary for the server version inside.
func temporalVersion(ctx context.Context, binary string) (string, error) {
	out, err := exec.CommandContext(ctx, binary, "--version").CombinedOutput()
	match := serverVersionPattern.FindSubmatch(out)
	if err == nil && match == nil {
		err = errors.New("it names no server version")
	}
	if err != nil {
		return "", fmt.Errorf("%s is no usable temporaldev binary: %w %s", binary, err, strings.TrimSpace(string(out)))
	}
	return string(match[1]), nil
}
