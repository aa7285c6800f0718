package webhookload

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"time"
)

// Options say how the ingest is measured; all fields but StripeSpec are required.
type Options struct {
	// Binary is the liftbill that is measured, Dir a folder for everything that it needs.
	Binary, Dir string
	// Connections deliver at once, Events distinct ones in each of Rounds.
	Connections, Events, Rounds int
	// Peers measures the npm packages in the same rounds. StripeSpec is the description of
	// Stripe's API that one of them reads; when empty it is looked for, and downloaded by the
	// peer in the end.
	Peers      bool
	StripeSpec string
	// Offered is the rate of deliveries under which memory is watched, for OfferedFor.
	Offered    float64
	OfferedFor time.Duration
	// Log receives one line of progress at a time.
	Log func(string)
}

// repeatEvery is how many deliveries come before one is repeated: Stripe delivers at
// least once.
const repeatEvery = 50

// customersTogether is how many customers' events alternate.
const customersTogether = 64

// bench is one measurement under way.
type bench struct {
	Options
	stack  *Stack
	script *Script
	next   map[string]int // the next event of each target
	peers  []*peer
	report *Report
}

// Bench measures a deployment beside its floor and, if asked, its peers: all on one
// PostgreSQL, in turns, on the same deliveries.
func Bench(ctx context.Context, o Options) (_ *Report, err error) {
	b := &bench{Options: o, next: map[string]int{}}
	if b.script, err = NewScript(time.Now().Add(-24*time.Hour), customersTogether); err != nil {
		return nil, err
	}
	smallest, largest := b.script.Sizes()
	b.report = &Report{
		CPUs: runtime.NumCPU(), Connections: o.Connections, Events: o.Events, Rounds: o.Rounds,
		BodyBytes: BodyBytes{smallest, b.script.MeanBytes(), largest},
	}
	if err := emptyDir(o.Dir); err != nil {
		return nil, err
	}
	b.stack, err = Start(ctx, o.Dir, o.Binary, o.Log)
	defer func() { err = errors.Join(err, b.stop()) }()
	if err != nil {
		return nil, err
	}
	for _, step := range []func(context.Context) error{b.prepare, b.rounds, b.halfLoad, b.offered} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return b.report, nil
}

func (b *bench) stop() error {
	var errs []error
	for _, p := range b.peers {
		errs = append(errs, p.proc.Stop())
	}
	return errors.Join(append(errs, b.stack.Stop())...)
}

// prepare makes the other sides ready and warms everybody up.
func (b *bench) prepare(ctx context.Context) error {
	if err := b.stack.prepareFloor(ctx); err != nil {
		return err
	}
	if b.Peers {
		if b.StripeSpec == "" {
			b.StripeSpec = stripeSpec(ctx)
		}
		dir := filepath.Join(b.Dir, "peers")
		if err := installPeers(ctx, dir, b.Log); err != nil {
			return err
		}
		for _, pkg := range peerPackages {
			p, err := b.stack.startPeer(ctx, dir, pkg, b.StripeSpec, b.Connections)
			if err != nil {
				return err
			}
			b.peers = append(b.peers, p)
		}
	}
	b.Log("warming up")
	if _, err := b.stack.Measure(ctx, b.load("liftbill", b.Events/2)); err != nil {
		return err
	}
	for _, p := range b.peers {
		if _, err := b.stack.measurePeer(ctx, p, b.load(p.name, b.Events/4)); err != nil {
			return err
		}
	}
	return nil
}

// load is the next part of a target's deliveries.
func (b *bench) load(target string, events int) Load {
	first := b.next[target]
	b.next[target] += events
	return Load{Script: b.script, Connections: b.Connections, First: first, Events: events, RepeatEvery: repeatEvery}
}

// rounds measures all sides in turns, so that what else happens on the machine happens
// to all of them.
func (b *bench) rounds(ctx context.Context) error {
	for round := range b.Rounds {
		floor, err := b.stack.measureFloor(ctx, b.Connections, 3*time.Second)
		if err != nil {
			return err
		}
		own, err := b.stack.Measure(ctx, b.load("liftbill", b.Events))
		if err != nil {
			return err
		}
		if own.Answers.OK != own.Answers.Sent || own.Events != b.Events {
			return fmt.Errorf("%d of %d deliveries were answered 200 and %d events are new, of %d", own.Answers.OK, own.Answers.Sent, own.Events, b.Events)
		}
		r := Round{Floor: floor, Own: figures(own)}
		for _, p := range b.peers {
			run, err := b.stack.measurePeer(ctx, p, b.load(p.name, b.Events/2))
			if err != nil {
				return err
			}
			r.Peers = append(r.Peers, Peer{Name: p.name, Figures: figures(run)})
		}
		b.report.add(r)
		b.Log(fmt.Sprintf("round %d of %d: %s", round+1, b.Rounds, r))
	}
	b.report.summarise()
	return nil
}

// halfLoad measures the answers at half the rate that was reached.
func (b *bench) halfLoad(ctx context.Context) error {
	rate := b.report.Median.PerSecond / 2
	l := b.load("liftbill", int(rate*10))
	l.Rate = rate
	run, err := b.stack.Measure(ctx, l)
	if err != nil {
		return err
	}
	b.report.HalfLoad = Answered{
		OfferedPerSecond: rate, AnsweredPerSecond: run.Answers.PerSecond(),
		P50: run.Answers.Percentile(0.5), P99: run.Answers.Percentile(0.99),
	}
	return nil
}

// offered watches memory while more deliveries are offered than may be taken.
func (b *bench) offered(ctx context.Context) error {
	l := b.load("liftbill", int(b.Offered*b.OfferedFor.Seconds()))
	l.Rate, l.Connections = b.Offered, 256
	b.Log(fmt.Sprintf("offering %.0f deliveries a second for %s", b.Offered, b.OfferedFor))
	run, err := b.stack.Measure(ctx, l)
	if err != nil {
		return err
	}
	m := Memory{
		OfferedPerSecond: b.Offered, AnsweredPerSecond: run.Answers.PerSecond(), Answered: run.Answers.OK, Busy: run.Answers.Busy,
		Other: run.Answers.Other + run.Answers.Failed, Late: run.Answers.Late, P99: run.Answers.Percentile(0.99),
	}
	if _, m.ServerPeak, err = memory(b.stack.serve.Pid()); err != nil {
		return err
	}
	_, m.WorkerPeak, err = memory(b.stack.worker.Pid())
	b.report.Memory = m
	return err
}

// median is the middle of the values.
func median[T int | float64 | time.Duration](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
