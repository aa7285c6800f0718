package system_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/system"
	"github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/domain/fault"
)

var (
	_ access.Passwords = (*system.Passwords)(nil)
	_ access.Entropy   = system.Entropy{}
)

var cheap = system.PasswordCost{Time: 1, MemoryKiB: 64, Threads: 1}

func TestPasswords(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	p := system.NewPasswords(cheap)
	hash, err := p.Hash(ctx, "a sentence of some length")
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(hash, "$argon2id$v=19$m=64,t=1,p=1$"))
	again, err := p.Hash(ctx, "a sentence of some length")
	require.NoError(t, err)
	require.NotEqual(t, hash, again, "a salt of its own each time")
	ok, stale, err := p.Verify(ctx, "a sentence of some length", hash)
	require.NoError(t, err)
	require.True(t, ok)
	require.False(t, stale)
	ok, _, err = p.Verify(ctx, "a sentence of some lengtH", hash)
	require.NoError(t, err)
	require.False(t, ok)
	dearer := system.NewPasswords(system.PasswordCost{Time: 2, MemoryKiB: 64, Threads: 1})
	ok, stale, err = dearer.Verify(ctx, "a sentence of some length", hash)
	require.NoError(t, err)
	require.True(t, ok)
	require.True(t, stale, "what was cheaper is made anew")
	for _, password := range []string{"", "x"} {
		ok, _, err = p.Verify(ctx, password, "")
		require.NoError(t, err)
		require.False(t, ok, "without a hash nothing matches")
	}
	for _, bad := range []string{"plain", "$argon2i$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA", "$argon2id$v=18$m=64,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
		"$argon2id$v=19$m=64,t=0,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA", "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$", "$argon2id$v=19$m=64,t=1,p=1$!$!"} {
		_, _, err = p.Verify(ctx, "x", bad)
		require.Equal(t, "password_hash_malformed", fault.CodeOf(err), bad)
		require.NotContains(t, err.Error(), "c2FsdA")
	}
	require.Equal(t, system.PasswordCost{Time: 3, MemoryKiB: 65536, Threads: 1}, system.DefaultCost())
}

// Whoever waits for a slot may give up.
func TestPasswordsWaitTheirTurn(t *testing.T) {
	t.Parallel()
	p := system.NewPasswords(cheap)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			_, err := p.Hash(context.Background(), "x")
			require.NoError(t, err)
		})
	}
	wg.Wait()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	refused := 0
	for range 64 { // a free slot and an ended context are both ready; either may win
		if _, err := p.Hash(ctx, "x"); err != nil {
			require.ErrorIs(t, err, context.Canceled)
			refused++
		}
	}
	require.Positive(t, refused)
	require.Len(t, system.Entropy{}.Bytes(40), 40)
	first := system.Entropy{}.Bytes(32)
	require.NotEqual(t, first, system.Entropy{}.Bytes(32))
}
