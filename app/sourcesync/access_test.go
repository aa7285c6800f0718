package sourcesync_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/audit"
	"github.com/liftbill/liftbill/app/sourcesync"
	"github.com/liftbill/liftbill/domain/access"
	trail "github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/fault"
)

// What a person decides about a source needs the right to, and is written down with it.
func TestDecisionsAboutASourceAreWrittenDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	found(t, w.Fake, "acct_life", diceOf(6))
	w.connect("polled", "acct_life", false)
	s := w.service(nil)
	hour := time.Hour
	before, err := w.DB.AuditReader().After(t.Context(), trail.LiveChain, 0, 100)
	require.NoError(t, err)
	testOnly, err := access.NewScope(nil, []string{"test"})
	require.NoError(t, err)
	for code, p := range map[string]access.Principal{
		access.CodePermission:  {Kind: access.User, Roles: access.Roles{access.Viewer, access.Approver}, Scope: access.Everything()},
		"connection_not_found": {Kind: access.Token, Roles: access.Roles{access.Admin}, Scope: testOnly},
	} {
		_, err := s.Configure(t.Context(), p, "polled", sourcesync.Change{Interval: &hour})
		require.Equal(t, code, fault.CodeOf(err))
		_, _, err = s.RequestBackfill(t.Context(), p, "polled", time.Time{})
		require.Equal(t, code, fault.CodeOf(err))
	}
	_, err = s.Configure(t.Context(), by, "polled", sourcesync.Change{Interval: &hour})
	require.NoError(t, err)
	_, _, err = s.RequestBackfill(t.Context(), by, "polled", time.Time{})
	require.NoError(t, err)
	rows, err := w.DB.AuditReader().After(t.Context(), trail.LiveChain, int64(len(before)), 100)
	require.NoError(t, err)
	require.Len(t, rows, 2, "what was refused is no decision")
	require.Equal(t, trail.SyncConfigured, rows[0].Action)
	require.Contains(t, rows[0].Before, `"interval":"5m0s"`)
	require.Contains(t, rows[0].After, `"interval":"1h0m0s"`)
	require.Equal(t, trail.BackfillRequested, rows[1].Action)
	require.Equal(t, by.Actor(), rows[1].Actor)
	_, err = (&audit.Service{Reader: w.DB.AuditReader()}).Verify(t.Context(), trail.LiveChain, audit.Head{})
	require.NoError(t, err)
}
