package main

import (
	"errors"
	"io"
	"log/slog"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/caarlos0/env/v11"

	"github.com/liftbill/liftbill/adapters/httpapi"
	"github.com/liftbill/liftbill/adapters/system"
	"github.com/liftbill/liftbill/app/accrual"
	"github.com/liftbill/liftbill/app/clock"
	"github.com/liftbill/liftbill/app/reconcile"
	domain "github.com/liftbill/liftbill/domain/access"
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
	// PublicURL is the address at which Stripe, and with TLS everybody, reaches this server; default is the listen address.
	PublicURL string `env:"LIFTBILL_PUBLIC_URL"`
	// TLSCert and TLSKey are files in PEM; with them this process speaks HTTPS.
	TLSCert string `env:"LIFTBILL_TLS_CERT"`
	TLSKey  string `env:"LIFTBILL_TLS_KEY"`
	// TLSProxy declares that a proxy in front terminates TLS and adds the client to X-Forwarded-For.
	TLSProxy bool `env:"LIFTBILL_TLS_PROXY"`
	// APIRate is the number of requests per second of one token or user; 0 is the default.
	APIRate int `env:"LIFTBILL_API_RATE"`
	// OIDCIssuer is the OpenID provider through which people may sign in; empty is none.
	OIDCIssuer string `env:"LIFTBILL_OIDC_ISSUER"`
	// OIDCClientID and OIDCClientSecret are this installation's at the provider.
	OIDCClientID     string `env:"LIFTBILL_OIDC_CLIENT_ID"`
	OIDCClientSecret string `env:"LIFTBILL_OIDC_CLIENT_SECRET"`
	// OIDCName is the provider's name on the sign-in page.
	OIDCName string `env:"LIFTBILL_OIDC_NAME" envDefault:"single sign-on"`
	// OIDCGroupsClaim is the claim that lists somebody's groups.
	OIDCGroupsClaim string `env:"LIFTBILL_OIDC_GROUPS_CLAIM" envDefault:"groups"`
	// OIDCRoles gives roles to groups, as group=role,group=role; empty leaves roles to the users' own rows.
	OIDCRoles string `env:"LIFTBILL_OIDC_ROLES"`
	// JournalAccounts names the accounts of the journals in your chart of accounts, as name=yours,name=yours.
	JournalAccounts string `env:"LIFTBILL_JOURNAL_ACCOUNTS"`
	// StripeAPIBase points at a stand-in of Stripe, on loopback only.
	StripeAPIBase string `env:"LIFTBILL_STRIPE_API_BASE"`
	// StripeRate is the number of requests per second of one connection; 0 is the default, -1 no limit (stand-ins only).
	StripeRate int `env:"LIFTBILL_STRIPE_RATE"`
	// ClockFile replaces the machine's clock, for demos and replays.
	ClockFile string `env:"LIFTBILL_CLOCK_FILE"`
	// TemporalUI is the base address of Temporal's web console, for links on the pages.
	TemporalUI string `env:"LIFTBILL_TEMPORAL_UI"`
	// NotifyURL takes signed notices of what waits for people; empty is none.
	NotifyURL string `env:"LIFTBILL_NOTIFY_URL"`
	// NotifySecret signs them.
	NotifySecret string `env:"LIFTBILL_NOTIFY_SECRET"`
	// SMTPURL is the mail server that carries notices, smtp:// or smtps://; empty is none.
	SMTPURL string `env:"LIFTBILL_SMTP_URL"`
	// SMTPFrom is the sender's address.
	SMTPFrom string `env:"LIFTBILL_SMTP_FROM"`
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
		if cfg.TLSCert != "" {
			cfg.PublicURL = "https://" + cfg.Listen
		}
	}
	return cfg, cfg.checkTLS()
}

// checkTLS refuses half a declaration, which would look like a whole one.
func (c Config) checkTLS() error {
	u, err := url.Parse(c.PublicURL)
	switch {
	case err != nil || u.Host == "":
		return fault.InvalidField("LIFTBILL_PUBLIC_URL", "public_url_malformed", "this is not an address").Fix("Write it as https://billing.example.com")
	case (c.TLSCert == "") != (c.TLSKey == ""):
		return fault.InvalidField("LIFTBILL_TLS_CERT", "tls_incomplete", "a certificate needs its key, and a key its certificate").Fix("Set LIFTBILL_TLS_CERT and LIFTBILL_TLS_KEY")
	case c.tls() && u.Scheme != "https":
		return fault.InvalidField("LIFTBILL_PUBLIC_URL", "public_url_without_tls", "TLS is set up, and the public address does not begin with https://").Fix("Set it to the address that browsers use")
	}
	return nil
}

// tls reports whether browsers reach this server over TLS.
func (c Config) tls() bool { return c.TLSProxy || c.TLSCert != "" }

// pagesURL is where browsers reach the pages. Without TLS that is this machine, though
// a proxy may pass Stripe's webhooks on from elsewhere.
func (c Config) pagesURL() string {
	if c.tls() {
		return c.PublicURL
	}
	return "http://" + c.Listen
}

// edge is how the HTTP server is reached.
func (c Config) edge() httpapi.Edge {
	e := httpapi.Edge{TLS: c.tls(), Proxied: c.TLSProxy, PerSecond: c.APIRate}
	if u, err := url.Parse(c.PublicURL); err == nil && c.tls() {
		e.Hosts = []string{u.Hostname()}
	}
	return e
}

// groupRoles reads which groups of the provider have which role.
func (c Config) groupRoles() (map[string]domain.Role, error) {
	if c.OIDCRoles == "" {
		return nil, nil
	}
	out := map[string]domain.Role{}
	for pair := range strings.SplitSeq(c.OIDCRoles, ",") {
		group, name, _ := strings.Cut(pair, "=")
		roles, err := domain.ParseRoles([]string{name})
		if err != nil || strings.TrimSpace(group) == "" || roles.Has(domain.Ingest) {
			return nil, fault.InvalidField("LIFTBILL_OIDC_ROLES", "oidc_roles_malformed", "%q gives no role to a group", pair).
				Fix("Write group=role,group=role with the roles viewer, finance, approver and admin")
		}
		out[strings.TrimSpace(group)] = roles[0]
	}
	return out, nil
}

// journalAccounts reads the vendor's names of the journals' accounts.
func (c Config) journalAccounts() (map[string]string, error) {
	known := []string{
		accrual.AccountAccrued, reconcile.AccountReceivable, reconcile.AccountUnbilled, reconcile.AccountPerformance, reconcile.AccountFixed, reconcile.AccountHeld,
	}
	out := map[string]string{}
	if c.JournalAccounts == "" {
		return out, nil
	}
	for pair := range strings.SplitSeq(c.JournalAccounts, ",") {
		name, own, _ := strings.Cut(pair, "=")
		name, own = strings.TrimSpace(name), strings.TrimSpace(own)
		if !slices.Contains(known, name) || own == "" || out[name] != "" {
			return nil, fault.InvalidField("LIFTBILL_JOURNAL_ACCOUNTS", "journal_accounts_malformed", "%q names no account of the journals, or one that was named already", pair).
				Fix("Write name=yours,name=yours with the names %s", strings.Join(known, ", "))
		}
		out[name] = own
	}
	return out, nil
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
