package decisions

import (
	"context"
	"errors"
	"strconv"

	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/fault"
)

// summary is the audit entry of an upload, with the last batch's new and known rows.
func (s *Service) summary(by access.Principal, acc account.Account, res Result, accepted, duplicates int) audit.Entry {
	return audit.New(by, s.Clock.Now(), audit.DecisionsUploaded, "account", acc.ID).In(acc.ID, acc.Environment).Changed(nil, audit.Facts{
		"accepted": strconv.Itoa(res.Accepted + accepted), "duplicates": strconv.Itoa(res.Duplicates + duplicates), "rejected": strconv.Itoa(res.Rejected),
	})
}

// broken audits what an upload stored before it failed, and returns the failure.
func (s *Service) broken(ctx context.Context, by access.Principal, acc account.Account, res Result, cause error) error {
	if res.Accepted == 0 {
		return cause
	}
	// Also when the caller has hung up.
	err := s.Work.Do(context.WithoutCancel(ctx), func(ctx context.Context, st Stores) error {
		return st.Audit.Append(ctx, s.summary(by, acc, res, 0, 0).Because("broke off: "+fault.CodeOf(cause)))
	})
	return errors.Join(cause, err)
}
