# Each target works by itself on a fresh machine: it sets up what it needs in .venv first.
PYTHON ?= python3
VJAIL = .venv/bin/vjail

.PHONY: help setup demo test check bench pictures native clean

help:
	@echo "make demo    bring the example of two jails up, ping, and take it away"
	@echo "make test    run all tests"
	@echo "make check   lint, types and the tests that need no kernel"
	@echo "make bench   how fast it is, beside mininet (as root; make bench BENCH=--quick: small)"
	@echo "make setup   make .venv with .venv/bin/vjail"

setup:
	@$(PYTHON) tools/setup.py

demo: setup
	@sh tools/demo.sh

test:
	@sh tools/test.sh

check:
	@$(PYTHON) tools/setup.py dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/pytest -m "not real and not guest"

bench:
	@sh tools/bench.sh $(BENCH)

# For maintainers: draws the examples for the documents.
pictures: setup
	.venv/bin/python tools/pictures.py

# For maintainers: builds the native programs for every machine whose compiler is here.
native:
	native/build.sh

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache
