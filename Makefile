# One command sets everything up and runs it: `make run`; one sets everything up and tests: `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: setup setup-dev run stop test browser check stress bench bench-table bench-speed bench-scaling bench-data lock clean

setup: $(VENV)/.runtime
setup-dev: $(VENV)/.dev

$(VENV)/.runtime: requirements.txt
	@$(PYTHON) -c 'import sys; ok = (3, 11) <= sys.version_info[:2] <= (3, 12); sys.exit(0 if ok else "Python 3.11 or 3.12 is needed; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.11 $(MAKECMDGOALS)")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -q -r requirements.txt
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements-dev.txt
	$(BIN)/python -m pip install --disable-pip-version-check -q -r requirements-dev.txt
	@touch $@

run: setup
	$(BIN)/python -m app

stop: setup
	$(BIN)/python -m app stop

# As many processes as TESTERS share the tests: see tests/conftest.py. Each has one thread for linear
# algebra: with more, they wait for each other.
TESTERS ?= 2
test: setup-dev browser
	OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow and not alone" -n $(TESTERS) --dist loadfile --no-loadscope-reorder
	$(BIN)/python -m pytest -m "alone and not slow" tests/browser

# The tests in a browser need one. Where it cannot be had, they skip and say so.
browser:
	@scripts/install_browser.sh

check: setup-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports

stress: setup-dev browser
	$(BIN)/python -m pytest -m slow

bench: setup-dev browser
	$(BIN)/python -m benchmarks.builtin_backbone
	$(BIN)/python -m benchmarks.ui

# Hours long. What has finished stays in runs/: the same command goes on where it was.
ROOTS ?= $(or $(TRANSFER_SHARED),../shared)/datasets
bench-table: setup-dev
	$(BIN)/python -m benchmarks.decision_table $(ROOTS) --out runs/decision_table.jsonl --markdown

bench-speed: setup-dev
	$(BIN)/python -m benchmarks.runtimes
	$(BIN)/python -m benchmarks.speed
	$(BIN)/python -m benchmarks.serving
	$(BIN)/python -m benchmarks.pipeline

bench-scaling: setup-dev
	$(BIN)/python -m benchmarks.scaling --picture docs/pictures/scaling.svg

bench-data: setup-dev
	$(BIN)/python -m benchmarks.duplicates
	$(BIN)/python -m benchmarks.mending
	$(BIN)/python -m benchmarks.suspects
	$(BIN)/python -m benchmarks.intervals
	$(BIN)/python -m benchmarks.forecast
	$(BIN)/python -m benchmarks.shortcuts --seeds 1

# Pins every package for Python 3.11 and 3.12 at once.
lock: setup-dev
	$(BIN)/python -m pip install -q uv
	$(BIN)/uv pip compile --universal --python-version 3.11 --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" -q -U requirements.in -o requirements.txt
	$(BIN)/uv pip compile --universal --python-version 3.11 --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" -q -U requirements-dev.in -o requirements-dev.txt
	$(BIN)/uv pip compile --universal --python-version 3.11 --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" -q -U requirements-gpu.in -o requirements-gpu.txt

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .import_linter_cache
