# People, hooks and CI call the same targets. `make help` lists them.
PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help setup engine image model browser demo test test-unit fuzz lint format lock readme golden bench clean

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | awk -F'|' '{ printf "%-10s %s\n", $$1, $$2 }'

setup: .venv/ready ## Make .venv with the locked dependencies and Cellblock itself

.venv/ready: .requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv || { apt-get update -qq && apt-get install -qq -y python3-venv && $(PYTHON) -m venv .venv; }
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r .requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

engine: ## Make a Docker engine answer; installs one on Debian or Ubuntu as root
	bash images/engine.sh

image: setup engine ## Build the sandbox image, unless it is there
	$(BIN)/cellblock image build

model: setup ## Download the built-in model, unless it is there
	$(BIN)/cellblock model pull

browser: ## Install chromium for the tests of exported pages, unless it is there
	bash images/browser.sh

demo: image model ## Ask the built-in model a question that needs the sandbox
	$(BIN)/cellblock run "What is 123 to the power of 21?"

test: image model browser lint ## Run every check and test
	$(BIN)/pytest

test-unit: setup ## Run the tests that need neither Docker nor the model
	$(BIN)/pytest -m "not docker and not model and not browser"

fuzz: setup ## Put 100,000 cases through what models write, and 10,000 mutated runs before each reader of runs
	$(BIN)/pytest -m hypothesis --hypothesis-profile=fuzz --timeout=0 \
	    tests/agent/endpoint/test_assembly.py tests/agent/calls tests/agent/test_testing.py tests/agent/prompting
	$(BIN)/python -m tests.agent.record.fuzz.running --count 10000

lint: setup ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup ## Rewrite the code in the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: ## Choose the newest allowed dependencies anew (needs uv)
	uv pip compile pyproject.toml --extra local --extra ray --group dev --universal --python-version 3.11 --upgrade \
	    --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links -o .requirements.lock
	uv pip compile images/requirements.in --python-version 3.13 --python-platform linux --only-binary :all: --upgrade \
	    --no-emit-package debugpy --no-emit-package jedi --no-emit-package parso \
	    --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links -o images/requirements.lock

readme: setup ## Write the table of sandbox options into the README anew
	$(BIN)/python -m tests.policy_table

golden: setup ## Record the golden runs and their exports anew
	$(BIN)/python -m tests.golden.writing

bench: image ## Measure, and print tables with their baselines
	$(BIN)/python -m benchmarks.session
	$(BIN)/python -m benchmarks.loop
	$(BIN)/python -m benchmarks.batch
	$(BIN)/python -m benchmarks.record

clean: ## Remove .venv and caches; the engine, the image and the model stay
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis
