package onboard

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/fault"
)

// Retirement is from when on a snapshot was out of use. It never changes what was measured.
type Retirement struct {
	AccountID, SnapshotID string
	Environment           account.Environment
	RetiredAt             time.Time
	Reason, By            string
	RecordedAt            time.Time
}

// RetirementInput is a snapshot to be retired.
type RetirementInput struct {
	SnapshotID string
	// RetiredAt is the first moment without it; now when zero.
	RetiredAt time.Time
	Reason    string
}

// RetireSnapshot records that a snapshot is out of use from a moment on. The same call again
// changes nothing; another moment or reason is a conflict, and is written down as refused.
func (s *Service) RetireSnapshot(ctx context.Context, by access.Principal, accountID string, in RetirementInput) (Retirement, bool, error) {
	now := s.Clock.Now()
	out := Retirement{AccountID: accountID, SnapshotID: in.SnapshotID, RetiredAt: in.RetiredAt.UTC().Truncate(time.Microsecond), Reason: strings.TrimSpace(in.Reason), By: by.ID, RecordedAt: now.UTC().Truncate(time.Microsecond)}
	if out.Reason == "" || len(out.Reason) > 500 {
		return out, false, fault.InvalidField("reason", "reason_length", "a reason of 1 to 500 characters is required").Fix("Say why it was taken out of use")
	}
	dated := !in.RetiredAt.IsZero()
	if !dated {
		out.RetiredAt = out.RecordedAt
	}
	var refused audit.Entry
	created, err := s.insert(ctx, func(ctx context.Context, st Stores) (bool, error) {
		refused = audit.Entry{}
		snapshot, err := st.Agreements.Snapshot(ctx, accountID, in.SnapshotID)
		if err != nil {
			return false, err
		}
		if err := access.Require(by, access.WriteSetup, accountID, snapshot.Environment); err != nil {
			return false, err
		}
		out.Environment = snapshot.Environment
		if out.RetiredAt.Before(snapshot.ShippedAt) {
			return false, fault.InvalidField("retired_at", "retired_before_shipped", "%s was shipped at %s", in.SnapshotID, snapshot.ShippedAt.Format(time.RFC3339)).Fix("Name a later moment")
		}
		if err := st.Agreements.LockSnapshots(ctx, accountID); err != nil {
			return false, err
		}
		note := s.note(by, audit.SnapshotRetired, "snapshot", in.SnapshotID).In(accountID, snapshot.Environment).Because(out.Reason)
		old, err := st.Agreements.Retirement(ctx, accountID, in.SnapshotID)
		if err == nil {
			if (dated && !old.RetiredAt.Equal(out.RetiredAt)) || old.Reason != out.Reason {
				refused = note.Changed(retirementFacts(old), retirementFacts(out)).Refusal()
				return false, fault.New(fault.Conflict, "snapshot_retired", "snapshot %s is retired since %s", in.SnapshotID, old.RetiredAt.Format(time.RFC3339)).
					Fix("What is stored is never changed; ship another snapshot to go on")
			}
			out = old
			return false, nil
		}
		if !fault.Is(err, fault.NotFound) {
			return false, err
		}
		if err := st.Agreements.InsertRetirement(ctx, out); err != nil {
			return false, err
		}
		return true, st.Audit.Append(ctx, note.Changed(nil, retirementFacts(out)))
	})
	return out, created, s.writeRefusal(ctx, err, refused)
}

func retirementFacts(r Retirement) audit.Facts {
	return audit.Facts{"retired_at": r.RetiredAt.Format(time.RFC3339), "reason": r.Reason}
}

// writeRefusal keeps an attempt to change what never changes, after its transaction was
// undone. The refusal is the answer, whether or not it could be kept.
func (s *Service) writeRefusal(ctx context.Context, refusal error, e audit.Entry) error {
	if refusal == nil || e.Action == "" {
		return refusal
	}
	err := s.Work.Do(context.WithoutCancel(ctx), func(ctx context.Context, st Stores) error { return st.Audit.Append(ctx, e) })
	return errors.Join(refusal, err)
}
