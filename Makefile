PYTHON ?= python3
BIN := .venv/bin
ARGS ?=
JOBS ?= 2
STUDIO ?= runs/studio
export TOKENIZERS_PARALLELISM := false
# Tests start hundreds of processes: what they compile is kept, also where the shell says otherwise.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo install test check soak tools bench studio lock clean

demo: install  ## the whole loop on a small task; make demo ARGS="--seed 1 --out runs/x"
	$(BIN)/harken demo $(ARGS)

install: .venv/.installed  ## .venv with all that demo, test and check need

.venv/.installed: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "harken needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --disable-pip-version-check -q -r requirements.lock
	$(BIN)/pip install --disable-pip-version-check -q --no-deps --no-build-isolation -e .
	touch $@

test: install  ## the whole suite
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m "not soak" --ignore tests/browser
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m "not soak" tests/browser

check: install  ## format, lint, types, layers, house rules, fast tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy -n $(JOBS)
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m "not slow and not soak"

soak: install  ## the long proofs
	$(BIN)/python -m pytest -m soak

bench: install  ## the same steps by TRL and by harken, in turn; make bench ARGS="--only grpo,rloo"
	$(BIN)/pip install --disable-pip-version-check -q --no-build-isolation -e '.[bench]'
	$(BIN)/python -m benchmarks.trl --json runs/benchmarks/trl.json $(ARGS)

tools: install  ## what tests drive besides: Chromium and PostgreSQL (Debian, as root), axe-core (npm), TRL and datasets; without, those tests are skipped
	@$(BIN)/python -c 'from importlib.util import find_spec as f; raise SystemExit(not (f("trl") and f("datasets")))' || $(BIN)/pip install --disable-pip-version-check -q --no-build-isolation -e '.[bench]'
	@test -x /usr/bin/chromium || test "$$(id -u)" != 0 || (apt-get update -q && apt-get install -y -q chromium)
	@ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || test "$$(id -u)" != 0 || (apt-get update -q && apt-get install -y -q postgresql)
	@test -e .venv/axe/node_modules/axe-core/axe.min.js || ! command -v npm >/dev/null || npm install --no-audit --no-fund --ignore-scripts --prefix .venv/axe axe-core@4.14.1

studio: install  ## the page where people answer, with the demo's prompts in it; make studio ARGS="--listen 127.0.0.1:9000"
	$(BIN)/python -m harken.demo.studio_seed $(STUDIO)
	$(BIN)/harken studio --folder $(STUDIO) $(ARGS)

lock:  ## make requirements.lock anew from what .venv holds
	$(BIN)/pip freeze --exclude-editable | sed 's/+cpu$$//' > requirements.lock

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache
