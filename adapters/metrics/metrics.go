// Package metrics shows the figures of the ingest to Prometheus. It is the only package
// that knows Prometheus's client.
//
// Figures are read when they are asked for, from the same use case as the API's; nothing
// is counted twice, and a process that was just started shows the truth at once. Labels
// name connections, environments and states, never a person.
package metrics

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/liftbill/liftbill/app/access"
	"github.com/liftbill/liftbill/app/operate"
	domain "github.com/liftbill/liftbill/domain/access"
)

// Figures read how the events of all connections flow; *operate.Service does.
type Figures interface {
	Health(ctx context.Context, scope domain.Scope, connectionID string) ([]operate.Health, error)
}

// scrapeTimeout bounds the reading of the figures. Prometheus waits ten seconds by default.
const scrapeTimeout = 8 * time.Second

// Handler answers with the figures of what lies in the caller's scope, in Prometheus's text
// format. When the figures cannot be
// read, those of the process still are, and liftbill_ingest_figures is 0.
func Handler(figures Figures, log *slog.Logger) http.Handler {
	process := prometheus.NewRegistry()
	process.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), scrapeTimeout)
		defer cancel()
		ingest := prometheus.NewRegistry()
		ingest.MustRegister(&collector{ctx: ctx, figures: figures, log: log})
		promhttp.HandlerFor(prometheus.Gatherers{process, ingest}, promhttp.HandlerOpts{}).ServeHTTP(w, r)
	})
}

func gauge(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("liftbill_"+name, help, append([]string{"connection", "environment"}, labels...), nil)
}

var (
	up         = prometheus.NewDesc("liftbill_ingest_figures", "Whether the figures of the ingest could be read.", nil, nil)
	waiting    = gauge("ingest_waiting_events", "Stored events that are pending, quarantined or dead.", "status")
	classified = gauge("ingest_classified_last_hour", "Events that were classified within the last hour.", "status")
	lag        = gauge("ingest_lag_seconds", "From receipt to classification, of the events that were classified within the last hour.", "quantile")
	oldest     = gauge("ingest_oldest_pending_seconds", "How long the oldest event has been waiting for the classifier; 0 when none waits.")
	lastEvent  = gauge("ingest_last_event_timestamp_seconds", "Stripe's time of the newest stored event.")
	reads      = gauge("ingest_open_reads", "Objects that wait to be read at Stripe.")
	paused     = gauge("connection_paused", "1 for a connection that is paused, with the reason where it is not a person's words.", "reason")
	endpoint   = gauge("webhook_endpoint_enabled", "1 for an endpoint that Stripe delivers to, 0 for one that is disabled or gone.")
)

// collector reads the figures once, for one scrape, whose context it carries because
// Prometheus's interface has no room for it.
type collector struct {
	ctx     context.Context
	figures Figures
	log     *slog.Logger
}

// Describe names everything that Collect may send.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{up, waiting, classified, lag, oldest, lastEvent, reads, paused, endpoint} {
		ch <- d
	}
}

// Collect reads the figures.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	all, err := c.figures.Health(c.ctx, access.From(c.ctx).Scope, "")
	if err != nil {
		c.log.LogAttrs(c.ctx, slog.LevelError, "figures not read", slog.Any("error", err))
		ch <- prometheus.MustNewConstMetric(up, prometheus.GaugeValue, 0)
		return
	}
	ch <- prometheus.MustNewConstMetric(up, prometheus.GaugeValue, 1)
	for _, h := range all {
		send := func(d *prometheus.Desc, v float64, labels ...string) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, append([]string{h.ConnectionID, h.Environment.String()}, labels...)...)
		}
		collect(h, send)
	}
}

func collect(h operate.Health, send func(d *prometheus.Desc, v float64, labels ...string)) {
	for _, status := range []string{"pending", "quarantined", "dead"} {
		send(waiting, float64(h.Waiting[status]), status)
	}
	for _, status := range []string{"processed", "ignored", "quarantined", "dead"} {
		send(classified, float64(h.LastHour[status]), status)
	}
	if h.LagP50 != nil && h.LagP95 != nil { // nothing classified is not a lag of 0
		send(lag, h.LagP50.Seconds(), "0.5")
		send(lag, h.LagP95.Seconds(), "0.95")
	}
	var waits time.Duration
	if h.Waits != nil {
		waits = *h.Waits
	}
	send(oldest, waits.Seconds())
	if h.LastEvent != nil {
		send(lastEvent, float64(h.LastEvent.Unix()))
	}
	send(reads, float64(h.OpenReads))
	send(paused, flag(h.Paused), reasonOf(h))
	switch h.Endpoint {
	case "enabled":
		send(endpoint, 1)
	case "disabled", "missing":
		send(endpoint, 0)
	}
}

// reasonOf leaves a person's words out: they may name anybody.
func reasonOf(h operate.Health) string {
	switch {
	case !h.Paused:
		return ""
	case h.PausedReason == "key_revoked", h.PausedReason == "disconnected":
		return h.PausedReason
	}
	return "by_person"
}

func flag(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
