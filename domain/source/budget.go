package source

// Stripe allows 500 GET requests per transaction over a rolling 30 days, and never
// fewer than 10,000 (https://docs.stripe.com/rate-limits, "API read request
// allocations").
const (
	BudgetDays     = 30
	minReads       = 10_000
	perTransaction = 500
)

// Purpose is what a read is for; the more urgent, the further it may go.
type Purpose int

// The purposes, most urgent first.
const (
	// ForMoney resolves what a fact waits for.
	ForMoney Purpose = iota
	// ForPull fetches events that no webhook brings.
	ForPull
	// ForCheck compares what was received with what Stripe has.
	ForCheck
	// ForBackfill reads history.
	ForBackfill
)

// percent is the share of the allowance that a purpose may use up.
var percent = map[Purpose]int{ForMoney: 100, ForPull: 95, ForCheck: 90, ForBackfill: 70}

// Budget is the read allowance of one connection over the last 30 days.
type Budget struct {
	// Used counts the GET requests, also those of earlier attempts that failed.
	Used int
	// Transactions counts the payments that are known.
	Transactions int
}

// Limit is the number of reads that Stripe allows.
func (b Budget) Limit() int { return max(minReads, perTransaction*b.Transactions) }

// Left is the number of reads that a purpose may still make; never negative.
func (b Budget) Left(p Purpose) int { return max(0, b.Limit()*percent[p]/100-b.Used) }

// Tight reports that four fifths are used: whoever looks on a schedule looks less often.
func (b Budget) Tight() bool { return b.Used >= b.Limit()*4/5 }
