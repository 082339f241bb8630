# A machine needs Python 3.11 or newer and make; everything else is installed into .venv and var/.
# PYTHON=path selects a Python; otherwise it is the newest of python3.14 … python3.11 and python3.
PHOTOS ?=
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
LUNA := $(BIN)/python -m luna.embedded

# An environment whose Python is too old or was removed from the system: its stamps are void.
$(foreach venv,.venv .venv-mlserver,$(shell test ! -e $(venv) || sh tools/venv.sh --check $(venv) || rm -f $(venv)/*stamp))

.DEFAULT_GOAL := help
.PHONY: help demo up down run status networks test coverage mlserver lint docs bench clean

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: networks ## recognise a person in photographs, end to end (PHOTOS=dir for your own photographs)
	@$(LUNA) exec $(BIN)/python manage.py demo $(if $(PHOTOS),--photos "$(PHOTOS)")

up: .venv/serve.stamp ## start the platform in the background (LUNA_PORT, LUNA_WORKERS; docs/operations.md)
	@$(LUNA) up

down: .venv/serve.stamp ## stop the platform
	@$(LUNA) down

run: .venv/serve.stamp ## run the platform in the foreground
	@$(LUNA) run

status: .venv/serve.stamp ## print the running processes
	@$(LUNA) status

networks: .venv/serve.stamp ## build the default networks into var/networks
	@$(BIN)/python manage.py networks build

test: networks .venv/dev.stamp ## run the tests
	$(BIN)/python -m pytest -n 2 --dist loadfile

coverage: networks .venv/dev.stamp ## run the tests and print which lines and branches of apps they do not reach
	$(BIN)/python -m pytest -n 2 --dist loadfile --cov --cov-report=term

mlserver: networks .venv/dev.stamp .venv-mlserver/stamp ## test the networks on a real MLServer
	$(BIN)/python -m pytest tests/system/test_mlserver.py

lint: .venv/dev.stamp ## check style, types, layers and migrations
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy luna apps tools tests
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run

docs: .venv/dev.stamp ## refresh the OpenAPI snapshot, the token permissions page and the settings tables
	@$(BIN)/python manage.py spectacular --validate --fail-on-warn --file tests/conformance/openapi.yaml
	@$(BIN)/python manage.py permissions_page --file docs/permissions.md
	@$(BIN)/python manage.py settings_page --file docs/operations.md

bench: networks .venv/dev.stamp ## print the benchmark figures
	$(BIN)/python -m tests.perf

clean: ## stop everything; remove .venv, caches, networks and demo output (accounts, faces and events stay in var/)
	@! sh tools/venv.sh --check .venv || $(LUNA) down
	rm -rf .venv .venv-mlserver .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	rm -rf var/networks var/demo var/test var/test-gw*

.venv/serve.stamp: requirements.txt
	@PYTHON="$(PYTHON)" sh tools/venv.sh .venv
	@echo "Installing requirements.txt"
	@$(PIP) install -r requirements.txt
	@touch $@

.venv-mlserver/stamp: requirements-mlserver.txt
	@PYTHON="$(PYTHON)" sh tools/venv.sh .venv-mlserver
	@echo "Installing requirements-mlserver.txt"
	@.venv-mlserver/bin/python -m pip --disable-pip-version-check --quiet install -r requirements-mlserver.txt
	@touch $@

.venv/dev.stamp: requirements-dev.txt .venv/serve.stamp
	@echo "Installing requirements-dev.txt"
	@$(PIP) install -r requirements-dev.txt
	@touch $@
