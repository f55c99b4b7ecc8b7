# Everything runs in .venv, which the first target makes. A target installs the extra that it needs, once, and again
# only when pyproject.toml changes.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

# Two workers share numba's on-disk cache, so each kernel is compiled about once.
PYTEST_ARGS ?= -n 2

.DEFAULT_GOAL := help
.PHONY: help demo test recipes lint format types docs bench dist wheel lowest clean
.NOTPARALLEL: # pip installs into one environment at a time

help:  ## say what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 10

demo: $(VENV)/.has-demo  ## compare fastemd with other solvers on real histograms
	$(BIN)/python -m benchmarks.compare

test: $(VENV)/.has-test  ## run the tests, and the examples of README.md
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(VENV)/.has-lint  ## check style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/zizmor --offline --quiet .github

format: $(VENV)/.has-lint  ## mend style and format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.has-types  ## check the types of the public modules
	$(BIN)/mypy

recipes: $(VENV)/.has-recipes  ## run the recipes for other frameworks, docs/guides/recipes
	$(BIN)/python -m pytest tests/recipes.py

docs: $(VENV)/.has-docs  ## build docs/_build/html; a warning is an error
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html

bench: $(VENV)/.has-bench  ## measure, and write the figures and tables of the documentation
	$(BIN)/python -m benchmarks

dist: $(VENV)/.has-release  ## build the wheel and the sdist, and check them
	rm -rf dist
	$(BIN)/python -m build --quiet
	$(BIN)/twine check --strict dist/*
	$(BIN)/check-wheel-contents dist/*.whl

wheel: dist  ## install the wheel in an empty environment, and test it there
	$(BIN)/python -m tests.wheel

lowest: dist  ## the same with the lowest numba, numpy and scipy
	$(BIN)/python -m tests.wheel --lowest

clean:  ## remove the environment and everything that was made
	rm -rf $(VENV) build dist docs/_build docs/_autosummary docs/_figures docs/gallery demo .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("fastemd needs Python 3.11 or later; name one: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.has-%: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[$*]'
	@touch $@
