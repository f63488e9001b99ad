# Each target sets up .venv by itself; nothing else has to be installed but Python 3.11 to 3.13.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
LOWEST := build/lowest
export OMP_NUM_THREADS := 1
export MKL_NUM_THREADS := 1

AXE := $(VENV)/axe/node_modules/axe-core/axe.min.js

.PHONY: demo answer test lowest lint axe docs gallery benchmark clean

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	# It works with what is there, and pins what is five years old.
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-deps neurox
	touch $@

demo: $(READY)
	$(BIN)/python -m lstm_probe train units=32

# What num_units means and how many are needed, as a page: some minutes on all processors; a second time, seconds.
answer: $(READY)
	$(BIN)/python -m lstm_probe train experiment=num_units
	$(BIN)/python -m lstm_probe reproduce name=num_units

test: lint
	$(BIN)/python -m pytest -n 2 --dist worksteal

# Whether the lowest versions that pyproject.toml allows are enough: in a folder of their own, of some gigabytes, for such
# a torch brings CUDA. What old libraries deprecate in each other, and that pandas 2 gives NumPy's int, is their own affair.
lowest:
	$(PYTHON) -m venv --clear $(LOWEST)
	sed -nE 's/^ *"([a-z0-9-]+)>=([0-9.]+).*/\1==\2/p' pyproject.toml > $(LOWEST)/versions.txt
	$(LOWEST)/bin/python -m pip install --quiet --constraint $(LOWEST)/versions.txt --editable '.[keras,onnx]' \
		pytest hypothesis beartype keras onnxruntime
	JAXTYPING_DISABLE=1 $(LOWEST)/bin/python -m pytest -m "not slow" -W ignore::DeprecationWarning \
		tests/core tests/probing tests/recorder

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/mypy lstm_probe

docs: $(READY)
	$(BIN)/python -m sphinx -nWEq --keep-going docs build/docs
	@echo build/docs/index.html

gallery: $(READY)
	$(BIN)/python scripts/gallery.py

# What the tests ask whether pages can be used without eyes or mouse.
axe: $(AXE)

$(AXE): $(READY)
	npm install --no-save --no-audit --no-fund --ignore-scripts --prefix $(VENV)/axe axe-core@4.14.1
	touch $@

benchmark: $(READY)
	$(BIN)/python scripts/benchmark.py recording

clean:
	rm -rf $(VENV) build dist *.egg-info .hypothesis .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
