# The two commands to know: `make quickstart` and `make test`.
#
# PYTHON=python3.12    which Python makes .venv (3.11, 3.12 or 3.13)
# TORCH_INDEX=URL      where to take torch from; see README.md
# TESTS="-k store"     options of pytest
# ROWS="encode"        rows of make bench; all where not given
.POSIX:

PYTHON ?= python3
TORCH_INDEX ?=
TESTS ?= -n 2 --dist loadfile
ROWS ?=
BIN = .venv/bin
INSTALL = PYTHON="$(PYTHON)" TORCH_INDEX="$(TORCH_INDEX)" sh tools/install.sh

quickstart: .venv/.installed-minilm
	@$(BIN)/whet fit examples/support

test: .venv/.installed-test
	@$(BIN)/python -m pytest $(TESTS)

check: .venv/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python docs/generate.py --check
	@$(BIN)/python -m pytest $(TESTS)

docs: .venv/.installed-minilm
	@$(BIN)/python docs/generate.py

# Speed against peers and against itself; each row alone: ROWS="full-banking77 encode". Data and peers: benchmarks/sets.py.
bench: .venv/.installed-dev
	@$(BIN)/python benchmarks/speed.py $(ROWS)
	@$(BIN)/python benchmarks/write_results.py

# On a machine with a CUDA device, by its own Python: torch, transformers, PEFT, NumPy, pyarrow, psutil and pytest do.
test-gpu:
	@PYTHONPATH=src $(PYTHON) -m pytest -p no:cacheprovider tests/gpu

# Each job alone: ROWS="lora-llama-1b"; see benchmarks/speed_gpu.py.
bench-gpu:
	@PYTHONPATH=src $(PYTHON) benchmarks/speed_gpu.py $(ROWS)

# The environment and the runs stay.
clean:
	rm -rf build dist src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests docs -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.installed-minilm: pyproject.toml constraints.txt
	@$(INSTALL) minilm

.venv/.installed-test: pyproject.toml constraints.txt
	@$(INSTALL) test

.venv/.installed-dev: pyproject.toml constraints.txt
	@$(INSTALL) dev

.PHONY: quickstart test check docs bench test-gpu bench-gpu clean
