# Everything a developer does, as one word each; `make help` lists them. GNU make 4.3 or later.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PINS := $(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --universal --python-version 3.11 --no-header

# Packages of Debian 12: the virtual environment's own, unless this Python has it; a browser and a Japanese font for the
# tests that look at pages, and what reads PDF; Java and what fetches Kafka, unless there are others; what pages people, for tests of alerts;
# a database server, for tests of the audit database.
KAFKA = $(shell command -v java >/dev/null || echo default-jre-headless) $(shell command -v mvn >/dev/null || echo maven)
SYSTEM = $(shell $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv) chromium fonts-noto-cjk poppler-utils prometheus-alertmanager postgresql $(KAFKA)

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this list
	@awk 'BEGIN {FS = ":[^#]*## "} /^[a-z-]+:[^#]*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: venv
venv: $(STAMP) ## Make the virtual environment .venv with all that is pinned

$(STAMP): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Sekimori needs Python 3.11 or later; name one: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || $(MAKE) system NEEDED=python3-venv
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# Only what is missing is installed, and only by root; everybody else is told what to ask for.
NEEDED ?= $(SYSTEM)
.PHONY: system
system: ## Install the Debian packages that tests need, where they are missing
	@missing=""; \
	if command -v dpkg-query >/dev/null; then \
	  for package in $(NEEDED); do \
	    dpkg-query -W -f '$${db:Status-Status}\n' "$$package" 2>/dev/null | grep -qx installed || missing="$$missing $$package"; \
	  done; \
	else \
	  command -v chromium >/dev/null || echo "not Debian: tests that draw pages need chromium and a Japanese font; install them yourself"; \
	  { command -v java && command -v mvn; } >/dev/null || echo "not Debian: tests with Kafka need Java 17 or later and Maven; install them yourself"; \
	fi; \
	[ -n "$$missing" ] || exit 0; \
	if [ "$$(id -u)" != 0 ]; then echo "missing on this machine; type: sudo apt-get install$$missing"; exit 1; fi; \
	echo "installing$$missing"; \
	export DEBIAN_FRONTEND=noninteractive; \
	apt-get -qq -o DPkg::Lock::Timeout=300 update </dev/null; \
	apt-get -qq -o DPkg::Lock::Timeout=300 install -y --no-install-recommends $$missing </dev/null >/dev/null

.PHONY: demo
demo: venv ## A month in a fictional office: logs, findings and a report in demo/
	$(BIN)/sekimori demo --out demo

.PHONY: kafka
kafka: venv ## A real Kafka at 127.0.0.1:9092 to play with, until Ctrl-C
	@$(MAKE) system NEEDED="$(KAFKA)"
	@$(BIN)/python -m tests.kafka

# A folder with keys, a configuration and a log, made once; what is in it may be changed and kept.
TRY := try

.PHONY: agent
agent: venv ## An agent that follows try/logs/*.log and streams to the Kafka of `make kafka`, until Ctrl-C
	@$(BIN)/python -m tests.kafka.trial $(TRY)
	@$(BIN)/sekimori collect -c $(TRY)/collector.toml

.PHONY: detect
detect: venv ## A detector that decides about what the agent of `make agent` sends, until Ctrl-C
	@$(BIN)/python -m tests.kafka.trial $(TRY)
	@$(BIN)/sekimori detect -c $(TRY)/detector.toml

TOPIC := access-events

.PHONY: consume
consume: venv ## What arrived in the Kafka of `make kafka`, on the console; TOPIC=findings: what was found
	@$(BIN)/python -m tests.kafka.consume $(TOPIC)

.PHONY: lint
lint: venv ## Check style and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

.PHONY: test
test: venv system lint ## What has to pass before every push, under 15 minutes on 2 cores
	$(BIN)/pytest -n 2 -m "not slow"

.PHONY: test-all
test-all: venv system lint ## The long tests as well
	$(BIN)/pytest -n 2

.PHONY: chaos
chaos: venv system ## A hundred random kills of an agent while its log is written, forty of detectors, thirty of both
	SEKIMORI_KILLS=100 $(BIN)/pytest tests/test_collect_chaos.py
	SEKIMORI_KILLS=40 SEKIMORI_RECORDS=100000 $(BIN)/pytest tests/detector/test_run.py tests/detector/archive/test_run.py -k "killed or frozen or slept"
	SEKIMORI_KILLS=40 $(BIN)/pytest tests/detector/channels/test_told.py -k "killed or slept"
	SEKIMORI_KILLS=30 SEKIMORI_RECORDS=100000 $(BIN)/pytest tests/detector/stream/test_chaos.py

.PHONY: pins
pins: venv ## Pin the requirements anew, with hashes
	$(PINS) -o requirements/runtime.txt requirements/runtime.in
	$(PINS) -o requirements/dev.txt -c requirements/runtime.txt requirements/dev.in
	$(PINS) -o requirements/benchmarks.txt -c requirements/runtime.txt requirements/benchmarks.in

.PHONY: wheel
wheel: venv ## Build the wheel into dist/
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation -w dist .
	@rm -rf build

.PHONY: clean
clean: ## Remove what was made here, apart from .venv
	rm -rf build dist demo out $(TRY) *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -path ./$(VENV) -prune -o -type d -name __pycache__ -exec rm -rf {} +
