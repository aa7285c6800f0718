package webhookload

import (
	"context"
	_ "embed" // the driver
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/liftbill/liftbill/adapters/localstack"
)

//go:embed peers/driver.mjs
var peerDriver []byte

// peerPackages are the programs that do the nearest thing, pinned: they keep Stripe's
// objects in PostgreSQL from the webhooks.
var peerPackages = []string{"@stripe/sync-engine@1.0.32", "@supabase/stripe-sync-engine@0.48.5"}

// peer is one of them, serving webhooks in a Node.js process.
type peer struct {
	name   string
	proc   *localstack.Process
	target Target
}

// installPeers lets npm install the packages into a folder, which it also finds again.
func installPeers(ctx context.Context, dir string, log func(string)) error {
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("the peers need Node.js 20 or newer: there is no %s", program)
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // programs that anybody may read
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "driver.mjs"), peerDriver, 0o600); err != nil {
		return err
	}
	log("installing " + strings.Join(peerPackages, " and ") + " with npm in " + dir)
	cmd := exec.CommandContext(ctx, "npm", append([]string{"install", "--no-audit", "--no-fund", "--prefix", dir}, peerPackages...)...) //nolint:gosec // constants
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("npm install: %w: %s", err, out)
	}
	return nil
}

// stripeSpec finds the description of Stripe's API that this module's tests use, when the
// working folder is a checkout of it.
func stripeSpec(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/stripe/stripe-mock").Output()
	if err != nil {
		return ""
	}
	path := filepath.Join(strings.TrimSpace(string(out)), "embedded", "openapi", "spec3.json")
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}

// startPeer starts one on a database of its own and waits until it listens.
func (s *Stack) startPeer(ctx context.Context, dir, pkg, spec string, connections int) (*peer, error) {
	name := pkg[:strings.LastIndex(pkg, "@")]
	database := "peer_" + strings.NewReplacer("@", "", "/", "_", "-", "_").Replace(name)
	if err := s.peerDatabase(ctx, database); err != nil {
		return nil, err
	}
	node, err := exec.LookPath("node")
	if err != nil {
		return nil, err
	}
	port, err := localstack.FreePort()
	if err != nil {
		return nil, err
	}
	p := &peer{name: name, target: Target{Address: fmt.Sprintf("127.0.0.1:%d", port), Path: "/webhooks", Secret: signingSecret}}
	p.proc, err = localstack.Start(localstack.ProcessOptions{
		Name: name, Path: node, Args: []string{"driver.mjs"}, Dir: dir, LogFile: filepath.Join(s.Dir, database+".log"),
		Env: append(os.Environ(), "PEER="+name, "PEER_PORT="+strconv.Itoa(port), "PEER_DATABASE_URL="+s.pg.URL(database), "PEER_SECRET="+signingSecret,
			"PEER_ACCOUNT="+Account, "PEER_CONNECTIONS="+strconv.Itoa(connections), "PEER_SPEC="+spec),
	})
	if err != nil {
		return nil, err
	}
	if err := awaitAnswer(ctx, p.proc, p.target.Address); err != nil {
		return nil, errors.Join(err, p.proc.Stop())
	}
	return p, nil
}

// peerDatabase makes a database, and the role that one of them expects to exist.
func (s *Stack) peerDatabase(ctx context.Context, database string) error {
	if err := s.pg.EnsureDatabase(ctx, database); err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, s.pg.URL(database))
	if err != nil {
		return err
	}
	defer conn.Close(ctx) //nolint:errcheck // the statement's error is the one to tell
	_, err = conn.Exec(ctx, `DO $$ BEGIN IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'postgres') THEN CREATE ROLE postgres; END IF; END $$`)
	return err
}

// measurePeer sends a load to a peer. Its answer comes when the event is stored.
func (s *Stack) measurePeer(ctx context.Context, p *peer, l Load) (Run, error) {
	l.Target = p.target
	node, err := cpuOf(p.proc.Pid())
	if err != nil {
		return Run{}, err
	}
	database, err := treeCPU(s.pg.Pid())
	if err != nil {
		return Run{}, err
	}
	out := Run{Answers: l.Run(ctx)}
	out.Elapsed = out.Answers.Elapsed
	nodeEnd, err := cpuOf(p.proc.Pid())
	if err != nil {
		return out, err
	}
	databaseEnd, err := treeCPU(s.pg.Pid())
	if err != nil {
		return out, err
	}
	if out.Answers.OK != out.Answers.Sent {
		return out, fmt.Errorf("%s took %d of %d deliveries; its log is in %s", p.name, out.Answers.OK, out.Answers.Sent, s.Dir)
	}
	out.Events, out.CPU = l.Events, CPU{Server: nodeEnd - node, Database: databaseEnd - database}
	return out, nil
}
