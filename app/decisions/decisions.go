// Package decisions takes the decision log in: good rows are stored once, bad
// rows are reported by number and field, and neither stops the other.
package decisions

import (
	"context"
	"iter"
	"time"

	"github.com/liftbill/liftbill/app/audit"
	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/uow"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/decision"
	"github.com/liftbill/liftbill/domain/fault"
)

// batchRows bounds the memory of an upload of any length.
const batchRows = 5000

// maxReported bounds the answer; the count of bad rows is always complete.
const maxReported = 100

// Row is one line of an upload: a decision or the reason why it is none.
type Row struct {
	Number   int // 1-based line number
	Decision decision.Decision
	Err      error
}

// BadRow names a refused line.
type BadRow struct {
	Row     int
	Field   string
	Code    string
	Message string
}

// Result counts an upload. Accepted + Duplicates + Rejected is the number of rows.
type Result struct {
	Accepted   int
	Duplicates int
	Rejected   int
	BadRows    []BadRow
}

// Log stores decisions.
type Log interface {
	// Append stores the decisions whose ID is new for the account and returns how many were.
	Append(ctx context.Context, a account.Account, rows []decision.Decision, at time.Time) (int, error)
}

// Reader finds the account and its snapshots.
type Reader interface {
	Account(ctx context.Context, id string) (account.Account, error)
	SnapshotIDs(ctx context.Context, accountID string) (map[string]bool, error)
}

// Stores are the stores of one transaction.
type Stores struct {
	Log    Log
	Reader Reader
	Audit  audit.Log
}

// Service is the use case.
type Service struct {
	Work  uow.UnitOfWork[Stores]
	Clock clock.Clock
}

// Append stores an upload in batches; each batch is one transaction, and a
// repeated upload stores nothing twice. The last batch's transaction holds the audit
// row that sums the upload up.
func (s *Service) Append(ctx context.Context, by access.Principal, accountID string, rows iter.Seq[Row]) (Result, error) {
	var (
		res       Result
		acc       account.Account
		snapshots map[string]bool
		batch     = make([]decision.Decision, 0, batchRows)
	)
	err := s.Work.Do(ctx, func(ctx context.Context, st Stores) error {
		var err error
		if acc, err = st.Reader.Account(ctx, accountID); err != nil {
			return err
		}
		if err = access.Require(by, access.UploadDecisions, acc.ID, acc.Environment); err != nil {
			return err
		}
		snapshots, err = st.Reader.SnapshotIDs(ctx, accountID)
		return err
	})
	if err != nil {
		return res, err
	}
	flush := func(last bool) error {
		if len(batch) == 0 && (!last || res.Accepted == 0) {
			return nil
		}
		n := 0
		err := s.Work.Do(ctx, func(ctx context.Context, st Stores) error {
			n = 0
			if len(batch) > 0 {
				var err error
				if n, err = st.Log.Append(ctx, acc, batch, s.Clock.Now()); err != nil {
					return err
				}
			}
			if !last || res.Accepted+n == 0 {
				return nil
			}
			return st.Audit.Append(ctx, s.summary(by, acc, res, n, len(batch)-n))
		})
		if err == nil {
			res.Accepted += n
			res.Duplicates += len(batch) - n
		}
		batch = batch[:0]
		return err
	}
	for row := range rows {
		if bad := refuse(row, snapshots); bad != nil {
			res.Rejected++
			if len(res.BadRows) < maxReported {
				res.BadRows = append(res.BadRows, *bad)
			}
			continue
		}
		if batch = append(batch, row.Decision); len(batch) == batchRows {
			if err := flush(false); err != nil {
				return res, s.broken(ctx, by, acc, res, err)
			}
		}
	}
	if err := flush(true); err != nil {
		return res, s.broken(ctx, by, acc, res, err)
	}
	return res, nil
}

func refuse(row Row, snapshots map[string]bool) *BadRow {
	err := row.Err
	if err == nil {
		err = row.Decision.Validate()
	}
	if err == nil && !snapshots[row.Decision.SnapshotID] {
		err = fault.InvalidField("snapshot_id", "snapshot_unknown", "snapshot %q was not shipped to this account", row.Decision.SnapshotID).
			Fix("Ship the snapshot first, or correct the ID")
	}
	if err == nil {
		return nil
	}
	bad := &BadRow{Row: row.Number, Code: fault.CodeOf(err), Message: err.Error()}
	if f, ok := err.(*fault.Error); ok { //nolint:errorlint // Validate returns *fault.Error itself; a wrapped one has no field to show
		bad.Field = f.Field
		bad.Message = f.Msg
		if f.Remedy != "" {
			bad.Message += ". " + f.Remedy
		}
	}
	return bad
}
