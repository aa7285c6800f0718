package httpapi

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/liftbill/liftbill/domain/fault"
)

// Edge says how this server is reached. The zero value is a server on loopback.
type Edge struct {
	// Hosts are the names beside loopback's under which it answers.
	Hosts []string
	// TLS: browsers reach it over TLS, which this process or a proxy terminates.
	TLS bool
	// Proxied: every request comes through one proxy, which adds the client's address
	// to X-Forwarded-For.
	Proxied bool
	// PerSecond bounds the requests of one token or user; 0 is the default.
	PerSecond int
}

// Exposure is what must hold before other machines may reach the server.
type Exposure struct {
	// TLS: passwords and tokens do not travel in the clear.
	TLS bool
	// Admin: somebody can administer it.
	Admin bool
}

// CheckListenAddress refuses an address that other machines can reach while tokens
// would travel in the clear, or while nobody could administer the server.
func CheckListenAddress(addr string, e Exposure) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fault.InvalidField("LIFTBILL_LISTEN", "listen_malformed", "%q is not an address", addr).Fix("Write host:port, for example 127.0.0.1:8080")
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return fault.InvalidField("LIFTBILL_LISTEN", "listen_malformed", "%q is not a port", port).Fix("Use a number from 0 to 65535; 0 takes a free one")
	}
	if loopback(host) {
		return nil
	}
	if host == "" {
		host = "every interface"
	}
	switch {
	case !e.TLS:
		return fault.InvalidField("LIFTBILL_LISTEN", "listen_without_tls", "refusing to listen on %s: passwords and tokens would travel in the clear", host).
			Fix("Set LIFTBILL_TLS_CERT and LIFTBILL_TLS_KEY, or LIFTBILL_TLS_PROXY=true when a proxy in front terminates TLS, or listen on 127.0.0.1:%s", port)
	case !e.Admin:
		return fault.InvalidField("LIFTBILL_LISTEN", "listen_without_admin", "refusing to listen on %s: there is no administrator yet", host).
			Fix("Make one first: liftbill admin create --email you@example.com --name 'Your Name'")
	}
	return nil
}

// loopback reports whether a host name can only mean this machine.
func loopback(host string) bool {
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// Guard keeps a page of another site from using the browser of somebody who is signed
// in, or who merely reaches this server: it cannot reach it under a name of its own
// (DNS rebinding) nor send it anything but GET. Stripe's webhooks never come here: they
// arrive through a proxy and prove themselves by their signature.
func Guard(edge Edge) echo.MiddlewareFunc {
	origins := http.NewCrossOriginProtection()
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r := c.Request()
			host := r.Host
			if h, _, err := net.SplitHostPort(host); err == nil {
				host = h
			}
			probe := len(edge.Hosts) > 0 && (r.URL.Path == "/healthz" || r.URL.Path == "/readyz") // asked by address, and telling nothing
			if !probe && !loopback(host) && !slices.ContainsFunc(edge.Hosts, func(h string) bool { return strings.EqualFold(h, host) }) {
				return echo.NewHTTPError(http.StatusMisdirectedRequest)
			}
			if origins.Check(r) != nil {
				return originRefused()
			}
			return next(c)
		}
	}
}

func originRefused() error {
	return fault.New(fault.Forbidden, "origin_refused", "a page of another origin sent this request").Fix("Send it from a page of this server or from a program")
}

// client is the address that a request comes from: the other end of the connection,
// or, behind a proxy, what the proxy itself added last.
func (e Edge) client(r *http.Request) string {
	if e.Proxied {
		hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		if last := strings.TrimSpace(hops[len(hops)-1]); last != "" {
			return last
		}
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
