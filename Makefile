# Everything a fresh machine needs is Python >= 3.11 and make.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
# Test processes; all tests of a file run in one of them.
JOBS ?= 2
STAMP := $(VENV)/.installed

.PHONY: demo test check lint bench clean

demo: $(STAMP)  ## set up, then the main job on real bundled data
	$(BIN)/zkpot demo --out demo

test: $(STAMP)  ## set up, then all tests
	$(BIN)/python -m pytest tests -n $(JOBS) --dist loadfile

check: $(STAMP) lint test  ## what CI runs

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP)
	$(BIN)/zkpot bench

# torch is installed first and by its exact version: a looser request pulls gigabytes.
$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "zkpot needs Python 3.11 or newer (make PYTHON=...)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) demo build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
