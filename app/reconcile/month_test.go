package reconcile_test

import (
	"context"
	"encoding/csv"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/httpapi"
	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/recon"
	"github.com/liftbill/liftbill/internal/httpclient"
	"github.com/liftbill/liftbill/internal/pipelinetest"
)

// doctored shows what Stripe's stand-in cannot make: tax, and lines that were changed
// after an invoice was finalized.
type doctored struct {
	reconcile.Stripe
	taxed string
}

func (s doctored) ReconPage(ctx context.Context, connectionID string, kind recon.Kind, from, to time.Time, after string) (reconcile.ObjectPage, error) {
	page, err := s.Stripe.ReconPage(ctx, connectionID, kind, from, to, after)
	for i := range page.Objects {
		if o := &page.Objects[i]; o.ID == s.taxed {
			o.NetMinor, o.TaxMinor = o.NetMinor-190, 190
		}
	}
	return page, err
}

func (s doctored) Issued(ctx context.Context, connectionID, customer, key, invoiceID string) ([]recon.Issued, []recon.PendingItem, error) {
	issued, pending, err := s.Stripe.Issued(ctx, connectionID, customer, key, invoiceID)
	for i := range issued {
		if inv := &issued[i]; inv.ID == invoiceID {
			again := inv.Lines[0]
			again.ID = "il_again"
			inv.Lines = append(inv.Lines, again, recon.IssuedLine{ID: "il_foreign", AmountMinor: 40})
			inv.NetMinor, inv.TotalMinor = inv.NetMinor+again.AmountMinor+40, inv.TotalMinor+again.AmountMinor+40
		}
	}
	return issued, pending, err
}

// sweep removes the orphans as the write-back does.
func (p *planted) sweep(context.Context, string) error {
	for _, path := range p.orphans {
		req, err := http.NewRequest(http.MethodDelete, p.Fake.URL+path, http.NoBody)
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+p.acme.Operator)
		res, err := p.Fake.Client.Do(req)
		if err != nil {
			return err
		}
		if err := res.Body.Close(); err != nil || res.StatusCode >= 300 {
			return fmt.Errorf("%s: %s %w", path, res.Status, err)
		}
	}
	return nil
}

func (p *planted) reconciler() *reconcile.Reconciler {
	r := p.Reconciler()
	r.Stripe, r.Sweep, r.Clock = doctored{r.Stripe, p.taxed}, p.sweep, clock.Fixed(p.Clock.Now().Add(60*time.Hour))
	return r
}

// breaks lists all breaks of an account through the API.
func (p *planted) breaks(t *testing.T, query string) []httpapi.Break {
	t.Helper()
	var out []httpapi.Break
	for cursor := ""; ; {
		var page httpapi.BreakList
		p.Get(t, "/v1/breaks?limit=3&"+query+"&cursor="+url.QueryEscape(cursor), &page)
		out = append(out, page.Items...)
		if cursor = page.NextCursor; cursor == "" {
			return out
		}
	}
}

// TestEveryBreakOnceAndAMonthThatTiesOut plants every type of break in the month of three
// accounts. Each is found exactly once with its amount, by a second run as well; after
// repairs and resolutions nothing remains, by the use case, the API, the table and the pages alike.
func TestEveryBreakOnceAndAMonthThatTiesOut(t *testing.T) {
	t.Parallel()
	p := plant(t)
	r := p.reconciler()
	types := map[recon.Type]bool{}
	for _, c := range []*pipelinetest.Company{p.acme, p.borealis, p.cedar} {
		out, err := r.Reconcile(t.Context(), machine, c.ID, pipelinetest.Month, func(string) {})
		require.NoError(t, err)
		require.Zero(t, out.Refused)
		got := map[recon.Type]int64{}
		for _, b := range p.breaks(t, "account="+c.ID) {
			typ := recon.Type(b.Type)
			require.NotContains(t, got, typ, "%s: %s twice: %s", c.ID, typ, b.Detail)
			got[typ], types[typ] = b.AtStake.Minor, true
			rule, _ := recon.RuleOf(typ)
			require.Equal(t, string(rule.Effect), b.Effect)
		}
		require.Equal(t, p.want[c.ID], got, c.ID)
		p.requirePage(t, c)
		for _, l := range tieOut(t, r, c).TieOut.Lines {
			require.Zero(t, l.UnfoundMinor, "%s %+v", c.ID, l)
		}
	}
	p.requireCoverage(t)
	for _, rule := range recon.Rules() {
		require.True(t, types[rule.Type], "%s was not planted", rule.Type)
	}
	for _, c := range []*pipelinetest.Company{p.acme, p.borealis, p.cedar} {
		p.settle(t, r, c)
	}
}

// settle repairs what can be repaired and has two persons explain the rest.
func (p *planted) settle(t *testing.T, r *reconcile.Reconciler, c *pipelinetest.Company) {
	t.Helper()
	again, err := r.Reconcile(t.Context(), machine, c.ID, pipelinetest.Month, func(string) {})
	require.NoError(t, err)
	require.Zero(t, again.Fresh, "a second run finds the same breaks")
	require.NoError(t, p.DrainAll(t.Context(), c.ID+"-stripe"))
	_, err = r.Reconcile(t.Context(), machine, c.ID, pipelinetest.Month, func(string) {})
	require.NoError(t, err)
	for _, b := range p.breaks(t, "account="+c.ID) {
		rule, _ := recon.RuleOf(recon.Type(b.Type))
		require.Equal(t, rule.Repair != recon.NoRepair, b.State == "auto_repaired", "%s is %s", b.Type, b.State)
		path := "/v1/breaks/" + b.ID
		switch {
		case b.State == "auto_repaired":
		case rule.Severity == recon.Critical:
			p.Post(t, path+"/request-force", httpapi.BreakResolve{Reason: "accepted", Text: "planted by a test"}, nil)
			p.PostAs(t, pipelinetest.SecondPerson, path+"/force", httpapi.BreakForce{Agree: true, Text: "seen"}, &b)
			require.Equal(t, httpapi.BreakState("forced"), b.State)
		default:
			p.Post(t, path+"/resolve", httpapi.BreakResolve{Reason: "explained", Text: "planted by a test"}, &b)
			require.Equal(t, httpapi.BreakState("resolved"), b.State)
		}
	}
	require.Empty(t, p.breaks(t, "pending=true&account="+c.ID))
	_, err = r.Reconcile(t.Context(), machine, c.ID, pipelinetest.Month, func(string) {})
	require.NoError(t, err)
	require.Empty(t, p.breaks(t, "pending=true&account="+c.ID), "what was explained stays explained")
	p.requireTies(t, r, c)
	p.requirePage(t, c)
	p.requireTiesOnThePage(t, c, tieOut(t, r, c).TieOut.Lines)
	p.requireFigures(t, r, c)
	p.close(t, r, c)
}

// requireFigures: a comparison has counted the account once, and once only on a day.
func (p *planted) requireFigures(t *testing.T, r *reconcile.Reconciler, c *pipelinetest.Company) {
	t.Helper()
	tag, err := p.SQL.Exec(t.Context(), `UPDATE account_figures SET at = at - interval '1 day', decisions = 0 WHERE account_id = $1`, c.ID)
	require.NoError(t, err)
	require.EqualValues(t, 1, tag.RowsAffected(), "the first comparison has counted")
	_, err = r.Reconcile(t.Context(), machine, c.ID, pipelinetest.Month, func(string) {})
	require.NoError(t, err)
	var a httpapi.AccountDetail
	p.Get(t, "/v1/accounts/"+c.ID, &a)
	f := a.Account.Figures
	require.Positive(t, a.Decisions)
	require.Equal(t, a.Decisions, f.Decisions)
	var mrr string
	var unknown int
	require.NoError(t, p.SQL.QueryRow(t.Context(), `SELECT coalesce(sum(mrr_minor), 0)::text, count(*) FILTER (WHERE mrr_minor IS NULL) FROM stripe_subscriptions
		WHERE connection_id = $1 AND status IN ('active', 'past_due') AND currency = 'usd'`, c.ID+"-stripe").Scan(&mrr, &unknown))
	i := slices.IndexFunc(f.Worth, func(w httpapi.Worth) bool { return w.Currency == "usd" })
	require.GreaterOrEqual(t, i, 0)
	want, err := decimal.NewFromString(mrr)
	require.NoError(t, err)
	require.True(t, want.IsPositive())
	require.Equal(t, []any{want.String(), want.Mul(decimal.NewFromInt(12)).String(), unknown}, []any{f.Worth[i].Mrr, f.Worth[i].Arr, f.Worth[i].Unknown})
	if c != p.borealis {
		tie, err := p.Reconcile().TieOut(t.Context(), c.CycleID())
		require.NoError(t, err)
		require.Equal(t, tie.PaidRevenueMinor, f.Revenue.Minor)
		require.Equal(t, pipelinetest.Month, f.RevenuePeriod)
	}
	_, err = p.SQL.Exec(t.Context(), `UPDATE account_figures SET decisions = 5 WHERE account_id = $1`, c.ID)
	require.NoError(t, err)
	_, err = r.Reconcile(t.Context(), machine, c.ID, pipelinetest.Month, func(string) {})
	require.NoError(t, err)
	p.Get(t, "/v1/accounts/"+c.ID, &a)
	require.EqualValues(t, 5, a.Account.Figures.Decisions, "not counted twice on a day")
}

// close closes the month through the API once its cycle is over, and somebody else opens it
// again; borealis was not billed.
func (p *planted) close(t *testing.T, r *reconcile.Reconciler, c *pipelinetest.Company) {
	t.Helper()
	path := "/v1/accounts/" + c.ID + "/months/" + pipelinetest.Month
	var m httpapi.Month
	p.Get(t, path, &m)
	require.Equal(t, httpapi.MonthState("open"), m.State)
	require.True(t, m.Ties)
	mine := access.Operator("pipeline") // as the API's caller
	if c == p.borealis {
		require.Equal(t, "cycle_not_over", m.Obstacle.Code)
		require.Equal(t, "cycle_not_over", fault.CodeOf(r.Close(t.Context(), mine, c.ID, pipelinetest.Month)))
		return
	}
	require.Empty(t, m.Obstacle.Code)
	p.Post(t, path+"/close", nil, &m)
	require.Equal(t, httpapi.MonthState("closed"), m.State)
	require.Equal(t, "month_closed", fault.CodeOf(r.Close(t.Context(), mine, c.ID, pipelinetest.Month)))
	require.Equal(t, "four_eyes", fault.CodeOf(r.ReopenMonth(t.Context(), mine, c.ID, pipelinetest.Month, "a late letter of the bank")))
	_, err := p.SQL.Exec(t.Context(), `INSERT INTO month_closes (account_id, environment, period, action, actor, person, reason, at) SELECT account_id, environment, period, 'reopened', actor, person, 'x', now() FROM month_closes WHERE account_id = $1`, c.ID)
	require.ErrorContains(t, err, "is not opened again by who closed it", "nor past the use case")
	p.PostAs(t, pipelinetest.SecondPerson, path+"/reopen", httpapi.MonthReopen{Reason: "a late letter of the bank"}, &m)
	require.Equal(t, httpapi.MonthState("reopened"), m.State)
	p.Post(t, path+"/close", nil, &m)
	require.Equal(t, []string{"closed cli:pipeline ", "reopened user:second a late letter of the bank", "closed cli:pipeline "}, historyOf(m))
	require.Equal(t, m.RunID, m.History[2].RunID)
	all, err := r.Closings(t.Context(), c.ID, pipelinetest.Month)
	require.NoError(t, err)
	require.Len(t, all, 3)
	cycle, err := p.Reconcile().TieOut(t.Context(), c.CycleID())
	require.NoError(t, err)
	require.Equal(t, "cli:pipeline", cycle.ClosedBy)
	require.Zero(t, cycle.OpenBreaks)
	var rows int
	require.NoError(t, p.SQL.QueryRow(t.Context(), `SELECT count(*) FROM audit_log WHERE action IN ('account.month_closed', 'account.month_reopened') AND object_id = $1`, c.ID).Scan(&rows))
	require.Equal(t, 3, rows)
}

func historyOf(m httpapi.Month) []string {
	var out []string
	for _, h := range m.History {
		out = append(out, fmt.Sprint(h.Action, " ", h.Actor, " ", h.Reason))
	}
	return out
}

// requireTies demands that nothing remains, whoever is asked.
func (p *planted) requireTies(t *testing.T, r *reconcile.Reconciler, c *pipelinetest.Company) {
	t.Helper()
	s := tieOut(t, r, c)
	require.True(t, s.Ties)
	require.Zero(t, s.Blocking)
	path := "/v1/accounts/" + c.ID + "/reconciliations/" + pipelinetest.Month
	var api httpapi.Reconciliation
	p.Get(t, path, &api)
	require.True(t, api.Ties)
	rows := p.table(t, path+"/tie-out.csv")
	require.Len(t, rows, len(s.TieOut.Lines))
	require.Len(t, api.Lines, len(s.TieOut.Lines))
	for i, l := range s.TieOut.Lines {
		a, row := api.Lines[i], rows[i]
		require.Zero(t, l.RemainingMinor)
		require.Zero(t, a.Remaining.Minor)
		require.Equal(t, "0.00", row["remaining"])
		require.Equal(t, []int64{l.LeftMinor, l.RightMinor, l.DifferenceMinor, l.ExplainedMinor}, []int64{a.Ledger.Minor, a.Stripe.Minor, a.Difference.Minor, a.Explained.Minor})
		require.Equal(t, fmt.Sprintf("%s %s %d %d %d", l.Line, l.Currency, l.LeftMinor, l.RightMinor, l.ExplainedMinor),
			fmt.Sprintf("%s %s %s %s %s", row["line"], row["currency"], row["ledger_minor"], row["stripe_minor"], row["explained_minor"]))
	}
	require.Len(t, p.table(t, "/v1/breaks.csv?account="+c.ID), len(p.want[c.ID])+currencies(p.breaks(t, "account="+c.ID)))
}

func currencies(all []httpapi.Break) int {
	seen := map[string]bool{}
	for _, b := range all {
		seen[b.AtStake.Currency] = true
	}
	return len(seen)
}

// table reads a CSV of the API by the names of its columns.
func (p *planted) table(t *testing.T, path string) []map[string]string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.URL+path, http.NoBody)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer pipeline")
	res, err := httpclient.New(time.Minute).Do(req)
	require.NoError(t, err)
	defer res.Body.Close() //nolint:errcheck // it was read
	require.Equal(t, "text/csv; charset=utf-8", res.Header.Get("Content-Type"))
	rows, err := csv.NewReader(res.Body).ReadAll()
	require.NoError(t, err)
	var out []map[string]string
	for _, row := range rows[1:] {
		m := map[string]string{}
		for i, name := range rows[0] {
			m[name] = row[i]
		}
		out = append(out, m)
	}
	return out
}

func tieOut(t *testing.T, r *reconcile.Reconciler, c *pipelinetest.Company) reconcile.Summary {
	t.Helper()
	s, err := r.Summary(t.Context(), c.ID, pipelinetest.Month)
	require.NoError(t, err)
	require.NotNil(t, s.Complete)
	return s
}
