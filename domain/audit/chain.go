package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/liftbill/liftbill/domain/account"
	"github.com/liftbill/liftbill/domain/fault"
)

// Chain is one sequence of entries, each of which holds the hash of the one before.
// There is one for each environment and one for the installation: an auditor of live
// gets a complete chain without the test rows, and a busy test environment keeps
// nobody of live waiting.
type Chain string

// The chains.
const (
	LiveChain         Chain = "live"
	TestChain         Chain = "test"
	InstallationChain Chain = "installation"
)

// Chains lists all of them.
func Chains() []Chain { return []Chain{LiveChain, TestChain, InstallationChain} }

// ChainOf is the chain that an entry belongs to.
func (e Entry) ChainOf() Chain {
	switch e.Environment {
	case account.Live:
		return LiveChain
	case account.Test:
		return TestChain
	default:
		return InstallationChain
	}
}

// Link is the place of a row in its chain: its number from 1, the hash of the row
// before (32 zero bytes for the first) and its own.
type Link struct {
	Chain    Chain
	Seq      int64
	Previous []byte
	Hash     []byte
}

// Row is a stored entry.
type Row struct {
	Entry
	Link
}

// Origin is what the first row of a chain follows.
func Origin(c Chain) Link { return Link{Chain: c, Hash: make([]byte, sha256.Size)} }

// Append makes the row that follows the last link of the entry's chain.
func Append(last Link, e Entry) (Row, error) {
	e, err := e.Clean()
	if err != nil {
		return Row{}, err
	}
	if last.Chain != e.ChainOf() {
		return Row{}, fault.New(fault.Internal, "audit_chain", "an entry of chain %s cannot follow one of chain %s", e.ChainOf(), last.Chain)
	}
	r := Row{Entry: e, Link: Link{Chain: last.Chain, Seq: last.Seq + 1, Previous: last.Hash}}
	r.Hash = r.digest()
	return r, nil
}

// canonicalRow fixes names, order and forms of what is hashed. Anybody can repeat it:
// the hash is the SHA-256 of this JSON without spaces, with times in UTC with six
// digits of a second, hashes in hexadecimal, and no escapes but those of JSON itself.
type canonicalRow struct {
	Chain       Chain  `json:"chain"`
	Seq         int64  `json:"seq"`
	Previous    string `json:"previous"`
	At          string `json:"at"`
	ActorKind   string `json:"actor_kind"`
	ActorID     string `json:"actor_id"`
	ActorName   string `json:"actor_name"`
	Person      string `json:"person"`
	Action      string `json:"action"`
	Outcome     string `json:"outcome"`
	Object      string `json:"object"`
	ObjectID    string `json:"object_id"`
	AccountID   string `json:"account_id"`
	Environment string `json:"environment"`
	RequestID   string `json:"request_id"`
	Reason      string `json:"reason"`
	Before      string `json:"before"`
	After       string `json:"after"`
}

// timeForm is the form of times in the canonical text.
const timeForm = "2006-01-02T15:04:05.000000Z"

// Canonical is the text whose SHA-256 is the row's hash.
func (r Row) Canonical() []byte {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	err := enc.Encode(canonicalRow{
		Chain: r.Chain, Seq: r.Seq, Previous: hex.EncodeToString(r.Previous), At: r.At.UTC().Truncate(time.Microsecond).Format(timeForm),
		ActorKind: string(r.Actor.Kind), ActorID: r.Actor.ID, ActorName: r.Actor.Name, Person: r.Actor.Person,
		Action: string(r.Action), Outcome: string(r.Outcome), Object: r.Object, ObjectID: r.ObjectID, AccountID: r.AccountID,
		Environment: string(r.Environment), RequestID: r.RequestID, Reason: r.Reason, Before: r.Before, After: r.After,
	})
	if err != nil {
		return nil // texts and numbers are always JSON
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

func (r Row) digest() []byte {
	sum := sha256.Sum256(r.Canonical())
	return sum[:]
}

// Follows checks that the row is the one after last and that nothing in it was
// changed. The error says what does not hold.
func (r Row) Follows(last Link) error {
	bad := func(format string, args ...any) error {
		return fault.New(fault.Conflict, "audit_broken", format, args...)
	}
	switch {
	case r.Chain != last.Chain:
		return bad("row %d belongs to chain %s, not to %s", r.Seq, r.Chain, last.Chain)
	case r.Seq != last.Seq+1:
		return bad("chain %s: row %d is missing; row %d follows row %d", r.Chain, last.Seq+1, r.Seq, last.Seq)
	case !bytes.Equal(r.Previous, last.Hash):
		return bad("chain %s: row %d does not hold the hash of the row before", r.Chain, r.Seq)
	case r.ChainOf() != r.Chain:
		return bad("chain %s: row %d says that it belongs to environment %q", r.Chain, r.Seq, r.Environment)
	case !bytes.Equal(r.Hash, r.digest()):
		return bad("chain %s: row %d was changed after it was written", r.Chain, r.Seq)
	}
	return nil
}
