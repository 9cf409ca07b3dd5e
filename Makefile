# make chat   start talking (sets itself up in .venv first)
# make test   everything that is checked: lint, types, import rules, tests
# make lock   new versions of all dependencies, with their hashes, into requirements.lock and requirements-test.lock
# make mac    on a Mac: everything that we would like to know about it, in one file to send
# Needs make and any Python, or uv; scripts/setup.sh gets what is missing. For the GNU make 3.81 of macOS, so nothing newer
# is in here. The tests of the Metal kernels need clang 19 too, which is installed on Debian and Ubuntu where that is
# allowed, and found in Homebrew's llvm.

VENV := .venv
# One more than two cores: some tests wait for a program or a clock.
WORKERS ?= 3
PY := $(VENV)/bin/python
SETUP = PYTHON="$(PYTHON)" sh scripts/setup.sh

# Some hundred processes are begun by the tests: each would compile all of its modules again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: chat setup mac test rewritten lint format lock clean
.DEFAULT_GOAL := chat

chat: $(VENV)/ready
	@$(VENV)/bin/rgchat

setup: $(VENV)/ready

mac:
	@bash scripts/mac_check.sh

test: $(VENV)/ready-test
	@bash scripts/get_clang.sh
	@$(MAKE) --no-print-directory -j 2 lint rewritten
	$(PY) -m pytest -n $(WORKERS) --durations=20 --durations-min=1

# pytest rewrites the tests' modules where they are new: all of its workers would do so at once. What fails here fails there.
rewritten: $(VENV)/ready-test
	@$(PY) -m pytest --collect-only -q >/dev/null 2>&1 || true

lint: $(VENV)/ready-test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

format: $(VENV)/ready-test
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

# For Linux and macOS and every Python from 3.11 on. Settings of this machine (an index, constraints) stay out.
LOCK = pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes --no-annotate \
	--custom-compile-command 'make lock' --group build pyproject.toml
lock:
	uv=`$(SETUP) uv` && $$uv $(LOCK) --upgrade --extra test --output-file requirements-test.lock && \
	$$uv $(LOCK) --upgrade --constraints requirements-test.lock --output-file requirements.lock

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

$(PY):
	@$(SETUP) venv $(VENV)

# Nothing is installed that is not in a lock: the package itself is built with what is there.
$(VENV)/ready: $(PY) pyproject.toml requirements.lock
	@$(SETUP) install $(VENV) --require-hashes -r requirements.lock
	@$(SETUP) install $(VENV) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/ready-test: $(VENV)/ready requirements-test.lock
	@$(SETUP) install $(VENV) --require-hashes -r requirements-test.lock
	@touch $@
