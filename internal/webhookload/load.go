package webhookload

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Answers is what came back from a load.
type Answers struct {
	Sent    int
	OK      int // answered 200
	Busy    int // answered 503
	Other   int // any other status
	Failed  int // no answer
	Elapsed time.Duration
	// Late counts the deliveries of an offered rate that began more than a second
	// after their time, because all connections were waiting.
	Late int

	begun time.Time
	waits []time.Duration
}

// Percentile is the time until the answer that the given share of deliveries did not
// exceed; 0.99 is p99.
func (a *Answers) Percentile(share float64) time.Duration {
	if len(a.waits) == 0 {
		return 0
	}
	return a.waits[min(len(a.waits)-1, int(share*float64(len(a.waits))))]
}

// PerSecond is the rate of 200 answers.
func (a *Answers) PerSecond() float64 { return float64(a.OK) / a.Elapsed.Seconds() }

func (a *Answers) add(status int, err error, wait time.Duration) {
	a.Sent++
	switch {
	case err != nil:
		a.Failed++
		return
	case status == 200:
		a.OK++
	case status == 503:
		a.Busy++
	default:
		a.Other++
	}
	a.waits = append(a.waits, wait)
}

func merge(parts []Answers, begun time.Time) *Answers {
	out := &Answers{begun: begun, Elapsed: time.Since(begun)}
	for _, p := range parts {
		out.Sent, out.OK, out.Busy, out.Other = out.Sent+p.Sent, out.OK+p.OK, out.Busy+p.Busy, out.Other+p.Other
		out.Failed, out.Late = out.Failed+p.Failed, out.Late+p.Late
		out.waits = append(out.waits, p.waits...)
	}
	slices.Sort(out.waits)
	return out
}

// Load says what to send.
type Load struct {
	Script      *Script
	Target      Target
	Connections int
	// First is the number of the first event and Events how many follow.
	First, Events int
	// RepeatEvery sends each so many-th event twice; 0 sends every event once.
	RepeatEvery int
	// Rate is how many deliveries are offered a second, on time however slow the
	// answers are; 0 sends the next as soon as the last is answered.
	Rate float64
}

// Run sends the load and waits for its answers.
func (l Load) Run(ctx context.Context) *Answers {
	var next atomic.Int64
	parts := make([]Answers, l.Connections)
	ready := l.ready()
	begun := time.Now()
	var wg sync.WaitGroup
	for c := range parts {
		wg.Go(func() {
			s := &sender{target: l.Target}
			defer s.close()
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= l.Events {
					return
				}
				l.one(ctx, s, i, ready, begun, &parts[c])
			}
		})
	}
	wg.Wait()
	return merge(parts, begun)
}

// ready makes all requests beforehand when they are to be sent as fast as they are taken:
// making them is not what is measured. (At an offered rate there may be too many.)
func (l Load) ready() [][]byte {
	if l.Rate > 0 {
		return nil
	}
	out := make([][]byte, l.Events)
	var body []byte
	for i := range out {
		body = l.Script.Event(body, l.First+i)
		out[i] = appendRequest(nil, l.Target, body)
	}
	return out
}

func (l Load) one(ctx context.Context, s *sender, i int, ready [][]byte, begun time.Time, out *Answers) {
	from := time.Now()
	if l.Rate > 0 {
		due := begun.Add(time.Duration(float64(i) / l.Rate * float64(time.Second)))
		if wait := time.Until(due); wait > 0 {
			time.Sleep(wait)
		} else if -wait > time.Second {
			out.Late++
		}
		from = due // the answer to a delivery that had to wait for a connection came late as well
	}
	times := 1
	if l.RepeatEvery > 0 && i%l.RepeatEvery == l.RepeatEvery-1 {
		times = 2
	}
	for range times {
		var status int
		var err error
		if ready != nil {
			status, err = s.deliver(ctx, ready[i])
		} else {
			status, err = s.send(ctx, l.Script, l.First+i)
		}
		out.add(status, err, time.Since(from))
		from = time.Now()
	}
}
