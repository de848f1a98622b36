# Needs Go, git, make, bash and a C compiler (for the race detector), and for the integration
# tests Node.js with npm. Every other tool is pinned in internal/tools, built and cached; the
# network is used for Go modules and npm packages only.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

GO ?= go
# Three modules, because the tools' own dependencies exclude each other (see their go.mod).
TOOL      := $(GO) tool -modfile=internal/tools/go.mod
BUF       := $(GO) tool -modfile=internal/tools/buf/go.mod buf
LINT_MOD  := internal/tools/lint/go.mod

FUZZEXECS ?= 200000
ARGS      ?=
TESTFLAGS ?=

# The TokenService as last released. Compatibility is promised from one release to the next,
# and a committed image, unlike a tag, is there in every clone.
BASELINE  := proto/baseline.binpb.gz
# What the methods of the example shop required then.
RULES_BASELINE := proto/rules-baseline.binpb.gz

# Writes the descriptors of the shop to standard output, for trat to read rules from; and
# those that the shop's token service reads, without comments.
SHOP_SET := $(BUF) build --path proto/shop -o -
SHOP_DESCRIPTORS := examples/shop/shop.binpb
TRAT     := $(GO) run ./cmd/trat

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: all
all: generate lint test conformance ## Generate, lint, test, and check the requirements

# The race detector allocates, so ceilings on allocations are tested without it.
.PHONY: test
test: ## Run the tests under the race detector (TESTFLAGS adds flags)
	$(GO) test -race -shuffle=on $(TESTFLAGS) ./...
	$(GO) test -run '^TestAllocations$$' ./trat ./trat/callchain ./internal/rules/binding

.PHONY: fuzz
fuzz: ## Run each fuzz function FUZZEXECS (200000) times
	internal/tools/fuzz.sh $(FUZZEXECS)

.PHONY: conformance
conformance: ## Report which requirements have a test, each row with ARGS=-rows; fail on a gap
	$(GO) run ./internal/conformance $(ARGS)

.PHONY: demo
demo: ## Run the example shop end to end, then attack it
	$(GO) run ./examples/shop/demo

# The first run on a machine builds the components, which takes about a quarter of an hour on
# two cores. Later runs find them in the cache. The tests mostly wait, so many run at once.
.PHONY: integration
integration: integration-components ## Test with SPIRE, OpenID providers, a PDP, Redis, a Collector (TESTFLAGS adds flags)
	$(GO) test -tags integration -count=1 -parallel 8 -timeout 15m $(TESTFLAGS) ./internal/integration/...

.PHONY: integration-components
integration-components: ## Install what the integration tests run into a cache, once
	internal/tools/components/install.sh install

.PHONY: bench
bench: ## Measure against the budgets and print the table
	cd internal/bench && $(GO) run .

.PHONY: generate
generate: ## Generate gen/, and what is made of the shop's rules, from proto/
	$(BUF) generate
	$(BUF) build --path proto/shop --exclude-source-info -o $(SHOP_DESCRIPTORS)
	@$(MAKE) --no-print-directory rules-doc

# Compares with a fresh generation outside the tree, so that it finds edited, missing and
# superfluous files alike and leaves the working tree as it was.
.PHONY: check-generate
check-generate: ## Fail when what `make generate` makes is not what proto/ generates
	@fresh=$$(mktemp -d); trap 'rm -rf "$$fresh"' EXIT; \
	$(BUF) generate -o "$$fresh"; \
	diff -r gen "$$fresh/gen" || { echo 'gen/ differs from what proto/ generates: run make generate' >&2; exit 1; }; \
	$(BUF) build --path proto/shop --exclude-source-info -o "$$fresh/shop.binpb"; \
	cmp $(SHOP_DESCRIPTORS) "$$fresh/shop.binpb" || { echo '$(SHOP_DESCRIPTORS) is not of proto/shop: run make generate' >&2; exit 1; }
	@$(SHOP_SET) | $(TRAT) rules doc - | diff docs/shop-rules.md - || \
	{ echo 'docs/shop-rules.md differs from what the rules of the shop are: run make generate' >&2; exit 1; }

.PHONY: rules
rules: ## List what the methods of the example shop require
	@$(SHOP_SET) | $(TRAT) rules list -

.PHONY: rules-doc
rules-doc: ## Make docs/shop-rules.md of the rules of the example shop
	@page=$$($(SHOP_SET) | $(TRAT) rules doc -); printf '%s\n' "$$page" >docs/shop-rules.md

.PHONY: rules-check
rules-check: ## Fail when a method of the example shop requires less than in the committed baseline
	@$(SHOP_SET) | $(TRAT) rules check $(RULES_BASELINE) -

.PHONY: rules-baseline
rules-baseline: ## Make the present rules of the shop those that `make rules-check` compares with (at a release)
	$(BUF) build --path proto/shop --exclude-source-info -o $(RULES_BASELINE)

.PHONY: lint
lint: lint-go lint-proto lint-shell ## Run every linter

# go vet runs on its own too: its analyzers are those of the toolchain, the linter's are those
# it was built with. The benchmarks are a module that neither enters from here.
.PHONY: lint-go
lint-go: ## Lint the Go code (golangci-lint, go vet)
	$(GO) tool -modfile=$(LINT_MOD) golangci-lint run ./...
	$(GO) vet ./...
	$(GO) tool -modfile=$(LINT_MOD) golangci-lint run --build-tags integration ./internal/integration/...
	$(GO) vet -tags integration ./internal/integration/...
	cd internal/bench && $(GO) vet ./...

.PHONY: format
format: ## Format the Go and proto files
	$(GO) tool -modfile=$(LINT_MOD) golangci-lint fmt
	$(BUF) format --write proto

.PHONY: lint-proto
lint-proto: breaking rules-check ## Lint the proto files and check their format, compatibility and rules
	$(BUF) lint
	$(BUF) format --diff --exit-code proto

.PHONY: lint-shell
lint-shell: ## Check the syntax of the shell scripts
	@for script in .ci/run $$(git ls-files '*.sh'); do bash -n "$$script"; done

.PHONY: breaking
breaking: ## Fail when the wire or JSON form of trat.v1 breaks with the committed baseline
	$(BUF) breaking proto --against $(BASELINE) --exclude-imports

.PHONY: breaking-baseline
breaking-baseline: ## Make the present trat.v1 the one that `make breaking` compares with (at a release)
	$(BUF) build --path proto/trat --exclude-source-info -o $(BASELINE)

# The tool modules are left out: tidy would fetch the test dependencies of everything they use.
.PHONY: tidy-check
tidy-check: ## Fail when go.mod or go.sum is not tidy
	$(GO) mod tidy -diff
	cd internal/bench && $(GO) mod tidy -diff

.PHONY: benchstat
benchstat: ## Compare benchmark results: make benchstat ARGS='old.txt new.txt'
	$(TOOL) benchstat $(ARGS)
