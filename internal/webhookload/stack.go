package webhookload

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/liftbill/liftbill/adapters/localstack"
	"github.com/liftbill/liftbill/adapters/postgres"
	"github.com/liftbill/liftbill/adapters/system"
	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/internal/httpclient"
)

// The one connection of the deployment, with its endpoint.
const (
	connectionID  = "load"
	endpointID    = "we-load"
	signingSecret = "whsec_webhookload_0123456789abcdef" //nolint:gosec // of a deployment that lives for a minute
	databaseName  = "liftbill_load"
)

// Stack is a deployment on this machine: a private PostgreSQL with its own, durable
// settings, the API and a worker that classifies.
type Stack struct {
	Dir    string
	Binary string
	Log    func(string)

	pgPort  int
	apiPort int
	env     []string
	pg      *localstack.Postgres
	serve   *localstack.Process
	worker  *localstack.Process
	box     *system.SecretBox
	stripe  *http.Server
}

// dirMark tells a folder of ours from one that holds something else.
const dirMark = ".liftbill-load"

// emptyDir makes a folder anew. One that is there must be empty or ours.
func emptyDir(dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if held, err := os.ReadDir(dir); err == nil && len(held) > 0 {
		if _, err := os.Stat(filepath.Join(dir, dirMark)); err != nil {
			return fault.InvalidField("--data", "data_folder_taken", "%s holds something else", dir).Fix("Choose an empty folder; it is emptied at every run")
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // the database server runs as another user
		return err
	}
	return os.WriteFile(filepath.Join(dir, dirMark), nil, 0o600)
}

// Start brings the deployment up on an empty database.
func Start(ctx context.Context, dir, binary string, log func(string)) (*Stack, error) {
	s := &Stack{Dir: dir, Binary: binary, Log: log}
	key := make([]byte, system.KeyBytes)
	if _, err := rand.Read(key); err != nil {
		return s, err
	}
	var err error
	if s.box, err = system.NewSecretBox(key); err != nil {
		return s, err
	}
	if s.pgPort, err = localstack.FreePort(); err != nil {
		return s, err
	}
	if s.apiPort, err = localstack.FreePort(); err != nil {
		return s, err
	}
	base, err := s.startStripe(ctx)
	if err != nil {
		return s, err
	}
	if err := s.StartPostgres(ctx); err != nil {
		return s, err
	}
	url := s.pg.URL(databaseName)
	s.env = append(os.Environ(),
		"DATABASE_URL="+url, "LIFTBILL_ENCRYPTION_KEY="+base64.StdEncoding.EncodeToString(key), fmt.Sprintf("LIFTBILL_LISTEN=127.0.0.1:%d", s.apiPort),
		"LIFTBILL_STRIPE_API_BASE="+base, "LIFTBILL_LOG_LEVEL=warn")
	if err := s.prepare(ctx, url); err != nil {
		return s, err
	}
	if err := s.StartServe(ctx); err != nil {
		return s, err
	}
	return s, s.StartWorker()
}

// startStripe answers what the worker wants to read: no charge of the script exists.
func (s *Stack) startStripe(ctx context.Context) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	s.stripe = &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, `{"error":{"type":"invalid_request_error","code":"resource_missing","message":"No such object"}}`) //nolint:errcheck,gosec // the reader has gone
	})}
	go s.stripe.Serve(listener) //nolint:errcheck // it ends when the stack stops
	return "http://" + listener.Addr().String(), nil
}

// StartPostgres starts the server, which keeps its port and its data over a crash.
func (s *Stack) StartPostgres(ctx context.Context) error {
	pg, err := localstack.EnsurePostgres(ctx, localstack.PostgresOptions{
		DataDir: filepath.Join(s.Dir, "postgres"), Port: s.pgPort, Durable: true, Log: s.Log,
	})
	if err != nil {
		return err
	}
	s.pg = pg
	if pg.Pid() == 0 {
		return errors.New("the load needs a PostgreSQL of its own: install its server programs, or name their folder in PG_BIN")
	}
	return pg.EnsureDatabase(ctx, databaseName)
}

// prepare migrates the database and makes the connection with its endpoint.
func (s *Stack) prepare(ctx context.Context, url string) error {
	db, err := postgres.Open(ctx, url, postgres.Options{MaxConns: 2})
	if err != nil {
		return err
	}
	_, err = db.Migrate(ctx)
	if err == nil {
		err = s.onboard(ctx, db)
	}
	return errors.Join(err, db.Close())
}

func (s *Stack) onboard(ctx context.Context, db *postgres.DB) error {
	now := time.Now().UTC()
	key, err := s.box.Seal(onboard.KeyContext(connectionID), []byte("rk_live_4f8d2c1b9a7e6053load"))
	if err != nil {
		return err
	}
	secret, err := s.box.Seal(onboard.SecretContext(endpointID), []byte(signingSecret))
	if err != nil {
		return err
	}
	return db.Onboarding().Do(ctx, func(ctx context.Context, st onboard.Stores) error {
		err := st.Connections.InsertConnection(ctx, onboard.SealedConnection{Connection: account.Connection{
			ID: connectionID, Environment: account.Live, Roles: account.Roles{Source: true}, StripeAccountID: Account,
			UserIDKey: "user_id", KeyMask: "rk_live_…load",
		}, SealedKey: key, CreatedAt: now})
		if err != nil {
			return err
		}
		return st.Connections.UpsertEndpoint(ctx, onboard.Endpoint{
			ID: endpointID, ConnectionID: connectionID, Environment: account.Live, URL: "http://" + s.Address() + "/", StripeID: "we_load",
			SealedSecret: secret, CreatedAt: now,
		})
	})
}

// Address is where the API listens.
func (s *Stack) Address() string { return fmt.Sprintf("127.0.0.1:%d", s.apiPort) }

// Target is the webhook endpoint.
func (s *Stack) Target() Target {
	return Target{Address: s.Address(), Path: "/v1/stripe/webhooks/" + endpointID, Secret: signingSecret}
}

// StartServe starts the API and waits until it answers.
func (s *Stack) StartServe(ctx context.Context) error {
	var err error
	if s.serve, err = s.child("serve"); err != nil {
		return err
	}
	return awaitAnswer(ctx, s.serve, s.Address())
}

// awaitAnswer waits until a process answers HTTP, whatever it answers.
func awaitAnswer(ctx context.Context, p *localstack.Process, address string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	client := httpclient.New(time.Second)
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/healthz", http.NoBody)
		if err != nil {
			return err
		}
		res, err := client.Do(req)
		if err == nil {
			return res.Body.Close()
		}
		select {
		case <-p.Done():
			return fmt.Errorf("what should answer at %s ended: %s", address, p.Tail(5))
		case <-ctx.Done():
			return fmt.Errorf("nothing answers at %s: %s", address, p.Tail(5))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// StartWorker starts the classifier.
func (s *Stack) StartWorker() error {
	var err error
	s.worker, err = s.child("worker", "--classify-only")
	return err
}

func (s *Stack) child(command string, flags ...string) (*localstack.Process, error) {
	return localstack.Start(localstack.ProcessOptions{
		Name: "liftbill " + command, Path: s.Binary, Args: append([]string{command}, flags...), Env: s.env,
		LogFile: filepath.Join(s.Dir, command+".log"), StopTimeout: 15 * time.Second,
	})
}

// DatabaseURL is the address of the deployment's database.
func (s *Stack) DatabaseURL() string { return s.pg.URL(databaseName) }

// Stop stops everything; the data stays.
func (s *Stack) Stop() error {
	var errs []error
	for _, p := range []*localstack.Process{s.worker, s.serve} {
		if p != nil {
			errs = append(errs, p.Stop())
		}
	}
	if s.pg != nil {
		errs = append(errs, s.pg.Stop())
	}
	if s.stripe != nil {
		errs = append(errs, s.stripe.Close())
	}
	return errors.Join(errs...)
}

// Sigkill ends a process as the system does when memory runs out.
func Sigkill(p *localstack.Process) {
	_ = syscall.Kill(p.Pid(), syscall.SIGKILL) // it may have ended already
	<-p.Done()
}
