package wire

import (
	"time"

	"github.com/liftbill/liftbill/domain/account"
)

// ReplayWorkflowID is the run that replays an account's period when it is started from the
// command line; the web console lets people choose their own.
func ReplayWorkflowID(env account.Environment, accountID, period string) string {
	return "billing-replay/" + env.String() + "/" + accountID + "/" + period
}

// ReplayInput is what is typed into the web console's form: {"account":"acme","period":"2026-10"}.
type ReplayInput struct {
	AccountID string `json:"account"`
	Period    string `json:"period"`
	// By is who has it started, for the list of replays; who types the input may leave it out.
	By string `json:"by,omitempty"`
}

// ReplayResult says whether the month came out as it is stored.
type ReplayResult struct {
	CycleID     string        `json:"cycle_id"`
	Environment string        `json:"environment"`
	Watermark   time.Time     `json:"watermark"`
	Events      int64         `json:"events"`
	Facts       int64         `json:"facts_equal"`
	Equal       bool          `json:"equal"`
	Difference  string        `json:"difference,omitempty"`
	Checks      []ReplayCheck `json:"checks"`
	// Page is the address of the cycle's page, empty where nobody set one up.
	Page string `json:"page,omitempty"`
}

// ReplayCheck compares one thing.
type ReplayCheck struct {
	Name     string `json:"name"`
	Equal    bool   `json:"equal"`
	Stored   string `json:"stored"`
	Replayed string `json:"replayed"`
}
