# `make demo` and `make test` set everything up on their first run; see setup.sh.
RANKS = 2
SIZE = 0.8
OUT = results/cycle_1C

PYTHON = .venv/bin/python
MPIRUN = .venv/bin/mpirun
STAGES = $(PYTHON) tests/stages.py --mpirun $(MPIRUN)

.PHONY: help setup demo docs lint test test-slow test-portable robustness lock clean

help:
	@echo "make demo [RANKS=2 SIZE=0.8 OUT=...]  the 1C cycle of a polycrystalline particle, with pictures"
	@echo "make test                   lint, and the tests on 1, 2 and 3 ranks"
	@echo "make test FILE=tests/...    one file, or one test of it (FILE::name), where it runs"
	@echo "make test-slow [FILE=...]   the same with the tests that take minutes"
	@echo "make test-portable [CONFIG=Haswell FILE=...]"
	@echo "                            the tests as on other processors and with meshes numbered otherwise"
	@echo "make robustness [TRY='--inputs 150 --files 660 --faults 220']"
	@echo "                            wrong inputs, damaged files and killed runs, with fresh seeds; counts"
	@echo "make docs                   these pages, in docs/_build/html; warnings are errors"
	@echo "make lint                   style, types and the walls between the folders"
	@echo "make setup                  make .venv; the others do so when it is needed"
	@echo "make lock                   pin the wheels to the versions that .venv has now"
	@echo "make clean                  remove .venv, results and caches"

setup:
	@./setup.sh

demo: setup
	$(MPIRUN) -n $(RANKS) $(PYTHON) demos/cycle_1C.py --size $(SIZE) --out $(OUT) --resume

# Without a network; a link within the pages that leads nowhere is an error.
docs: setup
	$(PYTHON) -m sphinx -q -b html -W --keep-going docs docs/_build/html

robustness: setup
	$(PYTHON) -m tests.robustness $(TRY)

lint: setup
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy
	$(PYTHON) -c 'from importlinter.cli import lint_imports_command; lint_imports_command()' --no-logo

# All stages run, also after one that failed; the last line says which did.
test: setup
	@$(STAGES) $(FILE)

test-slow: setup
	@$(STAGES) --slow $(FILE)

test-portable: setup
	@$(STAGES) --portable $(if $(CONFIG),--config $(CONFIG)) $(FILE)

# Delete .venv first to take the newest versions.
lock: setup
	$(PYTHON) -m pip freeze --exclude-editable --exclude pip --exclude setuptools --exclude uv > constraints.txt

clean:
	rm -rf .venv build dist results docs/_build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
