package webui

import (
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/liftbill/liftbill/app/operate"
)

// lookAgain is how often the page of a connection that has no event yet looks for one.
const lookAgain = 5 * time.Second

// firstEventView waits for the first event of a connection, and shows it.
type firstEventView struct {
	// Event is the first one; nil while there is none.
	Event *operate.Event
	State StateView
	// Again is every how many seconds the page looks; 0 when it has stopped.
	Again            int
	LookURL, StopURL string
	Endpoint         string
	Fetched          bool // it is fetched as well, so that no webhook is needed
	EventsURL        string
}

// firstEvent is for a connection without events, and for who waited for the first one: the
// address says so, so that a reload, with a script or without one, goes on waiting. The
// browser is told by a header when to look again; the policy of the pages allows no request
// of a script, and none is needed.
func (s *Server) firstEvent(c echo.Context, h operate.Health, fetched bool) (*firstEventView, error) {
	asked := c.QueryParam("first")
	if h.LastEvent != nil && asked == "" {
		return nil, nil //nolint:nilnil // nobody waits
	}
	page := "/connections/" + h.ConnectionID
	v := &firstEventView{
		LookURL: query(page, "first", "wait") + "#first", StopURL: query(page, "first", "stop") + "#first", Endpoint: h.Endpoint, Fetched: fetched,
		EventsURL: query("/events", "connection", h.ConnectionID),
	}
	if h.LastEvent != nil {
		events, err := s.operate.Events(c.Request().Context(), operate.EventsFilter{
			Selection: operate.Selection{Scope: scopeOf(c), ConnectionID: h.ConnectionID}, Sort: operate.SortOldest, Limit: 1,
		})
		if err != nil {
			return nil, err
		}
		if len(events.Items) > 0 {
			v.Event = &events.Items[0]
			v.State = eventState(v.Event.Status)
		}
	}
	if asked != "stop" && (v.Event == nil || v.Event.Status == "pending") {
		v.Again = int(lookAgain / time.Second)
		c.Response().Header().Set("Refresh", strconv.Itoa(v.Again)+"; url="+query(page, "first", "wait"))
	}
	return v, nil
}
