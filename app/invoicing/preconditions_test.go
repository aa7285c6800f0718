package invoicing_test

import (
	"context"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/httpapi"
	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/app/measure"
	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/period"
	"github.com/liftbill/liftbill/internal/pipelinetest"
)

// walk is one real cycle, measured and not yet proposed, that meets one unmet
// precondition after the other.
type walk struct {
	t *testing.T
	d *pipelinetest.Deployment
	c *pipelinetest.Company
}

func (w *walk) sql(text string, args ...any) {
	w.t.Helper()
	_, err := w.d.SQL.Exec(w.t.Context(), text, args...)
	require.NoError(w.t, err)
}

func (w *walk) operator(method, path string, form url.Values) map[string]any {
	w.t.Helper()
	return w.d.Operator(w.t, w.c, method, path, form)
}

func (w *walk) live(change httpapi.GoLiveChange) {
	w.t.Helper()
	w.d.Post(w.t, "/v1/accounts/"+w.c.ID+"/go-live", change, nil)
}

// run takes the cycle as far as it goes, as the workflow does.
func (w *walk) run() invoicing.Outcome {
	w.t.Helper()
	s := w.d.Invoicing()
	out, err := s.Draft(w.t.Context(), w.c.CycleID())
	require.NoError(w.t, err)
	if out.State == billing.Blocked && out.Reason == billing.UnmetPayerWanted {
		if out, err = s.EnsurePayer(w.t.Context(), w.c.CycleID()); err != nil || !out.Redo {
			require.NoError(w.t, err)
			return out
		}
		out, err = s.Draft(w.t.Context(), w.c.CycleID())
		require.NoError(w.t, err)
	}
	if out.State == billing.AwaitingApproval { // whatever else was missing is met
		w.d.Approve(w.t, w.c.CycleID())
		out, err = s.Draft(w.t.Context(), w.c.CycleID())
		require.NoError(w.t, err)
	}
	for _, step := range []func(context.Context, string) (invoicing.Outcome, error){s.EnsureDraft, s.EnsureLines, s.Finalize} {
		if out.State != billing.Writing {
			return out
		}
		out, err = step(w.t.Context(), w.c.CycleID())
		require.NoError(w.t, err)
	}
	return out
}

func (w *walk) newKey(spec stripefake.KeySpec) string {
	w.t.Helper()
	spec.Account, spec.Mode, spec.Restricted = w.c.IssuerID, stripefake.Live, true
	made, err := w.d.Fake.AddKey(spec)
	require.NoError(w.t, err)
	return made.Secret
}

// spoil puts another key into the issuer, as if its own had become that.
func (w *walk) spoil(spec stripefake.KeySpec) {
	w.t.Helper()
	sealed, err := w.d.Box.Seal(onboard.KeyContext(w.c.ID+"-stripe"), []byte(w.newKey(spec)))
	require.NoError(w.t, err)
	w.sql(`UPDATE connections SET sealed_key = $1 WHERE id = $2`, sealed, w.c.ID+"-stripe")
}

// replaceKey gives the issuer a good key, as a person does.
func (w *walk) replaceKey() {
	w.t.Helper()
	w.connection("/key", httpapi.KeyReplace{SecretKey: w.newKey(stripefake.KeySpec{Permissions: writer})})
}

func (w *walk) name(in httpapi.PayerName) {
	w.t.Helper()
	in.Reason = "walk"
	w.d.Post(w.t, "/v1/accounts/"+w.c.ID+"/payer", in, nil)
}

func (w *walk) connection(path string, in any) {
	w.t.Helper()
	w.d.Post(w.t, "/v1/connections/"+w.c.ID+"-stripe"+path, in, nil)
}

var writer = map[string]string{"*": "read", "invoice": "write", "invoiceitem": "write", "customer": "write", "checkout_session": "write"}

// unmetOne makes one precondition unmet and takes it back.
type unmetOne struct{ make, mend func(w *walk, payer string) }

func situations() map[string]unmetOne {
	return map[string]unmetOne{
		billing.UnmetIssuerMissing: {
			func(w *walk, _ string) {
				w.sql(`UPDATE accounts SET issuer_connection = NULL, payer_customer = NULL WHERE id = $1`, w.c.ID)
			},
			func(w *walk, payer string) {
				w.sql(`UPDATE accounts SET issuer_connection = $1, payer_customer = $2 WHERE id = $3`, w.c.ID+"-stripe", payer, w.c.ID)
			},
		},
		billing.UnmetIssuerPaused: {
			func(w *walk, _ string) { w.connection("/pause", httpapi.PauseRequest{Reason: "walk"}) },
			func(w *walk, _ string) { w.connection("/resume", nil) },
		},
		billing.UnmetWriteBackOff: {
			func(w *walk, _ string) { w.connection("/writing", httpapi.WritingSwitch{Reason: "walk"}) },
			func(w *walk, _ string) {
				w.connection("/writing", httpapi.WritingSwitch{On: true, Reason: "walk"})
			},
		},
		billing.UnmetWritingClosed: {
			func(w *walk, _ string) { w.live(httpapi.GoLiveChange{Reason: "walk"}) },
			func(w *walk, _ string) { w.live(httpapi.GoLiveChange{Open: true, Override: true, Reason: "walk"}) },
		},
		billing.UnmetIssuerKeyRefused: {
			func(w *walk, _ string) { w.spoil(stripefake.KeySpec{Revoked: true}) },
			func(w *walk, _ string) { w.replaceKey() },
		},
		billing.UnmetIssuerPermission: {
			func(w *walk, _ string) {
				w.spoil(stripefake.KeySpec{Permissions: map[string]string{"invoice": "write"}})
			},
			func(w *walk, _ string) { w.replaceKey() },
		},
		billing.UnmetPayerMissing: {
			func(w *walk, _ string) { w.sql(`UPDATE accounts SET payer_customer = NULL WHERE id = $1`, w.c.ID) },
			func(w *walk, payer string) { w.name(httpapi.PayerName{Customer: payer}) },
		},
		billing.UnmetPayerAmbiguous: {
			func(w *walk, _ string) {
				w.operator(http.MethodPost, "/v1/customers", url.Values{"email": {"shared@example.com"}})
				w.name(httpapi.PayerName{Name: "Acme", Email: "shared@example.com"})
			},
			func(w *walk, payer string) { w.name(httpapi.PayerName{Customer: payer}) },
		},
		billing.UnmetPayerBilled: {
			func(w *walk, payer string) {
				w.sql(`INSERT INTO cycles (id, account_id, environment, period, period_start, period_end, contract_id, plan_id, state, opened_at, updated_at)
					SELECT 'borealis.2026-10', 'borealis', 'live', period, period_start, period_end, (SELECT id FROM contracts WHERE account_id = 'borealis'), (SELECT id FROM measurement_plans WHERE account_id = 'borealis'), 'writing', opened_at, updated_at FROM cycles WHERE id = $1`, w.c.CycleID())
				w.sql(`INSERT INTO cycle_decisions (id, cycle_id, number, environment, plan_hash, total_minor, action, actor_kind, actor_id, actor_name, person, reason, at)
					VALUES ('rival', 'borealis.2026-10', 1, 'live', '', 1, 'approve', 'user', 'usr_ada', 'Ada', 'ada', '', now())`)
				w.sql(`INSERT INTO writeback_intents (id, cycle_id, environment, livemode, account_id, issuer_connection, customer, currency, period, part, plan_hash, total_minor, state, created_at, updated_at)
					VALUES ('rival', 'borealis.2026-10', 'live', true, 'borealis', $1, $2, 'eur', '2026-10', '1/1', '', 1, 'planned', now(), now())`, w.c.ID+"-stripe", payer)
			},
			func(w *walk, _ string) { w.sql(`DELETE FROM writeback_intents WHERE id = 'rival'`) },
		},
		billing.UnmetPayerEmail: {
			func(w *walk, payer string) {
				w.operator(http.MethodPost, "/v1/customers/"+payer, url.Values{"email": {""}})
			},
			func(w *walk, payer string) {
				w.operator(http.MethodPost, "/v1/customers/"+payer, url.Values{"email": {"a@b.example"}})
			},
		},
	}
}

// elsewhere are the preconditions that other tests show, with what they need.
var elsewhere = []string{
	billing.UnmetMaximum,      // TestTooLargeForStripe of adapters/postgres: a proposal keeps its lines, so nothing mends it
	billing.UnmetPayerWanted,  // TestPayerIsCreatedOnce: met by the cycle itself
	billing.UnmetPayerMethod,  // TestSetupLink: the contract charges automatically
	billing.UnmetPayerChanged, // TestCustomerDeleted: after a person resumed the cycle
}

// TestEveryUnmetPreconditionPostsNothing walks one real cycle through them: each has its
// reason, a next action in the API, and not one request that could change anything at
// Stripe. When all are met the very same cycle is invoiced.
func TestEveryUnmetPreconditionPostsNothing(t *testing.T) {
	t.Parallel()
	d, companies := pipelinetest.LiveMonth(t)
	w := &walk{t: t, d: d, c: companies[0]}
	m, err := period.Parse(pipelinetest.Month)
	require.NoError(t, err)
	ms := d.Measure()
	cy, err := ms.Open(t.Context(), w.c.ID, m, "walk")
	require.NoError(t, err)
	quiet := measure.Progress(func(int, int, string) {})
	_, err = ms.Collect(t.Context(), cy.CycleID, quiet)
	require.NoError(t, err)
	_, err = ms.Estimate(t.Context(), cy.CycleID, quiet)
	require.NoError(t, err)
	var payer string
	require.NoError(t, d.SQL.QueryRow(t.Context(), `SELECT payer_customer FROM accounts WHERE id = $1`, w.c.ID).Scan(&payer))

	all, covered := situations(), map[string]bool{}
	for _, code := range elsewhere {
		covered[code] = true
	}
	for _, u := range billing.Unmet() {
		s, ok := all[u.Code]
		require.True(t, ok || covered[u.Code], "nothing shows %s", u.Code)
		if !ok {
			continue
		}
		s.make(w, payer)
		d.Fake.ResetRequests()
		for range 2 { // also when it is tried again
			out := w.run()
			require.Equal(t, []any{billing.Blocked, u.Code}, []any{out.State, out.Reason})
		}
		require.Empty(t, d.Fake.Requests(stripefake.RequestFilter{Method: "write"}), u.Code)
		var tie httpapi.TieOut
		d.Get(t, "/v1/cycles/"+w.c.CycleID(), &tie)
		require.Equal(t, []string{"blocked", u.Code, u.Next}, []string{tie.Cycle.State, tie.Cycle.Reason, tie.Cycle.NextAction})
		s.mend(w, payer)
	}
	require.Equal(t, billing.Invoiced, w.run().State)
	var tie httpapi.TieOut
	d.Get(t, "/v1/cycles/"+w.c.CycleID(), &tie)
	require.Equal(t, []any{"invoice", 0}, []any{tie.TieOut.Kind, tie.TieOut.Breaks})
	require.True(t, tie.RequiresPerson, "the switch was opened by an override, and it is the first")
	require.Equal(t, "open", tie.Cycle.Payment.Status)
}
