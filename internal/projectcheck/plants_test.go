//go:build lint

package projectcheck_test

import (
	"fmt"
	"strings"
)

// plant is a file that breaks one rule, and what the linter must say of it.
type plant struct {
	file   string
	source string
	linter string
	wants  []string
}

// The modules that are imported where they must not be.
const (
	self      = "github.com/liftbill/liftbill/"
	decimal   = "github.com/shopspring/decimal"
	gorm      = "gorm.io/gorm"
	pgx       = "github.com/jackc/pgx/v5"
	stripe    = "github.com/stripe/stripe-go/v76"
	echo      = "github.com/labstack/echo/v4"
	temporal  = "go.temporal.io/sdk/client"
	testify   = "github.com/stretchr/testify/require"
	workflows = self + "workflows/"
)

// importPlants break every list of import rules; the denied entries of a list that
// allows the rest are planted one by one.
func importPlants() []plant {
	var out []plant
	add := func(rule, folder, file string, imports ...string) {
		p := plant{file: folder + "/" + file, linter: "depguard", source: "// Package planted breaks an import rule.\npackage planted\n\n"}
		for _, i := range imports {
			p.source += fmt.Sprintf("import _ %q\n", i)
			p.wants = append(p.wants, fmt.Sprintf("import '%s' is not allowed from list '%s'", i, rule))
		}
		out = append(out, p)
	}
	add("domain", "domain/zzplanted", "planted.go", "context", "database/sql", "net/http", "os", "log", "math/rand/v2", "crypto/rand", gorm, self+"app/clock", temporal)
	add("domain-slog", "domain/zzslog", "planted.go", "log/slog")
	add("domain-fault", "domain/fault/zzplanted", "planted.go", self+"domain/money", decimal)
	add("domain-money", "domain/money/zzplanted", "planted.go", self+"domain/account")
	add("domain-period", "domain/period/zzplanted", "planted.go", self+"domain/account")
	add("domain-account", "domain/account/zzplanted", "planted.go", self+"domain/money")
	add("domain-access", "domain/access/zzplanted", "planted.go", self+"domain/audit")
	add("domain-audit", "domain/audit/zzplanted", "planted.go", self+"domain/billing")
	add("domain-decision", "domain/decision/zzplanted", "planted.go", self+"domain/money")
	add("domain-ope", "domain/ope/zzplanted", "planted.go", decimal, self+"domain/fault")
	add("domain-reward", "domain/reward/zzplanted", "planted.go", self+"domain/lift")
	add("domain-source", "domain/source/zzplanted", "planted.go", self+"domain/account")
	add("domain-mapping", "domain/mapping/zzplanted", "planted.go", self+"domain/reward", decimal)
	add("domain-notice", "domain/notice/zzplanted", "planted.go", self+"domain/lift", decimal)
	add("domain-recon", "domain/recon/zzplanted", "planted.go", self+"domain/lift", decimal)
	add("domain-projection", "domain/projection/zzplanted", "planted.go", self+"domain/lift", decimal)
	add("domain-lift", "domain/lift/zzplanted", "planted.go", self+"domain/billing")
	add("domain-billing", "domain/billing/zzplanted", "planted.go", self+"domain/reward")

	add("app", "app/zzplanted", "planted.go", "database/sql", "net/http", "os", "crypto/rand", "math/rand/v2", gorm, echo, stripe, temporal, self+"adapters/system")
	add("app-audit", "app/audit/zzplanted", "planted.go", self+"app/access", self+"app/clock")
	add("app-ports", "app/clock/zzplanted", "planted.go", self+"app/uow")
	add("app-ports", "app/uow/zzplanted", "planted.go", self+"app/clock")
	add("app-ports", "app/secret/zzplanted", "planted.go", self+"app/clock")
	for use, other := range map[string]string{
		"decisions": "ingest", "ingest": "measure", "invoicing": "measure", "measure": "invoicing", "onboard": "ingest", "reconcile": "invoicing", "sourcesync": "ingest", "whatif": "invoicing", "access": "onboard", "idempotency": "access", "mapping": "ingest", "operate": "ingest", "replay": "measure", "golive": "onboard", "preview": "measure", "accrual": "preview", "customers": "reconcile", "trueups": "measure", "notify": "invoicing", "figures": "mapping",
	} {
		add("app-"+use, "app/"+use+"/zzplanted", "planted.go", self+"app/"+other)
	}

	add("workflow-definitions", "workflows/zzdefinition", "workflow.go", "net/http", "os", "log/slog", "math/rand/v2", "crypto/rand", temporal, self+"app/clock", workflows+"wferr")
	add("workflow-activities", "workflows/zzactivities", "activities.go", self+"adapters/system", gorm, workflows+"billingtick")
	add("workflow-activities", "workflows/zzactivities", "worker.go", self+"adapters/system")
	add("workflow-heartbeat", "workflows/heartbeat/zzplanted", "planted.go", self+"app/clock", "go.temporal.io/sdk/workflow")
	add("workflow-errors", "workflows/wferr/zzplanted", "planted.go", self+"app/clock", temporal)
	add("workflow-wire", "workflows/wire/zzplanted", "planted.go", "go.temporal.io/sdk/workflow", self+"app/clock")

	siblings := func(rule, folder string, imports ...string) { add(rule, folder+"/zzplanted", "planted.go", imports...) }
	siblings("postgres", "adapters/postgres", self+"adapters/system", stripe)
	siblings("postgrestest", "adapters/postgres/postgrestest", self+"adapters/system")
	siblings("stripeapi", "adapters/stripeapi", self+"adapters/system", workflows+"wire")
	siblings("stripefake", "adapters/stripeapi/stripefake", self+"domain/money", stripe, decimal)
	siblings("httpapi", "adapters/httpapi", self+"adapters/postgres", self+"adapters/webui")
	siblings("webui", "adapters/webui", self+"adapters/httpapi")
	siblings("notifyhttp", "adapters/notifyhttp", self+"adapters/notifymail", echo)
	siblings("notifymail", "adapters/notifymail", self+"adapters/notifyhttp", echo)
	siblings("oidc", "adapters/oidc", self+"adapters/system", echo)
	siblings("scheduler", "adapters/scheduler", workflows+"billingcycle", self+"adapters/system")
	siblings("apiclient", "adapters/apiclient", self+"adapters/httpapi", self+"domain/billing")
	siblings("metrics", "adapters/metrics", self+"adapters/postgres", echo)
	siblings("decisionlog", "adapters/decisionlog", self+"adapters/system")
	siblings("tabular", "adapters/tabular", self+"adapters/system", pgx)
	siblings("simulator", "adapters/simulator", self+"app/clock", self+"adapters/system")
	siblings("localstack", "adapters/localstack", self+"domain/fault", self+"adapters/system")
	siblings("system", "adapters/system", pgx, self+"adapters/localstack")
	siblings("httpclient", "internal/httpclient", self+"domain/fault", self+"adapters/system")
	siblings("assembly", "internal/assembly", self+"adapters/stripeapi", pgx)
	siblings("campaign", "internal/campaign", self+"adapters/postgres", self+"app/measure", pgx)
	siblings("campaign-audit", "internal/campaign/audit", self+"domain/billing", self+"app/invoicing")
	siblings("campaign-pgledger", "internal/campaign/pgledger", self+"adapters/stripeapi", self+"app/measure")

	siblings("webhookload", "internal/webhookload", self+"adapters/httpapi", self+"app/ingest", temporal)
	siblings("mutants", "internal/mutants", self+"domain/reward", self+"adapters/postgres")

	anywhere := func(rule string, imports ...string) { add(rule, "internal/zz"+rule, "planted.go", imports...) }
	anywhere("gorm-only-in-postgres", gorm, "gorm.io/driver/postgres")
	anywhere("sql-only-in-postgres", pgx)
	anywhere("stripe-only-in-stripeapi", stripe)
	anywhere("echo-only-in-http", echo)
	anywhere("oidc-only-in-oidc", "github.com/coreos/go-oidc/v3/oidc", "golang.org/x/oauth2")
	anywhere("temporal-only-in-workflows", temporal)
	anywhere("mail-only-in-notifymail", "github.com/wneessen/go-mail")
	anywhere("prometheus-only-in-metrics", "github.com/prometheus/client_golang/prometheus")
	anywhere("test-libraries", "testing", testify, "pgregory.net/rapid", "github.com/google/go-cmp/cmp", self+"internal/pipelinetest")
	anywhere("sharedpg-only-in-tests", self+"adapters/localstack/sharedpg")
	anywhere("stripefake-only-in-tests", self+"adapters/stripeapi/stripefake")
	// A production adapter is no exception from the rules for tests.
	add("sharedpg-only-in-tests", "adapters/postgres/zzshared", "planted.go", self+"adapters/localstack/sharedpg")
	return out
}

// calls is a package whose functions hold the forbidden calls.
const calls = `// Package zzcalls makes forbidden calls.
package zzcalls

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stripe/stripe-go/v76"
	"gorm.io/gorm"
)

// Calls is never called.
func Calls(t *testing.T, db *gorm.DB) {
	began := time.Now()
	_, _ = time.Since(began), time.Until(began)
	time.Sleep(time.Second)
	<-time.After(time.Second)
	_ = time.Tick(time.Second)
	_ = decimal.NewFromFloat(1)
	_ = decimal.NewFromFloatWithExponent(1, 1)
	assert.True(t, true)
	db.Save(nil)
	_ = db.AutoMigrate()
	slog.SetDefault(slog.Default())
	_, _ = context.Background(), context.TODO()
	stripe.Key = ""
	stripe.SetHTTPClient(http.DefaultClient)
	fmt.Println()
	t.SkipNow()
}
`

// testCalls holds the calls that tests may not make either.
const testCalls = `package zzcalls_test

import (
	"net/http"
	"testing"
)

func TestPlanted(*testing.T) {
	_, _ = http.DefaultClient, http.DefaultTransport
	_, _ = http.Get("")
	_, _ = http.Head("")
	_, _ = http.Post("", "", nil)
	_, _ = http.PostForm("", nil)
}
`

// mistakes is a package with one mistake for every other linter.
const mistakes = `package zzmistakes

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"

	"github.com/liftbill/liftbill/domain/account"
)

var errPlanted = errors.New("planted")

func Undocumented(env account.Environment, log *slog.Logger, name string) int {
	os.Remove(name)
	if errors.New(name) == errPlanted {
		fmt.Fprintf(os.Stderr, "%d", name)
	}
	switch env {
	case account.Live:
	}
	log.Info(name, "key", "value")
	n := 1
	n = rand.IntN(10) //nolint:gosec
	n = rand.IntN(20)
	if len(name) < 0 {
		n++
	}
	return n + scale(n, 3) + scale(n+1, 3) + scale(n+2, 3)
}

func scale(n, factor int) int {
	for i := range n {
		n += i
	}
	return n
}

func nobody() {}
`

const testMistakes = `package zzmistakes

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPlanted(t *testing.T) {
	require.Equal(t, true, len(t.Name()) == 1)
}
`

// callPlants break the forbidden calls and every other linter.
func callPlants() []plant {
	const call, file, test = "internal/zzcalls/calls.go", "internal/zzmistakes/mistakes.go", "internal/zzmistakes/mistakes_test.go"
	out := []plant{
		{file: call, source: calls, linter: "forbidigo", wants: []string{
			"`time.Now` forbidden because \"take the time as an argument, app/clock, or workflow.Now\"",
			"`time.Since`", "`time.Until`", "`time.Sleep`", "`time.After`", "`time.Tick`",
			"`decimal.NewFromFloat` forbidden because \"money comes from strings, integers or decimals\"", "`decimal.NewFromFloatWithExponent`",
			"`assert.True` forbidden because \"use require: a test stops at its first wrong fact\"",
			"`db.Save` forbidden because \"write named columns; the schema is migrations/\"", "`db.AutoMigrate`",
			"`slog.Default` forbidden because \"take a *slog.Logger\"", "`slog.SetDefault`",
			"`context.Background` forbidden because \"propagate the caller's context\"", "`context.TODO`",
			"`stripe.Key` forbidden because \"one client per connection; the package-level key would cross accounts and modes\"", "`stripe.SetHTTPClient`",
			"`http.DefaultClient` forbidden because \"use a client of your own: internal/httpclient, or that of the test server\"",
			"`fmt.Println` forbidden because \"write to the command's own output\"",
			"`t.SkipNow` forbidden because \"a test fails when it lacks something; it does not skip\"",
		}},
		{file: strings.Replace(call, ".go", "_test.go", 1), source: testCalls, linter: "forbidigo", wants: []string{
			"`http.DefaultClient`", "`http.DefaultTransport`", "`http.Get`", "`http.Head`", "`http.Post`", "`http.PostForm`",
		}},
	}
	for linter, want := range map[string]string{
		"errcheck": "os.Remove", "errorlint": "comparing with ==", "exhaustive": "missing cases", "gosec": "G404", "govet": "Fprintf format",
		"ineffassign": "ineffectual assignment", "nolintlint": "should provide explanation", "revive": "exported function Undocumented",
		"sloglint": "InfoContext should be used instead", "staticcheck": "SA4024", "unparam": "factor", "unused": "nobody is unused",
	} {
		out = append(out, plant{file: file, source: mistakes, linter: linter, wants: []string{want}})
	}
	return append(out,
		plant{file: file, source: mistakes, linter: "revive", wants: []string{"should have a package comment"}},
		plant{file: file, source: mistakes, linter: "sloglint", wants: []string{"message should be a string literal", "key-value pairs should not be used"}},
		plant{file: test, source: testMistakes, linter: "testifylint", wants: []string{"bool-compare"}},
	)
}

// replaySource registers workflows that a replay would see differently, and one that
// only formats, which must pass.
const replaySource = `// Package zzreplay breaks determinism.
package zzreplay

import (
	"fmt"
	"math/rand"
	"time"

	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// Register registers them.
func Register(r worker.Registry) {
	r.RegisterWorkflowWithOptions(OverAMap, workflow.RegisterOptions{Name: "OverAMap"})
	r.RegisterWorkflow(Clock)
	r.RegisterWorkflow(Random)
	r.RegisterWorkflow(Goroutine)
	r.RegisterWorkflow(Formatted)
}

// OverAMap visits in another order each time.
func OverAMap(_ workflow.Context, in map[string]int) (string, error) {
	first := ""
	for k := range in {
		first += k
	}
	return first, nil
}

func helper() time.Time { return time.Now() }

// Clock reads the machine's clock through a helper.
func Clock(workflow.Context) (string, error) { return helper().String(), nil }

// Random draws.
func Random(workflow.Context) (int, error) { return rand.Int(), nil }

// Goroutine starts what the replay does not schedule.
func Goroutine(workflow.Context) error {
	go func() {}()
	return nil
}

// Formatted only formats.
func Formatted(_ workflow.Context, n int) (string, error) { return fmt.Sprintf("%d", n), nil }
`
