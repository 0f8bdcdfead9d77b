# Everything runs in a virtual environment that the first target to need it makes: nothing but Python 3.11 or 3.12 is assumed.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
RUN ?= runs/demo

.PHONY: demo test test-all lint bench clean

# Images to a searched, retrained and compared backbone on synthetic persons; interrupted, the same command goes on. On one thread:
# its images are small, so a second one gains nothing, and on any number of cores the figures are those of docs/results.md.
# --resume where there is something to go on with: where there is nothing the tool says so, to a user who has not typed it.
demo: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python tools/pipeline.py --config configs/demo.yaml --out $(RUN) $(if $(wildcard $(RUN)/config.yaml),--resume)

# A process for each core (up to four), each of one thread: the tests' tensors are small, and a second thread waits for the first
# more than it works. A file stays with one process, since its tests share what is costly to make.
PYTEST := OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest -q -n logical --maxprocesses 4 --dist loadfile

test: $(STAMP)
	$(PYTEST)

# Also the tests that take minutes or need Market-1501 (under data/ or $$REID_DATA), and hypothesis draws other examples each time.
test-all: $(STAMP)
	$(PYTEST) --hypothesis-profile anew -m "slow or real or not slow"

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

bench: $(STAMP)
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/throughput.py
	$(BIN)/python benchmarks/supernet.py
	$(BIN)/python benchmarks/search.py
	$(BIN)/python benchmarks/data.py
	$(BIN)/python benchmarks/flops_table.py
	$(BIN)/python benchmarks/backbones.py
	$(BIN)/python benchmarks/evaluation.py

$(STAMP): setup.py pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(not (3, 11) <= v < (3, 13) and f"Python 3.11 or 3.12 is needed, this is {v[0]}.{v[1]}: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --progress-bar on --constraint constraints.txt --editable ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) runs/demo
