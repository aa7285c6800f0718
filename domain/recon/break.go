package recon

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/liftbill/liftbill/domain/fault"
)

// State is where a break stands.
type State string

// The states of a break.
const (
	Open     State = "open"
	Assigned State = "assigned"
	// Waiting: a repair was asked for, and the next run will tell.
	Waiting State = "waiting"
	// ForceRequested: somebody wants it resolved although it is there; a second person decides.
	ForceRequested State = "force_requested"
	Resolved       State = "resolved"
	Forced         State = "forced"
	// AutoRepaired: it is gone after a repair; Gone: it is gone by itself.
	AutoRepaired State = "auto_repaired"
	Gone         State = "gone"
)

// States lists them.
func States() []State {
	return []State{Open, Assigned, Waiting, ForceRequested, Resolved, Forced, AutoRepaired, Gone}
}

// Pending reports whether the break still has to be dealt with.
func (s State) Pending() bool {
	return s == Open || s == Assigned || s == Waiting || s == ForceRequested
}

// Settled reports whether somebody has explained the difference, which is still there.
func (s State) Settled() bool { return s == Resolved || s == Forced }

// Reason is why a break was resolved.
type Reason string

// The reasons.
const (
	Explained  Reason = "explained"
	CutOff     Reason = "cut_off"
	Corrected  Reason = "corrected"
	Accepted   Reason = "accepted"
	WrittenOff Reason = "written_off"
	// Tolerated is given by the tolerance of the account and by nobody else.
	Tolerated Reason = "within_tolerance"
)

// Reasons lists those that a person may give.
func Reasons() []Reason { return []Reason{Explained, CutOff, Corrected, Accepted, WrittenOff} }

// Action is what was done to a break.
type Action string

// The actions.
const (
	Detected  Action = "detected"
	Changed   Action = "changed"
	Returned  Action = "returned"
	Repairing Action = "repair_requested"
	Repaired  Action = "repaired"
	Vanished  Action = "vanished"
	ToOwner   Action = "assigned"
	Noted     Action = "noted"
	Linked    Action = "linked"
	Resolve   Action = "resolved"
	AskForce  Action = "force_requested"
	Force     Action = "forced"
	Decline   Action = "force_declined"
	Reopen    Action = "reopened"
)

// Actor is who did something. Person is the human being behind it: two tokens of one
// person are one pair of eyes.
type Actor struct{ ID, Person string }

// Machine is liftbill itself.
func Machine() Actor { return Actor{ID: "system:reconcile"} }

// Break is a difference with its life.
type Break struct {
	ID        string
	AccountID string
	Period    string
	Finding
	State     State
	Owner     string
	Reason    Reason
	FirstSeen time.Time
	LastSeen  time.Time
	// Seen is the fingerprint of what was found last.
	Seen string
	// RequestedBy asked for a forced resolution, ForcedBy agreed to it.
	RequestedBy, ForcedBy Actor
	UpdatedAt             time.Time
}

// Change is one row of a break's history.
type Change struct {
	BreakID  string
	Action   Action
	From, To State
	Actor    Actor
	At       time.Time
	Reason   Reason
	// Text is the note, the explanation, or what a machine has to say.
	Text string
	Link string
	// Owner is whom it was assigned to.
	Owner string
	// LeftMinor and RightMinor are what both sides said then; nil is nothing.
	LeftMinor, RightMinor *int64
}

func (b *Break) move(a Action, to State, by Actor, at time.Time, text string) Change {
	c := Change{
		BreakID: b.ID, Action: a, From: b.State, To: to, Actor: by, At: at, Text: text,
		LeftMinor: b.Left.AmountMinor, RightMinor: b.Right.AmountMinor, Owner: b.Owner,
	}
	b.State, b.UpdatedAt = to, at
	return c
}

// NewBreak is a break that is seen for the first time.
func NewBreak(accountID, period string, f Finding, at time.Time) (Break, Change) {
	b := Break{ID: f.ID(accountID, period), AccountID: accountID, Period: period, Finding: f, FirstSeen: at, LastSeen: at, Seen: f.Fingerprint()}
	return b, b.move(Detected, Open, Machine(), at, f.Detail)
}

// SeenAgain is what a later run makes of a break that it finds. What a person settled
// stays settled as long as both sides say the same; ok is false when nothing happened
// but that it was seen.
func (b *Break) SeenAgain(f Finding, at time.Time) (c Change, ok bool) {
	same := b.Seen == f.Fingerprint()
	b.Finding, b.Seen, b.LastSeen = f, f.Fingerprint(), at
	switch {
	case b.State == Gone || b.State == AutoRepaired:
		return b.move(Returned, b.begun(), Machine(), at, "it is there again: "+f.Detail), true
	case same:
		return Change{}, false
	case b.State.Settled():
		b.Reason, b.RequestedBy, b.ForcedBy = "", Actor{}, Actor{}
		return b.move(Changed, b.begun(), Machine(), at, "both sides say something else than when it was resolved"), true
	case b.State == ForceRequested:
		// Whoever agrees must agree to what was asked for.
		b.Reason, b.RequestedBy = "", Actor{}
		return b.move(Changed, b.begun(), Machine(), at, "both sides say something else than when force was asked for"), true
	}
	return b.move(Changed, b.State, Machine(), at, f.Detail), true
}

// begun is the state of a break that waits for somebody.
func (b *Break) begun() State {
	if b.Owner != "" {
		return Assigned
	}
	return Open
}

// Unseen is what a complete run makes of a break that it does not find any more.
func (b *Break) Unseen(at time.Time) (c Change, ok bool) {
	switch {
	case b.State == Waiting:
		return b.move(Repaired, AutoRepaired, Machine(), at, "the repair has worked"), true
	case b.State.Pending():
		b.RequestedBy = Actor{}
		return b.move(Vanished, Gone, Machine(), at, "both sides agree"), true
	}
	return Change{}, false
}

// Repair notes that a repair was asked for; ok is false where none may be, or one was.
func (b *Break) Repair(at time.Time, what string) (c Change, ok bool) {
	if b.State != Open && b.State != Assigned {
		return Change{}, false
	}
	return b.move(Repairing, Waiting, Machine(), at, what), true
}

// Tolerate settles a break by a stated tolerance.
func (b *Break) Tolerate(at time.Time, term string) (c Change, ok bool) {
	if !b.State.Pending() {
		return Change{}, false
	}
	b.Reason = Tolerated
	c = b.move(Resolve, Resolved, Machine(), at, term)
	c.Reason = Tolerated
	return c, true
}

// Assign gives a break to somebody; an empty owner gives it back.
func (b *Break) Assign(by Actor, owner string, at time.Time) (Change, error) {
	if err := b.mustPend("assigned"); err != nil {
		return Change{}, err
	}
	b.Owner = strings.TrimSpace(owner)
	to := b.State
	if to == Open || to == Assigned {
		to = b.begun()
	}
	c := b.move(ToOwner, to, by, at, "")
	return c, nil
}

func (b *Break) mustPend(what string) error {
	if b.State.Pending() {
		return nil
	}
	return fault.New(fault.Conflict, "break_settled", "break %s is %s and cannot be %s", b.ID, b.State, what).Fix("Reopen it first")
}

// maxText bounds what a person writes.
const maxText = 4000

func checkText(text string) (string, error) {
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return "", fault.InvalidField("text", "text_missing", "it is empty").Fix("Write a sentence that an auditor understands in a year")
	case len(text) > maxText:
		return "", fault.InvalidField("text", "text_too_long", "it has %d bytes, and at most %d fit", len(text), maxText)
	}
	return text, nil
}

// linkRE is an address on the web, without a user.
var linkRE = regexp.MustCompile(`^https?://[A-Za-z0-9.-]+(:[0-9]+)?([/?#][!-~]*)?$`)

// Note adds a remark, with or without a link to a document elsewhere.
func (b *Break) Note(by Actor, text, link string, at time.Time) (Change, error) {
	action := Noted
	if link != "" {
		action = Linked
		if !linkRE.MatchString(link) || len(link) > maxText {
			return Change{}, fault.InvalidField("link", "link_malformed", "it is no http or https address").Fix("Give the address of the document, without a user or a password")
		}
	}
	text, err := checkText(text)
	if err != nil {
		return Change{}, err
	}
	c := b.move(action, b.State, by, at, text)
	c.Link = link
	return c, nil
}

func checkReason(r Reason) error {
	if slices.Contains(Reasons(), r) {
		return nil
	}
	return fault.InvalidField("reason", "reason_unknown", "%q is not a reason", r).Fix("Use explained, cut_off, corrected, accepted or written_off")
}

// ResolveWith settles a break that one person may settle.
func (b *Break) ResolveWith(by Actor, r Reason, text string, at time.Time) (Change, error) {
	if err := b.mustPend("resolved"); err != nil {
		return Change{}, err
	}
	if b.Rule().Severity == Critical {
		return Change{}, fault.New(fault.Conflict, "second_person_needed", "a break of the type %s is not resolved by one person", b.Type).
			Fix("Ask for it to be forced; an approver who is somebody else then agrees")
	}
	if b.State == ForceRequested {
		return Change{}, fault.New(fault.Conflict, "force_requested", "break %s waits for a second person", b.ID).Fix("Let an approver agree or decline")
	}
	text, err := b.settle(r, text)
	if err != nil {
		return Change{}, err
	}
	c := b.move(Resolve, Resolved, by, at, text)
	c.Reason = r
	return c, nil
}

func (b *Break) settle(r Reason, text string) (string, error) {
	if err := checkReason(r); err != nil {
		return "", err
	}
	text, err := checkText(text)
	if err == nil {
		b.Reason = r
	}
	return text, err
}

// RequestForce asks a second person to settle a break that is still there.
func (b *Break) RequestForce(by Actor, r Reason, text string, at time.Time) (Change, error) {
	if err := b.mustPend("forced"); err != nil {
		return Change{}, err
	}
	if b.State == ForceRequested {
		return Change{}, fault.New(fault.Conflict, "force_requested", "break %s waits for a second person already", b.ID)
	}
	text, err := b.settle(r, text)
	if err != nil {
		return Change{}, err
	}
	b.RequestedBy = by
	c := b.move(AskForce, ForceRequested, by, at, text)
	c.Reason = r
	return c, nil
}

// second is the rule of the second person: a human being who is not the first one.
func (b *Break) second(by Actor) error {
	if b.State != ForceRequested {
		return fault.New(fault.Conflict, "force_not_requested", "nobody asked for break %s to be forced", b.ID).Fix("Ask for it first; somebody else then agrees")
	}
	if by.Person == "" {
		return fault.New(fault.Forbidden, "approver_not_a_person", "%s is not a signed-in person", by.ID).Fix("Sign in, or use a token that a signed-in person made")
	}
	if by.Person == b.RequestedBy.Person || by.ID == b.RequestedBy.ID {
		return fault.New(fault.Forbidden, "four_eyes", "whoever asked for it does not agree to it").Fix("Ask another approver")
	}
	return nil
}

// ForceBy is the second person's agreement.
func (b *Break) ForceBy(by Actor, text string, at time.Time) (Change, error) {
	if err := b.second(by); err != nil {
		return Change{}, err
	}
	text, err := checkText(text)
	if err != nil {
		return Change{}, err
	}
	b.ForcedBy = by
	c := b.move(Force, Forced, by, at, text)
	c.Reason = b.Reason
	return c, nil
}

// DeclineForce is the second person's refusal: the break is open again.
func (b *Break) DeclineForce(by Actor, text string, at time.Time) (Change, error) {
	if b.State != ForceRequested {
		return Change{}, fault.New(fault.Conflict, "force_not_requested", "nobody asked for break %s to be forced", b.ID)
	}
	text, err := checkText(text)
	if err != nil {
		return Change{}, err
	}
	b.Reason, b.RequestedBy = "", Actor{}
	return b.move(Decline, b.begun(), by, at, text), nil
}

// ReopenFor opens a break that was settled, or is gone, again.
func (b *Break) ReopenFor(by Actor, text string, at time.Time) (Change, error) {
	if b.State.Pending() {
		return Change{}, fault.New(fault.Conflict, "break_open", "break %s is open", b.ID)
	}
	text, err := checkText(text)
	if err != nil {
		return Change{}, err
	}
	b.Reason, b.RequestedBy, b.ForcedBy = "", Actor{}, Actor{}
	return b.move(Reopen, b.begun(), by, at, text), nil
}
