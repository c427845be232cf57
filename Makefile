# SPDX-License-Identifier: Apache-2.0
# The one front door. `make demo` and `make test` need Python 3.11 and the package registry, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test other-days other-pythons fuzz soak interop servers lint bench coverage docs notebook wheel-check lock lock-peers vectors clean

# The lock names every package, so pip resolves nothing: an older pip reads `coverage[toml]` of a dependency
# as one that is not pinned, and fails on the day that a newer release comes out.
$(STAMP): requirements/dev.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	$(BIN)/python -m compileall -q src
	touch $@

demo: $(STAMP)
	$(BIN)/modelseal demo

test: $(STAMP)
	$(BIN)/python -m pytest -n auto --dist loadfile -m "not interop" $(ARGS)

# All tests but those of integration, and the notebook, on other days, in another time zone, without a locale. Needs a C
# compiler.
OTHER_DAYS := $(BIN)/python scripts/move_clock.py
ON_ANY_DAY := $(BIN)/python -m pytest -n auto --dist loadfile -m "not interop" $(ARGS) \
    tests/unit tests/property tests/adversarial tests/integration/test_clock.py tests/integration/test_notebook.py

other-days: $(STAMP)
	TZ=Pacific/Kiritimati $(OTHER_DAYS) 1 $(ON_ANY_DAY)
	LC_ALL=C $(OTHER_DAYS) 40 $(ON_ANY_DAY)
	$(OTHER_DAYS) 500 $(ON_ANY_DAY)

# The tests that start no servers once more, with every newer Python that is installed. pyenv's python3.12 runs if
# PYENV_VERSION names it.
OTHER_PYTHONS := 3.12 3.13

other-pythons:
	@for version in $(OTHER_PYTHONS); do \
	    find="import sys; print(sys.executable)"; \
	    if python=$$(PYENV_VERSION=$$version python$$version -c "$$find" 2>/dev/null); then \
	        echo "Python $$version: $$python"; \
	        $(MAKE) test PYTHON="$$python" VENV=.venv-$$version \
	            ARGS="tests/unit tests/property $(ARGS)" || exit 1; \
	    else \
	        echo "Python $$version: skipped, python$$version is not installed"; \
	    fi; \
	done

# The private instance under load, and processes on a store, killed at many points and random moments.
ROUNDS ?= 500

soak: $(STAMP)
	MODELSEAL_SOAK=1 SOAK_ROUNDS=$(ROUNDS) $(BIN)/python -m pytest -n auto --dist loadfile \
	    tests/integration/test_instance_crash.py tests/adversarial/test_T45_killed_at_any_point.py $(ARGS)

# Needs Go, Node and SoftHSM as well; the first run builds the peers, later ones find them in a cache folder.
interop: $(STAMP)
	$(BIN)/python scripts/peers/install.py
	$(BIN)/python -m pytest -n auto -m interop tests/interop \
	    tests/unit/verification/test_conformance_cases.py $(ARGS)

# Real model servers behind `modelseal exec`; the first run installs 0.8 GB, later ones find it in a cache folder.
servers: $(STAMP)
	$(BIN)/python scripts/servers/install.py
	$(BIN)/python -m pytest -m interop tests/servers $(ARGS)

# Runs until it is stopped or finds something: make fuzz TARGET=bundle
# Every target for a minute each: make fuzz TARGET=all ARGS=-max_total_time=60
TARGET ?= verify
FUZZER := .fuzz/lib
$(FUZZER): requirements/fuzz.lock $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --upgrade \
	    --target $@ -r requirements/fuzz.lock
	touch $@

fuzz: $(FUZZER)
	PYTHONPATH=$(FUZZER):tests/helpers $(BIN)/python tests/fuzz/run.py $(TARGET) -artifact_prefix=.fuzz/ $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP)
	$(BIN)/python -m benchmarks

coverage: $(STAMP)
	$(BIN)/python -m pytest -n auto -m "not interop" --cov --cov-report=term $(ARGS)

docs: $(STAMP)
	$(BIN)/python scripts/make_cli_docs.py
	$(BIN)/python scripts/make_policy_docs.py
	$(BIN)/python scripts/make_holes_docs.py

notebook: $(STAMP)
	$(BIN)/python scripts/run_notebook.py examples/sign-and-serve.ipynb

wheel-check: $(STAMP)
	$(BIN)/python scripts/check_wheel.py

lock:
	$(BIN)/uv pip compile pyproject.toml --extra demo --extra pkcs11 --extra awskms --extra hf --extra buckets --extra oci \
	    --extra mlflow --group dev \
	    --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet \
	    --upgrade --output-file requirements/dev.lock

lock-peers:
	$(BIN)/uv pip compile scripts/peers/model-signing.in --universal --python-version 3.11 \
	    --generate-hashes --no-emit-index-url --no-header --quiet --upgrade \
	    --output-file scripts/peers/model-signing.lock
	$(BIN)/uv pip compile scripts/servers/servers.in --universal --python-version 3.11 \
	    --generate-hashes --no-emit-index-url --no-header --quiet --upgrade \
	    --output-file requirements/servers.lock
	$(BIN)/uv pip compile scripts/servers/mlserver-runtimes.in --universal --python-version 3.11 \
	    --generate-hashes --no-emit-index-url --no-header --quiet --upgrade \
	    --output-file requirements/mlserver-runtimes.lock
	cd scripts/peers/js && npm install --package-lock-only --omit-lockfile-registry-resolved

clean:
	rm -rf .venv .venv-* dist build .pytest_cache .mypy_cache .ruff_cache
