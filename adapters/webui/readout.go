package webui

import (
	"math"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/lift"
)

// readoutView is one readout with its verdict in words.
type readoutView struct {
	reconcile.Readout
	Test                             bool
	Passed                           bool
	Headline                         string
	LiftText, LowText, HighText      *Amount
	BoundText, SEText, CounterText   *Amount
	PolicyUnits                      int64
	PolicyShare, HoldoutShare        string
	ESSText, ESSRatio                string
	Variances                        []varianceRow
	Plot                             *Plot
	Checks                           []checkRow
	FailedN, PassedN, NotEvaluatedN  int
	FeeLabel, ManifestURL, EventsURL string
	LineURL                          string
	Trend                            *Trend
	// Figures are those of the manifest; nil where it cannot be read.
	Figures *figuresView
	// Again is the replay of the month; nil where there is none.
	Again        *againView
	Weights      []armWeights
	MaxWeighed   int
	MaxWeighed64 int64
}

type varianceRow struct {
	Symbol, Meaning, Value string
	SE                     *Amount
	Used                   bool
}

type checkRow struct {
	reconcile.Check
	State StateView
}

func (s *Server) readout(c echo.Context) error {
	r, err := s.reconcile.Readout(c.Request().Context(), c.Param("case"))
	if err != nil {
		return err
	}
	return s.showReadout(c, http.StatusOK, r, "")
}

// showReadout shows a readout; problem is why it is not derived again.
func (s *Server) showReadout(c echo.Context, status int, r reconcile.Readout, problem string) (err error) {
	v := readoutView{
		Readout: r, Test: r.Environment == account.Test, Passed: r.Verdict == "passed",
		LiftText: estimate(r.Lift, r.Currency), LowText: estimate(r.IntervalLow, r.Currency), HighText: estimate(r.IntervalHigh, r.Currency),
		BoundText: estimate(r.Bound, r.Currency), SEText: estimate(r.SE, r.Currency), CounterText: estimate(math.Ceil(r.Counterfactual), r.Currency), // with the lift rounded down, the two sum to what was observed

		PolicyUnits: r.Units - r.HoldoutUnits, PolicyShare: percent(r.Units-r.HoldoutUnits, r.Units), HoldoutShare: percent(r.HoldoutUnits, r.Units),
		ESSText: plain(r.ESS), ESSRatio: "–", Variances: variancesOf(r), Plot: plotOf(r),
		ManifestURL: "/v1/readouts/" + r.CaseID + "/manifest", EventsURL: eventsURL(r.AccountID, "revenue_confirmation", ""),
	}
	if r.HoldoutUnits > 0 && !math.IsNaN(r.ESS) {
		v.ESSRatio = percent(int64(math.Round(r.ESS)), r.HoldoutUnits)
	}
	v.Headline, v.FeeLabel = headline(r, v.Test)
	if r.SnapshotID != lift.SnapshotPooled && r.TrueUp == nil {
		v.LineURL = lineURL(r.CycleID, r.SnapshotID)
	}
	points, err := s.reconcile.Trend(c.Request().Context(), r)
	if err != nil {
		return err
	}
	v.Trend = trendOf(points, r.Currency)
	weights, err := s.reconcile.Weights(c.Request().Context(), r)
	if err != nil {
		return err
	}
	v.Figures = measuredOf(r, weights)
	v.Weights, v.MaxWeighed, v.MaxWeighed64 = weightsOf(weights), reconcile.MaxWeighed, reconcile.MaxWeighed
	for _, check := range r.Checks {
		v.Checks = append(v.Checks, checkRow{Check: check, State: stateOf(check.Status)})
		switch check.Status {
		case "failed":
			v.FailedN++
		case "passed":
			v.PassedN++
		default:
			v.NotEvaluatedN++
		}
	}
	if v.Again, err = s.againOf(c, r, problem); err != nil {
		return err
	}
	return s.render(c, status, "readout", frame{
		Title: r.SnapshotName + ", " + month(r.Period), Active: "cycles", Environment: string(r.Environment), Page: v,
	})
}

// headline is the verdict in the fewest words, and what the fee is called.
func headline(r reconcile.Readout, test bool) (string, string) {
	switch {
	case r.TrueUp != nil && r.Verdict == "passed":
		return "Measured again: the year's lift still passes", ""
	case r.TrueUp != nil:
		return "Measured again: the year's lift does not pass any more", ""
	case r.Billed && test:
		return "It would be billed: this test account's lift is proven", "Would be invoiced"
	case r.Billed:
		return "Billed: the lift is proven", "On the invoice"
	case r.Verdict == "passed":
		return "Passed, and nothing is left to bill", "On the invoice"
	default:
		return "Withheld: nothing is billed for this snapshot", "Would be invoiced"
	}
}

// variancesOf shows the three variances; the largest one makes the interval.
func variancesOf(r reconcile.Readout) []varianceRow {
	most := math.Max(r.VarianceCR, math.Max(r.VarianceB, r.Variance0))
	row := func(symbol, meaning string, v float64) varianceRow {
		return varianceRow{Symbol: symbol, Meaning: meaning, Value: plain(v), SE: estimate(math.Sqrt(v), r.Currency), Used: v == most && v > 0}
	}
	return []varianceRow{
		row("V_cr", "Cluster-robust: as if the users were drawn anew", r.VarianceCR),
		row("V_b", "Given these users: only the assignment is random", r.VarianceB),
		row("V_0", "If the policy had no effect at all", r.Variance0),
	}
}
