package httpapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/liftbill/liftbill/app/ingest"
	"github.com/liftbill/liftbill/domain/fault"
)

// The memory that deliveries may hold at once, whoever sends them and however fast.
// What comes beyond it is answered 503 unread, and Stripe brings it again.
const (
	maxDeliveries    = 2048
	maxDeliveryBytes = 64 << 20
	firstBodyBytes   = 8 << 10
	// Larger rooms are not kept for the next delivery.
	maxKeptBytes = 64 << 10
)

const codeBusy = "ingest_busy"

// deliveries bounds what is in flight.
type deliveries struct {
	count atomic.Int64
	bytes atomic.Int64
	rooms sync.Pool // of *body
}

// body is the room of one delivery; bytes is what has arrived in it, room how much of
// the bound is taken for it.
type body struct {
	bytes []byte
	room  int64
}

func busy() error {
	return fault.New(fault.Unavailable, codeBusy, "more deliveries are under way than this process takes").Fix("Start more of `liftbill serve` behind the proxy")
}

// read reads a body of at most ingest.MaxBody bytes until ctx ends. Room is taken as
// bytes arrive, so that a sender who announces much and sends little holds little. The
// caller gives the room back with done, after an error as well.
func (d *deliveries) read(ctx context.Context, w http.ResponseWriter, r *http.Request) (*body, error) {
	b, _ := d.rooms.Get().(*body)
	if b == nil {
		b = &body{}
	}
	if d.count.Add(1) > maxDeliveries {
		return b, busy()
	}
	if r.ContentLength > ingest.MaxBody {
		w.Header().Set("Connection", "close") // what was announced is not read
		return b, &http.MaxBytesError{Limit: ingest.MaxBody}
	}
	// A body that does not come ends with the context and not when its sender likes.
	// When it has ended, the request is not left before the deadline is set: w is used again.
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		_ = http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0))
	})
	defer func() {
		if !stop() {
			<-ended
		}
	}()
	in := http.MaxBytesReader(w, r.Body, ingest.MaxBody)
	if !d.grow(b, firstBodyBytes) {
		return b, busy()
	}
	if n := r.ContentLength; n >= 0 && n <= firstBodyBytes {
		b.bytes = b.bytes[:n]
		_, err := io.ReadFull(in, b.bytes)
		return b, err
	}
	return b, d.readUnknown(in, b)
}

// readUnknown reads to the end of a body in doubling steps.
func (d *deliveries) readUnknown(in io.Reader, b *body) error {
	for {
		if int64(len(b.bytes)) == b.room && !d.grow(b, min(2*b.room, ingest.MaxBody+1)) {
			return busy()
		}
		n, err := in.Read(b.bytes[len(b.bytes):b.room])
		b.bytes = b.bytes[:len(b.bytes)+n]
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// grow takes room of the given size when there is so much left.
func (d *deliveries) grow(b *body, size int64) bool {
	more := size - b.room
	if d.bytes.Add(more) > maxDeliveryBytes {
		d.bytes.Add(-more)
		return false
	}
	b.room = size
	if int64(cap(b.bytes)) < size {
		b.bytes = append(make([]byte, 0, size), b.bytes...)
	}
	return true
}

// done gives the room of a delivery back; its bytes belong to the next one then.
func (d *deliveries) done(b *body) {
	d.bytes.Add(-b.room)
	d.count.Add(-1)
	if cap(b.bytes) <= maxKeptBytes {
		b.bytes, b.room = b.bytes[:0], 0
		d.rooms.Put(b)
	}
}
