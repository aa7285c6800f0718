package accountbill_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	tlog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"

	"github.com/liftbill/liftbill/adapters/httpapi"
	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/internal/campaign/pgledger"
	"github.com/liftbill/liftbill/internal/pipelinetest"
	"github.com/liftbill/liftbill/workflows/accountbill"
	"github.com/liftbill/liftbill/workflows/wire"
)

// newEnvironment is a Temporal of the test's own: time skips, nothing is logged.
func newEnvironment() *testsuite.TestWorkflowEnvironment {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(tlog.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestWorkflowEnvironment()
	env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: time.Minute}) // a busy machine is no deadlock
	env.SetTestTimeout(5 * time.Minute)                                         // the limit is in real time, and the activities are real
	return env
}

// registered is one with the real activities.
func registered(d *pipelinetest.Deployment) *testsuite.TestWorkflowEnvironment {
	env := newEnvironment()
	measure, inv := d.Measure(), d.Invoicing()
	accountbill.RegisterLedger(env, &accountbill.LedgerActivities{Measure: measure, Drafting: inv, Deciding: d.Deciding()})
	accountbill.RegisterCompute(env, &accountbill.ComputeActivities{Measure: measure, TrueUps: d.TrueUps()})
	accountbill.RegisterStripeLive(env, &accountbill.StripeActivities{Writing: inv})
	return env
}

// runBill runs the workflow of an account with the real activities. Somebody approves what
// waits for it: a first invoice always does.
func runBill(t *testing.T, d *pipelinetest.Deployment, c *pipelinetest.Company) wire.BillStep {
	t.Helper()
	out, err := runBillErr(t, d, c)
	require.NoError(t, err, c.ID)
	return out
}

func runBillErr(t *testing.T, d *pipelinetest.Deployment, c *pipelinetest.Company) (out wire.BillStep, err error) {
	t.Helper()
	env := registered(d)
	env.RegisterDelayedCallback(func() { d.Approve(t, c.CycleID()) }, time.Minute)
	env.ExecuteWorkflow(wire.WorkflowAccountBill, wire.BillInput{Environment: c.Environment, AccountID: c.ID, Period: pipelinetest.Month})
	require.True(t, env.IsWorkflowCompleted())
	if err := env.GetWorkflowError(); err != nil {
		return out, err
	}
	return out, env.GetWorkflowResult(&out)
}

// stripeInvoice is an outcome invoice as Stripe shows it.
type stripeInvoice struct {
	ID       string            `json:"id"`
	Status   string            `json:"status"`
	Total    int64             `json:"total"`
	Number   string            `json:"number"`
	Metadata map[string]string `json:"metadata"`
	Lines    struct {
		Data []struct {
			Amount   int64             `json:"amount"`
			Metadata map[string]string `json:"metadata"`
		} `json:"data"`
	} `json:"lines"`
}

// outcomeInvoices are the invoices at the issuer that bill the account's outcome.
func outcomeInvoices(t *testing.T, d *pipelinetest.Deployment, c *pipelinetest.Company) []stripeInvoice {
	t.Helper()
	state, err := d.Fake.State(c.IssuerID, c.Environment.String())
	require.NoError(t, err)
	var out []stripeInvoice
	for _, raw := range state["invoices"] {
		var in stripeInvoice
		require.NoError(t, json.Unmarshal(raw, &in))
		if in.Metadata["lb_account"] == c.ID {
			out = append(out, in)
		}
	}
	return out
}

// TestMonthFromWebhooksToInvoice is the main path on real parts: onboarding and
// decisions through the API, webhooks over HTTP, and the workflow with its real
// activities on PostgreSQL and a Stripe stand-in.
func TestMonthFromWebhooksToInvoice(t *testing.T) {
	t.Parallel()
	d, companies := pipelinetest.LiveMonth(t)
	require.Positive(t, d.Fake.Webhooks().Sent)
	first := map[string]wire.BillStep{}
	for _, c := range companies {
		first[c.ID] = runBill(t, d, c)
		if c.Environment == account.Test {
			require.Equal(t, billing.DryRun, first[c.ID].State)
			require.Empty(t, outcomeInvoices(t, d, c))
			continue
		}
		requireInvoice(t, d, c, first[c.ID])
	}
	requireTestAccountUntouched(t, d, companies[2])

	d.Fake.ResetRequests()
	for _, c := range companies {
		again := runBill(t, d, c)
		require.Equal(t, first[c.ID].State, again.State)
		if c.Environment == account.Live {
			require.Len(t, outcomeInvoices(t, d, c), 1)
		}
	}
	require.Empty(t, d.Fake.Requests(stripefake.RequestFilter{Method: "write"}), "a second run writes nothing")
	requireNothingForATestAccount(t, d, companies[2])
}

// requireNothingForATestAccount lets somebody with the console and somebody with SQL try
// to bill a test account: nothing is ever posted.
func requireNothingForATestAccount(t *testing.T, d *pipelinetest.Deployment, c *pipelinetest.Company) {
	t.Helper()
	// A live run for it, started from the console.
	lie := *c
	lie.Environment = account.Live
	require.Equal(t, billing.DryRun, runBill(t, d, &lie).State)
	// The writing steps themselves.
	steps := d.Invoicing()
	for _, step := range []func(context.Context, string) (invoicing.Outcome, error){steps.EnsurePayer, steps.EnsureDraft, steps.EnsureLines, steps.Finalize} {
		out, err := step(t.Context(), c.CycleID())
		require.True(t, err != nil || out.Redo, "it has a payer, but no intent: %v", out)
	}
	// Flipped by SQL, as far as the database lets anybody.
	_, err := d.SQL.Exec(t.Context(), `UPDATE accounts SET environment = 'live' WHERE id = $1`, c.ID)
	require.ErrorContains(t, err, "violates foreign key constraint")
	// Flipped by a superuser who has switched all rules off.
	flip(t, d, c)
	require.Error(t, failed(runBillErr(t, d, &lie)), "its plan is a test plan")
	for _, err := range []error{failed(steps.EnsurePayer(t.Context(), c.CycleID())), failed(steps.EnsureDraft(t.Context(), c.CycleID()))} {
		require.ErrorContains(t, err, "do not belong to one environment")
	}
	require.Empty(t, d.Fake.Requests(stripefake.RequestFilter{Method: "write"}))
}

func failed[T any](_ T, err error) error { return err }

// flip makes everything of a test account live, behind the back of every rule, with an
// intent that waits to be carried out and a payer that is to be created.
func flip(t *testing.T, d *pipelinetest.Deployment, c *pipelinetest.Company) {
	t.Helper()
	conn, err := d.SQL.Acquire(t.Context())
	require.NoError(t, err)
	defer conn.Release()
	for _, sql := range []string{
		`SET session_replication_role = replica`,
		`UPDATE connections SET environment = 'live' WHERE id = '` + c.ID + `-stripe'`,
		`UPDATE accounts SET environment = 'live', payer_customer = NULL WHERE id = '` + c.ID + `'`,
		`UPDATE contracts SET environment = 'live' WHERE account_id = '` + c.ID + `'`,
		`UPDATE measurement_plans SET environment = 'live' WHERE account_id = '` + c.ID + `'`,
		`UPDATE policy_snapshots SET environment = 'live' WHERE account_id = '` + c.ID + `'`,
		`UPDATE readouts SET environment = 'live' WHERE account_id = '` + c.ID + `'`,
		`UPDATE cycle_lines SET environment = 'live' WHERE cycle_id = '` + c.CycleID() + `'`,
		`UPDATE cycle_charges SET environment = 'live' WHERE cycle_id = '` + c.CycleID() + `'`,
		`UPDATE invoices SET environment = 'live' WHERE cycle_id = '` + c.CycleID() + `'`,
		`UPDATE cycles SET environment = 'live', state = 'writing' WHERE id = '` + c.CycleID() + `'`,
		`INSERT INTO live_writing (account_id, environment, open, basis, reason, checklist, changed_by, changed_at)
			VALUES ('` + c.ID + `', 'live', true, 'override', 'flipped', '[]', 'flip', now())`,
		`SET session_replication_role = DEFAULT`,
	} {
		_, err := conn.Exec(t.Context(), sql)
		require.NoError(t, err, sql)
	}
	email, err := d.Box.Seal(onboard.PayerContext(c.ID), []byte("cedar@example.com"))
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), `INSERT INTO payer_wishes (account_id, environment, name, sealed_email, created_at) VALUES ($1, 'live', 'Cedar', $2, now())`, c.ID, email)
	require.NoError(t, err)
	var doc string
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT plan FROM invoices WHERE cycle_id = $1`, c.CycleID()).Scan(&doc))
	var plan billing.InvoicePlan
	require.NoError(t, json.Unmarshal([]byte(doc), &plan))
	k := plan.Key
	_, err = conn.Exec(t.Context(), pgledger.ApprovedSQL, c.CycleID(), "live", plan.Hash(), plan.TotalMinor(), d.Clock.Now())
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), `INSERT INTO writeback_intents (id, cycle_id, environment, livemode, account_id, issuer_connection, customer, currency, period, part,
			plan_hash, total_minor, state, created_at, updated_at) VALUES ($1, $2, 'live', true, $3, $4, $5, $6, $7, $8, $9, $10, 'planned', now(), now())`,
		k.ID(), c.CycleID(), c.ID, k.IssuerConnection, k.Customer, k.Currency, k.Period, k.Part, plan.Hash(), plan.TotalMinor())
	require.NoError(t, err)
}

// requireInvoice checks the account's one invoice, at Stripe and in the tie-out.
func requireInvoice(t *testing.T, d *pipelinetest.Deployment, c *pipelinetest.Company, step wire.BillStep) {
	t.Helper()
	require.Equal(t, billing.Invoiced, step.State, step.Reason)
	invoices := outcomeInvoices(t, d, c)
	require.Len(t, invoices, 1)
	inv := invoices[0]
	require.Equal(t, "open", inv.Status)
	require.NotEmpty(t, inv.Number)
	require.Equal(t, step.TotalMinor, inv.Total)
	require.Len(t, inv.Lines.Data, 1, "only what passed is billed")

	var tie httpapi.TieOut
	d.Get(t, "/v1/cycles/"+c.CycleID(), &tie)
	require.Equal(t, "invoiced", tie.Cycle.State)
	require.NotEmpty(t, tie.Cycle.Difference.Currency, "the difference was taken")
	require.Zero(t, tie.Cycle.Difference.Minor)
	require.Equal(t, inv.Total, tie.Cycle.EngineTotal.Minor)
	require.Equal(t, c.Business.NetMinor(c.Business.Spec().Months[0]), tie.PaidRevenue.Minor, "every cent that the business took is accounted for")
	require.Len(t, tie.Lines, 3)
	var fees int64
	for _, l := range tie.Lines {
		fees += l.Fee.Minor
		if l.SnapshotID == pipelinetest.Positive {
			require.Equal(t, "passed", l.Verdict)
			require.Contains(t, strings.Split(inv.Metadata["lb_readouts_1"], ","), l.CaseID)
			require.Equal(t, l.CaseID, inv.Lines.Data[0].Metadata["lb_readout"])
			continue
		}
		require.Equal(t, "withheld", l.Verdict, l.SnapshotID)
		require.Zero(t, l.Fee.Minor)
		require.Contains(t, []string{string(lift.CodeLCBNotPositive), string(lift.CodeNegativeLift)}, l.HeadlineCode, "%s: %s", l.SnapshotID, l.Explanation)
	}
	require.Equal(t, inv.Total, fees)
}

// requireTestAccountUntouched reads Stripe's own log of what liftbill's key did.
func requireTestAccountUntouched(t *testing.T, d *pipelinetest.Deployment, c *pipelinetest.Company) {
	t.Helper()
	var reads, registrations int
	for _, r := range d.Fake.Requests(stripefake.RequestFilter{Account: c.StripeID}) {
		switch {
		case r.KeyID != c.KeyID:
		case r.Method == http.MethodGet:
			reads++
		default:
			require.Equal(t, "POST /v1/webhook_endpoints", r.Method+" "+r.Path)
			if r.Status == http.StatusOK { // the first try names events that this version refuses
				registrations++
			}
		}
	}
	require.Positive(t, reads)
	require.Equal(t, 1, registrations)
}
