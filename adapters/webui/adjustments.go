package webui

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	app "github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/billing"
)

// Corrections changes invoices that were written; *invoicing.Service is it.
type Corrections interface {
	CorrectionsOf(ctx context.Context, cycleID string) ([]invoicing.Correction, error)
	ProposeCorrection(ctx context.Context, by access.Principal, w invoicing.Wanted) (invoicing.Correction, error)
	ApproveCorrection(ctx context.Context, by access.Principal, id string) (invoicing.Correction, error)
	WithdrawCorrection(ctx context.Context, by access.Principal, id, reason string) (invoicing.Correction, error)
}

func (s *Server) registerAdjustments(e exporting) {
	e.GET("/adjustments", s.adjustments)
	e.GET("/adjustments.:format", s.adjustmentsExport)
	e.POST("/accounts/:id/true-ups", s.proposeTrueUps)
	e.GET("/cycles/:id/corrections", s.corrections)
	e.POST("/cycles/:id/corrections", s.propose)
	e.POST("/cycles/:id/corrections/:number/approve", s.approveCorrection)
	e.POST("/cycles/:id/corrections/:number/withdraw", s.withdrawCorrection)
}

// adjustmentState is how the state of an adjustment looks.
func adjustmentState(name string) StateView {
	v := StateView{Name: words(name), Icon: "●", Tone: "busy"}
	switch name {
	case "applied", "done":
		v.Icon, v.Tone = "✓", "good"
	case "withdrawn":
		v.Icon, v.Tone = "–", "calm"
	case "proposed":
		v.Icon = "?"
	case "needs_human":
		v.Icon, v.Tone = "!", "bad"
	}
	return v
}

func adjustmentFilter(c echo.Context) reconcile.AdjustmentsFilter {
	p := func(name string) string { return strings.TrimSpace(c.QueryParam(name)) }
	return reconcile.AdjustmentsFilter{Scope: scopeOf(c), AccountID: p("account"), Environment: p("environment"), OriginPeriod: p("period"), AppliedPeriod: p("applied"), Cause: p("cause"), State: p("state"), Cursor: p("cursor"), Limit: listLimit}
}

func (s *Server) adjustmentList(c echo.Context, f reconcile.AdjustmentsFilter) (list, error) {
	ctx := c.Request().Context()
	periods, err := s.reconcile.Periods(ctx, f.Scope)
	if err != nil {
		return list{}, err
	}
	accounts, err := s.reconcile.Accounts(ctx, f.Scope)
	return list{
		Name: "adjustments", Heading: "Adjustments", Lead: "What changed later? True-ups of invoiced months, and corrections of their invoices.", Path: "/adjustments", Active: "adjustments", Version: 3, Environment: f.Environment,
		Filters: []field{
			{Name: "account", Label: "Account", Value: f.AccountID, Choices: choices("Every account", f.AccountID, idsOf(accounts), func(id string) string { return nameOf(accounts, id) })},
			{Name: "environment", Label: "Environment", Value: f.Environment, Choices: choices("Live and test", f.Environment, []string{"live", "test"}, words)},
			{Name: "period", Label: "Origin", Value: f.OriginPeriod, Choices: choices("Every period", f.OriginPeriod, withChosen(periods, f.OriginPeriod), month)},
			{Name: "applied", Label: "Applied in", Value: f.AppliedPeriod, Choices: choices("Every period", f.AppliedPeriod, withChosen(periods, f.AppliedPeriod), month)},
			{Name: "cause", Label: "Cause", Value: f.Cause, Choices: choices("Every cause", f.Cause, reconcile.AdjustmentCauses(), words)},
			{Name: "state", Label: "State", Value: f.State, Choices: choices("Every state", f.State, texts(reconcile.AdjustmentStates()), words)},
		},
		Columns: []column{
			{Name: "origin"}, {Name: "account"}, {Name: "line"}, {Name: "cause"}, {Name: "kind"}, {Name: "state"}, {Name: "currency"},
			{Name: "delta_revenue", Kind: columnMoney, Sum: true}, {Name: "delta_lift", Kind: columnMoney, Sum: true}, {Name: "delta_amount", Kind: columnMoney, Sum: true},
			{Name: "applied_on"}, {Name: "carry_balance", Kind: columnMoney}, {Name: "proposed_by"}, {Name: "at", Kind: columnTime}, {Name: "reason"}, {Name: "settled_case"}, {Name: "remeasured_case"}, {Name: "adjustment"}, {Name: environmentColumn},
		},
		Labels: []string{"Origin", "Account", "Line", "Cause", "What is done", "State", "Currency", "Δ revenue", "Δ lift", "Δ amount", "Applied on", "Carry balance", "By", "Time", "Reason", "Settled with", "Measured again", "ID", "Environment"},
		Empty:  "Nothing was adjusted", EmptyHint: "Refunds and disputes inside an open contract year need no adjustment: the next month measures the year net of them. A correction begins on the page of its cycle.",
	}, err
}

func adjustmentRow(a reconcile.Adjustment) row {
	state := adjustmentState(string(a.State))
	on := cell{Value: a.StripeID, Mono: true, URL: objectURL(a.StripeID)}
	var carry *int64
	if a.AppliedCycle != "" {
		on, carry = cell{Value: a.AppliedCycle, Mono: true, URL: "/cycles/" + a.AppliedCycle}, &a.CarryMinor
	}
	about := "/cycles/" + a.OriginCycle + "/corrections"
	if a.BookedBy != "" {
		about = "/cycles/" + a.BookedBy
	}
	cells := []cell{
		{Value: a.OriginPeriod, URL: "/cycles/" + a.OriginCycle, Sub: month(a.OriginPeriod)}, {Value: a.AccountName, Sub: a.AccountID, Env: a.Environment.String()}, {Value: a.Line, Mono: true}, {Value: words(a.Cause)}, {Value: words(a.Kind)},
		{Value: string(a.State), State: &state}, {Value: strings.ToUpper(a.Currency)}, {Value: cash{a.RevenueMinor, a.Currency}}, {Value: cash{a.LiftMinor, a.Currency}, URL: readoutCell(a.RemeasuredCase).URL}, {Value: cash{&a.AmountMinor, a.Currency}, URL: about},
		on, {Value: cash{carry, a.Currency}}, {Value: a.By}, {Value: a.RecordedAt}, {Value: a.Reason}, readoutCell(a.SettledCase), readoutCell(a.RemeasuredCase), {Value: a.Key, Mono: true}, {Value: a.Environment.String()},
	}
	if a.Line != "" {
		cells[2].URL = lineURL(a.OriginCycle, a.Line)
	}
	return row{Key: rowKey(a.Key), Cells: cells}
}

// readoutCell leads to a readout by its case ID, where there is one.
func readoutCell(caseID string) cell {
	c := cell{Value: caseID, Mono: true}
	if caseID != "" {
		c.URL = "/readouts/" + caseID
	}
	return c
}

func (s *Server) adjustments(c echo.Context) error {
	return s.showAdjustments(c, http.StatusOK, adjustmentFilter(c), "")
}

func (s *Server) showAdjustments(c echo.Context, status int, f reconcile.AdjustmentsFilter, problem string) error {
	l, err := s.adjustmentList(c, f)
	if err != nil {
		return err
	}
	if f.Cursor == "" {
		if l.Ended, err = s.endedOf(c, l, f, problem); err != nil {
			return err
		}
	}
	page, err := s.reconcile.Adjustments(c.Request().Context(), f)
	if err != nil {
		return err
	}
	for _, a := range page.Items {
		l.Rows = append(l.Rows, adjustmentRow(a))
	}
	return s.showWith(c, status, l, f.Cursor, page.NextCursor)
}

func (s *Server) adjustmentsExport(c echo.Context) error {
	if err := checkFormat(c); err != nil {
		return err
	}
	f := adjustmentFilter(c)
	l, err := s.adjustmentList(c, f)
	if err != nil {
		return err
	}
	return sendAll(s, c, l, adjustmentRow, func(cursor string, n int) ([]reconcile.Adjustment, string, error) {
		f.Cursor, f.Limit = cursor, n
		page, err := s.reconcile.Adjustments(c.Request().Context(), f)
		return page.Items, page.NextCursor, err
	})
}

// correctionsView is what was corrected of one invoice, and what can be.
type correctionsView struct {
	ID, AccountName, Currency string
	Period, Invoice           string
	Rows                      []correctionView
	Lines                     []Choice
	MayPropose, MayApprove    bool
	Problem                   string
}

type correctionView struct {
	invoicing.Correction
	StateView StateView
	Effect    string
	Void      bool
	Proposed  bool
}

func correctionViewOf(x invoicing.Correction) correctionView {
	return correctionView{x, adjustmentState(string(x.State)), x.Kind.Effect(), x.Kind == billing.CorrectVoid, x.State == invoicing.CorrectionProposed}
}

func (s *Server) corrections(c echo.Context) error { return s.showCorrections(c, http.StatusOK, "") }

func (s *Server) showCorrections(c echo.Context, status int, problem string) error {
	ctx := c.Request().Context()
	t, err := s.reconcile.TieOut(ctx, c.Param("id"))
	if err != nil {
		return err
	}
	all, err := s.correct.CorrectionsOf(ctx, t.ID)
	if err != nil {
		return err
	}
	caller := app.From(ctx)
	v := correctionsView{
		ID: t.ID, AccountName: t.AccountName, Currency: t.Currency, Period: t.Period, Invoice: t.StripeInvoiceID, Problem: problem,
		MayPropose: caller.Can(access.RunCycle) && t.StripeInvoiceID != "", MayApprove: caller.Can(access.ApproveCycle),
	}
	for _, x := range all {
		v.Rows = append(v.Rows, correctionViewOf(x))
	}
	for _, l := range t.Lines {
		if l.BilledMinor > 0 {
			v.Lines = append(v.Lines, Choice{Value: l.SnapshotID, Label: l.SnapshotName + ", " + major(l.BilledMinor, t.Currency)})
		}
	}
	for _, f := range t.Charges {
		if f.BilledMinor > 0 {
			v.Lines = append(v.Lines, Choice{Value: f.Line, Label: chargeName(f.Kind) + ", " + major(f.BilledMinor, t.Currency)})
		}
	}
	return s.render(c, status, "corrections", frame{Title: "Corrections of " + t.AccountName + ", " + month(t.Period), Active: "adjustments", Environment: string(t.Environment), Page: v})
}

// corrected goes back to the list, or shows why it was refused.
func (s *Server) corrected(c echo.Context, err error) error {
	if text, ok := refusal(err); ok {
		return s.showCorrections(c, http.StatusUnprocessableEntity, text)
	}
	if err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, "/cycles/"+c.Param("id")+"/corrections")
}

// propose says what is wrong with an invoice: a line with too much or too little, or all of it.
func (s *Server) propose(c echo.Context) error {
	ctx, form := c.Request().Context(), posted(c)
	w := invoicing.Wanted{CycleID: c.Param("id"), Reason: form.Get("reason"), Void: form.Get("how") == "void", NextCycle: form.Get("how") == "next_cycle"}
	if !w.Void {
		t, err := s.reconcile.TieOut(ctx, w.CycleID)
		if err != nil {
			return err
		}
		w.Line = form.Get("line")
		if w.TooMuchMinor, err = reconcile.ParseMinor("amount", form.Get("amount"), t.Currency); err != nil {
			return s.corrected(c, err)
		}
	}
	_, err := s.correct.ProposeCorrection(ctx, app.From(ctx).Principal, w)
	return s.corrected(c, err)
}

// correctionOf is the ID of the correction that the address names.
func correctionOf(c echo.Context) (string, error) {
	n, err := strconv.Atoi(c.Param("number"))
	if err != nil {
		return "", echo.NewHTTPError(http.StatusNotFound)
	}
	return billing.CorrectionID(c.Param("id"), n), nil
}

func (s *Server) approveCorrection(c echo.Context) error {
	id, err := correctionOf(c)
	if err != nil {
		return err
	}
	_, err = s.correct.ApproveCorrection(c.Request().Context(), app.From(c.Request().Context()).Principal, id)
	return s.corrected(c, err)
}

func (s *Server) withdrawCorrection(c echo.Context) error {
	id, err := correctionOf(c)
	if err != nil {
		return err
	}
	_, err = s.correct.WithdrawCorrection(c.Request().Context(), app.From(c.Request().Context()).Principal, id, posted(c).Get("reason"))
	return s.corrected(c, err)
}
