package invoicing_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/internal/pipelinetest"
)

// faultKinds are all the ways in which a request can go wrong.
var faultKinds = []stripefake.FaultKind{
	stripefake.FaultDropBefore, stripefake.FaultDropAfter, stripefake.Fault500Before, stripefake.Fault500After, stripefake.Fault500Late,
	stripefake.FaultRateLimit, stripefake.FaultLockTimeout, stripefake.FaultConflict, stripefake.FaultUnavailable, stripefake.FaultTruncate,
}

// resume is what happens between a failed attempt and the next one.
type resume struct {
	name string
	do   func(t *testing.T, b *pipelinetest.Bill) func()
	// human: a person may have to look in the end; money must be right all the same.
	human bool
}

var resumes = []resume{
	{name: "at once", do: func(*testing.T, *pipelinetest.Bill) func() { return nil }},
	{name: "when the keys are pruned", do: func(t *testing.T, b *pipelinetest.Bill) func() {
		return func() { require.NoError(t, b.Fake.Advance(25*time.Hour)) }
	}},
	{name: "without labels", human: true, do: func(t *testing.T, b *pipelinetest.Bill) func() { return func() { unlabel(t, b) } }},
}

// unlabel is somebody who clears the metadata of our invoice in the Dashboard.
func unlabel(t *testing.T, b *pipelinetest.Bill) {
	t.Helper()
	for _, id := range ourInvoices(t, b, "draft", "open") {
		b.Operator(t, http.MethodPost, "/v1/invoices/"+id, url.Values{"metadata": {""}})
	}
}

// ourInvoices are the payer's invoices with our key in one of the states.
func ourInvoices(t *testing.T, b *pipelinetest.Bill, states ...string) []string {
	t.Helper()
	var out []string
	for _, in := range b.Operator(t, http.MethodGet, "/v1/invoices?limit=100&customer="+b.Plan.Key.Customer, nil)["data"].([]any) {
		in := in.(map[string]any)
		label, _ := in["metadata"].(map[string]any)["lb_key"].(string)
		for _, s := range states {
			if label == b.Plan.Key.StripeKey() && in["status"] == s {
				out = append(out, in["id"].(string))
			}
		}
	}
	return out
}

// sequence are the requests of an undisturbed write-back.
func sequence(t *testing.T, l *pipelinetest.Ledger) []stripefake.Request {
	t.Helper()
	b := pipelinetest.NewBill(t, l)
	out, err := b.Drive(t, nil)
	require.NoError(t, err)
	require.Equal(t, billing.Invoiced, out.State)
	b.RequireBilled(t)
	return b.Requests()
}

func TestWriteBackSequence(t *testing.T) {
	t.Parallel()
	var got []string
	for _, r := range sequence(t, pipelinetest.NewLedger(t)) {
		path := r.Path
		if i := strings.Index(path, "/in_"); i > 0 {
			_, tail, _ := strings.Cut(path[i+1:], "/")
			path = strings.TrimSuffix(path[:i]+"/:id/"+tail, "/")
		}
		got = append(got, r.Method+" "+path)
		if r.Method == http.MethodPost {
			require.True(t, strings.HasPrefix(r.IdempotencyKey, "lb:"), r.Path)
		}
	}
	t.Log(strings.Join(got, "\n"))
	require.Equal(t, []string{
		"POST /v1/invoices", "POST /v1/invoiceitems", "POST /v1/invoiceitems", "POST /v1/invoices/:id/finalize", "POST /v1/invoices/:id", "POST /v1/invoices/:id/send",
	}, only(got, "POST "))
}

func only(all []string, prefix string) []string {
	var out []string
	for _, s := range all {
		if strings.HasPrefix(s, prefix) {
			out = append(out, s)
		}
	}
	return out
}

// TestWriteBackFaultMatrix breaks every request of the sequence in every way and
// lets the auditor look at what Stripe has in the end.
func TestWriteBackFaultMatrix(t *testing.T) {
	t.Parallel()
	l := pipelinetest.NewLedger(t)
	requests := sequence(t, l)
	for i, r := range requests {
		for _, kind := range faultKinds {
			for _, res := range resumes {
				t.Run(fmt.Sprintf("%02d %s %s/%s/%s", i, r.Method, short(r.Path), kind, res.name), func(t *testing.T) {
					t.Parallel()
					b := pipelinetest.NewBill(t, l)
					require.NoError(t, b.Fake.AddFault(stripefake.FaultRule{Kind: kind, Account: r.Account, Skip: i, Count: times(kind)}))
					requireOutcome(t, b, res)
				})
			}
		}
	}
}

// times is how often a fault must happen to be seen: net/http itself repeats a
// request once whose kept-alive connection died.
func times(kind stripefake.FaultKind) int {
	if kind == stripefake.FaultDropBefore || kind == stripefake.FaultDropAfter {
		return 2
	}
	return 1
}

// requireOutcome drives a bill and audits it.
func requireOutcome(t *testing.T, b *pipelinetest.Bill, res resume) {
	t.Helper()
	_, err := b.Drive(t, res.do(t, b))
	if err == nil && !res.human {
		b.RequireBilled(t)
		return
	}
	if err == nil {
		// An empty draft that lost its label before anybody had seen it is not ours to
		// delete; it is never sent or charged.
		for _, wrong := range b.Audit(t) {
			require.Regexp(t, "^draft .* is left$", wrong)
		}
		require.Equal(t, "invoiced", b.Books(t).Cycle)
		return
	}
	require.True(t, res.human, "%v; %v", err, b.Books(t))
	require.NotErrorIs(t, err, pipelinetest.ErrStuck)
	require.Equal(t, "needs_human", b.Books(t).Cycle, err)
	for _, wrong := range b.Audit(t) {
		require.NotContains(t, wrong, "both count")
		require.NotContains(t, wrong, "billed again")
	}
}

func short(path string) string {
	path = strings.TrimPrefix(path, "/v1/")
	if i := strings.Index(path, "/in_"); i > 0 {
		_, tail, _ := strings.Cut(path[i+1:], "/")
		return path[:i] + " one " + tail
	}
	return path
}

// TestWriteBackPairsOfFaults breaks two requests, so that recovering fails as well.
func TestWriteBackPairsOfFaults(t *testing.T) {
	t.Parallel()
	l := pipelinetest.NewLedger(t)
	hard := []stripefake.FaultKind{stripefake.FaultDropAfter, stripefake.Fault500Before, stripefake.Fault500After, stripefake.Fault500Late}
	n := 0
	for i, r := range sequence(t, l) {
		if r.Method != http.MethodPost {
			continue
		}
		for _, first := range hard {
			for _, second := range hard {
				for distance := 1; distance <= 4; distance++ {
					if n++; n%3 != 0 && first == second {
						continue // same kinds twice in a row are the least telling
					}
					t.Run(fmt.Sprintf("%02d %s/%s+%d %s", i, short(r.Path), first, distance, second), func(t *testing.T) {
						t.Parallel()
						b := pipelinetest.NewBill(t, l)
						require.NoError(t, b.Fake.AddFault(stripefake.FaultRule{Kind: first, Account: r.Account, Skip: i, Count: times(first)}))
						require.NoError(t, b.Fake.AddFault(stripefake.FaultRule{Kind: second, Account: r.Account, Skip: i + distance - 1, Count: times(second)}))
						requireOutcome(t, b, resumes[n%2])
					})
				}
			}
		}
	}
}

// TestWriteBackUnderRandomFaults lets one request in seven fail for as long as the
// drive goes on.
func TestWriteBackUnderRandomFaults(t *testing.T) {
	t.Parallel()
	l := pipelinetest.NewLedger(t)
	for seed := range 30 {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			b := pipelinetest.NewBill(t, l)
			chances := map[stripefake.FaultKind]float64{}
			for _, k := range faultKinds {
				chances[k] = 0.014
			}
			b.Fake.SetSeededFaults(&stripefake.SeededFaults{Requests: chances, OnlyWrites: true})
			_, err := b.Drive(t, resumes[seed%2].do(t, b))
			b.Fake.SetSeededFaults(nil)
			if errors.Is(err, pipelinetest.ErrStuck) {
				_, err = b.Drive(t, nil) // unlucky, not stuck: the faults have ended
			}
			require.NoError(t, err)
			b.RequireBilled(t)
		})
	}
}

// TestWriteBackLateTwin lets Stripe carry out a create that it had answered with a
// 500 when all is over: the twin is a draft that nobody will ever send or charge.
func TestWriteBackLateTwin(t *testing.T) {
	t.Parallel()
	b := pipelinetest.NewBill(t, pipelinetest.NewLedger(t))
	require.NoError(t, b.Fake.AddFault(stripefake.FaultRule{Kind: stripefake.Fault500Late, Method: http.MethodPost, Path: "^/v1/invoices$", Delay: 6 * time.Hour}))
	out, err := b.Drive(t, nil)
	require.NoError(t, err)
	b.RequireBilled(t)
	require.NoError(t, b.Fake.Advance(90*24*time.Hour))
	require.Equal(t, []string{out.InvoiceID}, ourInvoices(t, b, "open", "paid", "uncollectible"))
	twins := ourInvoices(t, b, "draft")
	require.Len(t, twins, 1)
	twin := b.Operator(t, http.MethodGet, "/v1/invoices/"+twins[0], nil)
	require.Equal(t, false, twin["auto_advance"])
	require.EqualValues(t, 0, twin["total"])
}

var _ invoicing.Writers = (*hidingWriters)(nil)
