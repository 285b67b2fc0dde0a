# Every target builds its own virtual environment from pinned versions first, if it is not up to date.

PYTHON ?= python3
# Benches are bound by the compiler: one pytest worker per core is as fast as it gets.
JOBS ?= 2

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help demo test lint types tables clean

help:
	@echo "make demo   generate an accelerator, compile the embedded model, run it on the RTL, compare with golden"
	@echo "make test   the whole test suite (JOBS=$(JOBS) workers)"
	@echo "make lint   ruff: rules and format"
	@echo "make types  mypy on the built wheel, where the subpackages lie as users import them"
	@echo "make tables installs place and route for all FPGA families (110 MB) and renews docs/synthesis.md: hours of a core"
	@echo "make clean  remove build products (the virtual environment and the user's cache stay)"

demo: $(STAMP)
	@$(BIN)/celosia demo

test: $(STAMP)
	@$(BIN)/python -m pytest -n $(JOBS) --dist worksteal

lint: $(STAMP)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .

types: $(STAMP)
	@rm -rf build/types && mkdir -p build/types
	@$(BIN)/python -m build --wheel --outdir build/types . >build/types/log 2>&1 || { cat build/types/log >&2; exit 2; }
	@$(BIN)/python -m zipfile -e build/types/*.whl build/types/site
	@MYPYPATH=build/types/site $(BIN)/mypy --package celosia

tables: $(STAMP)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[synth]'
	@$(BIN)/celosia synth --table docs/synthesis.md

clean:
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || \
		{ echo "$(PYTHON) not found: install Python 3.11 or newer, or say make PYTHON=/path/to/python" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is older than 3.11: install a newer Python and say make PYTHON=python3.11" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "$(PYTHON) cannot make virtual environments: install its venv package (Debian: apt install python3-venv)" >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing pinned packages into $(VENV) (about a minute the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[test,dev]'
	@touch $@
