// Package audit is the port through which use cases write the audit log, and the use
// case of reading and verifying it.
//
// An entry is appended inside the unit of work of the change that it tells of, as the
// last step: both are stored or neither, and a chain is locked no longer than it takes
// to commit.
package audit

import (
	"context"
	"time"

	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/fault"
)

// Log appends entries within the caller's transaction. A use case names it among its
// Stores.
type Log interface {
	// Append links the entry to the end of its chain.
	Append(ctx context.Context, e audit.Entry) error
	// Actors lists everybody who did one of the actions (any, when none is named) to an
	// object, for the four-eyes rule: access.FourEyes.
	Actors(ctx context.Context, object, id string, actions ...audit.Action) ([]access.Actor, error)
}

// Filter selects entries. Empty fields select all; the scope selects nothing when it
// is empty.
type Filter struct {
	Scope       access.Scope
	ActorID     string
	Action      string
	Object      string
	ObjectID    string
	AccountID   string
	Environment string
	Outcome     string
	// From and To are half open: From <= at < To.
	From, To time.Time
	Sort     string // "" is the newest first, SortOldest the oldest
	Cursor   string
	Limit    int
}

// SortOldest lists entries in the order in which they were made.
const SortOldest = "at_asc"

// Page is one page of entries, newest first.
type Page struct {
	Items      []audit.Row
	NextCursor string
}

// Reader reads the log.
type Reader interface {
	Entries(ctx context.Context, f Filter) (Page, error)
	// After reads the rows of a chain in order, from the one after seq.
	After(ctx context.Context, chain audit.Chain, seq int64, limit int) ([]audit.Row, error)
}

// Limits of a page.
const (
	DefaultLimit = 50
	MaxLimit     = 500
	// verifyBatch bounds the memory of a verification.
	verifyBatch = 5000
)

// Service reads and verifies the log.
type Service struct{ Reader Reader }

// Entries lists entries within the filter's scope, newest first. What belongs to no
// account is shown to those whose scope is every account of its environment.
func (s *Service) Entries(ctx context.Context, f Filter) (Page, error) {
	if f.Environment != "" && f.Environment != string(audit.InstallationChain) {
		if _, err := account.ParseEnvironment(f.Environment); err != nil {
			return Page{}, err
		}
	}
	switch audit.Outcome(f.Outcome) {
	case "", audit.Done, audit.Refused:
	default:
		return Page{}, fault.InvalidField("outcome", "filter_unknown", "%q is not an outcome", f.Outcome).Fix("Use done or refused, or leave it out")
	}
	if !f.From.IsZero() && !f.To.IsZero() && !f.From.Before(f.To) {
		return Page{}, fault.InvalidField("to", "interval_empty", "the interval ends before it begins")
	}
	if f.Sort != "" && f.Sort != SortOldest {
		return Page{}, fault.InvalidField("sort", "sort_unknown", "%q is no order of this list", f.Sort).Fix("Use %s, or leave it out", SortOldest)
	}
	switch {
	case f.Limit == 0:
		f.Limit = DefaultLimit
	case f.Limit < 1 || f.Limit > MaxLimit:
		return Page{}, fault.InvalidField("limit", "limit_range", "a page holds 1 to %d rows", MaxLimit)
	}
	return s.Reader.Entries(ctx, f)
}

// Head is the end of a verified chain. Whoever keeps it elsewhere can later prove that
// the rows up to it are still the same.
type Head struct {
	Chain audit.Chain
	Rows  int64
	Hash  []byte
}

// Verify recomputes a chain from its first row and returns its end. With an anchor, a
// head that was kept elsewhere, the chain must also contain that head: rows that were
// cut off at the end, or all rewritten, are found only so. A broken chain is a Conflict
// that names the row.
func (s *Service) Verify(ctx context.Context, chain audit.Chain, anchor Head) (Head, error) {
	last := audit.Origin(chain)
	for {
		rows, err := s.Reader.After(ctx, chain, last.Seq, verifyBatch)
		if err != nil {
			return Head{}, err
		}
		for _, r := range rows {
			if err := r.Follows(last); err != nil {
				return Head{Chain: chain, Rows: last.Seq, Hash: last.Hash}, err
			}
			last = r.Link
			if last.Seq == anchor.Rows && string(last.Hash) != string(anchor.Hash) {
				return Head{Chain: chain, Rows: last.Seq, Hash: last.Hash}, fault.New(fault.Conflict, "audit_broken", "chain %s: row %d is not the one of the anchor", chain, last.Seq)
			}
		}
		if len(rows) == 0 {
			break
		}
	}
	head := Head{Chain: chain, Rows: last.Seq, Hash: last.Hash}
	if head.Rows < anchor.Rows {
		return head, fault.New(fault.Conflict, "audit_broken", "chain %s ends at row %d; the anchor knows row %d", chain, head.Rows, anchor.Rows)
	}
	return head, nil
}
