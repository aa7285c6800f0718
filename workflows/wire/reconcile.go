package wire

import (
	"time"

	"github.com/liftbill/liftbill/domain/account"
)

// ReconScheduleID is the Schedule of the nightly reconciliation of an environment.
func ReconScheduleID(env account.Environment) string { return "reconcile/" + env.String() }

// ReconNightWorkflowID is the prefix to which the server appends the nominal time.
func ReconNightWorkflowID(env account.Environment) string { return "reconcile-night/" + env.String() }

// ReconMonthWorkflowID is the run that a person asked for.
func ReconMonthWorkflowID(env account.Environment, accountID, period string) string {
	return "reconcile/" + env.String() + "/" + accountID + "/" + period
}

// ReconNightInput says whose months to compare. The fields below Environment carry a
// chain of runs on; they are empty at the start.
type ReconNightInput struct {
	Environment account.Environment
	// PageSize is the number of months per question, Window those in flight; 0 is the default.
	PageSize int
	Window   int
	// Cursor is the last month that was compared.
	Cursor ReconMonth
	Totals ReconNightResult
}

// ReconNightResult says what a night came to.
type ReconNightResult struct {
	Months int
	// Found counts the breaks that are there, Fresh those that were not there before.
	Found, Fresh int
	// Accrued counts the open months whose figures were stored, NotAccrued those without any.
	Accrued, NotAccrued int
	// Refused counts the months that could not be compared, Failed those of them whose
	// step failed.
	Refused, Failed int
}

// ReconMonth names a month of an account.
type ReconMonth struct{ AccountID, Period string }

// ListAccrualsInput pages through the open months of an environment.
type ListAccrualsInput struct {
	Environment account.Environment
	After       ReconMonth
	Limit       int
}

// OpenMonths is a page of them, with the run under which a night stores figures.
type OpenMonths struct {
	Run    string
	Months []ReconMonth
}

// AccrueMonthInput asks for the figures of an open month.
type AccrueMonthInput struct {
	Environment account.Environment
	ReconMonth
	Run string
}

// AccrueMonthResult says what came of it; Code is what kept it from figures.
type AccrueMonthResult struct {
	ReconMonth
	AsOf time.Time
	Code string
}

// ListReconInput pages through the months that a night looks at.
type ListReconInput struct {
	Environment account.Environment
	After       ReconMonth
	Limit       int
}

// ReconMonthInput asks for one month.
type ReconMonthInput struct {
	Environment account.Environment
	ReconMonth
	// By is who asked; empty is the Schedule.
	By string
}

// ReconMonthResult says what came of it: counts, or the code of what kept it from more.
type ReconMonthResult struct {
	ReconMonth
	RunID        int64
	Reads        int
	Objects      int64
	Found, Fresh int
	Repairs      int
	Code         string
}
