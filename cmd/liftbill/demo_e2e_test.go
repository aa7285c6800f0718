//go:build e2e

package main_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/internal/httpclient"
)

// web talks to the demos of this package.
var web = httpclient.New(time.Minute)

// binaries builds liftbill and stripefake once for the package's tests.
func binaries(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command("go", "build", "-o", dir+string(filepath.Separator), "./cmd/liftbill", "./cmd/stripefake")
	cmd.Dir = filepath.Join("..", "..")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	return dir
}

// demo is a running `liftbill demo`.
type demo struct {
	t    *testing.T
	cmd  *exec.Cmd
	data string
	out  *os.File
	done chan error
}

func startDemo(t *testing.T, bin, data string, args ...string) *demo {
	t.Helper()
	out, err := os.Create(filepath.Join(t.TempDir(), "demo.out"))
	require.NoError(t, err)
	d := &demo{t: t, data: data, out: out, done: make(chan error, 1)}
	d.cmd = exec.Command(filepath.Join(bin, "liftbill"), append([]string{"demo", "--months", "1", "--data", data, "--listen", "127.0.0.1:0"}, args...)...)
	d.cmd.Dir = filepath.Join("..", "..")
	d.cmd.Stdout, d.cmd.Stderr = out, out
	require.NoError(t, d.cmd.Start())
	go func() { d.done <- d.cmd.Wait() }()
	t.Cleanup(func() {
		if d.cmd.ProcessState == nil {
			d.stop()
		}
		if t.Failed() {
			t.Log(d.output())
		}
	})
	return d
}

func (d *demo) output() string {
	raw, err := os.ReadFile(d.out.Name())
	require.NoError(d.t, err)
	return string(raw)
}

func (d *demo) stop() {
	require.NoError(d.t, d.cmd.Process.Signal(os.Interrupt))
	select {
	case err := <-d.done:
		require.NoError(d.t, err, d.output())
	case <-time.After(time.Minute):
		d.t.Error("the demo does not stop")
	}
}

type demoState struct {
	API       string `json:"api"`
	Console   string `json:"temporal_console"`
	Stripe    string `json:"stripe"`
	WorkerPID int    `json:"worker_pid"`
	ServePID  int    `json:"serve_pid"`
	StripePID int    `json:"stripe_pid"`

	Tokens   map[string]string `json:"tokens"`
	Email    string            `json:"email"`
	Password string            `json:"password"`
}

// api reads from the API with the demo's token of an environment.
func (s demoState) api(t *testing.T, env, path string, out any) {
	t.Helper()
	getJSONAs(t, s.Tokens[env], s.API+path, out)
}

// state waits until the demo has told where everything is.
func (d *demo) state() demoState {
	d.t.Helper()
	var s demoState
	d.eventually(8*time.Minute, func() bool {
		raw, err := os.ReadFile(filepath.Join(d.data, "demo.json"))
		return err == nil && json.Unmarshal(raw, &s) == nil
	}, "the demo does not come up")
	return s
}

// eventually polls on the test's own goroutine, so that a check may fail the test.
func (d *demo) eventually(within time.Duration, ok func() bool, what string) {
	d.t.Helper()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case err := <-d.done:
			d.done <- err
			require.FailNow(d.t, what, "the demo ended: %v\n%s", err, d.output())
		case <-deadline.C:
			require.FailNow(d.t, what, "%s", d.output())
		case <-tick.C:
		}
	}
}

func getJSON(t *testing.T, address string, out any) {
	t.Helper()
	getJSONAs(t, "", address, out)
}

func getJSONAs(t *testing.T, token, address string, out any) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, address, http.NoBody) //nolint:noctx // a loopback address of the test's own
	require.NoError(t, err)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := web.Do(req)
	require.NoError(t, err)
	raw, err := io.ReadAll(res.Body)
	require.NoError(t, errors.Join(err, res.Body.Close()))
	require.Equal(t, http.StatusOK, res.StatusCode, string(raw))
	require.NoError(t, json.Unmarshal(raw, out))
}

type stripeRequest struct {
	Method string `json:"method"`
	Path   string `json:"path"`
	KeyID  string `json:"key_id"`
	Status int    `json:"status"`
}

func writes(t *testing.T, stripe, account, mode string) []stripeRequest {
	t.Helper()
	var log struct {
		Requests []stripeRequest `json:"requests"`
	}
	getJSON(t, stripe+"/_fake/requests?"+url.Values{"account": {account}, "mode": {mode}, "method": {"write"}}.Encode(), &log)
	return log.Requests
}

type fakeInvoice struct {
	ID       string            `json:"id"`
	Status   string            `json:"status"`
	Total    int64             `json:"total"`
	Metadata map[string]string `json:"metadata"`
}

// ourInvoices are the invoices at an issuer that carry our key.
func ourInvoices(t *testing.T, stripe, account string) []fakeInvoice {
	t.Helper()
	var state map[string][]fakeInvoice
	getJSON(t, stripe+"/_fake/state?"+url.Values{"account": {account}, "mode": {"live"}, "kind": {"invoices"}}.Encode(), &state)
	var out []fakeInvoice
	for _, inv := range state["invoices"] {
		if inv.Metadata["lb_key"] != "" {
			out = append(out, inv)
		}
	}
	return out
}

// TestDemoSurvivesKill9 kills the worker between the lines and the finalizing of
// the invoices, lets the demo start it again, and bills the month a second time.
func TestDemoSurvivesKill9(t *testing.T) {
	bin, data := binaries(t), dataDir(t, "demo")
	d := startDemo(t, bin, data)
	s := d.state()
	fault := `{"kind":"delay","method":"POST","path":"^/v1/invoices/[^/]+/finalize$","count":2,"delay":"3s"}`
	res, err := web.Post(s.Stripe+"/_fake/faults", "application/json", strings.NewReader(fault)) //nolint:noctx // see getJSON
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusOK, res.StatusCode)

	d.eventually(10*time.Minute, func() bool {
		if !known(t, s.Stripe, "acct_acme", "acct_vendor") {
			return false
		}
		for _, account := range []string{"acct_acme", "acct_vendor"} {
			for _, inv := range ourInvoices(t, s.Stripe, account) {
				if inv.Total > 0 && inv.Status == "draft" {
					return true
				}
			}
		}
		return false
	}, "no draft with lines was seen")
	require.NoError(t, syscall.Kill(s.WorkerPID, syscall.SIGKILL))

	d.eventually(5*time.Minute, func() bool { return strings.Contains(d.output(), "Serving until") }, "the demo does not finish after the kill")
	require.Contains(t, d.output(), "the worker ended")
	require.NotEqual(t, s.WorkerPID, d.state().WorkerPID)
	checkBilled(t, s)
	checkAgain(t, d, bin, s)
	checkPages(t, s, d.output())
	checkAudit(t, s)
	d.stop()
	for _, pid := range []int{s.ServePID, s.StripePID, d.cmd.Process.Pid} {
		require.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH, "a process was left behind")
	}
}

// checkBilled holds the ledger against what Stripe has.
func checkBilled(t *testing.T, s demoState) {
	t.Helper()
	type cycles struct {
		Items []struct {
			ID          string `json:"id"`
			AccountID   string `json:"account_id"`
			State       string `json:"state"`
			EngineTotal struct {
				Minor int64 `json:"minor"`
			} `json:"engine_total"`
		} `json:"items"`
	}
	var list, test cycles
	s.api(t, "live", "/v1/cycles", &list)
	require.Len(t, list.Items, 2, "a token of live sees live")
	s.api(t, "test", "/v1/cycles", &test)
	require.Len(t, test.Items, 1)
	list.Items = append(list.Items, test.Items...)
	for _, c := range list.Items {
		issuer := map[string]string{"acme": "acct_acme", "borealis": "acct_vendor"}[c.AccountID]
		if issuer == "" {
			require.Equal(t, "dry_run", c.State)
			require.Positive(t, c.EngineTotal.Minor, "the test account computes an amount")
			continue
		}
		require.Equal(t, "invoiced", c.State)
		ours := ourInvoices(t, s.Stripe, issuer)
		require.Len(t, ours, 1, issuer)
		require.Equal(t, "open", ours[0].Status)
		require.Equal(t, c.EngineTotal.Minor, ours[0].Total)
		require.Equal(t, "1", ours[0].Metadata["lb_readouts_n"], "the positive snapshot alone is billed")
		require.Len(t, ours[0].Metadata["lb_readouts_1"], 26)
		checkWithheld(t, s, c.ID, ours[0].Metadata["lb_readouts_1"])
	}
	// The simulated company writes with a key of its own; liftbill's key wrote the endpoint only.
	byKey := map[string][]string{}
	for _, r := range writes(t, s.Stripe, "acct_cedar", "test") {
		byKey[r.KeyID] = append(byKey[r.KeyID], r.Method+" "+r.Path)
	}
	require.Len(t, byKey, 2)
	only := 0
	for _, paths := range byKey {
		// Once with names of newer events, which the stand-in refuses, and once without.
		if !slices.ContainsFunc(paths, func(p string) bool { return p != "POST /v1/webhook_endpoints" }) {
			require.LessOrEqual(t, len(paths), 2)
			only++
		}
	}
	require.Equal(t, 1, only, "liftbill's key of the test account")
}

func checkWithheld(t *testing.T, s demoState, cycle, billedCase string) {
	t.Helper()
	var tie struct {
		Lines []struct {
			CaseID   string `json:"case_id"`
			Billed   bool   `json:"billed"`
			Verdict  string `json:"verdict"`
			Headline string `json:"headline_code"`
		} `json:"lines"`
	}
	s.api(t, "live", "/v1/cycles/"+cycle, &tie)
	require.Len(t, tie.Lines, 3)
	for _, l := range tie.Lines {
		require.Equal(t, l.CaseID == billedCase, l.Billed)
		if !l.Billed {
			require.Equal(t, "withheld", l.Verdict)
			require.NotEmpty(t, l.Headline)
		}
	}
}

// checkAgain bills the month again by hand; nothing may change at Stripe.
func checkAgain(t *testing.T, d *demo, bin string, s demoState) {
	t.Helper()
	before := map[string][]stripeRequest{}
	for _, account := range []string{"acct_acme", "acct_vendor"} {
		before[account] = writes(t, s.Stripe, account, "live")
	}
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", d.state().WorkerPID))
	require.NoError(t, err)
	var list struct {
		Items []struct {
			Period string `json:"period"`
		} `json:"items"`
	}
	s.api(t, "live", "/v1/cycles", &list)
	for _, account := range []string{"acme", "borealis"} {
		cmd := exec.Command(filepath.Join(bin, "liftbill"), "cycle", "run", "--account", account, "--period", list.Items[0].Period)
		cmd.Env = strings.Split(strings.TrimRight(string(environ), "\x00"), "\x00")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	<-ctx.Done() // a second bill would have written by now
	for account, was := range before {
		require.Equal(t, was, writes(t, s.Stripe, account, "live"), account)
	}
	checkBilled(t, s)
}

// checkAudit finds in the log what the demo did, and an operator's second run of a cycle.
func checkAudit(t *testing.T, s demoState) {
	t.Helper()
	var list struct {
		Items []struct {
			Action string `json:"action"`
			Actor  struct {
				Kind string `json:"kind"`
			} `json:"actor"`
		} `json:"items"`
	}
	s.api(t, "live", "/v1/audit?limit=500", &list)
	did := map[string]int{}
	for _, e := range list.Items {
		did[e.Actor.Kind+" "+e.Action]++
	}
	for what, want := range map[string]int{
		"token connection.created": 3, "token webhook_endpoint.registered": 2, "token account.created": 2, "token contract.created": 2, "token plan.sealed": 2,
		"token snapshot.shipped": 6, "token decisions.uploaded": 2, "cli cycle.started": 2, "cli token.created": 1,
	} {
		require.Equal(t, want, did[what], "%s: %v", what, did)
	}
}

// TestDemoAfterACrashOfTheParent kills the demo itself while it works; its children
// must vanish, and the next demo on the same folder must work.
func TestDemoAfterACrashOfTheParent(t *testing.T) {
	bin, data := binaries(t), dataDir(t, "demo")
	first := startDemo(t, bin, data)
	s := first.state()
	require.NoError(t, first.cmd.Process.Kill())
	require.Error(t, <-first.done, "it was killed")
	require.Eventually(t, func() bool {
		for _, pid := range []int{s.ServePID, s.WorkerPID, s.StripePID} {
			if syscall.Kill(pid, 0) == nil {
				return false
			}
		}
		return true
	}, time.Minute, 100*time.Millisecond, "children of a killed demo live on")

	second := startDemo(t, bin, data, "--once", "--json", "--months", "2")
	require.NoError(t, <-second.done, second.output())
	second.done <- nil
	_, doc, found := strings.Cut(second.output(), "\n{\n")
	require.True(t, found, second.output())
	var report demoReport
	require.NoError(t, json.Unmarshal([]byte("{\n"+doc), &report))
	report.requireTwoMonths(t)
}
