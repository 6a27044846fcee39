# Everything runs in .venv, made from requirements.lock. `make` alone lists the targets.
PYTHON ?= python3
BIN := .venv/bin
# -qq leaves errors, but no warnings about a package index.
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check
INSTALLED := .venv/.installed
JSON ?= _build/benchmarks
# What is typed for a chapter reaches the command as it is, without make or the shell reading blanks, quotes or $$ in it.
override export NAME := $(value NAME)
override export PARAMETERS := $(value PARAMETERS)

.DEFAULT_GOAL := help
.PHONY: help install book pdf reading chapter test chapters faults lint bench readme common-mode bounds live-units false-positives made-up-rises codecheck lock clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*## ' Makefile | awk -F ':.*## ' '{ printf "make %-11s %s\n", $$1, $$2 }'
	@echo 'Another Python: make PYTHON=python3.12 book. Further options of a tool: make test ARGS="-k alignment"'

install: $(INSTALLED) ## Install the pinned environment into .venv

book: $(INSTALLED) ## Compute what is missing and write the book: _build/html/index.html
	$(BIN)/jupyter-book build . $(ARGS)

pdf: $(INSTALLED) ## Print the book: _build/modularity-book.pdf; needs Chromium
	$(BIN)/modularity pdf

reading: $(INSTALLED) ## Count what there is to read in the built book; ARGS="--limit-words 4500 --limit-figures 12"
	$(BIN)/modularity reading $(ARGS)

chapter: $(INSTALLED) ## Run one chapter again: NAME=measures PARAMETERS="dropout=0.7 layer=2"
	@test -n "$$NAME" || { echo 'Say which chapter: make chapter NAME=measures PARAMETERS="dropout=0.7 layer=2"'; exit 2; }
	$(BIN)/modularity chapter "$$NAME" --parameters "$$PARAMETERS" $(ARGS)

test: $(INSTALLED) ## Run the tests; those of the pages need the book and Chromium
	$(BIN)/python -m pytest $(ARGS)

chapters: $(INSTALLED) ## Run every chapter with other parameters; minutes
	$(BIN)/python -m pytest -m chapters $(ARGS)

faults: $(INSTALLED) ## Kill, damage and starve runs, and start every benchmark; minutes
	$(BIN)/python -m pytest -m slow $(ARGS)

lint: $(INSTALLED) ## Check format, style and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(INSTALLED) ## Measure the speed of the library, on an idle machine; ARGS=--smallest just tries it; JSON=folder
	@for name in imports training late_epochs module_search best_search similarity own_networks agreement analysis overhead; do echo "== $$name"; \
		OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python benchmarks/$$name.py --json $(JSON) $(ARGS) || exit 1; done

readme: $(INSTALLED) ## Write the README's table of verdicts and the book's cover from the study v1
	$(BIN)/modularity readme

common-mode: $(INSTALLED) ## Measure what units have in common in all runs of v1, from the store, into data/common_mode
	$(BIN)/modularity common-mode

bounds: $(INSTALLED) ## Bound Q of all partitions for matrices of v1, into data/bounds: some minutes
	$(BIN)/modularity bounds

live-units: $(INSTALLED) ## Test agreement over live units in all shipped studies, into data/live_units; 10 minutes
	@for study in v1 final-base final-wide final-deep; do $(BIN)/modularity live-units $$study || exit 1; done

false-positives: $(INSTALLED) ## Measure how often each null of test_modules errs, into data/false_positives; 20 minutes
	$(BIN)/modularity false-positives

made-up-rises: $(INSTALLED) ## Try the rule of what a rise of Q is where the truth is known, into data/made_up_rises; 20 minutes
	$(BIN)/modularity made-up-rises

codecheck: $(INSTALLED) ## Make the outputs of codecheck.yml again and say what differs; minutes, full MNIST
	cd data/results/v1 && sha256sum --quiet -c SHA256SUMS
	$(BIN)/modularity readme
	$(BIN)/modularity verify v1 --sample 3
	git diff --exit-code --stat -- README.md _static/cover.png

lock: ## Write requirements.lock and requirements.txt from pyproject.toml; needs uv
	uv pip compile --quiet --universal --python-version 3.11 --all-extras --no-annotate --no-header --generate-hashes \
		pyproject.toml --output-file requirements.lock $(ARGS)
	@# PyTorch goes without hashes: its wheel is another one for each platform and kind of accelerator.
	awk '/^[^ ]/ { torch = /^torch==/ } torch { if (/^torch==/) print $$1; next } 1' requirements.lock > requirements.lock.new
	mv requirements.lock.new requirements.lock
	@# The same without hashes: conda and Binder, which read it, mix it with requirements that have none.
	echo '# Written by `make lock`: the pins of requirements.lock, without hashes.' > requirements.txt
	sed -n -E 's/^([a-z0-9].*[^ \\])[ \\]*$$/\1/p' requirements.lock >> requirements.txt
	@echo 'Now `make install`, then `modularity reaffirm`: do the shipped results come out the same with these versions?'

clean: ## Remove the book and all caches; .venv and the results in .modularity stay
	rm -rf _build .pytest_cache .mypy_cache .ruff_cache

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, $(PYTHON) is " \
		+ sys.version.split()[0] + ". Name another one, as in: make PYTHON=python3.12 install")'
	@echo 'Installing into .venv: about 2 GB, some minutes ...'
	@$(PYTHON) -m venv .venv
	@grep -v '^torch==' requirements.lock > .venv/hashed.lock
	@$(PIP) --require-hashes --no-deps --requirement .venv/hashed.lock
	@$(PIP) "$$(grep '^torch==' requirements.lock)"
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@
