package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"

	"github.com/liftbill/liftbill/adapters/httpapi"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/money"
)

// report is what the demo prints, and its one JSON document.
type report struct {
	Seed      int64           `json:"seed"`
	Seconds   float64         `json:"seconds"`
	Accounts  []accountReport `json:"accounts"`
	URLs      urls            `json:"urls"`
	companies []*company
	keys      demoKeys
}

type urls struct {
	Pages         string `json:"pages"`
	API           string `json:"api"`
	APIReference  string `json:"api_reference"`
	TemporalUI    string `json:"temporal_ui"`
	StripeFake    string `json:"stripefake"`
	StripeRequest string `json:"stripe_request_log"`
	// SignIn signs in once; empty when the demo does not go on serving.
	SignIn string `json:"sign_in,omitempty"`
}

type accountReport struct {
	ID          string         `json:"id"`
	Name        string         `json:"name"`
	Environment string         `json:"environment"`
	Basis       string         `json:"basis"`
	Months      []monthReport  `json:"months"`
	Writes      map[string]int `json:"stripe_writes"` // requests other than GET that liftbill's source key made, by path
	Invoices    int            `json:"stripe_invoices"`
}

type monthReport struct {
	Cycle       string       `json:"cycle"`
	Period      string       `json:"period"`
	State       string       `json:"state"`
	Reason      string       `json:"reason,omitempty"`
	Currency    string       `json:"currency"`
	EngineMinor int64        `json:"engine_total_minor"`
	StripeMinor *int64       `json:"stripe_total_minor,omitempty"`
	Invoice     string       `json:"stripe_invoice,omitempty"`
	Number      string       `json:"invoice_number,omitempty"`
	CaseIDs     []string     `json:"case_ids"`
	PaidMinor   int64        `json:"paid_revenue_minor"`
	StripeNet   int64        `json:"stripe_net_minor"`
	Lines       []lineReport `json:"lines"`
	// RequiresPerson: no rule may approve it, because none of the account had cleared.
	RequiresPerson bool             `json:"requires_person"`
	Decisions      []decisionReport `json:"decisions"`
	URL            string           `json:"url"`
}

// decisionReport is what was decided about an invoice before it was written. By begins
// with "policy:" when the contract's terms decided.
type decisionReport struct {
	Action string `json:"action"`
	By     string `json:"by"`
	Reason string `json:"reason,omitempty"`
}

type lineReport struct {
	Snapshot      string `json:"snapshot"`
	Name          string `json:"name"`
	Verdict       string `json:"verdict"`
	Reason        string `json:"reason,omitempty"`
	Explanation   string `json:"explanation"`
	TrueMinor     int64  `json:"true_lift_minor"`
	MeasuredMinor int64  `json:"measured_minor"`
	BoundMinor    int64  `json:"bound_minor"`
	BaseMinor     int64  `json:"base_minor"`
	BilledMinor   int64  `json:"billed_base_year_to_date_minor"`
	FeeMinor      int64  `json:"fee_minor"`
	CaseID        string `json:"case_id"`
}

func (w *world) report(ctx context.Context) (*report, error) {
	s := w.stack
	r := &report{Seed: s.flags.seed, companies: w.companies, keys: s.keys, URLs: urls{
		Pages: s.api + "/cycles", API: s.api + "/v1/cycles", APIReference: s.api + "/docs/api", TemporalUI: s.tmprl.UIURL, StripeFake: s.stripe,
		StripeRequest: s.stripe + "/_fake/requests?method=write",
	}}
	for _, c := range w.companies {
		a := accountReport{ID: c.id, Name: c.name, Environment: c.env.String(), Basis: string(c.basis)}
		for _, m := range s.months {
			month, err := w.month(ctx, c, c.id+"."+m.String())
			if err != nil {
				return nil, err
			}
			for _, truth := range c.business.Truth(m) {
				for i := range month.Lines {
					if month.Lines[i].Snapshot == truth.SnapshotID {
						month.Lines[i].TrueMinor = truth.TrueLiftMinor
					}
				}
			}
			a.Months = append(a.Months, month)
		}
		if err := w.writes(ctx, c, &a); err != nil {
			return nil, err
		}
		r.Accounts = append(r.Accounts, a)
	}
	return r, nil
}

func (w *world) month(ctx context.Context, c *company, cycle string) (monthReport, error) {
	var t httpapi.TieOut
	if err := w.get(ctx, c.env, "/v1/cycles/"+url.PathEscape(cycle), &t); err != nil {
		return monthReport{}, err
	}
	m := monthReport{
		Cycle: cycle, Period: t.Cycle.Period, State: t.Cycle.State, Reason: t.Cycle.Reason, Currency: t.Cycle.Currency, EngineMinor: t.Cycle.EngineTotal.Minor,
		Invoice: t.Cycle.StripeInvoiceID, Number: t.Cycle.InvoiceNumber, CaseIDs: t.CaseIds, PaidMinor: t.PaidRevenue.Minor,
		StripeNet: t.StripeNet.Minor, URL: w.stack.api + "/cycles/" + cycle,
	}
	if t.Cycle.StripeInvoiceID != "" {
		total := t.Cycle.StripeTotal.Minor
		m.StripeMinor = &total
	}
	m.RequiresPerson, m.Decisions = t.RequiresPerson, []decisionReport{}
	for _, d := range t.Decisions {
		m.Decisions = append(m.Decisions, decisionReport{Action: d.Action, By: d.Actor, Reason: d.Reason})
	}
	for _, l := range t.Lines {
		m.Lines = append(m.Lines, lineReport{
			Snapshot: l.SnapshotID, Name: l.SnapshotName, Verdict: l.Verdict, Reason: l.HeadlineCode, Explanation: l.Explanation,
			MeasuredMinor: l.Measured.Minor, BoundMinor: l.Bound.Minor, BaseMinor: l.Base.Minor, BilledMinor: l.HighWaterTo.Minor, FeeMinor: l.Fee.Minor, CaseID: l.CaseID,
		})
	}
	return m, nil
}

// writes asks the stand-in what liftbill's keys wrote, and which invoices carry our key.
func (w *world) writes(ctx context.Context, c *company, a *accountReport) error {
	var log struct {
		Requests []struct {
			Method string `json:"method"`
			Path   string `json:"path"`
			KeyID  string `json:"key_id"`
		} `json:"requests"`
	}
	query := url.Values{"account": {c.stripeID}, "mode": {c.env.String()}, "method": {"write"}}
	if err := call(ctx, http.MethodGet, w.stack.stripe+"/_fake/requests?"+query.Encode(), nil, &log); err != nil {
		return err
	}
	a.Writes = map[string]int{}
	for _, r := range log.Requests {
		if r.KeyID == c.sourceKeyID {
			a.Writes[r.Method+" "+r.Path]++
		}
	}
	issuer := c.stripeID
	if c.ownIssuer {
		issuer = vendorStripe
	}
	var state map[string][]struct {
		Metadata map[string]string `json:"metadata"`
		Status   string            `json:"status"`
	}
	query = url.Values{"account": {issuer}, "mode": {c.env.String()}, "kind": {"invoices"}}
	if err := call(ctx, http.MethodGet, w.stack.stripe+"/_fake/state?"+query.Encode(), nil, &state); err != nil {
		return err
	}
	for _, list := range state {
		for _, inv := range list {
			if inv.Metadata["lb_account"] == c.id && inv.Status != "draft" && inv.Status != "void" {
				a.Invoices++
			}
		}
	}
	return nil
}

// verdict checks what the demo promises: the totals tie out, no test account wrote,
// and a month with something billable has one invoice.
func (r *report) verdict() error {
	var errs []error
	for _, a := range r.Accounts {
		billed := 0
		for _, m := range a.Months {
			if m.PaidMinor != m.StripeNet {
				errs = append(errs, fmt.Errorf("%s: booked revenue %d is not Stripe's %d", m.Cycle, m.PaidMinor, m.StripeNet))
			}
			if m.EngineMinor > 0 && a.Environment == account.Live.String() {
				billed++
				if last := m.lastDecision(); m.RequiresPerson && strings.HasPrefix(last.By, "policy:") {
					errs = append(errs, fmt.Errorf("%s: a first invoice was approved by %s", m.Cycle, last.By))
				}
				if m.StripeMinor == nil || *m.StripeMinor != m.EngineMinor {
					errs = append(errs, fmt.Errorf("%s: the engine's total is not Stripe's", m.Cycle))
				}
			}
		}
		if a.Invoices != billed {
			errs = append(errs, fmt.Errorf("%s: %d invoices at Stripe for %d billed months", a.ID, a.Invoices, billed))
		}
		for path := range a.Writes {
			if a.Environment == account.Test.String() && path != "POST /v1/webhook_endpoints" {
				errs = append(errs, fmt.Errorf("%s: a test account wrote %s", a.ID, path))
			}
		}
	}
	return errors.Join(errs...)
}

func (m monthReport) lastDecision() decisionReport {
	if n := len(m.Decisions); n > 0 {
		return m.Decisions[n-1]
	}
	return decisionReport{}
}

func amount(minor int64, currency string) string {
	a, err := money.New(minor, money.Currency(currency))
	if err != nil {
		return fmt.Sprint(minor)
	}
	return a.String()
}

func (r *report) print(out io.Writer) error {
	for _, a := range r.Accounts {
		for _, m := range a.Months {
			fmt.Fprintf(out, "\n%s, %s  (%s, basis %s)\n", a.Name, m.Period, a.Environment, a.Basis)
			w := tabwriter.NewWriter(out, 0, 4, 2, ' ', tabwriter.AlignRight)
			fmt.Fprintf(w, "  year to date: snapshot\ttrue lift\tmeasured\tlower bound\tthis month: base\tfee\t verdict\n")
			for _, l := range m.Lines {
				verdict := "billed"
				if l.FeeMinor == 0 {
					verdict = "withheld: " + l.Reason
				}
				fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%s\t%s\t %s\n", l.Name, amount(l.TrueMinor, m.Currency), amount(l.MeasuredMinor, m.Currency),
					amount(l.BoundMinor, m.Currency), amount(l.BaseMinor, m.Currency), amount(l.FeeMinor, m.Currency), verdict)
			}
			if err := w.Flush(); err != nil {
				return err
			}
			printTruth(out, m)
			printOutcome(out, a, m)
		}
	}
	if err := r.verdict(); err != nil {
		fmt.Fprintf(out, "\nDoes not hold:\n%v\n", err)
	}
	fmt.Fprintf(out, "\nDone in %.1f s. Open next:\n", r.Seconds)
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	if r.URLs.SignIn != "" {
		fmt.Fprintf(w, "  sign in, once, to the month as finance sees it\t%s\n", r.URLs.SignIn)
		fmt.Fprintf(w, "  and later\t%s as %s with the password %s\n", r.URLs.Pages, demoEmail, r.keys.password)
		fmt.Fprintf(w, "  the same as JSON\tcurl -H 'Authorization: Bearer %s' %s\n", r.keys.tokens[account.Live], r.URLs.API)
	}
	fmt.Fprintf(w, "  API reference\t%s\n", r.URLs.APIReference)
	if r.URLs.TemporalUI != "" {
		fmt.Fprintf(w, "  the runs in Temporal's console\t%s\n", r.URLs.TemporalUI)
	}
	fmt.Fprintf(w, "  what Stripe was asked to write\t%s\n", r.URLs.StripeRequest)
	return w.Flush()
}

// printTruth sets the billed base beside the lift that the simulation knows, both
// since the contract year began.
func printTruth(out io.Writer, m monthReport) {
	var base, truth int64
	for _, l := range m.Lines {
		if l.BilledMinor > 0 {
			base, truth = base+l.BilledMinor, truth+l.TrueMinor
		}
	}
	if base == 0 {
		return
	}
	relation := "above"
	if base <= truth {
		relation = "below"
	}
	fmt.Fprintf(out, "  billed so far on %s, the true lift so far is %s: %s %s it\n", amount(base, m.Currency), amount(truth, m.Currency), amount(max(base-truth, truth-base), m.Currency), relation)
}

func printOutcome(out io.Writer, a accountReport, m monthReport) {
	fmt.Fprintf(out, "  revenue booked %s, at Stripe %s, difference %s\n", amount(m.PaidMinor, m.Currency), amount(m.StripeNet, m.Currency), amount(m.PaidMinor-m.StripeNet, m.Currency))
	switch {
	case m.StripeMinor != nil:
		fmt.Fprintf(out, "  invoice %s (%s): engine %s, Stripe %s, difference %s\n", m.Number, m.Invoice, amount(m.EngineMinor, m.Currency),
			amount(*m.StripeMinor, m.Currency), amount(m.EngineMinor-*m.StripeMinor, m.Currency))
		printRelease(out, m)
	case a.Environment == account.Test.String():
		fmt.Fprintf(out, "  would be invoiced: %s. Test mode: nothing was written to Stripe\n", amount(m.EngineMinor, m.Currency))
	default:
		fmt.Fprintf(out, "  no invoice: %s %s\n", m.State, m.Reason)
	}
}

// printRelease says who let the invoice go: people, or the contract's terms after one of
// the account had cleared reconciliation.
func printRelease(out io.Writer, m monthReport) {
	var acts []string
	for _, d := range m.Decisions {
		acts = append(acts, d.Action+" by "+d.By)
	}
	why := "unattended, because an earlier invoice of the account has cleared reconciliation"
	if m.RequiresPerson {
		why = "a first invoice always needs a person; these are fictitious"
	}
	fmt.Fprintf(out, "  released: %s (%s)\n", strings.Join(acts, ", "), why)
}
