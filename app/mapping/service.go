package mapping

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/uow"
	"github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/account"
	trail "github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/mapping"
	"github.com/liftbill/liftbill/domain/period"
)

// Service is the use case.
type Service struct {
	Work   uow.UnitOfWork[Stores]
	Reader Reader
	Clock  clock.Clock
}

// The limits of a page and of one upload.
const (
	DefaultLimit = 50
	MaxLimit     = 500
	MaxUsers     = 5000
)

// Event types whose stored events are read again when what a connection maps by changes.
var (
	customerTypes     = []string{"customer.created", "customer.updated"}
	subscriptionTypes = []string{
		"customer.subscription.created", "customer.subscription.updated", "customer.subscription.deleted", "invoice.paid", "invoice.payment_succeeded",
	}
)

// Settings returns what a connection maps by.
func (s *Service) Settings(ctx context.Context, connectionID string) (Settings, error) {
	return s.Reader.Settings(ctx, connectionID)
}

// Change stores other settings. Whatever the new ones would have read from the events
// that are stored already is read now, so that nothing is lost; the number of those
// events is returned. Aids that are switched off lose their hashes. The audit entry names the
// backfill that reads the history again.
func (s *Service) Change(ctx context.Context, to Settings, by Decision) (events int64, changed bool, err error) {
	if by, err = by.checked(); err != nil {
		return 0, false, err
	}
	if to.UserIDKey, err = account.CheckUserIDKey(to.UserIDKey); err != nil {
		return 0, false, err
	}
	err = s.Work.Do(ctx, func(ctx context.Context, st Stores) error {
		from, err := st.Writer.LockSettings(ctx, to.ConnectionID)
		if err != nil {
			return err
		}
		if err := by.allowed(access.WriteSetup, from); err != nil {
			return err
		}
		to.Environment = from.Environment
		if changed = from != to; !changed {
			return nil
		}
		read, err := st.Writer.SaveSettings(ctx, to, readAgain(from, to), by, s.Clock.Now())
		if err != nil {
			return err
		}
		events = read.Events
		after := settingsFacts(to)
		if read.Backfill != "" {
			after["backfill"] = read.Backfill
		}
		return st.Audit.Append(ctx, s.note(by, trail.MappingChanged, "connection", to.ConnectionID, from).Changed(settingsFacts(from), after))
	})
	return events, changed, err
}

// readAgain names the types of the events that say something else under the new settings.
func readAgain(from, to Settings) []string {
	var out []string
	key := from.UserIDKey != to.UserIDKey
	if key || (to.ByEmail && !from.ByEmail) || (to.ByDomain && !from.ByDomain) {
		out = append(out, customerTypes...)
	}
	if key {
		out = append(out, subscriptionTypes...)
	}
	return out
}

func (d Decision) checked() (Decision, error) {
	d.Reason = strings.TrimSpace(d.Reason)
	if d.Reason == "" || len(d.Reason) > 1000 {
		return d, fault.InvalidField("reason", "reason_missing", "say why, in 1 to 1000 characters").Fix("It is kept with the decision, for whoever asks later")
	}
	return d, nil
}

// allowed asks again what the edge has asked about the connection's accounts.
func (d Decision) allowed(perm access.Permission, of Settings) error {
	if err := access.RequirePermission(d.By, perm); err != nil {
		return err
	}
	if !d.By.Scope.Reaches(of.Environment) {
		return access.Hidden(access.Connection, of.ConnectionID)
	}
	return nil
}

// note begins the audit entry of a decision, which its transaction appends as its last
// step. Users are named by the statements themselves and not by the log.
func (s *Service) note(by Decision, action trail.Action, object, id string, of Settings) trail.Entry {
	return trail.New(by.By, s.Clock.Now(), action, object, id).In("", of.Environment).Because(by.Reason)
}

func settingsFacts(s Settings) trail.Facts {
	return trail.Facts{
		"user_id_key": s.UserIDKey, "by_email": strconv.FormatBool(s.ByEmail), "by_domain": strconv.FormatBool(s.ByDomain),
		"by_subscription": strconv.FormatBool(s.BySubscription), "leave_out_suggested": strconv.FormatBool(s.LeaveOutSuggested),
	}
}

// LinkInput is a person's statement: from an instant on the customer is the user's.
type LinkInput struct {
	ConnectionID string
	Customer     string
	// User is empty to say that the customer is nobody's.
	User string
	// From is the beginning of time when it is zero.
	From time.Time
}

// Link stores a person's statement. The second result is false when the very statement
// was there before.
func (s *Service) Link(ctx context.Context, in LinkInput, by Decision) (Link, bool, error) {
	by, err := by.checked()
	if err != nil {
		return Link{}, false, err
	}
	if err := checkCustomer(in.Customer); err != nil {
		return Link{}, false, err
	}
	if in.User != "" {
		if in.User, err = mapping.CheckUserID("user_id", in.User); err != nil {
			return Link{}, false, err
		}
	} else if in.From.IsZero() {
		return Link{}, false, fault.InvalidField("from", "from_missing", "a customer that is nobody's needs the time from which on it is so")
	}
	if in.From.After(s.Clock.Now()) {
		return Link{}, false, fault.InvalidField("from", "from_in_future", "a link cannot begin in the future")
	}
	var link Link
	var created bool
	err = s.Work.Do(ctx, func(ctx context.Context, st Stores) error {
		of, err := st.Writer.LockSettings(ctx, in.ConnectionID)
		if err != nil {
			return err
		}
		if err := by.allowed(access.DecideMapping, of); err != nil {
			return err
		}
		statement := mapping.Statement{Subject: in.Customer, User: in.User, Source: mapping.Manual, From: in.From}
		if link, created, err = st.Writer.Decide(ctx, in.ConnectionID, statement, by, s.Clock.Now()); err != nil || !created {
			return err
		}
		return st.Audit.Append(ctx, s.note(by, trail.LinkStated, "link", link.LinkID, of).Changed(nil, trail.Facts{"connection": of.ConnectionID, "customer": in.Customer}))
	})
	return link, created, err
}

// checkCustomer refuses what cannot be the ID of a customer or of a subscription.
func checkCustomer(id string) error {
	ok := (strings.HasPrefix(id, "cus_") || strings.HasPrefix(id, "sub_")) && len(id) <= 255 && !strings.ContainsFunc(id, func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
	if ok {
		return nil
	}
	return fault.InvalidField("customer_id", "customer_malformed", "%q is not the ID of a Stripe customer", id).Fix("Use the customer's ID, cus_…, or a subscription's, sub_…")
}

// Retract takes a person's link back. Facts of frozen months keep it.
func (s *Service) Retract(ctx context.Context, connectionID, linkID string, by Decision) error {
	by, err := by.checked()
	if err != nil {
		return err
	}
	return s.Work.Do(ctx, func(ctx context.Context, st Stores) error {
		of, err := st.Writer.LockSettings(ctx, connectionID)
		if err != nil {
			return err
		}
		if err := by.allowed(access.DecideMapping, of); err != nil {
			return err
		}
		done, err := st.Writer.Retract(ctx, connectionID, linkID, by, s.Clock.Now())
		if err != nil || !done {
			return err
		}
		return st.Audit.Append(ctx, s.note(by, trail.LinkRetracted, "link", linkID, of).Changed(trail.Facts{"connection": connectionID}, nil))
	})
}

// Links lists links by subject and time.
func (s *Service) Links(ctx context.Context, f LinksFilter) (Page[Link], error) {
	if f.Source != "" {
		if _, err := mapping.ParseSource(f.Source); err != nil {
			return Page[Link]{}, err
		}
	}
	states := []string{"", string(mapping.Linked), string(mapping.Unlinked), string(mapping.Conflict), string(mapping.Closed)}
	if !slices.Contains(states, f.State) {
		return Page[Link]{}, fault.InvalidField("state", "filter_unknown", "%q is not a state of a link", f.State).Fix("Use linked, unlinked, conflict or closed")
	}
	var err error
	if f.Limit, err = limit(f.Limit); err != nil {
		return Page[Link]{}, err
	}
	if _, err := s.Reader.Settings(ctx, f.ConnectionID); err != nil {
		return Page[Link]{}, err
	}
	return s.Reader.Links(ctx, f)
}

func limit(n int) (int, error) {
	switch {
	case n == 0:
		return DefaultLimit, nil
	case n < 1 || n > MaxLimit:
		return 0, fault.InvalidField("limit", "limit_range", "a page holds 1 to %d rows", MaxLimit)
	}
	return n, nil
}

// Quarantine lists what has no user, and what it is worth.
func (s *Service) Quarantine(ctx context.Context, f PeriodFilter) (Quarantine, error) {
	if err := s.checkFilter(ctx, &f, false); err != nil {
		return Quarantine{}, err
	}
	return s.Reader.Quarantine(ctx, f)
}

// Coverage says how much of a connection's month is joined to users.
func (s *Service) Coverage(ctx context.Context, f PeriodFilter) (Coverage, error) {
	if err := s.checkFilter(ctx, &f, true); err != nil {
		return Coverage{}, err
	}
	return s.Reader.Coverage(ctx, f)
}

func (s *Service) checkFilter(ctx context.Context, f *PeriodFilter, needsPeriod bool) error {
	if f.Period != "" || needsPeriod {
		if _, err := period.Parse(f.Period); err != nil {
			return err
		}
	}
	var err error
	if f.Limit, err = limit(f.Limit); err != nil {
		return err
	}
	_, err = s.Reader.Settings(ctx, f.ConnectionID)
	return err
}
