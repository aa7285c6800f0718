package webui

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/reward"
)

// eventsView is the list of an account's booked facts.
type eventsView struct {
	AccountID, AccountName string
	Environment            account.Environment
	Zone, SourceURL        string
	Kinds, Periods         []Choice
	Mapping, Joining       []Choice
	States, Sources        []Choice
	Filter                 reconcile.RewardEventsFilter
	AmountFrom, AmountTo   string
	Rows                   []rewardRow
	Totals                 []eventTotal
	Filtered, Partial      bool
	MoreURL, FirstURL      string
	Time                   timeOrder
	parameters             []parameter
}

// rewardRow is a fact as a line shows it.
type rewardRow struct {
	reconcile.RewardEvent
	URL   string
	Local string // when it took effect in the contract's time zone; empty where that is UTC
	Place *placeView
}

// placeView is where a fact was joined, in short.
type placeView struct {
	lift.Placement
	State      StateView
	LineURL    string
	DecisionID string
	Chosen     string // the action, and its probability
	Arm        string
}

// effectiveAscending lists the reward events that took effect first before later ones.
const effectiveAscending = "effective_asc"

// ResetURL is the list without filters.
func (v eventsView) ResetURL() string { return "/accounts/" + v.AccountID + "/events" }

// ExportURL is the file of what the filters select.
func (v eventsView) ExportURL(format string) string { return v.at(v.ResetURL() + "." + format) }

// at is an address with the filters and some more pairs.
func (v eventsView) at(path string, more ...string) string {
	var pairs []string
	for _, p := range v.parameters {
		pairs = append(pairs, p.Name, p.Value)
	}
	return query(path, append(pairs, more...)...)
}

// eventTotal sums one kind in one currency; revenue and refunds are not netted
// here, so that each sum can be compared with Stripe's list of that object.
type eventTotal struct {
	Kind, Currency string
	Events         int
	Minor          int64
}

// rewardsFilter reads the filters of the page, which its files and links have too.
func rewardsFilter(c echo.Context, accountID string) (f reconcile.RewardEventsFilter, all []parameter, err error) {
	p := func(name string) string {
		v := strings.TrimSpace(c.QueryParam(name))
		all = append(all, parameter{name, v})
		return v
	}
	f = reconcile.RewardEventsFilter{
		AccountID: accountID, Kind: p("kind"), Period: p("period"), From: p("from"), To: p("to"), State: p("state"), Mapped: p("mapped"), Joined: p("joined"),
		Currency: p("currency"), Type: p("type"), Source: p("source"), Search: p("q"), Sort: p("sort"), Places: true,
	}
	if f.Min, err = parseMajor("amount_from", p("amount_from"), f.Currency); err != nil {
		return f, all, err
	}
	f.Max, err = parseMajor("amount_to", p("amount_to"), f.Currency)
	return f, all, err
}

func (s *Server) events(c echo.Context) error {
	ctx := c.Request().Context()
	o, err := s.accountOf(c)
	if err != nil {
		return err
	}
	f, parameters, err := rewardsFilter(c, o.ID)
	if err != nil {
		return err
	}
	f.Cursor, f.Limit = c.QueryParam("cursor"), listLimit
	periods, err := s.reconcile.Periods(ctx, scopeOf(c))
	if err != nil {
		return err
	}
	zone, err := s.reconcile.Zone(ctx, o.ID)
	if err != nil {
		return err
	}
	page, err := s.reconcile.RewardEvents(ctx, f)
	if err != nil {
		return err
	}
	mapping := map[string]string{"yes": "Mapped to a user", "no": "Not mapped"}
	v := eventsView{
		AccountID: o.ID, AccountName: o.Name, Environment: o.Environment, Zone: zone.String(), Filter: f, Totals: eventTotals(page.Items), parameters: parameters,
		AmountFrom: c.QueryParam("amount_from"), AmountTo: c.QueryParam("amount_to"),
		Kinds:   choices("Every kind", f.Kind, rewardKinds(f.Kind), words),
		Periods: choices("Every period", f.Period, periods, month),
		Mapping: choices("Mapped or not", f.Mapped, []string{"yes", "no"}, func(m string) string { return mapping[m] }),
		Joining: choices("Joined or not", f.Joined, reconcile.JoinedChoices(), joinedWords),
		States:  choices("Every state", f.State, reconcile.RewardStates(), words),
		Sources: choices("Every way", f.Source, reconcile.RewardSources(), words),
		Partial: f.Type != "" || f.Source != "" || f.Joined != "", Filtered: f.Cursor != "",
	}
	for _, p := range parameters {
		v.Filtered = v.Filtered || p.Value != "" && p.Name != "sort"
	}
	for _, e := range page.Items {
		v.Rows = append(v.Rows, rewardRowOf(e, o.ID, zone))
	}
	if o.SourceConnection != "" {
		v.SourceURL = query("/connections/"+o.SourceConnection, "first", "wait")
	}
	v.Time = timeOrder{Ascending: f.Sort == effectiveAscending}
	v.Time.turn(effectiveAscending, func(sort string) string { return v.at(v.ResetURL(), "sort", sort) })
	if page.NextCursor != "" {
		v.MoreURL = v.at(v.ResetURL(), "cursor", page.NextCursor)
	}
	if f.Cursor != "" {
		v.FirstURL = v.at(v.ResetURL())
	}
	return s.render(c, http.StatusOK, "events", frame{
		Title: "Reward events, " + v.AccountName, Active: "accounts", Environment: string(o.Environment), Page: v,
	})
}

// joinedWords names the choices of the filter by where the money went.
func joinedWords(choice string) string {
	switch choice {
	case "yes":
		return "Joined with a decision"
	case "no":
		return "Not joined"
	}
	return "Not joined: " + words(choice)
}

func rewardRowOf(e reconcile.RewardEvent, accountID string, zone *time.Location) rewardRow {
	r := rewardRow{RewardEvent: e, URL: eventURL(accountID, e.ID()), Local: localTime(e.EffectiveAt, zone)}
	if len(e.Places) > 0 {
		p := placeOf(e.Places[0])
		r.Place = &p
	}
	return r
}

// eventURL is the page of one reward event.
func eventURL(accountID, id string) string {
	return "/accounts/" + accountID + "/events/" + url.PathEscape(id)
}

// localTime is empty where the zone is UTC, which is shown anyway.
func localTime(t time.Time, zone *time.Location) string {
	if zone.String() == "UTC" {
		return ""
	}
	return t.In(zone).Format("2006-01-02 15:04:05 MST")
}

// outcomes say in a few words where a fact went.
var outcomes = map[string]StateView{
	"joined": {"joined", "✓", "good"}, string(lift.BucketUnmapped): {"no user", "●", "busy"}, string(lift.BucketNoDecision): {"no decision", "–", "calm"},
	string(lift.BucketBeforeExposure): {"before the first decision", "–", "calm"}, string(lift.BucketOutOfWindow): {"out of the window", "–", "calm"},
	string(lift.BucketNextYear): {"next contract year", "–", "calm"}, string(lift.BucketOwnInvoice): {"our own invoice", "–", "calm"},
	string(lift.UncountedNoMoney): {"no money", "–", "calm"}, string(lift.UncountedHistoric): {"before the rewards", "–", "calm"},
	string(lift.UncountedCurrency): {"other currency", "–", "calm"}, string(lift.UncountedSubscription): {"no subscription", "–", "calm"},
	string(lift.UncountedNoAgreement): {"no contract", "–", "calm"},
}

func placeOf(p lift.Placement) placeView {
	v := placeView{Placement: p, State: outcomes[p.Outcome()]}
	if p.Joined() && p.Frozen {
		v.LineURL = lineURL(p.CycleID, p.SnapshotID)
	}
	if d := p.Decision(); d != nil {
		v.DecisionID, v.Arm, v.Chosen = d.DecisionID, string(d.Arm), chosen(*d)
	}
	return v
}

// chosen is a decision's action with its probability.
func chosen(e lift.Exposure) string {
	if i := slices.Index(e.Actions, e.Action); i >= 0 && i < len(e.Propensity) {
		return e.Action + " at " + strconv.FormatFloat(e.Propensity[i], 'g', 4, 64)
	}
	return e.Action
}

func eventTotals(rows []reconcile.RewardEvent) []eventTotal {
	var out []eventTotal
	for _, r := range rows {
		if r.AmountMinor == nil {
			continue
		}
		i := slices.IndexFunc(out, func(t eventTotal) bool { return t.Kind == r.Kind && t.Currency == r.Currency })
		if i < 0 {
			i = len(out)
			out = append(out, eventTotal{Kind: r.Kind, Currency: r.Currency})
		}
		out[i].Events++
		out[i].Minor += *r.AmountMinor
	}
	slices.SortFunc(out, func(a, b eventTotal) int { return strings.Compare(a.Currency+a.Kind, b.Currency+b.Kind) })
	return out
}

// rewardKinds are the public kinds, and the one that the address names.
func rewardKinds(present string) []string {
	var out []string
	for _, k := range reward.Kinds() {
		out = append(out, string(k))
	}
	if present != "" && !slices.Contains(out, present) {
		out = append(out, present)
	}
	return out
}

// rewardsExport has every reward event that the page's filters select.
func (s *Server) rewardsExport(c echo.Context) error {
	if err := checkFormat(c); err != nil {
		return err
	}
	o, err := s.accountOf(c)
	if err != nil {
		return err
	}
	f, parameters, err := rewardsFilter(c, o.ID)
	if err != nil {
		return err
	}
	zone, err := s.reconcile.Zone(c.Request().Context(), o.ID)
	if err != nil {
		return err
	}
	all, err := everything(func(cursor string, n int) ([]reconcile.RewardEvent, string, error) {
		f.Cursor, f.Limit = cursor, n
		page, err := s.reconcile.RewardEvents(c.Request().Context(), f)
		return page.Items, page.NextCursor, err
	})
	if err != nil {
		return err
	}
	r := report{
		Name: "reward-events-" + o.ID, Title: "Reward events of " + o.Name, Version: 2,
		Parameters: append([]parameter{{"account", o.ID}, {"time_zone", zone.String()}}, parameters...),
		Columns: []column{
			{Name: "effective_at", Kind: columnTime}, {Name: "effective_local"}, {Name: "kind"}, {Name: "state"}, {Name: "currency"}, {Name: "amount", Kind: columnMoney, Sum: true}, {Name: "user"}, {Name: "customer"},
			{Name: "invoice"}, {Name: "charge"}, {Name: "subscription"}, {Name: "event"}, {Name: "event_type"}, {Name: "source"}, {Name: "environment"}, {Name: "outcome"}, {Name: "snapshot"}, {Name: "decision"}, {Name: "arm"},
			{Name: "decisions", Kind: columnCount}, {Name: "cycle"}, {Name: "frozen"}, {Name: "fact"}, {Name: "own_invoice"}, {Name: "mapped_by"}, {Name: "connection"},
		},
	}
	for _, e := range all {
		place, decisions, frozen, outcome := placeView{}, any(nil), "", ""
		if len(e.Places) > 0 {
			place = placeOf(e.Places[0])
			decisions, frozen, outcome = int64(len(place.Decisions)), strconv.FormatBool(place.Frozen), place.Outcome()
		}
		r.Rows = append(r.Rows, []any{
			e.EffectiveAt, e.EffectiveAt.In(zone).Format(time.RFC3339), e.Kind, e.State, e.Currency, cash{e.AmountMinor, e.Currency}, e.UserID, e.CustomerID,
			e.InvoiceID, e.ChargeID, e.SubscriptionID, e.EventID, e.Teller.Type, e.Source(), string(o.Environment), outcome, place.SnapshotID, place.DecisionID, place.Arm,
			decisions, place.CycleID, frozen, e.FactKey, strconv.FormatBool(e.OwnInvoice), e.MappedBy, e.ConnectionID,
		})
	}
	return s.send(c, r)
}
