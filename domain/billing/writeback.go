package billing

import (
	"crypto/sha1" //nolint:gosec // UUIDv5 (RFC 9562 §5.5) is defined over SHA-1; it names, it does not protect.
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
)

// IntentKey is what makes an invoice ours and unique: one issuer connection,
// one payer, one currency, one period, one part.
type IntentKey struct {
	IssuerConnection string
	Customer         string
	Currency         string
	Period           string
	Part             string
}

// intentNamespace is the UUID that scopes our name-based UUIDs.
var intentNamespace = [16]byte{0x6c, 0x69, 0x66, 0x74, 0x62, 0x69, 0x4c, 0x6c, 0x80, 0x77, 0x72, 0x69, 0x74, 0x65, 0x62, 0x6b}

// ID is the UUIDv5 of the key: the same key gives the same ID for ever.
func (k IntentKey) ID() string {
	return nameUUID(k.IssuerConnection, k.Customer, k.Currency, k.Period, k.Part)
}

// nameUUID is the UUIDv5 of the parts.
func nameUUID(parts ...string) string {
	h := sha1.New() //nolint:gosec // see the import
	h.Write(intentNamespace[:])
	h.Write([]byte(strings.Join(parts, "\x00")))
	var u [16]byte
	copy(u[:], h.Sum(nil))
	u[6] = u[6]&0x0f | 0x50
	u[8] = u[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}

// StripeKey is the value of lb_key in Stripe's metadata and the root of every idempotency key.
func (k IntentKey) StripeKey() string { return keyPrefix + k.ID() }

// keyPrefix begins every key of ours at Stripe.
const keyPrefix = "lb:"

// IntentOf is the ID of the intent whose key stands in Stripe's metadata; ok is false
// for what is none of our keys.
func IntentOf(stripeKey string) (id string, ok bool) {
	id, ok = strings.CutPrefix(stripeKey, keyPrefix)
	return id, ok && uuidRE.MatchString(id)
}

var uuidRE = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// maxInvoiceLines leaves room below the 250 items that Stripe takes.
const maxInvoiceLines = 240

// PlanLine is one line as it must stand on the Stripe invoice.
type PlanLine struct {
	Line        string   // stable line key: the snapshot's ID, or "fee:…"
	Kind        LineKind `json:",omitempty"` // empty for a lift
	AmountMinor int64
	Description string
	Metadata    map[string]string
}

// InvoicePlan is everything that is sent for one invoice, frozen and hashed
// before the first request.
type InvoicePlan struct {
	Key              IntentKey
	CycleID          string
	AccountID        string
	CollectionMethod CollectionMethod
	DaysUntilDue     int
	Description      string
	Footer           string
	PONumber         string
	PeriodStart      int64 // Unix seconds, inclusive
	PeriodEnd        int64 // Unix seconds, exclusive
	Metadata         map[string]string
	Lines            []PlanLine
}

// TotalMinor is the sum of the lines.
func (p InvoicePlan) TotalMinor() int64 {
	var sum int64
	for _, l := range p.Lines {
		sum += l.AmountMinor
	}
	return sum
}

// Hash is the SHA-256 over the amounts, lines and addressee of the plan, in a
// canonical text form. A changed plan under one key is refused by comparing it.
func (p InvoicePlan) Hash() string {
	var b strings.Builder
	field := func(parts ...string) {
		for _, s := range parts {
			b.WriteString(strconv.Itoa(len(s)) + ":" + s + ",")
		}
		b.WriteByte('\n')
	}
	field("lb-plan/1", p.Key.StripeKey(), p.Key.Customer, p.Key.Currency, p.Key.Period, p.Key.Part, string(p.CollectionMethod), strconv.Itoa(p.DaysUntilDue))
	for _, l := range p.Lines {
		field(l.Line, strconv.FormatInt(l.AmountMinor, 10), l.Description, l.Metadata["lb_readout"])
	}
	sum := sha256.Sum256([]byte(b.String()))
	return hex.EncodeToString(sum[:])
}

// Validate checks the invariants that every plan must hold before it is stored.
func (p InvoicePlan) Validate() error {
	if p.Key.Customer == "" {
		return fault.New(fault.Conflict, "payer_missing", "the account has no payer at the issuer").Fix("Set the payer's Stripe customer ID on the account")
	}
	lifts := 0
	for _, l := range p.Lines {
		if l.Kind == "" || l.Kind == LineLift {
			lifts++
		}
	}
	if len(p.Lines) == 0 || len(p.Lines) > maxInvoiceLines || lifts > MaxBillableSnapshots {
		return fault.New(fault.Invalid, "lines_count", "an invoice needs 1 to %d lines, of which at most %d are lifts, not %d and %d", maxInvoiceLines, MaxBillableSnapshots, len(p.Lines), lifts)
	}
	seen := map[string]bool{}
	for _, l := range p.Lines {
		if l.AmountMinor <= 0 {
			return fault.New(fault.Invalid, "line_not_positive", "line %s has the amount %d", l.Line, l.AmountMinor)
		}
		if seen[l.Line] {
			return fault.New(fault.Invalid, "line_repeated", "line %s appears twice", l.Line)
		}
		seen[l.Line] = true
	}
	return nil
}

// WriteBack is the permission to write one invoice. Only Authorize makes it, and
// only for a live issuer; the Stripe adapter's write methods demand it.
type WriteBack struct {
	proof account.LiveProof
	plan  InvoicePlan
}

// Plan is a copy of the plan that may be written: nobody can change what was authorised.
func (w WriteBack) Plan() InvoicePlan { return w.plan.clone() }

func (p InvoicePlan) clone() InvoicePlan {
	p.Metadata = maps.Clone(p.Metadata)
	p.Lines = slices.Clone(p.Lines)
	for i := range p.Lines {
		p.Lines[i].Metadata = maps.Clone(p.Lines[i].Metadata)
	}
	return p
}

// Valid is false for the zero value, which nobody authorised.
func (w WriteBack) Valid() bool { return w.proof.ConnectionID() != "" }

// Authorize gives the permission to write a plan to the proven live connection, for an
// account whose live writing is open.
func Authorize(proof account.LiveProof, env account.Environment, plan InvoicePlan, writing LiveWriting) (WriteBack, error) {
	if err := mayWrite(proof, env, plan.AccountID, plan.Key.IssuerConnection); err != nil {
		return WriteBack{}, err
	}
	if writing.accountID == "" || writing.accountID != plan.AccountID {
		return WriteBack{}, fault.New(fault.Conflict, CodeWritingClosed, "nobody opened live writing for account %s", plan.AccountID)
	}
	if err := plan.Validate(); err != nil {
		return WriteBack{}, err
	}
	return WriteBack{proof: proof, plan: plan.clone()}, nil
}

// IntentState is where the write-back of one invoice stands.
type IntentState string

// The states of an intent (see the state machine in docs/write-back.md).
const (
	IntentPlanned   IntentState = "planned"
	IntentPinned    IntentState = "pinned"
	IntentVerified  IntentState = "verified"
	IntentFinalized IntentState = "finalized"
	IntentReleased  IntentState = "released"
	IntentHuman     IntentState = "needs_human"
	// IntentSuperseded: another payer is billed instead; nothing of it may be left at Stripe.
	IntentSuperseded IntentState = "superseded"
)

// Intent is the one row that drives one Stripe invoice to its final state.
type Intent struct {
	Plan       InvoicePlan
	PlanHash   string
	State      IntentState
	Generation int    // counts drafts given up; part of the create key
	FinalizeN  int    // counts finalize attempts whose answer was lost
	InvoiceID  string // the pinned Stripe invoice, empty before it is pinned
}
