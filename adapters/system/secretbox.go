package system

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/liftbill/liftbill/domain/fault"
)

// SecretBox seals with AES-256-GCM. A sealed text is a version byte, the 12-byte
// random nonce, and the ciphertext with its tag; the context is authenticated, so
// a ciphertext can't be moved to another row. Long texts are packed first.
type SecretBox struct{ aead cipher.AEAD }

// The version byte says what was encrypted.
const (
	versionPlain  = 1 // the text
	versionPacked = 2 // the text, packed with payload-1.dict
)

// KeyBytes is the length of the encryption key.
const KeyBytes = 32

// NewSecretBox opens a box with a key of 32 bytes.
func NewSecretBox(key []byte) (*SecretBox, error) {
	if len(key) != KeyBytes {
		return nil, fault.InvalidField("LIFTBILL_ENCRYPTION_KEY", "encryption_key_length", "the encryption key must be %d bytes in base64", KeyBytes).
			Fix("Make one with: openssl rand -base64 32")
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("open secret box: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("open secret box: %w", err)
	}
	return &SecretBox{aead}, nil
}

// ParseKey reads a base64 key.
func ParseKey(text string) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(key) != KeyBytes {
		return nil, fault.InvalidField("LIFTBILL_ENCRYPTION_KEY", "encryption_key_length", "the encryption key must be %d bytes in base64", KeyBytes).
			Fix("Make one with: openssl rand -base64 32")
	}
	return key, nil
}

// KeyFile reads a base64 key from a file of the demo, making one the first time. Of
// several processes that start at once, one makes the key and all use it.
func KeyFile(path string) (string, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err = makeKeyFile(path); err == nil {
			raw, err = os.ReadFile(path)
		}
	}
	if err != nil {
		return "", fmt.Errorf("encryption key file: %w", err)
	}
	text := strings.TrimSpace(string(raw))
	if _, err := ParseKey(text); err != nil {
		return "", fmt.Errorf("encryption key file %s: %w", path, err)
	}
	return text, nil
}

// makeKeyFile writes a whole file beside path and links it there, which fails when
// somebody else was faster: nobody reads half a key, nobody replaces one.
func makeKeyFile(path string) error {
	key := make([]byte, KeyBytes)
	if _, err := rand.Read(key); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".key-*")
	if err != nil {
		return err
	}
	_, err = tmp.WriteString(base64.StdEncoding.EncodeToString(key))
	if err = errors.Join(err, tmp.Close()); err == nil {
		if err = os.Link(tmp.Name(), path); errors.Is(err, fs.ErrExist) {
			err = nil
		}
	}
	return errors.Join(err, os.Remove(tmp.Name()))
}

// Seal encrypts plaintext for its context.
func (b *SecretBox) Seal(context string, plaintext []byte) ([]byte, error) {
	room, _ := scratch.Get().(*[]byte)
	defer scratch.Put(room)
	text, version := plaintext, byte(versionPlain)
	if packed, shorter := pack(room, plaintext); shorter {
		text, version = packed, versionPacked
	}
	out := make([]byte, 1+b.aead.NonceSize(), 1+b.aead.NonceSize()+len(text)+b.aead.Overhead())
	out[0] = version
	if _, err := rand.Read(out[1:]); err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return b.aead.Seal(out, out[1:], text, additional(version, context)), nil //nolint:gosec // the nonce was just filled with entropy
}

// additional is what is authenticated beside the text. The version belongs to it, but for
// the first one, from whose time sealed values exist without.
func additional(version byte, context string) []byte {
	if version == versionPlain {
		return []byte(context)
	}
	return append([]byte{version}, context...)
}

// Open decrypts; the error says nothing about the content.
func (b *SecretBox) Open(context string, sealed []byte) ([]byte, error) {
	n := 1 + b.aead.NonceSize()
	if len(sealed) < n+b.aead.Overhead() || (sealed[0] != versionPlain && sealed[0] != versionPacked) {
		return nil, fault.New(fault.Internal, "secret_malformed", "a sealed value is damaged")
	}
	plain, err := b.aead.Open(nil, sealed[1:n], sealed[n:], additional(sealed[0], context))
	if err != nil {
		return nil, fault.New(fault.Internal, "secret_unreadable", "a sealed value cannot be opened with this encryption key").
			Fix("Start with the key that sealed it (LIFTBILL_ENCRYPTION_KEY)")
	}
	if sealed[0] == versionPacked {
		return unpack(plain)
	}
	return plain, nil
}
