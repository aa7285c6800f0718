package webhookload

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// CPU is processor time by what used it.
type CPU struct {
	Server   time.Duration `json:"server"`
	Worker   time.Duration `json:"worker"`
	Database time.Duration `json:"database"`
}

// Total is the time of all of them.
func (c CPU) Total() time.Duration { return c.Server + c.Worker + c.Database }

func (c CPU) minus(o CPU) CPU {
	return CPU{c.Server - o.Server, c.Worker - o.Worker, c.Database - o.Database}
}

func (s *Stack) cpu() (CPU, error) {
	server, err := cpuOf(s.serve.Pid())
	if err != nil {
		return CPU{}, err
	}
	worker, err := cpuOf(s.worker.Pid())
	if err != nil {
		return CPU{}, err
	}
	database, err := treeCPU(s.pg.Pid())
	return CPU{server, worker, database}, err
}

// Run is one measured load, from the first delivery until every event is classified.
type Run struct {
	Answers *Answers
	Events  int           // distinct events that were answered 200
	Elapsed time.Duration // until the last one was classified
	CPU     CPU
}

// PerSecond is the rate at which events were taken in and classified.
func (r Run) PerSecond() float64 { return float64(r.Events) / r.Elapsed.Seconds() }

// Measure sends a load of new events and waits until they are classified.
func (s *Stack) Measure(ctx context.Context, l Load) (Run, error) {
	conn, err := pgx.Connect(ctx, s.DatabaseURL())
	if err != nil {
		return Run{}, fmt.Errorf("look into the deployment's database: %w", err)
	}
	defer conn.Close(ctx) //nolint:errcheck // nothing was written on it
	l.Target = s.Target()
	var before int
	if err := conn.QueryRow(ctx, "SELECT count(*) FROM stripe_events").Scan(&before); err != nil {
		return Run{}, err
	}
	start, err := s.cpu()
	if err != nil {
		return Run{}, err
	}
	out := Run{Answers: l.Run(ctx)}
	if err := awaitClassified(ctx, conn); err != nil {
		return out, err
	}
	out.Elapsed = time.Since(out.Answers.begun)
	end, err := s.cpu()
	if err != nil {
		return out, err
	}
	out.CPU = end.minus(start)
	var after int
	if err := conn.QueryRow(ctx, "SELECT count(*) FROM stripe_events").Scan(&after); err != nil {
		return out, err
	}
	out.Events = after - before
	return out, nil
}

// awaitClassified polls until no event is pending.
func awaitClassified(ctx context.Context, conn *pgx.Conn) error {
	for {
		var pending bool
		if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM event_processing WHERE status = 'pending')").Scan(&pending); err != nil {
			return err
		}
		if !pending {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}
