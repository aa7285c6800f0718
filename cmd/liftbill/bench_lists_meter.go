package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/liftbill/liftbill/adapters/system"
	"github.com/liftbill/liftbill/app/access"
	domain "github.com/liftbill/liftbill/domain/access"
	"github.com/liftbill/liftbill/domain/fault"
)

// listsMeter asks the program's own handlers as a person who is signed in.
type listsMeter struct {
	*benchDatabase
	f       listsFlags
	note    io.Writer
	app     *app
	e       *echo.Echo
	session string
	dir     string
	// log is where the server writes the plans; empty when nobody asks for them.
	log string
}

func newListsMeter(ctx context.Context, b *benchDatabase, f listsFlags, note io.Writer) (*listsMeter, error) {
	m := &listsMeter{benchDatabase: b, f: f, note: note}
	address := b.server.URL(benchDatabaseName)
	if f.explain {
		if f.url != "" {
			return nil, fault.InvalidField("explain", "explain_needs_own_server", "the plans are read from the log of a server of the benchmark's own").Fix("Leave --database-url out")
		}
		m.log = filepath.Join(b.server.Dir(), "postgres.log")
		u, err := url.Parse(address)
		if err != nil {
			return nil, err
		}
		q := u.Query()
		q.Set("options", "-c session_preload_libraries=auto_explain -c auto_explain.log_min_duration=0 -c auto_explain.log_analyze=on -c auto_explain.log_buffers=on -c auto_explain.log_parameter_max_length=200")
		u.RawQuery = strings.ReplaceAll(q.Encode(), "+", "%20") // libpq's form knows no plus
		address = u.String()
	}
	var err error
	if m.dir, err = os.MkdirTemp("", "liftbill-bench"); err != nil {
		return nil, err
	}
	clockFile := filepath.Join(m.dir, "clock")
	if err := system.WriteClockFile(clockFile, benchNow, false); err != nil {
		return nil, err
	}
	m.app, err = openApp(ctx, Config{
		DatabaseURL: address, EncryptionKey: base64.StdEncoding.EncodeToString(make([]byte, system.KeyBytes)), Listen: "127.0.0.1:8080",
		PublicURL: "http://127.0.0.1:8080", ClockFile: clockFile, APIRate: math.MaxInt32,
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	if m.e, err = m.app.handler(); err != nil {
		return nil, err
	}
	if _, err := m.app.figures().Refresh(ctx); err != nil { // as a worker would have
		return nil, err
	}
	return m, m.signIn(ctx)
}

func (m *listsMeter) close(ctx context.Context) {
	m.app.close(ctx)
	if err := os.RemoveAll(m.dir); err != nil {
		fmt.Fprintln(m.note, "liftbill:", err)
	}
}

// signIn opens a session of somebody who may see everything.
func (m *listsMeter) signIn(ctx context.Context) error {
	secret, err := domain.NewSecret(system.Entropy{}.Bytes(domain.SecretBytes))
	if err != nil {
		return err
	}
	m.session = secret.Reveal()
	name := fmt.Sprintf("bench_%x", secret.Hash())[:20] // an earlier run's is in a kept database
	return m.app.db.Access().Do(ctx, func(ctx context.Context, st access.Stores) error {
		user := domain.UserAccount{ID: "user_" + name, Email: name + "@example.com", Name: "Bench", Roles: domain.Roles{domain.Admin}, Scope: domain.Everything(), CreatedAt: benchNow}
		if err := st.Users.InsertUser(ctx, user); err != nil {
			return err
		}
		return st.Sessions.InsertSession(ctx, secret.Hash(), domain.NewSession(user.ID, "bench", false, benchNow))
	})
}

// ask makes one request and says how long its answer took.
func (m *listsMeter) ask(ctx context.Context, address string) ([]byte, time.Duration, error) {
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1:8080"+address, http.NoBody)
	r.Header.Set("Accept", "text/html")
	r.AddCookie(&http.Cookie{Name: access.SessionCookie(false), Value: m.session}) //nolint:gosec // a request to this process, not an answer to a browser
	w := httptest.NewRecorder()
	began := monotonic()
	m.e.ServeHTTP(w, r)
	took := monotonic() - began
	if w.Code != http.StatusOK {
		return nil, took, fmt.Errorf("GET %s answers %d: %.300s", address, w.Code, w.Body.String())
	}
	return w.Body.Bytes(), took, nil
}

// cases are all kinds of request of a route.
func (m *listsMeter) cases(ctx context.Context, doc apiDocument, route string) ([]listCase, error) {
	path, err := pathOf(route)
	if err != nil {
		return nil, err
	}
	rule, _ := domain.RuleOf(route)
	var out []listCase
	if rule.Page {
		body, _, askErr := m.ask(ctx, path)
		if askErr != nil {
			return nil, askErr
		}
		out, err = pageCases(route, path, string(body))
	} else {
		out, err = apiCases(doc, route, path)
	}
	if err != nil {
		return nil, err
	}
	deep, n := out[0].Address, 1
	for ; n < m.f.pages; n++ {
		body, _, err := m.ask(ctx, deep)
		if err != nil {
			return nil, err
		}
		next := nextOf(route, deep, body)
		if next == "" {
			break
		}
		deep = next
	}
	if n > 1 {
		out = slices.Insert(out, 1, listCase{route, fmt.Sprintf("%s (number %d)", deepPage, n), deep})
	}
	return out, nil
}

func (m *listsMeter) measure(ctx context.Context) (listsReport, error) {
	out := listsReport{Events: m.f.events, Accounts: m.f.accounts, Runs: m.f.runs}
	spec, _, err := m.ask(ctx, "/openapi.json")
	if err != nil {
		return out, err
	}
	var doc apiDocument
	if err := json.Unmarshal(spec, &doc); err != nil {
		return out, err
	}
	if err := m.conn.QueryRow(ctx, "SELECT pg_database_size(current_database())").Scan(&out.Bytes); err != nil {
		return out, err
	}
	if err := m.floors(ctx, &out); err != nil {
		return out, err
	}
	for _, route := range listRoutes(m.e) {
		if !strings.Contains(route, m.f.only) {
			continue
		}
		fmt.Fprintln(m.note, "\n"+route)
		cases, err := m.cases(ctx, doc, route)
		if err != nil {
			return out, err
		}
		for _, c := range cases {
			figures, err := m.time(ctx, c)
			if err != nil {
				return out, err
			}
			if figures.Slow {
				out.Slow++
			}
			fmt.Fprintln(m.note, figures.line())
			out.Figures = append(out.Figures, figures)
		}
	}
	return out, nil
}

// A request that takes muchTooSlow times the limit is asked no more than fewRuns times:
// its figures would not change what is said of it.
const (
	muchTooSlow = 5
	fewRuns     = 3
)

// time asks once to warm up, as often as is counted, and once more for the plan.
func (m *listsMeter) time(ctx context.Context, c listCase) (listFigures, error) {
	out := listFigures{Route: c.Route, What: c.What, Address: c.Address}
	var took []time.Duration
	for n := 0; n < m.f.runs+1; n++ {
		_, t, err := m.ask(ctx, c.Address)
		if err != nil {
			return out, err
		}
		took = append(took, t)
		if t > muchTooSlow*m.f.limit && n >= fewRuns {
			break
		}
	}
	out.P50, out.P95, out.P99 = quantiles(took[1:])
	out.Slow = time.Duration(out.P95) >= m.f.limit
	if m.log == "" {
		return out, nil
	}
	before, err := os.Stat(m.log)
	if err != nil {
		return out, err
	}
	if _, _, err := m.ask(ctx, c.Address); err != nil {
		return out, err
	}
	out.Plan, err = longestPlan(m.log, before.Size())
	return out, err
}

// quantiles are the nearest ranks.
func quantiles(took []time.Duration) (p50, p95, p99 int64) {
	slices.Sort(took)
	at := func(q float64) int64 { return int64(took[max(0, int(math.Ceil(q*float64(len(took))))-1)]) }
	return at(0.5), at(0.95), at(0.99)
}

// floors are what no list can be faster than.
func (m *listsMeter) floors(ctx context.Context, out *listsReport) error {
	var sql, page []time.Duration
	for range m.f.runs + 1 {
		began := monotonic()
		rows, err := m.conn.Query(ctx, "SELECT fact_key, kind, customer_id, amount_minor, effective_at FROM reward_events WHERE connection_id = $1 ORDER BY effective_at DESC, fact_key DESC LIMIT 100", listsAccount(0))
		if err != nil {
			return err
		}
		for rows.Next() {
			if _, err := rows.Values(); err != nil {
				return err
			}
		}
		if err := rows.Err(); err != nil {
			return err
		}
		sql = append(sql, monotonic()-began)
		_, t, err := m.ask(ctx, "/you")
		if err != nil {
			return err
		}
		page = append(page, t)
	}
	out.SQL, _, _ = quantiles(sql[1:])
	out.Page, _, _ = quantiles(page[1:])
	return nil
}

// longestPlan is the plan of the longest statement that the server has logged since.
func longestPlan(path string, from int64) (string, error) {
	raw, err := os.ReadFile(path) //nolint:gosec // the log of a server that the benchmark has started
	if err != nil {
		return "", err
	}
	best, longest := "", -1.0
	for _, entry := range strings.Split(string(raw[min(from, int64(len(raw))):]), "LOG:  duration: ")[1:] {
		var ms float64
		if _, err := fmt.Sscanf(entry, "%f ms", &ms); err == nil && ms > longest && strings.Contains(entry, "plan:") {
			best, longest = entry, ms
		}
	}
	return strings.TrimRight(best, "\n "), nil
}
