// Package notifymail delivers notices by e-mail to the people of the role.
package notifymail

import (
	"context"
	"errors"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/wneessen/go-mail"

	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/notify"
	"github.com/liftbill/liftbill/domain/fault"
)

// Channel is a mail server.
type Channel struct {
	client *mail.Client
	from   string
	domain string
	pages  string
	clock  clock.Clock
}

// New checks a server's address, smtp://user:password@host:587 or smtps://host:465, and the
// sender's. smtp:// needs STARTTLS, but for a server on this machine. pages is the base
// address of our own pages, for links.
func New(server, from, pages string, clk clock.Clock) (*Channel, error) {
	malformed := fault.InvalidField("LIFTBILL_SMTP_URL", "smtp_url_malformed", "this is not the address of a mail server").
		Fix("Write it as smtp://user:password@mail.example.com:587 or smtps://mail.example.com:465")
	u, err := url.Parse(server)
	if err != nil || u.Hostname() == "" || (u.Scheme != "smtp" && u.Scheme != "smtps") {
		return nil, malformed
	}
	if err := mail.NewMsg().From(from); err != nil {
		return nil, fault.InvalidField("LIFTBILL_SMTP_FROM", "smtp_from_malformed", "the sender is not an e-mail address").Fix("Write it as liftbill@example.com")
	}
	opts := []mail.Option{mail.WithTimeout(20 * time.Second)}
	switch {
	case u.Scheme == "smtps":
		opts = append(opts, mail.WithSSL(), mail.WithPort(465))
	case loopback(u.Hostname()):
		opts = append(opts, mail.WithTLSPolicy(mail.TLSOpportunistic), mail.WithPort(587))
	default:
		opts = append(opts, mail.WithTLSPolicy(mail.TLSMandatory), mail.WithPort(587))
	}
	if u.Port() != "" {
		port, err := strconv.Atoi(u.Port())
		if err != nil {
			return nil, malformed
		}
		opts = append(opts, mail.WithPort(port))
	}
	if password, given := u.User.Password(); given {
		opts = append(opts, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(u.User.Username()), mail.WithPassword(password))
	}
	client, err := mail.NewClient(u.Hostname(), opts...)
	if err != nil {
		return nil, malformed
	}
	_, domain, _ := strings.Cut(strings.TrimSuffix(from, ">"), "@")
	return &Channel{client: client, from: from, domain: domain, pages: pages, clock: clk}, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// Name is the channel's in the ledger.
func (c *Channel) Name() string { return "mail" }

// Send hands one message for all recipients to the server. Its Message-ID is the delivery's
// key, so that a repetition is recognised as one.
func (c *Channel) Send(ctx context.Context, d notify.Delivery) error {
	if len(d.Recipients) == 0 {
		return fault.New(fault.Conflict, "nobody_to_tell", "no enabled user has the role %s for account %s", d.Role, d.AccountID)
	}
	m := mail.NewMsg(mail.WithNoDefaultUserAgent())
	if err := m.From(c.from); err != nil {
		return err
	}
	if err := m.To(d.Recipients...); err != nil {
		return fault.New(fault.Invalid, "recipient_malformed", "the address of a user with the role %s is no e-mail address", d.Role)
	}
	m.Subject("[liftbill " + d.Environment.String() + "] " + d.Title)
	m.SetMessageIDWithValue(d.Key() + "@" + c.domain)
	m.SetDateWithValue(c.clock.Now())
	m.SetGenHeader("Auto-Submitted", "auto-generated")
	m.SetBodyString(mail.TypeTextPlain, c.text(d))
	if err := c.client.DialAndSendWithContext(ctx, m); err != nil {
		return refused(err)
	}
	return nil
}

func (c *Channel) text(d notify.Delivery) string {
	var b strings.Builder
	b.WriteString(d.Title + "\r\n\r\n" + d.Detail + "\r\n")
	if d.Next != "" {
		b.WriteString("Next: " + d.Next + "\r\n")
	}
	if !d.Due.IsZero() {
		b.WriteString("Until: " + d.Due.UTC().Format(time.RFC3339) + "\r\n")
	}
	b.WriteString("\r\n" + c.pages + d.Path + "\r\n\r\nYou get this because you have the role " + string(d.Role) + ". Notice " + d.Key() + "\r\n")
	return b.String()
}

// refused keeps what the server answered as a number: its text may name anything.
func refused(err error) error {
	var send *mail.SendError
	if errors.As(err, &send) && send.ErrorCode() != 0 {
		return fault.New(fault.Unavailable, "mail_refused", "the mail server answers %d", send.ErrorCode())
	}
	return fault.New(fault.Unavailable, "mail_unreachable", "the mail server does not take messages")
}
