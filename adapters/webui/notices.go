package webui

import (
	"context"
	"slices"

	"github.com/labstack/echo/v4"

	app "github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/notify"
	"github.com/liftbill/liftbill/domain/access"
)

// Notices lists what people are told; *notify.Service is it.
type Notices interface {
	Notices(ctx context.Context, f notify.Filter) (notify.Page, error)
}

// told is what the caller's roles are told now, and whether there is more.
type told struct {
	Rows []notify.Row
	More bool
}

// toldLimit bounds what the overview lists.
const toldLimit = 20

// told lists the open notices for the caller's roles. Who neither approves nor decides is
// told nothing.
func (s *Server) told(c echo.Context) (told, error) {
	caller := app.From(c.Request().Context())
	var roles []access.Role
	for _, r := range []access.Role{access.Approver, access.Finance} {
		if slices.Contains(caller.Roles, r) {
			roles = append(roles, r)
		}
	}
	if len(roles) == 0 {
		return told{}, nil
	}
	page, err := s.notices.Notices(c.Request().Context(), notify.Filter{Scope: caller.Scope, Roles: roles, Limit: toldLimit})
	return told{Rows: page.Items, More: page.NextCursor != ""}, err
}
