package webhookload

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/liftbill/liftbill/adapters/stripeapi/stripefake"
)

// Target is where deliveries go.
type Target struct {
	Address string // host:port
	Path    string
	Secret  string // signing secret of the endpoint
}

// sender is one connection of Stripe's. It speaks HTTP by hand, so that the load takes as
// little of the machine as it can from what is measured.
type sender struct {
	target Target
	conn   net.Conn
	in     *bufio.Reader
	body   []byte
	out    []byte
}

// send delivers event n of the script and returns the answered status. After an error
// the connection is dialled anew with the next delivery.
func (s *sender) send(ctx context.Context, script *Script, n int) (int, error) {
	s.body = script.Event(s.body, n)
	s.out = appendRequest(s.out[:0], s.target, s.body)
	return s.deliver(ctx, s.out)
}

// appendRequest writes a delivery of the body, signed now.
func appendRequest(buf []byte, target Target, body []byte) []byte {
	buf = append(buf, "POST "...)
	buf = append(buf, target.Path...)
	buf = append(buf, " HTTP/1.1\r\nHost: "...)
	buf = append(buf, target.Address...)
	buf = append(buf, "\r\nUser-Agent: Stripe/1.0 (+https://stripe.com/docs/webhooks)\r\nAccept: */*; q=0.5, application/xml\r\nCache-Control: no-cache\r\nContent-Type: application/json; charset=utf-8\r\nStripe-Signature: "...)
	buf = append(buf, stripefake.Sign(body, time.Now().Unix(), target.Secret)...)
	buf = append(buf, "\r\nContent-Length: "...)
	buf = strconv.AppendInt(buf, int64(len(body)), 10)
	buf = append(buf, "\r\n\r\n"...)
	return append(buf, body...)
}

// deliver sends a request and returns the answered status.
func (s *sender) deliver(ctx context.Context, request []byte) (int, error) {
	if s.conn == nil {
		conn, err := (&net.Dialer{Timeout: sendTimeout}).DialContext(ctx, "tcp", s.target.Address)
		if err != nil {
			return 0, err
		}
		s.conn, s.in = conn, bufio.NewReader(conn)
	}
	status, err := s.exchange(request)
	if err != nil {
		s.close()
	}
	return status, err
}

// sendTimeout is how long Stripe's side waits for an answer.
const sendTimeout = 20 * time.Second

func (s *sender) exchange(request []byte) (int, error) {
	if err := s.conn.SetDeadline(time.Now().Add(sendTimeout)); err != nil {
		return 0, err
	}
	if _, err := s.conn.Write(request); err != nil {
		return 0, err
	}
	return s.answer()
}

// answer reads a response whose body has a length.
func (s *sender) answer() (int, error) {
	line, err := s.in.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return 0, fmt.Errorf("no HTTP answer: %q", line)
	}
	status, err := strconv.Atoi(string(line[9:12]))
	if err != nil {
		return 0, fmt.Errorf("no HTTP status: %q", line)
	}
	length, closing := 0, false
	for {
		line, err := s.in.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		name, value, found := bytes.Cut(bytes.TrimRight(line, "\r\n"), []byte(":"))
		switch {
		case !found && len(name) == 0:
			if _, err := s.in.Discard(length); err != nil {
				return 0, err
			}
			if closing {
				s.close()
			}
			return status, nil
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return 0, fmt.Errorf("no length: %q", line)
			}
		case bytes.EqualFold(name, []byte("Connection")):
			closing = bytes.EqualFold(bytes.TrimSpace(value), []byte("close"))
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			return 0, fmt.Errorf("the answer has no length: %w", io.ErrUnexpectedEOF)
		}
	}
}

func (s *sender) close() {
	if s.conn != nil {
		s.conn.Close() //nolint:errcheck,gosec // a connection that is given up
		s.conn = nil
	}
}
