package webhookload

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

const floorDatabase = "liftbill_floor"

// floorScript inserts one small row in a transaction of its own: what a commit costs.
const floorScript = `\set n random(1, 1000000000)
INSERT INTO floor (number, note) VALUES (:n, 'one row of about a hundred bytes, as a queue or a log would hold it, and nothing else');
`

// Floor is what PostgreSQL alone does with the same number of connections.
type Floor struct {
	PerSecond float64 `json:"rows_per_second"`
	CPU       float64 `json:"cpu_seconds_per_1000"` // of the server
}

func (s *Stack) prepareFloor(ctx context.Context) error {
	if err := s.pg.EnsureDatabase(ctx, floorDatabase); err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, s.pg.URL(floorDatabase))
	if err != nil {
		return err
	}
	defer conn.Close(ctx) //nolint:errcheck // the statement's error is the one to tell
	_, err = conn.Exec(ctx, "CREATE TABLE floor (id bigserial PRIMARY KEY, number bigint, note text)")
	if err != nil {
		return fmt.Errorf("make the floor's table: %w", err)
	}
	return os.WriteFile(filepath.Join(s.Dir, "floor.sql"), []byte(floorScript), 0o600)
}

var pgbenchRate = regexp.MustCompile(`(?m)^tps = ([0-9.]+)`)

// measureFloor runs pgbench for the given time.
func (s *Stack) measureFloor(ctx context.Context, connections int, runFor time.Duration) (Floor, error) {
	before, err := treeCPU(s.pg.Pid())
	if err != nil {
		return Floor{}, err
	}
	seconds := max(1, int(runFor.Seconds()))
	cmd := exec.CommandContext(ctx, filepath.Join(s.pg.BinDir(), "pgbench"), //nolint:gosec // the program lies beside the server that runs
		"-n", "-M", "prepared", "-c", strconv.Itoa(connections), "-j", "2", "-T", strconv.Itoa(seconds),
		"-f", filepath.Join(s.Dir, "floor.sql"), s.pg.URL(floorDatabase))
	out, err := cmd.CombinedOutput()
	if err != nil {
		return Floor{}, fmt.Errorf("pgbench: %w: %s", err, out)
	}
	after, err := treeCPU(s.pg.Pid())
	if err != nil {
		return Floor{}, err
	}
	m := pgbenchRate.FindSubmatch(out)
	if m == nil {
		return Floor{}, fmt.Errorf("pgbench says no rate: %s", out)
	}
	rate, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		return Floor{}, fmt.Errorf("pgbench's rate: %w", err)
	}
	return Floor{PerSecond: rate, CPU: (after - before).Seconds() * 1000 / (rate * float64(seconds))}, nil
}
