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
	u := upload{svc: s, by: by, batch: make([]decision.Decision, 0, batchRows)}
	var snapshots map[string]bool
	err := s.Work.Do(ctx, func(ctx context.Context, st Stores) error {
		var err error
		if u.account, err = st.Reader.Account(ctx, accountID); err != nil {
			return err
		}
		if err = access.Require(by, access.UploadDecisions, u.account.ID, u.account.Environment); err != nil {
			return err
		}
		snapshots, err = st.Reader.SnapshotIDs(ctx, accountID)
		return err
	})
	if err != nil {
		return u.res, err
	}
	for row := range rows {
		if bad := refuse(row, snapshots); bad != nil {
			u.refuse(&row.Decision, bad)
		} else {
			u.batch = append(u.batch, row.Decision)
		}
		if len(u.batch) == batchRows || len(u.refused) == batchRows {
			if err := u.flush(ctx, false); err != nil {
				return u.res, u.broken(ctx, err)
			}
		}
	}
	if err := u.flush(ctx, true); err != nil {
		return u.res, u.broken(ctx, err)
	}
	return u.res, nil
}

// upload is one call of Append on its way.
type upload struct {
	svc     *Service
	by      access.Principal
	account account.Account
	batch   []decision.Decision
	refused []Refusal
	res     Result
}

func (u *upload) refuse(d *decision.Decision, bad *BadRow) {
	u.res.Rejected++
	if len(u.res.BadRows) < maxReported {
		u.res.BadRows = append(u.res.BadRows, *bad)
	}
	if r, ok := refusal(d, bad); ok {
		u.refused = append(u.refused, r)
	}
}

// flush stores what has gathered, and with the last rows the audit entry.
func (u *upload) flush(ctx context.Context, last bool) error {
	if len(u.batch) == 0 && len(u.refused) == 0 && (!last || u.res.Accepted == 0) {
		return nil
	}
	n := 0
	err := u.svc.Work.Do(ctx, func(ctx context.Context, st Stores) error {
		at := u.svc.Clock.Now()
		if len(u.refused) > 0 {
			if err := st.Log.Refuse(ctx, u.account, u.refused, at); err != nil {
				return err
			}
		}
		n = 0
		if len(u.batch) > 0 {
			var err error
			if n, err = st.Log.Append(ctx, u.account, u.batch, at); err != nil {
				return err
			}
		}
		if !last || u.res.Accepted+n == 0 {
			return nil
		}
		return st.Audit.Append(ctx, u.summary(n, len(u.batch)-n))
	})
	if err == nil {
		u.res.Accepted += n
		u.res.Duplicates += len(u.batch) - n
	}
	u.batch, u.refused = u.batch[:0], u.refused[:0]
	return err
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
