package system

import (
	_ "embed" // the dictionary
	"sync"

	"github.com/klauspost/compress/s2"

	"github.com/liftbill/liftbill/domain/fault"
)

// Bodies of Stripe's events repeat the same member names and white space. What is long
// is packed before it is sealed, with a dictionary of such text: a fifth of the bytes is
// left to encrypt, store and read.

// payloadDictionary is text in the shape of Stripe's events, as the stand-in writes them,
// without values of anybody. What was packed with it can be unpacked with it only, so it
// never changes: a better one is a new file with a new version byte.
//
//go:embed payload-1.dict
var payloadDictionary []byte

const (
	// packFrom is where packing begins to pay; keys and secrets stay below it.
	packFrom = 512
	// maxUnpacked bounds what a sealed value may unpack to.
	maxUnpacked = 64 << 20
)

var dictionary = sync.OnceValue(func() *s2.Dict { return s2.MakeDict(payloadDictionary, nil) })

// scratch is room for a packed text until it is sealed.
var scratch = sync.Pool{New: func() any { return new([]byte) }}

// pack returns a shorter form of the text in room, or false when there is none.
func pack(room *[]byte, text []byte) ([]byte, bool) {
	if len(text) < packFrom {
		return nil, false
	}
	if n := s2.MaxEncodedLen(len(text)); cap(*room) < n {
		*room = make([]byte, n)
	}
	packed := dictionary().Encode((*room)[:cap(*room)], text)
	return packed, len(packed) < len(text)
}

func unpack(packed []byte) ([]byte, error) {
	n, err := s2.DecodedLen(packed)
	if err != nil || n > maxUnpacked {
		return nil, fault.New(fault.Internal, "secret_malformed", "a sealed value is damaged")
	}
	text, err := dictionary().Decode(nil, packed)
	if err != nil {
		return nil, fault.New(fault.Internal, "secret_malformed", "a sealed value is damaged")
	}
	return text, nil
}
