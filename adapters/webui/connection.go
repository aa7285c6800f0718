package webui

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	app "github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/golive"
	"github.com/liftbill/liftbill/app/operate"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/app/sourcesync"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
)

// Sources tells how a source is fetched; *sourcesync.Service is it.
type Sources interface {
	Status(ctx context.Context, connectionID string) (sourcesync.Status, error)
}

// GoLive judges the checklist of an account; *golive.Service is it. It asks Stripe for one
// invoice, so a page asks only when it is told to.
type GoLive interface {
	Status(ctx context.Context, by access.Principal, accountID string) (golive.Status, error)
}

// connectionView is one connection.
type connectionView struct {
	healthRow
	// First waits for the first event; nil where nobody does.
	First    *firstEventView
	Plot     *LagPlot
	Failures []failureRow
	// Sync is nil for a connection that is no source.
	Sync      *sourcesync.Status
	SyncState StateView
	SyncLag   string
	Fetched   string // until when Stripe's events were read without a hole
	Accounts  []goLiveRow
	// Key is nil while Stripe was never asked what the key may do.
	Key *keyView
	// CheckKeyURL explains how Stripe is asked.
	CheckKeyURL string
}

type failureRow struct {
	operate.Failure
	URL string
}

// goLiveRow is an account of a connection, with its checklist when it was asked for.
type goLiveRow struct {
	reconcile.Overview
	Live     bool
	CheckURL string
	Checked  *golive.Status
	Problem  string
}

// LagPlot draws the lag hour by hour, on a scale of powers of ten.
type LagPlot struct {
	Hours   []LagMark
	Ticks   []TrendTick
	Height  int
	Base    string
	Summary string
}

// LagMark is one hour: a bar from the median to the 99 % quantile.
type LagMark struct {
	operate.LagHour
	X, Median, High, Label string
	MedianText, HighText   string
	URL                    string
	Known, Sampled         bool
}

// lagLeft is where the drawing begins, in percent: the labels of the lags stand before it.
const lagLeft = 9.0

// lagPlotOf draws hours of which at least one has a lag.
func lagPlotOf(hours []operate.LagHour, logURL string) *LagPlot {
	low, high, known := math.Inf(1), math.Inf(-1), 0
	tens := func(d time.Duration) float64 { return math.Log10(math.Max(float64(d), float64(time.Millisecond))) }
	for _, h := range hours {
		if h.P50 != nil && h.P99 != nil {
			known++
			low, high = math.Min(low, math.Floor(tens(*h.P50))), math.Max(high, math.Ceil(tens(*h.P99)))
		}
	}
	if known == 0 {
		return nil
	}
	if low == high {
		high++
	}
	y := func(v float64) float64 { return trendTop + (high-v)/(high-low)*trendHeight }
	p := &LagPlot{Height: int(trendTop + trendHeight + 30), Base: fmt.Sprintf("%.0f", trendTop+trendHeight+22)}
	for v := low; v <= high; v++ {
		p.Ticks = append(p.Ticks, TrendTick{Y: fmt.Sprintf("%.1f", y(v)), TextY: fmt.Sprintf("%.1f", y(v)+4), Label: tickLag(time.Duration(math.Round(math.Pow10(int(v)))))})
	}
	width := (100 - lagLeft) / float64(len(hours))
	var worst operate.LagHour
	for i, h := range hours {
		day := h.From.Format(time.DateOnly)
		m := LagMark{LagHour: h, X: fmt.Sprintf("%.2f%%", lagLeft+(float64(i)+0.5)*width), URL: logURL + "&from=" + day + "&to=" + day, Sampled: h.Events >= operate.LagHourSample}
		if h.From.Hour()%6 == 0 {
			m.Label = h.From.Format("15:04")
		}
		if h.P50 != nil && h.P99 != nil {
			m.Known, m.MedianText, m.HighText = true, lag(h.P50), lag(h.P99)
			m.Median, m.High = fmt.Sprintf("%.1f", y(tens(*h.P50))), fmt.Sprintf("%.1f", y(tens(*h.P99)))
			if worst.P99 == nil || *h.P99 > *worst.P99 {
				worst = h
			}
		}
		p.Hours = append(p.Hours, m)
	}
	p.Summary = fmt.Sprintf("Lag from receipt to classification in the last %d hours: %d of them had events; the worst 99 percent quantile was %s, in the hour from %s.",
		len(hours), known, lag(worst.P99), stamp(worst.From))
	return p
}

// tickLag is a power of ten of nanoseconds in a unit that keeps it short.
func tickLag(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 1000*time.Second:
		return fmt.Sprintf("%.0f s", d.Seconds())
	default:
		return "~" + ago(d)
	}
}

// syncTones are how the verdicts on a source look.
var syncTones = map[sourcesync.Verdict]StateView{
	sourcesync.OK: {"ok", "✓", "good"}, sourcesync.Waiting: {"waiting", "●", "busy"}, sourcesync.Warning: {"needs a look", "!", "bad"},
	sourcesync.Failing: {"failing", "✕", "bad"}, sourcesync.Paused: {"paused", "–", "calm"}, sourcesync.Off: {"off", "–", "calm"},
}

// sourceOf tells how a connection is fetched, if it is a source: from an issuer nothing is.
func (s *Server) sourceOf(ctx context.Context, id string) (_ sourcesync.Status, isSource bool, _ error) {
	status, err := s.sources.Status(ctx, id)
	if fault.Is(err, fault.NotFound) || fault.CodeOf(err) == "role_missing" {
		return status, false, nil
	}
	return status, err == nil, err
}

// connectionPage shows one connection: lag, what is set aside, how it is fetched, and whether
// its accounts may go live.
func (s *Server) connectionPage(c echo.Context) error {
	ctx, id := c.Request().Context(), c.Param("id")
	pulse, err := s.operate.Pulse(ctx, scopeOf(c), id)
	if err != nil {
		return err
	}
	v := connectionView{healthRow: healthOf(pulse.Health, s.clock.Now())}
	v.CheckKeyURL = "/docs/api#checkKey"
	if v.Key, err = s.keyOf(ctx, id); err != nil {
		return err
	}
	v.Plot = lagPlotOf(pulse.Hours, v.LogURL)
	for _, f := range pulse.Failures {
		v.Failures = append(v.Failures, failureRow{f, query("/events", "connection", id, "status", f.Status, "type", f.Type)})
	}
	status, isSource, err := s.sourceOf(ctx, id)
	if err != nil {
		return err
	}
	if isSource {
		v.Sync, v.SyncState, v.SyncLag, v.Fetched = &status, syncTones[status.Verdict], lag(&status.Lag), stamp(status.HighWater)
	}
	if v.First, err = s.firstEvent(c, pulse.Health, v.Sync != nil); err != nil {
		return err
	}
	accounts, err := s.reconcile.Accounts(ctx, scopeOf(c))
	if err != nil {
		return err
	}
	asked, by := c.QueryParam("checklist"), app.From(ctx).Principal
	for _, o := range accounts {
		if !slices.Contains([]string{o.SourceConnection, o.IssuerConnection}, id) {
			continue
		}
		row := goLiveRow{Overview: o, Live: o.Environment == account.Live, CheckURL: query("/connections/"+id, "checklist", o.ID) + "#golive"}
		if row.Live && asked == o.ID {
			st, err := s.golive.Status(ctx, by, o.ID)
			if row.Checked = &st; err != nil {
				// Stripe cannot be asked, or the caller may not: the rest of the page holds.
				var told *fault.Error
				if !errors.As(err, &told) {
					return err
				}
				row.Checked, row.Problem = nil, strings.TrimSpace(told.Msg+". "+told.Remedy)
			}
		}
		v.Accounts = append(v.Accounts, row)
	}
	return s.render(c, http.StatusOK, "connection", frame{Title: "Connection " + id, Active: "connections", Environment: string(pulse.Environment), Page: v})
}
