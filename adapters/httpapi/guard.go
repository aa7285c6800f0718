package httpapi

import (
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/liftbill/liftbill/domain/fault"
)

// CheckListenAddress refuses an address that other machines can reach. There is
// no access control yet, so whoever reaches the port can read and bill.
func CheckListenAddress(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fault.InvalidField("listen", "listen_malformed", "%q is not an address", addr).Fix("Write host:port, for example 127.0.0.1:8080")
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return fault.InvalidField("listen", "listen_malformed", "%q is not a port", port).Fix("Use a number from 0 to 65535; 0 takes a free one")
	}
	if loopback(host) {
		return nil
	}
	if host == "" {
		host = "every interface"
	}
	return fault.InvalidField("listen", "listen_not_loopback", "refusing to listen on %s: the API has no access control yet, so anyone who reaches the port could read and bill", host).
		Fix("Listen on 127.0.0.1:%s, and reach it from elsewhere through an SSH tunnel; let a proxy pass on POST %s* alone for Stripe", port, webhookPrefix)
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

// Guard protects a server without access control from the browser on the same
// machine: a page of another site can neither reach it under a name of its own
// (DNS rebinding) nor send it anything but GET. Stripe's webhooks never come here: they
// arrive through a proxy and prove themselves by their signature.
func Guard() echo.MiddlewareFunc {
	origins := http.NewCrossOriginProtection()
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r := c.Request()
			host := r.Host
			if h, _, err := net.SplitHostPort(host); err == nil {
				host = h
			}
			if !loopback(host) {
				return echo.NewHTTPError(http.StatusMisdirectedRequest)
			}
			if origins.Check(r) != nil {
				return fault.New(fault.Forbidden, "origin_refused", "a page of another origin sent this request").Fix("Send it from a page of this server or from a program")
			}
			return next(c)
		}
	}
}
