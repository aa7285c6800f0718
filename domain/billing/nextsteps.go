package billing

import "strings"

// RunState is what Temporal says of the newest run of a cycle.
type RunState string

// The states of a run.
const (
	// RunUnknown: nobody asked, or Temporal does not answer.
	RunUnknown    RunState = ""
	RunRunning    RunState = "running"
	RunCompleted  RunState = "completed"
	RunFailed     RunState = "failed"
	RunTerminated RunState = "terminated"
	RunTimedOut   RunState = "timed_out"
	RunCanceled   RunState = "canceled"
	// RunNone: Temporal knows of no run; its history may have been deleted.
	RunNone RunState = "none"
)

// Stopped reports whether there is no run that could take a cycle further.
func (r RunState) Stopped() bool { return r != RunRunning && r != RunUnknown }

// NextStep is something that a person can do about a cycle: a decision, or one of those below.
type NextStep string

// The steps that are not decisions.
const (
	// StepRetry runs the cycle again.
	StepRetry NextStep = "retry"
	// StepResume takes the cycle out of needs_human; StepReissue also gives its invoice up.
	StepResume  NextStep = "resume"
	StepReissue NextStep = "reissue"
	// StepCorrect corrects a finalized invoice.
	StepCorrect NextStep = "correct"
)

// Decision is the decision that the step is; ok is false for the others.
func (s NextStep) Decision() (a DecisionAction, ok bool) {
	_, ok = decisions[DecisionAction(s)]
	return DecisionAction(s), ok
}

// CycleFacts are what decides about what can be done with a cycle.
type CycleFacts struct {
	State  CycleState
	Reason string
	// Run is what Temporal says; it counts for a cycle that its run should take further.
	Run RunState
	// Priced: an invoice was proposed. Begun: it is being carried out at Stripe. Final: it was
	// finalized there. Leftover: something of one that was taken back may still be there.
	Priced, Begun, Final, Leftover bool
	// Voided: the invoice of an invoiced cycle is void at Stripe, by hand.
	Voided bool
	// Later: a later cycle was measured from this one, or its year was settled.
	Later bool
}

// code is the reason without its details.
func (f CycleFacts) code() string {
	code, _, _ := strings.Cut(f.Reason, ":")
	return code
}

// NextSteps is the one table of what a person can do about a cycle in a state for a reason,
// the most likely step first. The API, the pages, the command line and the details of a
// run show it.
func NextSteps(f CycleFacts) []NextStep {
	var out []NextStep
	when := func(holds bool, steps ...NextStep) {
		if holds {
			out = append(out, steps...)
		}
	}
	mayRevise := f.Priced && !f.Final && !f.Later
	switch f.State {
	case Collecting, Computing, Proposed:
		when(f.Run != RunRunning, StepRetry)
	case Writing:
		when(f.Run != RunRunning, StepRetry)
		when(f.Begun && !f.Final, NextStep(ActVoidDraft))
		when(mayRevise, NextStep(ActRecompute))
	case Approved:
		when(f.Run != RunRunning, StepRetry)
		out = append(out, NextStep(ActHold), NextStep(ActReturn))
		when(mayRevise, NextStep(ActRecompute))
	case Blocked:
		when(f.code() != UnmetMaximum, StepRetry)
		when(!f.Begun && !f.Leftover, NextStep(ActSkip))
		when(f.Begun && !f.Final, NextStep(ActVoidDraft))
		when(mayRevise, NextStep(ActRecompute))
	case NeedsHuman:
		when(f.reissues(), StepReissue)
		when(f.code() == HumanInvoiceVoided, NextStep(ActSkip))
		out = append(out, StepResume)
		when(f.Begun && !f.Final, NextStep(ActVoidDraft))
		when(mayRevise, NextStep(ActRecompute))
	case AwaitingApproval:
		out = append(out, NextStep(ActApprove), NextStep(ActHold), NextStep(ActReturn), NextStep(ActSkip))
		when(mayRevise, NextStep(ActRecompute))
	case Held:
		out = append(out, NextStep(ActRelease), NextStep(ActReturn), NextStep(ActSkip))
		when(mayRevise, NextStep(ActRecompute))
	case Returned, Expired:
		when(f.Leftover, StepRetry)
		out = append(out, NextStep(ActRelease))
		when(mayRevise, NextStep(ActRecompute))
		when(!f.Leftover, NextStep(ActSkip))
	case Invoiced:
		out = append(out, StepCorrect)
	case Withheld, DryRun, Skipped: // finished
	}
	return out
}

// reissues reports whether the pinned invoice counts for nothing, or must not.
func (f CycleFacts) reissues() bool {
	switch f.code() {
	case HumanInvoiceVoided, HumanInvoiceGone, HumanInvoiceDiffers, HumanTotalDiffers:
		return true
	default:
		return false
	}
}

// NextActionOf is NextAction with what is known of the run.
func NextActionOf(f CycleFacts) string {
	switch {
	case f.State.Moving() && f.Run == RunNone:
		return "No run takes it further: run the cycle again (liftbill cycle run)"
	case f.State.Moving() && f.Run.Stopped():
		return "Its run ended (" + strings.ReplaceAll(string(f.Run), "_", " ") + ") before it was done: run the cycle again (liftbill cycle run)"
	case f.State == Invoiced && f.Voided:
		return "The invoice was voided by hand at Stripe: propose to void it here too (liftbill cycle correct --void); once approved, the cycle waits for a person who issues it again or skips it"
	case f.State == Returned && f.Leftover:
		return "The draft is not deleted at Stripe yet; the cycle's run does that: if it stopped, run the cycle again. " + NextAction(f.State, f.Reason)
	}
	return NextAction(f.State, f.Reason)
}
