package recon

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/liftbill/liftbill/domain/fault"
)

// CloseAction is what was done to a month as a whole.
type CloseAction string

// The actions.
const (
	Closed   CloseAction = "closed"
	Reopened CloseAction = "reopened"
)

// Closing is one row of a month's life: it was closed, or opened again.
type Closing struct {
	AccountID, Period string
	Action            CloseAction
	// RunID is the complete comparison that the close rests on; 0 for a reopening.
	RunID  int64
	Actor  Actor
	Reason string
	At     time.Time
}

// Month is how a month stands when somebody wants to close it.
type Month struct {
	AccountID, Period string
	// Last is what was done to it last, by LastBy; empty when nothing was.
	Last   CloseAction
	LastBy Actor
	// CycleState is that of its billing, and Ended whether nothing moves it any more.
	CycleState string
	Ended      bool
	ChangedAt  time.Time
	// RunID is the newest complete comparison, 0 without one, which was over at ComparedAt.
	RunID      int64
	ComparedAt time.Time
	TieOut     TieOut
	Breaks     []Break
}

// Blocking lists the breaks that keep the month from being closed, by type and subject.
func (m Month) Blocking() []Break {
	var out []Break
	for _, b := range m.Breaks {
		if b.State.Pending() && b.Rule().Severity.Blocks() {
			out = append(out, b)
		}
	}
	slices.SortFunc(out, func(a, b Break) int {
		return strings.Compare(string(a.Type)+"\x1f"+a.Subject, string(b.Type)+"\x1f"+b.Subject)
	})
	return out
}

// named bounds the breaks that a refusal names.
const named = 5

// Close closes the month: its billing is over, it was compared with Stripe after that, no
// break blocks, and nothing remains on any line.
func (m Month) Close(by Actor, at time.Time) (Closing, error) {
	blocking := m.Blocking()
	switch {
	case m.Last == Closed:
		return Closing{}, fault.New(fault.Conflict, "month_closed", "%s of account %s is closed", m.Period, m.AccountID)
	case !m.Ended:
		return Closing{}, fault.New(fault.Conflict, "cycle_not_over", "the cycle of %s is %s", m.Period, strings.ReplaceAll(m.CycleState, "_", " ")).Fix("Let the cycle be finished first")
	case m.RunID == 0 || m.ComparedAt.Before(m.ChangedAt):
		return Closing{}, fault.New(fault.Conflict, "month_not_compared", "%s was not compared with Stripe since its cycle was finished", m.Period).Fix("Reconcile the month, then close it")
	case len(blocking) > 0:
		return Closing{}, fault.New(fault.Conflict, "month_blocked", "%d breaks keep %s from being closed: %s", len(blocking), m.Period, names(blocking)).Fix("Resolve them first")
	case !m.TieOut.Ties():
		return Closing{}, fault.New(fault.Conflict, "month_does_not_tie", "%s does not tie out: %s", m.Period, remaining(m.TieOut)).Fix("Explain or repair the breaks of these lines, then reconcile again")
	}
	return Closing{AccountID: m.AccountID, Period: m.Period, Action: Closed, RunID: m.RunID, Actor: by, At: at}, nil
}

func names(all []Break) string {
	var out []string
	for i, b := range all {
		if i == named {
			out = append(out, strconv.Itoa(len(all)-named)+" more")
			break
		}
		out = append(out, string(b.Type)+" of "+b.Subject)
	}
	return strings.Join(out, ", ")
}

func remaining(t TieOut) string {
	var out []string
	for _, l := range t.Lines {
		if l.RemainingMinor != 0 || l.UnfoundMinor != 0 {
			out = append(out, strconv.FormatInt(l.RemainingMinor, 10)+" minor units of "+l.Currency+" remain of "+string(l.Line))
		}
	}
	return strings.Join(out, ", ")
}

// Obstacle says why the month cannot be closed now, whoever asks; nil when it can.
func (m Month) Obstacle() error {
	_, err := m.Close(Actor{}, time.Time{})
	return err
}

// Reopen opens a closed month again. It takes a second person: what one has closed, another
// one opens. (An operator on the machine has no person; there the login counts.)
func (m Month) Reopen(by Actor, reason string, at time.Time) (Closing, error) {
	if m.Last != Closed {
		return Closing{}, fault.New(fault.Conflict, "month_open", "%s of account %s is not closed", m.Period, m.AccountID)
	}
	if by.ID == m.LastBy.ID || by.Person != "" && by.Person == m.LastBy.Person {
		return Closing{}, fault.New(fault.Forbidden, "four_eyes", "whoever closed %s does not open it again", m.Period).Fix("Ask somebody else who may decide about cycles")
	}
	text, err := checkText(reason)
	if err != nil {
		return Closing{}, err
	}
	return Closing{AccountID: m.AccountID, Period: m.Period, Action: Reopened, Actor: by, Reason: text, At: at}, nil
}
