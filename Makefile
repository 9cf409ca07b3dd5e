# make chat   start talking (sets itself up in .venv first)
# make test   everything that is checked: lint, types, import rules, tests
# Needs Python 3.11 or newer and make; uses uv where it is installed. The tests of the Metal kernels need clang 19 too,
# which is installed on Debian and Ubuntu where that is allowed.

VENV := .venv
WORKERS ?= 2
PY := $(VENV)/bin/python
UV := $(shell command -v uv 2>/dev/null)
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)

.PHONY: chat test lint format clean
.DEFAULT_GOAL := chat

chat: $(VENV)/ready
	@$(VENV)/bin/rgchat

test: $(VENV)/ready-test lint
	@scripts/get_clang.sh
	$(PY) -m pytest -n $(WORKERS)

lint: $(VENV)/ready-test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

format: $(VENV)/ready-test
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

$(PY):
	@echo "Setting up rgmlx in $(VENV) (once, about half a minute) ..."
ifneq ($(UV),)
	@uv venv --quiet --python '>=3.11' $(VENV)
else
	@test -n "$(PYTHON)" || { echo "rgmlx needs Python 3.11 or newer: see https://www.python.org/downloads/"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "on Debian and Ubuntu: apt install python3-venv"; exit 1; }
endif

ifneq ($(UV),)
INSTALL = uv pip install --quiet --python $(PY)
else
INSTALL = $(PY) -m pip install --quiet --disable-pip-version-check
endif

$(VENV)/ready: $(PY) pyproject.toml
	@$(INSTALL) -e .
	@touch $@

$(VENV)/ready-test: $(VENV)/ready
	@$(INSTALL) -e '.[test]'
	@touch $@
