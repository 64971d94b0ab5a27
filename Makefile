PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint style types imports format clean

# Modules are compiled when they are first imported, not all while they are installed: most never are.
INSTALL := $(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt --editable

# pip runs only when the requirements changed since the last install.
.venv/.installed: pyproject.toml constraints.txt
	@echo "installing into .venv: 3 GB, some minutes without a line"
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(INSTALL) .
	touch $@

.venv/.installed-test: pyproject.toml constraints.txt
	@echo "installing into .venv: 3 GB, some minutes without a line"
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(INSTALL) '.[test]'
	touch .venv/.installed $@

# A browser for the tests of the bundle's page, looked for or fetched once. Where none can be had, those
# tests are skipped and the test run says so; with CI=true this fails.
.venv/.browser: | .venv/.installed-test
	@$(BIN)/python tests/export/browser.py
	@touch $@

demo: .venv/.installed
	$(BIN)/uml-tf train --risk-target 0.02

# The checks of the code have one thread each, so two run at a time.
test: .venv/.installed-test
	$(MAKE) --no-print-directory -j2 .venv/.browser lint
	$(BIN)/python -m pytest

lint: types imports style

style: .venv/.installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: .venv/.installed-test
	$(BIN)/mypy

# The tree as it is installed: cli and export inside uml_tf. The import linter follows no package-dir mapping.
imports: .venv/.installed-test
	@rm -rf build/imports && mkdir -p build/imports && cp -rL uml_tf build/imports/
	@cp -r cli export build/imports/uml_tf/
	cd build/imports && $(CURDIR)/$(BIN)/lint-imports --no-cache --no-logo $(CURDIR)/pyproject.toml

format: .venv/.installed-test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv build *.egg-info
