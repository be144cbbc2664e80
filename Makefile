# groundswell: `make` prints the targets.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.groundswell-setup

.DEFAULT_GOAL := help
.PHONY: help setup demo test check bench docs kafka stack faults fuzz replays lock pictures

help:  ## print these targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

setup: $(STAMP)  ## create .venv with everything that is pinned in requirements.lock

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

demo: setup  ## replay the demo archive, open the board, show the alert
	$(BIN)/groundswell demo

test: setup  ## run every test (parts whose peers are missing say so)
	$(BIN)/python -m tests.halves

check: setup  ## lint, types, layers, documentation, sizes
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/house/test_layers.py tests/house/test_house.py tests/house/test_docs.py
	$(BIN)/python -m bench.sizes

bench: setup  ## side-by-side benchmarks, printed as ratios
	$(BIN)/python -m bench

docs: setup  ## rebuild the generated pages (docs/cli.md, docs/settings.md)
	$(BIN)/python -m docs.generate

pictures: setup  ## take the pictures of docs/images anew, from the demo (needs Chromium)
	$(BIN)/python -m docs.pictures

kafka: setup  ## start one KRaft node on loopback for development
	deploy/kafka/start.sh

stack: setup  ## start Kafka, PostgreSQL, groundswell, Prometheus and Alertmanager on this machine, without containers
	$(BIN)/python deploy/stack/start.py

faults: setup  ## do every fault of the long list to real brokers, workers and database, and write docs/faults.md
	$(BIN)/python -m tests.faults

fuzz: setup  ## 100,000 mutated answers through every parser of ingest/types
	$(BIN)/python -m tests.fuzz

replays: setup  ## run the real replay archives and write docs/replays.md
	$(BIN)/python -m bench.replays

lock:  ## resolve requirements.lock afresh (needs uv from the dev extra)
	$(BIN)/uv pip compile -q --python-version 3.11 --generate-hashes --no-header --no-annotate --extra dev pyproject.toml -o requirements.lock
