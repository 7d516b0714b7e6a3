# Assent: `make demo` to see it work, `make test` to prove it. Both set up what they need in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Every file pip installs must have a hash named in the requirements; the project itself is built by what they name.
INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check
# The files name every package there is: nothing to resolve, and nothing to compile that may never be imported.
INSTALL_LOCKED := $(INSTALL) --no-deps --no-compile --require-hashes
INSTALL_PROJECT := $(INSTALL) --no-deps --no-build-isolation --editable .
# In the order of the folders: what takes long begins first, and what is short fills up the end.
PYTEST := $(BIN)/python -m pytest --numprocesses=4 --dist=loadscope --no-loadscope-reorder
# Measuring coverage takes two thirds more time: what runs whole journeys, or the same again on PostgreSQL, does without.
JOURNEYS := (e2e and not measured) or properties or contract or postgresql
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --no-annotate --no-header --upgrade pyproject.toml

# Whatever Python is told elsewhere: without keeping what it compiled, each process of the tests compiles all anew.
unexport PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX := $(CURDIR)/$(VENV)/pycache

.DEFAULT_GOAL := help
.PHONY: help demo unit test test-all interop lint docs format bench lock clean

help: ## Show what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: $(VENV)/.installed ## Run everything on this machine: Slack sandbox, mailbox, sample requests
	@exec $(BIN)/assent demo

unit: $(VENV)/.installed-dev ## Run the pure tests, in seconds: the inner loop (ARGS='-k delegate')
	@$(BIN)/python -m pytest tests/unit -q -p no:xdist -p no:schemathesis -m "not thorough" --hypothesis-profile=quick $(ARGS)

test: $(VENV)/.installed-dev ## Run every test, with a real PostgreSQL and a real browser, or some: ARGS='-k delegate'
	@tests/support/provision.sh
ifdef ARGS
	@$(PYTEST) $(ARGS)
else
	@$(PYTEST) -m "not ($(JOURNEYS))" --cov --cov-report=
	@$(PYTEST) -m "$(JOURNEYS)"
endif

test-all: $(VENV)/.installed-dev ## Run every test with ten times the random examples
	@tests/support/provision.sh
	@$(PYTEST) --hypothesis-profile=long $(ARGS)

interop: $(VENV)/.installed-dev ## Try Assent with the real programs it names; the first time they are installed
	@tests/interop/provision.sh
	@PATH="$(CURDIR)/$(VENV)/interop/claude-code/node_modules/.bin:$$PATH" \
		$(BIN)/python -m pytest -v -s -o faulthandler_timeout=900 -o norecursedirs=".* dags" tests/interop

lint: $(VENV)/.installed-dev ## Check style, types and the direction of imports
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

docs: $(VENV)/.installed-dev ## Build the documents as a site into site/; a broken link or an unknown name fails
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

format: $(VENV)/.installed-dev ## Format the code, and mend what ruff can mend
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

bench: $(VENV)/.installed-dev ## Measure gate round trips beside the bare drivers
	@tests/support/provision.sh
	@$(BIN)/python -m bench.gate

lock: $(VENV)/.installed-dev ## Resolve the newest dependencies into requirements*.txt
	@$(LOCK) --extra server --group build --output-file requirements.txt
	@$(LOCK) --all-extras --group dev --constraints requirements.txt --output-file requirements-dev.txt

clean: ## Remove everything that make, Python and the tools made
	rm -rf $(VENV) build dist site htmlcov .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "Assent needs Python 3.11 or newer, and there is no '$(PYTHON)'. \
	Install it, or name one: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Assent needs Python 3.11 or newer; \
	'$(PYTHON)' is $$($(PYTHON) --version). Name a newer one: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "Python's venv module is missing. \
	On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements.txt pyproject.toml | $(BIN)/python
	@echo "Installing Assent into $(VENV) …"
	@$(INSTALL_LOCKED) --requirement requirements.txt
	@$(INSTALL_PROJECT)
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	@echo "Installing the development tools into $(VENV) …"
	@$(INSTALL_LOCKED) --requirement requirements-dev.txt
	@touch $@
