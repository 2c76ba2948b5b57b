# make run: see it work.  make test: check that it does.  make help: the rest.
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
PORT ?= 2525
FUZZ_SECONDS ?= 600
MAILWARD_SHARED ?= $(abspath ../shared)
export MAILWARD_SHARED

# pip-tools, without a word about the index it happened to use
LOCK = $(BIN)/pip-compile --quiet --generate-hashes --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
	--strip-extras --build-deps-for editable

.DEFAULT_GOAL := help
.PHONY: help run test check bench bench-peers evaluate fuzz lock clean packages

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "mailward needs Python 3.11 or newer; $(PYTHON) is older. Say which one: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
		|| { echo "No virtual environment could be made. On Debian: apt-get install python3-venv"; rm -rf $(VENV); exit 1; }

# A stamp holds the digest of the lock it was installed from: a fresh checkout of the same lock installs nothing again.
$(VENV)/.runtime: requirements.lock pyproject.toml | $(BIN)/python
	@digest="$$(cat requirements.lock pyproject.toml | sha256sum)"; if [ "$$(cat $@ 2>/dev/null)" = "$$digest" ]; then touch $@; exit 0; fi; \
		echo "Installing mailward into $(VENV) ..."; \
		$(PIP) install -qq --require-hashes -r requirements.lock \
		&& $(PIP) install -qq --no-deps --no-build-isolation -e . && echo "$$digest" > $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.runtime
	@digest="$$(cat requirements-dev.lock | sha256sum)"; if [ "$$(cat $@ 2>/dev/null)" = "$$digest" ]; then touch $@; exit 0; fi; \
		echo "Installing what tests and training need into $(VENV) ..."; \
		$(PIP) install -qq --require-hashes -r requirements-dev.lock && echo "$$digest" > $@

run: $(VENV)/.runtime ## set up, start the gateway on loopback, send it the sample messages, show the verdicts, serve
	@exec $(BIN)/mailward demo --state .state --port $(PORT)

packages:
	@tests/packages

test: $(VENV)/.dev packages ## run all tests (as root: installs the Debian packages they need)
	@$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not bench" $(PYTEST)
	@$(BIN)/python -m pytest -n 0 -m bench $(PYTEST)

check: $(VENV)/.dev ## style, types, import rules, documentation
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check --quiet || { echo "Not formatted as agreed: run $(BIN)/ruff format"; exit 1; }
	@$(BIN)/mypy --strict src
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python -m pytest -q -p no:cacheprovider tests/docs

bench: $(VENV)/.dev ## CPU time per message, stage by stage and beside rspamd
	@for f in benchmarks/*.py benchmarks/*/*.py; do [ -e "$$f" ] || continue; case "$$f" in */__init__.py|*/peers.py) continue;; esac; \
		echo "== $$f"; $(BIN)/python "$$f" || exit 1; done

bench-peers: $(VENV)/.dev packages ## the same messages through mailward, rspamd and SpamAssassin; writes docs/performance.md
	@$(BIN)/python benchmarks/peers.py --write

evaluate: $(VENV)/.dev ## day-one figures on ../shared/corpora, each source left out in turn
	@$(BIN)/mailward evaluate "$(MAILWARD_SHARED)/corpora" --protocol loso

fuzz: $(VENV)/.dev ## throw bytes at the parsers for FUZZ_SECONDS (600)
	@FUZZ_SECONDS=$(FUZZ_SECONDS) $(BIN)/python -m tests.fuzz

lock: | $(BIN)/python ## resolve the libraries again and write both lock files
	@$(PIP) install --quiet pip-tools
	@$(LOCK) --output-file requirements.lock pyproject.toml
	@$(LOCK) --extra train --extra dev --constraint requirements.lock --output-file requirements-dev.lock pyproject.toml
	@! grep -nE '^--|://' requirements.lock requirements-dev.lock || { echo "The lock names an index: see above"; exit 1; }

clean: ## remove what was built, and the state of make run
	rm -rf $(VENV) .state .cache .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist
