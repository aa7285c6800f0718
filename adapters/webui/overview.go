package webui

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/liftbill/liftbill/app/operate"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/account"
)

// overviewView is what a person of finance looks at first.
type overviewView struct {
	reconcile.Board
	PeriodName string
	Standings  []standingView
	Waiting    []cycleRow
	Unpaid     []reconcile.InvoiceRow
	// Yours waits for the person who looks, the rest for anybody whose work it is.
	Yours      []yourRow
	Incomplete []accountRow
	// MoreYours and MoreIncomplete: there are more than are listed.
	MoreYours, MoreIncomplete bool
	Health                    []healthRow
	Troubled                  int // connections that need somebody
	WaitingN                  int
	Told                      told
	Nothing                   bool // no account yet
	CyclesURL                 string
	Accrued                   []accruedSum
}

// EventsOf is where the payments of an environment are listed: with its accounts.
func (overviewView) EventsOf(p *reconcile.Payments) string {
	return query("/accounts", "environment", string(p.Environment))
}

// Summed says until when payments were summed; empty is now.
func (overviewView) Summed(p *reconcile.Payments) string {
	if p.AsOf == nil {
		return ""
	}
	return ", summed at " + stamp(*p.AsOf)
}

// standingView is one environment and currency.
type standingView struct {
	reconcile.Standing
	CyclesURL, InvoicesURL, AccountsURL string
	// Coverage is the part of the paid revenue that belongs to a snapshot.
	Coverage              string
	OtherMinor            int64
	Success               string
	Payments              *reconcile.Payments
	Coverages, Successful bool
}

// healthRow is how the events of one connection flow.
type healthRow struct {
	operate.Health
	State         StateView
	Says          string
	Pending, Dead int64
	Age           string
	P50, P95, P99 string
	LogURL        string
}

func (s *Server) overview(c echo.Context) error {
	ctx, scope, now := c.Request().Context(), scopeOf(c), s.clock.Now()
	b, err := s.reconcile.Overview(ctx, scope, now)
	if err != nil {
		return err
	}
	accounts, err := s.reconcile.Accounts(ctx, scope)
	if err != nil {
		return err
	}
	incomplete, err := s.reconcile.AccountList(ctx, reconcile.AccountsFilter{Scope: scope, Incomplete: true, Limit: yoursLimit})
	if err != nil {
		return err
	}
	health, err := s.operate.Health(ctx, scope, "")
	if err != nil {
		return err
	}
	v := overviewView{Board: b, PeriodName: month(b.Period), Nothing: len(accounts) == 0, Unpaid: b.Unpaid, CyclesURL: query("/cycles", "period", b.Period)}
	if v.Told, err = s.told(c); err != nil {
		return err
	}
	v.Standings = standingsOf(b)
	if v.Accrued, err = s.openSums(c); err != nil {
		return err
	}
	for _, w := range b.Waiting {
		v.Waiting = append(v.Waiting, s.cycleRow(w))
	}
	for _, o := range incomplete.Items {
		v.Incomplete = append(v.Incomplete, accountRow{Overview: o, Missing: missing(o)})
	}
	v.MoreIncomplete = incomplete.NextCursor != ""
	if v.Yours, v.MoreYours, err = s.yours(c); err != nil {
		return err
	}
	for _, h := range health {
		row := healthOf(h, now)
		if row.State.Tone == "bad" {
			v.Troubled++
		}
		v.Health = append(v.Health, row)
	}
	v.WaitingN = len(v.Yours) + len(v.Waiting) + len(v.Unpaid) + len(v.Incomplete) + v.Troubled
	return s.render(c, http.StatusOK, "overview", frame{Title: "Overview", Active: "overview", Page: v})
}

// standingsOf puts the payments of an environment and currency beside its cycles. A
// currency with payments and without cycles is shown as well.
func standingsOf(b reconcile.Board) []standingView {
	all := slices.Clone(b.Standings)
	for _, p := range b.Payments {
		if p.Currency != "" && !slices.ContainsFunc(all, func(s reconcile.Standing) bool { return s.Environment == p.Environment && s.Currency == p.Currency }) {
			all = append(all, reconcile.Standing{Environment: p.Environment, Currency: p.Currency})
		}
	}
	var out []standingView
	for _, s := range all {
		env := string(s.Environment)
		v := standingView{
			Standing: s, Coverage: percent(s.AttributedMinor, s.PaidMinor), Coverages: s.PaidMinor > 0,
			OtherMinor:  s.PaidMinor - s.AttributedMinor - s.UnmappedMinor - s.UndecidedMinor,
			CyclesURL:   query("/cycles", "period", b.Period, "environment", env),
			InvoicesURL: query("/invoices", "period", b.Period), AccountsURL: query("/accounts", "environment", env),
		}
		for i := range b.Payments {
			if p := &b.Payments[i]; p.Environment == s.Environment && p.Currency == s.Currency {
				v.Payments, v.Success, v.Successful = p, percent(p.Paid, p.Paid+p.Failed), p.Paid+p.Failed > 0
			}
		}
		out = append(out, v)
	}
	// Failed attempts may come without an amount; they belong to no currency.
	slices.SortStableFunc(out, func(a, b standingView) int { return rank(a.Environment) - rank(b.Environment) })
	return out
}

func rank(e account.Environment) int {
	if e == account.Live {
		return 0
	}
	return 1
}

// lateAfter is how long an event may wait before somebody should look.
const lateAfter = 5 * time.Minute

// healthOf judges a connection by what its figures say.
func healthOf(h operate.Health, now time.Time) healthRow {
	row := healthRow{
		Health: h, Pending: h.Waiting["pending"], Dead: h.Waiting["dead"] + h.Waiting["quarantined"], State: StateView{"flowing", "✓", "good"},
		P50: lag(h.LagP50), P95: lag(h.LagP95), P99: lag(h.LagP99), LogURL: query("/events", "connection", h.ConnectionID),
	}
	switch {
	case h.Paused:
		row.State, row.Says = StateView{"paused", "✕", "bad"}, words(h.PausedReason)
	case h.Endpoint == "disabled" || h.Endpoint == "missing":
		row.State, row.Says = StateView{"endpoint " + h.Endpoint, "✕", "bad"}, "Stripe delivers nothing to it"
	case row.Dead > 0:
		row.State, row.Says = StateView{"needs a look", "!", "bad"}, plural(int(row.Dead), "event")+" set aside"
	case h.Waits != nil && *h.Waits > lateAfter:
		row.State, row.Says = StateView{"behind", "●", "busy"}, "the oldest event waits "+lag(h.Waits)
	case h.LastEvent == nil:
		row.State, row.Says = StateView{"no event yet", "–", "calm"}, "nothing was received"
	}
	if h.LastEvent != nil {
		row.Age = ago(now.Sub(*h.LastEvent))
	}
	return row
}

// lag shows a duration in the two largest units that matter.
func lag(d *time.Duration) string {
	if d == nil {
		return ""
	}
	if *d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return ago(*d)
}

func ago(d time.Duration) string {
	switch d = d.Abs(); {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	default:
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	}
}
