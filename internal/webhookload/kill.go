package webhookload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/liftbill/liftbill/adapters/localstack"
)

// KillOptions say how long and how hard; all fields are required.
type KillOptions struct {
	// Binary is the liftbill that is killed, Dir a folder for everything that it needs.
	Binary, Dir string
	// For is how long processes are killed, Seed what decides when and which.
	For  time.Duration
	Seed uint64
	// Connections deliver Rate new events a second.
	Connections int
	Rate        float64
	Log         func(string)
}

// Times between two kills and until what was killed is started again.
const (
	calmAtLeast, calmAtMost = 300 * time.Millisecond, 2500 * time.Millisecond
	downAtMost              = 800 * time.Millisecond
	// settleTime bounds the time after the last kill until all is delivered and classified.
	settleTime = 3 * time.Minute
)

// KillReport is what happened and what was found afterwards.
type KillReport struct {
	Seed  uint64         `json:"seed"`
	Kills map[string]int `json:"kills"`
	Deliveries
	Audit
}

// Held reports whether nothing was lost and nothing is there twice.
func (r KillReport) Held() bool { return r.Audit.problems() == 0 }

// Kill sends deliveries to a deployment whose processes it kills at random moments,
// delivers again what was not answered 200, as Stripe does, and checks afterwards that
// every event answered 200 is stored once and its facts are booked once.
func Kill(ctx context.Context, o KillOptions) (_ KillReport, err error) {
	report := KillReport{Seed: o.Seed, Kills: map[string]int{}}
	script, err := NewScript(time.Now().Add(-24*time.Hour), customersTogether)
	if err != nil {
		return report, err
	}
	if err := emptyDir(o.Dir); err != nil {
		return report, err
	}
	stack, err := Start(ctx, o.Dir, o.Binary, o.Log)
	defer func() { err = errors.Join(err, stack.Stop()) }()
	if err != nil {
		return report, err
	}
	book := newBook(o)
	senders, stopSending := context.WithCancel(ctx)
	defer stopSending()
	var wg sync.WaitGroup
	for range o.Connections {
		wg.Go(func() { book.send(senders, script, stack.Target()) })
	}
	k := &killer{stack: stack, rng: rand.New(rand.NewPCG(o.Seed, 1)), kills: report.Kills, log: o.Log}
	if err := k.run(ctx, o.For); err != nil {
		return report, err
	}
	book.noMore()
	settle, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	if err := book.settled(settle); err != nil {
		return report, err
	}
	stopSending()
	wg.Wait()
	report.Deliveries = book.totals()
	report.Audit, err = stack.audit(settle, script, report.Events)
	return report, err
}

// killer ends processes at random moments and starts them again.
type killer struct {
	stack *Stack
	rng   *rand.Rand
	kills map[string]int
	turns []string
	log   func(string)
}

// The parts that are killed.
const (
	victimServe    = "api"
	victimWorker   = "worker"
	victimPostgres = "postgres"
)

func (k *killer) run(ctx context.Context, d time.Duration) error {
	for end := time.Now().Add(d); time.Now().Before(end); {
		if err := pause(ctx, k.between(calmAtLeast, calmAtMost)); err != nil {
			return err
		}
		for _, v := range k.choose() {
			if err := k.kill(v); err != nil {
				return err
			}
		}
		if err := pause(ctx, k.between(0, downAtMost)); err != nil {
			return err
		}
		// The database first: the API does not start without it.
		for _, v := range []string{victimPostgres, victimServe, victimWorker} {
			if err := k.revive(ctx, v); err != nil {
				return fmt.Errorf("start the %s again: %w", v, err)
			}
		}
	}
	return nil
}

// choose draws who is killed: usually one, sometimes two at once, or all. Nobody's turn
// comes again before everybody else's has.
func (k *killer) choose() []string {
	n := []int{1, 1, 1, 1, 2, 2, 3}[k.rng.IntN(7)]
	if len(k.turns) < n {
		fresh := []string{victimServe, victimWorker, victimPostgres}
		k.rng.Shuffle(len(fresh), func(i, j int) { fresh[i], fresh[j] = fresh[j], fresh[i] })
		k.turns = fresh
	}
	chosen := k.turns[:n]
	k.turns = k.turns[n:]
	return chosen
}

func (k *killer) between(least, most time.Duration) time.Duration {
	return least + time.Duration(k.rng.Int64N(int64(most-least)+1))
}

func (k *killer) kill(victim string) error {
	k.kills[victim]++
	k.log("killing the " + victim)
	switch victim {
	case victimServe:
		Sigkill(k.stack.serve)
	case victimWorker:
		Sigkill(k.stack.worker)
	default:
		return k.stack.pg.Crash()
	}
	return nil
}

// revive starts a part unless it runs.
func (k *killer) revive(ctx context.Context, victim string) error {
	switch victim {
	case victimServe:
		if running(k.stack.serve) {
			return nil
		}
		return k.stack.StartServe(ctx)
	case victimWorker:
		if running(k.stack.worker) {
			return nil
		}
		return k.stack.StartWorker()
	default:
		select {
		case <-k.stack.pg.Done():
			return k.stack.StartPostgres(ctx)
		default:
			return nil
		}
	}
}

func running(p *localstack.Process) bool {
	select {
	case <-p.Done():
		return false
	default:
		return true
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// Print writes the report for people.
func (r KillReport) Print(w io.Writer) error {
	verdict := "held: every event answered 200 is there once, and its facts are booked once"
	if !r.Held() {
		verdict = "BROKEN"
	}
	_, err := fmt.Fprintf(w, `seed %d
killed: API %d times, worker %d, PostgreSQL %d
deliveries: %d sent, %d answered 200, %d answered 503, %d other answers, %d without an answer
events: %d sent until answered 200, %d of them more than once; stored %d, missing %d, twice %d, unexpected %d
classified: %d processed, %d ignored, %d pending, %d quarantined or dead
facts: %d expected, %d booked, missing %d, twice %d, unexpected %d
%s
`, r.Seed, r.Kills[victimServe], r.Kills[victimWorker], r.Kills[victimPostgres],
		r.Sent, r.OK, r.Busy, r.Other, r.Failed,
		r.Events, r.Redelivered, r.Stored, r.MissingEvents, r.DoubleEvents, r.UnexpectedEvents,
		r.Processed, r.Ignored, r.Pending, r.SetAside,
		r.ExpectedFacts, r.Facts, r.MissingFacts, r.DoubleFacts, r.UnexpectedFacts, verdict)
	return err
}
