package httpapi

import (
	"context"

	"github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/notify"
	domain "github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/fault"
)

// Notices lists what people were told; *notify.Service is it.
type Notices interface {
	Notices(ctx context.Context, f notify.Filter) (notify.Page, error)
}

// ListNotifications lists what people were told.
func (s *Server) ListNotifications(ctx context.Context, r ListNotificationsRequestObject) (ListNotificationsResponseObject, error) {
	f := notify.Filter{Scope: access.From(ctx).Scope, AccountID: r.Params.Account, Settled: r.Params.State == "all", Limit: r.Params.Limit, Cursor: r.Params.Cursor}
	if st := r.Params.State; st != "" && st != "open" && st != "all" {
		return nil, fault.InvalidField("state", "filter_unknown", "%q is no state of a notice", st).Fix("Use open or all")
	}
	if r.Params.Role != "" {
		roles, err := domain.ParseRoles([]string{r.Params.Role})
		if err != nil {
			return nil, err
		}
		f.Roles = roles
	}
	page, err := s.Notices.Notices(ctx, f)
	if err != nil {
		return nil, err
	}
	return ListNotifications200JSONResponse{Items: convertAll(page.Items, toNotification), NextCursor: page.NextCursor}, nil
}

func toNotification(r notify.Row) Notification {
	return Notification{
		ID: notify.Key(r.ID, r.Episode), Kind: string(r.Kind), Environment: Environment(r.Environment), AccountID: r.AccountID, AccountName: r.AccountName, Period: r.Period,
		CycleID: r.CycleID, Role: string(r.Role), Title: r.Title, Detail: r.Detail, NextAction: r.Next, Path: r.Path, DueAt: r.Due, Episode: r.Episode,
		OpenedAt: r.OpenedAt, SettledAt: orZero(r.SettledAt),
		Deliveries: convertAll(r.Deliveries, func(d notify.Attempted) NotificationDelivery {
			return NotificationDelivery{Channel: d.Channel, Attempts: d.Attempts, DeliveredAt: orZero(d.DeliveredAt), Error: d.Error}
		}),
	}
}
