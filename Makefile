# Needs python3 (3.11 or later), pip and make; uv, where it is present, only makes `setup` faster.

PYTHON ?= python3
WORKERS ?= auto
ARGS ?=

BIN := .venv/bin
STAMP := .venv/.stamp
UV := $(shell command -v uv 2>/dev/null)

# uv or pip, both by hash: what the lock does not name is not fetched.
ifneq ($(UV),)
INSTALL := $(UV) pip install --quiet --python $(BIN)/python
else
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
endif

.DEFAULT_GOAL := help
.PHONY: help setup lock demo up check test chaos bench bench-million bench-discovery bench-health bench-health-load docs coverage-of-fields

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## build .venv from requirements.lock

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "modelog needs Python 3.11 or later; name one: make PYTHON=python3.13")'
	@echo "setting up .venv; the first time takes a minute" >&2
	@test -x $(BIN)/python -a -x $(BIN)/pip || $(PYTHON) -m venv .venv
	@$(INSTALL) --require-hashes -r requirements.lock
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

lock: setup ## pin every dependency anew (UPGRADE=--upgrade for the newest)
	$(BIN)/uv pip compile --no-strip-extras --universal --generate-hashes --no-header --quiet $(UPGRADE) \
		--all-extras --group dev pyproject.toml --output-file requirements.lock

demo: setup ## months of recorded changes in minutes; no key, no network
	@$(BIN)/modelog demo $(ARGS)

up: setup ## everything on this machine
	@$(BIN)/modelog up $(ARGS)

check: setup ## linters, formatter, both type checkers, generated docs
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/basedpyright
	$(BIN)/codespell
	$(BIN)/validate-pyproject pyproject.toml
	$(BIN)/python docs/generate.py --check

test: setup ## all but the slow tests
	$(BIN)/pytest -n $(WORKERS) --dist worksteal -m "not chaos" $(ARGS)

chaos: setup ## the slow tests: kills, floods, long runs
	$(BIN)/pytest -n 2 -m chaos $(ARGS)

bench: setup ## measure; no test asserts a speed
	$(BIN)/python benchmarks/append.py
	$(BIN)/python benchmarks/replay.py
	$(BIN)/python benchmarks/snapshot.py
	$(BIN)/python benchmarks/latency.py
	$(BIN)/python benchmarks/decide.py
	$(BIN)/python benchmarks/load.py
	$(BIN)/python benchmarks/catalogue.py

# What only a long log shows; RIVAL=PYTHON is of an environment with `eventsourcing` 9.5.
bench-million: setup ## a million events over 100,000 models (EVENTS=, MODELS=, RIVAL=PYTHON)
	@$(if $(EVENTS),EVENTS=$(EVENTS)) $(if $(MODELS),MODELS=$(MODELS)) $(BIN)/python benchmarks/million.py $(RIVAL)

docs: setup ## write docs/ anew from the code
	$(BIN)/python docs/generate.py

# The report is that of the recordings beside the checkout; another folder is only printed.
bench-discovery: setup ## months of recorded lists, naive beside ours (TIMELINE=DIR, JSON=FILE)
	@TIMELINE="$(TIMELINE)" JSON="$(JSON)" $(BIN)/python benchmarks/discovery.py $(if $(TIMELINE),,--write)

# The report is that of the usual seed and length; others are only printed.
bench-health: setup ## months of simulated outages, naive beside ours (SEED=N, JSON=FILE)
	@SEED="$(SEED)" JSON="$(JSON)" SCALE="$(SCALE)" $(BIN)/python benchmarks/health.py $(if $(SEED)$(SCALE),,--write)

bench-health-load: setup ## a monitor of 1,000 providers (PROVIDERS=N, SECONDS=N)
	@$(BIN)/python benchmarks/health_load.py $(or $(PROVIDERS),1000) $(or $(SECONDS),180)

coverage-of-fields: setup ## what lists state of models, into docs/providers.md (needs the recordings)
	$(BIN)/python benchmarks/fields.py --write
