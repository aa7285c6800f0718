package campaign

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/internal/campaign/audit"
)

// Kill is a schedule in which the worker is a process of its own, killed with SIGKILL
// at one of its requests; the next one goes on.
type Kill struct {
	Number int
	// At is the request, counted from 0; Late is after Stripe has carried it out.
	At   int
	Late bool
	Seed uint64
}

// String says in one line what happens.
func (k Kill) String() string {
	when := "before"
	if k.Late {
		when = "after"
	}
	return fmt.Sprintf("kill %d: SIGKILL %s request %d", k.Number, when, k.At)
}

// Kills are as many as there are requests, before and after each, as often as fits into n.
func Kills(seed uint64, n int) []Kill {
	var out []Kill
	for len(out) < n {
		for at := range baseRequests {
			for _, late := range []bool{false, true} {
				if len(out) < n {
					out = append(out, Kill{Number: len(out) + 1, At: at, Late: late, Seed: ^(seed<<24 ^ uint64(len(out)+1))})
				}
			}
		}
	}
	return out
}

// Child is a worker process that carries one cycle out.
type Child interface {
	Kill() error
	// Wait waits until the process has ended; ok means that the invoice is written.
	Wait() (ok bool, err error)
}

// StartChild starts one for a cycle and the address of a Stripe.
type StartChild func(ctx context.Context, cycleID, stripeURL string) (Child, error)

// guillotine kills the child at one request.
type guillotine struct {
	next http.Handler
	kill Kill

	mu    sync.Mutex
	n     int
	child Child
	fell  bool
}

// ServeHTTP implements http.Handler.
func (g *guillotine) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	g.mu.Lock()
	falls := g.n == g.kill.At && !g.fell
	g.n++
	child := g.child
	g.fell = g.fell || falls
	g.mu.Unlock()
	if !falls {
		g.next.ServeHTTP(w, req)
		return
	}
	if g.kill.Late {
		serve(g.next, &answer{header: http.Header{}, status: http.StatusOK}, req)
	}
	_ = child.Kill() // it is waited for, which says what became of it
	panic(http.ErrAbortHandler)
}

// maxChildren bounds the processes of one kill.
const maxChildren = 4

// RunKill carries a kill out.
func RunKill(ctx context.Context, k Kill, ledger Ledger, startChild StartChild) (Result, error) {
	s := Schedule{Number: 1_000_000 + k.Number, Class: "SIGKILL", Lines: 2, Currency: "usd", Workers: 1, Seed: k.Seed}
	w, err := newWorld(ctx, s, ledger, nil)
	if err != nil {
		return Result{}, err
	}
	defer w.fake.Close()
	g := &guillotine{next: w.fake, kill: k}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return Result{}, err
	}
	server := &http.Server{Handler: g, ReadHeaderTimeout: time.Minute}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	out := Result{Schedule: s, Hits: map[string]int{}, End: Stuck}
	for range maxChildren {
		ok, err := g.run(ctx, w.plan.CycleID, "http://"+listener.Addr().String(), startChild)
		if err != nil {
			return out, errors.Join(err, server.Close())
		}
		if ok {
			out.End = Billed
			break
		}
		out.Deaths++
	}
	if err := errors.Join(server.Close(), ended(<-served)); err != nil {
		return out, err
	}
	state, reason, err := ledger.Stands(ctx, w.plan.CycleID)
	if err != nil {
		return out, err
	}
	if state != billing.Invoiced || !g.fell {
		out.End, out.Reason = Stuck, fmt.Sprintf("%s: %s %s, fell %v", k, state, reason, g.fell)
	}
	out.Requests = len(w.ourRequests())
	return out, w.judge(&out, audit.Billed)
}

func ended(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

func (g *guillotine) run(ctx context.Context, cycleID, url string, startChild StartChild) (bool, error) {
	// No request is served before the child is known.
	g.mu.Lock()
	child, err := startChild(ctx, cycleID, url)
	g.child = child
	g.mu.Unlock()
	if err != nil {
		return false, err
	}
	return child.Wait()
}

// ChildKey is the issuer's key that a child uses.
const ChildKey = ourLiveKey

// DriveChild is what a child process does: the use case's steps, retried after the
// shortest of pauses.
func DriveChild(ctx context.Context, s *invoicing.Service, cycleID string, pause func(time.Duration)) error {
	out, err := Driver{Process: func() *invoicing.Service { return s }, Pause: func(time.Duration) { pause(5 * time.Millisecond) }}.Drive(ctx, cycleID)
	if err == nil && out.State != billing.Invoiced {
		err = fmt.Errorf("the cycle is %s (%s)", out.State, strings.TrimSpace(out.Reason))
	}
	return err
}
