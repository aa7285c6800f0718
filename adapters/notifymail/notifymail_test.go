package notifymail_test

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/notifymail"
	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/notify"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/notice"
)

var now = time.Date(2026, 11, 4, 6, 0, 0, 0, time.UTC)

// server is a mail server that takes what it is given, or refuses the data.
type server struct {
	net.Listener
	mu     sync.Mutex
	refuse bool
	rcpt   []string
	data   []string
}

func start(t *testing.T) *server {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &server{Listener: l}
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go s.talk(conn)
		}
	}()
	return s
}

// talk speaks as much of RFC 5321 as a client of ours needs.
func (s *server) talk(conn net.Conn) {
	defer conn.Close() //nolint:errcheck // the client is gone
	say := func(line string) { fmt.Fprintf(conn, "%s\r\n", line) }
	in := bufio.NewScanner(conn)
	say("220 test ESMTP")
	for in.Scan() {
		line := in.Text()
		verb, _, _ := strings.Cut(strings.ToUpper(line), " ")
		switch verb {
		case "RCPT":
			s.mu.Lock()
			s.rcpt = append(s.rcpt, line)
			s.mu.Unlock()
			say("250 ok")
		case "DATA":
			say("354 go on")
			var b strings.Builder
			for in.Scan() && in.Text() != "." {
				b.WriteString(in.Text() + "\n")
			}
			s.mu.Lock()
			refuse := s.refuse
			if !refuse {
				s.data = append(s.data, b.String())
			}
			s.mu.Unlock()
			if refuse {
				say("554 not now, user:hunter2")
				continue
			}
			say("250 taken")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

func delivery(to ...string) notify.Delivery {
	return notify.Delivery{Notice: notice.Notice{ID: "k|acme.2026-10||approver", Kind: notice.FirstInvoice, Environment: account.Live, AccountID: "acme", Period: "2026-10", CycleID: "acme.2026-10",
		Role: access.Approver, Title: "Acme, 2026-10: the first invoice needs a person", Detail: "123.45 USD.", Next: "Approve it", Path: "/cycles/acme.2026-10", Due: now.AddDate(0, 0, 5)},
		AccountName: "Acme", Episode: 1, OpenedAt: now, Recipients: to}
}

// Everybody with the role gets the message; a repetition has the same Message-ID.
func TestMail(t *testing.T) {
	t.Parallel()
	s := start(t)
	c, err := notifymail.New("smtp://"+s.Addr().String(), "liftbill@example.com", "https://billing.example.com", clock.Fixed(now))
	require.NoError(t, err)
	d := delivery("ada@example.com", "kim@example.com")
	for range 2 {
		require.NoError(t, c.Send(t.Context(), d))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	require.Len(t, s.rcpt, 4)
	require.Len(t, s.data, 2)
	for _, text := range s.data {
		require.Contains(t, text, "Message-ID: <"+d.Key()+"@example.com>")
		require.Contains(t, text, "Subject: [liftbill live] Acme, 2026-10: the first invoice needs a")
		require.Contains(t, text, "Auto-Submitted: auto-generated")
		require.Contains(t, text, "https://billing.example.com/cycles/acme.2026-10")
		require.Contains(t, text, "Next: Approve it")
		require.Contains(t, text, "Until: 2026-11-09T06:00:00Z")
	}
}

// A refusal is kept as its number: what a server says may name anything.
func TestMailRefused(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.refuse = true
	c, err := notifymail.New("smtp://"+s.Addr().String(), "liftbill@example.com", "", clock.Fixed(now))
	require.NoError(t, err)
	err = c.Send(t.Context(), delivery("ada@example.com"))
	require.Equal(t, "mail_refused", fault.CodeOf(err))
	require.ErrorContains(t, err, "554")
	require.NotContains(t, err.Error(), "hunter2")
	require.Equal(t, "nobody_to_tell", fault.CodeOf(c.Send(t.Context(), delivery())))

	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	c, err = notifymail.New("smtp://user:hunter2@"+l.Addr().String(), "liftbill@example.com", "", clock.Fixed(now))
	require.NoError(t, err)
	err = c.Send(t.Context(), delivery("ada@example.com"))
	require.Equal(t, "mail_unreachable", fault.CodeOf(err))
	require.NotContains(t, err.Error(), "hunter2")
}

// Beyond this machine a server without TLS gets nothing.
func TestBadConfiguration(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ url, from, code string }{
		{"", "liftbill@example.com", "smtp_url_malformed"},
		{"https://mail.example.com", "liftbill@example.com", "smtp_url_malformed"},
		{"smtp://mail.example.com:x", "liftbill@example.com", "smtp_url_malformed"},
		{"smtp://mail.example.com:99999", "liftbill@example.com", "smtp_url_malformed"},
		{"smtps://mail.example.com", "nobody", "smtp_from_malformed"},
	} {
		_, err := notifymail.New(c.url, c.from, "", clock.Fixed(now))
		require.Equal(t, c.code, fault.CodeOf(err), c.url)
	}
	for _, good := range []string{"smtp://mail.example.com", "smtps://user:pass@mail.example.com:465", "smtp://localhost:25"} {
		_, err := notifymail.New(good, "Billing <liftbill@example.com>", "", clock.Fixed(now))
		require.NoError(t, err, good)
	}
}
