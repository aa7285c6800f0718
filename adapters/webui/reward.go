package webui

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/fault"
)

// rewardView is one fact between what Stripe said and what was decided.
type rewardView struct {
	reconcile.RewardDetail
	AccountID, AccountName            string
	EventURL, CompareURL, CustomerURL string
	EventState                        StateView
	// Counted says whether it is somebody's revenue, and why not.
	Counted      string
	CountedState StateView
	Exposures    int // the snapshots that the user was exposed to
}

// rewardURL is the page of a fact.
func rewardURL(accountID, factKey string) string {
	return "/accounts/" + accountID + "/events/" + url.PathEscape(factKey)
}

// rewardPage shows a fact with the decisions that were made about its user before it.
func (s *Server) rewardPage(c echo.Context) error {
	o, err := s.accountOf(c)
	if err != nil {
		return err
	}
	key, err := url.PathUnescape(c.Param("fact"))
	if err != nil {
		return fault.InvalidField("fact", "fact_malformed", "the key of the fact cannot be read").Fix("Follow the link of the list")
	}
	d, err := s.reconcile.RewardEvent(c.Request().Context(), o.ID, key)
	if err != nil {
		return err
	}
	v := rewardView{
		RewardDetail: d, AccountID: o.ID, AccountName: o.Name, CustomerURL: customerURL(o.ID, d.CustomerID),
		EventURL: query("/events", "connection", d.ConnectionID, "q", d.EventID), EventState: stateOf(d.EventStatus), CompareURL: compareFactURL(d, rewardURL(o.ID, d.FactKey)),
	}
	if d.EventStatus == "processed" {
		v.EventState.Icon, v.EventState.Tone = "✓", "good"
	}
	v.Counted, v.CountedState = countedAs(d.RewardEvent)
	for _, x := range d.Decisions {
		if x.First {
			v.Exposures++
		}
	}
	return s.render(c, http.StatusOK, "reward", frame{Title: words(d.Kind) + ", " + o.Name, Active: "accounts", Environment: o.Environment.String(), Page: v})
}

// countedAs says whether a fact enters somebody's revenue, and why it does not.
func countedAs(e reconcile.RewardEvent) (string, StateView) {
	no := StateView{"not counted", "–", "calm"}
	switch {
	case e.OwnInvoice:
		return "It is about an outcome invoice of ours, which is nobody's revenue.", no
	case !e.IsReward:
		return "It is a state that carries no reward.", no
	case e.Historic:
		return "It lies before the start of the rewards.", no
	case e.UserID == "":
		return "Nobody said whose the customer is, so that it is in no readout until it is mapped.", StateView{"not mapped", "●", "busy"}
	case e.AmountMinor == nil:
		return "It carries no money.", StateView{"mapped", "✓", "good"}
	default:
		return "It is revenue of the user, if a decision exposed the user before it and it lies within the attribution window.", StateView{"mapped", "✓", "good"}
	}
}

// compareFactURL leads to the object of a fact as both sides have it now; empty for what
// cannot be compared.
func compareFactURL(d reconcile.RewardDetail, back string) string {
	object, id := "", ""
	switch {
	case d.Kind == "refund" && strings.HasPrefix(d.ObjectID, "re_"):
		object, id = "refund", d.ObjectID
	case strings.HasPrefix(d.Kind, "dispute") && d.ObjectID != "":
		object, id = "dispute", d.ObjectID
	case d.InvoiceID != "":
		object, id = "invoice", d.InvoiceID
	case d.SubscriptionID != "":
		object, id = "subscription", d.SubscriptionID
	default:
		return ""
	}
	return query("/connections/"+d.ConnectionID+"/compare", "object", object, "object_id", id, "back", back)
}
