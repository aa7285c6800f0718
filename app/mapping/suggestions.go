package mapping

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/liftbill/liftbill/domain/access"
	trail "github.com/liftbill/liftbill/domain/audit"
	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/mapping"
)

// UserInput is one user of an upload as the integrator wrote it. Only the SHA-256 of an
// address is taken; a domain is hashed before it is stored.
type UserInput struct {
	User        string
	EmailSHA256 string
	Domain      string
}

// BadUser names a refused row of an upload.
type BadUser struct {
	Row     int // 1-based
	Field   string
	Code    string
	Message string
}

// Upload counts an upload. Bad rows do not keep good ones from being stored.
type Upload struct {
	Stored    int
	Forgotten int
	Rejected  []BadUser
}

// UploadUsers replaces the mapping aids of the users.
func (s *Service) UploadUsers(ctx context.Context, connectionID string, users []UserInput, by access.Principal) (Upload, error) {
	if len(users) == 0 || len(users) > MaxUsers {
		return Upload{}, fault.InvalidField("users", "users_range", "an upload holds 1 to %d users", MaxUsers).Fix("Send more of them in several requests")
	}
	var out Upload
	byUser := map[string]UserAid{}
	for i, in := range users {
		aid, err := in.aid()
		if err != nil {
			out.Rejected = append(out.Rejected, badUser(i+1, err))
			continue
		}
		byUser[aid.User] = aid
	}
	good := make([]UserAid, 0, len(byUser))
	for _, u := range byUser {
		good = append(good, u)
	}
	slices.SortFunc(good, func(a, b UserAid) int { return strings.Compare(a.User, b.User) })
	err := s.Work.Do(ctx, func(ctx context.Context, st Stores) error {
		settings, err := st.Writer.LockSettings(ctx, connectionID)
		if err != nil {
			return err
		}
		decision := Decision{By: by}
		if err := decision.allowed(access.UploadMapping, settings); err != nil {
			return err
		}
		if !settings.ByEmail && !settings.ByDomain {
			return fault.New(fault.Conflict, "aids_off", "connection %s maps neither by e-mail nor by domain", connectionID).
				Fix("Switch on what it is to map by first: nothing is stored that nobody uses")
		}
		for i := range good {
			if !settings.ByEmail {
				good[i].Email = nil
			}
			if !settings.ByDomain {
				good[i].Domain = nil
			}
		}
		if out.Stored, err = st.Writer.SaveUsers(ctx, connectionID, good, by.Label(), s.Clock.Now()); err != nil {
			return err
		}
		out.Forgotten = len(good) - out.Stored
		counts := trail.Facts{"stored": strconv.Itoa(out.Stored), "forgotten": strconv.Itoa(out.Forgotten), "rejected": strconv.Itoa(len(out.Rejected))}
		return st.Audit.Append(ctx, s.note(decision, trail.UserHashesUploaded, "connection", connectionID, settings).Changed(nil, counts))
	})
	return out, err
}

func (in UserInput) aid() (UserAid, error) {
	user, err := mapping.CheckUserID("user_id", in.User)
	if err != nil {
		return UserAid{}, err
	}
	aid := UserAid{User: user}
	if in.EmailSHA256 != "" {
		h, err := mapping.ParseHash("email_sha256", in.EmailSHA256)
		if err != nil {
			return aid, err
		}
		aid.Email = &h
	}
	if in.Domain != "" {
		h, err := mapping.ParseDomain("domain", in.Domain)
		if err != nil {
			return aid, err
		}
		aid.Domain = &h
	}
	return aid, nil
}

func badUser(row int, err error) BadUser {
	bad := BadUser{Row: row, Code: fault.CodeOf(err), Message: err.Error()}
	if f, ok := err.(*fault.Error); ok { //nolint:errorlint // the checks return *fault.Error itself
		bad.Field, bad.Message = f.Field, f.Msg
		if f.Remedy != "" {
			bad.Message += ". " + f.Remedy
		}
	}
	return bad
}

// Suggestions lists suggestions by customer. Open ones are derived from what is stored
// now; decided ones are kept as they were decided.
func (s *Service) Suggestions(ctx context.Context, f SuggestionsFilter) (Page[Suggestion], error) {
	if f.State == "" {
		f.State = Open
	}
	if !slices.Contains([]string{Open, Accepted, Rejected}, f.State) {
		return Page[Suggestion]{}, fault.InvalidField("state", "filter_unknown", "%q is not a state of a suggestion", f.State).Fix("Use open, accepted or rejected")
	}
	var err error
	if f.Limit, err = limit(f.Limit); err != nil {
		return Page[Suggestion]{}, err
	}
	if _, err := s.Reader.Settings(ctx, f.ConnectionID); err != nil {
		return Page[Suggestion]{}, err
	}
	return s.Reader.Suggestions(ctx, f)
}

// Accept makes a link of a suggestion, from the beginning on. Accepted again it stays.
func (s *Service) Accept(ctx context.Context, connectionID, id string, by Decision) (Suggestion, error) {
	return s.decide(ctx, connectionID, id, Accepted, by)
}

// Reject keeps a suggestion from being shown again. Rejected again it stays.
func (s *Service) Reject(ctx context.Context, connectionID, id string, by Decision) (Suggestion, error) {
	return s.decide(ctx, connectionID, id, Rejected, by)
}

func (s *Service) decide(ctx context.Context, connectionID, id, state string, by Decision) (Suggestion, error) {
	by, err := by.checked()
	if err != nil {
		return Suggestion{}, err
	}
	var out Suggestion
	err = s.Work.Do(ctx, func(ctx context.Context, st Stores) error {
		// Decisions about one connection go one by one, so that of two at once the second
		// one sees the first.
		of, err := st.Writer.LockSettings(ctx, connectionID)
		if err != nil {
			return err
		}
		if err := by.allowed(access.DecideMapping, of); err != nil {
			return err
		}
		if out, err = st.Writer.Suggestion(ctx, connectionID, id); err != nil {
			return err
		}
		if out.State == state {
			return nil
		}
		if out.State == Accepted {
			return fault.New(fault.Conflict, "suggestion_accepted", "the suggestion was accepted by %s", out.DecidedBy).Fix("Retract its link instead")
		}
		now, linkID, action := s.Clock.Now(), "", trail.SuggestionRejected
		if state == Accepted {
			statement := mapping.Statement{Subject: out.Customer, User: out.User, Source: out.By}
			link, _, err := st.Writer.Decide(ctx, connectionID, statement, by, now)
			if err != nil {
				return err
			}
			linkID, action = link.LinkID, trail.SuggestionAccepted
		}
		out.State, out.DecidedBy, out.Reason, out.DecidedAt = state, by.Who(), by.Reason, &now
		if err := st.Writer.SaveDecision(ctx, out, linkID, by, now); err != nil {
			return err
		}
		facts := trail.Facts{"connection": connectionID, "customer": out.Customer, "link": linkID}
		return st.Audit.Append(ctx, s.note(by, action, "suggestion", id, of).Changed(nil, facts))
	})
	return out, err
}
