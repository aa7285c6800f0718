// Package decisions takes the decision log in: good rows are stored once, bad
// rows are reported by number and field, and neither stops the other.
package decisions

import (
	"context"
	"iter"
	"time"

	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/uow"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/decision"
	"github.com/liftbill/liftbill/domain/fault"
)

// batchRows bounds the memory of an upload of any length.
const batchRows = 5000

// maxReported bounds the answer; the count of bad rows is always complete.
const maxReported = 100

// Row is one line of an upload: a decision or the reason why it is none. The decision of
// a refused line holds its ID, unit and time at most.
type Row struct {
	Number   int // 1-based line number
	Decision decision.Decision
	Err      error
}

// Refusal is a refused line whose decision is known by its ID. It is kept, because
// decisions that are missing from the log may be missing for a reason: those without
// their propensities fail the guardrail until they are uploaded whole.
type Refusal struct {
	DecisionID string
	UnitID     string
	At         time.Time // zero when it could not be read
	Field      string
	Code       string
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
	// Refuse remembers refused decisions, each ID once.
	Refuse(ctx context.Context, a account.Account, rows []Refusal, at time.Time) error
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
}

// Service is the use case.
type Service struct {
	Work  uow.UnitOfWork[Stores]
	Clock clock.Clock
}

// Append stores an upload in batches; each batch is one transaction, and a
// repeated upload stores nothing twice.
func (s *Service) Append(ctx context.Context, accountID string, rows iter.Seq[Row]) (Result, error) {
	var (
		res       Result
		acc       account.Account
		snapshots map[string]bool
		batch     = make([]decision.Decision, 0, batchRows)
		refused   []Refusal
	)
	err := s.Work.Do(ctx, func(ctx context.Context, st Stores) error {
		var err error
		if acc, err = st.Reader.Account(ctx, accountID); err != nil {
			return err
		}
		snapshots, err = st.Reader.SnapshotIDs(ctx, accountID)
		return err
	})
	if err != nil {
		return res, err
	}
	flush := func() error {
		if len(batch) == 0 && len(refused) == 0 {
			return nil
		}
		err := s.Work.Do(ctx, func(ctx context.Context, st Stores) error {
			at := s.Clock.Now()
			if len(refused) > 0 {
				if err := st.Log.Refuse(ctx, acc, refused, at); err != nil {
					return err
				}
			}
			if len(batch) == 0 {
				return nil
			}
			n, err := st.Log.Append(ctx, acc, batch, at)
			if err == nil {
				res.Accepted += n
				res.Duplicates += len(batch) - n
			}
			return err
		})
		batch, refused = batch[:0], refused[:0]
		return err
	}
	for row := range rows {
		if bad := refuse(row, snapshots); bad != nil {
			res.Rejected++
			if len(res.BadRows) < maxReported {
				res.BadRows = append(res.BadRows, *bad)
			}
			if r, ok := refusal(&row.Decision, bad); ok {
				refused = append(refused, r)
			}
		} else {
			batch = append(batch, row.Decision)
		}
		if len(batch) == batchRows || len(refused) == batchRows {
			if err := flush(); err != nil {
				return res, err
			}
		}
	}
	return res, flush()
}

// refusal is what is kept of a refused line; ok is false when nobody could tell which
// decision it was.
func refusal(d *decision.Decision, bad *BadRow) (r Refusal, ok bool) {
	if !decision.Storable(d.ID) {
		return r, false
	}
	r = Refusal{DecisionID: d.ID, At: d.At, Field: bad.Field, Code: bad.Code}
	if decision.Storable(d.UnitID) {
		r.UnitID = d.UnitID
	}
	if y := d.At.Year(); y < 2000 || y > 2200 {
		r.At = time.Time{}
	}
	return r, true
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
