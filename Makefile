# Everything a person runs. `make` alone lists it.
SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
SELECT ?= *
# How many processes test side by side.
TESTERS ?= 2
# One more than cores: many tests wait for a browser, a server or a process.
TEST_PROCESSES ?= 3

# Absolute, because Dagster starts processes of its own in other folders.
export DERMA_DATA_DIR ?= $(CURDIR)/data
# It ships with the project, wherever runs write to.
export DERMA_RELEASE_DIR ?= $(CURDIR)/data/release
# Trust what the machine trusts, as pip does: many clinics sit behind a proxy with a certificate of its own.
export UV_SYSTEM_CERTS ?= true
export NODE_USE_SYSTEM_CA ?= 1
override DERMA_STORAGE := $(if $(findstring ://,$(DERMA_STORAGE)),$(DERMA_STORAGE),$(abspath $(DERMA_STORAGE)))
export DERMA_STORAGE
export DAGSTER_HOME ?= $(DERMA_DATA_DIR)/dagster_home

.DEFAULT_GOAL := help
.PHONY: help setup home demo materialize card external folds study app release readme new-pictures rollback ui metrics test test-slow test-browser test-daemon test-real browser screenshots bench bench-memory bench-browser bench-reuse lint format lock clean test-recovery test-distributed clean-storage bench-scale test-cluster worker

help: ## list the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

setup: $(VENV)/.ready ## make .venv and install the pinned lock into it

$(VENV)/.ready: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or 3.12 is needed and was not found: install it, then run again"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' \
		|| { echo "Python 3.11 or 3.12 is needed; $(PYTHON) is $$($(PYTHON) -V). Name another: make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Setting up $(VENV): about 2 GB of packages, one to five minutes ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

home: setup
	@mkdir -p $(DAGSTER_HOME)
	@cmp -s derma_assets/automation/dagster.yaml $(DAGSTER_HOME)/dagster.yaml \
		|| cp derma_assets/automation/dagster.yaml $(DAGSTER_HOME)/dagster.yaml

demo: ## run the whole graph on the embedded sample, then say where to look
	@env -u DERMA_HAM10000_DIR DERMA_DATASET=sample $(MAKE) --no-print-directory materialize metrics
	@echo
	@echo "Open the app:           make app"
	@echo "Open the Dagster UI:    make ui"

materialize: home ## run a part of the graph, or all of it: make materialize SELECT='trained_model*'
	@PYTHONWARNINGS="ignore:Parameter \`include_sources,ignore:Function \`asset_materialize" $(BIN)/dagster asset materialize -m derma_assets.definitions \
		--select '$(SELECT)' --config-json '{"loggers": {"console": {}}}'

metrics: setup ## print the metric tables of the last run
	@$(BIN)/python -m derma_assets.evaluation.report

card: setup ## say where the model card of the last run is, to read, print and sign
	@$(BIN)/python -m derma_assets.evaluation.model_card

external: home ## validate on data sets of others: make external DERMA_EXTERNAL_DATASETS=name=folder,... [NAME=name] [MODEL=release]
	@names="$(or $(NAME),$(shell echo '$(DERMA_EXTERNAL_DATASETS)' | tr ',' '\n' | sed -n 's/^ *\([^= ]*\) *=.*/\1/p'))"; \
	test -n "$$names" || { echo "say which: make external DERMA_EXTERNAL_DATASETS=name=folder,...; see docs/external_validation.md"; exit 1; }; \
	export DERMA_EXTERNAL_DATASETS='$(DERMA_EXTERNAL_DATASETS)'; \
	asset="$$($(BIN)/python -m derma_assets.release.external asset --model "$(MODEL)")" || exit 1; \
	for name in $$names; do \
		PYTHONWARNINGS="ignore:Function \`asset_materialize" $(BIN)/dagster asset materialize -m derma_assets.studies \
			--select "$$asset" --partition $$name --config-json '{"loggers": {"console": {}}}' || exit 1; \
		$(BIN)/python -m derma_assets.release.external report $$name --model "$(MODEL)" || exit 1; \
	done

folds: home ## train and test a model for each fold, then average, and write docs/cross_validation.md: make folds DERMA_DATASET=ham10000
	@for fold in $$($(BIN)/python -c 'from derma_assets.settings import settings; print(*range(settings().folds))'); do \
		PYTHONWARNINGS="ignore:Function \`asset_materialize" $(BIN)/dagster asset materialize -m derma_assets.studies \
			--select fold_model,fold_predictions,fold_metrics --partition $$fold --config-json '{"loggers": {"console": {}}}' || exit 1; \
	done
	@PYTHONWARNINGS="ignore:Function \`asset_materialize" $(BIN)/dagster asset materialize -m derma_assets.studies \
		--select cross_validation_summary --config-json '{"loggers": {"console": {}}}'
	@$(BIN)/python -m derma_assets.evaluation.fold_report

study: home ## train every trial behind the default recipe that has not been, then print the table: make study DERMA_DATASET=ham10000 [TRIALS='base mixup']
	@for trial in $(or $(TRIALS),$$($(BIN)/python -m derma_assets.study.report --missing)); do \
		PYTHONWARNINGS="ignore:Function \`asset_materialize" $(BIN)/dagster asset materialize -m derma_assets.studies \
			--select trial_figures --partition $$trial --config-json '{"loggers": {"console": {}}}' || exit 1; \
	done
	@PYTHONWARNINGS="ignore:Function \`asset_materialize" $(BIN)/dagster asset materialize -m derma_assets.studies \
		--select study_table --config-json '{"loggers": {"console": {}}}'
	@$(BIN)/python -m derma_assets.study.report

app: setup ## serve the last bundle, or the release, on 127.0.0.1, or to phones in the network: make app LAN=1
	@$(BIN)/python -m derma_assets.browser.serve $(if $(LAN),--lan) \
		$(if $(CERTIFICATE),--certificate '$(CERTIFICATE)') $(if $(KEY),--key '$(KEY)')

release: setup ## put the stored model into data/release, to be committed: make release DERMA_DATASET=ham10000
	@$(BIN)/python -m derma_assets.release.write
	@$(MAKE) --no-print-directory readme

readme: setup ## write the release's figures into README.md and docs/ham10000.md
	@$(BIN)/python -m derma_assets.release.readme README.md docs/ham10000.md

new-pictures: setup ## write a batch of new sample pictures into the watched folder: make new-pictures N=60 [MISLABELLED=1]
	@$(BIN)/python -m derma_assets.dataset.sample_batch $(if $(N),--lesions $(N)) $(if $(MISLABELLED),--mislabelled)

rollback: setup ## serve the bundle that was served before the current one
	@$(BIN)/python -m derma_assets.promotion.rollback

clean-storage: setup ## list what is left behind in object storage, or remove it: make clean-storage REMOVE=1
	@$(BIN)/python -m derma_assets.storage.clean $(if $(REMOVE),--remove)

ui: home ## open the Dagster UI on 127.0.0.1:3000, with the runs so far
	@$(BIN)/dagster dev -m derma_assets.definitions -m derma_assets.studies -h 127.0.0.1 -p 3000

browser: setup
	@$(BIN)/python -m derma_assets.browser.install

test: setup browser ## pass the tests (finds or installs a browser)
	@$(BIN)/python -m pytest -q -n $(TEST_PROCESSES) --dist loadgroup --no-loadscope-reorder -m 'not browser and not daemon and not recovery and not cluster and not slow' --ignore=derma_assets_tests/real_data

test-slow: setup browser ## train for longer: several devices, folds, teachers, trials, the sample anew
	@$(BIN)/python -m pytest -q -n $(TESTERS) --dist loadgroup --no-loadscope-reorder -m slow --ignore=derma_assets_tests/real_data

test-browser: setup browser ## use the app in a real browser: every screen, offline, updates, picture formats
	@$(BIN)/python -m pytest -q -n $(TESTERS) --dist loadgroup -m browser --ignore=derma_assets_tests/real_data

test-daemon: setup browser ## drop pictures into the folder that a real `dagster dev` watches, and wait for the release
	@$(BIN)/python -m pytest -q -m daemon --ignore=derma_assets_tests/real_data

test-recovery: setup browser ## kill runs at random moments, let them go on, and compare with an undisturbed one
	@$(BIN)/python -m pytest -q -m recovery --ignore=derma_assets_tests/real_data

test-distributed: setup ## two processes train one model, one of them is killed, and both go on
	@$(BIN)/python -m pytest -q -m cluster derma_assets_tests/training

test-real: setup browser ## run the graph on a few hundred real lesions: make test-real DERMA_HAM10000_DIR=<folder>
	@test -n "$(DERMA_HAM10000_DIR)" || { echo "say where HAM10000 is: make test-real DERMA_HAM10000_DIR=<folder>"; exit 1; }
	@DERMA_HAM10000_DIR="$(abspath $(DERMA_HAM10000_DIR))" $(BIN)/python -m pytest -q derma_assets_tests/real_data

test-cluster: setup ## two hosts with real servers train five folds, one of them is killed: needs root, installs PostgreSQL and RabbitMQ
	@bash derma_assets_tests/cluster/install.sh
	@$(BIN)/python -m pytest -q -m cluster --ignore=derma_assets_tests/real_data

worker: home ## compute steps for a cluster on this host, see docs/cluster.md: make worker QUEUES=train,cpu
	@$(BIN)/celery -A derma_assets.execution.celery_worker worker -Q $(or $(QUEUES),train,cpu) -c $(or $(STEPS),1) --loglevel INFO

screenshots: setup browser ## take the pictures in docs/app anew, from the demo's bundle
	@DERMA_DATASET=sample $(BIN)/python -m derma_assets.browser.screenshots docs/app

bench: setup ## time training beside the paper's way (half an hour): make bench DERMA_DATASET=ham10000
	@$(BIN)/python -m derma_assets.training.benchmark_report $(OPTIONS)

bench-memory: setup browser ## watch the memory of a whole run (half an hour): make bench-memory DERMA_DATASET=ham10000 DERMA_EPOCHS=1
	@PYTHONWARNINGS="ignore:Parameter \`include_sources,ignore:Function \`asset_materialize" $(BIN)/python -m derma_assets.training.memory_report

bench-reuse: setup browser ## what a run computes after one thing has changed: make bench-reuse DERMA_DATASET=ham10000
	@$(BIN)/python -m derma_assets.automation.reuse_benchmark_report $(OPTIONS)

bench-scale: setup ## how time and memory grow with the data, up to a million rows (an hour): writes docs/scaling.md
	@$(BIN)/python -m derma_assets.automation.scale_benchmark_report $(OPTIONS)

bench-browser: setup browser ## time the last bundle beside other runtimes (half an hour): make bench-browser DERMA_DATASET=ham10000
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-bench.lock
	@$(BIN)/python -m derma_assets.browser.peers_report $(if $(RUNS),--runs $(RUNS)) $(if $(COLD_RUNS),--cold-runs $(COLD_RUNS))

lint: setup ## check style and types
	@$(BIN)/ruff check derma_assets derma_assets_tests
	@$(BIN)/ruff format --check derma_assets derma_assets_tests
	@$(BIN)/mypy

format: setup ## put the style right
	@$(BIN)/ruff format derma_assets derma_assets_tests
	@$(BIN)/ruff check --fix derma_assets derma_assets_tests

lock: setup ## resolve both lock files anew from pyproject.toml
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --extra dev --extra cluster pyproject.toml --output-file requirements.lock
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --group pyproject.toml:bench --constraint requirements.lock --output-file requirements-bench.lock

clean: ## remove what runs wrote (data/), not the release and not the environment
	@find data -mindepth 1 -maxdepth 1 ! -name README.md ! -name release -exec rm -rf {} +
