package system_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/liftbill/liftbill/domain/fault"
)

// The dictionary is part of what was sealed with it.
func TestPayloadDictionaryNeverChanges(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("payload-1.dict")
	require.NoError(t, err)
	sum := sha256.Sum256(raw)
	require.Equal(t, "fee20d0ee78889f5b209b510dd424268f3eafd80a86a13ef1798a92d3b33399c", hex.EncodeToString(sum[:]), "make a payload-2.dict instead")
}

// What was sealed by an earlier version opens.
func TestEarlierSealsOpen(t *testing.T) {
	t.Parallel()
	for sealed, plain := range map[string]string{
		"012969eae3f870215d002c7e6459244c69192936f3fa527ab03a26fd69d8bb2c7ad5623e6195a5a89584f4b94b3e31e489c25cf4131cc23ac9": "rk_live_4f8d2c1b9a7e6053unit",
	} {
		raw, err := hex.DecodeString(sealed)
		require.NoError(t, err)
		got, err := box(t, 7).Open("connection-key:acme", raw)
		require.NoError(t, err)
		require.Equal(t, plain, string(got))
	}
}

// Long texts come back byte for byte, whatever is in them, and never grow by more than a
// short one does.
func TestLongTextsArePacked(t *testing.T) {
	t.Parallel()
	b := box(t, 7)
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		text := make([]byte, rapid.IntRange(500, 70_000).Draw(t, "length"))
		alphabet := rapid.IntRange(1, 256).Draw(t, "alphabet")
		for i := range text {
			text[i] = byte(rng.IntN(alphabet))
		}
		sealed, err := b.Seal("event-body:acme", text)
		require.NoError(t, err)
		require.LessOrEqual(t, len(sealed), len(text)+29)
		opened, err := b.Open("event-body:acme", sealed)
		require.NoError(t, err)
		require.True(t, bytes.Equal(text, opened))
	})
	body := `{` + "\n      \"automatic_tax\": {\n        \"enabled\": false,\n        \"status\": null\n      }," +
		"\n      \"billing_reason\": \"subscription_cycle\",\n      \"collection_method\": \"charge_automatically\",\n      \"customer_tax_exempt\": \"none\"," + strings.Repeat(" ", 400) + "}"
	sealed, err := b.Seal("event-body:acme", []byte(body))
	require.NoError(t, err)
	require.Less(t, len(sealed), len(body)/4, "what events have in common costs next to nothing")
}

// A packed text is bound to its place and its form like any other.
func TestPackedTextsAreRefusedElsewhere(t *testing.T) {
	t.Parallel()
	b := box(t, 7)
	sealed, err := b.Seal("event-body:acme", bytes.Repeat([]byte("a secret "), 100))
	require.NoError(t, err)
	require.Less(t, len(sealed), 200)
	for n := range sealed {
		changed := bytes.Clone(sealed)
		changed[n] ^= 3 // turns each version byte into the other
		_, err := b.Open("event-body:acme", changed)
		require.True(t, fault.Is(err, fault.Internal), n)
		require.NotContains(t, err.Error(), "a secret")
		_, err = b.Open("event-body:acme", sealed[:n])
		require.True(t, fault.Is(err, fault.Internal), n)
	}
	_, err = b.Open("event-body:other", sealed)
	require.True(t, fault.Is(err, fault.Internal))
}
