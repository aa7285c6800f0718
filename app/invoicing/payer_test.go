package invoicing_test

import (
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/internal/campaign"
	"github.com/liftbill/liftbill/internal/campaign/audit"
	"github.com/liftbill/liftbill/internal/pipelinetest"
	"github.com/liftbill/liftbill/workflows/wferr"
)

const payerMail = "payables@acme.example"

// findPayer carries the step out as the workflow does, by a new process for every
// attempt; between, which may be nil, happens before a retry.
func findPayer(t *testing.T, b *pipelinetest.Bill, between func()) (invoicing.Outcome, error) {
	t.Helper()
	pause := 2 * time.Second
	for range 16 {
		out, err := b.NewProcess(t).EnsurePayer(t.Context(), b.Plan.CycleID)
		if err == nil || !wferr.Retried(err) {
			return out, err
		}
		require.NoError(t, b.Fake.Advance(pause))
		pause = min(2*pause, 10*time.Minute)
		if between != nil {
			between()
		}
	}
	return invoicing.Outcome{}, campaign.ErrStuck
}

// marked are the customers that carry the account's mark.
func marked(t *testing.T, b *pipelinetest.Bill) []string {
	t.Helper()
	var out []string
	for _, c := range b.Operator(t, http.MethodGet, "/v1/customers?limit=100", nil)["data"].([]any) {
		c := c.(map[string]any)
		if c["metadata"].(map[string]any)["lb_account"] == b.Plan.AccountID {
			out = append(out, c["id"].(string))
		}
	}
	return out
}

func requirePayer(t *testing.T, b *pipelinetest.Bill) {
	t.Helper()
	all := marked(t, b)
	require.Len(t, all, 1)
	require.Equal(t, all[0], b.Payer(t))
	for _, r := range b.Requests() {
		require.Contains(t, []string{"GET /v1/account", "GET /v1/customers", "POST /v1/customers"}, r.Method+" "+r.Path)
	}
}

// TestPayerIsCreatedOnce breaks every request of the step in every way.
func TestPayerIsCreatedOnce(t *testing.T) {
	t.Parallel()
	l := pipelinetest.NewLedger(t)
	for at := range 4 {
		for _, kind := range campaign.Kinds() {
			for _, wait := range []time.Duration{0, 25 * time.Hour} {
				t.Run(fmt.Sprintf("%d %s %s", at, kind, wait), func(t *testing.T) {
					t.Parallel()
					b := pipelinetest.NewBill(t, l)
					b.WantPayer(t, "Acme Inc.", payerMail)
					// -1 would be what the reading client repeats by itself.
					require.NoError(t, b.Fake.AddFault(stripefake.FaultRule{Kind: kind, KeyKind: "restricted", Skip: at, Count: times(kind)}))
					out, err := findPayer(t, b, func() { require.NoError(t, b.Fake.Advance(wait)) })
					require.NoError(t, err)
					require.True(t, out.Redo, "the invoice is proposed again")
					requirePayer(t, b)
				})
			}
		}
	}
}

// TestTwoFirstCyclesShareAPayer: both look, both find nothing, both create.
func TestTwoFirstCyclesShareAPayer(t *testing.T) {
	t.Parallel()
	b := pipelinetest.NewBill(t, pipelinetest.NewLedger(t))
	b.WantPayer(t, "Acme Inc.", payerMail)
	var wg sync.WaitGroup
	errs := make([]error, 6)
	for i := range errs {
		s := b.NewProcess(t)
		wg.Go(func() {
			// A key that is in use is answered with 409, and tried again for as long as whoever
			// uses it takes.
			for range 10_000 {
				if _, errs[i] = s.EnsurePayer(t.Context(), b.Plan.CycleID); errs[i] == nil || !wferr.Retried(errs[i]) {
					return
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	requirePayer(t, b)
}

// TestPayerWhoseAddressWasCorrected: between the create, whose answer was lost, and the
// next look somebody corrects the customer's address.
func TestPayerWhoseAddressWasCorrected(t *testing.T) {
	t.Parallel()
	b := pipelinetest.NewBill(t, pipelinetest.NewLedger(t))
	b.WantPayer(t, "Acme Inc.", payerMail)
	require.NoError(t, b.Fake.AddFault(stripefake.FaultRule{Kind: stripefake.FaultTruncate, KeyKind: "restricted", Method: http.MethodPost}))
	_, err := findPayer(t, b, func() {
		require.NoError(t, b.Fake.Advance(25*time.Hour))
		for _, id := range marked(t, b) {
			b.Operator(t, http.MethodPost, "/v1/customers/"+id, url.Values{"email": {"right@acme.example"}})
		}
	})
	require.NoError(t, err)
	requirePayer(t, b)
}

// TestPayerIsMatchedByItsMark: a customer that somebody marked as the account's is taken,
// one that only shares the address is not.
func TestPayerIsMatchedByItsMark(t *testing.T) {
	t.Parallel()
	l := pipelinetest.NewLedger(t)
	b := pipelinetest.NewBill(t, l)
	b.WantPayer(t, "Acme Inc.", payerMail)
	b.Operator(t, http.MethodPost, "/v1/customers", url.Values{"email": {payerMail}})
	mine := b.Operator(t, http.MethodPost, "/v1/customers", url.Values{"email": {payerMail}, "metadata[lb_account]": {b.Plan.AccountID}})["id"].(string)
	_, err := findPayer(t, b, nil)
	require.NoError(t, err)
	require.Equal(t, mine, b.Payer(t))
	require.Empty(t, b.Fake.Requests(stripefake.RequestFilter{Method: "write", Path: "/v1/invoices"}))

	b = pipelinetest.NewBill(t, l)
	b.WantPayer(t, "Acme Inc.", payerMail)
	for range 2 {
		b.Operator(t, http.MethodPost, "/v1/customers", url.Values{"email": {payerMail}, "metadata[lb_account]": {b.Plan.AccountID}})
	}
	out, err := findPayer(t, b, nil)
	require.NoError(t, err)
	require.Equal(t, billing.UnmetPayerAmbiguous, out.Reason, "two are marked, and neither is ours")
	require.Empty(t, b.Payer(t))
}

// TestPayerOfATestAccountIsNeverCreated: whatever the rows say.
func TestPayerOfATestAccountIsNeverCreated(t *testing.T) {
	t.Parallel()
	b := pipelinetest.NewBill(t, pipelinetest.NewLedger(t))
	b.WantPayer(t, "Acme Inc.", payerMail)
	s := b.NewProcess(t)
	s.Book = testBook{s.Book}
	_, err := s.EnsurePayer(t.Context(), b.Plan.CycleID)
	require.Equal(t, "test_mode_write", fault.CodeOf(err))
	require.Empty(t, b.Requests())
}

const setupDone = "https://vendor.example/thanks"

// charged is a bill whose payer has no payment method yet.
func charged(t *testing.T, l *pipelinetest.Ledger) *pipelinetest.Bill {
	t.Helper()
	return pipelinetest.NewBill(t, l, func(b *pipelinetest.Bill) {
		b.Plan.CollectionMethod, b.Plan.DaysUntilDue = billing.ChargeAutomatically, 0
		b.Seal()
	})
}

// TestSetupLink: without a payment method nothing is posted; a person asks for a page and
// sends it; what the payer enters becomes the default with the next run, which bills.
func TestSetupLink(t *testing.T) {
	t.Parallel()
	b := charged(t, pipelinetest.NewLedger(t))
	_, err := b.Ledger.SQL.Exec(t.Context(), `INSERT INTO contracts (id, account_id, environment, version, terms, terms_hash, time_zone, close_lag_days, first_period, effective_from, created_at)
		VALUES ($1 || '-second', $1, 'live', 2, '{"currency":"usd"}', '', 'UTC', 3, '2026-10', '2026-11', now())`, b.Plan.AccountID)
	require.NoError(t, err)
	waits := func() {
		b.Fake.ResetRequests()
		out, err := b.Drive(t, nil)
		require.NoError(t, err)
		require.Equal(t, []any{billing.Blocked, billing.UnmetPayerMethod}, []any{out.State, out.Reason})
		for _, r := range b.Requests() {
			require.Equal(t, http.MethodGet, r.Method)
		}
		b.Repropose(t)
	}
	waits()
	s := b.NewProcess(t)
	ask := invoicing.SetupRequest{AccountID: b.Plan.AccountID, SuccessURL: setupDone}
	link, err := s.SetupLink(t.Context(), access.Operator("kim"), ask)
	require.NoError(t, err)
	require.Equal(t, b.Plan.Key.Customer, link.Customer)
	again, err := s.SetupLink(t.Context(), access.Operator("kim"), ask)
	require.NoError(t, err)
	require.Equal(t, link, again, "the page that is still open")
	waits()
	require.NoError(t, b.Fake.Advance(25*time.Hour))
	fresh, err := s.SetupLink(t.Context(), access.Operator("kim"), ask)
	require.NoError(t, err)
	require.NotEqual(t, link.URL, fresh.URL, "the first one has expired")
	waits()
	require.NoError(t, b.CompleteSetup(t, fresh.URL))
	_, err = b.Drive(t, nil)
	require.NoError(t, err)
	require.Equal(t, "invoiced", b.Books(t).Cycle)
	// Beside the invoice's own requests there is the one that the payer's action called for.
	require.Equal(t, []audit.Finding{{Kind: audit.Strange, Text: "POST /v1/customers/" + b.Plan.Key.Customer}}, b.Audit(t))
	_, err = s.SetupLink(t.Context(), access.Operator("kim"), ask)
	require.Equal(t, "payment_method_present", fault.CodeOf(err))
}

func TestSetupLinkRefusals(t *testing.T) {
	t.Parallel()
	l := pipelinetest.NewLedger(t)
	b := charged(t, l)
	s := b.NewProcess(t)
	for code, change := range map[string]func(*invoicing.SetupRequest){
		"url_malformed":     func(in *invoicing.SetupRequest) { in.SuccessURL = "http://vendor.example" },
		"account_not_found": func(in *invoicing.SetupRequest) { in.AccountID = "nobody" },
	} {
		in := invoicing.SetupRequest{AccountID: b.Plan.AccountID, SuccessURL: setupDone}
		change(&in)
		_, err := s.SetupLink(t.Context(), access.Operator("kim"), in)
		require.Equal(t, code, fault.CodeOf(err))
	}
	ask := invoicing.SetupRequest{AccountID: b.Plan.AccountID, SuccessURL: setupDone}
	dry := b.NewProcess(t)
	dry.Book = testBook{dry.Book}
	_, err := dry.SetupLink(t.Context(), access.Operator("kim"), ask)
	require.Equal(t, "dry_run", fault.CodeOf(err))
	reader := b.NewProcess(t)
	reader.Setups = nil
	_, err = reader.SetupLink(t.Context(), access.Operator("kim"), ask)
	require.Equal(t, "live_writes_off", fault.CodeOf(err))
	require.Empty(t, b.Requests())
	b.Operator(t, http.MethodDelete, "/v1/customers/"+b.Plan.Key.Customer, nil)
	_, err = s.SetupLink(t.Context(), access.Operator("kim"), ask)
	require.Equal(t, billing.HumanPayerDeleted, fault.CodeOf(err))
	_, err = l.SQL.Exec(t.Context(), `UPDATE accounts SET payer_customer = NULL WHERE id = $1`, b.Plan.AccountID)
	require.NoError(t, err)
	_, err = s.SetupLink(t.Context(), access.Operator("kim"), ask)
	require.Equal(t, billing.UnmetPayerMissing, fault.CodeOf(err))
	for _, r := range b.Requests() {
		require.Equal(t, http.MethodGet, r.Method)
	}
}
