# Every target sets up what it needs; the second time that takes no time and no network.
.DEFAULT_GOAL := help
.PHONY: help demo test lint types bench vendor setup setup-dev engines exchange update-client chromium

PYTHON ?= python3
BIN := .venv/bin
MINUTES ?= 0

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | while IFS="$$(printf '\t')" read -r t d; do printf '  make %-8s %s\n' "$$t" "$$d"; done

demo: setup engines ## the whole fleet, live, with faults and callers; MINUTES=3 ends by itself
	@exec $(BIN)/vigie demo --minutes $(MINUTES)

test: setup-dev engines exchange update-client chromium lint types ## everything that must hold: lint, types, and all tests on the real engines
	$(BIN)/pytest -n 2 --dist loadfile tests/unit tests/integration
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder tests/scenarios tests/e2e

lint: setup-dev ## style, formatting, and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: setup-dev ## strict type check
	$(BIN)/mypy

bench: setup-dev engines chromium ## what the README claims, measured on this machine
	@exec $(BIN)/python -m benchmarks

vendor: ## bring the console's browser libraries and map anew, as locked (needs npm)
	@$(PYTHON) tools/vendor_assets.py

setup:
	@$(PYTHON) setup/bootstrap.py run

setup-dev:
	@$(PYTHON) setup/bootstrap.py dev

engines: setup
	@$(BIN)/vigie engines fetch

# Debian sid's, which may be out of reach on a given day: the tests that need it then say so; `.ci/run` lets none be left out.
exchange: setup
	-@$(BIN)/vigie engines fetch --telephony

# Debian 12's, likewise.
update-client: setup
	-@$(BIN)/vigie engines fetch --update-client

chromium:
	@sh setup/chromium
