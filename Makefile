# A machine needs Python 3.11 or newer and make; everything else is installed into .venv and var/.
# PYTHON=path selects a Python; otherwise it is the newest of python3.14 … python3.11 and python3.
PHOTOS ?=
KEEP ?=
FILE ?= var/luna.dump
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
LUNA := $(BIN)/python -m luna.embedded
SERVE := .venv/serve-$(firstword $(shell cksum requirements.txt)).stamp

# An environment whose Python is too old or was removed from the system: its stamps are void.
$(foreach venv,.venv .venv-mlserver,$(shell test ! -e $(venv) || sh tools/venv.sh --check $(venv) || rm -f $(venv)/*stamp))

# Without cached bytecode, every process compiles the platform anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo up down run status dump restore networks test coverage mlserver lint docs bench clean

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: networks ## recognise a person in photographs (PHOTOS=dir: your own; KEEP=1: keep platform and data)
	@$(LUNA) exec $(if $(KEEP),--keep) $(BIN)/python manage.py demo $(if $(PHOTOS),--photos "$(PHOTOS)") $(if $(KEEP),--keep)

up: networks ## start the platform in the background (LUNA_PORT, LUNA_WORKERS; docs/operations.md)
	@$(LUNA) up

down: $(SERVE) ## stop the platform
	@$(LUNA) down

run: networks ## run the platform in the foreground
	@$(LUNA) run

status: $(SERVE) ## print the running processes
	@$(LUNA) status

dump: $(SERVE) ## write the database into a file (FILE=var/luna.dump)
	@$(LUNA) dump "$(FILE)"

restore: $(SERVE) ## restore the database from such a file (FILE=var/luna.dump)
	@$(LUNA) restore "$(FILE)"

networks: $(SERVE) ## build the default networks into var/networks, and fetch the sample photographs
	@$(BIN)/python manage.py networks build

test: networks .venv/dev.stamp ## run the tests
	$(BIN)/python -m pytest -n 3 --dist loadfile

coverage: networks .venv/dev.stamp ## run the tests and print which lines and branches of apps they do not reach
	$(BIN)/python -m pytest -n 2 --dist loadfile --cov --cov-report=term

mlserver: networks .venv/dev.stamp .venv-mlserver/stamp ## test the networks on a real MLServer
	$(BIN)/python -m pytest tests/system/test_mlserver.py

lint: .venv/dev.stamp ## check style, types, layers and migrations
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy luna apps tools tests clients/python
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run

docs: .venv/dev.stamp ## refresh the OpenAPI snapshot, the Python client, the pages of permissions and services, and the settings tables
	@$(BIN)/python manage.py spectacular --validate --fail-on-warn --file tests/conformance/openapi.yaml
	@$(BIN)/python -m tools.client
	@$(BIN)/python manage.py permissions_page --file docs/permissions.md
	@$(BIN)/python manage.py services_page --file docs/services.md
	@$(BIN)/python manage.py settings_page --file docs/operations.md
	@$(BIN)/python manage.py manual_settings_page --file docs/settings.md

bench: networks .venv/dev.stamp ## print the benchmark figures
	$(BIN)/python -m tests.perf

clean: ## stop everything; remove .venv, caches, networks and demo output (accounts, faces and events stay in var/)
	@! sh tools/venv.sh --check .venv || $(LUNA) down
	rm -rf .venv .venv-mlserver .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	rm -rf var/networks var/demo var/test var/test-gw*

# The stamp is named by the content of the requirements: a copy may keep old times.
$(SERVE): requirements.txt
	@PYTHON="$(PYTHON)" sh tools/venv.sh .venv
	@echo "Installing requirements.txt"
	@$(PIP) install -r requirements.txt
	@rm -f .venv/serve*.stamp
	@touch $@

.venv-mlserver/stamp: requirements-mlserver.txt
	@PYTHON="$(PYTHON)" sh tools/venv.sh .venv-mlserver
	@echo "Installing requirements-mlserver.txt"
	@.venv-mlserver/bin/python -m pip --disable-pip-version-check --quiet install -r requirements-mlserver.txt
	@touch $@

.venv/dev.stamp: requirements-dev.txt requirements-milvus.txt requirements-otel.txt $(SERVE)
	@echo "Installing requirements-dev.txt"
	@$(PIP) install -r requirements-dev.txt
	@touch $@
