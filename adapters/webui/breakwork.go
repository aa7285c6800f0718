package webui

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	app "github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/reconcile"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/recon"
)

// breakOneView is one break with what can be done about it.
type breakOneView struct {
	reconcile.BreakView
	Rule               recon.Rule
	State              StateView
	Severity           StateView
	Effect             string
	DifferenceMinor    int64
	CycleURL, ListURL  string
	LeftURL, RightURL  string
	CustomerURL        string
	Pending, Blocks    bool
	History            []changeView
	Reasons            []string
	Compare            *compareLink
	Problem            string
	MayResolve, MayAsk bool
	MayForce, Mine     bool
	MayReopen, MayWork bool
	Me                 string
}

type changeView struct {
	recon.Change
	ToState StateView
}

// compareLink is what of a break can be read at Stripe now.
type compareLink struct{ URL, Object, ID string }

// comparables are the objects whose fields can be compared, by the beginning of their ID.
var comparables = map[string]string{"in": "invoice", "sub": "subscription", "re": "refund", "dp": "dispute", "du": "dispute"}

// comparing finds the object of a break that both sides can be asked about.
func (s *Server) comparing(c echo.Context, b reconcile.BreakView) (*compareLink, error) {
	if !app.From(c.Request().Context()).Can(access.RunSync) {
		return nil, nil //nolint:nilnil // nothing to offer
	}
	link := func(connection, id string) *compareLink {
		prefix, _, _ := strings.Cut(id, "_")
		if object := comparables[prefix]; object != "" && connection != "" && stripeID.MatchString(id) {
			return &compareLink{"/connections/" + connection + "/compare", object, id}
		}
		return nil
	}
	if out := link(b.Target.ConnectionID, b.Target.ID); out != nil {
		return out, nil
	}
	accounts, err := s.reconcile.Accounts(c.Request().Context(), scopeOf(c))
	if err != nil {
		return nil, err
	}
	for _, a := range accounts {
		if a.ID != b.AccountID {
			continue
		}
		connection := a.SourceConnection
		if b.Line == recon.Invoice || b.Rule().Effect == recon.OnInvoice {
			connection = a.IssuerConnection
		}
		for _, id := range []string{b.Right.ID, b.Left.ID, b.Subject} {
			if out := link(connection, id); out != nil {
				return out, nil
			}
		}
	}
	return nil, nil //nolint:nilnil // it has no such object
}

func (s *Server) breakOne(c echo.Context) error { return s.showBreak(c, http.StatusOK, "") }

func (s *Server) showBreak(c echo.Context, status int, problem string) error {
	ctx := c.Request().Context()
	b, err := s.breaks.Break(ctx, c.Param("id"))
	if err != nil {
		return err
	}
	caller, rule := app.From(ctx), b.Rule()
	v := breakOneView{
		BreakView: b, Rule: rule, State: breakState(b.State), Severity: severityView(rule.Severity), Effect: effects[rule.Effect], DifferenceMinor: b.Difference(b.Currency),
		CycleURL: monthURL(b.AccountID, b.Period), ListURL: query("/breaks", "account", b.AccountID, "period", b.Period), LeftURL: stripeURL(b.Left.ID), RightURL: stripeURL(b.Right.ID), CustomerURL: customerURL(b.AccountID, b.CustomerID),
		Pending: b.State.Pending(), Blocks: b.State.Pending() && rule.Severity.Blocks(), Reasons: texts(recon.Reasons()), Problem: problem, Me: caller.Name,
	}
	v.MayWork = caller.Can(access.ResolveBreak)
	v.MayAsk = v.MayWork && v.Pending && b.State != recon.ForceRequested
	v.MayResolve = v.MayAsk && rule.Severity != recon.Critical
	v.MayReopen = v.MayWork && !v.Pending
	v.Mine = b.State == recon.ForceRequested && caller.Person != "" && caller.Person == b.RequestedBy.Person
	v.MayForce = b.State == recon.ForceRequested && caller.Can(access.ForceBreak) && !v.Mine
	for _, h := range b.History {
		v.History = append(v.History, changeView{h, breakState(h.To)})
	}
	if v.Compare, err = s.comparing(c, b); err != nil {
		return err
	}
	return s.render(c, status, "break", frame{Title: rule.Title, Active: "breaks", Environment: b.Environment.String(), Page: v})
}

// refusal is the text of what a person can mend, or of another kind that is asked for; ok
// is false for any other error.
func refusal(err error, also ...fault.Kind) (text string, ok bool) {
	var fe *fault.Error
	if !errors.As(err, &fe) || !slices.Contains(append(also, fault.Invalid, fault.Conflict, fault.Forbidden, fault.RateLimited), fe.Kind) {
		return "", false
	}
	text = sentence(fe.Msg)
	if fe.Field != "" {
		text = sentence(fe.Field + ": " + fe.Msg)
	}
	if fe.Remedy != "" {
		text += " " + sentence(fe.Remedy)
	}
	return text, true
}

// worked goes back to the break, or shows on its page why a change was refused.
func (s *Server) worked(c echo.Context, err error) error {
	if text, ok := refusal(err); ok {
		return s.showBreak(c, http.StatusUnprocessableEntity, text)
	}
	if err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, "/breaks/"+c.Param("id")+"#history")
}

func (s *Server) breakAssign(c echo.Context) error {
	_, err := s.breaks.Assign(c.Request().Context(), app.From(c.Request().Context()).Principal, c.Param("id"), posted(c).Get("owner"))
	return s.worked(c, err)
}

func (s *Server) breakNote(c echo.Context) error {
	form := posted(c)
	_, err := s.breaks.Note(c.Request().Context(), app.From(c.Request().Context()).Principal, c.Param("id"), form.Get("text"), strings.TrimSpace(form.Get("link")))
	return s.worked(c, err)
}

func (s *Server) breakResolve(c echo.Context) error {
	form := posted(c)
	_, err := s.breaks.Resolve(c.Request().Context(), app.From(c.Request().Context()).Principal, c.Param("id"), recon.Reason(form.Get("reason")), form.Get("text"))
	return s.worked(c, err)
}

func (s *Server) breakAskForce(c echo.Context) error {
	form := posted(c)
	_, err := s.breaks.RequestForce(c.Request().Context(), app.From(c.Request().Context()).Principal, c.Param("id"), recon.Reason(form.Get("reason")), form.Get("text"))
	return s.worked(c, err)
}

func (s *Server) breakForce(c echo.Context) error {
	form := posted(c)
	_, err := s.breaks.Force(c.Request().Context(), app.From(c.Request().Context()).Principal, c.Param("id"), form.Get("agree") == "yes", form.Get("text"))
	return s.worked(c, err)
}

func (s *Server) breakReopen(c echo.Context) error {
	_, err := s.breaks.Reopen(c.Request().Context(), app.From(c.Request().Context()).Principal, c.Param("id"), posted(c).Get("text"))
	return s.worked(c, err)
}

// bulk is what can be done with marked rows of a list.
type bulk struct {
	URL     string
	Reasons []string
	Me      string
	// Cycles are approved, breaks are assigned and resolved.
	Cycles bool
}

// maxBulk bounds the rows of one request.
const maxBulk = listLimit

// breakBulk assigns or resolves the marked breaks, each by itself: what one refuses does
// not keep the others, and is told with its reason.
func (s *Server) breakBulk(c echo.Context) error {
	form, by := posted(c), app.From(c.Request().Context()).Principal
	ids := form["pick"]
	if len(ids) == 0 || len(ids) > maxBulk {
		return s.showBreaks(c, http.StatusUnprocessableEntity, "", "Mark 1 to "+count(maxBulk)+" rows first.")
	}
	verb := map[string]string{"assign": "assigned", "resolve": "resolved"}[form.Get("action")]
	var refused []string
	done := 0
	for _, id := range ids {
		var err error
		switch form.Get("action") {
		case "assign":
			_, err = s.breaks.Assign(c.Request().Context(), by, id, form.Get("owner"))
		case "resolve":
			_, err = s.breaks.Resolve(c.Request().Context(), by, id, recon.Reason(form.Get("reason")), form.Get("text"))
		default:
			return s.showBreaks(c, http.StatusUnprocessableEntity, "", "Choose what to do with the marked rows.")
		}
		text, ok := refusal(err)
		switch {
		case ok:
			refused = append(refused, id+": "+text)
		case fault.Is(err, fault.NotFound): // also what lies outside the caller's scope
			refused = append(refused, id+": There is no such break.")
		case err != nil:
			return err
		default:
			done++
		}
	}
	told := ""
	if done > 0 {
		told = plural(done, "break") + " " + verb + "."
	}
	status := http.StatusOK
	if len(refused) > 0 {
		status = http.StatusUnprocessableEntity
	}
	return s.showBreaks(c, status, told, strings.Join(refused, " "))
}

// compareView is one object as both sides have it.
type compareView struct {
	Connection, Object, ID string
	Objects                []Choice
	Result                 *reconcile.Comparison
	Differ                 int
	Problem                string
	May                    bool
	Back                   string
}

func (s *Server) comparePage(c echo.Context) error {
	return s.showCompare(c, http.StatusOK, compareView{Object: c.QueryParam("object"), ID: c.QueryParam("object_id"), Back: c.QueryParam("back")})
}

func (s *Server) showCompare(c echo.Context, status int, v compareView) error {
	v.Connection, v.May = c.Param("id"), app.From(c.Request().Context()).Can(access.RunSync)
	if !strings.HasPrefix(v.Back, "/") || strings.HasPrefix(v.Back, "//") || strings.Contains(v.Back, `\`) {
		v.Back = ""
	}
	for _, o := range []string{"invoice", "subscription", "refund", "dispute"} {
		v.Objects = append(v.Objects, Choice{Value: o, Label: o, Selected: o == v.Object})
	}
	env, err := s.environmentAt(c, v.Connection)
	if err != nil {
		return err
	}
	return s.render(c, status, "compare", frame{Title: "Compare with Stripe now", Active: "breaks", Environment: env, Page: v})
}

// environmentAt is the environment of a connection; empty for one that no account is wired to.
func (s *Server) environmentAt(c echo.Context, connectionID string) (string, error) {
	all, err := s.reconcile.Accounts(c.Request().Context(), scopeOf(c))
	for _, a := range all {
		if a.SourceConnection == connectionID || a.IssuerConnection == connectionID {
			return a.Environment.String(), nil
		}
	}
	return "", err
}

// compare reads one object at Stripe and sets it beside the ledger's. It changes nothing.
func (s *Server) compare(c echo.Context) error {
	form := posted(c)
	v := compareView{Object: form.Get("object"), ID: strings.TrimSpace(form.Get("object_id")), Back: form.Get("back")}
	result, err := s.breaks.Compare(c.Request().Context(), app.From(c.Request().Context()).Principal, c.Param("id"), v.Object, v.ID)
	if fault.Is(err, fault.NotFound) {
		v.Problem = "Neither the ledger nor Stripe knows this object. Check its ID and the connection."
		return s.showCompare(c, http.StatusUnprocessableEntity, v)
	}
	if text, ok := refusal(err); ok {
		v.Problem = text
		return s.showCompare(c, http.StatusUnprocessableEntity, v)
	}
	if err != nil {
		return err
	}
	v.Result = &result
	for _, f := range result.Fields {
		if !f.Equal {
			v.Differ++
		}
	}
	return s.showCompare(c, http.StatusOK, v)
}
