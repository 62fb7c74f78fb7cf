# `make demo` runs the main job, `make test` passes the tests. Each makes what it needs.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# Pinned, and installed before what depends on it: a looser requirement lets pip choose a build with gigabytes of CUDA.
TORCH ?= torch==2.13.0

.PHONY: demo test lint format kernels bench-writes bench-recall tune-recall bench-citations bench-hands bench-coherence simulate bench-kv bench-kv-gpu train-kv soak clean

# Two stamps for the environment, so that the demo waits for little and a second run starts at once.
.venv/.made: pyproject.toml swarm/_version.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or later is needed; name it: make PYTHON=python3.12 …"; exit 2; }
	$(PYTHON) -m venv .venv
	$(PIP) --editable .
	@touch $@

.venv/.made-to-test: .venv/.made
	$(PIP) '$(TORCH)'
	$(PIP) --editable '.[dev,kv,meaning,sentences]'
	@touch $@

demo: .venv/.made
	$(BIN)/swarm demo $(ARGS)

test: .venv/.made-to-test
	$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

lint: .venv/.made-to-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-actions .github/actions/*/action.yml
	$(BIN)/zizmor --offline --quiet .github

format: .venv/.made-to-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench-writes: .venv/.made-to-test
	$(BIN)/python -m bench.writes $(ARGS)

# DATA=FILE names conversations in LoCoMo's JSON shape.
bench-recall: .venv/.made-to-test
	$(BIN)/python -m bench.recall --data "$(DATA)" $(ARGS)

# Chooses the weights of the ranking anew, into indexes/swarm_indexes/weights.json.
tune-recall: .venv/.made-to-test
	$(BIN)/python -m bench.tune --data "$(DATA)" $(ARGS)

bench-citations: .venv/.made-to-test
	$(BIN)/python -m bench.citations $(ARGS)

bench-hands: .venv/.made-to-test
	$(BIN)/python -m bench.hands $(ARGS)

# Makes a virtual environment for agent-coherence in .bench/venvs.
bench-coherence: .venv/.made-to-test
	$(BIN)/python -m bench.coherence $(ARGS)

# Every Triton kernel compiled for two generations of GPU, without one.
kernels: .venv/.made-to-test
	$(BIN)/python -m bench.kernels $(ARGS)

# Seeded stories of agents, kills and power losses over the shipped code: `make simulate SEEDS=200`.
SEEDS ?= 10000
simulate: .venv/.made-to-test
	$(BIN)/python -m tests.swarm.simulator 0 $(SEEDS)

# kvpress needs older libraries than we do: an environment of its own, never a dependency.
.venv-kvpress/.made:
	$(PYTHON) -m venv .venv-kvpress
	.venv-kvpress/bin/python -m pip install --quiet --disable-pip-version-check '$(TORCH)'
	.venv-kvpress/bin/python -m pip install --quiet --disable-pip-version-check 'kvpress==0.5.5' 'transformers>=5.2,<5.3'
	@touch $@

# Compressed caches against kvpress on small models; on a real one with MODEL=/path/to/it.
bench-kv: .venv/.made-to-test $(if $(MODEL),,.venv-kvpress/.made train-kv)
	$(BIN)/python -m $(if $(MODEL),bench.kv.real --model '$(MODEL)',bench.kv) $(ARGS)

# The recall models whose weights are not part of the repository: about four minutes of CPU each, resumed where stopped.
train-kv: .venv/.made-to-test
	for seed in 2 3 4; do test -e .bench/kv/recall-$$seed.safetensors || \
	  $(BIN)/python -m bench.kv.train --seed $$seed --to .bench/kv || exit 1; done

# On a CUDA GPU only: kernels against the copy ceiling and the fastest of SDPA, FlexAttention and our bfloat16 split-K.
bench-kv-gpu: .venv/.made-to-test
	$(BIN)/python -m bench.kv_gpu $(ARGS)

# A minute of killing writers, and power lost after every call of 200 batches.
soak: .venv/.made-to-test
	$(BIN)/python -m pytest -m soak $(ARGS)

clean:
	rm -rf .venv .venv-kvpress .bench dist build .mypy_cache .pytest_cache .ruff_cache .hypothesis
