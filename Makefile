# The front door: `make demo` and `make test` set up all they need on a machine with Rust, Python 3.11+ and make.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ENGINE_SOURCES := $(shell find engine -path engine/target -prune -o \( -name '*.rs' -o -name 'Cargo.*' -o -name '*.bin' \) -print 2>/dev/null)
# Crates whose tests run in the dev profile, with overflow checks and debug assertions.
RUST_TESTS := -p bridge-core -p bridge-venue -p bridge-journal -p bridge-sequencer -p bridge-wire -p execution-engine
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help setup demo test test-python simulator simulate test-rust lint bench bench-build bench-full soak wheel generate clean check-tools

help:
	@echo "make demo   set up, start the engine, trade 10 years of market data, cut the fast path twice, compare the books"
	@echo "make test   set up and run every test, Python and Rust"
	@echo "make lint   ruff, pyright, import-linter, rustfmt, clippy, generated code up to date"
	@echo "make wheel  build the wheel (native module and engine included) into dist/, and check that both are in it"
	@echo "make bench  floors, codecs, round trips, throughput, peers, load, growth, in one run (under ten minutes)"
	@echo "make simulate RUNS=500 | SEED=17 | SCHEDULE=FILE  true client and engine in virtual time, under seeded faults"
	@echo "make soak MINUTES=10 SEED=7  real processes under kills, cuts, full disks; report in build/chaos/"
	@echo "make bench-full  the same for longer; both write bench/results/"

check-tools:
	@command -v cargo >/dev/null || { echo "missing: cargo (Rust 1.88 or newer; see rust-lang.org, rustup)"; exit 2; }
	@command -v $(PYTHON) >/dev/null || { echo "missing: $(PYTHON) (Python 3.11 or newer)"; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "missing: Python 3.11 or newer ($(PYTHON) is older; set PYTHON=...)"; exit 2; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "missing: Python's venv module (Debian: apt install python3-venv)"; exit 2; }
	@command -v cc >/dev/null || { echo "missing: cc (a C linker; Debian: apt install gcc)"; exit 2; }

# One stamp for what pip installs, one for what cargo builds: a changed .rs file does not reinstall the world.
$(VENV)/.packages: requirements-dev.lock | check-tools
	@echo "setup: Python packages into $(VENV)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.lock
	@touch $@

$(VENV)/.built: $(VENV)/.packages pyproject.toml $(ENGINE_SOURCES)
	@echo "setup: engine and native parts (the first build takes a few minutes)"
	@$(BIN)/python -m pip install --disable-pip-version-check --no-build-isolation --no-deps -e . \
		> $(VENV)/build.log 2>&1 || { cat $(VENV)/build.log; exit 2; }
	@touch $@

setup: $(VENV)/.built

# The engine half of the simulator (tests/simulation/_native_sim.pyi): for tests alone, no part of any package. Built as
# pip builds the native parts, so that their dependencies are compiled once for all.
SIMULATOR := tests/simulation/_native_sim.abi3.so

$(VENV)/.simulator: $(VENV)/.built
	@cd engine && PYO3_BUILD_EXTENSION_MODULE=1 PYO3_PYTHON=$(CURDIR)/$(BIN)/python \
		cargo build --locked --release --quiet -p bridge-simulator
	@cp $${CARGO_TARGET_DIR:-engine/target}/release/lib_native_sim.$(if $(filter Darwin,$(shell uname)),dylib,so) \
		$(SIMULATOR).new && mv $(SIMULATOR).new $(SIMULATOR)
	@touch $@

simulator: $(VENV)/.simulator

# SEED=17: that one in full. RUNS=2000 SEED=0: a range. SCHEDULE=build/simulation/seed-17.json: a saved one.
simulate: setup simulator
	@$(BIN)/python -m tests.simulation $(if $(SEED),--seed $(SEED)) $(if $(RUNS),--runs $(RUNS)) \
		$(if $(SCHEDULE),--schedule $(SCHEDULE))

demo: setup
	@$(BIN)/python -m examples.demo

test: test-rust test-python

test-rust: check-tools
	@cd engine && cargo test --locked --quiet $(RUST_TESTS)

test-python: setup simulator
	@$(BIN)/python -m pytest -n 2

# With the packages of the benchmark: pyright reads its code too.
lint: setup $(VENV)/.bench-packages
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@$(BIN)/pyright --warnings
	@$(BIN)/lint-imports
	@$(BIN)/python schemas/generate.py --check
	@cd engine && cargo fmt --all --check
	@cd engine && cargo clippy --locked --all-targets $(RUST_TESTS) -p bridge-simulator -- -D warnings

$(VENV)/.bench-packages: requirements-bench.lock | $(VENV)/.packages
	@echo "bench: Python packages into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-bench.lock
	@touch $@

# Floors and peers, beside the engine; no part of any package.
bench-build: setup $(VENV)/.bench-packages
	@cd engine && cargo build --locked --release --quiet -p bench-peers -p bench-floor

# Exits non-zero for what makes a comparison unfair (docs/benchmarks.md), not for figures that miss a target.
# BENCH="-k one-tcp-os" measures some rows and overwrites nothing; BENCH_QUIET=1 refuses a busy machine.
BENCH_OUT := $(if $(BENCH),,--bench-out bench/results)
BENCH_RUN := -m pytest bench --capture=no --no-header -q -p no:cacheprovider --benchmark-columns=median,iqr,rounds $(BENCH_OUT)

bench: bench-build
	@$(BIN)/python $(BENCH_RUN) $(BENCH)

bench-full: bench-build
	@$(BIN)/python $(BENCH_RUN) --bench-full $(BENCH)

# A run of some minutes under faults: engine, clients, proxies as processes (tests/chaos/README.md). It exits non-zero
# for whatever was lost, doubled or left unknown. SEED makes it again; reports go to build/chaos/.
MINUTES ?= 10
SEED ?=

soak: setup
	@$(BIN)/python -m tests.chaos --minutes $(MINUTES) $(if $(SEED),--seed $(SEED)) $(SOAK)

wheel: setup
	@rm -rf dist && $(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-build-isolation --no-deps -w dist .
	@for part in transport/_native.abi3.so transport/_native.pyi scripts/execution-engine; do \
		$(BIN)/python -m zipfile -l dist/*.whl | grep -q "$$part" || { echo "missing in the wheel: $$part"; exit 1; }; done
	@ls dist/*.whl

generate: setup
	@$(BIN)/python schemas/generate.py

clean:
	rm -rf $(VENV) engine/target build *.egg-info transport/*.so tests/simulation/*.so
