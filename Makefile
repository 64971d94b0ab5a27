PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint imports format clean

# pip runs only when the requirements changed since the last install.
.venv/.installed: pyproject.toml constraints.txt
	@echo "installing into .venv: 3 GB, some minutes without a line"
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

.venv/.installed-test: .venv/.installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test]'
	touch $@

# A browser for the tests of the bundle's page, looked for or fetched once. Where none can be had, those
# tests are skipped and the test run says so; with CI=true this fails.
.venv/.browser: | .venv/.installed-test
	@$(BIN)/python tests/export/browser.py
	@touch $@

demo: .venv/.installed
	$(BIN)/uml-tf train --risk-target 0.02

test: .venv/.installed-test .venv/.browser lint
	$(BIN)/python -m pytest

lint: .venv/.installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(MAKE) --no-print-directory imports

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
