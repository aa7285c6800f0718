// Package notify tells people what waits for them. What is to be told is derived from the
// ledger and kept as rows; every channel delivers each row at least once, under the same ID.
package notify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"strconv"
	"time"

	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/notice"
)

// Ledger keeps what was told.
type Ledger interface {
	// Refresh lets tell say what is to be told of everything that waits, and makes the
	// stored notices those: new ones are added, ones that hold again are opened again, and
	// the others are settled. It is one transaction, and one at a time. fresh counts the
	// added and reopened.
	Refresh(ctx context.Context, at time.Time, tell func([]notice.Cycle, []notice.Month) []notice.Notice) (fresh int, err error)
	// Claim takes open notices that the channel has not delivered and whose turn it is, the
	// oldest first. Nobody else gets them before until.
	Claim(ctx context.Context, channel string, limit int, at, until time.Time) ([]Delivery, error)
	// Delivered notes that the channel's other end has taken it.
	Delivered(ctx context.Context, d Delivery, at time.Time) error
	// Failed notes why it has not, and when it is tried again.
	Failed(ctx context.Context, d Delivery, next time.Time, why string) error
	// Rows lists what was told.
	Rows(ctx context.Context, f Filter) (Page, error)
}

// Channel carries notices to people. Send returns only when the other end has taken it; an
// error that is not a fault says nothing to outsiders.
type Channel interface {
	Name() string
	Send(ctx context.Context, d Delivery) error
}

// Delivery is one notice on its way through a channel.
type Delivery struct {
	notice.Notice
	AccountName string
	// Episode counts how often the notice was opened; a repetition of one has the same number.
	Episode  int
	Channel  string
	Attempts int
	OpenedAt time.Time
	// Recipients are the e-mail addresses of the role's people who may see the account.
	Recipients []string
}

// Key names what is delivered: the same for every attempt and every channel.
func (d Delivery) Key() string { return Key(d.ID, d.Episode) }

// Key is "ntc_" and 26 hexadecimal digits of the SHA-256 of a notice's natural key and episode.
func Key(id string, episode int) string {
	const digits = 26
	sum := sha256.Sum256([]byte(id + "|" + strconv.Itoa(episode)))
	return "ntc_" + hex.EncodeToString(sum[:])[:digits]
}

// Row is a notice as it is kept.
type Row struct {
	notice.Notice
	AccountName string
	Episode     int
	OpenedAt    time.Time
	SettledAt   *time.Time
	Deliveries  []Attempted
}

// Attempted is how the delivery through a channel stands.
type Attempted struct {
	Channel     string
	Attempts    int
	DeliveredAt *time.Time
	Error       string
}

// Filter selects notices. An empty scope selects nothing.
type Filter struct {
	Scope     access.Scope
	AccountID string
	// Roles are whom they are for; empty is everybody.
	Roles []access.Role
	// Settled lists those too that nobody needs to act on any more.
	Settled bool
	Cursor  string
	Limit   int
}

// Page is a part of a list.
type Page struct {
	Items      []Row
	NextCursor string
}

// Limits of a page.
const (
	DefaultLimit = 50
	MaxLimit     = 500
)

// Service is the use case.
type Service struct {
	Ledger   Ledger
	Channels []Channel
	Clock    clock.Clock
	Log      *slog.Logger
}

// The pace of the deliveries.
const (
	batch      = 20
	sendTime   = 30 * time.Second
	lease      = batch*sendTime + time.Minute
	firstPause = 30 * time.Second
	longest    = time.Hour
)

// pause is how long a channel waits after so many failures in a row.
func pause(attempts int) time.Duration {
	wait := firstPause
	for range attempts - 1 {
		if wait *= 2; wait >= longest {
			return longest
		}
	}
	return wait
}

// Tick brings the notices up to date and delivers what is open. A channel that fails keeps
// no other one waiting, and none is given up while its notice holds.
func (s *Service) Tick(ctx context.Context) error {
	now := s.Clock.Now()
	_, err := s.Ledger.Refresh(ctx, now, func(cycles []notice.Cycle, months []notice.Month) []notice.Notice {
		return notice.Of(cycles, months, now)
	})
	if err != nil {
		return err
	}
	for _, c := range s.Channels {
		if err := s.deliver(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) deliver(ctx context.Context, c Channel) error {
	for {
		now := s.Clock.Now()
		due, err := s.Ledger.Claim(ctx, c.Name(), batch, now, now.Add(lease))
		if err != nil {
			return err
		}
		for _, d := range due {
			if err := s.send(ctx, c, d); err != nil {
				return err
			}
		}
		if len(due) < batch {
			return nil
		}
	}
}

func (s *Service) send(ctx context.Context, c Channel, d Delivery) error {
	bounded, cancel := context.WithTimeout(ctx, sendTime)
	err := c.Send(bounded, d)
	cancel()
	if err == nil {
		return s.Ledger.Delivered(ctx, d, s.Clock.Now())
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	why := reason(err)
	s.Log.LogAttrs(ctx, slog.LevelWarn, "a notice was not delivered", slog.String("notice", d.Key()), slog.String("channel", c.Name()),
		slog.Int("attempt", d.Attempts+1), slog.String("why", why))
	return s.Ledger.Failed(ctx, d, s.Clock.Now().Add(pause(d.Attempts+1)), why)
}

// reason is what may be kept of a failure: the text of a fault, which holds no secret.
func reason(err error) string {
	var f *fault.Error
	if errors.As(err, &f) {
		return f.Msg
	}
	return "the channel failed"
}

// Notices lists them, the newest first.
func (s *Service) Notices(ctx context.Context, f Filter) (Page, error) {
	switch {
	case f.Limit == 0:
		f.Limit = DefaultLimit
	case f.Limit < 0 || f.Limit > MaxLimit:
		return Page{}, fault.InvalidField("limit", "limit_range", "%d is no size of a page", f.Limit).Fix("Use 1 to %d", MaxLimit)
	}
	return s.Ledger.Rows(ctx, f)
}
