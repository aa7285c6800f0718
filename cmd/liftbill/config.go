package main

import (
	"errors"
	"io"
	"log/slog"
	"reflect"
	"strings"

	"github.com/caarlos0/env/v11"

	"github.com/liftbill/liftbill/adapters/system"
	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/domain/fault"
)

// Config is everything that a process reads from its environment. Every field but
// the database and the encryption key has a working zero value.
type Config struct {
	// DatabaseURL of PostgreSQL 15 or newer.
	DatabaseURL string `env:"DATABASE_URL"`
	// EncryptionKey seals Stripe keys, webhook secrets and raw bodies: 32 bytes in base64.
	EncryptionKey string `env:"LIFTBILL_ENCRYPTION_KEY"`
	// Listen is the address of API and pages.
	Listen string `env:"LIFTBILL_LISTEN" envDefault:"127.0.0.1:8080"`
	// PublicURL is the address at which Stripe reaches this API; default is the listen address.
	PublicURL string `env:"LIFTBILL_PUBLIC_URL"`
	// StripeAPIBase points at a stand-in of Stripe, on loopback only.
	StripeAPIBase string `env:"LIFTBILL_STRIPE_API_BASE"`
	// StripeRate is the number of requests per second of one connection; 0 is the default, -1 no limit (stand-ins only).
	StripeRate int `env:"LIFTBILL_STRIPE_RATE"`
	// ClockFile replaces the machine's clock, for demos and replays.
	ClockFile string `env:"LIFTBILL_CLOCK_FILE"`
	// TemporalUI is the base address of Temporal's web console, for links on the pages.
	TemporalUI string `env:"LIFTBILL_TEMPORAL_UI"`
	// StripeLive lets this worker poll the queue that writes to Stripe; off it computes and shows only.
	StripeLive bool `env:"LIFTBILL_STRIPE_LIVE" envDefault:"true"`
	// LogLevel is debug, info, warn or error.
	LogLevel string `env:"LIFTBILL_LOG_LEVEL" envDefault:"info"`
}

// loadConfig reads the environment; Temporal's own variables (TEMPORAL_ADDRESS,
// TEMPORAL_NAMESPACE, TEMPORAL_API_KEY, TEMPORAL_TLS_…) are read by its SDK.
func loadConfig() (Config, error) {
	cfg, err := env.ParseAs[Config]()
	if err != nil {
		return cfg, configError(err)
	}
	if cfg.PublicURL == "" {
		cfg.PublicURL = "http://" + cfg.Listen
	}
	return cfg, nil
}

// configError names the environment variable whose text cannot be read.
func configError(err error) error {
	var parse env.ParseError
	if errors.As(err, &parse) {
		if f, ok := reflect.TypeFor[Config]().FieldByName(parse.Name); ok {
			return fault.InvalidField(f.Tag.Get("env"), "config_malformed", "the value is not of type %s", f.Type)
		}
	}
	return fault.New(fault.Invalid, "config_malformed", "the environment cannot be read")
}

func (c Config) clock() (clock.Clock, error) {
	if c.ClockFile == "" {
		return system.Clock{}, nil
	}
	return system.OpenFileClock(c.ClockFile)
}

func (c Config) box() (*system.SecretBox, error) {
	if c.EncryptionKey == "" {
		return nil, fault.InvalidField("LIFTBILL_ENCRYPTION_KEY", "encryption_key_missing", "an encryption key is required").
			Fix("Make one with: openssl rand -base64 32, and keep it: nothing that it sealed can be read without it")
	}
	key, err := system.ParseKey(strings.TrimSpace(c.EncryptionKey))
	if err != nil {
		return nil, err
	}
	return system.NewSecretBox(key)
}

func (c Config) logger(w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		return nil, fault.InvalidField("LIFTBILL_LOG_LEVEL", "log_level_unknown", "%q is not a log level", c.LogLevel).Fix("Use debug, info, warn or error")
	}
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level})), nil
}
