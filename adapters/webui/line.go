package webui

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/money"
)

// lineView explains one line of a cycle on one screen.
type lineView struct {
	reconcile.Explanation
	Parts       []partView
	Shown       Amount // what the headline says: the part on the invoice, or the amount of a reduction
	Sentence    string
	Test        bool
	Difference  *int64
	Agrees      bool
	CaseID      string
	Expected    string // as typed
	ExpectError string
	Answer      *answerView
	CycleURL    string
	SelfURL     string
}

type partView struct {
	Title string
	Rows  []figureView
}

type figureView struct {
	reconcile.Figure
	Amount *Amount
	URL    string
	State  StateView // of the recomputation; empty without a step
}

type answerView struct {
	reconcile.Answer
	Sentence, Base string
}

func lineURL(cycleID, key string) string {
	return "/cycles/" + url.PathEscape(cycleID) + "/lines/" + url.PathEscape(key)
}

// ExportURL is the file of the line's arithmetic.
func (v lineView) ExportURL(format string) string { return v.SelfURL + "/export." + format }

func (s *Server) line(c echo.Context) error {
	e, err := s.reconcile.Explain(c.Request().Context(), c.Param("id"), c.Param("line"))
	if err != nil {
		return err
	}
	v := lineView{
		Explanation: e, Test: e.Environment == account.Test, Agrees: len(e.Problems) == 0, Shown: amount(e.BilledMinor, e.Currency),
		CycleURL: "/cycles/" + e.ID, SelfURL: lineURL(e.ID, e.Key), Expected: strings.TrimSpace(c.QueryParam("expected")),
	}
	if e.AmountMinor < 0 {
		v.Shown = amount(e.AmountMinor, e.Currency)
	}
	if e.LineStripe != nil {
		v.Difference = gap(e.BilledMinor, e.LineStripe)
	}
	if e.Line != nil {
		v.CaseID = e.Line.CaseID
	}
	v.Sentence = lineSentence(e)
	for _, p := range e.Parts {
		part := partView{Title: p.Title}
		for _, f := range p.Figures {
			part.Rows = append(part.Rows, figureOf(e, f))
		}
		v.Parts = append(v.Parts, part)
	}
	v.expect()
	return s.render(c, http.StatusOK, "line", frame{
		Title: e.Title + ", " + month(e.Period), Active: "cycles", Environment: string(e.Environment), Shadow: e.Phase == string(billing.PhaseShadow), Page: v,
	})
}

// expect answers "why not another amount?"; a typo is told beside its field.
func (v *lineView) expect() {
	if v.Expected == "" {
		return
	}
	minor, err := reconcile.ParseAmount(v.Expected, v.Currency)
	if err != nil {
		told := viewOf(err)
		v.ExpectError = sentence(told.Detail) + " " + sentence(told.Remedy)
		return
	}
	a := answerView{Answer: v.Expect(minor)}
	switch {
	case a.GapMinor == 0:
		a.Sentence = "That is what stands on the invoice."
	case a.GapMinor < 0:
		a.Sentence = amount(-a.GapMinor, v.Currency).Digits + " less than expected."
	default:
		a.Sentence = amount(a.GapMinor, v.Currency).Digits + " more than expected."
	}
	if a.MissingBaseMinor != nil && *a.MissingBaseMinor != 0 {
		missing, than := *a.MissingBaseMinor, "more than there is"
		if missing < 0 {
			missing, than = -missing, "less than there is"
		}
		a.Base = "It would take a base of " + amount(*a.NeededBaseMinor, v.Currency).Digits + ": " + amount(missing, v.Currency).Digits + " of lift " + than + "."
	}
	v.Answer = &a
}

// lineSentence says the arithmetic in one breath.
func lineSentence(e reconcile.Explanation) string {
	if e.Line == nil {
		return e.Charge.Description
	}
	for _, s := range e.Steps {
		if s.Name == "fee" && s.SnapshotID == e.Key {
			_, factor, _ := strings.Cut(s.Inputs, " × ")
			text := amount(e.Line.BaseMinor, e.Currency).Digits + " of lift that was not billed before × " + factor + " = " + amount(e.Line.FeeMinor, e.Currency).Digits
			if e.BilledMinor != e.AmountMinor {
				text += ", of which " + amount(e.BilledMinor, e.Currency).Digits + " stand on the invoice"
			}
			return text
		}
	}
	return e.Line.Explanation
}

func figureOf(e reconcile.Explanation, f reconcile.Figure) figureView {
	v := figureView{Figure: f, Amount: amountOf(f.Minor, e.Currency)}
	if f.Exact != "" {
		v.Amount = exactAmount(f.Exact, e.Currency)
	}
	switch f.About {
	case "events":
		v.URL = eventsURL(e.AccountID, "", "")
	case "bucket":
		v.URL = bucketURL(e.AccountID, f.Label)
		v.Label = bucketName(f.Label)
	case "buckets":
		v.URL = "/cycles/" + e.ID + "#buckets"
	case "readout":
		if e.Readout != nil {
			v.URL = "/readouts/" + e.Readout.CaseID
		}
	}
	if f.Step != nil {
		switch {
		case f.Step.Fails():
			v.State = StateView{"does not agree", "✕", "bad"}
		case f.Step.Arithmetic:
			v.State = StateView{"recomputed", "✓", "good"}
		default:
			v.State = StateView{"as stored", "–", "calm"}
		}
	}
	return v
}

// exactAmount moves the point of an exact number of minor units, without rounding.
func exactAmount(text, currency string) *Amount {
	exp, known := money.Currency(currency).Exponent()
	if !known {
		return &Amount{Digits: text}
	}
	sign := ""
	if rest, ok := strings.CutPrefix(text, "-"); ok {
		text, sign = rest, "-"
	}
	text, dots := strings.CutSuffix(text, "…")
	whole, frac, _ := strings.Cut(text, ".")
	n := int(exp)
	whole = strings.Repeat("0", max(0, n+1-len(whole))) + whole
	cut := len(whole) - n
	digits := whole[:cut]
	for len(frac) > 0 && frac[len(frac)-1] == '0' {
		frac = frac[:len(frac)-1] // zeros behind the minor unit say nothing
	}
	if tail := whole[cut:] + frac; tail != "" {
		digits += "." + tail
	}
	if dots {
		digits += "…"
	}
	return &Amount{Digits: sign + money.Group(digits), Currency: strings.ToUpper(currency), Negative: sign != ""}
}
