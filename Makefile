# plscript is built, tested and run from here; `make help` lists what there is.

SHELL    := /bin/bash -o pipefail
GO       ?= go
BIN      := bin
FUZZTIME ?= 10s

# Linters are pinned in a module of their own, so that they are no dependency of plscript.
TOOL := $(GO) tool -modfile=internal/tools/go.mod

# The tests that need the sandbox. They run without -race: what they wait for is other processes.
INTEGRATION := ./integration/... ./sandbox/... ./cmd/...

# The race detector needs a C compiler. Without one the tests run all the same, and the end of the run says so.
CC_FOUND := $(shell command -v "$$($(GO) env CC)" 2>/dev/null)
RACE     := $(if $(CC_FOUND),-race)
NO_RACE  := $(if $(CC_FOUND),,-skipped "the race detector: no C compiler (install gcc)")
UNIT     := $(RACE) -short ./...

.DEFAULT_GOAL := help
.PHONY: help build run test unit race integration lint fuzz bench bench-huge soak bench-xds microbench generate verify clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build bin/plscript
	$(GO) build -buildvcs=auto -ldflags '-s -w' -o $(BIN)/plscript ./cmd/plscript

run: build ## build everything and run scenarios/ambient.cue on a sandbox
	$(BIN)/plscript run scenarios/ambient.cue

test: lint ## lint, then every test: unit tests with -race, integration tests on a sandbox
	$(GO) run ./internal/testrun $(NO_RACE) -- $(UNIT) -- -count=1 -p=1 -timeout=40m $(INTEGRATION)

unit: ## the unit tests only, without -race
	$(GO) test -short ./...

race: ## the unit tests only, with -race
	$(GO) run ./internal/testrun $(NO_RACE) -- $(UNIT)

integration: ## the integration tests only
	$(GO) test -count=1 -p=1 -timeout=40m $(INTEGRATION)

lint: ## gofmt, go vet, staticcheck, misspell
	@unformatted=$$(git ls-files -co --exclude-standard '*.go' | xargs -r ls -d 2>/dev/null | xargs -r gofmt -l); \
	  if [ -n "$$unformatted" ]; then echo "gofmt would change:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(TOOL) staticcheck ./...
	@git ls-files -co --exclude-standard '*.go' '*.cue' '*.md' ':!lang/testdata/bad' | xargs -r ls -d 2>/dev/null | xargs -r $(TOOL) misspell -error

fuzz: ## each fuzz target for FUZZTIME (10s, or 1000x: so many inputs)
	@git ls-files -co --exclude-standard '*_test.go' | xargs -r grep -HoE '^func Fuzz[A-Za-z0-9_]+' | \
	  while IFS=: read -r file fn; do \
	    echo "$$file: $${fn#func }"; \
	    $(GO) test -run '^$$' -fuzz "^$${fn#func }\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 100x "./$$(dirname "$$file")" || exit 1; \
	  done

bench: build ## measure what is promised, and write docs/performance.md
	$(GO) run ./internal/bench -plscript $(BIN)/plscript

bench-huge: build ## load 200,000 pods, and add the figures to docs/performance.md; wants 20 GiB of memory
	$(GO) run ./internal/bench -plscript $(BIN)/plscript -only huge

soak: build ## hold 1,000 sidecars for 5 minutes, and add the figures to docs/performance.md
	$(GO) run ./internal/bench -plscript $(BIN)/plscript -only soak

bench-xds: build ## the XDS pool alone, against istiod and against a replay of its answers; PEER_BIN=pilot-load measures that tool beside it
	$(GO) run ./internal/bench -plscript $(BIN)/plscript -only xds $(if $(PEER_BIN),-peer-bin $(abspath $(PEER_BIN)))

microbench: ## every Go benchmark
	$(GO) test -short -run '^$$' -bench . -benchmem ./...

generate: ## write the generated files anew
	$(GO) generate ./...

verify: generate ## fail if anything generated, any golden or go.mod is out of date
	UPDATE=1 $(GO) test -short ./...
	$(GO) mod tidy
	git diff --exit-code

clean: ## remove what was built and the reports; the sandbox's binaries stay in the user's cache
	rm -rf $(BIN) results
