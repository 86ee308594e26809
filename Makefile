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

.PHONY: help setup demo test test-python test-rust lint bench generate clean check-tools

help:
	@echo "make demo   set up, start the engine, trade 10 years of market data, cut the fast path twice, compare the books"
	@echo "make test   set up and run every test, Python and Rust"
	@echo "make lint   ruff, pyright, import-linter, rustfmt, clippy, generated code up to date"
	@echo "make bench  compare the paths: pytest-benchmark, in one run on one engine"

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

demo: setup
	@$(BIN)/python -m examples.demo

test: test-rust test-python

test-rust: check-tools
	@cd engine && cargo test --locked --quiet $(RUST_TESTS)

test-python: setup
	@$(BIN)/python -m pytest -n 2

lint: setup
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@$(BIN)/pyright --warnings
	@$(BIN)/lint-imports
	@$(BIN)/python schemas/generate.py --check
	@cd engine && cargo fmt --all --check
	@cd engine && cargo clippy --locked --all-targets $(RUST_TESTS) -- -D warnings

bench: setup
	@$(BIN)/python -m pytest bench --benchmark-columns=min,median,iqr,rounds

generate: setup
	@$(BIN)/python schemas/generate.py

clean:
	rm -rf $(VENV) engine/target build *.egg-info transport/*.so
