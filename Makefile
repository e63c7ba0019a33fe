# One build configuration only: release. A second one would cost another quarter of an hour on two cores.
BINARY := .build/release/comblang
PYTEST := .venv/bin/python -m pytest
# Multiplies the size of random and load tests; `make test-long` raises it.
SCALE ?= 1
FIRST_BUILD := "The first build compiles every dependency: about 15 minutes on 2 cores. Later ones take seconds."
# A second build directory, as instrumented objects cannot be linked with the others.
SANITIZED := .build-sanitized
# What the end-to-end tests generate of the contract, and compile.
GENERATED := .build-generated

.NOTPARALLEL:
.PHONY: run build install-tests test test-swift test-end-to-end lint check test-long bench clean

run: build ## Build and serve on 127.0.0.1:8080 with the database in ./data; ARGS="--port 0".
	exec $(BINARY) serve $(ARGS)

build:
	@.ci/install-build
	@test -x $(BINARY) || echo $(FIRST_BUILD)
	swift build -c release --product comblang

test: install-tests test-swift test-end-to-end ## All four rings: machines, store, gateway, end to end.

test-swift:
	@.ci/install-build
	@test -x $(BINARY) || echo $(FIRST_BUILD)
	swift build -c release --build-tests
	SCALE=$(SCALE) swift test -c release --skip-build

# Before the long build, so that a missing package shows at once.
install-tests:
	@.ci/install-build
	@.ci/install-tests

test-end-to-end: test-swift
	rm -rf Tests/EndToEnd/out/exchanges
	SCALE=$(SCALE) $(PYTEST) Tests/EndToEnd -q
	.venv/bin/python Tests/EndToEnd/judge.py --complete

lint: ## Formatting, sizes, banned calls, imports, documentation.
	@.ci/install-build
	swift format lint --strict --recursive --parallel Package.swift Sources Tests
	.ci/tidy --check-itself
	.ci/tidy

check: lint ## What should pass before a commit: lint, a build without warnings, the Swift tests.
	@.ci/install-build
	COMBLANG_WARNINGS_AS_ERRORS=1 swift build -c release --build-tests
	COMBLANG_WARNINGS_AS_ERRORS=1 SCALE=$(SCALE) swift test -c release --skip-build

test-long: ## The same tests, larger, and the Swift tests once more under the thread sanitizer. About an hour.
	$(MAKE) test SCALE=20
	.ci/autobahn
	SCALE=$(SCALE) swift test -c release --scratch-path $(SANITIZED) --sanitize=thread

bench: build ## Figures of this machine; see bench/.
	@test -x bench/run || { echo "there are no benchmarks yet"; exit 1; }
	bench/run

clean:
	swift package clean
	rm -rf $(SANITIZED) $(GENERATED) .autobahn Tests/EndToEnd/out
