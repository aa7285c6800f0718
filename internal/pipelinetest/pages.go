package pipelinetest

import (
	"io"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/system"
	"github.com/liftbill/liftbill/adapters/webui"
	"github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/audit"
	"github.com/liftbill/liftbill/app/customers"
	"github.com/liftbill/liftbill/app/ingest"
	"github.com/liftbill/liftbill/app/mapping"
	"github.com/liftbill/liftbill/app/operate"
	"github.com/liftbill/liftbill/app/replay"
	"github.com/liftbill/liftbill/app/whatif"
	domain "github.com/liftbill/liftbill/domain/access"
)

// Password is that of every person of a deployment.
const Password = "correct horse battery"

// gate is the use case of access with cheap password hashes.
func (d *Deployment) gate() *access.Service {
	return &access.Service{
		Work: d.DB.Access(), Credentials: d.DB.Credentials(), Places: d.DB.Places(), Entropy: system.Entropy{}, Clock: d.Clock, Box: d.Box,
		Passwords: system.NewPasswords(system.PasswordCost{Time: 1, MemoryKiB: 64, Threads: 1}),
	}
}

// PageServices are the use cases behind the pages.
func (d *Deployment) PageServices() webui.Services {
	log := d.DB.NewEventLog()
	return webui.Services{
		Reconcile: d.Reconcile(), Access: d.gate(), Audit: &audit.Service{Reader: d.DB.AuditReader()},
		Operate:   &operate.Service{Log: log, Queue: log, Figures: log, Box: d.Box, Clock: d.Clock, BodyContext: ingest.BodyContext},
		Customers: &customers.Service{Reader: d.DB.NewCustomerReader(), Clock: d.Clock}, Replays: &replay.Reports{Archive: d.DB.NewReplays()}, Deciding: d.Deciding(), Breaks: d.Reconciler(), Notices: d.Notices(), Previews: d.Previews(), Accruals: d.Accruals(), Shipping: d.Onboard(),
		Corrections: d.Invoicing(), Agreements: d.Onboard(), Sources: d.Sources(), GoLive: d.GoLive(), Keys: d.Onboard(), Replaying: &replay.Starts{Desk: d.DB.NewReplays(), Clock: d.Clock}, TrueUps: d.TrueUps(), WhatIf: &whatif.Service{Ledger: d.DB.NewWhatIf()},
		Mapping: &mapping.Service{Work: d.DB.Mapping(), Reader: d.DB.NewMappingReader(), Clock: d.Clock},
	}
}

// pages mounts what people see beside the API.
func (d *Deployment) pages(t testing.TB, e *echo.Echo) {
	t.Helper()
	s, err := webui.New(d.PageServices(), webui.Options{PagesURL: d.URL}, d.Clock, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	s.Register(e)
}

// Person lets somebody in with Password; the session is one of theirs.
func (d *Deployment) Person(t testing.TB, email, name string, roles ...string) (session string) {
	t.Helper()
	gate, by, browser := d.gate(), domain.Operator("pipeline"), access.Browser{Client: "127.0.0.1", Agent: "pipeline"}
	u, err := gate.CreateUser(t.Context(), by, access.UserInput{Email: email, Name: name, Roles: roles, Environments: []string{"live", "test"}})
	require.NoError(t, err)
	link, _, err := gate.CreateLink(t.Context(), by, u.ID, time.Hour)
	require.NoError(t, err)
	in, err := gate.SignInWithLink(t.Context(), link.Reveal(), browser)
	require.NoError(t, err)
	caller, err := gate.AuthenticateSession(t.Context(), in.Session.Reveal(), "")
	require.NoError(t, err)
	in, err = gate.SetPassword(t.Context(), caller, "", Password, browser)
	require.NoError(t, err)
	return in.Session.Reveal()
}

// Page is what a page, or a file of one, holds for the person of a session.
func (d *Deployment) Page(t testing.TB, session, path string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.URL+path, http.NoBody)
	require.NoError(t, err)
	req.Header.Set("Accept", "text/html")
	req.Header.Set("Cookie", access.SessionCookie(false)+"="+session)
	res, err := d.http.Do(req)
	require.NoError(t, err)
	raw, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusOK, res.StatusCode, "%s: %s", path, raw)
	return string(raw)
}
