# The front door. Needs only Python 3.11 to 3.13 and make; everything else goes into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
GR2ST_SHARED ?= ../shared
DAGSTER_HOME := $(CURDIR)/.dagster_home
export GR2ST_HOME := $(CURDIR)
export DAGSTER_DISABLE_TELEMETRY := 1
export OMP_WAIT_POLICY := PASSIVE

.PHONY: demo test ui check real study bench screenshots setup browser fmt lock

demo: setup $(DAGSTER_HOME)/dagster.yaml ## make a synthetic cohort, run everything on it, show the scoreboard and a query
	$(BIN)/gr2st demo

test: setup browser ## run the tests
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder --durations=15

ui: setup $(DAGSTER_HOME)/dagster.yaml ## Dagster UI and daemon on http://127.0.0.1:3000
	DAGSTER_HOME=$(DAGSTER_HOME) OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 $(BIN)/dagster dev -w workspace.yaml -h 127.0.0.1 -p 3000

check: setup $(DAGSTER_HOME)/dagster.yaml ## formatting, lint, types, import layers, definitions
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	DAGSTER_HOME=$(DAGSTER_HOME) $(BIN)/dagster definitions validate -w workspace.yaml

HER2ST := $(BIN)/gr2st materialize --cohort her2st --panel $(GR2ST_SHARED)/panels/her2st_785.txt
ALL_TARGETS := --target per_spot --target per_gene_legacy --target cp10k
STOCHASTIC := --method gr2st_ours --method gr2st_ours_m224 --method gr2st_r1 --method gr2st_r2 --method blend_default \
	--method null_training_mean
real: setup $(DAGSTER_HOME)/dagster.yaml ## full scoreboards on the real sections in ../shared (GR2ST_SHARED)
	$(BIN)/gr2st cohort add her2st $(GR2ST_SHARED)/her2st
	$(HER2ST) $(ALL_TARGETS)
	$(HER2ST) $(ALL_TARGETS) --seed 1 --seed 2 --scored-only $(STOCHASTIC)
	$(HER2ST) $(ALL_TARGETS) --scored-only --method '*_features_small'
	$(HER2ST) --seed 1 --seed 2 --scored-only --method '*_features_small'
	$(HER2ST) --scored-only --method '*_published_small'
	$(BIN)/gr2st materialize --cohort her2st --panel breast_markers --scored-only --method blend_default \
		--method gr2st_ours --method ridge_m224 --method null_training_mean --method null_same_place
	mkdir -p docs
	$(BIN)/gr2st results her2st her2st_785 > docs/results.md

study: setup $(DAGSTER_HOME)/dagster.yaml ## ablation and sensitivity of GR2ST on the real sections, over an hour
	$(BIN)/gr2st cohort add her2st $(GR2ST_SHARED)/her2st
	$(BIN)/gr2st study her2st --panel $(GR2ST_SHARED)/panels/her2st_785.txt
	mkdir -p docs
	$(BIN)/gr2st results --study her2st her2st_785 > docs/study.md

bench: setup ## what the README's claims of speed are made from
	$(BIN)/python benchmarks/definitions_load.py
	$(BIN)/python benchmarks/train_step.py r1
	$(BIN)/python benchmarks/published_loo.py
	$(BIN)/python benchmarks/retrieval.py
	$(BIN)/python benchmarks/functional_graph.py
	$(BIN)/python benchmarks/encode.py
	$(BIN)/python benchmarks/count_tables.py
	$(BIN)/python benchmarks/visium_hd.py
	$(BIN)/python benchmarks/explorer.py
	$(BIN)/python benchmarks/exports.py

screenshots: setup browser $(DAGSTER_HOME)/dagster.yaml ## pictures of the UI for the documentation, from what `make demo` made
	$(BIN)/python docs/screenshots.py

fmt: setup ## format and fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(BIN)/uv ## resolve the dependencies anew
	$(BIN)/uv pip compile --universal --python-version 3.11 --extra dev pyproject.toml -o requirements.lock \
		--no-emit-index-url --upgrade --quiet

setup: $(VENV)/.installed

$(DAGSTER_HOME)/dagster.yaml: dagster.yaml
	mkdir -p $(DAGSTER_HOME)
	ln -sfn ../dagster.yaml $@

$(BIN)/uv:
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14) and "Python 3.11 to 3.13 is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

$(VENV)/.installed: requirements.lock pyproject.toml | $(BIN)/uv
	$(BIN)/uv pip sync --quiet --compile-bytecode requirements.lock
	$(BIN)/uv pip install --quiet --no-deps -e .
	$(BIN)/python -m compileall -q gr2st_core gr2st_assets
	touch $@

browser:
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
		&& { apt-get update -qq && apt-get install -y -qq chromium >/dev/null; } || true; }
