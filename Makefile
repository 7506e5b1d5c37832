# Two commands do all the set-up: `make quickstart` and `make test`. Both are quick the second time.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TESTED := all,xgboost,lightgbm,onnx,skops,optimize

.PHONY: help quickstart test test-full check format tools clean

help:            ## Show this help
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

quickstart: $(VENV)/.installed  ## Install, and run the whole story: notebook to endpoint and back
	@$(BIN)/penstock quickstart

test: $(VENV)/.installed-dev tools check  ## Install what the tests need, and pass them
	@$(BIN)/pytest -n 3 --dist worksteal

test-full: $(VENV)/.installed-dev tools check  ## The same, and the tests that are too heavy for every day
	@scripts/test-tools full
	@$(BIN)/pytest -n 3 --dist worksteal -m ''

check: $(VENV)/.installed-dev  ## Lint, format and strict types
	@$(BIN)/ruff check --quiet src tests bench scripts
	@$(BIN)/ruff format --quiet --check src tests bench scripts
	@$(BIN)/mypy --no-error-summary

format: $(VENV)/.installed-dev  ## Rewrite the sources in the house's format
	@$(BIN)/ruff check --quiet --fix src tests bench scripts
	@$(BIN)/ruff format --quiet src tests bench scripts

tools: $(VENV)/.installed-dev  ## The real components that tests run against: mlflow, aws, podman, skopeo, ...
	@scripts/test-tools

clean:           ## Remove what these commands made inside the clone
	@rm -rf $(VENV) .venvs .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/.uv: scripts/make-venv
	@PYTHON=$(PYTHON) scripts/make-venv $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.uv pyproject.toml
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --editable '.[all]'
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.uv pyproject.toml
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --editable '.[$(TESTED)]' --group dev
	@touch $(VENV)/.installed $@
