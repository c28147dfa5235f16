# Options of the commands go in ARGS: make up ARGS="--port 9000", make test ARGS="-k execute"
ARGS ?=
# Processes that run the tests, which mostly wait for containers; 0 runs them in one, as a debugger wants it
WORKERS ?= 3
# Languages that `make test` builds and tests; what else is built here is tested too
LANGUAGES ?= bash python javascript typescript ruby php c cpp rust go java elixir commonlisp csharp
BIN := .venv/bin

# Image builds trust what pip on this machine is told to trust.
export UNSANDBOX_EMULATOR_EXTRA_CA ?= $(PIP_CERT)

.DEFAULT_GOAL := help
.PHONY: help up test contract check bench image lock clean venv venv-dev docker

help: ## show this
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: venv docker ## start the emulator; the first time this builds its images
	@$(BIN)/unsandbox-emulator up $(ARGS)

test: venv-dev docker ## run the tests, in real containers
	@$(BIN)/unsandbox-emulator runtimes build $(LANGUAGES) shell
	@$(BIN)/pytest --numprocesses=$(WORKERS) --dist=loadfile $(ARGS)

contract: venv-dev docker ## the contract suite and its proof, against an emulator of their own
	@$(BIN)/unsandbox-emulator runtimes build
	@$(BIN)/unsandbox-emulator runtimes build shell
	@$(BIN)/python -m scripts.contract $(ARGS)

check: venv-dev ## lint, formatting, types
	@scripts/check

bench: venv docker ## measure against the bars; exit status 3 when one is missed
	@$(BIN)/unsandbox-emulator runtimes build
	@$(BIN)/unsandbox-emulator runtimes build shell
	@$(BIN)/python -m scripts.bench $(ARGS)

image: venv docker ## build the emulator's own image, for docker-compose.yml
	@$(BIN)/python -m scripts.build_image

lock: venv-dev ## write the lock files; ARGS=--upgrade takes the newest versions
	@scripts/lock $(ARGS)

clean: ## remove what was made here; images and volumes of the emulator stay
	rm -rf .venv .build build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find contract emulator tests scripts -name __pycache__ -prune -exec rm -rf {} +

venv:
	@scripts/ensure-venv

venv-dev:
	@scripts/ensure-venv dev

docker: | venv
	@scripts/ensure-docker
