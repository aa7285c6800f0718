package system

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"

	"github.com/liftbill/liftbill/domain/fault"
)

// Entropy is the machine's.
type Entropy struct{}

// Bytes returns n random bytes.
func (Entropy) Bytes(n int) []byte {
	out := make([]byte, n)
	_, _ = rand.Read(out) // it cannot fail: the program ends when the system has no entropy
	return out
}

// PasswordCost is what one argon2id computation takes.
type PasswordCost struct {
	Time      uint32
	MemoryKiB uint32
	Threads   uint8
}

// DefaultCost is the second recommendation of RFC 9106 with one thread: 64 MiB and
// three passes, about a sixth of a second.
func DefaultCost() PasswordCost { return PasswordCost{Time: 3, MemoryKiB: 64 << 10, Threads: 1} }

// Passwords hashes with argon2id into the usual text form
// ($argon2id$v=19$m=…,t=…,p=…$salt$hash). At most two computations run at once, so
// that attempts to sign in cannot take the machine's memory.
type Passwords struct {
	cost  PasswordCost
	slots chan struct{}
	blank string
}

const (
	saltBytes = 16
	hashBytes = 32
	hashSlots = 2
)

// NewPasswords takes the cost of new hashes.
func NewPasswords(cost PasswordCost) *Passwords {
	p := &Passwords{cost: cost, slots: make(chan struct{}, hashSlots)}
	p.blank = encodeHash(cost, Entropy{}.Bytes(saltBytes), make([]byte, hashBytes))
	return p
}

// run waits for a slot, as long as the caller does.
func (p *Passwords) run(ctx context.Context, fn func()) error {
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
		fn()
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Hash makes a new hash with a salt of its own.
func (p *Passwords) Hash(ctx context.Context, password string) (string, error) {
	var out string
	err := p.run(ctx, func() {
		salt := Entropy{}.Bytes(saltBytes)
		out = encodeHash(p.cost, salt, argon2.IDKey([]byte(password), salt, p.cost.Time, p.cost.MemoryKiB, p.cost.Threads, hashBytes))
	})
	return out, err
}

func encodeHash(c PasswordCost, salt, sum []byte) string {
	enc := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, c.MemoryKiB, c.Time, c.Threads, enc.EncodeToString(salt), enc.EncodeToString(sum))
}

// Verify compares in constant time. Without a hash it computes as long as with one,
// so that the time of an answer does not tell whether there is a password.
func (p *Passwords) Verify(ctx context.Context, password, hash string) (ok, stale bool, err error) {
	exists := hash != ""
	if !exists {
		hash = p.blank
	}
	cost, salt, want, err := decodeHash(hash)
	if err != nil {
		return false, false, err
	}
	err = p.run(ctx, func() {
		got := argon2.IDKey([]byte(password), salt, cost.Time, cost.MemoryKiB, cost.Threads, uint32(len(want))) //nolint:gosec // a hash is 32 bytes long
		ok = subtle.ConstantTimeCompare(got, want) == 1
	})
	return ok && exists && err == nil, cost != p.cost, err
}

func decodeHash(text string) (c PasswordCost, salt, sum []byte, err error) {
	damaged := fault.New(fault.Internal, "password_hash_malformed", "a stored password hash is damaged")
	parts := strings.Split(text, "$")
	if len(parts) != 6 || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return c, nil, nil, damaged
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &c.MemoryKiB, &c.Time, &c.Threads); err != nil || c.Time == 0 || c.Threads == 0 {
		return c, nil, nil, damaged
	}
	if salt, err = base64.RawStdEncoding.DecodeString(parts[4]); err == nil {
		sum, err = base64.RawStdEncoding.DecodeString(parts[5])
	}
	if err != nil || len(salt) < 8 || len(sum) < 16 {
		return c, nil, nil, damaged
	}
	return c, salt, sum, nil
}
