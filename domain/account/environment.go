// Package account holds the vendor's customers and their Stripe connections.
//
// It owns identity, environment and key rules: what a key of which prefix may be
// used for, and the proof of live mode without which nothing can be written to
// Stripe. It does not own contracts, money or events.
package account

import (
	"github.com/liftbill/liftbill/domain/fault"
)

// Environment separates live from test. Every row belongs to one; nothing crosses.
type Environment string

// The two environments.
const (
	Live Environment = "live"
	Test Environment = "test"
)

// ParseEnvironment accepts "live" and "test".
func ParseEnvironment(s string) (Environment, error) {
	switch e := Environment(s); e {
	case Live, Test:
		return e, nil
	default:
		return "", fault.InvalidField("environment", "environment_unknown", "%q is not an environment", s).Fix(`Use "live" or "test"`)
	}
}

// Livemode is Stripe's name for the environment.
func (e Environment) Livemode() bool { return e == Live }

// EnvironmentOf maps Stripe's livemode flag.
func EnvironmentOf(livemode bool) Environment {
	if livemode {
		return Live
	}
	return Test
}

// String returns "live" or "test".
func (e Environment) String() string { return string(e) }
