package webui_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/webui"
	"github.com/liftbill/liftbill/app/notify"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/notice"
)

// told answers the pages' question after notices, and keeps whom it was asked for.
type told struct {
	notices []notify.Row
	toldFor []access.Role
}

func (l *told) Notices(_ context.Context, f notify.Filter) (notify.Page, error) {
	l.toldFor = f.Roles
	return notify.Page{Items: l.notices}, nil
}

// The overview lists what the reader's own roles are told, and nothing to those whose
// roles are told nothing.
func TestOverviewTellsTheRoles(t *testing.T) {
	t.Parallel()
	l, d := fixture(), &door{caller: signedIn()}
	l.notices = []notify.Row{{
		Notice: notice.Notice{ID: "x", Kind: notice.FirstInvoice, Environment: account.Live, AccountID: "acme", Period: "2026-10", CycleID: "acme.2026-10", Role: access.Approver,
			Title: "Acme, 2026-10: the first invoice needs a person", Detail: "123.45 USD.", Next: "look at it, then approve it", Path: "/cycles/acme.2026-10", Due: now.AddDate(0, 0, 5)},
		AccountName: "Acme", Episode: 1, OpenedAt: now,
	}}
	for role, want := range map[access.Role][]access.Role{access.Approver: {access.Approver}, access.Finance: {access.Finance}, access.Viewer: nil} {
		l.toldFor = nil
		d.caller.Roles = access.Roles{role}
		p := open(t, newDoor(l, d, webui.Options{}), "/")
		require.Equal(t, http.StatusOK, p.status)
		require.Equal(t, want, l.toldFor, role)
		if want == nil {
			require.NotContains(t, p.html, "Told to your roles")
			continue
		}
		require.Contains(t, p.html, "Told to your roles")
		require.Contains(t, p.html, `<a href="/cycles/acme.2026-10">Acme, 2026-10: the first invoice needs a person</a>`)
		require.Contains(t, p.html, "Look at it, then approve it")
	}
}

// What waits for a person is theirs: the second person is asked and not who asked, the
// owner of a break is told of it, and somebody without the permission of neither.
func TestOverviewTellsThePerson(t *testing.T) {
	t.Parallel()
	l, d := fixture(), &door{caller: signedIn()}
	ghost := "/breaks/" + breakGhost
	for name, c := range map[string]struct {
		roles    access.Roles
		person   string
		name     string
		has, not []string
	}{
		"an approver":    {access.Roles{access.Approver}, "omar", "Omar", []string{ghost, "/cycles/acme.2026-10/corrections"}, []string{"/breaks/" + breakAmount}},
		"who asked":      {access.Roles{access.Approver, access.Finance}, "nina", "Nina", []string{"/breaks/" + breakAmount}, []string{ghost}},
		"somebody else":  {access.Roles{access.Finance}, "omar", "Omar", nil, []string{ghost, "/breaks/" + breakAmount, "/cycles/acme.2026-10/corrections"}},
		"who only looks": {access.Roles{access.Viewer}, "vera", "Nina", nil, []string{ghost, "/breaks/" + breakAmount, "/cycles/acme.2026-10/corrections"}},
	} {
		d.caller.Roles, d.caller.Person, d.caller.Name = c.roles, c.person, c.name
		p := open(t, newDoor(l, d, webui.Options{}), "/")
		for _, link := range c.has {
			require.Contains(t, p.links, link, name)
		}
		for _, link := range c.not {
			require.NotContains(t, p.links, link, name)
		}
	}
}
