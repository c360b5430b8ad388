# Every target does its own set-up; a stamp file says what is done. `make help` lists them.
.DEFAULT_GOAL := help
SHELL := bash
PYTHON ?= python3
BIN := .venv/bin
# Compiled ahead, since an environment may forbid Python to keep what it compiles, and a start would pay for it each time.
COMPILE := $(BIN)/python -m compileall -q mbaas auth push functions
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
DEBIAN := .venv/.stamp-apt-chromium .venv/.stamp-apt-wrk

.PHONY: help serve demo test test-mongo check fmt bench peers nightly image

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /  make \1\t/' | expand -t 18

serve: .venv/.stamp-serve ## install what the server needs and serve for development
	@exec $(BIN)/mbaas dev

demo: .venv/.stamp-serve ## try the console: 2,000 made-up phones, and a provider that delivers nothing
	@exec $(BIN)/python examples/demo/demo.py

test: .venv/.stamp-dev tests/compat/node_modules/.stamp $(DEBIAN) ## install what the tests need and run them
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder --durations=15 $(ARGS)

test-mongo: .venv/.stamp-dev tests/compat/node_modules/.stamp ## the tests of the store and of the wire on a real MongoDB
	@PYTHON=$(BIN)/python tests/mongo.sh $(ARGS)

check: .venv/.stamp-dev ## lint, format, types, layers, licences, lock files
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports --no-logo
	$(BIN)/python tests/house/licences.py && $(BIN)/python tests/house/locks.py

fmt: .venv/.stamp-dev ## put the code into its form
	$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format .

bench: .venv/.stamp-dev ## the project's own figures
	$(BIN)/python -m bench

peers: .venv/.stamp-dev tests/compat/node_modules/.stamp .venv/.stamp-apt-wrk .venv/.stamp-apt-postgresql ## the same load on this server and on its peers
	$(BIN)/python bench/peers.py

nightly: .venv/.stamp-dev tests/compat/node_modules/.stamp $(DEBIAN) ## the full counts, one line of result each
	$(BIN)/python tests/nightly.py

image: ## build the container image
	docker build -t mbaas:$$(sed -nE 's/^version = "(.*)"/\1/p' pyproject.toml) .

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/.stamp-serve: requirements.lock pyproject.toml | .venv/bin/python
	@[ -e .venv/.stamp-dev ] || $(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-deps -e . && $(COMPILE) && touch $@

.venv/.stamp-dev: requirements-dev.lock pyproject.toml | .venv/bin/python
	@$(PIP) --require-hashes -r requirements-dev.lock && $(PIP) --no-deps --no-build-isolation -e . && $(COMPILE) && touch $@ .venv/.stamp-serve

tests/compat/node_modules/.stamp: tests/compat/package-lock.json
	@cd tests/compat && npm ci --no-audit --no-fund --loglevel=error && touch node_modules/.stamp

# Debian's packages are for tests alone. Without them, and without root, the tests that need them fail and name the command.
.venv/.stamp-apt-%: | .venv/bin/python
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && ! dpkg -s $* >/dev/null 2>&1; then \
	  apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $* >/dev/null || exit 1; fi; touch $@
