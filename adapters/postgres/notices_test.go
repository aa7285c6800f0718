package postgres_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/invoicing"
	"github.com/liftbill/liftbill/app/notify"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/billing"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/notice"
)

// pigeon is a channel that keeps what it carried, and fails while fails is set.
type pigeon struct {
	name    string
	mu      sync.Mutex
	fails   error
	carried []notify.Delivery
}

func (p *pigeon) Name() string { return p.name }

func (p *pigeon) Send(_ context.Context, d notify.Delivery) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fails != nil {
		return p.fails
	}
	p.carried = append(p.carried, d)
	return nil
}

func (p *pigeon) took() (out []notice.Kind) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, d := range p.carried {
		out = append(out, d.Kind)
	}
	p.carried = nil
	return out
}

func (w *world) announce(at time.Time, channels ...notify.Channel) {
	w.t.Helper()
	s := notify.Service{Ledger: w.db.NewNotices(), Channels: channels, Clock: clock.Fixed(at), Log: slog.New(slog.DiscardHandler)}
	require.NoError(w.t, s.Tick(w.ctx))
}

func (w *world) notices(f notify.Filter) []notify.Row {
	w.t.Helper()
	f.Scope = access.Everything()
	page, err := (&notify.Service{Ledger: w.db.NewNotices()}).Notices(w.ctx, f)
	require.NoError(w.t, err)
	return page.Items
}

func (w *world) person(id, email, roles, accounts string) {
	w.t.Helper()
	require.NoError(w.t, w.exec(`INSERT INTO users (id, email, name, roles, all_accounts, accounts, environments, created_at)
		VALUES ($1, $2, $1, $3::text[], $4::text[] = '{}', $4::text[], '{live}', now())`, id, email, roles, accounts))
}

// A first invoice is told to approvers, through every channel once; it is reminded of, runs
// out, is returned, and what is approved is nobody's business any more.
func TestPeopleAreTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.person("kim", "kim@example.com", "{approver}", "{}")
	w.person("lee", "lee@example.com", "{approver,viewer}", "{acme}")
	w.person("out", "out@example.com", "{approver}", "{other}")
	w.person("fin", "fin@example.com", "{finance}", "{}")
	cy := w.proposed("acme", "2026-01", 100_000)
	hook, post := &pigeon{name: "webhook"}, &pigeon{name: "mail"}
	w.announce(now, hook, post)
	require.Equal(t, []string{"kim@example.com", "lee@example.com"}, post.carried[0].Recipients)
	require.Equal(t, hook.carried[0].Key(), post.carried[0].Key())
	require.Equal(t, []notice.Kind{notice.FirstInvoice}, hook.took())
	post.took()
	w.announce(now.Add(time.Minute), hook, post)
	require.Empty(t, append(hook.took(), post.took()...), "told once")

	desk := &invoicing.Decisions{Work: w.db.Deciding(), Clock: clock.Fixed(now.AddDate(0, 0, 2))}
	_, err := desk.Review(w.ctx, cy.ID)
	require.NoError(t, err)
	w.announce(now.AddDate(0, 0, 2), hook)
	require.Equal(t, []notice.Kind{notice.Reminder}, hook.took())
	w.announce(now.AddDate(0, 0, 4).Add(time.Hour), hook)
	require.Equal(t, []notice.Kind{notice.Expiring}, hook.took())
	desk.Clock = clock.Fixed(now.AddDate(0, 0, 6))
	_, err = desk.Review(w.ctx, cy.ID)
	require.NoError(t, err)
	w.announce(now.AddDate(0, 0, 6), hook)
	require.Equal(t, []notice.Kind{notice.Expired, notice.Expired}, hook.took(), "approvers and finance")
	require.Len(t, w.notices(notify.Filter{}), 2)
	require.Len(t, w.notices(notify.Filter{Roles: []access.Role{access.Finance}}), 1)
	require.Len(t, w.notices(notify.Filter{Settled: true}), 5)
	require.Empty(t, w.notices(notify.Filter{AccountID: "trial"}))

	_, err = desk.Decide(w.ctx, ada, invoicing.Wish{CycleID: cy.ID, Action: billing.ActRelease})
	require.NoError(t, err)
	_, err = desk.Decide(w.ctx, ada, invoicing.Wish{CycleID: cy.ID, Action: billing.ActReturn, Reason: "wrong PO"})
	require.NoError(t, err)
	w.announce(now.AddDate(0, 0, 6), hook)
	require.Equal(t, []notice.Kind{notice.Returned}, hook.took())
	_, err = desk.Decide(w.ctx, ada, invoicing.Wish{CycleID: cy.ID, Action: billing.ActRelease})
	require.NoError(t, err)
	w.announce(now.AddDate(0, 0, 6), hook)
	require.Equal(t, []notice.Kind{notice.FirstInvoice}, hook.took(), "another wait, until another day")
	w.approve(cy.ID)
	w.announce(now.AddDate(0, 0, 7), hook)
	require.Empty(t, hook.took())
	require.Empty(t, w.notices(notify.Filter{}))
}

// What is not taken is tried again, ever more rarely, under the same ID; a failure is kept
// without what might be a secret; one channel keeps no other waiting.
func TestDeliveriesAreRepeated(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.exec("UPDATE connections SET write_back = false WHERE id = 'acme'"))
	w.proposed("acme", "2026-01", 100_000)
	hook, post := &pigeon{name: "webhook", fails: fault.New(fault.Unavailable, "x", "the address answers 500")}, &pigeon{name: "mail"}
	at := now
	w.announce(at, hook, post)
	require.Equal(t, []notice.Kind{notice.Blocked}, post.took())
	row := w.notices(notify.Filter{})[0]
	require.Equal(t, []notify.Attempted{{Channel: "mail", Attempts: 1, DeliveredAt: &at}, {Channel: "webhook", Attempts: 1, Error: "the address answers 500"}}, row.Deliveries)
	w.announce(at.Add(20*time.Second), hook)
	require.Equal(t, 1, w.notices(notify.Filter{})[0].Deliveries[1].Attempts, "not yet")
	hook.fails = errors.New("dial tcp: https://user:hunter2@example.com")
	w.announce(at.Add(30*time.Second), hook)
	row = w.notices(notify.Filter{})[0]
	require.Equal(t, notify.Attempted{Channel: "webhook", Attempts: 2, Error: "the channel failed"}, row.Deliveries[1])
	hook.fails = nil
	w.announce(at.Add(80*time.Second), hook)
	require.Empty(t, hook.took(), "the pause has doubled")
	w.announce(at.Add(90*time.Second), hook)
	require.Len(t, hook.carried, 1)
	require.Equal(t, notify.Key(row.ID, 1), hook.carried[0].Key())
	hook.took()

	// It holds no more, and then again: that is news.
	require.NoError(t, w.exec("UPDATE cycles SET state = 'proposed' WHERE id = 'acme.2026-01'"))
	w.announce(at.Add(2*time.Minute), hook)
	require.Empty(t, w.notices(notify.Filter{}))
	require.NoError(t, w.exec("UPDATE cycles SET state = 'blocked' WHERE id = 'acme.2026-01'"))
	w.announce(at.Add(3*time.Minute), hook)
	require.Equal(t, notify.Key(row.ID, 2), hook.carried[0].Key())
	require.Equal(t, 2, w.notices(notify.Filter{})[0].Episode)
}

// Workers that tell at the same time tell everything once.
func TestManyTellersTellOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.NoError(t, w.exec("UPDATE connections SET write_back = false WHERE id = 'acme'"))
	w.proposed("acme", "2026-01", 100_000)
	require.NoError(t, w.exec(`INSERT INTO recon_breaks (id, account_id, environment, period, type, subject, severity, line, left_source, left_id, left_currency, left_counted, right_source, right_id, right_currency,
			right_counted, amount_minor, currency, customer_id, detail, target_connection, target_object, target_id, state, owner, reason, first_seen, last_seen, fingerprint, requested_by, requested_person, forced_by, forced_person, updated_at)
		SELECT lpad(n::text, 26, '0'), 'acme', 'live', '2026-0' || n, 'amount_differs', 's', CASE n WHEN 3 THEN 'warning' ELSE 'error' END, 'revenue', '', '', '', 0, '', '', '', 0, 5, 'usd', '', '', '', '', '', 'open', '', '', $1, $1, '', '', '', '', '', $1
		FROM generate_series(1, 3) n`, now))
	hook := &pigeon{name: "webhook"}
	var wg sync.WaitGroup
	errs := make([]error, 6)
	for i := range errs {
		wg.Go(func() {
			s := notify.Service{Ledger: w.db.NewNotices(), Channels: []notify.Channel{hook}, Clock: clock.Fixed(now), Log: slog.New(slog.DiscardHandler)}
			errs[i] = s.Tick(w.ctx)
		})
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
	require.ElementsMatch(t, []notice.Kind{notice.Blocked, notice.BreakBlocks, notice.BreakBlocks}, hook.took(), "a warning blocks no close")
	for _, r := range w.notices(notify.Filter{}) {
		require.Equal(t, 1, r.Episode)
	}
	page, err := (&notify.Service{Ledger: w.db.NewNotices()}).Notices(w.ctx, notify.Filter{Scope: access.Everything(), Limit: 2})
	require.NoError(t, err)
	require.Len(t, page.Items, 2)
	next, err := (&notify.Service{Ledger: w.db.NewNotices()}).Notices(w.ctx, notify.Filter{Scope: access.Everything(), Limit: 2, Cursor: page.NextCursor})
	require.NoError(t, err)
	require.Len(t, next.Items, 1)
	for _, bad := range []notify.Filter{{Limit: 1000}, {Cursor: "x"}, {Cursor: "x~y"}} {
		_, err = (&notify.Service{Ledger: w.db.NewNotices()}).Notices(w.ctx, bad)
		require.True(t, fault.Is(err, fault.Invalid), "%v", err)
	}
}
