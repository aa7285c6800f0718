package reconcile

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/liftbill/liftbill/domain/fault"
	"github.com/liftbill/liftbill/domain/lift"
	"github.com/liftbill/liftbill/domain/money"
)

// RewardEvent is one booked fact.
type RewardEvent struct {
	ConnectionID string
	FactKey      string
	Kind         string
	IsReward     bool
	CustomerID   string
	UserID       string // empty when the customer is not mapped
	// MappedBy is the source of the link: metadata, email, domain or manual.
	MappedBy string
	// LinkState is linked, unlinked, conflict or closed; empty when nothing was ever said
	// of the customer.
	LinkState      string
	SubscriptionID string
	InvoiceID      string
	ChargeID       string
	AmountMinor    *int64
	Currency       string
	EffectiveAt    time.Time
	EventID        string
	OwnInvoice     bool
	// Historic facts lie before the start of the rewards; Inferred ones are a conclusion
	// from lists and not told by an event.
	Historic, Inferred bool
	// State is one of RewardStates.
	State string
	// Teller is the stored event that told it first. It is empty for a fact that was read.
	Teller Teller
	// Places is where the fact was joined, best first; nil where it was not asked for.
	Places []lift.Placement
}

// Teller is what is shown of the stored event that told a fact first.
type Teller struct {
	EventID string
	Type    string
	// Source is how it came: webhook, pull, backfill or resend.
	Source string
	Status string
}

// Source is how the fact came here: as its event did, or "read" where an object was read.
func (e RewardEvent) Source() string {
	if e.Teller.Source == "" {
		return SourceRead
	}
	return e.Teller.Source
}

// SourceRead is the source of a fact that no event told, but an object that was read.
const SourceRead = "read"

// RewardSources are the ways in which a fact comes here.
func RewardSources() []string {
	return []string{"webhook", "pull", "backfill", "resend", SourceRead}
}

// The states of a reward event.
const (
	// StateMoney: it moves money, and a readout may count it.
	StateMoney = "money"
	// StateSignal: a reward event without money.
	StateSignal = "signal"
	// StateFact: a fact about state that is no reward event.
	StateFact = "state_only"
	// StateOwnInvoice: our own outcome invoice, which never counts.
	StateOwnInvoice = "own_invoice"
	// StateHistoric: from before the start of the rewards.
	StateHistoric = "historic"
)

// RewardStates lists the states.
func RewardStates() []string {
	return []string{StateMoney, StateSignal, StateFact, StateOwnInvoice, StateHistoric}
}

// ID names the fact within its account: when it took effect and its natural key. A fact is
// looked up by both.
func (e RewardEvent) ID() string {
	return e.EffectiveAt.UTC().Format(time.RFC3339Nano) + "~" + e.FactKey
}

// ParseRewardEventID takes an ID apart.
func ParseRewardEventID(id string) (at time.Time, factKey string, err error) {
	stamp, factKey, found := strings.Cut(id, "~")
	at, err = time.Parse(time.RFC3339Nano, stamp)
	if err != nil || !found || factKey == "" {
		return time.Time{}, "", fault.InvalidField("event", "reward_event_id", "%q is no ID of a reward event", id).Fix("Take the id from the list of reward events")
	}
	return at.UTC(), factKey, nil
}

// RewardEventDetail is one fact with everything that is known of it.
type RewardEventDetail struct {
	RewardEvent
	ObjectID   string
	RecordedAt time.Time
	// Detail is what else its kind says, as JSON: worth before and after, flags, users.
	Detail string
	// FrozenBy is the cycle that fixed whose the fact is; empty while none has.
	FrozenBy string
	// Zone is the time zone of the contract.
	Zone *time.Location
}

// RewardEventsFilter selects reward events of an account, newest first.
type RewardEventsFilter struct {
	AccountID string
	Kind      string
	Period    string
	Mapped    string // "", "yes", "no"
	Search    string // a Stripe ID or a user ID
	State     string // one of RewardStates
	// From and To bound the day on which it took effect in the contract's time zone, both
	// inclusive, as YYYY-MM-DD.
	From, To string
	// Currency is that of the amount; Min and Max bound its size in major units, both
	// inclusive, nil is open.
	Currency string
	Min, Max *decimal.Decimal
	// Type, Source and Joined are asked of each fact that the others select, because no index
	// knows them: the Stripe type of the event that told it, how it came, and where it was
	// joined ("yes", "no", or one of lift.Outcomes). A page of them may be short, or empty,
	// and have a next one.
	Type, Source, Joined string
	// Places asks for the places of the facts.
	Places bool
	// MoneyOnly leaves out what no readout can count.
	MoneyOnly bool
	Sort      string // "" is the newest first
	Cursor    string
	Limit     int
}

// RewardEventSorts are the orders of the reward events of an account.
func RewardEventSorts() []string { return []string{"effective_asc"} }

// JoinedChoices are the values of the filter Joined.
func JoinedChoices() []string {
	return append([]string{"yes", "no"}, lift.Outcomes()[1:]...)
}

// Placer says where facts went; *measure.Service is it.
type Placer interface {
	Places(ctx context.Context, accountID string, facts []lift.FactRef) (map[string][]lift.Placement, error)
}

// A page of the filters that no index knows looks at so many facts, at most: at the event that
// told each, and at where each was joined.
const (
	tellersLooked = 300
	placesLooked  = 100
	// maxRounds bounds how often one page reads on.
	maxRounds = 20
)

// RewardEvents lists booked facts of an account, newest first.
func (s *Service) RewardEvents(ctx context.Context, f RewardEventsFilter) (Page[RewardEvent], error) {
	if err := f.check(); err != nil {
		return Page[RewardEvent]{}, err
	}
	var err error
	if f.Limit, err = limit(f.Limit); err != nil {
		return Page[RewardEvent]{}, err
	}
	f.Places = f.Places || f.Joined != ""
	f.MoneyOnly = f.Joined != ""
	out, want, budget := Page[RewardEvent]{}, f.Limit, tellersLooked
	if f.Joined != "" {
		budget = placesLooked
	}
	for round := 1; ; round++ {
		page, err := s.Reader.RewardEvents(ctx, f)
		if err != nil {
			return Page[RewardEvent]{}, err
		}
		if err := s.complete(ctx, f, page.Items); err != nil {
			return Page[RewardEvent]{}, err
		}
		for _, e := range page.Items {
			if f.selects(e) {
				out.Items = append(out.Items, e)
			}
		}
		out.NextCursor = page.NextCursor
		budget -= f.Limit
		if page.NextCursor == "" || len(out.Items) >= (want+1)/2 || budget <= 0 || round == maxRounds {
			return out, nil
		}
		f.Cursor, f.Limit = page.NextCursor, want-len(out.Items)
	}
}

func (f RewardEventsFilter) check() error {
	if err := checkPeriod(f.Period); err != nil {
		return err
	}
	if f.Currency != "" {
		if _, err := money.ParseCurrency(f.Currency); err != nil {
			return err
		}
	}
	for _, c := range []struct {
		name, value string
		all         []string
	}{{"mapped", f.Mapped, []string{"yes", "no"}}, {"state", f.State, RewardStates()}, {"source", f.Source, RewardSources()}, {"joined", f.Joined, JoinedChoices()}} {
		if c.value != "" && !slices.Contains(c.all, c.value) {
			return fault.InvalidField(c.name, "filter_unknown", "%q is not a choice", c.value).Fix("Use %s, or leave it out", strings.Join(c.all, ", "))
		}
	}
	for _, d := range []struct{ name, value string }{{"from", f.From}, {"to", f.To}} {
		if _, err := time.Parse(time.DateOnly, d.value); d.value != "" && err != nil {
			return fault.InvalidField(d.name, "date_malformed", "%q is not a day", d.value).Fix("Write it as YYYY-MM-DD")
		}
	}
	if f.From != "" && f.To != "" && f.From > f.To {
		return fault.InvalidField("to", "interval_empty", "the time ends before it begins")
	}
	return checkSort(f.Sort, RewardEventSorts())
}

// selects applies the filters that the reader does not know.
func (f RewardEventsFilter) selects(e RewardEvent) bool {
	if f.Type != "" && e.Teller.Type != f.Type || f.Source != "" && e.Source() != f.Source {
		return false
	}
	if f.Joined == "" {
		return true
	}
	if len(e.Places) == 0 {
		return false
	}
	switch p := e.Places[0]; f.Joined {
	case "yes":
		return p.Joined()
	case "no":
		return !p.Joined()
	default:
		return p.Outcome() == f.Joined
	}
}

// complete adds what stands in other tables: the events that told the facts, and where they
// were joined.
func (s *Service) complete(ctx context.Context, f RewardEventsFilter, facts []RewardEvent) error {
	if len(facts) == 0 {
		return nil
	}
	ids, refs := make([]string, len(facts)), make([]lift.FactRef, len(facts))
	for i, e := range facts {
		ids[i], refs[i] = e.EventID, lift.FactRef{Key: e.FactKey, At: e.EffectiveAt}
	}
	tellers, err := s.Reader.Tellers(ctx, facts[0].ConnectionID, ids)
	if err != nil {
		return err
	}
	var places map[string][]lift.Placement
	if f.Places && s.Places != nil {
		if places, err = s.Places.Places(ctx, f.AccountID, refs); err != nil {
			return err
		}
	}
	for i := range facts {
		facts[i].Teller, facts[i].Places = tellers[facts[i].EventID], places[facts[i].FactKey]
	}
	return nil
}

// RewardEvent is one fact by its ID, with the event that told it and the decisions that it
// was joined with. NotFound when the account's source has no such fact.
func (s *Service) RewardEvent(ctx context.Context, accountID, id string) (RewardEventDetail, error) {
	at, key, err := ParseRewardEventID(id)
	if err != nil {
		return RewardEventDetail{}, err
	}
	out, err := s.Reader.RewardEvent(ctx, accountID, at, key)
	if err != nil {
		return out, err
	}
	one := []RewardEvent{out.RewardEvent}
	if err := s.complete(ctx, RewardEventsFilter{AccountID: accountID, Places: true}, one); err != nil {
		return out, err
	}
	out.RewardEvent = one[0]
	out.Zone, err = s.Reader.Zone(ctx, accountID)
	return out, err
}

// Zone is the time zone of the account's contract, UTC without one.
func (s *Service) Zone(ctx context.Context, accountID string) (*time.Location, error) {
	return s.Reader.Zone(ctx, accountID)
}
