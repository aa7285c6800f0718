package system_test

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/liftbill/liftbill/adapters/system"
	"github.com/liftbill/liftbill/app/secret"
	"github.com/liftbill/liftbill/domain/fault"
)

var _ secret.Box = (*system.SecretBox)(nil)

func box(t require.TestingT, fill byte) *system.SecretBox {
	b, err := system.NewSecretBox(bytes.Repeat([]byte{fill}, system.KeyBytes))
	require.NoError(t, err)
	return b
}

func TestSecretBoxRoundTrip(t *testing.T) {
	t.Parallel()
	b := box(t, 7)
	rapid.Check(t, func(t *rapid.T) {
		context, plain := rapid.String().Draw(t, "context"), rapid.SliceOf(rapid.Byte()).Draw(t, "plain")
		sealed, err := b.Seal(context, plain)
		require.NoError(t, err)
		again, err := b.Seal(context, plain)
		require.NoError(t, err)
		require.NotEqual(t, sealed, again, "a fresh nonce each time")
		opened, err := b.Open(context, sealed)
		require.NoError(t, err)
		require.True(t, bytes.Equal(plain, opened))
		if len(plain) >= 4 {
			require.NotContains(t, string(sealed), string(plain))
		}
	})
}

// What was moved, cut, changed or sealed with another key is refused without a word
// of the content.
func TestSecretBoxRefusals(t *testing.T) {
	t.Parallel()
	b, plain := box(t, 7), []byte("rk_live_4f8d2c1b9a7e6053unit")
	sealed, err := b.Seal("connection-key:acme", plain)
	require.NoError(t, err)
	refused := func(name string, b *system.SecretBox, context string, sealed []byte) {
		got, err := b.Open(context, sealed)
		require.True(t, fault.Is(err, fault.Internal), name)
		require.Nil(t, got, name)
		require.NotContains(t, err.Error(), "rk_live", name)
	}
	refused("another row", b, "connection-key:other", sealed)
	refused("another table", b, "webhook-secret:acme", sealed)
	refused("another key", box(t, 8), "connection-key:acme", sealed)
	for n := range sealed {
		refused("truncated", b, "connection-key:acme", sealed[:n])
		changed := bytes.Clone(sealed)
		changed[n] ^= 1
		refused("changed", b, "connection-key:acme", changed)
	}
	refused("longer", b, "connection-key:acme", append(bytes.Clone(sealed), 0))
	_, err = box(t, 8).Open("connection-key:acme", sealed)
	require.ErrorContains(t, err, "LIFTBILL_ENCRYPTION_KEY")
}

func TestEncryptionKeys(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 16, 31, 33} {
		_, err := system.NewSecretBox(make([]byte, n))
		require.Equal(t, "encryption_key_length", fault.CodeOf(err))
		_, err = system.ParseKey(base64.StdEncoding.EncodeToString(make([]byte, n)))
		require.Equal(t, "encryption_key_length", fault.CodeOf(err))
	}
	_, err := system.ParseKey("not base64, and secret")
	require.ErrorContains(t, err, "openssl rand -base64 32")
	require.NotContains(t, err.Error(), "and secret")
	key, err := system.ParseKey(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{9}, 32)))
	require.NoError(t, err)
	require.Len(t, key, system.KeyBytes)
}

// Eight starters at once agree on one key, readable by its owner only.
func TestKeyFileIsMadeOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key")
	texts, errs := make([]string, 8), make([]error, 8)
	var wg sync.WaitGroup
	for i := range texts {
		wg.Go(func() { texts[i], errs[i] = system.KeyFile(path) })
	}
	wg.Wait()
	for i := range texts {
		require.NoError(t, errs[i])
		require.Equal(t, texts[0], texts[i])
	}
	_, err := system.ParseKey(texts[0])
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	left, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, left, 1)
}

func TestKeyFileRefusals(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := system.KeyFile(filepath.Join(dir, "missing", "key"))
	require.Error(t, err)
	_, err = system.KeyFile(dir)
	require.Error(t, err)
	broken := filepath.Join(dir, "broken")
	require.NoError(t, os.WriteFile(broken, []byte("half a key"), 0o600))
	_, err = system.KeyFile(broken)
	require.Equal(t, "encryption_key_length", fault.CodeOf(err))
	require.NotContains(t, err.Error(), "half a key")
	pasted := filepath.Join(dir, "pasted")
	text := base64.StdEncoding.EncodeToString(make([]byte, system.KeyBytes))
	require.NoError(t, os.WriteFile(pasted, []byte(text+"\n"), 0o600))
	got, err := system.KeyFile(pasted)
	require.NoError(t, err)
	require.Equal(t, text, got)
}
