package wire

import (
	"time"

	"github.com/liftbill/liftbill/domain/account"
)

// SourceScheduleID is the Schedule that looks after the sources of an environment.
func SourceScheduleID(env account.Environment) string { return "source-sync/" + env.String() }

// SourceTickWorkflowID is the prefix to which the server appends the nominal time.
func SourceTickWorkflowID(env account.Environment) string { return "source-tick/" + env.String() }

// BackfillWorkflowID is the run that reads the history of a connection.
func BackfillWorkflowID(env account.Environment, connectionID string) string {
	return "source-backfill/" + env.String() + "/" + connectionID
}

// SourceTickInput says which sources to look after. The fields below Environment carry a
// chain of runs on; they are empty at the start.
type SourceTickInput struct {
	Environment account.Environment
	// PageSize is the number of sources per question, Window those in flight; 0 is the default.
	PageSize int
	Window   int
	// Cursor is the last source that was looked after.
	Cursor string
	Totals SourceTickResult
}

// SourceTickResult says what the tick did.
type SourceTickResult struct {
	Sources   int
	Fetched   int
	Missed    int
	Failed    int
	Backfills int
}

// ListSourcesInput pages through the sources that need something.
type ListSourcesInput struct {
	Environment account.Environment
	After       string
	Limit       int
}

// DueSource is a source that needs something: a fetch or a check, a running backfill, or both.
type DueSource struct {
	ConnectionID string
	Sync         bool
	BackfillID   string
}

// SyncSourceInput names the source to look at.
type SyncSourceInput struct{ ConnectionID string }

// SyncSourceResult says what came of it: counts, and the code of what kept it from more.
type SyncSourceResult struct {
	ConnectionID string
	Task         string
	Seen         int
	New          int
	Missed       int
	Pages        int
	More         bool
	Code         string
}

// BackfillInput names a backfill.
type BackfillInput struct {
	Environment  account.Environment
	ConnectionID string
	BackfillID   string
	// What earlier runs of the chain have done.
	Totals BackfillProgress
}

// BackfillProgress is where a backfill stands. Counts are of one step, or of a chain of
// runs in a workflow's result.
type BackfillProgress struct {
	State    string
	Resource string
	From     time.Time
	Until    time.Time
	Pages    int
	Objects  int
	Facts    int
	// Wait asks for a pause, Code says why.
	Wait time.Duration
	Code string
}

// AbandonInput stops a backfill for a reason that no retry mends.
type AbandonInput struct {
	BackfillID string
	Code       string
	Message    string
}
