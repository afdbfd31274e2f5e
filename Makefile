# Developers, hooks and CI call the same targets. `make help` lists them.
PYTHON ?= python3
BIN := .venv/bin
UNIT := -m "not docker and not model and not browser"
COMPILE := uv pip compile --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links

.DEFAULT_GOAL := help
.PHONY: help setup engine image model browser clients demo check test test-unit coverage fuzz lint typecheck format \
    hooks mcp-check lock docs reference golden bench release-check clean

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | awk -F'|' '{ printf "%-13s %s\n", $$1, $$2 }'

setup: .venv/ready ## Make .venv with the locked dependencies and Cellblock itself

.venv/ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv || { apt-get update -qq && apt-get install -qq -y python3-venv && $(PYTHON) -m venv .venv; }
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

engine: ## Find a running Docker engine, or install and start one on Debian or Ubuntu as root
	bash images/engine.sh

image: setup engine ## Build the sandbox image, unless it exists
	$(BIN)/cellblock image build

model: setup ## Download the built-in model, unless it is installed
	$(BIN)/cellblock model pull

browser: ## Install chromium for the tests of exported pages, unless it is installed
	bash images/browser.sh

clients: tests/clients/node_modules/.package-lock.json ## Install the Node clients for the tests of the server

tests/clients/node_modules/.package-lock.json: tests/clients/package-lock.json | setup
	$(BIN)/npm ci --prefix tests/clients --ignore-scripts --no-audit --no-fund --loglevel error
	touch $@

demo: image model ## Ask the built-in model a question that needs the sandbox
	$(BIN)/cellblock run "What is 123 to the power of 21?"

check: lint test-unit ## Lint and run the unit tests; run this before each commit

test: image model browser clients lint ## Run every check and test; the model wants all cores for itself
	$(BIN)/pytest --numprocesses auto --dist loadfile -m "not model"
	$(BIN)/pytest -m model

test-unit: setup ## Run the tests that need neither Docker nor the model, on all cores
	$(BIN)/pytest --quiet --numprocesses auto $(UNIT)

mcp-check: image ## Run the conformance suite of MCP against the server, in both eras (needs npm)
	$(BIN)/python -m tests.agent.mcp.conformance

coverage: setup ## Run the unit tests and list the lines that no test reaches
	$(BIN)/pytest --quiet --numprocesses auto $(UNIT) --cov --cov-report term-missing:skip-covered

fuzz: setup ## Test the parsers of model output with 100,000 cases, and each reader of runs with 10,000 mutated runs
	$(BIN)/pytest -m hypothesis --hypothesis-profile=fuzz --timeout=0 \
	    tests/agent/endpoint/test_assembly.py tests/agent/calls tests/agent/test_testing.py tests/agent/prompting
	$(BIN)/python -m tests.agent.record.fuzz.running --count 10000

lint: setup typecheck ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

typecheck: setup ## Check types
	$(BIN)/mypy

format: setup ## Rewrite the code in the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

hooks: setup ## Install git hooks: make lint before each commit, make check before each push
	$(BIN)/pre-commit install

lock: ## Lock the newest allowed dependencies (needs uv)
	$(COMPILE) pyproject.toml --extra local --extra mcp --extra ray --extra server --group clients --group dev \
	    --group docs --universal --python-version 3.11 --upgrade -o requirements.lock
	$(COMPILE) images/requirements.in --python-version 3.13 --python-platform linux --only-binary :all: --upgrade \
	    --no-emit-package debugpy --no-emit-package jedi --no-emit-package parso -o images/requirements.lock

docs: setup ## Build the documentation into build/docs; a warning is an error
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going --nitpicky --builder html \
	    --conf-dir docs --doctree-dir build/doctrees . build/docs

reference: setup ## Rewrite the tables in the documentation that are generated from the code
	$(BIN)/python -m tests.docs.reference

golden: setup ## Record the golden runs and their exports again
	$(BIN)/python -m tests.golden.writing

bench: image ## Run the benchmarks and print tables with baselines
	$(BIN)/python -m benchmarks.session
	$(BIN)/python -m benchmarks.loop
	$(BIN)/python -m benchmarks.batch
	$(BIN)/python -m benchmarks.record

release-check: setup ## Build the wheel and the sdist, and test the wheel in a new environment
	rm -rf dist build/release && mkdir -p build/release
	$(BIN)/hatchling build
	$(BIN)/pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation \
	    --wheel-dir build/release dist/cellblock-*.tar.gz
	cmp dist/*.whl build/release/*.whl
	sed -n '/^[a-z]/s/ \\$$//p' requirements.lock > build/release/constraints.txt
	$(PYTHON) -m venv build/release/venv
	build/release/venv/bin/pip install --quiet --disable-pip-version-check \
	    --constraint build/release/constraints.txt dist/cellblock-*.whl
	cd build/release && venv/bin/python -c "import cellblock; [getattr(cellblock, name) for name in cellblock.__all__]"
	cd build/release && venv/bin/cellblock --version && venv/bin/cellblock model ls

clean: ## Remove .venv, caches and build output; the engine, the image and the model stay
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage build dist
