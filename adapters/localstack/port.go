package localstack

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
)

// loopback is the only address anything here listens on.
const loopback = "127.0.0.1"

// FreePort returns a TCP port of the loopback address that nobody listens on.
func FreePort() (int, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(loopback, "0"))
	if err != nil {
		return 0, fmt.Errorf("find a free port on %s: %w", loopback, err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// PortFree reports, in one line that names the port and the remedy, when
// nothing more can listen on addr (host:port).
func PortFree(addr string) error {
	l, err := net.Listen("tcp", addr)
	if err == nil {
		return l.Close()
	}
	_, port, splitErr := net.SplitHostPort(addr)
	switch {
	case splitErr != nil:
		return fmt.Errorf("%q is no host:port: %w", addr, splitErr)
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("port %s is taken (%s): stop the program that uses it, or choose another port", port, addr)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("port %s may not be opened by this user (%s): choose a port above 1023", port, addr)
	default:
		return fmt.Errorf("port %s can't be opened (%s): %w", port, addr, err)
	}
}

// pickPort returns the wanted port after checking it, or a free one for 0.
func pickPort(wanted int) (int, error) {
	if wanted == 0 {
		return FreePort()
	}
	return wanted, PortFree(net.JoinHostPort(loopback, strconv.Itoa(wanted)))
}
