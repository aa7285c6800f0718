package webui

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	app "github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/operate"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
)

// eventView is one reward event: what it says, who told it, and where it was joined.
type eventView struct {
	reconcile.RewardEventDetail
	AccountID, AccountName string
	URL, Local, ZoneName   string
	Facts                  []labelled
	Places                 []placeDetail
	// Told is the stored event that told it first; LogURL lists those about the same object.
	Told           *operate.Event
	LogURL         string
	CustomerURL    string
	Object         string // what kind of object it is about; empty for one that is not read
	MayRun, Stored bool
	Done, Problem  string
	CompareURL     string
	FrozenURL      string
}

type labelled struct{ Label, Value string }

// placeDetail is where a fact went in one contract year, with the decisions.
type placeDetail struct {
	placeView
	Why       string
	CycleURL  string
	Decisions []decisionView
	Hidden    int
}

// decisionView is one decision about the fact's unit.
type decisionView struct {
	lift.Exposure
	Role        string
	Chosen      string
	Vector      string
	SnapshotURL string
}

// shownDecisions bounds the decisions of a place on the page.
const shownDecisions = 50

func (s *Server) event(c echo.Context) error {
	v, o, err := s.eventPage(c)
	if err != nil {
		return err
	}
	switch c.QueryParam("done") {
	case "replay":
		v.Done = "The event is put back into the queue; what it tells is booked under the same keys."
	case "refetch":
		v.Done = "The object is queued to be read at Stripe; what it tells is booked under the same keys."
	}
	return s.showEvent(c, http.StatusOK, v, o)
}

func (s *Server) showEvent(c echo.Context, status int, v eventView, o reconcile.Overview) error {
	return s.render(c, status, "event", frame{Title: "Reward event, " + v.AccountName, Active: "accounts", Environment: string(o.Environment), Page: v})
}

func (s *Server) eventPage(c echo.Context) (eventView, reconcile.Overview, error) {
	ctx := c.Request().Context()
	o, err := s.accountOf(c)
	if err != nil {
		return eventView{}, o, err
	}
	id, err := url.PathUnescape(c.Param("event"))
	if err != nil {
		return eventView{}, o, echo.NewHTTPError(http.StatusNotFound)
	}
	d, err := s.reconcile.RewardEvent(ctx, o.ID, id)
	if err != nil {
		return eventView{}, o, err
	}
	caller := app.From(ctx)
	v := eventView{
		RewardEventDetail: d, AccountID: o.ID, AccountName: o.Name, URL: eventURL(o.ID, id), Local: localTime(d.EffectiveAt, d.Zone), ZoneName: d.Zone.String(),
		LogURL: query("/events", "q", d.ObjectID, "connection", d.ConnectionID), Object: operate.ObjectOf(d.ObjectID), Stored: d.Teller.EventID != "", MayRun: caller.Can(access.RunSync),
	}
	if v.Facts, err = factsOf(d.Detail); err != nil {
		return v, o, err
	}
	for _, p := range d.Places {
		v.Places = append(v.Places, placeDetailOf(p, o.ID))
	}
	v.CustomerURL = customerURL(o.ID, d.CustomerID)
	if d.FrozenBy != "" {
		v.FrozenURL = "/cycles/" + d.FrozenBy
	}
	if prefix, _, _ := strings.Cut(d.ObjectID, "_"); comparables[prefix] != "" && v.MayRun {
		v.CompareURL = query("/connections/"+d.ConnectionID+"/compare", "object", comparables[prefix], "object_id", d.ObjectID, "back", v.URL)
	}
	if !v.Stored {
		return v, o, nil
	}
	page, err := s.operate.Events(ctx, operate.EventsFilter{
		Selection: operate.Selection{Scope: scopeOf(c), ConnectionID: d.ConnectionID, EventID: d.Teller.EventID}, Limit: 1,
	})
	if err == nil && len(page.Items) > 0 {
		v.Told = &page.Items[0]
	}
	return v, o, err
}

// factLabels name what words alone would name badly; amounts are minor units, exact.
var factLabels = map[string]string{
	"user_id": "User that Stripe names", "mrr_before": "Monthly worth before, minor units", "mrr_after": "Monthly worth after, minor units", "invoice_net": "Invoice without tax, minor units",
}

// factsOf are what a kind says beside money and objects, as labels and values.
func factsOf(detail string) ([]labelled, error) {
	dec := json.NewDecoder(bytes.NewReader([]byte(detail)))
	dec.UseNumber()
	var all map[string]any
	if err := dec.Decode(&all); err != nil {
		return nil, fault.Wrap(err, fault.Internal, "detail_unreadable", "the detail of a fact cannot be read")
	}
	var out []labelled
	if flags, ok := all["flags"].(map[string]any); ok {
		delete(all, "flags")
		for name, v := range flags {
			all[name] = v
		}
	}
	for name, v := range all {
		text := ""
		switch v := v.(type) {
		case string:
			text = v
		case bool:
			text = "no"
			if v {
				text = "yes"
			}
		case json.Number:
			text = v.String()
		}
		label, named := factLabels[name]
		if !named {
			label = titled(words(name))
		}
		out = append(out, labelled{label, text})
	}
	slices.SortFunc(out, func(a, b labelled) int { return strings.Compare(a.Label, b.Label) })
	return out, nil
}

func placeDetailOf(p lift.Placement, accountID string) placeDetail {
	v := placeDetail{placeView: placeOf(p), Why: p.Why()}
	if p.Frozen {
		v.CycleURL = "/cycles/" + p.CycleID
	}
	shown := p.Shown(shownDecisions)
	v.Hidden = len(p.Decisions) - len(shown)
	for _, i := range shown {
		e := p.Decisions[i]
		d := decisionView{Exposure: e, Chosen: chosen(e), SnapshotURL: snapshotURL(accountID, e.SnapshotID)}
		switch {
		case i == p.Latest && i == p.First:
			d.Role = "the latest before the event, and the first for its snapshot"
		case i == p.Latest:
			d.Role = "the latest before the event"
		case i == p.First:
			d.Role = "the first for its snapshot: the window begins"
		case e.At.After(p.At):
			d.Role = "after the event"
		}
		var parts []string
		for k, a := range e.Actions {
			if k < len(e.Propensity) {
				parts = append(parts, a+" "+strconv.FormatFloat(e.Propensity[k], 'g', 4, 64))
			}
		}
		d.Vector = strings.Join(parts, ", ")
		v.Decisions = append(v.Decisions, d)
	}
	return v
}

// eventStep classifies the fact's event again, or has its object read at Stripe again.
func (s *Server) eventStep(c echo.Context) error {
	ctx, step := c.Request().Context(), c.Param("step")
	v, o, err := s.eventPage(c)
	if err != nil {
		return err
	}
	by, reason := app.From(ctx).Principal, c.FormValue("reason")
	switch {
	case step == "replay" && v.Stored: // without an event of its own there is nothing to classify
		_, err = s.operate.Reprocess(ctx, by, operate.Selection{ConnectionID: v.ConnectionID, EventID: v.Teller.EventID}, reason, false)
	case step == "refetch":
		err = s.operate.Reread(ctx, by, v.ConnectionID, v.ObjectID, reason)
	default:
		return echo.NewHTTPError(http.StatusNotFound)
	}
	var told *fault.Error
	if errors.As(err, &told) && told.Kind == fault.Invalid {
		v.Problem = strings.TrimSpace(sentence(told.Msg) + " " + told.Remedy)
		return s.showEvent(c, http.StatusUnprocessableEntity, v, o)
	}
	if err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, v.URL+"?done="+step)
}
