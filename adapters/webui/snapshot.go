package webui

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	app "github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/onboard"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/fault"
)

// Shipping ships and retires policy snapshots; *onboard.Service is it.
type Shipping interface {
	ShipSnapshot(ctx context.Context, by access.Principal, accountID string, in onboard.SnapshotInput) (onboard.Snapshot, bool, error)
	RetireSnapshot(ctx context.Context, by access.Principal, accountID string, in onboard.RetirementInput) (onboard.Retirement, bool, error)
}

// snapshotView is one policy snapshot.
type snapshotView struct {
	reconcile.SnapshotDetail
	State        StateView
	Months       []snapshotMonth
	Withheld     []heldReason
	Trend        *Trend
	Weights      []armWeights
	Propensities []armWeights
	Refused      []refusedView
	MayRetire    bool
	Problem      string
	Sampled64    string
}

type snapshotMonth struct {
	reconcile.SnapshotMonth
	State               StateView
	LiftText, BoundText *Amount
	ESSText             string
}

// heldReason is why a snapshot was withheld, and in how many months.
type heldReason struct {
	Code   string
	Months int
	Says   string // the newest month's own words
}

type refusedView struct {
	reconcile.RefusedEdit
	What    string
	Changes []factChange
}

func snapshotURL(account, id string) string {
	return "/accounts/" + url.PathEscape(account) + "/snapshots/" + url.PathEscape(id)
}

func (s *Server) snapshotPage(c echo.Context) error { return s.showSnapshot(c, http.StatusOK, "") }

func (s *Server) showSnapshot(c echo.Context, status int, problem string) error {
	ctx := c.Request().Context()
	d, err := s.reconcile.SnapshotDetail(ctx, c.Param("id"), c.Param("snapshot"))
	if err != nil {
		return err
	}
	v := snapshotView{SnapshotDetail: d, State: StateView{"in use", "●", "good"}, Problem: problem, Sampled64: count64(d.Sampled), Propensities: propensitiesOf(d.Propensities)}
	if d.RetiredAt != nil {
		v.State = StateView{"retired", "–", "calm"}
	}
	caller := app.From(ctx)
	v.MayRetire = d.RetiredAt == nil && caller.Kind == access.User && caller.Can(access.WriteSetup)
	for _, m := range d.Months {
		row := snapshotMonth{SnapshotMonth: m, State: stateOf(m.Verdict), LiftText: estimate(m.Lift, m.Currency), BoundText: estimate(m.Bound, m.Currency), ESSText: plain(m.ESS)}
		v.Months = append(v.Months, row)
		if m.Headline == "" {
			continue
		}
		i := slices.IndexFunc(v.Withheld, func(h heldReason) bool { return h.Code == m.Headline })
		if i < 0 {
			v.Withheld = append(v.Withheld, heldReason{Code: m.Headline, Says: m.Explanation})
			i = len(v.Withheld) - 1
		}
		v.Withheld[i].Months++
	}
	for _, r := range d.Refused {
		what := "ship with other content"
		if r.Action != "snapshot.shipped" {
			what = "retire at another moment, or for another reason"
		}
		v.Refused = append(v.Refused, refusedView{r, what, changesOf(r.Before, r.After)})
	}
	if d.CaseID != "" {
		newest, err := s.reconcile.Readout(ctx, d.CaseID)
		if err != nil {
			return err
		}
		points, err := s.reconcile.Trend(ctx, newest)
		if err != nil {
			return err
		}
		weights, err := s.reconcile.Weights(ctx, newest)
		if err != nil {
			return err
		}
		v.Trend, v.Weights = trendOf(points, newest.Currency), weightsOf(weights)
	}
	return s.render(c, status, "snapshot", frame{Title: d.Name, Active: "snapshots", Environment: string(d.Environment), Page: v})
}

// propensitiesOf draws how probable the chosen actions were, by arm.
func propensitiesOf(all []reconcile.PropensityCount) []armWeights {
	var out []armWeights
	for _, holdout := range []bool{true, false} {
		arm := armWeights{Arm: "Policy", Of: "decisions"}
		if holdout {
			arm.Arm = "Holdout"
		}
		var most int64
		for _, p := range all {
			if p.Holdout == holdout {
				arm.Units, most = arm.Units+p.Decisions, max(most, p.Decisions)
			}
		}
		if arm.Units == 0 {
			continue
		}
		for _, p := range all {
			if p.Holdout == holdout {
				arm.Bins = append(arm.Bins, weightBin{
					Label: fmt.Sprintf("%.1f to %.1f", p.From, p.From+0.1), Units: p.Decisions, Share: percent(p.Decisions, arm.Units),
					Width: coordinate(math.Max(2, float64(p.Decisions)/float64(most)*1000)),
				})
			}
		}
		out = append(out, arm)
	}
	return out
}

// moment reads a time of a form, in UTC; empty is now.
func moment(name, text string) (time.Time, error) {
	if text = strings.TrimSpace(text); text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05", time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fault.InvalidField(name, "time_malformed", "%q is not a time", text).Fix("Write it as 2026-10-01T09:00, in UTC")
}

// shipSnapshot ships what a form describes; a refusal is shown beside the form.
func (s *Server) shipSnapshot(c echo.Context) error {
	form, ctx := posted(c), c.Request().Context()
	at, err := moment("shipped_at", form.Get("shipped_at"))
	if err == nil {
		_, _, err = s.shipping.ShipSnapshot(ctx, app.From(ctx).Principal, c.Param("id"), onboard.SnapshotInput{ID: strings.TrimSpace(form.Get("snapshot")), Name: form.Get("name"), ShippedAt: at})
	}
	if text, ok := refusal(err); ok {
		return s.showSnapshots(c, http.StatusUnprocessableEntity, text)
	}
	if err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, snapshotURL(c.Param("id"), strings.TrimSpace(form.Get("snapshot"))))
}

// retireSnapshot takes a snapshot out of use from a moment on.
func (s *Server) retireSnapshot(c echo.Context) error {
	form, ctx := posted(c), c.Request().Context()
	at, err := moment("retired_at", form.Get("retired_at"))
	if err == nil {
		_, _, err = s.shipping.RetireSnapshot(ctx, app.From(ctx).Principal, c.Param("id"), onboard.RetirementInput{SnapshotID: c.Param("snapshot"), RetiredAt: at, Reason: form.Get("reason")})
	}
	if text, ok := refusal(err); ok {
		return s.showSnapshot(c, http.StatusUnprocessableEntity, text)
	}
	if err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, snapshotURL(c.Param("id"), c.Param("snapshot")))
}
