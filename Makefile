# Everything a contributor or a pipeline needs, by name. `make help` lists it.
#
# Nothing has to be prepared by hand: Go and make are enough. Tools are built at a
# pinned version, once, into .cache/tools.

SHELL         := /bin/sh
.DEFAULT_GOAL := help
MAKEFLAGS     += --no-print-directory

# Flags of the demo, for instance: make demo DEMO_FLAGS='--once --json'
DEMO_FLAGS ?=
# Where shared test vectors lie, for `make cases`.
CASES ?= ../shared/cases
# Schedules of `make campaign`, and more of its flags.
N ?= 30000
CAMPAIGN_FLAGS ?=
# Time per fuzz target, and which of them, for `make fuzz`.
FUZZTIME ?= 10m
FUZZ ?= .
# How long `make kill` kills, and the seed of `make kill` and `make campaign`.
SECONDS ?= 60
SEED    ?=
# Extra flags of `go test`, for instance: make test TEST_FLAGS='-run TestMRR -v'
TEST_FLAGS ?=

GOLANGCI_VERSION      := v2.15.0
WORKFLOWCHECK_VERSION := v0.6.0

# Go is also found where its usual installer puts it without changing PATH.
ifeq ($(shell command -v go 2>/dev/null),)
ifneq ($(wildcard /usr/local/go/bin/go),)
export PATH := $(PATH):/usr/local/go/bin
endif
endif

# Service accounts and bare containers have no home folder, and Go needs a place for
# its caches: they get one below .cache.
ifneq ($(shell test -n "$$HOME" -a -d "$$HOME" -a -w "$$HOME" && echo yes),yes)
export HOME := $(CURDIR)/.cache/home
$(shell mkdir -p "$(CURDIR)/.cache/home")
endif

# The revision is stamped into the binary when git can tell it (not in an unpacked
# archive, nor in a checkout that belongs to another user).
ifneq ($(shell git rev-parse --verify HEAD >/dev/null 2>&1 && git status --porcelain >/dev/null 2>&1 && echo yes),yes)
export GOFLAGS := $(GOFLAGS) -buildvcs=false
endif

GO_VERSION    := $(shell go env GOVERSION 2>/dev/null)
TOOLS         := $(CURDIR)/.cache/tools
GOLANGCI      := $(TOOLS)/golangci-lint-$(GOLANGCI_VERSION)-$(GO_VERSION)
WORKFLOWCHECK := $(TOOLS)/workflowcheck-$(WORKFLOWCHECK_VERSION)-$(GO_VERSION)

export GOLANGCI_LINT_CACHE := $(CURDIR)/.cache/golangci-lint

.PHONY: help
help: ## Show this list
	@awk 'BEGIN { FS = ":.*## " } /^[a-z][a-z0-9-]*:.*## / { printf "  %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

## --- run -----------------------------------------------------------------------

.PHONY: build
build: go ## Build bin/liftbill and bin/stripefake
	@mkdir -p bin
	go build -o bin/ ./cmd/liftbill ./cmd/stripefake

.PHONY: demo
demo: go ## Run a month of a SaaS business to its invoice and leave the pages up (DEMO_FLAGS='--once --json')
	@mkdir -p bin
	@echo "building bin/liftbill and bin/stripefake (the first build takes a minute or two)" >&2
	@go build -o bin/ ./cmd/liftbill ./cmd/stripefake
	@exec bin/liftbill demo $(DEMO_FLAGS)

## --- test ----------------------------------------------------------------------

.PHONY: test
test: go ## Run the tests; they start the PostgreSQL and the Stripe stand-in that they need
	go test $(TEST_FLAGS) ./...

.PHONY: test-race
test-race: go cc ## Under the race detector: the packages where things run at the same time (RACE=./... for all)
	go test -race -timeout 20m $(TEST_FLAGS) $(or $(RACE),$$(scripts/concurrent-packages.sh))

.PHONY: test-e2e
test-e2e: build ## The tests that need the real Temporal server, a browser or the whole demo
	scripts/test-tagged.sh e2e -count=1 -timeout 25m -p 1 $(TEST_FLAGS)
	cd cmd/temporaldev && go vet ./... && go test ./...

.PHONY: arm64
arm64: go ## Compare bits with arm64, emulated by qemu-user (CASES adds the golden case when the folder is there)
	LIFTBILL_CASES="$(wildcard $(abspath $(CASES)))" scripts/arm64.sh

.PHONY: fuzz
fuzz: go ## Fuzz every target for FUZZTIME each (10m); FUZZ=regex chooses some
	FUZZTIME="$(FUZZTIME)" scripts/fuzz.sh "$(FUZZ)"

.PHONY: kill
kill: go ## Kill API, worker and PostgreSQL at random under load; nothing answered may be lost (SECONDS=60, SEED=n)
	scripts/kill.sh "$(SECONDS)" $(SEED)

.PHONY: mutants-ingest
mutants-ingest: go ## Take every protection of docs/stripe-bugs.md out once and see its test fail; rewrites the page's table
	go run ./cmd/mutants --page docs/stripe-bugs.md

.PHONY: simulate
simulate: go ## Count in simulated worlds how often estimate and bill are wrong; rewrites docs/validation.md
	go run ./cmd/liftbill simulate --out docs/validation.md

.PHONY: campaign
campaign: go ## Fault campaign of the write-back with its mutants (SEED=1 N=30000 CAMPAIGN_FLAGS=...)
	go run ./cmd/campaign --seed $(or $(SEED),1) --n $(N) $(CAMPAIGN_FLAGS)

.PHONY: cases
cases: go ## Check the shared test vectors (CASES=folder)
	@test -d "$(CASES)" || { echo "cases: there is no folder $(CASES); name it with CASES=..." >&2; exit 1; }
	LIFTBILL_CASES="$(abspath $(CASES))" scripts/test-tagged.sh cases -count=1 $(TEST_FLAGS)

## --- check ---------------------------------------------------------------------

.PHONY: fmt
fmt: go ## Format all Go files
	gofmt -s -w adapters app cmd domain internal migrations workflows

.PHONY: fmt-check
fmt-check: go ## Fail when a Go file is not formatted
	@files=$$(gofmt -s -l adapters app cmd domain internal migrations workflows); \
	test -z "$$files" || { echo "not formatted (run: make fmt):" >&2; echo "$$files" >&2; exit 1; }

.PHONY: vet
vet: go ## Run go vet, with every build tag
	go vet ./...
	go vet -tags e2e,cases,lint ./...

.PHONY: lint
lint: go $(GOLANGCI) $(WORKFLOWCHECK) ## Import rules, forbidden calls, common mistakes, workflow determinism
	$(GOLANGCI) run ./...
	$(WORKFLOWCHECK) -show-pos -config workflowcheck.config.yaml ./workflows/...

.PHONY: lint-selftest
lint-selftest: go $(GOLANGCI) $(WORKFLOWCHECK) ## Plant one violation per rule in a copy of the tree and see each one reported
	LIFTBILL_GOLANGCI="$(GOLANGCI)" LIFTBILL_WORKFLOWCHECK="$(WORKFLOWCHECK)" \
		go test -tags lint -count=1 -run '^TestEveryRuleFires$$' ./internal/projectcheck

.PHONY: generate
generate: go ## Regenerate generated code (needs network on the first run)
	go generate ./...

.PHONY: verify
verify: go ## Regenerate and fail when the result differs from what is committed
	scripts/verify-generated.sh

.PHONY: check
check: fmt-check vet lint lint-selftest verify test ## What must pass before a change goes in

.PHONY: clean
clean: ## Remove binaries, the demo's data and built tools
	@chmod -R u+w .cache 2>/dev/null || true
	rm -rf bin var .cache coverage

## --- parts ---------------------------------------------------------------------

.PHONY: go
go:
	@command -v go >/dev/null 2>&1 || { echo "liftbill: there is no Go on this machine; install Go 1.26 or newer from https://go.dev/dl" >&2; exit 3; }

.PHONY: cc
cc:
	@test "$$(go env CGO_ENABLED)" = 1 && command -v "$$(go env CC)" >/dev/null 2>&1 || \
		{ echo "liftbill: the race detector needs a C compiler; on Debian: apt-get install gcc libc6-dev" >&2; exit 3; }

# Tools are named after their version and that of Go, so that a new one is built when
# either changes. GOFLAGS of the caller must not reach another module.
$(GOLANGCI): | go
	@echo "building golangci-lint $(GOLANGCI_VERSION), once (about 2 minutes)" >&2
	@mkdir -p $(TOOLS)/new
	GOFLAGS=-buildvcs=false GOBIN=$(TOOLS)/new go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	@mv $(TOOLS)/new/golangci-lint $@

$(WORKFLOWCHECK): | go
	@echo "building workflowcheck $(WORKFLOWCHECK_VERSION), once" >&2
	@mkdir -p $(TOOLS)/new
	GOFLAGS=-buildvcs=false GOBIN=$(TOOLS)/new go install go.temporal.io/sdk/contrib/tools/workflowcheck@$(WORKFLOWCHECK_VERSION)
	@mv $(TOOLS)/new/workflowcheck $@
