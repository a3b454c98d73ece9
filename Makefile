# `make demo` and `make test` set everything up on their first run; see setup.sh.
RANKS = 2
SIZE = 0.8
OUT = results/cycle_1C

PYTHON = .venv/bin/python
PYTEST = $(PYTHON) -m pytest
MPIRUN = .venv/bin/mpirun
IN_PARALLEL = -n auto --maxprocesses 4 --dist loadscope
ON_RANKS = -p no:cacheprovider

.PHONY: help setup demo lint test test-slow lock clean

help:
	@echo "make demo [RANKS=2 SIZE=0.8]  the 1C cycle of a polycrystalline particle, with pictures"
	@echo "make test                     lint, and the tests on 1, 2 and 3 ranks"
	@echo "make test-slow                the same with the tests that take minutes"
	@echo "make setup | lint | lock | clean"

setup:
	@./setup.sh

demo: setup
	$(MPIRUN) -n $(RANKS) $(PYTHON) demos/cycle_1C.py --size $(SIZE) --out $(OUT)

lint: setup
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy
	$(PYTHON) -c 'from importlinter.cli import lint_imports_command; lint_imports_command()' --no-logo

test: lint
	$(PYTEST) $(IN_PARALLEL) -m "not slow" -o faulthandler_timeout=600
	$(MPIRUN) -n 2 $(PYTEST) $(ON_RANKS) -m "mpi and not slow" -o faulthandler_timeout=300
	$(MPIRUN) -n 3 $(PYTEST) $(ON_RANKS) -m "mpi and not slow" -o faulthandler_timeout=300

test-slow: lint
	$(PYTEST) $(IN_PARALLEL) -o faulthandler_timeout=3600
	$(MPIRUN) -n 2 $(PYTEST) $(ON_RANKS) -m mpi -o faulthandler_timeout=3600
	$(MPIRUN) -n 3 $(PYTEST) $(ON_RANKS) -m mpi -o faulthandler_timeout=3600

# The versions that wheels are pinned to; delete .venv first to take the newest.
lock: setup
	$(PYTHON) -m pip freeze --exclude-editable --exclude pip --exclude setuptools --exclude uv > constraints.txt

clean:
	rm -rf .venv build dist results .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
