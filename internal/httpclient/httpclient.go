// Package httpclient makes HTTP clients with connections of their own. The default
// transport belongs to everybody in the process, and whoever closes its idle connections,
// as every test server does when it closes, can take an answer away that is on its way to
// somebody else (https://pkg.go.dev/net/http/httptest#Server.Close closes them;
// net/http/transport.go pools a connection before it hands over an answer without a body).
package httpclient

import (
	"net"
	"net/http"
	"time"
)

// New is a client that nobody else shares, with the settings of the default transport:
// proxies as the environment names them, HTTP/2 where the other side speaks it. The timeout
// is that of a whole request with its answer; zero is none.
func New(timeout time.Duration) *http.Client {
	return &http.Client{Timeout: timeout, Transport: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConns:          100,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
	}}
}
