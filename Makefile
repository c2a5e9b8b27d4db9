# make run    set up what is missing, then run the quickstart experiment (a second call resumes it)
# make test   set up what tests need, then run them all
# make lab    open JupyterLab on the notebooks

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCK := workbench/envs/pokemon/node/package-lock.json

.PHONY: run test lab setup lint clean

setup: $(VENV)/.installed

run: setup
	$(BIN)/workbench run params/quickstart.yaml

test: $(VENV)/.installed-test
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder

lab: setup
	$(BIN)/workbench lab

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# The stamps are newer than what they were made from, so set-up happens once and again only after a change.
# Modules are compiled as they are imported: compiling all of torch first would double the time.
$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
		|| { echo "$(PYTHON) is $$($(PYTHON) -V); the workbench needs Python 3.11 to 3.13: make PYTHON=/path/to/python"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.python pyproject.toml $(LOCK)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-compile --editable .
	$(BIN)/workbench setup
	@touch $@

$(VENV)/.installed-test: $(VENV)/.python pyproject.toml $(LOCK)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-compile --editable '.[test]'
	$(BIN)/workbench setup
	@touch $(VENV)/.installed $@

clean: # what set-up made; outputs/ stays
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis
