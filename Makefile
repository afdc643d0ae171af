# make run      hub and agent on this machine, in a virtual environment of their own (.venv)
# make test     lint, types and tests, as they run at each change
# make bench    the figures of the README, measured here
# make proofs   every promise tried for hours and the table of what was lost; ROW=name for one; goes on where it stopped
# make setup    only the environment, with everything for developers
# make clean    the environment and all that was generated, away
#
# Needed: Linux, Python 3.10 or newer with venv, make. PYTHON=python3.12 chooses another interpreter.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SHELL := /bin/sh

# The environment is as new as the file that says what is in it: its name carries the hash, so that a checkout that only
# touches the file installs nothing, and a start without a change runs no pip.
HASH := $(shell cksum < pyproject.toml | tr ' ' '-')
FOR_RUN := $(VENV)/installed-run-$(HASH)
FOR_TEST := $(VENV)/installed-test-$(HASH)
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: run test bench proofs setup clean
.DELETE_ON_ERROR:

run: $(if $(wildcard $(FOR_TEST)),,$(FOR_RUN))
	@exec $(BIN)/edge-agent up $(ARGS)

test: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -q -n auto

bench: setup
	$(BIN)/python -m tests.bench $(ARGS)

proofs: setup
	$(BIN)/python -m tests.proofs $(ROW) $(ARGS)

setup: $(FOR_TEST)

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .hypothesis .bench .proofs .import_linter_cache
	find edge_agent tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(FOR_RUN): | $(BIN)/python
	@echo "installing edge-agent into $(VENV) (once; it takes about half a minute)"
	@$(PIP) -e '.[hub]'
	@rm -f $(VENV)/installed-run-* && touch $@

$(FOR_TEST): | $(BIN)/python
	@echo "installing edge-agent and its tools into $(VENV) (once; it takes about a minute)"
	@$(PIP) -e '.[hub,dev]'
	@rm -f $(VENV)/installed-test-* && touch $@

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { \
	  echo "error: $(PYTHON) is not installed"; \
	  echo "hint:  sudo apt install python3 python3-venv"; exit 2; } >&2
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	  echo "error: edge-agent needs Python 3.10 or newer, and $(PYTHON) is $$($(PYTHON) --version 2>&1)"; \
	  echo "hint:  name a newer one: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 2; } >&2
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "error: $(PYTHON) has no venv module"; \
	  echo "hint:  sudo apt install python3-venv"; exit 2; } >&2
	@$(PYTHON) -m venv --clear $(VENV)
