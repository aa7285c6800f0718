package decisions

import (
	"context"
	"errors"
	"strconv"

	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/fault"
)

// summary is the audit entry of an upload, with the last batch's new and known rows.
func (u *upload) summary(accepted, duplicates int) audit.Entry {
	return audit.New(u.by, u.svc.Clock.Now(), audit.DecisionsUploaded, "account", u.account.ID).In(u.account.ID, u.account.Environment).Changed(nil, audit.Facts{
		"accepted": strconv.Itoa(u.res.Accepted + accepted), "duplicates": strconv.Itoa(u.res.Duplicates + duplicates), "rejected": strconv.Itoa(u.res.Rejected),
	})
}

// broken audits what an upload stored before it failed, and returns the failure.
func (u *upload) broken(ctx context.Context, cause error) error {
	if u.res.Accepted == 0 {
		return cause
	}
	// Also when the caller has hung up.
	err := u.svc.Work.Do(context.WithoutCancel(ctx), func(ctx context.Context, st Stores) error {
		return st.Audit.Append(ctx, u.summary(0, 0).Because("broke off: "+fault.CodeOf(cause)))
	})
	return errors.Join(cause, err)
}
